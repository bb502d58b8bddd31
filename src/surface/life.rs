//! Settings of a pool that say what a worker does besides its tasks.

use std::fmt::Display;

use super::Builder;
use crate::policy::LockPolicy;
use crate::runtime::propagation::Propagation;
use crate::runtime::{Finalizer, Initializer, WorkerRun};
use crate::sync::Mutex;

impl<P: LockPolicy> Builder<P> {
    /// Each worker makes a value for itself on its own thread, before its first task; spare ones do, too. Tasks reach it by
    /// [`Context::local`](crate::Context::local). It need not be `Send`: it never leaves its thread, and is dropped there after the worker's last
    /// task. For connections, interpreters, buffers and caches that would otherwise be locked, or made anew by each task.
    ///
    /// The closure gets the index of the worker's place. It holds no lock, and may submit to the pool, as
    /// [`on_thread_start`](Self::on_thread_start), which comes before it.
    ///
    /// If it fails, by an error or a panic, the pool is broken: what is queued, and what is submitted later, ends with
    /// [`TaskError::Broken`](crate::TaskError::Broken), tasks that run go on, and the threads end. The
    /// [panic handler](Self::panic_handler) hears of the first failure.
    ///
    /// ```
    /// use lockgrain::{TaskError, ThreadPool};
    ///
    /// let pool = ThreadPool::builder().initializer(|index| Ok::<_, String>(vec![index])).build()?;
    /// assert_eq!(pool.submit_with(|cx| cx.local::<Vec<usize>>().len()).result()?, 1);
    ///
    /// let broken = ThreadPool::builder().initializer(|_| "a number".parse::<u32>()).build()?;
    /// assert!(matches!(broken.submit(|| ()).result(), Err(TaskError::Broken(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "initargs")]
    pub fn initializer<L, E>(mut self, make: impl Fn(usize) -> Result<L, E> + Send + Sync + 'static) -> Self
    where
        L: 'static,
        E: Display,
    {
        self.hooks.initializer = Some(Initializer::new(make));
        self
    }

    /// Called on each worker's thread after its last task, with the value that the [initializer](Self::initializer) made, which is otherwise just
    /// dropped. A panic in it is reported and survived.
    ///
    /// ```
    /// let (closed, closings) = std::sync::mpsc::channel();
    /// let pool = lockgrain::ThreadPool::builder()
    ///     .initializer(|_| Ok::<_, String>(String::from("connection")))
    ///     .finalizer(move |connection: String| closed.send(connection).unwrap())
    ///     .build()?;
    /// pool.submit(|| ()).result()?;
    /// pool.shutdown();
    /// assert_eq!(closings.recv()?, "connection");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finalizer<L: 'static>(mut self, end: impl Fn(L) + Send + Sync + 'static) -> Self {
        self.hooks.finalizer = Some(Finalizer::new(end));
        self
    }

    /// Wraps each worker's life, from before its [initializer](Self::initializer) to after its [finalizer](Self::finalizer), for libraries that want
    /// code to run inside a closure of theirs, or that hand out guards.
    ///
    /// The closure has to call [`WorkerRun::run`]. If it does not, by a panic too, the pool is broken, as by a failed initializer. A panic after
    /// that is reported and survived.
    ///
    /// ```
    /// use std::cell::Cell;
    ///
    /// thread_local! { static USER: Cell<&'static str> = const { Cell::new("nobody") } }
    ///
    /// let pool = lockgrain::ThreadPool::builder()
    ///     .worker_main(|worker| {
    ///         USER.set("worker");
    ///         worker.run();
    ///         USER.set("nobody");
    ///     })
    ///     .build()?;
    /// assert_eq!(pool.submit(|| USER.get()).result()?, "worker");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "spawn_handler")]
    #[doc(alias = "threadFactory")]
    pub fn worker_main(mut self, main: impl Fn(WorkerRun<'_>) + Send + Sync + 'static) -> Self {
        self.hooks.worker_main = Some(Box::new(main));
        self
    }

    /// Called on the worker before each task that starts, with the worker's index. For what a task finds set, such as a scope for logs, and for
    /// counting. It is part of the task: it holds what the task holds, and a wait in it counts as the task's. A panic in it is reported and
    /// survived, and the task runs.
    ///
    /// Not called for tasks that [their submitter runs](crate::WhenFull::CallerRuns), as that is no worker, nor for what
    /// [`join`](crate::ThreadPool::join) runs on the spot. Costs a branch a task when unset.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    ///
    /// let running = Arc::new(AtomicUsize::new(0));
    /// let (begins, ends) = (running.clone(), running.clone());
    /// let pool = lockgrain::ThreadPool::builder()
    ///     .before_task(move |_worker| drop(begins.fetch_add(1, SeqCst)))
    ///     .after_task(move |_worker| drop(ends.fetch_sub(1, SeqCst)))
    ///     .build()?;
    /// let seen = running.clone();
    /// assert_eq!(pool.submit(move || seen.load(SeqCst)).result()?, 1);
    /// assert_eq!(running.load(SeqCst), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "beforeExecute")]
    pub fn before_task(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.hooks.task.before = Some(Box::new(hook));
        self
    }

    /// Called on the worker after each task that has started, by a panic too, before anybody sees its result; otherwise as
    /// [`before_task`](Self::before_task).
    #[doc(alias = "afterExecute")]
    pub fn after_task(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.hooks.task.after = Some(Box::new(hook));
        self
    }

    /// Takes something of the submitter's thread along to where a task runs: the current span, the request's number, a locale.
    ///
    /// `capture` is called for each task on the thread that submits it, and what it returns on the thread that runs the task, just before; what
    /// that returns, a guard for instance, is dropped there right after the task. So a task that submits others hands on what it was given. With several
    /// calls of this the earlier ones are further out.
    ///
    /// It holds for all that the pool runs, tasks of a scope, for values and keys, chunks of a `map`; each run of a
    /// [series](crate::ThreadPool::schedule_at_fixed_rate) and each poll of a [future](crate::ThreadPool::spawn_future) finds what there was when that was
    /// submitted, a continuation what there was when [`then`](crate::TaskHandle::then) was called, and the second closure of a
    /// [`join`](crate::ThreadPool::join) what its caller had.
    ///
    /// A panic in `capture` is the submitter's, and nothing has been submitted. A panic in what it returned, or in the drop of a guard, is the task's.
    ///
    /// Costs two allocations a task when set, and makes a `join` as dear as its first one; next to nothing when unset.
    ///
    /// ```
    /// use std::cell::Cell;
    ///
    /// thread_local! { static REQUEST: Cell<u64> = const { Cell::new(0) } }
    ///
    /// struct Reset(u64);
    /// impl Drop for Reset {
    ///     fn drop(&mut self) {
    ///         REQUEST.set(self.0);
    ///     }
    /// }
    ///
    /// let pool = lockgrain::ThreadPool::builder()
    ///     .propagate(|| {
    ///         let request = REQUEST.get();
    ///         move || Reset(REQUEST.replace(request))
    ///     })
    ///     .build()?;
    /// REQUEST.set(7);
    /// let handle = pool.submit(|| REQUEST.get());
    /// REQUEST.set(8);
    /// assert_eq!(handle.result()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "TaskDecorator")]
    #[doc(alias = "contextvars")]
    #[doc(alias = "copy_context")]
    pub fn propagate<R, G>(mut self, capture: impl Fn() -> R + Send + Sync + 'static) -> Self
    where
        R: FnMut() -> G + Send + 'static,
    {
        let this = Propagation::new(capture);
        self.hooks.propagation = Some(match self.hooks.propagation.take() {
            Some(outer) => outer.around(this),
            None => this,
        });
        self
    }

    /// Called once when the pool has been shut down, or is broken, and its last task has ended, on the thread on which that happens: before
    /// [`shutdown`](crate::ThreadPool::shutdown) returns. It may use the pool, which takes no more tasks; a shutdown in it does not wait. A panic in it
    /// is reported and survived.
    ///
    /// ```
    /// let (ended, end) = std::sync::mpsc::channel();
    /// let pool = lockgrain::ThreadPool::builder().on_terminated(move || ended.send("closed").unwrap()).build()?;
    /// pool.shutdown();
    /// assert_eq!(end.try_recv()?, "closed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "terminated")]
    pub fn on_terminated(mut self, hook: impl FnOnce() + Send + 'static) -> Self {
        self.hooks.terminated = Mutex::new(Some(Box::new(hook)));
        self
    }
}
