//! The Chase–Lev deque of our own, which ships as it is model-checked: `docs/deque.md` has the argument.
//!
//! D. Chase, Y. Lev, "Dynamic circular work-stealing deque", SPAA 2005, with the orderings of N. M. Lê, A. Pop, A. Cohen,
//! F. Zappa Nardelli, "Correct and efficient work-stealing for weak memory models", PPoPP 2013, figure 1.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use super::{Deque, Steal};
use crate::policy::run_queue::LocalOrder;
use crate::sync::atomic::{AtomicIsize, AtomicPtr, Ordering, Ordering::*, fence};
use crate::sync::{Arc, MODEL, Mutex, mutant};
use crate::task::{Link, Task};

/// Slots of a new deque. Small in a model, so that it grows.
const CAPACITY: usize = if MODEL { 2 } else { 64 };
/// Tasks that one steal moves at the most.
const BATCH: isize = 32;

/// How `bottom` is written: the fence in `push` has every later write of it publish what was pushed. ThreadSanitizer knows no fences, and is told so.
const BOTTOM: Ordering = if cfg!(lockgrain_tsan) { Release } else { Relaxed };

/// The crate's own Chase–Lev deque: thin slots, growth by doubling, no epochs. Old buffers are kept until the deque goes,
/// which takes at most as much memory again as the largest.
#[derive(Debug)]
pub struct ChaseLev {
    shared: Arc<Shared>,
    order: LocalOrder,
    /// One owner: the type is not `Sync`.
    owner: PhantomData<Cell<()>>,
}

/// The half of a [`ChaseLev`] that other threads take from.
#[derive(Debug)]
pub struct ChaseLevStealer(Arc<Shared>);

/// Indices only grow, but for `bottom` during a pop; a task's slot is its index modulo the capacity.
#[derive(Debug)]
struct Shared {
    /// The oldest task's index. Moved by a compare-and-swap: that is the claim to the task.
    top: CachePadded<AtomicIsize>,
    /// One past the newest task's index. Written by the owner.
    bottom: CachePadded<AtomicIsize>,
    /// The current buffer. Written by the owner.
    buffer: AtomicPtr<Buffer>,
    /// Buffers that thieves may still look into, and the current one.
    buffers: Mutex<Vec<NonNull<Buffer>>>,
}

// SAFETY: it owns tasks, which are `Send`, and its parts are atomics and a mutex.
unsafe impl Send for Shared {}
// SAFETY: as above; what only the owner may do is methods of the owner.
unsafe impl Sync for Shared {}

#[derive(Debug)]
struct Buffer(Box<[AtomicPtr<Link>]>);

impl Buffer {
    fn allocate(capacity: usize) -> NonNull<Self> {
        let slots = (0..capacity).map(|_| AtomicPtr::new(ptr::null_mut())).collect();
        NonNull::from(Box::leak(Box::new(Self(slots))))
    }

    #[inline]
    fn capacity(&self) -> isize {
        self.0.len() as isize
    }

    #[inline]
    fn slot(&self, index: isize) -> &AtomicPtr<Link> {
        // A power of two, so that a wrapped index falls into its slot, too.
        &self.0[index as usize & (self.0.len() - 1)]
    }
}

/// What an attempt to claim the oldest entry gave.
pub(super) enum Claim {
    Entry(NonNull<Link>),
    Empty,
    Retry,
}

impl Shared {
    fn new() -> Self {
        let buffer = Buffer::allocate(CAPACITY);
        Self {
            top: CachePadded::new(AtomicIsize::new(0)),
            bottom: CachePadded::new(AtomicIsize::new(0)),
            buffer: AtomicPtr::new(buffer.as_ptr()),
            buffers: Mutex::new(vec![buffer]),
        }
    }

    #[inline]
    fn buffer(&self) -> &Buffer {
        // Acquire pairs with the release in `grow`: who sees the new buffer sees its slots.
        let order = if mutant("deque_buffer_relaxed") { Relaxed } else { Acquire };
        // SAFETY: buffers are freed when the deque is dropped.
        unsafe { &*self.buffer.load(order) }
    }

    /// By the owner.
    #[inline]
    fn push(&self, entry: NonNull<Link>) {
        let bottom = self.bottom.load(Relaxed);
        // Acquire: a thief has read the slot that is written here before it moved `top` past it.
        let top = self.top.load(Acquire);
        let mut buffer = self.buffer();
        if bottom.wrapping_sub(top) >= buffer.capacity() {
            buffer = self.grow(top, bottom);
        }
        buffer.slot(bottom).store(entry.as_ptr(), Relaxed);
        // Release, paired with the acquire of `bottom` in `steal`: who sees the index sees the entry and the task.
        if !mutant("deque_push_no_fence") {
            fence(Release);
        }
        self.bottom.store(bottom.wrapping_add(1), BOTTOM);
    }

    #[cold]
    fn grow(&self, top: isize, bottom: isize) -> &Buffer {
        let old = self.buffer();
        let new = Buffer::allocate(old.0.len() * 2);
        // SAFETY: just made; freed when the deque is dropped.
        let buffer = unsafe { new.as_ref() };
        let mut index = top;
        while index != bottom && !mutant("deque_grow_forgets") {
            buffer.slot(index).store(old.slot(index).load(Relaxed), Relaxed);
            index = index.wrapping_add(1);
        }
        self.buffers.lock().push(new);
        self.buffer.store(new.as_ptr(), if mutant("deque_buffer_relaxed") { Relaxed } else { Release });
        buffer
    }

    /// The newest entry, by the owner.
    #[inline]
    fn pop(&self) -> Option<NonNull<Link>> {
        let bottom = self.bottom.load(Relaxed);
        // May be stale, and is too small then, as `top` only grows.
        let top = self.top.load(Relaxed);
        let last = bottom.wrapping_sub(1);
        match bottom.wrapping_sub(top) {
            ..=0 => return None,
            // The last one, which is the oldest too: claimed as a thief does it. `bottom` is this thread's own, so no fence.
            1 => return self.claim(top, last),
            _ => {}
        }
        self.bottom.store(last, BOTTOM);
        // Pairs with the fence in `steal`: of a pop and a steal that want the last but one entry, at least one sees the other.
        if !mutant("deque_pop_no_fence") {
            fence(SeqCst);
        }
        let top = self.top.load(Relaxed);
        let left = last.wrapping_sub(top);
        if left > 0 {
            return NonNull::new(self.buffer().slot(last).load(Relaxed));
        }
        // Thieves took the others meanwhile. With `bottom` back in its place, the last one goes to whoever claims it.
        self.bottom.store(bottom, BOTTOM);
        if left == 0 { self.claim(top, last) } else { None }
    }

    /// The entry at `last`, by the owner, if `top` is still there and nobody is faster.
    #[inline]
    fn claim(&self, top: isize, last: isize) -> Option<NonNull<Link>> {
        let entry = self.buffer().slot(last).load(Relaxed);
        // Linearization point. SeqCst as in `steal`.
        let won = mutant("deque_pop_last_without_cas")
            || self.top.compare_exchange(top, top.wrapping_add(1), SeqCst, Relaxed).is_ok();
        if won { NonNull::new(entry) } else { None }
    }

    /// The oldest entry, by anybody.
    fn steal(&self) -> Claim {
        // Acquire: `bottom` is read after it, and so is what an earlier thief's owner wrote since.
        let top = self.top.load(Acquire);
        // Pairs with the fence in `pop`.
        if !mutant("deque_steal_no_fence") {
            fence(SeqCst);
        }
        // Acquire pairs with the release fence in `push`.
        let bottom = self.bottom.load(Acquire);
        if bottom.wrapping_sub(top) <= 0 {
            return Claim::Empty;
        }
        // Read before the claim, as the slot is the owner's to reuse after it.
        let entry = self.buffer().slot(top).load(Relaxed);
        // Linearization point. SeqCst as in the paper.
        if self.top.compare_exchange(top, top.wrapping_add(1), SeqCst, Relaxed).is_err() {
            return Claim::Retry;
        }
        NonNull::new(entry).map_or(Claim::Empty, Claim::Entry)
    }

    fn len(&self) -> usize {
        // `bottom` first: a `top` that is past it says that these entries are out.
        let bottom = self.bottom.load(Acquire);
        bottom.wrapping_sub(self.top.load(Relaxed)).max(0) as usize
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        while let Some(link) = self.pop() {
            // SAFETY: a link that was pushed comes out once, and only tasks' links outlive their deque.
            drop(unsafe { Task::from_link(link) });
        }
        for buffer in self.buffers.lock().drain(..) {
            // SAFETY: made by `Box::leak`; nobody else has the deque any more.
            drop(unsafe { Box::from_raw(buffer.as_ptr()) });
        }
    }
}

impl ChaseLev {
    #[inline]
    pub(super) fn push_link(&self, link: NonNull<Link>) {
        self.shared.push(link);
    }

    #[inline]
    pub(super) fn pop_link(&self) -> Option<NonNull<Link>> {
        match self.order {
            LocalOrder::Lifo => self.shared.pop(),
            LocalOrder::Fifo => loop {
                match self.shared.steal() {
                    Claim::Entry(link) => return Some(link),
                    Claim::Empty => return None,
                    // A thief was faster, which is progress.
                    Claim::Retry => {}
                }
            },
        }
    }
}

impl ChaseLevStealer {
    pub(super) fn steal_link(&self) -> Claim {
        self.0.steal()
    }
}

impl From<Claim> for Steal {
    fn from(claim: Claim) -> Self {
        match claim {
            // SAFETY: the claim is this caller's alone, and only tasks' links are pushed.
            Claim::Entry(link) => Self::Task(unsafe { Task::from_link(link) }),
            Claim::Empty => Self::Empty,
            Claim::Retry => Self::Retry,
        }
    }
}

impl Deque for ChaseLev {
    type Stealer = ChaseLevStealer;

    fn new(order: LocalOrder) -> Self {
        Self { shared: Arc::new(Shared::new()), order, owner: PhantomData }
    }

    fn stealer(&self) -> ChaseLevStealer {
        ChaseLevStealer(self.shared.clone())
    }

    #[inline]
    fn push(&self, task: Task) {
        self.push_link(task.into_link());
    }

    #[inline]
    fn pop(&self) -> Option<Task> {
        // SAFETY: a link that was pushed comes out once.
        self.pop_link().map(|link| unsafe { Task::from_link(link) })
    }

    fn retract(&self) -> Option<Task> {
        // SAFETY: a link that was pushed comes out once.
        self.shared.pop().map(|link| unsafe { Task::from_link(link) })
    }

    fn steal(from: &ChaseLevStealer) -> Steal {
        from.steal_link().into()
    }

    fn steal_half(&self, from: &ChaseLevStealer) -> Steal {
        let more = (from.0.len() as isize / 2).min(BATCH);
        let first = from.steal_link();
        if matches!(first, Claim::Entry(_)) {
            for _ in 1..more {
                let Claim::Entry(link) = from.steal_link() else { break };
                self.push_link(link);
            }
        }
        first.into()
    }

    fn len(of: &ChaseLevStealer) -> usize {
        of.0.len()
    }
}
