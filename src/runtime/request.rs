//! A task that needs guarded values: how it gets into line for all of them in one step, when it is queued to run, and how it lets the
//! next ones in. `docs/guarded.md` has the argument.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr::{self, NonNull};

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

    fn address(&self) -> *const () {
        Arc::as_ptr(&self.value).cast()
    }
}

/// The values that one task needs, and whether it has them.
pub(crate) struct Request<P: LockPolicy> {
    wants: Box<[Want<P>]>,
    /// How many of the values it still waits for, one more while it is getting into line, and [`GIVEN_UP`].
    pending: AtomicU64,
    /// The task while it waits; null before and after that.
    task: AtomicPtr<Link>,
}

/// Nobody will use the values any more: the closure has ended, or has been dropped unrun.
const GIVEN_UP: u64 = 1 << (u64::BITS - 1);

impl<P: LockPolicy> Request<P> {
    /// None if one value is named twice.
    pub(crate) fn new(mut wants: Vec<Want<P>>) -> Option<Arc<Self>> {
        // The same order for all tasks: submitters can't wait for one another in a circle.
        if !mutant("request_joins_unsorted") {
            wants.sort_unstable_by_key(Want::address);
        }
        if wants.windows(2).any(|pair| pair[0].address() == pair[1].address()) {
            return None;
        }
        let pending = AtomicU64::new(wants.len() as u64 + 1);
        Some(Arc::new(Self { wants: wants.into(), pending, task: AtomicPtr::new(ptr::null_mut()) }))
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
        let (mut first, mut others) = (None, Vec::new());
        for want in &self.wants {
            let (now, joined) = want.value.lock().join(want.access, || Ticket::new(self.clone()));
            granted += u64::from(now);
            match first {
                None => first = Some(joined),
                Some(_) => others.push(joined),
            }
        }
        drop((first, others));
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

local! { static AGENDA: Cell<*const RefCell<VecDeque<Ticket>>> = Cell::new(ptr::null()); }

/// Ends the accesses of `turn`, and sees to whoever that lets in. One loop for all that follows, as a grant to a cancelled task ends that
/// task's accesses in turn: a long line of them must not fill the stack.
fn leave(turn: &dyn Turn) {
    struct Close;
    impl Drop for Close {
        fn drop(&mut self) {
            let _gone = AGENDA.try_with(|agenda| agenda.set(ptr::null()));
        }
    }
    let mut granted = VecDeque::new();
    turn.leave(&mut granted);
    if granted.is_empty() {
        return;
    }
    let outer = AGENDA.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: put there by a call of this function that is below on this thread's stack, and takes it out when it ends.
    if let Some(agenda) = unsafe { outer.as_ref() } {
        agenda.borrow_mut().append(&mut granted);
        return;
    }
    let agenda = RefCell::new(granted);
    let _gone = AGENDA.try_with(|place| place.set(&raw const agenda));
    let _close = Close;
    loop {
        let next = agenda.borrow_mut().pop_front();
        let Some(ticket) = next else { break };
        ticket.grant();
    }
}
