//! The queue of tasks from outside: many producers, intrusive, first in first out. `docs/deque.md` has the argument.
//!
//! After D. Vyukov's intrusive MPSC queue (1024cores.net), with the tail of Mellor-Crummey and Scott's lock in the place of its
//! stub: the tail is null exactly when the queue is empty. Consumers take turns by a try-lock.

use std::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};
use crate::sync::{Mutex, mutant};
use crate::task::{Link, Task};

/// An unbounded queue that takes no memory of its own: tasks are chained through their links.
#[derive(Debug)]
pub(super) struct Injector {
    back: CachePadded<Back>,
    front: CachePadded<Front>,
}

/// What producers write.
#[derive(Debug)]
struct Back {
    /// The newest entry, or null. Swapped by producers; set to null by a consumer that takes the last entry.
    tail: AtomicPtr<Link>,
    /// How many entries were ever pushed. On the line that the swap owns anyway.
    pushed: AtomicUsize,
}

/// What consumers write.
#[derive(Debug)]
struct Front {
    /// The oldest entry, or null: then the queue is empty, or the producer that found it so is about to write.
    head: AtomicPtr<Link>,
    /// How many entries ever came out. Written by the consumer whose turn it is.
    popped: AtomicUsize,
    consumer: Mutex<()>,
}

/// What an attempt to take the oldest entry gave.
pub(super) enum Taken {
    Entry(NonNull<Link>),
    Empty,
    /// Another consumer has its turn, or a producer is half-way.
    Retry,
}

impl Injector {
    pub(super) fn new() -> Self {
        Self {
            back: CachePadded::new(Back { tail: AtomicPtr::new(ptr::null_mut()), pushed: AtomicUsize::new(0) }),
            front: CachePadded::new(Front {
                head: AtomicPtr::new(ptr::null_mut()),
                popped: AtomicUsize::new(0),
                consumer: Mutex::new(()),
            }),
        }
    }

    #[inline]
    pub(super) fn push(&self, task: Task) {
        self.push_link(task.into_link());
    }

    /// The oldest task.
    #[inline]
    pub(super) fn pop(&self) -> Result<Task, Taken> {
        match self.pop_link() {
            // SAFETY: a link that was pushed comes out once.
            Taken::Entry(link) => Ok(unsafe { Task::from_link(link) }),
            other => Err(other),
        }
    }

    #[inline]
    pub(super) fn push_link(&self, link: NonNull<Link>) {
        // SAFETY: the queue has the entry from here on, and it is alive until it comes out.
        unsafe { link.as_ref() }.next.store(ptr::null_mut(), Relaxed);
        // Linearization point. Release: the next producer writes this link's `next` after the store above. Acquire: the same
        // from the other side, and `head` is written after the consumer that emptied the queue has cleared it.
        let before = self.back.tail.swap(link.as_ptr(), if mutant("injector_swap_relaxed") { Relaxed } else { AcqRel });
        let publish = if mutant("injector_publish_relaxed") { Relaxed } else { Release };
        match NonNull::new(before) {
            // SAFETY: an entry comes out only after its `next` is set, or if it is the tail, which it no longer is.
            Some(before) => unsafe { before.as_ref() }.next.store(link.as_ptr(), publish),
            None => self.front.head.store(link.as_ptr(), publish),
        }
        self.back.pushed.fetch_add(1, Relaxed);
    }

    pub(super) fn pop_link(&self) -> Taken {
        // `head` first: to read the tail takes its line away from the producers.
        if self.front.head.load(Relaxed).is_null() && self.is_empty() {
            return Taken::Empty;
        }
        let Some(_turn) = self.front.consumer.try_lock() else { return Taken::Retry };
        let head = &self.front.head;
        // Acquire, here and for `next`, pairs with the release in `push_link`.
        let Some(first) = NonNull::new(head.load(Acquire)) else {
            return if self.is_empty() { Taken::Empty } else { Taken::Retry };
        };
        // SAFETY: an entry is alive until it comes out, which takes the consumer's turn.
        let next = unsafe { first.as_ref() }.next.load(Acquire);
        if !next.is_null() {
            head.store(next, Relaxed);
            self.count_popped();
            return Taken::Entry(first);
        }
        // Perhaps the last. Cleared before the exchange, as a producer that finds the queue empty writes `head` at once.
        if !mutant("injector_clears_head_late") {
            head.store(ptr::null_mut(), Relaxed);
        }
        // Release pairs with the acquire of the swap in `push_link`.
        if self.back.tail.compare_exchange(first.as_ptr(), ptr::null_mut(), Release, Relaxed).is_ok() {
            if mutant("injector_clears_head_late") {
                head.store(ptr::null_mut(), Relaxed);
            }
            self.count_popped();
            return Taken::Entry(first);
        }
        // A producer has swapped the tail and not yet linked. While the tail is not null no producer writes `head`.
        head.store(first.as_ptr(), Relaxed);
        Taken::Retry
    }

    /// By the consumer whose turn it is.
    fn count_popped(&self) {
        let popped = &self.front.popped;
        popped.store(popped.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// How many entries wait; an estimate while others push and pop.
    pub(super) fn len(&self) -> usize {
        let popped = self.front.popped.load(Relaxed);
        // An entry may come out before it is counted as pushed.
        (self.back.pushed.load(Relaxed).wrapping_sub(popped) as isize).max(0) as usize
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.back.tail.load(Relaxed).is_null()
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        while let Ok(task) = self.pop() {
            drop(task);
        }
    }
}
