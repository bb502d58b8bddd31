//! A task: one allocation that holds the scheduling header, the closure and later its result.
//!
//! [`Task`] is the executor's owned half, a thin pointer; [`JoinRef`] is the handle's. The two share a state
//! word ([`state`]) whose transitions decide who runs, cancels, completes and frees. Imports `sync` only.

mod deadline;
mod detached;
mod error;
mod group;
mod head;
mod header;
mod helper;
mod join_ref;
mod joinable;
mod latch;
mod link;
mod list;
pub(crate) mod memory;
#[cfg(all(test, any(lockgrain_loom, lockgrain_shuttle)))]
mod models;
mod needs;
mod output;
mod polled;
mod promised;
mod quietly;
mod scoped;
mod series;
pub(crate) mod state;
mod tally;
mod target;
mod waiters;

pub(crate) use deadline::Deadline;
pub(crate) use detached::{detached, detached_in, detached_needing};
pub(crate) use error::end_as_poisoned;
pub use error::{Panic, PanicPayload, TaskError, WaitError};
pub(crate) use group::{Group, Member};
pub use header::Task;
pub(crate) use header::{Discarded, Identity, Ran};
pub(crate) use helper::Helper;
pub(crate) use join_ref::JoinRef;
pub(crate) use joinable::{delayed, held_back, joinable, joinable_in, needing, refused};
pub(crate) use latch::{Countdown, Latch};
pub(crate) use link::Link;
pub(crate) use list::Chain;
pub use list::TaskList;
pub(crate) use needs::{Needs, Tickets, Walk};
pub use needs::{TaskRef, Ticket};
pub(crate) use polled::{Schedule, polled};
pub(crate) use promised::{ANYBODY, Promised, promised};
pub(crate) use quietly::{drop_quietly, quietly};
pub(crate) use scoped::{Elsewhere, OnStack, Scoped};
pub(crate) use series::{Repeats, series};
pub use state::TaskState;
pub(crate) use tally::{Tally, TaskHooks};
pub(crate) use target::Target;
pub(crate) use waiters::{Next, Place, Wake};
