//! The handle to a submitted task.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::SharedHandle;
use crate::runtime;
use crate::sync::Instant;
use crate::task::{JoinRef, TaskError, TaskState, WaitError, Wake};

/// A submitted task: wait for its result, cancel it, or be told when it ends.
///
/// Dropping the handle detaches the task, which runs all the same. The handle is also a future with the same output, for
/// any executor; dropping that future detaches the task too.
///
/// ```
/// let pool = lockgrain::ThreadPool::new()?;
/// let handle = pool.submit(|| "slow work".len());
/// assert_eq!(handle.result()?, 9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "Future")]
#[doc(alias = "JoinHandle")]
#[must_use = "dropping the handle detaches the task; use `spawn` if that is meant"]
pub struct TaskHandle<T> {
    /// None once the result has been taken.
    join: Option<JoinRef<T>>,
}

const TAKEN: &str = "the result of this task was taken already";

impl<T> TaskHandle<T> {
    pub(super) fn new(join: JoinRef<T>) -> Self {
        Self { join: Some(join) }
    }

    fn join(&self) -> &JoinRef<T> {
        self.join.as_ref().expect(TAKEN)
    }

    /// None once the result has been taken.
    pub(super) fn target(&self) -> Option<&JoinRef<T>> {
        self.join.as_ref()
    }

    pub(super) fn into_join(self) -> JoinRef<T> {
        self.join.expect(TAKEN)
    }

    fn take(&mut self) -> Result<T, TaskError> {
        self.join.take().expect(TAKEN).take()
    }

    /// Waits for the task and returns its result.
    ///
    /// On a worker of the same pool a task that is still queued is run right here; else a spare worker takes this one's place
    /// meanwhile.
    ///
    /// # Errors
    /// [`TaskError`]: it was cancelled, panicked or refused, or this wait would deadlock (then the task is detached).
    ///
    /// # Panics
    /// As every method that gives the result: if it was taken already.
    #[doc(alias = "join")]
    #[doc(alias = "get")]
    pub fn result(mut self) -> Result<T, TaskError> {
        runtime::wait(self.join(), None)?;
        self.take()
    }

    /// As [`result`](Self::result), for at most `timeout`.
    ///
    /// # Errors
    /// [`TaskError::TimedOut`] leaves the task and the handle as they were: ask again.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use lockgrain::TaskError;
    ///
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let mut handle = pool.submit(move || gate.recv().is_ok());
    /// assert!(matches!(handle.result_timeout(Duration::from_millis(5)), Err(TaskError::TimedOut)));
    /// go.send(())?;
    /// assert!(handle.result()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn result_timeout(&mut self, timeout: Duration) -> Result<T, TaskError> {
        self.wait_timeout(timeout)?;
        self.take()
    }

    /// The result if the task has ended. Never waits.
    #[doc(alias = "poll")]
    pub fn try_result(&mut self) -> Option<Result<T, TaskError>> {
        self.join().snapshot().is_terminal().then(|| self.take())
    }

    /// Why the task has no value, if it has ended without one. Never waits, and leaves the result where it is.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let handle = pool.submit(|| "seven".parse::<u32>().unwrap());
    /// handle.wait()?;
    /// assert!(handle.error().is_some_and(|error| error.is_panic()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "exception")]
    #[doc(alias = "exceptionNow")]
    pub fn error(&self) -> Option<&TaskError> {
        self.target().and_then(JoinRef::error)
    }

    /// Makes it a handle that can be cloned, for many to read the result. No callbacks can be added to that one; those it has are called.
    ///
    /// # Panics
    /// If the result was taken already.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let handle = pool.submit(|| String::from("for all")).shared();
    /// let reader = std::thread::spawn({
    ///     let handle = handle.clone();
    ///     move || handle.result().unwrap().len()
    /// });
    /// assert_eq!(handle.result().unwrap(), "for all");
    /// assert_eq!(reader.join().unwrap(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shared(self) -> SharedHandle<T>
    where
        T: Send + Sync,
    {
        SharedHandle::new(self.join.expect(TAKEN))
    }

    /// Waits for the task to end, and leaves its result where it is.
    ///
    /// # Errors
    /// [`WaitError::WouldDeadlock`].
    pub fn wait(&self) -> Result<(), WaitError> {
        runtime::wait(self.join(), None)
    }

    /// As [`wait`](Self::wait), for at most `timeout`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] too.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), WaitError> {
        // A time too far to be told is for ever.
        runtime::wait(self.join(), Instant::now().checked_add(timeout))
    }

    /// Cancels the task if it has not started: it never will, its closure is dropped at once, and every way to ask says
    /// [`TaskError::Cancelled`]. True if it is cancelled, by this call or before; false, and nothing changes, if it runs
    /// or has run.
    ///
    /// A series that a timer runs, as of [`ThreadPool::schedule_at_fixed_rate`](crate::ThreadPool::schedule_at_fixed_rate), ends with the run
    /// that goes on, if one does: true, too. A [future](crate::ThreadPool::spawn_future) can also be cancelled between two polls.
    pub fn cancel(&self) -> bool {
        let Some(join) = &self.join else { return false };
        join.cancel() || join.snapshot().is_cancelled()
    }

    /// Asks a running task to stop, which it notices at its next [`Context::checkpoint`](crate::Context::checkpoint), or
    /// cancels a queued one. False if it has ended. A task that doesn't look gives its usual result.
    pub fn request_cancel(&self) -> bool {
        let Some(join) = &self.join else { return false };
        join.cancel() || join.request_cancel()
    }

    /// Where the task stands.
    pub fn state(&self) -> TaskState {
        self.join.as_ref().map_or(TaskState::Finished, |join| join.snapshot().public())
    }

    /// Whether it has ended, in whatever way.
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        self.join.as_ref().is_none_or(|join| join.snapshot().is_terminal())
    }

    /// Whether it was cancelled before it started; a series or a future, at any time.
    pub fn is_cancelled(&self) -> bool {
        self.state() == TaskState::Cancelled
    }

    /// Whether its closure is running.
    pub fn is_running(&self) -> bool {
        self.state() == TaskState::Running
    }

    /// Has `callback` called once with the outcome, before the result can be taken: by the thread that ends the task, or
    /// right here if it has ended. Callbacks run in the order they were added, outside all locks; a panic in one is reported
    /// and changes nothing else. A slow callback delays the result.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let (send, receive) = std::sync::mpsc::channel();
    /// let mut handle = pool.submit(|| 5);
    /// handle.on_done(move |outcome| send.send(*outcome.as_ref().unwrap()).unwrap());
    /// assert_eq!(receive.recv()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "add_done_callback")]
    pub fn on_done(&mut self, callback: impl FnOnce(&Result<T, TaskError>) + Send + 'static) {
        self.join.as_mut().expect(TAKEN).on_end(Box::new(callback));
    }
}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, TaskError>;

    /// # Panics
    /// If the result was taken already.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.join().snapshot().is_terminal() && self.join().register(&Wake::Task(cx.waker().clone())) {
            return Poll::Pending;
        }
        Poll::Ready(self.take())
    }
}

impl<T> fmt::Debug for TaskHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("TaskHandle");
        f.field("state", &self.state());
        if let Some(error) = self.error() {
            f.field("error", error);
        }
        f.finish()
    }
}
