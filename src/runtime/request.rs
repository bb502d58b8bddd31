//! A task that needs guarded values: how it gets into line for all of them in one step, when it is queued to run, and how it lets the
//! next ones in. `docs/guarded.md` has the argument.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ptr::{self, NonNull};

use smallvec::SmallVec;

use super::Core;
use crate::policy::LockPolicy;
use crate::policy::value_lock::{Access, Ticket, Turn, ValueLock};
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::sync::{Arc, local, mutant};
use crate::task::{Identity, Link, Task, TaskError};

/// Something that tasks stand in line for.
pub(crate) trait Lockable<P: LockPolicy>: Send + Sync {
    /// Where they stand.
    fn lock(&self) -> &P::Lock;
    /// The pool whose tasks they are.
    fn core(&self) -> &Arc<Core<P>>;
    /// One task less refers to it.
    fn release(&self) {}
}

/// One value, and how the task wants it. Public in name only: a sealed trait speaks of it.
#[allow(missing_debug_implementations, reason = "nobody outside can have one")]
pub struct Want<P: LockPolicy> {
    value: Arc<dyn Lockable<P>>,
    access: Access,
}

impl<P: LockPolicy> Want<P> {
    pub(crate) fn new(value: Arc<dyn Lockable<P>>, access: Access) -> Self {
        Self { value, access }
    }

    pub(super) fn address(&self) -> *const () {
        Arc::as_ptr(&self.value).cast()
    }
}

impl<P: LockPolicy> Drop for Want<P> {
    fn drop(&mut self) {
        self.value.release();
    }
}

/// What one task wants; most want one thing or two.
pub(crate) type Wants<P> = SmallVec<[Want<P>; 2]>;

/// The values that one task needs, and whether it has them.
pub(crate) struct Request<P: LockPolicy> {
    wants: Wants<P>,
    /// How many of the values it still waits for, one more while it is getting into line, and [`GIVEN_UP`].
    pending: AtomicU64,
    /// The task while it waits; null before and after that.
    task: AtomicPtr<Link>,
}

/// Nobody will use the values any more: the closure has ended, or has been dropped unrun.
const GIVEN_UP: u64 = 1 << (u64::BITS - 1);

impl<P: LockPolicy> Request<P> {
    /// None if one value is named twice.
    pub(crate) fn new(wants: Wants<P>) -> Option<Arc<Self>> {
        let wants = sorted(wants);
        let aliased = wants.windows(2).any(|pair| pair[0].address() == pair[1].address());
        (!aliased).then(|| Self::of(wants))
    }

    /// What is named more than once is wanted once, exclusively if once so.
    pub(crate) fn merged(wants: Wants<P>) -> Arc<Self> {
        let mut wants = sorted(wants);
        wants.dedup_by(|again, first| {
            let same = again.address() == first.address();
            if same && again.access == Access::Exclusive {
                first.access = Access::Exclusive;
            }
            same
        });
        Self::of(wants)
    }

    fn of(wants: Wants<P>) -> Arc<Self> {
        let pending = AtomicU64::new(wants.len() as u64 + 1);
        Arc::new(Self { wants, pending, task: AtomicPtr::new(ptr::null_mut()) })
    }

    /// Whether all its values are of the pool with that number.
    pub(crate) fn is_of(&self, pool: u32) -> bool {
        self.wants.iter().all(|want| want.value.core().id == pool)
    }

    /// Gets into line for all the values at once, and queues the task to run as soon as it has them.
    pub(crate) fn queue(self: &Arc<Self>, core: &Arc<Core<P>>, task: Task) {
        // Release pairs with the acquire in `take`.
        self.task.store(task.into_link().as_ptr(), Ordering::Release);
        let mut granted = 1;
        // Kept until the last: whoever comes behind this task in one line comes behind it in all.
        let mut all_joined = SmallVec::<[_; 4]>::new();
        for want in &self.wants {
            let (now, joined) = want.value.lock().join(want.access, || Ticket::new(self.clone()));
            granted += u64::from(now);
            all_joined.push(joined);
        }
        drop(all_joined);
        if granted > self.wants.len() as u64 {
            // No line has a ticket: nobody else knows of the request yet.
            self.pending.store(0, Ordering::Relaxed);
            self.ready(core);
        } else {
            core.held_back.add_shared(1);
            self.count_down(core, granted);
        }
    }

    fn count_down(&self, core: &Arc<Core<P>>, granted: u64) {
        // Release: what this thread knows of the values is known to whoever counts down to nothing, by its acquire.
        let before = self.pending.fetch_sub(granted, Ordering::AcqRel);
        if before & !GIVEN_UP != granted {
            return;
        }
        core.let_in.add_shared(1);
        if before & GIVEN_UP == 0 || mutant("request_runs_when_given_up") {
            self.ready(core);
        } else {
            // Cancelled while it waited: passed over.
            if let Some(task) = self.take() {
                core.count_cancelled();
                drop(task);
            }
            leave(self);
        }
    }

    fn take(&self) -> Option<Task> {
        let link = NonNull::new(self.task.swap(ptr::null_mut(), Ordering::AcqRel))?;
        // SAFETY: from `into_link` in `queue`, and the exchange took it out.
        Some(unsafe { Task::from_link(link) })
    }

    fn ready(&self, core: &Arc<Core<P>>) {
        let Some(task) = self.take() else { return };
        if core.is_cancelling() {
            if task.discard(TaskError::Cancelled) {
                core.count_cancelled();
            }
        } else if P::Lock::LINES {
            // SAFETY: the task is alive, as this is the executor's reference.
            task.state().inspect(|state| unsafe { state.as_ref() }.let_go());
            core.push(task);
        } else {
            core.inject(task);
        }
    }
}

impl<P: LockPolicy> Turn for Request<P> {
    fn grant(self: Arc<Self>) {
        // Who holds a ticket waits for at least one value.
        let core = self.wants[0].value.core();
        self.count_down(core, 1);
    }

    fn lose(&self) {
        drop(self.take());
    }

    fn leave(&self, granted: &mut VecDeque<Ticket>) {
        for want in &self.wants {
            want.value.lock().leave(want.access, granted);
        }
    }

    fn behind(&self, visit: &mut dyn FnMut(Arc<dyn Turn>)) {
        for want in &self.wants {
            let mut behind = Vec::new();
            let mut conflicts = want.access == Access::Exclusive;
            want.value.lock().visit(&mut |access, ticket| {
                if ptr::addr_eq(Arc::as_ptr(ticket.turn()), self) {
                    // The line so far was ahead.
                    behind.clear();
                    conflicts = want.access == Access::Exclusive;
                    return;
                }
                conflicts |= access == Access::Exclusive;
                if conflicts {
                    behind.push(ticket.turn().clone());
                }
            });
            behind.into_iter().for_each(&mut *visit);
        }
    }

    fn task(&self) -> Identity {
        self.task.load(Ordering::Relaxed).cast_const().cast()
    }
}

/// What a closure owns that was lent values: its end, run or unrun, gives them back.
pub(crate) struct Hold<P: LockPolicy>(Arc<Request<P>>);

impl<P: LockPolicy> Hold<P> {
    pub(crate) fn new(request: Arc<Request<P>>) -> Self {
        Self(request)
    }

    pub(crate) fn turn(&self) -> &(dyn Turn + 'static) {
        &*self.0
    }
}

impl<P: LockPolicy> Drop for Hold<P> {
    fn drop(&mut self) {
        // Acquire and release as in `count_down`: either this comes after the last grant, or the last grant after this.
        let before = self.0.pending.fetch_or(GIVEN_UP, Ordering::AcqRel);
        if before == 0 || mutant("request_leaves_early") {
            leave(&*self.0);
        }
    }
}

/// The same order for all tasks, so that submitters can't wait for one another in a circle.
fn sorted<P: LockPolicy>(mut wants: Wants<P>) -> Wants<P> {
    if !mutant("request_joins_unsorted") {
        wants.sort_unstable_by_key(Want::address);
    }
    wants
}

/// Who has been let in on this thread and is to be seen to, and whether somebody down its stack does that.
struct Agenda {
    granted: Cell<VecDeque<Ticket>>,
    open: Cell<bool>,
}

/// Tickets that a thread keeps room for.
const KEEPS: usize = 64;

local! { static AGENDA: Agenda = Agenda { granted: Cell::new(VecDeque::new()), open: Cell::new(false) }; }

impl Agenda {
    /// Ends the accesses of `turn`, and sees to whoever that lets in. One loop for all that follows, as a grant to a cancelled task
    /// ends that task's accesses in turn: a long line of them must not fill the stack.
    fn leave(&self, turn: &dyn Turn) {
        struct Close<'a>(&'a Agenda);
        impl Drop for Close<'_> {
            fn drop(&mut self) {
                self.0.open.set(false);
                let left = self.0.granted.take();
                // Whoever a panic left here is cancelled, and the room for a crowd is not kept.
                if left.is_empty() && left.capacity() <= KEEPS {
                    self.0.granted.set(left);
                }
            }
        }
        let mut granted = self.granted.take();
        turn.leave(&mut granted);
        // A line that lost a ticket on the way may have put others here.
        granted.append(&mut self.granted.take());
        self.granted.set(granted);
        if self.open.replace(true) {
            return;
        }
        let _close = Close(self);
        while let Some(ticket) = self.next() {
            ticket.grant();
        }
    }

    fn next(&self) -> Option<Ticket> {
        let mut granted = self.granted.take();
        let next = granted.pop_front();
        self.granted.set(granted);
        next
    }
}

fn leave(turn: &dyn Turn) {
    // In the destructor of a thread's local, with an agenda of its own.
    let own = || Agenda { granted: Cell::new(VecDeque::new()), open: Cell::new(false) }.leave(turn);
    AGENDA.try_with(|agenda| agenda.leave(turn)).unwrap_or_else(|_| own());
}
