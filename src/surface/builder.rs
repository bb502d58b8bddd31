//! Settings of a pool.

use std::fmt;
use std::time::Duration;

use super::{BuildError, ThreadPool};
use crate::gate::ExclusiveGate;
use crate::policy::run_queue::LocalOrder;
use crate::policy::{LockFree, LockPolicy};
use crate::runtime::{Config, Core, HeldTooLong, Hooks, Lock, MAX_THREADS, WhenFull};
use crate::sync::{Arc, MODEL};
use crate::task::PanicPayload;

/// Settings of a [`ThreadPool`]; made by [`ThreadPool::builder`].
///
/// ```
/// use lockgrain::{FineGrained, ThreadPool};
///
/// let pool = ThreadPool::builder().policy::<FineGrained>().max_workers(2).thread_name("indexer").build()?;
/// let name = pool.submit(|| std::thread::current().name().map(str::to_owned)).result()?;
/// assert_eq!(name.as_deref(), Some("indexer_0"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<P: LockPolicy = LockFree> {
    max_workers: Option<usize>,
    max_spares: usize,
    thread_name: Option<String>,
    stack_size: Option<usize>,
    order: LocalOrder,
    keep_alive: Duration,
    min_workers: Option<usize>,
    switch_interval: Duration,
    prestart: bool,
    timeline: Option<usize>,
    delayed_after_shutdown: bool,
    periodic_after_shutdown: bool,
    queue_capacity: Option<usize>,
    when_full: WhenFull,
    pub(super) hooks: Hooks,
    /// That of another pool.
    lock: Option<Arc<Lock<P::Gate>>>,
}

impl<P: LockPolicy> Default for Builder<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: LockPolicy> Builder<P> {
    /// The default settings.
    pub fn new() -> Self {
        Self {
            max_workers: None,
            max_spares: if MODEL { 0 } else { 256 },
            thread_name: None,
            stack_size: None,
            order: LocalOrder::default(),
            keep_alive: Duration::from_secs(10),
            min_workers: None,
            switch_interval: Duration::from_millis(5),
            prestart: false,
            timeline: None,
            delayed_after_shutdown: true,
            periodic_after_shutdown: false,
            queue_capacity: None,
            when_full: WhenFull::default(),
            hooks: Hooks::default(),
            lock: None,
        }
    }

    /// The same settings for another lock policy. The lock is its own again, see [`share_lock`](Self::share_lock).
    pub fn policy<Q: LockPolicy>(self) -> Builder<Q> {
        let Self { max_workers, max_spares, thread_name, stack_size, order, .. } = self;
        let Self { keep_alive, min_workers, switch_interval, prestart, delayed_after_shutdown, .. } = self;
        let Self { timeline, periodic_after_shutdown, queue_capacity, when_full, hooks, .. } = self;
        Builder {
            max_workers,
            max_spares,
            thread_name,
            stack_size,
            order,
            keep_alive,
            min_workers,
            switch_interval,
            prestart,
            timeline,
            delayed_after_shutdown,
            periodic_after_shutdown,
            queue_capacity,
            when_full,
            hooks,
            lock: None,
        }
    }

    /// How many workers run tasks at once. Default: the environment variable `LOCKGRAIN_NUM_THREADS`, else the number of
    /// logical processors; 2 in a [model build](crate::model). Threads start on demand, when there is a task and no worker is idle.
    ///
    /// [`ThreadPool::resize`] changes it later.
    #[doc(alias = "num_threads")]
    #[doc(alias = "worker_threads")]
    pub fn max_workers(mut self, workers: usize) -> Self {
        self.max_workers = Some(workers);
        self
    }

    /// How many threads may stand in for workers that wait or block, so that queued tasks go on: a pool never has more threads than `max_workers` and
    /// this together. Default 256, in a [model build](crate::model) 0; 0 for none.
    pub fn max_spares(mut self, spares: usize) -> Self {
        self.max_spares = spares;
        self
    }

    /// All tasks run on one thread, always the same: for libraries that want to be used from the thread that set them up, like OpenGL, R or a
    /// user interface; set them up in [`on_thread_start`](Self::on_thread_start). Says `max_workers(1)` and `max_spares(0)`: nothing runs while
    /// a task blocks, and a wait inside a task runs what it waits for, or is an error if that is not possible.
    ///
    /// Under [`GlobalLock`](crate::GlobalLock) other threads can still have the lock by [`ThreadPool::lock`], and keep the tasks from running.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::builder().pinned().build()?;
    /// let thread = || std::thread::current().id();
    /// let (inner, outer) = (pool.clone(), pool.clone());
    /// let nested = outer.submit(move || (thread(), inner.submit(thread).result()));
    /// let (first, second) = nested.result()?;
    /// assert_eq!((first, first), (second?, pool.submit(thread).result()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pinned(self) -> Self {
        self.max_workers(1).max_spares(0)
    }

    /// The prefix of the threads' names, `<prefix>_<index>`. Default: `lockgrain-<policy>`.
    #[doc(alias = "thread_name_prefix")]
    pub fn thread_name(mut self, prefix: impl Into<String>) -> Self {
        self.thread_name = Some(prefix.into());
        self
    }

    /// The threads' stack size in bytes. Default: the standard library's.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// In which order a worker takes the tasks that its own tasks submitted.
    pub fn local_order(mut self, order: LocalOrder) -> Self {
        self.order = order;
        self
    }

    /// How many workers stay however long they are idle; those above end after [`keep_alive`](Self::keep_alive), and start again on demand. 0 is
    /// fine. Default: all stay but the spare ones, and so they do if this is more than `max_workers`.
    ///
    /// It starts none: see [`prestart`](Self::prestart).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = lockgrain::ThreadPool::builder().min_workers(0).keep_alive(Duration::from_millis(1)).build()?;
    /// assert_eq!(pool.submit(|| 1).result()?, 1);
    /// while pool.metrics().threads > 0 {
    ///     std::thread::yield_now();
    /// }
    /// assert_eq!(pool.submit(|| 2).result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "corePoolSize")]
    #[doc(alias = "allowCoreThreadTimeOut")]
    pub fn min_workers(mut self, workers: usize) -> Self {
        self.min_workers = Some(workers);
        self
    }

    /// How long a spare thread, or one above [`min_workers`](Self::min_workers), stays idle before it ends. Default 10 s.
    pub fn keep_alive(mut self, idle: Duration) -> Self {
        self.keep_alive = idle;
        self
    }

    /// How long a task that calls [`Context::checkpoint`](crate::Context::checkpoint) may hold the global lock while
    /// others want to run. One that comes back from blocking work does not wait for that. Default 5 ms.
    pub fn switch_interval(mut self, interval: Duration) -> Self {
        self.switch_interval = interval;
        self
    }

    /// Whether `build` starts all workers, and fails if one can't be started, or can't [make its value](Self::initializer). Default: on demand.
    pub fn prestart(mut self, prestart: bool) -> Self {
        self.prestart = prestart;
        self
    }

    /// Whether [`shutdown`](ThreadPool::shutdown) waits for the tasks of [`schedule`](ThreadPool::schedule) whose time has not come, and runs
    /// them; else it cancels them. Default true. [`shutdown_now`](ThreadPool::shutdown_now) cancels them in any case.
    #[doc(alias = "setExecuteExistingDelayedTasksAfterShutdownPolicy")]
    pub fn run_delayed_after_shutdown(mut self, run: bool) -> Self {
        self.delayed_after_shutdown = run;
        self
    }

    /// Whether series go on after [`shutdown`](ThreadPool::shutdown), which then waits until each has been cancelled or has panicked, and so
    /// does the drop of the pool; else it cancels them. Default false. [`shutdown_now`](ThreadPool::shutdown_now) cancels them in any case.
    #[doc(alias = "setContinueExistingPeriodicTasksAfterShutdownPolicy")]
    pub fn run_periodic_after_shutdown(mut self, run: bool) -> Self {
        self.periodic_after_shutdown = run;
        self
    }

    /// At most so many tasks are queued: accepted, and neither started nor ended. What becomes of one more says [`when_full`](Self::when_full).
    /// For producers that are faster than the workers, and would fill the memory. Default: no bound.
    ///
    /// A task that is cancelled makes room at once; the little that is left of it stays until a worker comes by. Tasks that name
    /// [guarded values](ThreadPool::when), keys or a strand are not counted and always taken: one that waits for its turn would keep a place from a task
    /// that may have to end first.
    ///
    /// 0 is an error. In Java a queue without a place, the `SynchronousQueue`, hands a task to a thread that waits for one; here all tasks come to
    /// the workers through the queue, where also those are that a worker can steal. With a capacity of 1 at most one task waits.
    ///
    /// ```
    /// use lockgrain::{Refused, TaskError, ThreadPool};
    ///
    /// let pool = ThreadPool::builder().max_workers(1).queue_capacity(1).build()?;
    /// let (open, gate) = std::sync::mpsc::channel::<()>();
    /// let (started, starts) = std::sync::mpsc::channel();
    /// let running = pool.submit(move || (started.send(()), gate.recv().is_err()).1);
    /// starts.recv()?;
    /// let queued = pool.submit(|| "queued");
    /// assert!(matches!(pool.submit(|| "one too many").result(), Err(TaskError::QueueFull)));
    /// assert_eq!(pool.spawn(|| ()), Err(Refused::Full));
    /// assert!(queued.cancel());
    /// let next = pool.submit(|| "in its place");
    /// drop(open);
    /// assert_eq!((running.result()?, next.result()?), (true, "in its place"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ArrayBlockingQueue")]
    #[doc(alias = "LinkedBlockingQueue")]
    #[doc(alias = "workQueue")]
    #[doc(alias = "maxsize")]
    pub fn queue_capacity(mut self, tasks: usize) -> Self {
        self.queue_capacity = Some(tasks);
        self
    }

    /// What becomes of a task for which the queue has no place. Default: [`WhenFull::Reject`]. Without
    /// [`queue_capacity`](Self::queue_capacity) it says nothing.
    ///
    /// ```
    /// use lockgrain::{ThreadPool, WhenFull};
    ///
    /// let pool = ThreadPool::builder().max_workers(2).queue_capacity(8).when_full(WhenFull::Block).build()?;
    /// // Waits for a place again and again; there are never more than 8 lines in the queue.
    /// let lines: Vec<_> = (0..1000).map(|n| pool.submit(move || format!("line {n}"))).collect();
    /// let length: Result<usize, _> = lines.into_iter().map(|line| line.result().map(|line| line.len())).sum();
    /// assert_eq!(length?, 7890);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "RejectedExecutionHandler")]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Called on each thread before its first task, with its index. It may submit to the pool, wait for tasks, and shut the pool down,
    /// which does not wait there. A panic in it is reported and survived.
    pub fn on_thread_start(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.hooks.thread_start = Some(Box::new(hook));
        self
    }

    /// Called on each thread after its last task, with its index; otherwise as [`on_thread_start`](Self::on_thread_start).
    pub fn on_thread_stop(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.hooks.thread_stop = Some(Box::new(hook));
        self
    }

    /// Called when a task has held the global lock for longer than `limit` without a break: once it ends, blocks, or lets others in at a
    /// checkpoint. For finding the task that keeps all others waiting; it costs two looks at the clock a task. Never called under a policy
    /// without a global lock.
    ///
    /// The hook runs on the worker, which still has the lock. A panic in it is reported and survived.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lockgrain::{GlobalLock, ThreadPool};
    ///
    /// let (send, events) = std::sync::mpsc::channel();
    /// let pool = ThreadPool::builder()
    ///     .policy::<GlobalLock>()
    ///     .on_held_too_long(Duration::from_millis(5), move |event| drop(send.send(event.clone())))
    ///     .build()?;
    /// fn slow() {
    ///     std::thread::sleep(Duration::from_millis(10));
    /// }
    /// pool.submit(slow).result()?;
    /// pool.shutdown();
    /// let event = events.recv()?;
    /// assert!(event.held > Duration::from_millis(5) && event.task.contains("slow"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "slow_callback_duration")]
    pub fn on_held_too_long(mut self, limit: Duration, hook: impl Fn(&HeldTooLong) + Send + Sync + 'static) -> Self {
        self.hooks.held_too_long = Some((limit, Box::new(hook)));
        self
    }

    /// Records what each worker does when, up to so many events a worker: tasks, waits, sleep, steals; see [`ThreadPool::timeline`]. Costs a look at
    /// the clock a task (one more if its worker had nothing to do before), and 64 bytes an event: measured at 150 to 240 ns, so under 5 % of a task of 5 µs. Default: nothing is recorded.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::builder().timeline(10_000).build()?;
    /// pool.for_each(0..100, drop)?;
    /// let timeline = pool.timeline().expect("it is recorded");
    /// let mut trace = Vec::new();
    /// timeline.write_trace(&mut trace)?; // for a file that Perfetto shows
    /// assert!(timeline.events.len() >= 99 && trace.starts_with(b"{\"traceEvents\":["));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "tracing")]
    #[doc(alias = "profiler")]
    pub fn timeline(mut self, events: usize) -> Self {
        self.timeline = Some(events);
        self
    }

    /// Called with the payload of a panic that no handle receives: of a spawned task, of one whose handle was dropped, or of the
    /// [initializer](Self::initializer) that broke the pool; if that returned an error, with its text, a `String`.
    /// Default: nothing more than the message that the process's panic hook has printed.
    pub fn panic_handler(mut self, handler: impl Fn(PanicPayload) + Send + Sync + 'static) -> Self {
        self.hooks.panic = Some(Box::new(handler));
        self
    }

    /// The pool has no global lock of its own, but that of `other`: of all their tasks one runs at a time, and a context of either is good
    /// for the guarded values of both. For a library that is not thread-safe and is used by two pools.
    ///
    /// Each pool has its own queue, workers and settings. Tasks of one pool keep their order, those of two have none. A shutdown does not
    /// wait inside a task of the other pool, as it does not inside a task of its own: such a wait could never end. The lock's metrics are
    /// those of all its pools.
    ///
    /// ```
    /// use lockgrain::{GlobalLock, ThreadPool};
    ///
    /// let imports = ThreadPool::builder().policy::<GlobalLock>().build()?;
    /// let exports = ThreadPool::builder().policy::<GlobalLock>().share_lock(&imports).build()?;
    /// let file = imports.guarded(String::new());
    /// imports.when(&file, |file| file.push_str("data")).result()?;
    /// assert_eq!(exports.when(&file, |file| file.len()).result()?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn share_lock<Q: LockPolicy<Gate = P::Gate>>(mut self, other: &ThreadPool<Q>) -> Self
    where
        P::Gate: ExclusiveGate,
    {
        self.lock = Some(other.core().lock.clone());
        self
    }

    /// Builds the pool.
    ///
    /// # Errors
    /// [`BuildError`]: no workers, too many, a queue without a place, a bad `LOCKGRAIN_NUM_THREADS`, a finalizer for another type than the
    /// initializer's, or with [`prestart`](Self::prestart) a thread that could not be started, or whose initializer failed.
    pub fn build(self) -> Result<ThreadPool<P>, BuildError> {
        let workers = match self.max_workers {
            Some(workers) => workers,
            None => default_workers()?,
        };
        if workers == 0 {
            return Err(BuildError::ZeroWorkers);
        }
        if self.queue_capacity == Some(0) {
            return Err(BuildError::ZeroCapacity);
        }
        let asked = workers.saturating_add(self.max_spares);
        if asked > MAX_THREADS {
            return Err(BuildError::TooManyThreads { asked, most: MAX_THREADS });
        }
        if let Some(finalizer) = &self.hooks.finalizer
            && !self.hooks.initializer.as_ref().is_some_and(|initializer| finalizer.fits(initializer))
        {
            let made = self.hooks.initializer.as_ref().map(|initializer| initializer.makes().name());
            return Err(BuildError::Finalizer { takes: finalizer.takes().name(), made });
        }
        let config = Config {
            workers,
            spares: self.max_spares,
            order: self.order,
            thread_name: self.thread_name.unwrap_or_else(|| format!("lockgrain-{}", P::NAME)),
            stack_size: self.stack_size,
            keep_alive: self.keep_alive,
            min_workers: self.min_workers,
            switch_interval: self.switch_interval,
            timeline: self.timeline,
            delayed_after_shutdown: self.delayed_after_shutdown,
            periodic_after_shutdown: self.periodic_after_shutdown,
            bound: self.queue_capacity.map(|bound| (bound, self.when_full)),
        };
        let pool = ThreadPool::from_core(Core::new(config, self.hooks, self.lock.unwrap_or_else(Lock::new)));
        if self.prestart {
            // On an error the pool's drop stops the threads that did start, and joins them.
            pool.core().prestart().1.map_err(BuildError::Thread)?;
            pool.core().await_ready(workers).map_err(BuildError::Broken)?;
        }
        Ok(pool)
    }
}

fn default_workers() -> Result<usize, BuildError> {
    match std::env::var_os("LOCKGRAIN_NUM_THREADS") {
        None if MODEL => Ok(2),
        None => Ok(num_cpus::get()),
        Some(value) => match value.to_str().and_then(|value| value.trim().parse().ok()) {
            Some(workers) if workers > 0 => Ok(workers),
            _ => Err(BuildError::BadEnvironment(value.to_string_lossy().into_owned())),
        },
    }
}

impl<P: LockPolicy> fmt::Debug for Builder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("policy", &P::NAME)
            .field("max_workers", &self.max_workers)
            .field("max_spares", &self.max_spares)
            .finish_non_exhaustive()
    }
}
