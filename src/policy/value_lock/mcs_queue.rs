//! A line a value without a mutex: a queue of nodes, each told by the one before it.
//!
//! The queue is that of J. Mellor-Crummey, M. Scott, "Algorithms for scalable synchronization on shared-memory multiprocessors", ACM TOCS
//! 9(1), 1991, section 2.4: a swap of the tail is a place in line. That a task gets into several lines in one step is from L. Cheeseman et
//! al., "When concurrency matters: behaviour-oriented concurrency", OOPSLA 2023, section 5. Readers are our own: `docs/guarded.md`.

use std::fmt;
use std::ptr::{self, NonNull};

use super::{Access, Entry, Granted, Ticket, ValueLock, prefetch_around, prefetch_task};
use crate::policy::gate::Gate;
use crate::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use crate::sync::{Backoff, MODEL, UnsafeCell, mutant, prefetch};
use crate::task::TaskRef;

/// First come, first served; readers that come one after another are let in together, and one that comes after a waiting writer waits
/// behind it.
///
/// To get into one line is one swap, and to let in the next is to look who that is: steps that wait for nobody, but for a task that is
/// just between the two instructions by which it gets into line behind this one, or, if it names several values, into all its lines.
#[derive(Debug)]
pub struct McsQueue {
    /// The last in line; null if nobody has the value.
    tail: AtomicPtr<Node>,
}

/// A task's place in the line for one value. A writer's is the one in its task. A reader's is an allocation of its own, as it stays until
/// all readers before it have ended; the one in its task then only points there.
pub struct Node {
    next: AtomicPtr<Node>,
    state: AtomicU32,
    /// The ticket, while it waits.
    ticket: UnsafeCell<Option<Ticket>>,
}

// SAFETY: the ticket is put there before the node is linked, and taken by the one that lets it in.
unsafe impl Sync for Node {}

/// It stands in all the lines of its task.
const JOINED: u32 = 1 << 0;
const WRITER: u32 = 1 << 1;
/// It has been let in. Of readers only.
const READS: u32 = 1 << 2;
/// A reader gets into line behind it, which is let in together with it. Of readers only.
const READER_BEHIND: u32 = 1 << 3;
/// All who were before it are gone. Of readers only.
const FIRST: u32 = 1 << 4;
/// It has ended. Of readers only.
const ENDED: u32 = 1 << 5;

impl Node {
    #[inline]
    fn is_writer(&self) -> bool {
        // Relaxed: set before the node was linked.
        self.state.load(Ordering::Relaxed) & WRITER != 0
    }

    /// The node behind this one, which is there or just on its way.
    #[inline]
    fn next(&self) -> NonNull<Self> {
        let backoff = Backoff::new();
        loop {
            // Acquire pairs with the release of the link: the ticket is in place.
            if let Some(next) = NonNull::new(self.next.load(Ordering::Acquire)) {
                return next;
            }
            backoff.snooze();
        }
    }

    /// # Safety
    /// The caller is the one that lets it in.
    #[inline]
    unsafe fn grant(&self, granted: &mut Granted) {
        // SAFETY: the caller's promise.
        self.ticket
            .with_mut(|ticket| unsafe { &mut *ticket }.take())
            .into_iter()
            .for_each(|ticket| granted.push(ticket));
    }

    #[inline]
    fn wait_until_joined(&self) {
        let backoff = Backoff::new();
        // Acquire: who comes behind it comes behind in all lines.
        while self.state.load(Ordering::Acquire) & JOINED == 0 && !mutant("mcs_joins_one_by_one") {
            backoff.snooze();
        }
    }
}

/// Has others wait that get into line behind a task which does not yet stand in all of its lines.
#[derive(Debug)]
pub struct Joined<'a>(Option<&'a Node>);

impl Drop for Joined<'_> {
    #[inline]
    fn drop(&mut self) {
        let Some(node) = self.0 else { return };
        if node.is_writer() {
            // Nobody else changes it.
            node.state.store(WRITER | JOINED, Ordering::Release);
        } else {
            node.state.fetch_or(JOINED, Ordering::Release);
        }
    }
}

impl McsQueue {
    /// The last step of a reader that has ended and is first: makes the next one first, or lets it in. True if there is none.
    fn pass_on(&self, mut node: NonNull<Node>, granted: &mut Granted) -> bool {
        loop {
            // SAFETY: it stays until here.
            let behind = self.successor(unsafe { node.as_ref() });
            // SAFETY: made by `Box::into_raw` in `join`; it has ended, is first, and nobody is between it and the next any more.
            drop(unsafe { Box::from_raw(node.as_ptr()) });
            let Some(behind) = behind else { return true };
            // SAFETY: whoever is behind stays until it is let in, or made first.
            let next = unsafe { behind.as_ref() };
            if next.is_writer() {
                // SAFETY: all before it are gone, and this reader was the last to know.
                unsafe { next.grant(granted) };
                return false;
            }
            // Release: what the readers so far have read is before what the next writer does. Acquire: and here for those to come.
            if next.state.fetch_or(FIRST, Ordering::AcqRel) & ENDED == 0 {
                return false;
            }
            node = behind;
        }
    }

    /// Who is behind the first; none, and the value is free, if nobody is.
    #[inline]
    fn successor(&self, first: &Node) -> Option<NonNull<Node>> {
        if first.next.load(Ordering::Acquire).is_null() {
            let this = ptr::from_ref(first).cast_mut();
            // Release pairs with the acquire of the swap in `join`.
            let freed = self.tail.compare_exchange(this, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed);
            if freed.is_ok() || mutant("mcs_forgets_who_comes") {
                return None;
            }
        }
        Some(first.next())
    }

    /// Who is behind one that does not leave meanwhile; none if that is the last, or does not yet stand in all of its lines, as then nobody has got into
    /// line behind it. Waits for one that is just getting there itself: others may have got behind it.
    fn behind_it(&self, node: &Node) -> Option<NonNull<Node>> {
        let next = node.next.load(Ordering::Acquire);
        if !next.is_null() {
            return NonNull::new(next);
        }
        let has_joined = node.state.load(Ordering::Acquire) & JOINED != 0 || mutant("mcs_search_waits_for_joins");
        let is_last = ptr::eq(self.tail.load(Ordering::Acquire), node) || mutant("mcs_search_ends_at_a_gap");
        (has_joined && !is_last).then(|| node.next())
    }

    /// Lets in a reader that is first, and those right behind it.
    fn let_read(mut node: &Node, granted: &mut Granted) {
        let mut bits = READS | FIRST;
        loop {
            let before = node.state.fetch_or(bits, Ordering::AcqRel);
            // SAFETY: the one before it has ended, or has just been let in here.
            unsafe { node.grant(granted) };
            if before & READER_BEHIND == 0 {
                return;
            }
            // SAFETY: whoever is behind stays until it is let in, here.
            node = unsafe { node.next().as_ref() };
            bits = READS;
        }
    }
}

// SAFETY: a writer is let in if the tail was null, or by the one before it, which has ended and was first or a writer. So everybody before it
// is gone. A reader is let in if the tail was null, or together with the reader before it, or by the writer before it, which has ended.
// What is behind a node knows of its end by a chain of acquire and release: of `tail`, `next` or `state`.
unsafe impl<G: Gate> ValueLock<G> for McsQueue {
    const LINES: bool = true;
    type Place = Node;
    type Joined<'a> = Joined<'a>;

    fn new() -> Self {
        Self { tail: AtomicPtr::new(ptr::null_mut()) }
    }

    #[inline]
    unsafe fn join<'a>(
        &'a self,
        access: Access,
        place: &'a Node,
        only: bool,
        ticket: impl FnOnce() -> Ticket,
    ) -> (Entry, Joined<'a>) {
        let reads = access == Access::Shared;
        let in_all = if only { JOINED } else { 0 };
        let node = if reads {
            let node = Box::into_raw(Box::default());
            // Release pairs with the acquire in `behind`; the task itself comes back for it in `leave`.
            place.next.store(node, Ordering::Release);
            node
        } else {
            place.state.store(WRITER | in_all, Ordering::Relaxed);
            ptr::from_ref(place).cast_mut()
        };
        let this = node;
        // SAFETY: the task's own, or just made.
        let node = unsafe { &*this };
        let joined = Joined((!only).then_some(node));
        // Linearization point of the order in line.
        // SAFETY: whoever was the last stays until the node behind it, this one, is linked.
        let before = unsafe { self.tail.swap(this, Ordering::AcqRel).as_ref() };
        let Some(before) = before else {
            if reads {
                node.state.store(READS | FIRST | in_all, Ordering::Release);
            }
            return (Entry::First, joined);
        };
        before.wait_until_joined();
        let together = reads && !before.is_writer() && {
            let seen = before.state.fetch_or(READER_BEHIND, Ordering::AcqRel);
            seen & READS != 0 || mutant("mcs_reads_unasked")
        };
        if !together {
            // SAFETY: not linked yet.
            node.ticket.with_mut(|place| unsafe { *place = Some(ticket()) });
        }
        if reads {
            // A reader has others wait until it knows whether it reads. Release: as in `Joined`.
            node.state.store(if together { READS } else { 0 } | in_all, Ordering::Release);
        }
        let order = if mutant("mcs_links_relaxed") { Ordering::Relaxed } else { Ordering::Release };
        before.next.store(this, order);
        // From here on the node may be let in, and be gone, if this was the only join.
        (if together { Entry::Together } else { Entry::Waits }, joined)
    }

    #[inline]
    unsafe fn leave(&self, access: Access, place: &Node, granted: &mut Granted) -> bool {
        if access == Access::Shared {
            let node = NonNull::new(place.next.load(Ordering::Relaxed)).expect("a reader that has joined has a node");
            let order = if mutant("mcs_reader_ends_relaxed") { Ordering::Relaxed } else { Ordering::AcqRel };
            // SAFETY: this reader has not ended. When it has, the node may go.
            let before = unsafe { node.as_ref() }.state.fetch_or(ENDED, order);
            let first = before & FIRST != 0 || mutant("mcs_reader_leaves_out_of_turn");
            return first && self.pass_on(node, granted);
        }
        let Some(next) = self.successor(place) else { return true };
        // SAFETY: whoever is behind stays until it is let in, here.
        let next = unsafe { next.as_ref() };
        if !MODEL {
            // Most often the next one's turn comes at once, and then that of the one behind it.
            prefetch_task(next.next.load(Ordering::Relaxed));
        }
        if next.is_writer() {
            // SAFETY: the one before it has ended.
            unsafe { next.grant(granted) };
        } else {
            Self::let_read(next, granted);
        }
        false
    }

    #[inline]
    fn will_join(&self) {
        // It may be gone by now, which does not matter.
        if !MODEL {
            prefetch(self.tail.load(Ordering::Relaxed));
        }
    }

    #[inline]
    fn will_leave(&self, place: &Node) {
        // A reader's leads to its own.
        if !MODEL {
            prefetch_around(place.next.load(Ordering::Relaxed));
        }
    }

    unsafe fn behind(&self, access: Access, place: &Node, _task: TaskRef, visit: &mut dyn FnMut(&Ticket)) {
        let mut conflicts = access == Access::Exclusive;
        // SAFETY: a reader's own node, which stays until it has ended; or null, if its task is just getting into line.
        let own = if conflicts { Some(place) } else { unsafe { place.next.load(Ordering::Acquire).as_ref() } };
        let mut last = own;
        // SAFETY: all who are behind wait for this one to end, or are readers whose nodes stay until they are first, which takes that too.
        while let Some(behind) = last.and_then(|last| self.behind_it(last)).map(|behind| unsafe { behind.as_ref() }) {
            conflicts |= behind.is_writer();
            if conflicts {
                // SAFETY: it waits, so its ticket is not touched meanwhile.
                behind.ticket.with(|ticket| unsafe { &*ticket }.iter().for_each(&mut *visit));
            }
            last = Some(behind);
        }
    }
}

impl Default for Node {
    fn default() -> Self {
        Self { next: AtomicPtr::new(ptr::null_mut()), state: AtomicU32::new(0), ticket: UnsafeCell::new(None) }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Node")
    }
}
