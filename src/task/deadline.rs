//! The end of a task that has not started in time. `docs/task-state.md` says why its memory is there as long as it is needed.

use super::error::TaskError;
use super::head::{claim_to_expire, expire_claimed};
use super::header::Task;
use super::needs::TaskRef;
use crate::sync::Mutex;

/// The way to a task that has a handle and has not started; none before it is [set](Self::set), or after it is [over](Self::is_over).
#[derive(Debug, Default)]
pub(crate) struct Deadline(Mutex<Option<TaskRef>>);

impl Deadline {
    /// To be called once, before the task is queued. Its closure calls [`end`](Self::end) first of all, and in its drop.
    pub(crate) fn set(&self, task: &Task) {
        *self.0.lock() = TaskRef::of(task.identity());
    }

    /// The task has started, or its closure is being dropped.
    pub(crate) fn end(&self) {
        *self.0.lock() = None;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.lock().is_none()
    }

    /// Ends the task as expired, if it is still queued.
    pub(crate) fn expire(&self) {
        let place = self.0.lock();
        let Some(task) = *place else { return };
        // SAFETY: what is in the place has a handle, and is alive as long as it is there, under the lock: its closure has not been used up.
        let is_claimed = unsafe { claim_to_expire(task) };
        // Before the closure's drop, which takes it.
        drop(place);
        if is_claimed {
            // SAFETY: claimed above, and not used again.
            unsafe { expire_claimed(task, TaskError::Expired) };
        }
    }
}
