//! A closure that every worker runs once.

use std::panic::resume_unwind;

use super::{Refused, ThreadPool};
use crate::policy::LockPolicy;
use crate::runtime::broadcast;
use crate::task::{self, TaskError};

impl<P: LockPolicy> ThreadPool<P> {
    /// Has every worker run `f` once, on its own thread, and waits for all of them; the results, in the order of the workers. `f` gets the worker's
    /// index, and may borrow. For what belongs to a thread: to read or reset its thread-local values, pin it to a core, flush its buffers.
    ///
    /// Every worker: the places 0 to [`max_workers`](Self::max_workers), those without a thread get one. What runs on a spare thread, in the
    /// place of a worker that blocks, is left out; for a value that must be there on each thread use an [`initializer`](super::Builder::initializer).
    ///
    /// A worker comes to it between two tasks, before those that are queued; one that waits or blocks in a task does so when that has ended. So it
    /// takes as long as the longest task that runs. A worker that waits for another task never runs it on top of that. Two broadcasts come in the
    /// same order on all workers. While the pool is [paused](Self::pause) it waits. Under [`GlobalLock`](crate::GlobalLock) one worker runs it
    /// at a time; under other policies they may all meet in it, as at a barrier. It is not counted for
    /// [`queue_capacity`](super::Builder::queue_capacity).
    ///
    /// Inside a task the worker runs its own share right there, after those of the broadcasts that were before this one, and waits for the others,
    /// with a spare worker in its place.
    ///
    /// # Panics
    /// With the first panic of `f` in the order of the workers, when it has ended on all of them. If the pool is shut down or broken, or a thread can't be
    /// started. Inside a task, if the wait could never end, as the task of another worker waits for this one; then some may have run it. In code that holds the global lock through a context or for a guarded value: use it inside
    /// [`Context::blocking`](crate::Context::blocking).
    ///
    /// ```
    /// use std::cell::Cell;
    ///
    /// thread_local! { static HITS: Cell<u32> = const { Cell::new(0) }; }
    ///
    /// let pool = lockgrain::ThreadPool::builder().max_workers(3).build()?;
    /// pool.for_each(0..100, |_| HITS.set(HITS.get() + 1))?;
    /// let hits = pool.broadcast(|_worker| HITS.take());
    /// assert_eq!((hits.len(), hits.iter().sum::<u32>()), (3, 100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn broadcast<R: Send>(&self, f: impl Fn(usize) -> R + Sync) -> Vec<R> {
        let core = self.core();
        assert!(!core.is_held_by_context(), "{HOLDS_THE_LOCK}");
        assert!(!core.is_draining(), "{}", core.refused());
        let shares = broadcast::broadcast(core, f).unwrap_or_else(|_| panic!("{WOULD_DEADLOCK}"));
        let (mut results, mut failure) = (Vec::with_capacity(shares.len()), None);
        for share in shares {
            match share {
                Ok(result) => results.push(result),
                // A panic of the closure says more than that others were not run.
                Err(error)
                    if failure.as_ref().is_none_or(|first: &TaskError| error.is_panic() && !first.is_panic()) =>
                {
                    failure = Some(error);
                }
                Err(error) => task::drop_quietly(error),
            }
        }
        match failure {
            None => results,
            Some(error) => {
                results.into_iter().for_each(task::drop_quietly);
                match error {
                    TaskError::Panicked(panic) => resume_unwind(panic.into_payload()),
                    error => panic!("{error}"),
                }
            }
        }
    }

    /// As [`broadcast`](Self::broadcast), without a wait. A panic goes to the pool's panic handler. A shutdown waits for it.
    ///
    /// # Errors
    /// [`Refused`] once the pool is shutting down; `f` has been dropped.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::builder().max_workers(2).build()?;
    /// let (send, indices) = std::sync::mpsc::channel();
    /// pool.spawn_broadcast(move |worker| send.send(worker).unwrap())?;
    /// pool.shutdown();
    /// assert_eq!(indices.iter().sum::<usize>(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_broadcast(&self, f: impl Fn(usize) + Send + Sync + 'static) -> Result<(), Refused> {
        let core = self.core();
        if core.is_draining() {
            task::drop_quietly(f);
            return Err(Refused::by(core));
        }
        broadcast::spawn_broadcast(core, f);
        Ok(())
    }
}

const HOLDS_THE_LOCK: &str =
    "a broadcast in code that holds the global lock would deadlock: do it inside `cx.blocking`";
const WOULD_DEADLOCK: &str =
    "this broadcast would deadlock: a worker can't come to it before the task that it is in has ended";
