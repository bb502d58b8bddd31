//! What runs the tasks: the worker loop, sleeping and waking, blocking and waiting inside workers, shutdown, metrics.
//!
//! Generic over the policy and written once. Imports `policy`, `task` and `sync`.

mod admission;
pub(crate) mod broadcast;
mod caller;
mod capacity;
mod continuation;
mod core;
pub(crate) mod current;
pub(crate) mod deadlines;
mod delays;
mod discard;
mod due;
pub(crate) mod future;
mod holders;
mod idle;
mod in_line;
pub(crate) mod join;
pub(crate) mod keys;
mod lane;
mod local;
mod lock;
mod mail;
mod metrics;
#[cfg(all(test, any(lockgrain_loom, lockgrain_shuttle)))]
mod models;
mod patience;
mod pause;
pub(crate) mod permits;
pub(crate) mod propagation;
mod quiescence;
mod ranked;
pub(crate) mod request;
pub(crate) mod scope;
mod size;
mod starting;
mod timeline;
pub(crate) mod timer;
pub(crate) mod trace;
mod wait;
pub(crate) mod wants;
mod when_full;
mod worker;

pub use self::core::HeldTooLong;
pub(crate) use self::core::{Config, Core, Hooks};
pub(crate) use admission::{Admission, Then, leave_worker};
pub(crate) use capacity::Permit;
pub(crate) use continuation::Continuation;
pub(crate) use idle::MAX_THREADS;
pub use local::WorkerRun;
pub(crate) use local::{Finalizer, Initializer};
pub(crate) use lock::Lock;
pub use metrics::{Metrics, WorkerMetrics};
pub use timeline::{Activity, Timeline, TimelineEvent};
pub(crate) use wait::{Awaited, Goal, wait};
pub use when_full::WhenFull;
pub(crate) use worker::Blockable;
