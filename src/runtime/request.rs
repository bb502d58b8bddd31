//! A task that needs guarded values: how it gets into line for all of them in one step, when it is queued to run, and how it lets the
//! next ones in. `docs/guarded.md` has the argument.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;

use super::wants::{self, Many, One, Want, Wants};
use super::worker::Worker;
use super::{Core, current};
use crate::policy::LockPolicy;
use crate::policy::value_lock::{Entry, Granted, TaskRef, Ticket, ValueLock};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Arc, MODEL, UnsafeCell, local, mutant};
use crate::task::{Discarded, Needs, Task, TaskError, Walk};

/// What keeps a task's only value until it stands in line, and perhaps others out of that line. It goes when the task has been queued.
pub(crate) trait Lender {
    /// The task stands in line, and has been let in: others may come. Whether there is a reference that is the line's from now on, which needs one if the task
    /// is the first.
    fn let_in(&mut self, is_first: bool) -> bool;
}

/// The user's own.
impl Lender for () {
    fn let_in(&mut self, _is_first: bool) -> bool {
        false
    }
}

/// The values that one task needs, and whether it has them. Part of the task, which stays alive until its turn has come in every line.
pub(crate) struct Request<P, W> {
    /// Dropped by whoever gives the values back.
    wants: UnsafeCell<ManuallyDrop<W>>,
    /// How many of the values it still waits for, one more while it is getting into several lines, and [`GIVEN_UP`].
    pending: AtomicU32,
    pool: u32,
    /// Whether it may be queued like any task, by a gate that excludes the others anyway.
    unordered: bool,
    policy: PhantomData<fn() -> P>,
}

// SAFETY: the wants are read until all of them have been left, and then dropped by the one who left them.
unsafe impl<P: LockPolicy, W: Wants<P>> Sync for Request<P, W> {}

/// Nobody will use the values any more: the closure will not be run.
const GIVEN_UP: u32 = 1 << (u32::BITS - 1);

impl<P: LockPolicy, W: Wants<P>> Request<P, W> {
    /// # Errors
    /// If one thing is named twice, or more permits than there are.
    ///
    /// # Panics
    /// If one is not of that pool, nor covered by its lock.
    #[inline]
    pub(crate) fn new(mut wants: W, core: &Core<P>) -> Result<Self, TaskError> {
        wants.sort();
        let distinct = wants.all().windows(2).all(|pair| pair[0].address() != pair[1].address());
        let is_covered = |want: &Want<P>| {
            // SAFETY: the submitter is here.
            let other = unsafe { want.thing() }.core();
            other.id == core.id || (want.is_covered() && other.has_lock_of(core))
        };
        assert!(wants.all().iter().all(is_covered), "{FOREIGN}: submit the task to that pool");
        if let Some((asked, most)) = wants.all().iter().find_map(Want::too_many) {
            return Err(TaskError::TooManyPermits { asked: asked as usize, most: most as usize });
        }
        if distinct { Ok(Self::of(wants, core)) } else { Err(TaskError::Aliased) }
    }

    fn of(wants: W, core: &Core<P>) -> Self {
        let pool = core.id;
        if !P::Lock::LINES {
            let lines = core.has_limits();
            for want in wants.all() {
                // SAFETY: the submitter is here.
                let own = unsafe { want.thing() }.core().id == pool;
                // Otherwise the order is that of the queue.
                if !(lines && own) {
                    want.stand_aside();
                }
            }
        }
        if P::Lock::LINES {
            // SAFETY: the submitter is here.
            wants.all().iter().for_each(|want| unsafe { want.will_join() });
        }
        // Keys that the gate covers are not even named.
        let all_unordered = !wants.all().is_empty() && wants.all().iter().all(|want| want.unordered);
        let unordered = !P::Lock::LINES && all_unordered;
        let several = usize::from(wants.all().len() != 1);
        let pending = u32::try_from(wants.all().len() + several).ok().filter(|pending| *pending < GIVEN_UP);
        let pending = AtomicU32::new(pending.expect("fewer than 2^31 values"));
        Self { wants: UnsafeCell::new(ManuallyDrop::new(wants)), pending, pool, unordered, policy: PhantomData }
    }

    /// # Safety
    /// They have not been left, and are not while this is used.
    unsafe fn wants(&self) -> &[Want<P>] {
        // SAFETY: the caller's promise.
        self.wants.with(|wants| unsafe { &*wants }).all()
    }

    /// Gets into line for all the values at once, and queues the task to run as soon as it has them. `task` is the one that this is part of.
    pub(crate) fn queue(&self, core: &Arc<Core<P>>, task: Task, mut lender: impl Lender) {
        let task = task.into_ref();
        // SAFETY: the task has one grant to come at least: that of its only value, or that at the end.
        let wants = unsafe { self.wants() };
        // SAFETY: `pending` counts it.
        let ticket = || unsafe { Ticket::of(task) };
        match wants {
            [only] => {
                let ticket = || {
                    // First: whoever has the ticket may let the task in.
                    core.in_line.one_comes();
                    ticket()
                };
                // SAFETY: the submitter is here, and the task stays until it has left.
                let entry = unsafe { only.join(true, ticket) }.0;
                let is_first = match entry {
                    // Perhaps it is gone.
                    Entry::Waits => return,
                    Entry::First => true,
                    Entry::Together => false,
                };
                if !lender.let_in(is_first) && is_first {
                    // SAFETY: the submitter is here.
                    unsafe { only.retain() };
                }
            }
            several => {
                // SAFETY: the submitter is here, and the task stays until it has left.
                let granted = unsafe { join_all(several, ticket) };
                if granted < several.len() {
                    core.in_line.one_comes();
                    // SAFETY: so many are granted, and the one that stood for getting into line.
                    if let Some(before) = unsafe { self.count_down(granted as u32 + 1) } {
                        // SAFETY: counted down to nothing above.
                        unsafe { self.come(core, task, before, None) };
                        core.has_let_in();
                    }
                    return;
                }
            }
        }
        // No line has a ticket: nobody else knows of the request yet.
        self.pending.store(0, Ordering::Relaxed);
        // SAFETY: all is granted.
        unsafe { ready(core, task, None, self.unordered) };
    }

    /// As `count_down`, by the tickets of `task`, which this is part of.
    ///
    /// # Safety
    /// As for `count_down`. The task is alive.
    #[inline]
    unsafe fn count_tickets(&self, task: TaskRef, tickets: u32) -> Option<u32> {
        // SAFETY: the caller's promise.
        let can_be_given_up = unsafe { task.has_handle() } && !mutant("request_counts_as_if_alone");
        // Acquire: as in `count_down`, for the other grants.
        let order = if mutant("request_counts_relaxed") { Ordering::Relaxed } else { Ordering::Acquire };
        // In a model, a hint would be one load more.
        if !(MODEL && can_be_given_up) && self.pending.load(order) == tickets {
            // SAFETY: these are not counted yet.
            if let several @ [_, _, ..] = unsafe { self.wants() } {
                // SAFETY: as above.
                several.iter().for_each(|want| unsafe { want.will_leave() });
            }
            if !can_be_given_up {
                // Nobody else changes it: the caller has the last tickets, and without one there is none to be had. So a store does.
                self.pending.store(0, Ordering::Relaxed);
                return Some(tickets);
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.count_down(tickets) }
    }

    /// The count before, if nothing is left of it. If something is, the task may be gone.
    ///
    /// # Safety
    /// So many grants have not been counted.
    unsafe fn count_down(&self, granted: u32) -> Option<u32> {
        // Release: what this thread knows of the values is known to whoever counts down to nothing, by its acquire.
        let before = self.pending.fetch_sub(granted, Ordering::AcqRel);
        (before & !GIVEN_UP == granted).then_some(before)
    }

    /// The task's turn has come.
    ///
    /// # Safety
    /// `before` is what the count was before it went down to nothing, and the caller the one who counted it down. `task` is the one that this
    /// is part of; it is gone after the call.
    unsafe fn come(&self, core: &Arc<Core<P>>, task: TaskRef, before: u32, keep: Option<&Worker<P>>) {
        if before & GIVEN_UP == 0 || mutant("request_runs_when_given_up") {
            // SAFETY: all is granted.
            unsafe { ready(core, task, keep, self.unordered) };
        } else {
            // Cancelled while it waited: passed over.
            core.count_cancelled(1);
            in_turn(Granted::default(), || self.leave());
            // SAFETY: no ticket is left.
            drop(unsafe { task.into_task() });
        }
    }

    /// Ends the task's accesses, and sees to whoever that lets in. One loop for all that follows, as a grant to a cancelled task ends that
    /// task's accesses in turn: a long line of them must not fill the stack.
    fn leave(&self) {
        // SAFETY: nobody else leaves, and nobody looks at the wants of a task that is neither running nor in line.
        let wants = unsafe { self.wants() };
        let mut free = false;
        let_in(|granted| {
            for want in wants {
                // SAFETY: as above, and all have been granted.
                unsafe { want.leave(granted) };
                free |= want.is_free();
            }
        });
        if free {
            Self::release(wants);
        }
        self.wants.with_mut(|wants| {
            // SAFETY: nobody else looks at them any more.
            let wants = unsafe { &mut *wants };
            // SAFETY: once.
            unsafe { ManuallyDrop::drop(wants) };
        });
    }

    /// Releases the things whose lines have come to their end.
    #[inline(never)]
    fn release(wants: &[Want<P>]) {
        let free = || wants.iter().filter(|want| want.is_free());
        // What follows may be code of the user's.
        // SAFETY: the lines' references.
        if free().any(|want| unsafe { want.is_last() }) {
            current::share_kept();
        }
        for want in free() {
            // SAFETY: the line's, which is empty, and which is not used again here.
            unsafe { want.release() };
        }
    }
}

/// Gets into several lines; how many have let the task in.
///
/// # Safety
/// As for [`Want::join`], and `ticket` gives one for each.
unsafe fn join_all<P: LockPolicy>(wants: &[Want<P>], ticket: impl Fn() -> Ticket) -> usize {
    let join = |want| {
        let want: &Want<P> = want;
        // SAFETY: the caller's promise.
        let (entry, joined) = unsafe { want.join(false, &ticket) };
        if entry == Entry::First {
            // SAFETY: as above.
            unsafe { want.retain() };
        }
        (entry != Entry::Waits, joined)
    };
    // Kept until the last: whoever comes behind this task in one line comes behind it in all.
    if let [one, other] = wants {
        let all_joined = [join(one), join(other)];
        return all_joined.iter().filter(|(granted, _)| *granted).count();
    }
    let all_joined: Vec<_> = wants.iter().map(join).collect();
    all_joined.iter().filter(|(granted, _)| *granted).count()
}

/// # Safety
/// All that `task` needs has been granted, once.
unsafe fn ready<P: LockPolicy>(core: &Arc<Core<P>>, task: TaskRef, keep: Option<&Worker<P>>, unordered: bool) {
    // SAFETY: no ticket is left: the executor's reference, given up in `queue`, is the caller's.
    let task = unsafe { task.into_task() };
    if core.is_cancelling() {
        current::share_kept();
        in_turn(Granted::default(), || {
            if matches!(task.discard(core.unrun()), Discarded::Now | Discarded::Cancelled) {
                core.count_cancelled(1);
            }
        });
    } else if !P::Lock::LINES && !unordered {
        core.inject(task);
    } else if let Some(worker) = keep {
        worker.keep(task);
    } else {
        task.let_go();
        core.push(task);
    }
}

impl<P: LockPolicy> Request<P, One<P>> {
    pub(crate) fn one(want: One<P>, core: &Core<P>) -> Self {
        Self::of(want, core)
    }
}

impl<P: LockPolicy> Request<P, Many<P>> {
    /// What is named more than once is wanted once, exclusively if once so.
    pub(crate) fn merged(mut wants: Many<P>, core: &Core<P>) -> Self {
        wants::merge(&mut wants);
        Self::of(wants, core)
    }
}

impl<P: LockPolicy, W: Wants<P>> Needs for Request<P, W> {
    fn pool(&self) -> u32 {
        self.pool
    }

    unsafe fn grant(&self, task: TaskRef, tickets: u32) {
        current::frames(|mut frames| {
            let frame = frames.find(|frame| frame.pool == self.pool && frame.worker.is_some());
            if let Some((frame, worker)) = frame.and_then(|frame| Some((frame, Core::worker(frame)?))) {
                // SAFETY: the caller's promise.
                let Some(before) = (unsafe { self.count_tickets(task, tickets) }) else { return };
                worker.count_let_in();
                // SAFETY: counted down to nothing above.
                unsafe { self.come(&worker.core, task, before, frame.keeps.get().then_some(worker)) };
            } else {
                // SAFETY: these are not counted yet.
                let mut wants = unsafe { self.wants() }.iter();
                let want = wants.find(|want| want.stands()).expect("who has a ticket stands in line");
                // Not the thing's own: once the ticket is counted, a canceller may leave, and let the thing go.
                // SAFETY: it has not left the line.
                let core = unsafe { want.thing() }.core().clone();
                // SAFETY: the caller's promise.
                let Some(before) = (unsafe { self.count_down(tickets) }) else { return };
                // SAFETY: as above.
                unsafe { self.come(&core, task, before, None) };
                core.has_let_in();
            }
        });
    }

    /// Also where none is named, as the gate covers its key.
    fn is_ordered(&self) -> bool {
        true
    }

    fn behind(&self, task: TaskRef, walk: &mut dyn Walk) {
        // SAFETY: only asked of tasks that hold or wait for values.
        for want in unsafe { self.wants() } {
            // SAFETY: as above.
            unsafe { want.behind(task, walk) };
        }
    }

    fn ran(&self) {
        current::keeping(|| self.leave());
    }

    unsafe fn hold_back(&self) {
        // Relaxed: it is more than nothing, and stays so.
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    fn given_up(&self) {
        // Acquire and release as in `count_down`: either this comes after the last grant, or the last grant after this.
        let before = self.pending.fetch_or(GIVEN_UP, Ordering::AcqRel);
        if before == 0 || mutant("request_leaves_early") {
            self.leave();
        }
    }

    fn before_user_code(&self) {
        current::share_kept();
    }
}

/// What is said to who mixes up pools.
pub(crate) const FOREIGN: &str = "this guarded value belongs to another pool";

local! { static AGENDA: Cell<*const RefCell<Granted>> = Cell::new(ptr::null()); }

/// Grants the tickets that `leave` takes out of lines, or has somebody down this stack do so.
#[inline(always)]
fn let_in(leave: impl FnOnce(&mut Granted)) {
    let outer = AGENDA.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: on the stack below, as long as it is there.
    if let Some(outer) = unsafe { outer.as_ref() } {
        return leave(&mut outer.borrow_mut());
    }
    let mut granted = Granted::default();
    leave(&mut granted);
    let Some(first) = granted.pop() else { return };
    if granted.is_empty() {
        first.grant();
    } else {
        in_turn(granted, || first.grant());
    }
}

/// Runs what may leave lines in its turn, and then grants these, and behind them those that it has let in; here, or further down this stack.
#[inline(never)]
fn in_turn(granted: Granted, leaves: impl FnOnce()) {
    struct Close;
    impl Drop for Close {
        fn drop(&mut self) {
            let _gone = AGENDA.try_with(|agenda| agenda.set(ptr::null()));
        }
    }
    let agenda = RefCell::new(granted);
    let open = |place: &Cell<*const RefCell<Granted>>| {
        place.get().is_null().then(|| place.set(&raw const agenda))?;
        Some(Close)
    };
    // Without the thread's locals, in a destructor of one, those that it lets in are granted at once.
    let _open = AGENDA.try_with(open).ok().flatten();
    leaves();
    loop {
        let next = agenda.borrow_mut().pop();
        let Some(tickets) = next else { return };
        tickets.grant();
    }
}
