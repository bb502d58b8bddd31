//! What a task wants: the things that tasks stand in line for, one or several.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::slice;

use smallvec::SmallVec;

use super::Core;
use super::permits::{self, Permits};
use crate::policy::LockPolicy;
use crate::policy::value_lock::{Access, Entry, Granted, TaskRef, Ticket, ValueLock};
use crate::sync::{Arc, mutant};
use crate::task::Walk;

/// Something that tasks stand in line for. It lives as long as somebody has a reference; a line with somebody in it has one.
pub(crate) trait Lockable<P: LockPolicy>: Send + Sync {
    /// Where they stand.
    fn line(&self) -> Line<'_, P>;
    /// The pool whose tasks they are.
    fn core(&self) -> &Arc<Core<P>>;
    /// How to count references to it.
    fn references(&self) -> &'static References;
}

/// What tasks stand in line for.
pub(crate) enum Line<'t, P: LockPolicy> {
    /// A value or a key.
    Value(&'t P::Lock),
    /// Permits of a limit.
    Limit(&'t Permits),
}

/// What keeps others from getting into line between two joins of one task.
pub(super) enum Joined<'t, P: LockPolicy> {
    /// It does not stand in line.
    None,
    Value(#[allow(dead_code, reason = "held for its drop")] <P::Lock as ValueLock<P::Gate>>::Joined<'t>),
    Limit(#[allow(dead_code, reason = "held for its drop")] permits::Joined<'t>),
}

/// Functions of a thing's address, which reach what a reference to the thing does not: the count beside it, and its end.
pub(crate) struct References {
    /// One more.
    pub(crate) retain: unsafe fn(NonNull<()>),
    /// One less, the caller's; the thing may go before it returns.
    pub(crate) release: unsafe fn(NonNull<()>),
    /// Whether to release it may well run code of the user; none if it never does.
    pub(crate) is_last: Option<unsafe fn(NonNull<()>) -> bool>,
}

impl References {
    /// Of a `T` in an `Arc`. `runs_code`: its drop may run code of the user.
    pub(crate) const fn of_arc<T>(runs_code: bool) -> Self {
        /// # Safety
        /// It is in an `Arc`.
        unsafe fn is_last<T>(this: NonNull<()>) -> bool {
            // SAFETY: the caller's promise, and not dropped here.
            let this = ManuallyDrop::new(unsafe { Arc::from_raw(this.cast::<T>().as_ptr()) });
            Arc::strong_count(&this) == 1
        }
        Self {
            // SAFETY: the caller's promise: it is in an `Arc`.
            retain: |this| unsafe { Arc::increment_strong_count(this.cast::<T>().as_ptr()) },
            // SAFETY: the same, and the reference is the caller's.
            release: |this| unsafe { Arc::decrement_strong_count(this.cast::<T>().as_ptr()) },
            is_last: if runs_code { Some(is_last::<T>) } else { None },
        }
    }
}

/// One thing, and how the task wants it. Public in name only: a sealed trait speaks of it.
#[allow(missing_debug_implementations, reason = "nobody outside can have one")]
pub struct Want<P: LockPolicy> {
    thing: NonNull<dyn Lockable<P>>,
    access: Access,
    /// Nobody named it: it may be there twice.
    implied: bool,
    standing: Cell<Standing>,
    /// Whether the task may go before others who wait.
    pub(super) unordered: bool,
    /// How many, of a limit; else none.
    permits: u32,
    place: Place<P>,
    policy: PhantomData<fn() -> P>,
}

/// Where the task is with its want.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It does not stand in line: the gate keeps the thing from the others, and their queue keeps the order.
    Covered,
    /// It stands in line, or will.
    InLine,
    /// It has left.
    Left,
    /// It has left, and was the last: the line's reference is to be [released](Want::release).
    Free,
}

// SAFETY: it refers to something that is used from all threads; the standing is written by who makes the task, and by who leaves, when nobody
// else looks at it.
unsafe impl<P: LockPolicy> Send for Want<P> {}
// SAFETY: as above.
unsafe impl<P: LockPolicy> Sync for Want<P> {}

type Place<P> = <<P as LockPolicy>::Lock as ValueLock<<P as LockPolicy>::Gate>>::Place;

impl<P: LockPolicy> Want<P> {
    /// `thing` points at all of it. Whoever submits the task has a reference to it until the task stands in line, and the line has one after
    /// that.
    pub(super) fn new<T: Lockable<P> + 'static>(thing: NonNull<T>, access: Access) -> Self {
        Self {
            thing,
            access,
            implied: false,
            standing: Cell::new(Standing::InLine),
            unordered: false,
            permits: 0,
            place: Place::<P>::default(),
            policy: PhantomData,
        }
    }

    /// As `new`.
    pub(crate) fn of_arc<T: Lockable<P> + 'static>(thing: &Arc<T>, access: Access) -> Self {
        let address = Arc::as_ptr(thing).cast_mut();
        // SAFETY: the address of what is in an `Arc`. It was not made from a reference, so it reaches the count, too.
        Self::new(unsafe { NonNull::new_unchecked(address) }, access)
    }

    /// So many permits of a limit, at least one.
    pub(crate) fn of_limit<T: Lockable<P> + 'static>(limit: &Arc<T>, permits: u32) -> Self {
        Self { permits, ..Self::of_arc(limit, Access::Shared) }
    }

    /// Whether the task stands in line for it.
    pub(super) fn stands(&self) -> bool {
        self.standing.get() == Standing::InLine
    }

    /// The gate keeps it from the others.
    pub(super) fn stand_aside(&self) {
        self.standing.set(Standing::Covered);
    }

    /// Whether a pool's lock keeps it from others of the same lock, whatever their pools.
    pub(super) fn is_covered(&self) -> bool {
        !P::Lock::LINES && self.permits == 0
    }

    /// How many it wants of how many permits, if it wants more than there are.
    pub(super) fn too_many(&self) -> Option<(u32, u32)> {
        if self.permits == 0 {
            return None;
        }
        // SAFETY: the submitter is here.
        let Line::Limit(limit) = (unsafe { self.thing() }).line() else { return None };
        (self.permits > limit.most()).then_some((self.permits, limit.most()))
    }

    /// Gets into line. If it is the first there, the line needs a reference.
    ///
    /// # Safety
    /// The submitter has not returned. The task stays where it is until it has left. What is returned is dropped before that.
    #[inline(always)]
    pub(super) unsafe fn join(&self, only: bool, ticket: impl FnOnce() -> Ticket) -> (Entry, Joined<'_, P>) {
        if self.stands() {
            // SAFETY: the caller's promise.
            match unsafe { self.thing() }.line() {
                Line::Value(lock) => {
                    let (entry, joined) = if self.unordered {
                        // SAFETY: the place is this task's.
                        unsafe { lock.join_unordered(self.access, &self.place, only, ticket) }
                    } else {
                        // SAFETY: the place is this task's.
                        unsafe { lock.join(self.access, &self.place, only, ticket) }
                    };
                    (entry, Joined::Value(joined))
                }
                Line::Limit(limit) => {
                    let (entry, joined) = limit.join(self.permits, ticket);
                    (entry, Joined::Limit(joined))
                }
            }
        } else {
            (Entry::First, Joined::None)
        }
    }

    /// The task is being made.
    ///
    /// # Safety
    /// The submitter has not returned.
    #[inline]
    pub(super) unsafe fn will_join(&self) {
        // SAFETY: the caller's promise.
        if let Line::Value(lock) = unsafe { self.thing() }.line() {
            lock.will_join();
        }
    }

    /// The task comes to its turn, and its end, soon.
    ///
    /// # Safety
    /// It has not left.
    #[inline]
    pub(super) unsafe fn will_leave(&self) {
        if !self.stands() {
            return;
        }
        // SAFETY: the caller's promise.
        if let Line::Value(lock) = unsafe { self.thing() }.line() {
            lock.will_leave(&self.place);
        }
    }

    /// Gets out of line.
    ///
    /// # Safety
    /// The task has been let in here, and leaves once. Nobody else looks at its wants.
    #[inline(always)]
    pub(super) unsafe fn leave(&self, granted: &mut Granted) {
        let is_free = !self.stands() || {
            // SAFETY: not left yet.
            match unsafe { self.thing() }.line() {
                // SAFETY: the caller's promise.
                Line::Value(lock) => unsafe { lock.leave(self.access, &self.place, granted) },
                Line::Limit(limit) => limit.leave(self.permits, granted),
            }
        };
        self.standing.set(if is_free { Standing::Free } else { Standing::Left });
    }

    /// Whether the task has left, and there is a reference to [release](Self::release).
    pub(super) fn is_free(&self) -> bool {
        self.standing.get() == Standing::Free
    }

    /// Visits the tasks that can't be let in here before `task`, whose want this is, has ended.
    ///
    /// # Safety
    /// It stands in line, or has been let in, and does not leave meanwhile.
    pub(super) unsafe fn behind(&self, task: TaskRef, walk: &mut dyn Walk) {
        if !self.stands() {
            return;
        }
        // SAFETY: not left yet.
        match unsafe { self.thing() }.line() {
            Line::Value(lock) => {
                let mut visit = |ticket: &Ticket| walk.visit(ticket.task());
                // SAFETY: the caller's promise.
                unsafe { lock.behind(self.access, &self.place, task, &mut visit) };
            }
            Line::Limit(limit) => limit.behind(self.permits, walk),
        }
    }

    /// Its task does not mind its place in line.
    pub(crate) fn let_overtake(&mut self) {
        self.unordered = true;
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

    /// Whether to release it may well run code of the user.
    ///
    /// # Safety
    /// As for `thing`.
    pub(super) unsafe fn is_last(&self) -> bool {
        // SAFETY: the caller's promise.
        let is_last = unsafe { self.thing() }.references().is_last;
        // SAFETY: the thing's own.
        is_last.is_some_and(|is_last| unsafe { is_last(self.thing.cast()) })
    }

    /// # Safety
    /// The reference to the thing is the caller's, and not used again.
    pub(super) unsafe fn release(&self) {
        // SAFETY: the caller's promise.
        let release = unsafe { self.thing() }.references().release;
        // SAFETY: the thing's own.
        unsafe { release(self.thing.cast()) };
    }

    /// The order in which tasks join: limits before values, and all keys before each. In a model addresses differ from run to run.
    fn rank(&self) -> (bool, bool, *const ()) {
        (self.permits == 0, !self.implied, self.address())
    }

    pub(super) fn address(&self) -> *const () {
        self.thing.as_ptr().cast_const().cast()
    }
}

/// What a task wants: one thing, two, or several.
pub trait Wants<P: LockPolicy>: Default + Send + 'static {
    /// Has room for one thing more.
    type OneMore: Wants<P>;
    /// Has room for as many as this and `W`.
    type And<W: Wants<P>>: Wants<P>;

    /// Wants this, too.
    fn add(&mut self, want: Want<P>);
    /// All of it.
    fn all(&self) -> &[Want<P>];
    /// The same, while the task is being made.
    fn all_mut(&mut self) -> &mut [Want<P>];
    /// Puts it in the same order for all tasks, so that submitters can't wait for one another in a circle.
    fn sort(&mut self);
}

/// One thing.
pub(crate) type One<P> = Option<Want<P>>;

/// Up to two things.
#[allow(missing_debug_implementations, reason = "nobody outside can have one")]
pub struct Two<P: LockPolicy> {
    wants: [MaybeUninit<Want<P>>; 2],
    /// As many of them as are there.
    len: usize,
}

/// Any number of things; two of them in the task's own memory.
pub(crate) type Many<P> = SmallVec<[Want<P>; 2]>;

impl<P: LockPolicy> Wants<P> for One<P> {
    type OneMore = Two<P>;
    type And<W: Wants<P>> = W::OneMore;

    fn add(&mut self, want: Want<P>) {
        *self = Some(want);
    }

    fn all(&self) -> &[Want<P>] {
        self.as_slice()
    }

    fn all_mut(&mut self) -> &mut [Want<P>] {
        self.as_mut_slice()
    }

    fn sort(&mut self) {}
}

impl<P: LockPolicy> Wants<P> for Two<P> {
    type OneMore = Many<P>;
    type And<W: Wants<P>> = Many<P>;

    #[inline]
    fn add(&mut self, want: Want<P>) {
        self.wants[self.len].write(want);
        self.len += 1;
    }

    #[inline]
    fn all(&self) -> &[Want<P>] {
        // SAFETY: so many have been added.
        unsafe { slice::from_raw_parts(self.wants.as_ptr().cast(), self.len) }
    }

    #[inline]
    fn all_mut(&mut self) -> &mut [Want<P>] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.wants.as_mut_ptr().cast(), self.len) }
    }

    #[inline]
    fn sort(&mut self) {
        if let [one, other] = self.all_mut()
            && one.rank() > other.rank()
            && !mutant("request_joins_unsorted")
        {
            mem::swap(one, other);
        }
    }
}

impl<P: LockPolicy> Default for Two<P> {
    #[inline]
    fn default() -> Self {
        Self { wants: [const { MaybeUninit::uninit() }; 2], len: 0 }
    }
}

impl<P: LockPolicy> Drop for Two<P> {
    #[inline]
    fn drop(&mut self) {
        let wants: *mut [Want<P>] = self.all_mut();
        // SAFETY: they are not used again.
        unsafe { wants.drop_in_place() };
    }
}

impl<P: LockPolicy> Wants<P> for Many<P> {
    type OneMore = Self;
    type And<W: Wants<P>> = Self;

    fn add(&mut self, want: Want<P>) {
        self.push(want);
    }

    fn all(&self) -> &[Want<P>] {
        self
    }

    fn all_mut(&mut self) -> &mut [Want<P>] {
        self
    }

    fn sort(&mut self) {
        if !mutant("request_joins_unsorted") {
            self.sort_unstable_by_key(Want::rank);
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
