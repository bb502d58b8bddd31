//! A place for one task, without a lock.

use std::ptr::{self, NonNull};

use crate::sync::atomic::{AtomicPtr, Ordering::*};
use crate::sync::mutant;
use crate::task::{Link, Task};

/// Null, or a task.
#[derive(Debug)]
pub(super) struct Slot(AtomicPtr<Link>);

impl Slot {
    pub(super) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Puts a task there, or gives it back if there is one.
    #[inline]
    pub(super) fn put(&self, task: Task) -> Option<Task> {
        if !self.is_empty() {
            return Some(task);
        }
        let link = task.into_link();
        let order = if mutant("slot_put_no_release") { Relaxed } else { Release };
        // SAFETY: what was not put there is still this call's.
        let back = |_| unsafe { Task::from_link(link) };
        self.0.compare_exchange(ptr::null_mut(), link.as_ptr(), order, Relaxed).err().map(back)
    }

    /// Release: who sees that it is gone sees what its taker did before.
    #[inline]
    pub(super) fn take(&self) -> Option<Task> {
        // A look leaves the cache line with whoever has it.
        if self.is_empty() {
            return None;
        }
        let order = match () {
            () if mutant("slot_take_no_acquire") => Release,
            () if mutant("slot_take_no_release") => Acquire,
            () => AcqRel,
        };
        let link = NonNull::new(self.0.swap(ptr::null_mut(), order))?;
        // SAFETY: `put` made it from a task, and only this swap has got it.
        Some(unsafe { Task::from_link(link) })
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.load(if mutant("slot_look_relaxed") { Relaxed } else { Acquire }).is_null()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.take());
    }
}
