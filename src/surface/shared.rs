//! A handle that many can read.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::TaskHandle;
use crate::runtime;
use crate::sync::{Arc, Instant};
use crate::task::{JoinRef, Place, TaskError, TaskState, WaitError, Wake};

/// A handle to a task whose result many read: each of its clones sees the same value, or the same error, in its place.
///
/// Made by [`TaskHandle::shared`]. A reference to it can be awaited, by any number of futures: `(&handle).await`. The result is dropped with the last clone; dropping that before the task has ended detaches the task.
///
/// ```
/// let pool = lockgrain::ThreadPool::new()?;
/// let table = pool.submit(|| vec![1, 1, 2, 3, 5, 8]).shared();
/// let readers = (0..6).map(|n| {
///     let table = table.clone();
///     pool.submit(move || table.result().map_or(0, |table| table[n]))
/// });
/// let sum: i32 = lockgrain::join_all(readers).into_iter().map(Result::unwrap).sum();
/// assert_eq!(sum, 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "Future")]
#[doc(alias = "shared_future")]
#[must_use = "dropping the last handle detaches the task; use `spawn` if that is meant"]
pub struct SharedHandle<T> {
    join: Arc<JoinRef<T>>,
}

/// What a wait ends with that could never end.
static WOULD_DEADLOCK: TaskError = TaskError::WouldDeadlock;

impl<T: Send + Sync> SharedHandle<T> {
    pub(super) fn new(join: JoinRef<T>) -> Self {
        Self { join: Arc::new(join) }
    }

    /// Waits for the task, and gives its result by reference. Inside a task it waits as [`TaskHandle::result`] does.
    ///
    /// # Errors
    /// [`TaskError`]: the task was cancelled, panicked or was refused, or this wait would deadlock. The last is of this wait alone.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let handle = pool.submit(|| -> u32 { panic!("out of paper") }).shared();
    /// for _ in 0..2 {
    ///     assert_eq!(handle.result().unwrap_err().to_string(), "the task panicked: out of paper");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "join")]
    #[doc(alias = "get")]
    pub fn result(&self) -> Result<&T, &TaskError> {
        // Without a deadline it ends with the task, or would deadlock.
        if self.wait().is_err() { Err(&WOULD_DEADLOCK) } else { self.join.peek().expect("the task has ended").as_ref() }
    }

    /// The result if the task has ended. Never waits.
    #[doc(alias = "poll")]
    pub fn try_result(&self) -> Option<Result<&T, &TaskError>> {
        self.join.peek().map(Result::as_ref)
    }
}

impl<T> SharedHandle<T> {
    /// Waits for the task to end.
    ///
    /// # Errors
    /// [`WaitError::WouldDeadlock`].
    pub fn wait(&self) -> Result<(), WaitError> {
        runtime::wait(&*self.join, None)
    }

    /// As [`wait`](Self::wait), for at most `timeout`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] too.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), WaitError> {
        // A time too far to be told is for ever.
        runtime::wait(&*self.join, Instant::now().checked_add(timeout))
    }

    /// As [`TaskHandle::cancel`], for all who have the handle.
    pub fn cancel(&self) -> bool {
        self.join.cancel() || self.join.snapshot().is_cancelled()
    }

    /// As [`TaskHandle::request_cancel`].
    pub fn request_cancel(&self) -> bool {
        self.join.cancel() || self.join.request_cancel()
    }

    /// Where the task stands.
    pub fn state(&self) -> TaskState {
        self.join.snapshot().public()
    }

    /// Whether it has ended, in whatever way.
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        self.join.snapshot().is_terminal()
    }

    /// Whether it was cancelled before it started; a series or a future, at any time.
    pub fn is_cancelled(&self) -> bool {
        self.state() == TaskState::Cancelled
    }

    /// Whether its closure is running.
    pub fn is_running(&self) -> bool {
        self.state() == TaskState::Running
    }

    /// The handle for one reader, which can take the result. If there are more clones, this one comes back.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let one = pool.submit(|| String::from("taken")).shared();
    /// let two = one.clone();
    /// let one = one.into_inner().unwrap_err();
    /// drop(two);
    /// assert_eq!(one.into_inner().unwrap().result()?, "taken");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_inner(self) -> Result<TaskHandle<T>, Self> {
        let join = self.join.clone();
        drop(self);
        Arc::try_unwrap(join).map(TaskHandle::new).map_err(|join| Self { join })
    }

    pub(super) fn target(&self) -> &JoinRef<T> {
        &self.join
    }
}

impl<T> Clone for SharedHandle<T> {
    fn clone(&self) -> Self {
        Self { join: self.join.clone() }
    }
}

impl<T> Drop for SharedHandle<T> {
    fn drop(&mut self) {
        self.join.state().leave_share();
    }
}

impl<T> fmt::Debug for SharedHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("SharedHandle");
        f.field("state", &self.state());
        if let Some(error) = self.join.error() {
            f.field("error", error);
        }
        f.finish()
    }
}

impl<'a, T: Send + Sync> IntoFuture for &'a SharedHandle<T> {
    type Output = Result<&'a T, &'a TaskError>;
    type IntoFuture = SharedResult<'a, T>;

    fn into_future(self) -> Self::IntoFuture {
        SharedResult { join: &self.join, place: None }
    }
}

/// The future of a [`SharedHandle`]'s result, by reference; for any executor.
#[must_use = "a future does nothing until it is polled"]
pub struct SharedResult<'a, T> {
    join: &'a JoinRef<T>,
    /// Registered on the first poll.
    place: Option<Arc<Place>>,
}

impl<'a, T: Send + Sync> Future for SharedResult<'a, T> {
    type Output = Result<&'a T, &'a TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let join = self.join;
        if !join.snapshot().is_terminal() {
            if let Some(place) = &self.place {
                place.leave(cx.waker());
            } else {
                let place = self.place.insert(Arc::default());
                place.leave(cx.waker());
                join.register(&Wake::Place(place.clone()));
            }
        }
        // After the waker is in its place: what ends later finds it.
        join.peek().map_or(Poll::Pending, |outcome| Poll::Ready(outcome.as_ref()))
    }
}

impl<T> Drop for SharedResult<'_, T> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.join.deregister(&Wake::Place(place));
        }
    }
}

impl<T> fmt::Debug for SharedResult<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedResult").field("state", &self.join.snapshot().public()).finish()
    }
}
