//! A worker's own deque: the owner pushes and pops, others steal. The trait, and one file for each deque.

mod chase_lev;
#[cfg(not(lockgrain_loom))]
mod crossbeam;
#[cfg(all(test, any(lockgrain_loom, lockgrain_shuttle)))]
mod models;

pub use chase_lev::{ChaseLev, ChaseLevStealer};
#[cfg(not(lockgrain_loom))]
pub use crossbeam::Crossbeam;

use super::run_queue::LocalOrder;
use crate::task::Task;

/// What an attempt to steal gave.
#[derive(Debug)]
pub enum Steal {
    /// The oldest task.
    Task(Task),
    /// The deque was empty.
    Empty,
    /// Another thread was faster; there may be more.
    Retry,
}

/// The owner's half of a work-stealing deque of tasks: what [`Stealing`](super::run_queue::Stealing) gives each worker.
///
/// A pushed task comes out once, of [`pop`](Self::pop) or of a steal. After a `push` has returned,
/// [`is_empty`](Self::is_empty) is false on every thread that can see it (through a `fence(SeqCst)` on both sides) until
/// the task has come out.
pub trait Deque: Send + Sized + 'static {
    /// The half that other threads take from.
    type Stealer: Send + Sync + 'static;

    /// An empty deque whose owner pops in this order.
    fn new(order: LocalOrder) -> Self;
    /// The other half.
    fn stealer(&self) -> Self::Stealer;
    /// Adds a task at the newest end.
    fn push(&self, task: Task);
    /// The owner's next task.
    fn pop(&self) -> Option<Task>;
    /// The owner's newest task, whatever the order, if it can be had; see [`RunQueue::retract`](super::run_queue::RunQueue::retract).
    fn retract(&self) -> Option<Task> {
        None
    }
    /// The oldest task of another's deque.
    fn steal(from: &Self::Stealer) -> Steal;
    /// The oldest task of another's deque; some more, up to half of what is there, go to this one.
    fn steal_half(&self, from: &Self::Stealer) -> Steal;
    /// How many tasks are there; an estimate while others work on it.
    fn len(of: &Self::Stealer) -> usize;
    /// Whether there is no task.
    fn is_empty(of: &Self::Stealer) -> bool {
        Self::len(of) == 0
    }
}
