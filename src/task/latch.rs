//! What somebody waits for who owns it, and whose memory goes when the wait is over.

use std::ptr::{self, NonNull};

use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::sync::{Arc, Parker, mutant};

/// Set once, by one thread, and waited for by its owner.
///
/// Whoever sets it does not touch it afterwards: by then the owner may have gone on and freed it. What is left to do, to wake the owner,
/// goes through the parker, of which the setter takes a reference over.
#[derive(Debug)]
pub(crate) struct Latch(AtomicPtr<Parker>);

/// Stands for "set"; never followed.
fn set() -> *mut Parker {
    ptr::without_provenance_mut(1)
}

impl Latch {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    pub(crate) fn is_set(&self) -> bool {
        // Acquire pairs with the swap in `set`: what came before it has happened.
        self.0.load(Ordering::Acquire) == set()
    }

    /// # Safety
    /// It is alive until this has set it, which nobody else does.
    pub(crate) unsafe fn set(this: NonNull<Self>) {
        let order = if mutant("latch_set_relaxed") { Ordering::Relaxed } else { Ordering::AcqRel };
        // SAFETY: the caller's promise; not used again.
        let before = unsafe { this.as_ref() }.0.swap(set(), order);
        if !before.is_null() {
            // SAFETY: from `Arc::into_raw` in `wake_by`, whose reference is now this thread's.
            unsafe { Arc::from_raw(before) }.unpark();
        }
    }

    /// Has the setter unpark `parker`; false if it is set already. To be called once, by the owner, which then waits for it to be set.
    pub(crate) fn wake_by(&self, parker: &Arc<Parker>) -> bool {
        let raw = Arc::into_raw(parker.clone()).cast_mut();
        // Release: who sets it finds the parker whole. Acquire on failure as in `is_set`.
        let placed = self.0.compare_exchange(ptr::null_mut(), raw, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !placed {
            // SAFETY: made above, and nobody has seen it.
            drop(unsafe { Arc::from_raw(raw) });
        }
        placed
    }
}

/// Sets its latch when so many have ended as have begun, and the owner has said that there will be no more.
#[derive(Debug)]
pub(crate) struct Countdown {
    /// Those that have not ended, and one for the owner.
    left: AtomicU64,
    pub(crate) latch: Latch,
}

impl Countdown {
    pub(crate) fn new() -> Self {
        Self { left: AtomicU64::new(1), latch: Latch::new() }
    }

    /// One more; by the owner, or by one that has not ended.
    pub(crate) fn begin(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// # Safety
    /// One that began ends with this, once; and what it has borrowed it uses no more.
    pub(crate) unsafe fn end(this: NonNull<Self>) {
        // Release, and acquire by the last one: all that they did comes before the latch.
        let order = if mutant("countdown_relaxed") { Ordering::Relaxed } else { Ordering::AcqRel };
        // SAFETY: the owner waits for this one.
        if unsafe { this.as_ref() }.left.fetch_sub(1, order) == 1 {
            // SAFETY: the owner waits for the latch.
            let latch = NonNull::from(&unsafe { this.as_ref() }.latch);
            // SAFETY: this is the last one.
            unsafe { Latch::set(latch) };
        }
    }

    /// The owner begins no more, only those that have not ended may. True if there are none; else it has to wait for the latch.
    pub(crate) fn owner_ends(&self) -> bool {
        // Acquire pairs with the release in `end`.
        self.left.fetch_sub(1, Ordering::AcqRel) == 1
    }
}
