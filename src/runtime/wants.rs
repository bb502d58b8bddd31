//! What a task wants: the things that tasks stand in line for, one or several.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use smallvec::SmallVec;

use super::Core;
use crate::policy::LockPolicy;
use crate::policy::value_lock::{Access, ValueLock};
use crate::sync::{Arc, mutant};

/// Something that tasks stand in line for. It lives as long as somebody has a reference; a line with somebody in it has one.
pub(crate) trait Lockable<P: LockPolicy>: Send + Sync {
    /// Where they stand.
    fn lock(&self) -> &P::Lock;
    /// The pool whose tasks they are.
    fn core(&self) -> &Arc<Core<P>>;
    /// How to count references to it.
    fn references(&self) -> References;
}

/// Functions of a thing's address, which reach what a reference to the thing does not: the count beside it, and its end.
#[derive(Clone, Copy)]
pub(crate) struct References {
    /// One more.
    pub(crate) retain: unsafe fn(NonNull<()>),
    /// One less, the caller's; the thing may go before it returns.
    pub(crate) release: unsafe fn(NonNull<()>),
    /// Whether to release it may well run code of the user.
    pub(crate) is_last: unsafe fn(NonNull<()>) -> bool,
}

impl References {
    /// Of a `T` in an `Arc`. `runs_code`: its drop may run code of the user.
    pub(crate) fn of_arc<T>(runs_code: bool) -> Self {
        // SAFETY: the caller's promise: it is in an `Arc`.
        let retain = |this: NonNull<()>| unsafe { Arc::increment_strong_count(this.cast::<T>().as_ptr()) };
        // SAFETY: the same, and the reference is the caller's.
        let release = |this: NonNull<()>| unsafe { Arc::decrement_strong_count(this.cast::<T>().as_ptr()) };
        let is_last = |this: NonNull<()>| {
            // SAFETY: as above, and not dropped here.
            let this = ManuallyDrop::new(unsafe { Arc::from_raw(this.cast::<T>().as_ptr()) });
            Arc::strong_count(&this) == 1
        };
        Self { retain, release, is_last: if runs_code { is_last } else { |_| false } }
    }
}

/// One thing, and how the task wants it. Public in name only: a sealed trait speaks of it.
#[allow(missing_debug_implementations, reason = "nobody outside can have one")]
pub struct Want<P: LockPolicy> {
    thing: NonNull<dyn Lockable<P>>,
    pub(super) access: Access,
    /// Nobody named it: it may be there twice.
    implied: bool,
    pub(super) place: Place<P>,
    policy: PhantomData<fn() -> P>,
}

// SAFETY: it refers to something that is used from all threads.
unsafe impl<P: LockPolicy> Send for Want<P> {}
// SAFETY: as above.
unsafe impl<P: LockPolicy> Sync for Want<P> {}

type Place<P> = <<P as LockPolicy>::Lock as ValueLock<<P as LockPolicy>::Gate>>::Place;

impl<P: LockPolicy> Want<P> {
    /// `thing` points at all of it. Whoever submits the task has a reference to it until the task stands in line, and the line has one after
    /// that.
    pub(super) fn new<T: Lockable<P> + 'static>(thing: NonNull<T>, access: Access) -> Self {
        Self { thing, access, implied: false, place: Place::<P>::default(), policy: PhantomData }
    }

    /// As `new`.
    pub(crate) fn of_arc<T: Lockable<P> + 'static>(thing: &Arc<T>, access: Access) -> Self {
        let address = Arc::as_ptr(thing).cast_mut();
        // SAFETY: the address of what is in an `Arc`. It was not made from a reference, so it reaches the count, too.
        Self::new(unsafe { NonNull::new_unchecked(address) }, access)
    }

    /// May be there twice, in the same way.
    pub(super) fn implied(self) -> Self {
        Self { implied: true, ..self }
    }

    /// # Safety
    /// The submitter has not returned, or the task has not left the line.
    pub(super) unsafe fn thing(&self) -> &dyn Lockable<P> {
        // SAFETY: the caller's promise.
        unsafe { self.thing.as_ref() }
    }

    /// One reference more.
    ///
    /// # Safety
    /// As for `thing`.
    pub(super) unsafe fn retain(&self) {
        // SAFETY: the caller's promise.
        let retain = unsafe { self.thing() }.references().retain;
        // SAFETY: the thing's own.
        unsafe { retain(self.thing.cast()) };
    }

    /// # Safety
    /// As for `thing`.
    pub(super) unsafe fn is_last(&self) -> bool {
        // SAFETY: the caller's promise.
        let is_last = unsafe { self.thing() }.references().is_last;
        // SAFETY: the thing's own.
        unsafe { is_last(self.thing.cast()) }
    }

    /// # Safety
    /// The reference to the thing is the caller's, and not used again.
    pub(super) unsafe fn release(&self) {
        // SAFETY: the caller's promise.
        let release = unsafe { self.thing() }.references().release;
        // SAFETY: the thing's own.
        unsafe { release(self.thing.cast()) };
    }

    pub(super) fn address(&self) -> *const () {
        self.thing.as_ptr().cast_const().cast()
    }
}

/// What a task wants: one thing, or several.
pub trait Wants<P: LockPolicy>: Default + Send + 'static {
    /// Wants this, too.
    fn add(&mut self, want: Want<P>);
    /// All of it.
    fn all(&self) -> &[Want<P>];
    /// Puts it in the same order for all tasks, so that submitters can't wait for one another in a circle.
    fn sort(&mut self);
}

/// One thing.
pub(crate) type One<P> = Option<Want<P>>;

/// Several; two of them in the task's own memory.
pub(crate) type Many<P> = SmallVec<[Want<P>; 2]>;

impl<P: LockPolicy> Wants<P> for One<P> {
    fn add(&mut self, want: Want<P>) {
        *self = Some(want);
    }

    fn all(&self) -> &[Want<P>] {
        self.as_slice()
    }

    fn sort(&mut self) {}
}

impl<P: LockPolicy> Wants<P> for Many<P> {
    fn add(&mut self, want: Want<P>) {
        self.push(want);
    }

    fn all(&self) -> &[Want<P>] {
        self
    }

    fn sort(&mut self) {
        if !mutant("request_joins_unsorted") {
            // All keys before each: in a model addresses differ from run to run.
            self.sort_unstable_by_key(|want| (!want.implied, want.address()));
        }
        self.dedup_by(|again, first| again.implied && again.address() == first.address());
    }
}

/// What is named more than once is wanted once, exclusively if once so.
pub(super) fn merge<P: LockPolicy>(wants: &mut Many<P>) {
    wants.sort();
    wants.dedup_by(|again, first| {
        let same = again.address() == first.address();
        if same && again.access == Access::Exclusive {
            first.access = Access::Exclusive;
        }
        same
    });
}
