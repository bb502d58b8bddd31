//! A first-in-first-out list of tasks that needs no memory: it goes through their links.

use std::ptr::{self, NonNull};

use super::header::Task;
use super::link::Link;
use crate::sync::atomic::Ordering::Relaxed;

/// Owned tasks in order. Dropping the list cancels what is left.
#[derive(Debug)]
pub(crate) struct TaskList {
    head: *mut Link,
    tail: *mut Link,
    len: usize,
}

// SAFETY: it owns its tasks, and a task is `Send`.
unsafe impl Send for TaskList {}

impl TaskList {
    pub(crate) const fn new() -> Self {
        Self { head: ptr::null_mut(), tail: ptr::null_mut(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push_back(&mut self, task: Task) {
        let link = task.into_link();
        // SAFETY: the list owns the task from here on. Relaxed, here and below: the owner alone touches the links.
        unsafe { link.as_ref() }.next.store(ptr::null_mut(), Relaxed);
        match NonNull::new(self.tail) {
            // SAFETY: `tail` is a task of this list.
            Some(tail) => unsafe { tail.as_ref() }.next.store(link.as_ptr(), Relaxed),
            None => self.head = link.as_ptr(),
        }
        self.tail = link.as_ptr();
        self.len += 1;
    }

    pub(crate) fn push_front(&mut self, task: Task) {
        let link = task.into_link();
        // SAFETY: the list owns the task from here on.
        unsafe { link.as_ref() }.next.store(self.head, Relaxed);
        if self.head.is_null() {
            self.tail = link.as_ptr();
        }
        self.head = link.as_ptr();
        self.len += 1;
    }

    pub(crate) fn pop_front(&mut self) -> Option<Task> {
        let link = NonNull::new(self.head)?;
        // SAFETY: `head` is a task of this list.
        self.head = unsafe { link.as_ref() }.next.load(Relaxed);
        if self.head.is_null() {
            self.tail = ptr::null_mut();
        }
        self.len -= 1;
        // SAFETY: it came from `into_link` in a push and has just left the list.
        Some(unsafe { Task::from_link(link) })
    }

    /// Takes out the first one that is wanted; the others stay in their order.
    pub(crate) fn extract(&mut self, wanted: &mut dyn FnMut(&Task) -> bool) -> Option<Task> {
        let mut found = None;
        for _ in 0..self.len {
            let task = self.pop_front()?;
            if found.is_none() && wanted(&task) {
                found = Some(task);
            } else {
                self.push_back(task);
            }
        }
        found
    }
}

impl Drop for TaskList {
    fn drop(&mut self) {
        while let Some(task) = self.pop_front() {
            drop(task);
        }
    }
}
