//! A first-in-first-out list of tasks that needs no memory: it goes through their links.

use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use super::header::Task;
use super::link::Link;
use crate::sync::atomic::Ordering::Relaxed;

/// Tasks in order: an iterator that takes them out. Dropping it cancels what is left.
#[derive(Debug)]
pub struct TaskList {
    head: *mut Link,
    tail: *mut Link,
    len: usize,
}

/// Links from one to the next; the last one leads nowhere.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) first: NonNull<Link>,
    pub(crate) last: NonNull<Link>,
    pub(crate) len: usize,
}

impl Chain {
    /// Of one.
    #[inline]
    pub(crate) fn of(link: NonNull<Link>) -> Self {
        // SAFETY: the caller has it for itself. Relaxed: whoever it is given to is told by other means.
        unsafe { link.as_ref() }.next.store(ptr::null_mut(), Relaxed);
        Self { first: link, last: link, len: 1 }
    }
}

// SAFETY: it owns its tasks, and a task is `Send`.
unsafe impl Send for TaskList {}

impl TaskList {
    /// Without tasks.
    pub const fn new() -> Self {
        Self { head: ptr::null_mut(), tail: ptr::null_mut(), len: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds one behind the others.
    pub fn push_back(&mut self, task: Task) {
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

    /// Puts all of the other list behind what is here.
    pub(crate) fn append(&mut self, other: Self) {
        let Some(chain) = other.into_chain() else { return };
        match NonNull::new(self.tail) {
            // SAFETY: `tail` is a task of this list.
            Some(tail) => unsafe { tail.as_ref() }.next.store(chain.first.as_ptr(), Relaxed),
            None => self.head = chain.first.as_ptr(),
        }
        self.tail = chain.last.as_ptr();
        self.len += chain.len;
    }

    /// Gives the tasks up to who has the links; none if there are none.
    pub(crate) fn into_chain(self) -> Option<Chain> {
        let this = ManuallyDrop::new(self);
        let (first, last) = NonNull::new(this.head).zip(NonNull::new(this.tail))?;
        Some(Chain { first, last, len: this.len })
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

    /// Takes out the first one.
    pub fn pop_front(&mut self) -> Option<Task> {
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

impl Default for TaskList {
    fn default() -> Self {
        Self::new()
    }
}

impl Iterator for TaskList {
    type Item = Task;

    fn next(&mut self) -> Option<Task> {
        self.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl ExactSizeIterator for TaskList {}

impl Drop for TaskList {
    fn drop(&mut self) {
        while let Some(task) = self.pop_front() {
            drop(task);
        }
    }
}
