//! A result that is made elsewhere.

use std::fmt;

use super::TaskHandle;
use super::error::AlreadyEnded;
use crate::task::{Promised, TaskError, promised};

/// A handle whose result is made elsewhere, by a library that calls back or by a thread of your own, and the promise to give it one.
///
/// The handle is one like any other: it can be waited for, awaited and cancelled, and has callbacks. It may be waited for inside a task
/// of any pool: a spare worker takes the waiting one's place. Nobody knows who is to fulfil a promise, so a wait for one that the waiting
/// task itself should fulfil, or one that stands behind it for a key, never ends. In a task that has a context of a global lock, wait inside
/// `cx.blocking`; elsewhere in it the wait is refused with [`TaskError::WouldDeadlock`], as whoever is to fulfil it may need the lock.
///
/// ```
/// fn library_call(callback: impl FnOnce(u32) + Send + 'static) {
///     std::thread::spawn(move || callback(6 * 7));
/// }
///
/// let (promise, handle) = lockgrain::promise();
/// library_call(move |value| drop(promise.set_result(value)));
/// assert_eq!(handle.result()?, 42);
/// # Ok::<(), lockgrain::TaskError>(())
/// ```
#[doc(alias = "CompletableFuture")]
#[doc(alias = "oneshot")]
pub fn promise<T: Send + 'static>() -> (Promise<T>, TaskHandle<T>) {
    let (promised, join) = promised();
    (Promise { promised }, TaskHandle::new(join))
}

/// The duty to end a handle: see [`promise`]. To share it among threads, put it into an [`Arc`](std::sync::Arc).
///
/// Dropped unfulfilled, it ends the handle with [`TaskError::Abandoned`]. If the handle is dropped, the promise goes on, and what it is
/// given is dropped.
#[must_use = "dropping the promise ends its handle with an error"]
pub struct Promise<T: Send + 'static> {
    promised: Promised<T>,
}

impl<T: Send + 'static> Promise<T> {
    /// Says that work on the result begins: the handle counts as running, and can't cancel it any more, only
    /// [ask](TaskHandle::request_cancel). False if the handle has cancelled it, or it has been fulfilled: then nobody awaits the work.
    ///
    /// ```
    /// let (promise, handle) = lockgrain::promise::<u32>();
    /// assert!(promise.set_running());
    /// assert!(!handle.cancel() && handle.is_running());
    /// # drop(promise);
    /// ```
    #[doc(alias = "set_running_or_notify_cancel")]
    pub fn set_running(&self) -> bool {
        self.promised.state().start()
    }

    /// Ends the handle with this value. Its callbacks are called here and now, and who waits is woken.
    ///
    /// # Errors
    /// The value comes back if the promise was fulfilled before, or the handle has cancelled it.
    ///
    /// ```
    /// let (promise, handle) = lockgrain::promise();
    /// promise.set_result("first").unwrap();
    /// assert_eq!(promise.set_result("second").unwrap_err().0, "second");
    /// assert_eq!(handle.result()?, "first");
    /// # Ok::<(), lockgrain::TaskError>(())
    /// ```
    #[doc(alias = "complete")]
    #[doc(alias = "send")]
    pub fn set_result(&self, value: T) -> Result<(), AlreadyEnded<T>> {
        match self.promised.fulfil(Ok(value)) {
            Err(Ok(value)) => Err(AlreadyEnded(value)),
            _ => Ok(()),
        }
    }

    /// As [`set_result`](Self::set_result), with an error, such as that of another handle. With [`TaskError::Cancelled`] the handle
    /// counts as cancelled. For errors of your own make `T` a `Result`.
    ///
    /// # Errors
    /// The error comes back if the promise was fulfilled before, or the handle has cancelled it.
    ///
    /// ```
    /// use lockgrain::TaskError;
    ///
    /// let (promise, handle) = lockgrain::promise::<()>();
    /// promise.set_error(TaskError::Cancelled).unwrap();
    /// assert!(handle.is_cancelled());
    /// ```
    #[doc(alias = "set_exception")]
    #[doc(alias = "completeExceptionally")]
    pub fn set_error(&self, error: TaskError) -> Result<(), AlreadyEnded<TaskError>> {
        match self.promised.fulfil(Err(error)) {
            Err(Err(error)) => Err(AlreadyEnded(error)),
            _ => Ok(()),
        }
    }

    /// Whether the handle has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.promised.state().load().is_cancelled()
    }

    /// Whether the handle has been cancelled, or asked to be while the promise was [running](Self::set_running).
    pub fn is_cancel_requested(&self) -> bool {
        self.is_cancelled() || self.promised.state().cancel_requested()
    }
}

impl<T: Send + 'static> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").field("state", &self.promised.state().load().public()).finish()
    }
}
