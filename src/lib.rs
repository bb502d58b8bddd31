//! A work-stealing thread pool whose **lock policy is a type parameter**, with the API of Python's and Java's
//! `ThreadPoolExecutor`: handles with results, timeouts, cancellation and callbacks, and a clean shutdown.
//!
//! ```
//! use lockgrain::{GlobalLock, ThreadPool};
//!
//! // As fast as it gets: work stealing over lock-free deques.
//! let pool = ThreadPool::new()?;
//! assert_eq!(pool.submit(|| 6 * 7).result()?, 42);
//!
//! // The same program with one task at a time, for code that must not run in parallel.
//! let serial = ThreadPool::builder().policy::<GlobalLock>().build()?;
//! assert_eq!(serial.submit(|| 6 * 7).result()?, 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | policy | at once | for |
//! |---|---|---|
//! | [`GlobalLock`] | one task; the lock is let go around blocking work | libraries that are not thread-safe |
//! | [`FineGrained`] | all workers; a small lock a queue | fair and plain |
//! | [`LockFree`] (default) | all workers; no lock | throughput |
//!
//! What you may look for, coming from Python's `concurrent.futures`, Java's `ThreadPoolExecutor`, or rayon:
//!
//! | | |
//! |---|---|
//! | submit, and the result with a time-out | [`ThreadPool::submit`], [`TaskHandle::result_timeout`]; without a handle [`ThreadPool::spawn`] |
//! | `exception` | [`TaskHandle::error`] |
//! | cancel; ask a running task to stop | [`TaskHandle::cancel`]; [`TaskHandle::request_cancel`] and [`Context::checkpoint`] |
//! | callbacks, continuations, `await` | [`TaskHandle::on_done`], [`TaskHandle::then`]; a handle is a future |
//! | `wait`, `as_completed`, `ExecutorCompletionService` | [`wait`](fn@wait), [`as_completed`], [`CompletionQueue`] |
//! | `map`, `imap_unordered`, chunks, a bounded buffer | [`ThreadPool::map`], [`ThreadPool::map_unordered`], [`ThreadPool::bulk`] |
//! | `invokeAll`, `invokeAny` | [`ThreadPool::invoke_all`], [`ThreadPool::invoke_any`] |
//! | tasks that borrow, fork and join | [`ThreadPool::scope`], [`ThreadPool::join`], [`ThreadPool::install`] |
//! | a result made elsewhere; one that many read | [`promise`](fn@promise); [`TaskHandle::shared`] |
//! | a bounded queue, and what to do when it is full | [`Builder::queue_capacity`], [`Builder::when_full`] |
//! | priorities | [`ThreadPool::task`], [`TaskBuilder::priority`] |
//! | a time until which a task has to start | [`TaskBuilder::start_within`] |
//! | timers | [`ThreadPool::schedule`], [`ThreadPool::schedule_at_fixed_rate`] |
//! | initializers, hooks, thread names, sizes | [`Builder`], [`ThreadPool::resize`] |
//! | `contextvars`, a `TaskDecorator` | [`Builder::propagate`] |
//! | shutdown, in all its forms | [`ThreadPool::shutdown`], [`ThreadPool::shutdown_now`]; a drop is a shutdown |
//! | empty the queue, and go on | [`ThreadPool::cancel_queued`] |
//! | wait until nothing is left to do | [`ThreadPool::await_quiescence`] |
//! | code that blocks | [`blocking`](fn@blocking), [`Context::blocking`] |
//! | async code | [`ThreadPool::spawn_future`], [`block_on`] |
//! | counters; what ran where and when | [`ThreadPool::metrics`], [`ThreadPool::timeline`]; with the feature `tracing` a span a task |
//! | model-check your tasks, or your own policy | [`model`] |
//! | once on every thread | [`ThreadPool::broadcast`], [`Builder::initializer`] |
//!
//! Tasks can name the data they touch ([`Guarded`], [`ThreadPool::when`]): those that have data in common never overlap, run in the order
//! in which they were submitted, and never block a worker, under each policy.
//!
//! A policy is a type that names its pieces: see [`LockPolicy`], [`run_queue`], [`gate`] and [`value_lock`].

#![warn(missing_docs)]
// The build that is documented is the plain one.
#![cfg_attr(any(lockgrain_loom, lockgrain_shuttle), allow(missing_docs))]

pub mod model;
mod policy;
mod runtime;
mod surface;
mod sync;
mod task;

pub use policy::{FineGrained, GlobalLock, LockFree, LockPolicy};
pub use runtime::{Activity, HeldTooLong, Metrics, Timeline, TimelineEvent, WhenFull, WorkerMetrics, WorkerRun};
pub use surface::{
    AlreadyEnded, AsCompleted, BuildError, Builder, Bulk, CancelRequested, ChunkSize, CompletionQueue, Context,
    Failure, Guarded, Key, KeyHashBuilder, KeyHasher, Keyed, Lent, Limit, Map, MapUnordered, Permits, Promise, Refused,
    Rejected, ResizeError, ReturnWhen, Scope, Shared, SharedHandle, SharedResult, Strand, TaskBuilder, TaskHandle,
    ThreadPool, Unfinished, Unordered, Values, Waitable, Waited, as_completed, block_on, blocking, join_all, promise,
    wait,
};
pub use task::{Panic, PanicPayload, Task, TaskError, TaskState, WaitError};

/// What a soak has injected.
#[cfg(all(lockgrain_soak, not(any(lockgrain_loom, lockgrain_shuttle))))]
pub mod soak {
    pub use crate::sync::soak::{Injected, injected};
}

/// What a worker must hold to run any task: the trait and the crate's gates.
pub mod gate {
    pub use crate::policy::gate::{Entrant, ExclusiveGate, Gate, GateCounts, GlobalGate, Histogram, OpenGate};
}

/// A worker's own deque in [`run_queue::Stealing`]: the trait and the crate's deques.
///
/// [`LockFree`] uses [`ChaseLev`](deque::ChaseLev). A policy over another one:
///
/// ```
/// use lockgrain::{LockPolicy, ThreadPool, deque, gate, run_queue, value_lock};
///
/// struct OverCrossbeam;
///
/// impl LockPolicy for OverCrossbeam {
///     const NAME: &'static str = "crossbeam";
///     type Queue = run_queue::Stealing<deque::Crossbeam>;
///     type Gate = gate::OpenGate;
///     type Lock = value_lock::WaitList;
/// }
///
/// let pool = ThreadPool::builder().policy::<OverCrossbeam>().max_workers(2).build()?;
/// assert_eq!(pool.submit(|| 6 * 7).result()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub mod deque {
    #[cfg(not(lockgrain_loom))]
    pub use crate::policy::deque::Crossbeam;
    pub use crate::policy::deque::{ChaseLev, ChaseLevStealer, Deque, Steal};
}

/// Where ready tasks wait: the trait and the crate's queues.
pub mod run_queue {
    pub use crate::policy::run_queue::{Find, LocalOrder, QueueConfig, RunQueue, Sharded, Shared, Source, Stealing};
    pub use crate::task::TaskList;
}

/// What a task must hold to touch a [`Guarded`] value: the trait and the crate's locks.
pub mod value_lock {
    pub use crate::policy::value_lock::{
        Access, Covered, Entry, Granted, McsQueue, Node, TaskRef, Ticket, ValueLock, WaitList,
    };
}

pub use run_queue::LocalOrder;
pub use value_lock::Access;
