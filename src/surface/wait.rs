//! Waiting for several tasks.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::TaskHandle;
use super::gathered::{Gathered, has_ended, has_failed, identity};
use super::waitable::Waitable;
use crate::runtime;
use crate::sync::Instant;
use crate::task::{TaskError, WaitError};

/// When [`wait`] is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnWhen {
    /// When one task has ended, in whatever way.
    FirstCompleted,
    /// When one has ended with an error, or all have ended. A cancelled one is no error.
    FirstException,
    /// When all have ended.
    AllCompleted,
}

/// What [`wait`] has seen. Both lists are in the order in which the handles were given.
#[derive(Debug)]
pub struct Waited<H> {
    /// Those whose tasks have ended.
    pub done: Vec<H>,
    /// The others.
    pub not_done: Vec<H>,
    /// Why it ended before its condition held, if so.
    pub cut_short: Option<WaitError>,
}

impl<H: Waitable> Waited<H> {
    pub(super) fn of(handles: impl IntoIterator<Item = H>, cut_short: Option<WaitError>) -> Self {
        let (done, not_done) = handles.into_iter().partition(has_ended);
        Self { done, not_done, cut_short }
    }
}

/// Waits until one of the tasks has ended, or one has failed, or all have ended; at most for `timeout`. A handle given twice, by
/// reference, counts once. A time-out is no error: see what is done.
///
/// The handles may be of different pools. They are given by value, and come back, or by reference; `&dyn Waitable` for results of
/// different types. A task that was cancelled has ended. Linear in the number of handles; no thread, and no polling. Inside a task it
/// waits as [`TaskHandle::result`] does.
///
/// ```
/// use lockgrain::{ReturnWhen, ThreadPool, wait};
///
/// let pool = ThreadPool::new()?;
/// let (go, gate) = std::sync::mpsc::channel::<()>();
/// let slow = pool.submit(move || lockgrain::blocking(|| gate.recv().is_ok()));
/// let fast = pool.submit(|| true);
/// let waited = wait([&slow, &fast], ReturnWhen::FirstCompleted, None);
/// assert!(waited.done[0].is_finished() && waited.not_done.len() == 1);
/// go.send(())?;
/// assert_eq!(wait([slow, fast], ReturnWhen::AllCompleted, None).done.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wait<H: Waitable>(
    handles: impl IntoIterator<Item = H>,
    return_when: ReturnWhen,
    timeout: impl Into<Option<Duration>>,
) -> Waited<H> {
    // A time too far to be told is for ever.
    let deadline = timeout.into().and_then(|timeout| Instant::now().checked_add(timeout));
    let mut known = HashSet::new();
    let handles = handles.into_iter().filter(|handle| identity(handle).is_none_or(|task| known.insert(task)));
    match return_when {
        ReturnWhen::AllCompleted => {
            let handles: Vec<H> = handles.collect();
            let cut_short = wait_for_all(&handles, deadline).err();
            Waited::of(handles, cut_short)
        }
        ReturnWhen::FirstCompleted => wait_for_one(Gathered::of(handles), deadline, |_| true),
        ReturnWhen::FirstException => wait_for_one(Gathered::of(handles), deadline, has_failed),
    }
}

/// Waits until all have ended.
pub(super) fn wait_for_all<H: Waitable>(handles: &[H], deadline: Option<Instant>) -> Result<(), WaitError> {
    handles.iter().try_for_each(|handle| handle.reference().0.map_or(Ok(()), |target| runtime::wait(target, deadline)))
}

fn wait_for_one<H: Waitable>(
    gathered: Gathered<H>,
    deadline: Option<Instant>,
    enough: impl Fn(&H) -> bool,
) -> Waited<H> {
    let mut seen = BTreeMap::new();
    let cut_short = loop {
        match gathered.next(deadline) {
            Err(why) => break Some(why),
            Ok(None) => break None,
            Ok(Some((number, handle))) => {
                let enough = enough(&handle);
                seen.insert(number, handle);
                if enough {
                    break None;
                }
            }
        }
    };
    seen.extend(gathered.rest());
    Waited::of(seen.into_values(), cut_short)
}

/// Waits for all tasks and returns their results, in the order of the handles.
///
/// ```
/// let pool = lockgrain::ThreadPool::new()?;
/// let handles = (1..=3).map(|n| pool.submit(move || n * n));
/// let squares: Result<Vec<i32>, _> = lockgrain::join_all(handles).into_iter().collect();
/// assert_eq!(squares?, [1, 4, 9]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn join_all<T>(handles: impl IntoIterator<Item = TaskHandle<T>>) -> Vec<Result<T, TaskError>> {
    // All are submitted before the first is waited for.
    let handles: Vec<_> = handles.into_iter().collect();
    handles.into_iter().map(TaskHandle::result).collect()
}
