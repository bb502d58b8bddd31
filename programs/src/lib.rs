//! Random programs over lockgrain's public API, and the reference model that judges what came of them.
//!
//! A [`Program`] is a list of operations by one to three clients, and the settings of the pool that they use. It is decoded from bytes,
//! so that a property test, a fuzzer and a scheduler that draws at random all run the same programs: `decode`. [`run`] performs one under a policy
//! and notes what is seen in a `ledger`; at the end the `model` says of each task whether it could come to that end.

mod client;
mod decode;
mod job;
mod ledger;
mod line;
mod model;
mod program;
mod run;
mod sync;
#[cfg(not(lockgrain_shuttle))]
mod watchdog;

pub use program::{Body, End, Focus, Full, Name, Op, Program, Settings};
pub use run::run;
#[cfg(not(lockgrain_shuttle))]
pub use watchdog::{run_watched, run_watched_under_all};
