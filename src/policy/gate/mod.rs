//! What a worker must hold to run any task: the trait, and one file for each answer.

mod global;
mod histogram;
#[cfg(all(test, any(lockgrain_loom, lockgrain_shuttle)))]
mod models;
mod open;

pub use global::GlobalGate;
pub use histogram::Histogram;
pub use open::OpenGate;

use std::time::Duration;

/// Who asks to come in: decides the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrant {
    /// A task that held the gate and let go of it around blocking work: goes first.
    Returner,
    /// A task that held the gate and let a returner in: next, once no returner is there.
    Interrupted,
    /// Everybody else, in order of arrival.
    Ordinary,
}

/// What a worker must hold to run any task.
///
/// # Safety
/// If [`EXCLUSIVE`](Self::EXCLUSIVE) is true, then between a return from [`enter`](Self::enter) and the matching
/// [`leave`](Self::leave) no other `enter` returns, and a `leave` happens-before the return of the next `enter`.
pub unsafe trait Gate: Send + Sync + Sized + 'static {
    /// Whether it lets in one at a time.
    const EXCLUSIVE: bool;
    /// An open gate.
    fn new() -> Self;
    /// Waits until the caller may run. The caller has not entered.
    fn enter(&self, who: Entrant);
    /// Lets the next one in. The caller has entered.
    fn leave(&self);
    /// Whether somebody waits. A hint: one relaxed load.
    fn is_wanted(&self) -> bool;
    /// Whether a returner waits. A hint: one relaxed load.
    fn is_wanted_back(&self) -> bool;
    /// What it has counted.
    fn counts(&self) -> GateCounts;
}

/// What a gate has counted since it was made; all zero for one that counts nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateCounts {
    /// Times that an `enter` had to wait.
    pub waits: u64,
    /// How long these took, as far as they are over.
    pub waited: Duration,
    /// Times that somebody was let in.
    pub holds: u64,
    /// How long these lasted, as far as they are over.
    pub held: Duration,
    /// How long each wait took.
    pub wait_times: Histogram,
    /// How long each hold lasted.
    pub hold_times: Histogram,
}

/// A gate that excludes everybody: what makes [`ThreadPool::lock`](crate::ThreadPool::lock) mean something.
///
/// # Safety
/// [`Gate::EXCLUSIVE`] is true.
pub unsafe trait ExclusiveGate: Gate {}
