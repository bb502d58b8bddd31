//! Handles in the order in which their tasks end.

use std::fmt;
use std::iter::FusedIterator;
use std::time::Duration;

use super::gathered::Gathered;
use super::waitable::Waitable;
use super::{TaskHandle, ThreadPool};
use crate::policy::LockPolicy;
use crate::sync::Instant;
use crate::task::WaitError;

/// The handles in the order in which their tasks end, those that have ended first. Each comes once.
///
/// They may be of different pools; by value, or by reference (see [`Waitable`]). What has been yielded is not kept alive. Inside a task it
/// waits as [`TaskHandle::result`] does. Dropping the iterator drops the handles that it still has, whose tasks run all the same.
///
/// ```
/// let pool = lockgrain::ThreadPool::new()?;
/// let mut sum = 0;
/// for handle in lockgrain::as_completed((1..=3).map(|n| pool.submit(move || n))) {
///     sum += handle?.result()?;
/// }
/// assert_eq!(sum, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn as_completed<H: Waitable>(handles: impl IntoIterator<Item = H>) -> AsCompleted<H> {
    let left = Gathered::of(handles);
    AsCompleted { of: left.len(), left, deadline: None, ended: false }
}

/// See [`as_completed`].
#[must_use = "an iterator does nothing until it is asked"]
pub struct AsCompleted<H: Waitable> {
    left: Gathered<H>,
    of: usize,
    deadline: Option<Instant>,
    ended: bool,
}

impl<H: Waitable> AsCompleted<H> {
    /// From now on waits at most for this long in all; then comes an [`Unfinished`], and then the end. What has ended by then is yielded before.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let slow = pool.submit(move || lockgrain::blocking(|| drop(gate.recv())));
    /// let mut handles = lockgrain::as_completed([slow]).timeout(Duration::from_millis(5));
    /// assert_eq!(handles.next().unwrap().unwrap_err().to_string(), "1 (of 1) tasks unfinished: the time ran out");
    /// assert!(handles.next().is_none());
    /// assert_eq!(handles.into_unfinished().len(), 1);
    /// # drop(go);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Instant::now().checked_add(timeout);
        self
    }

    /// The handles that were not yielded, in the order in which they were given.
    pub fn into_unfinished(self) -> Vec<H> {
        self.left.rest().into_values().collect()
    }
}

impl<H: Waitable> Iterator for AsCompleted<H> {
    type Item = Result<H, Unfinished>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.left.next(self.deadline) {
            Ok(next) => next.map(|(_, handle)| Ok(handle)),
            Err(why) => {
                self.ended = true;
                Some(Err(Unfinished { unfinished: self.left.len(), of: self.of, why }))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = if self.ended { 0 } else { self.left.len() };
        (left.min(1), Some(left))
    }
}

impl<H: Waitable> FusedIterator for AsCompleted<H> {}

impl<H: Waitable> fmt::Debug for AsCompleted<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").field("left", &self.left.len()).field("of", &self.of).finish_non_exhaustive()
    }
}

/// Some tasks did not end in time, or can't as long as this one waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// How many tasks have not ended.
    pub unfinished: usize,
    /// How many there were.
    pub of: usize,
    /// Why nobody waits for them any more.
    pub why: WaitError,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (of {}) tasks unfinished: ", self.unfinished, self.of)?;
        match self.why {
            WaitError::TimedOut => f.write_str("the time ran out"),
            why => why.fmt(f),
        }
    }
}

impl std::error::Error for Unfinished {}

/// A queue from which the handles come in the order in which their tasks end, and to which tasks are added meanwhile, from any thread.
///
/// ```
/// use lockgrain::{CompletionQueue, ThreadPool};
///
/// let pool = ThreadPool::new()?;
/// let queue = CompletionQueue::new();
/// (1..=3_u64).for_each(|n| queue.submit(&pool, move || n));
/// let mut sum = 0;
/// while let Some(handle) = queue.take()? {
///     let n = handle.result()?;
///     sum += n;
///     if n == 3 {
///         queue.submit(&pool, || 10);
///     }
/// }
/// assert_eq!(sum, 16);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "ExecutorCompletionService")]
#[doc(alias = "JoinSet")]
pub struct CompletionQueue<T> {
    left: Gathered<TaskHandle<T>>,
}

impl<T> CompletionQueue<T> {
    /// An empty one.
    pub fn new() -> Self {
        Self { left: Gathered::new() }
    }

    /// Submits a task to the pool, and adds its handle.
    pub fn submit<P: LockPolicy>(&self, pool: &ThreadPool<P>, f: impl FnOnce() -> T + Send + 'static)
    where
        T: Send + 'static,
    {
        self.add(pool.submit(f));
    }

    /// Adds a handle.
    pub fn add(&self, handle: TaskHandle<T>) {
        self.left.add(handle);
    }

    /// Waits for the next task to end, and takes its handle; none if the queue is empty.
    ///
    /// # Errors
    /// [`WaitError::WouldDeadlock`], inside a task for whose end all the others wait.
    pub fn take(&self) -> Result<Option<TaskHandle<T>>, WaitError> {
        self.next(None)
    }

    /// As [`take`](Self::take), for at most `timeout`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] too.
    pub fn take_timeout(&self, timeout: Duration) -> Result<Option<TaskHandle<T>>, WaitError> {
        // A time too far to be told is for ever.
        self.next(Instant::now().checked_add(timeout))
    }

    /// Takes the handle of a task that has ended, if there is one. Never waits.
    #[doc(alias = "poll")]
    pub fn try_take(&self) -> Option<TaskHandle<T>> {
        self.left.try_next().map(|(_, handle)| handle)
    }

    fn next(&self, deadline: Option<Instant>) -> Result<Option<TaskHandle<T>>, WaitError> {
        Ok(self.left.next(deadline)?.map(|(_, handle)| handle))
    }

    /// How many handles it has.
    pub fn len(&self) -> usize {
        self.left.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Default for CompletionQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for CompletionQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionQueue").field("len", &self.len()).finish_non_exhaustive()
    }
}
