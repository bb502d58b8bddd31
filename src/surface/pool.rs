//! The pool.

use std::fmt;
use std::time::Duration;

use super::entry::{Entry, spawn, submit};
use super::{BuildError, Builder, Refused, Rejected, ResizeError, TaskHandle};
use crate::policy::{LockFree, LockPolicy};
use crate::runtime::{Core, Metrics, Timeline};
use crate::sync::{Arc, Instant};

/// A pool of worker threads whose lock policy is a type parameter.
///
/// Clones are handles to the same pool. When the last one is dropped, the pool runs what is queued and joins its threads;
/// on one of its own workers the drop only starts that.
///
/// ```
/// use lockgrain::ThreadPool;
///
/// let pool = ThreadPool::new()?;
/// let handles: Vec<_> = (1..=4_u32).map(|n| pool.submit(move || n * n)).collect();
/// let squares: Result<Vec<_>, _> = handles.into_iter().map(|handle| handle.result()).collect();
/// assert_eq!(squares?, [1, 4, 9, 16]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "ThreadPoolExecutor")]
#[doc(alias = "ExecutorService")]
pub struct ThreadPool<P: LockPolicy = LockFree> {
    owner: Arc<Owner<P>>,
}

/// What the handles share and the threads do not: its drop ends the pool.
struct Owner<P: LockPolicy> {
    core: Arc<Core<P>>,
}

impl<P: LockPolicy> Drop for Owner<P> {
    fn drop(&mut self) {
        self.core.drain();
        self.core.join(None);
    }
}

impl ThreadPool<LockFree> {
    /// A pool with the default policy and settings: a worker for each logical processor, started on demand.
    ///
    /// # Errors
    /// [`BuildError::BadEnvironment`] if `LOCKGRAIN_NUM_THREADS` is set to something else than a positive number.
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// Settings for a pool; [`Builder::policy`] chooses another policy than [`LockFree`].
    pub fn builder() -> Builder<LockFree> {
        Builder::new()
    }
}

impl<P: LockPolicy> ThreadPool<P> {
    pub(super) fn from_core(core: Arc<Core<P>>) -> Self {
        Self { owner: Arc::new(Owner { core }) }
    }

    pub(crate) fn core(&self) -> &Arc<Core<P>> {
        &self.owner.core
    }

    /// Has `f` run by a worker, with nobody to hear of its end. A panic goes to the pool's panic handler.
    ///
    /// # Errors
    /// [`Refused`] once the pool is shutting down, or if its [queue is full](Builder::when_full); `f` has been dropped.
    #[doc(alias = "execute")]
    #[inline]
    pub fn spawn(&self, f: impl FnOnce() + Send + 'static) -> Result<(), Refused> {
        spawn(self.core(), 0, f)
    }

    /// Has `f` run by a worker; the handle gives its result. Never fails: a refused task is a handle that has ended with
    /// [`TaskError::Refused`](crate::TaskError::Refused), or [`QueueFull`](crate::TaskError::QueueFull) if the pool's
    /// [queue is full](Builder::when_full).
    ///
    /// What `f` owns and what it returns goes from thread to thread, so both are `Send`:
    ///
    /// ```compile_fail
    /// let pool = lockgrain::ThreadPool::new().unwrap();
    /// let handle = pool.submit(|| std::rc::Rc::new(1));
    /// ```
    ///
    /// and as it may outlive the caller, it borrows nothing:
    ///
    /// ```compile_fail
    /// let pool = lockgrain::ThreadPool::new().unwrap();
    /// let text = String::from("on this stack");
    /// let handle = pool.submit(|| text.len());
    /// ```
    #[inline]
    #[doc(alias = "apply_async")]
    pub fn submit<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> TaskHandle<T> {
        submit(self.core(), f)
    }

    /// As [`submit`](Self::submit), but a refused closure comes back.
    ///
    /// # Errors
    /// [`Rejected`], with the closure, once the pool is shutting down, or if its [queue is full](Builder::when_full).
    pub fn try_submit<T, F>(&self, f: F) -> Result<TaskHandle<T>, Rejected<F>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        match Entry::to(self.core()) {
            Ok(entry) => Ok(entry.submit(self.core(), 0, f)),
            Err(why) => Err(Rejected { closure: f, why }),
        }
    }

    /// Refuses new tasks, runs what is queued, and joins the threads. Tasks submitted before the call are run. On a worker of
    /// this pool it does not wait. Calling it again is fine, from any thread.
    ///
    /// When it has waited, all tasks of the pool have ended, also those that another thread wakes, refuses or cancels at that moment, but for what
    /// [`TaskHandle::cancel`](crate::TaskHandle::cancel) ends when it returns, and for [continuations](crate::TaskHandle::then)
    /// of what ends later.
    ///
    /// It waits for the time of tasks that are [scheduled](Self::schedule), and cancels series;
    /// [`run_delayed_after_shutdown`](Builder::run_delayed_after_shutdown) and
    /// [`run_periodic_after_shutdown`](Builder::run_periodic_after_shutdown) say otherwise.
    #[doc(alias = "close")]
    pub fn shutdown(&self) {
        self.core().drain();
        self.core().join(None);
    }

    /// As [`shutdown`](Self::shutdown), waiting for at most `timeout`; whether the pool has stopped.
    pub fn shutdown_timeout(&self, timeout: Duration) -> bool {
        self.core().drain();
        self.await_termination(timeout)
    }

    /// Refuses new tasks, cancels what is queued or scheduled, and joins the threads once the running tasks have ended; how many tasks it
    /// cancelled.
    ///
    /// A thread that was started for a task and has not come to it yet still runs one, the next in turn: if a [`submit`](Self::submit) starts a
    /// thread, its task is not cancelled by a shutdown that follows at once, as with Java's executors. Not so in a [pause](Self::pause), nor under
    /// [`GlobalLock`](crate::GlobalLock) for a task with values or keys, if the pool has other threads.
    #[doc(alias = "terminate")]
    pub fn shutdown_now(&self) -> usize {
        let cancelled = self.core().drain_now();
        self.core().join(None);
        cancelled
    }

    /// As [`shutdown_now`](Self::shutdown_now), waiting for at most `timeout`; how many tasks it cancelled, and whether the
    /// pool has stopped.
    pub fn shutdown_now_timeout(&self, timeout: Duration) -> (usize, bool) {
        let cancelled = self.core().drain_now();
        (cancelled, self.await_termination(timeout))
    }

    /// Waits until a pool that is shutting down has stopped, for at most `timeout`; whether it has.
    pub fn await_termination(&self, timeout: Duration) -> bool {
        // A time too far to be told is for ever.
        self.core().join(Instant::now().checked_add(timeout))
    }

    /// Whether it refuses new tasks.
    pub fn is_shutdown(&self) -> bool {
        self.core().is_draining()
    }

    /// Whether it is shut down and its last task has ended.
    pub fn is_terminated(&self) -> bool {
        self.core().is_terminated()
    }

    /// Has the workers take no task from the queue until [`resume`](Self::resume); those that run go on. Tasks are submitted as ever, and a
    /// task that waits for a queued one still runs it. A shutdown resumes the pool.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// pool.pause();
    /// let handle = pool.submit(|| 1);
    /// assert!(!handle.is_finished());
    /// pool.resume();
    /// assert_eq!(handle.result()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pause(&self) {
        self.core().pause();
    }

    /// Ends a [pause](Self::pause).
    pub fn resume(&self) {
        self.core().resume();
    }

    /// Whether it is [paused](Self::pause).
    pub fn is_paused(&self) -> bool {
        self.core().is_paused()
    }

    /// Cancels what is queued now and has not started, whatever it is, as [`TaskHandle::cancel`](crate::TaskHandle::cancel) does; how many tasks. The
    /// pool goes on, and takes new ones. What waits for a value, a key, a permit or its time is in no queue yet, and stays; where a cancelled task was
    /// to have a value, the next one gets it. A [scope](Self::scope) ends without those of its tasks.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// pool.pause();
    /// let stale = pool.submit(|| "frame 1");
    /// assert_eq!(pool.cancel_queued(), 1);
    /// pool.resume();
    /// assert!(stale.is_cancelled());
    /// assert_eq!(pool.submit(|| "frame 2").result()?, "frame 2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "purge")]
    #[doc(alias = "clear")]
    #[doc(alias = "drainTo")]
    pub fn cancel_queued(&self) -> usize {
        self.core().discard_queued()
    }

    /// How many tasks can run at once, blocked ones not counted. [`resize`](Self::resize) changes it.
    #[doc(alias = "getMaximumPoolSize")]
    pub fn max_workers(&self) -> usize {
        self.core().workers()
    }

    /// Changes [`max_workers`](Self::max_workers) while the pool runs; the old number. New threads start on demand. Surplus workers run their
    /// tasks to the end, and their threads end when they have been idle for [`keep_alive`](Builder::keep_alive), as spare ones do.
    ///
    /// The pool has room for as many threads as [`max_workers`](Builder::max_workers) and [`max_spares`](Builder::max_spares) added up to when it was
    /// built: what is more for workers is less for spare ones. Under [`GlobalLock`](crate::GlobalLock) one task runs at a time all the same.
    ///
    /// # Errors
    /// [`ResizeError`]: no workers, or more than there is room for. Nothing changes.
    ///
    /// ```
    /// use lockgrain::{ResizeError, ThreadPool};
    ///
    /// let pool = ThreadPool::builder().max_workers(2).max_spares(6).build()?;
    /// assert_eq!((pool.resize(4)?, pool.max_workers()), (2, 4));
    /// assert_eq!(pool.resize(9), Err(ResizeError::TooMany { asked: 9, most: 8 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "setCorePoolSize")]
    #[doc(alias = "setMaximumPoolSize")]
    #[doc(alias = "setParallelism")]
    pub fn resize(&self, workers: usize) -> Result<usize, ResizeError> {
        let most = self.core().most_workers();
        match workers {
            0 => Err(ResizeError::Zero),
            asked if asked > most => Err(ResizeError::TooMany { asked, most }),
            _ => Ok(self.core().resize(workers)),
        }
    }

    /// Starts the threads of all workers that have none yet; how many. One that can't be started is counted in
    /// [`Metrics::start_failures`], and no more are tried.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::builder().max_workers(3).build()?;
    /// assert_eq!((pool.prestart_all(), pool.prestart_all()), (3, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "prestartAllCoreThreads")]
    pub fn prestart_all(&self) -> usize {
        self.core().prestart().0
    }

    /// How many tasks may be queued, if that is [bounded](Builder::queue_capacity).
    pub fn queue_capacity(&self) -> Option<usize> {
        self.core().capacity().map(|capacity| capacity.bound())
    }

    /// What the workers did when, as far as it is over and there was room; none if the pool does not [record](Builder::timeline) it.
    pub fn timeline(&self) -> Option<Timeline> {
        self.core().timeline()
    }

    /// A snapshot of the pool's counters. Its `Display` is a table.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::builder().max_workers(2).build()?;
    /// pool.for_each(0..100, drop)?;
    /// pool.shutdown();
    /// let metrics = pool.metrics();
    /// assert_eq!((metrics.submitted, metrics.finished), (100, 100));
    /// assert_eq!(metrics.to_string().lines().count(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        self.core().metrics()
    }
}

impl<P: LockPolicy> Clone for ThreadPool<P> {
    fn clone(&self) -> Self {
        Self { owner: self.owner.clone() }
    }
}

impl<P: LockPolicy> fmt::Debug for ThreadPool<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool")
            .field("policy", &P::NAME)
            .field("max_workers", &self.max_workers())
            .field("is_shutdown", &self.is_shutdown())
            .finish_non_exhaustive()
    }
}

// No panic leaves a pool half changed: user code never runs in the middle of a change of ours.
impl<P: LockPolicy> std::panic::UnwindSafe for ThreadPool<P> {}
impl<P: LockPolicy> std::panic::RefUnwindSafe for ThreadPool<P> {}
