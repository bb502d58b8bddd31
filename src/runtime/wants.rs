//! What a task wants: the things that tasks stand in line for, one or several.

use std::marker::PhantomData;
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
    /// One more reference.
    fn retain(&self);
    /// One less: a function that takes the thing's address, as the thing may go before it returns. The reference has to be the caller's.
    fn release(&self) -> unsafe fn(NonNull<()>);
    /// Whether to release it may well run code of the user.
    fn is_last(&self) -> bool;
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
    /// Whoever submits the task has a reference to `thing` until the task stands in line, and the line has one after that.
    pub(crate) fn new(thing: NonNull<dyn Lockable<P>>, access: Access) -> Self {
        Self { thing, access, implied: false, place: Place::<P>::default(), policy: PhantomData }
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

    /// # Safety
    /// The reference to the thing is the caller's, and not used again.
    pub(super) unsafe fn release(&self) {
        // SAFETY: the caller's promise.
        let release = unsafe { self.thing() }.release();
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
