//! Futures driven by the pool.

use std::future::poll_fn;
use std::pin::pin;

use super::entry::admitted;
use super::{Refused, TaskHandle, ThreadPool};
use crate::policy::LockPolicy;
use crate::runtime::propagation::Surroundings;
use crate::runtime::{Core, Permit, future};
use crate::sync::Arc;
use crate::task::{self, JoinRef, TaskError};

fn spawn_future<P, F>(core: &Arc<Core<P>>, future: F) -> Result<JoinRef<F::Output>, Refused>
where
    P: LockPolicy,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if core.is_draining() {
        task::drop_quietly(future);
        return Err(Refused::Shutdown);
    }
    if !core.is_plain() {
        return spawn_admitted(core, future);
    }
    future::drive(core, future, |task| core.push(task)).ok_or(Refused::Shutdown)
}

#[inline(never)]
fn spawn_admitted<P, F>(core: &Arc<Core<P>>, future: F) -> Result<JoinRef<F::Output>, Refused>
where
    P: LockPolicy,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match admitted(core) {
        Ok((place, then)) => {
            let future = held_until_polled(place, surrounded(core, future));
            future::drive(core, future, |task| core.see_to(task, 0, then)).ok_or(Refused::Shutdown)
        }
        Err(why) => {
            task::drop_quietly(future);
            Err(why)
        }
    }
}

/// The future of a task that may have a place in the queue until its first poll, or until it ends unpolled.
async fn held_until_polled<F: Future>(place: Option<Permit>, future: F) -> F::Output {
    drop(place);
    future.await
}

/// The future, polled with what its submitter, who calls this, has around it.
fn surrounded<P: LockPolicy, F: Future>(core: &Core<P>, future: F) -> impl Future<Output = F::Output> + use<P, F> {
    let mut around = Surroundings::here(core);
    async move {
        let mut future = pin!(future);
        poll_fn(|cx| around.run(|| future.as_mut().poll(cx))).await
    }
}

impl<P: LockPolicy> ThreadPool<P> {
    /// Has the pool drive `future`; the handle gives its output. Never fails: a refused future is a handle that has ended with
    /// [`TaskError::Refused`], or [`QueueFull`](TaskError::QueueFull).
    ///
    /// Each poll is a task of the pool, queued when the future is woken, in the order of the wake-ups. So under
    /// [`GlobalLock`](crate::GlobalLock) it is polled with the lock held, and does not hold it while it waits. What it awaits may be anything
    /// that wakes it: a [`TaskHandle`] of this pool or another one, a channel, another runtime's I/O. Code that takes long or blocks is better
    /// off in [`submit`](Self::submit), whose handle the future awaits, than in a poll.
    ///
    /// - Before the first poll and between polls the task is [queued](crate::TaskState::Queued); during one it
    ///   [runs](crate::TaskState::Running).
    /// - [`cancel`](TaskHandle::cancel) ends it if it is not being polled at that moment: the future is dropped at once, by the thread that
    ///   cancels. [`request_cancel`](TaskHandle::request_cancel) does the same, or ends it after the poll that goes on, unless that one
    ///   finishes it. Then the handle ends with [`TaskError::Cancelled`].
    /// - A poll that panics ends the handle with [`TaskError::Panicked`]. The future is dropped.
    /// - Dropping the handle detaches the future, which goes on.
    /// - A future that waits though nobody has a waker of it can't go on. It ends as cancelled.
    /// - [`shutdown`](Self::shutdown) goes on to poll what is woken. When nothing is queued and no task runs, the futures that still wait end
    ///   as cancelled: what they wait for may never come. Wait for their handles before, if they are to end by themselves.
    ///   [`shutdown_now`](Self::shutdown_now) cancels those that wait at once, and the others after the poll that goes on.
    /// - In a pool's [counters](Self::metrics) each poll counts as a task. A [bounded](crate::Builder::queue_capacity) queue asks for a place
    ///   for the first poll only; [`DiscardOldest`](crate::WhenFull::DiscardOldest) may cancel any that waits for a poll.
    /// - With the feature `futures` a pool is a `futures_task::Spawn`.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let words = ["some", "words"].map(|word| pool.submit(move || word.len()));
    /// let total = pool.spawn_future(async move {
    ///     let mut total = 0;
    ///     for word in words {
    ///         total += word.await?; // no thread waits
    ///     }
    ///     Ok::<_, lockgrain::TaskError>(total)
    /// });
    /// assert_eq!(total.result()??, 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Through the handle.
    #[doc(alias = "spawn_async")]
    #[doc(alias = "run_coroutine_threadsafe")]
    pub fn spawn_future<F>(&self, future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let core = self.core();
        let refused = |why: Refused| task::refused(core.id, TaskError::from(why));
        TaskHandle::new(spawn_future(core, future).unwrap_or_else(refused))
    }
}

/// For libraries that are generic over the executor. The future is detached; a panic goes to the pool's panic handler.
#[cfg(feature = "futures")]
impl<P: LockPolicy> futures_task::Spawn for ThreadPool<P> {
    fn spawn_obj(&self, future: futures_task::FutureObj<'static, ()>) -> Result<(), futures_task::SpawnError> {
        // Nothing else can be said of a full queue.
        spawn_future(self.core(), future).map(drop).map_err(|_| futures_task::SpawnError::shutdown())
    }

    fn status(&self) -> Result<(), futures_task::SpawnError> {
        if self.is_shutdown() { Err(futures_task::SpawnError::shutdown()) } else { Ok(()) }
    }
}
