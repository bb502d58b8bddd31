//! What becomes of a task for which the queue has no place.

use std::time::Duration;

/// What a submission does when the queue is full: see [`Builder::when_full`](crate::Builder::when_full).
///
/// "Turned away" tasks are counted in [`Metrics::rejected`](crate::Metrics::rejected). Once the pool is shutting down, every submission is
/// refused as such, also one that waits for a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "RejectedExecutionHandler")]
pub enum WhenFull {
    /// Turns the new task away: [`Refused::Full`](crate::Refused::Full) from `spawn` and `try_submit`, and a handle that has ended with
    /// [`TaskError::QueueFull`](crate::TaskError::QueueFull) from `submit`.
    #[default]
    #[doc(alias = "AbortPolicy")]
    Reject,
    /// Waits for a place. Who waits gets a place before who comes later.
    ///
    /// On a worker a spare worker takes over meanwhile, as in [`blocking`](crate::blocking). Where a wait might never end, the task is queued over the
    /// bound at once: when all threads of the pool, spares included, wait or block; and in code that holds a global lock through a context
    /// or for guarded values, as only the context can release it. So a submission never hangs because of what the pool knows of; what it does not
    /// know of is yours to see to: don't submit while you hold a lock that queued tasks need.
    ///
    /// With few spares, or none, a task that submits many others hence has them queued over the bound; [`CallerRuns`](Self::CallerRuns)
    /// keeps it.
    Block,
    /// As [`Block`](Self::Block), for at most so long; then as [`Reject`](Self::Reject). Where `Block` would queue the task over the bound, it is
    /// turned away: at once in code that holds a global lock, else when the time is over.
    BlockTimeout(Duration),
    /// Runs the new task right here, on the submitting thread, which so submits no more meanwhile: when `submit` returns, the task has ended.
    /// Only `rejected` counts it. Under a policy with a global lock it has that lock while it runs.
    ///
    /// Code that holds a global lock through a context, or that has guarded values, never runs another task; nor does code inside
    /// [`Context::blocking`](crate::Context::blocking) run one that needs the same lock. There the new task is turned away as by
    /// [`Reject`](Self::Reject). And where such tasks are on top of one another on this stack, more than 64 deep, it is queued over the bound.
    #[doc(alias = "CallerRunsPolicy")]
    CallerRuns,
    /// Cancels the task that has been queued for longest, whatever it names, of those with the lowest [priority](crate::TaskBuilder::priority), and queues
    /// the new one. The queue of a pool may be several, by its policy; then it is the oldest of one: of several submitters not always the very oldest.
    #[doc(alias = "DiscardOldestPolicy")]
    DiscardOldest,
    /// Drops the new task: its handle is cancelled. `spawn` and `try_submit` say nothing of it.
    #[doc(alias = "DiscardPolicy")]
    DiscardNewest,
}
