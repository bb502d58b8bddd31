//! What comes after a task.

use super::{TaskHandle, ThreadPool};
use crate::policy::LockPolicy;
use crate::runtime::Continuation;
use crate::runtime::propagation::Surroundings;
use crate::sync::Arc;
use crate::task::{self, Next, TaskError, Wake};

impl<T: Send + 'static> TaskHandle<T> {
    /// Has `f` run by the pool, with the outcome of this task, once it has ended; no thread waits meanwhile. The new handle is that of `f`.
    ///
    /// The pool may be another one than this task's. Cancelling the new handle, or dropping it, leaves this task alone. Where the pool has
    /// stopped by then, `f` is refused, and after [`shutdown_now`](ThreadPool::shutdown_now) it is cancelled.
    ///
    /// A task that waits for what comes after itself waits for ever.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let length = pool.submit(|| "some text").then(&pool, |text| text.map(str::len));
    /// assert_eq!(length.result()??, 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "and_then")]
    #[doc(alias = "thenApplyAsync")]
    pub fn then<P, U, F>(self, pool: &ThreadPool<P>, f: F) -> TaskHandle<U>
    where
        P: LockPolicy,
        U: Send + 'static,
        F: FnOnce(Result<T, TaskError>) -> U + Send + 'static,
    {
        let core = pool.core();
        let before = self.into_join();
        if core.is_draining() {
            task::drop_quietly((f, before));
            return TaskHandle::new(task::refused(core.id, core.refused()));
        }
        let around = Surroundings::here(core);
        let next = Continuation::new(Arc::clone(core));
        let has_ended = !before.register(&Wake::Next(next.clone()));
        let (task, join) = task::held_back(core.id, around.carry::<P, _, _>(move || f(before.take())));
        next.made(task);
        if has_ended {
            next.begin();
        }
        TaskHandle::new(join)
    }
}
