//! The queue of tasks from outside: many producers, intrusive, first in first out. `docs/deque.md` has the argument.
//!
//! After D. Vyukov's intrusive MPSC queue (1024cores.net), with the tail of Mellor-Crummey and Scott's lock in the place of its
//! stub: the tail is null when the producers' side is empty. A consumer that has nothing left takes all of that side in one
//! swap, so that producers and consumers meet once a batch and not once a task. Consumers take turns by a try-lock.

use std::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicBool, AtomicPtr, Ordering::*};
use crate::sync::{Counter, mutant};
use crate::task::{Chain, Link, Task, TaskList};

/// An unbounded queue that takes no memory of its own: tasks are chained through their links.
#[derive(Debug)]
pub(super) struct Injector {
    back: CachePadded<Back>,
    front: CachePadded<Front>,
}

/// What producers write.
#[derive(Debug)]
struct Back {
    /// The newest entry, or null. Swapped by producers; set to null by a consumer that takes all there is.
    tail: AtomicPtr<Link>,
    /// The oldest entry, or null: then there is none, or the producer that found it so is about to write.
    head: AtomicPtr<Link>,
    /// How many entries were ever pushed. On the line that the swap owns anyway.
    pushed: Counter,
}

/// What consumers write: the entries taken from the producers' side, which nobody adds to.
#[derive(Debug)]
struct Front {
    /// The oldest of these, or null. Written by the consumer whose turn it is, as all that follows.
    first: AtomicPtr<Link>,
    /// The newest of these; means nothing while there is none.
    last: AtomicPtr<Link>,
    /// How many entries ever came out.
    popped: Counter,
    turn: Turn,
}

/// Lets one consumer in at a time; the others go elsewhere. A flag and no mutex, as nobody waits for it: its end is a store.
#[derive(Debug)]
struct Turn(AtomicBool);

impl Turn {
    fn take(&self) -> Option<TurnTaken<'_>> {
        // Acquire pairs with the release below: who has the turn sees what the last one did, and the entries it fetched.
        let order = if mutant("injector_turn_relaxed") { Relaxed } else { Acquire };
        // The look first leaves the line with whoever has the turn.
        let free = !self.0.load(Relaxed) && self.0.compare_exchange(false, true, order, Relaxed).is_ok();
        (free || mutant("injector_turn_shared")).then(|| TurnTaken(self))
    }
}

struct TurnTaken<'a>(&'a Turn);

impl Drop for TurnTaken<'_> {
    fn drop(&mut self) {
        self.0.0.store(false, Release);
    }
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
            back: CachePadded::new(Back {
                tail: AtomicPtr::new(ptr::null_mut()),
                head: AtomicPtr::new(ptr::null_mut()),
                pushed: Counter::new(),
            }),
            front: CachePadded::new(Front {
                first: AtomicPtr::new(ptr::null_mut()),
                last: AtomicPtr::new(ptr::null_mut()),
                popped: Counter::new(),
                turn: Turn(AtomicBool::new(false)),
            }),
        }
    }

    #[inline]
    pub(super) fn push(&self, task: Task) {
        self.push_chain(Chain::of(task.into_link()));
    }

    pub(super) fn push_all(&self, tasks: TaskList) {
        if let Some(chain) = tasks.into_chain() {
            self.push_chain(chain);
        }
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

    /// The queue has the entries from here on, and they are alive until they come out.
    #[inline]
    pub(super) fn push_chain(&self, chain: Chain) {
        // First, so that the line with the tail is fetched once and not again after the link has been written.
        self.back.pushed.add_shared(chain.len as u64);
        // Linearization point. Release: the next producer writes the last link's `next` after whoever made the chain, and the consumer's
        // swap in `refill` acquires the entries. Acquire: the same from the other side, and `head` is written after the consumer
        // that took all has cleared it.
        let last = if mutant("injector_swaps_the_first") { chain.first } else { chain.last };
        let before = self.back.tail.swap(last.as_ptr(), if mutant("injector_swap_relaxed") { Relaxed } else { AcqRel });
        // Who follows the links has acquired the entries through the tail. Release all the same, for who follows this one frees the memory it is in.
        let order = if mutant("injector_link_relaxed") { Relaxed } else { Release };
        match NonNull::new(before) {
            // SAFETY: an entry comes out only after its `next` is set, or if it is the tail, which it no longer is.
            Some(before) => unsafe { before.as_ref() }.next.store(chain.first.as_ptr(), order),
            None => self.back.head.store(chain.first.as_ptr(), Relaxed),
        }
    }

    pub(super) fn pop_link(&self) -> Taken {
        let front = &*self.front;
        // `first` first: to read the tail takes its line away from the producers.
        if front.first.load(Relaxed).is_null() && self.is_empty() {
            return Taken::Empty;
        }
        let Some(_turn) = front.turn.take() else { return Taken::Retry };
        let first = match NonNull::new(front.first.load(Relaxed)) {
            Some(first) => first,
            None => match self.refill() {
                Ok(first) => first,
                Err(nothing) => return nothing,
            },
        };
        let next = if first.as_ptr() == front.last.load(Relaxed) {
            ptr::null_mut()
        } else {
            // Acquire: the producer is done with the entry, whose memory may be used for something else as soon as it has come out.
            // SAFETY: an entry is alive until it comes out, which takes the consumer's turn.
            let next = unsafe { first.as_ref() }.next.load(if mutant("injector_acquires_nothing") {
                Relaxed
            } else {
                Acquire
            });
            if next.is_null() {
                // Not the last: a producer has swapped the tail and not yet linked.
                return Taken::Retry;
            }
            next
        };
        front.first.store(next, Relaxed);
        front.popped.add_owned(1);
        Taken::Entry(first)
    }

    /// Takes all there is from the producers' side; the first of it.
    fn refill(&self) -> Result<NonNull<Link>, Taken> {
        let (back, front) = (&*self.back, &*self.front);
        let Some(first) = NonNull::new(back.head.load(Relaxed)) else {
            return Err(if self.is_empty() { Taken::Empty } else { Taken::Retry });
        };
        // Cleared before the swap, as a producer that finds the tail null writes `head` at once, and none does before.
        if !mutant("injector_clears_head_late") {
            back.head.store(ptr::null_mut(), Relaxed);
        }
        // Before the swap, so that `is_empty` never finds the entries on neither side.
        if !mutant("injector_hides_entries") {
            front.first.store(first.as_ptr(), Relaxed);
        }
        // Release pairs with the acquire of the swap in `push_chain`, and with `is_empty`. Acquire pairs with the release of every
        // swap since the tail was last null: they are one release sequence.
        let order = if mutant("injector_acquires_nothing") { Release } else { AcqRel };
        let last = back.tail.swap(ptr::null_mut(), order);
        front.last.store(last, Relaxed);
        if mutant("injector_clears_head_late") {
            back.head.store(ptr::null_mut(), Relaxed);
        }
        if mutant("injector_hides_entries") {
            front.first.store(first.as_ptr(), Relaxed);
        }
        Ok(first)
    }

    /// How many entries wait; an estimate while others push and pop.
    pub(super) fn len(&self) -> usize {
        // In this order: an entry that comes out meanwhile is not counted as waiting.
        let pushed = self.back.pushed.get();
        pushed.saturating_sub(self.front.popped.get()) as usize
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // Acquire pairs with the swap in `refill`: who sees the tail cleared sees `first`.
        self.back.tail.load(Acquire).is_null() && self.front.first.load(Relaxed).is_null()
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        while let Ok(task) = self.pop() {
            drop(task);
        }
    }
}
