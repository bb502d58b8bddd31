//! The second halves of joins that only their own thread knows of. `docs/waiting.md` has the argument.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use super::current::Frame;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{local, mutant};
use crate::task::Task;

/// A thread's private halves, the newest at one end, and where its code may join.
pub(super) struct Lane {
    /// How many halves are wanted in the pool for whose worker this thread's innermost frame runs code that may join; null if that pool is not known.
    wanted: Cell<*const AtomicUsize>,
    /// That frame; and that of all halves in the list.
    frame: Cell<*const Frame>,
    /// The newest half, or `root`; null before the first join.
    newest: Cell<*const Links>,
    /// Its `newer` is the oldest half, if there is one.
    root: Links,
}

/// The neighbours of a half. A half without a newer one has anything there.
struct Links {
    older: Cell<*const Links>,
    newer: Cell<MaybeUninit<*const Links>>,
}

/// What begins every half of a join.
#[repr(C)]
pub(super) struct Entry {
    links: Links,
    /// Makes a task of the half, which is in no list any more, for code in that frame; none when that has been done.
    share: Cell<Option<Share>>,
}

pub(super) type Share = unsafe fn(NonNull<Entry>, *const Frame) -> Task;

impl Links {
    #[inline]
    const fn new() -> Self {
        Self { older: Cell::new(ptr::null()), newer: Cell::new(MaybeUninit::uninit()) }
    }
}

impl Entry {
    /// # Safety
    /// `share` may be called once, with the address of this entry, when it has been pushed, and the frame in which it was.
    #[inline]
    pub(super) const unsafe fn new(share: Share) -> Self {
        Self { links: Links::new(), share: Cell::new(Some(share)) }
    }
}

local! { static LANE: Lane = Lane::new(); }

/// This thread's; none in a destructor of the thread's locals.
///
/// # Safety
/// Not to be kept beyond the frame of the caller.
#[inline(always)]
pub(super) unsafe fn here<'frame>() -> Option<&'frame Lane> {
    let lane = LANE.try_with(ptr::from_ref).unwrap_or(ptr::null());
    // SAFETY: the thread's locals are there as long as the frames on its stack, and have nothing to destroy.
    unsafe { lane.as_ref() }
}

/// The innermost frame, or what its code may do, is another from now on: the next join looks again.
#[inline]
pub(super) fn close() {
    let _gone = LANE.try_with(|lane| lane.wanted.set(ptr::null()));
}

impl Lane {
    const fn new() -> Self {
        Self {
            wanted: Cell::new(ptr::null()),
            frame: Cell::new(ptr::null()),
            newest: Cell::new(ptr::null()),
            root: Links::new(),
        }
    }

    /// Whether code on this thread may join as a worker of the pool with that word, as far as is known.
    #[inline]
    pub(super) fn is_open(&self, wanted: &AtomicUsize) -> bool {
        ptr::eq(self.wanted.get(), wanted)
    }

    /// Whether others could take a half, as far as is known.
    #[inline]
    pub(super) fn is_wanted(&self) -> bool {
        let wanted = self.wanted.get();
        // SAFETY: who opens the lane keeps the pool until it leaves its frame, which closes the lane.
        wanted.is_null() || unsafe { &*wanted }.load(Relaxed) != 0
    }

    /// The innermost frame runs code that may join as the worker of the pool with that word. False if there are halves of another frame's, to be
    /// shared before.
    ///
    /// # Safety
    /// The word is there until the frame is left.
    pub(super) unsafe fn open(&self, wanted: &AtomicUsize, frame: &Frame) -> bool {
        if self.newest.get().is_null() {
            self.newest.set(&raw const self.root);
        }
        let opens = self.is_empty() || ptr::eq(self.frame.get(), frame);
        if opens {
            self.wanted.set(wanted);
            self.frame.set(frame);
        }
        opens
    }

    /// # Safety
    /// The lane has been open. The entry stays in its place, and is used by this thread only, until `pop` has said that it was there, or until it
    /// has come out as a task and the task is done with.
    #[inline]
    pub(super) unsafe fn push(&self, entry: NonNull<Entry>) {
        let entry: *const Links = entry.as_ptr().cast();
        let newest = self.newest.get();
        // SAFETY: it is here, by the caller's promise.
        unsafe { &*entry }.older.set(newest);
        // SAFETY: what is in the list is there, and `root` always.
        unsafe { &*newest }.newer.set(MaybeUninit::new(entry));
        self.newest.set(entry);
    }

    /// Takes the newest entry out; false if it has been shared. All that was pushed after it is out.
    #[inline]
    pub(super) fn pop(&self, entry: &Entry) -> bool {
        let is_there = entry.share.get().is_some();
        if is_there {
            self.newest.set(entry.links.older.get());
        }
        is_there
    }

    pub(super) fn is_empty(&self) -> bool {
        self.newest.get().is_null() || ptr::eq(self.newest.get(), &raw const self.root)
    }

    /// Takes the oldest entry out, as a task for all.
    pub(super) fn share(&self) -> Option<Task> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: the list is not empty.
        let oldest = unsafe { self.root.newer.get().assume_init() };
        if ptr::eq(oldest, self.newest.get()) {
            self.newest.set(&raw const self.root);
        } else {
            // SAFETY: what is in the list is there.
            let newer = unsafe { &*oldest }.newer.get();
            self.root.newer.set(newer);
            // SAFETY: it is not the newest, so another was pushed after it.
            let next = unsafe { newer.assume_init() };
            // SAFETY: as above.
            unsafe { &*next }.older.set(&raw const self.root);
        }
        let entry = NonNull::new(oldest.cast_mut()).expect("there is one").cast::<Entry>();
        // SAFETY: as above.
        let slot = &unsafe { entry.as_ref() }.share;
        let share = if mutant("lane_shares_what_it_keeps") { slot.get() } else { slot.take() };
        let share = share.expect("what is in the list has not been shared");
        // SAFETY: this is the only time; and all that is in the list was pushed in that frame.
        Some(unsafe { share(entry, self.frame.get()) })
    }
}
