//! The intrusive link of a queued task.

use crate::sync::Retire;
use crate::sync::atomic::AtomicPtr;

/// Embedded as the first field of every task header, so that a queue of tasks needs no memory of its own.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Link {
    pub(crate) next: AtomicPtr<Link>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self { next: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// It is in no queue any more, and its memory is about to be used for something else.
    pub(crate) fn retire(&mut self) {
        self.next.retire();
    }
}
