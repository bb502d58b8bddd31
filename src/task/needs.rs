//! What a task needs before it may run, kept in its own allocation, and the tickets by which it stands in line for that.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use super::error::TaskError;
use super::head;
use super::header::{Header, Identity, Task};
use super::scoped::Epilogue;
use crate::sync::mutant;

/// What a task needs, and whether it has it: by itself, nothing. It stays until the task's memory is freed, but lets go of what it owns when it is
/// told that the closure is gone.
pub(crate) trait Needs: Send + Sync {
    /// The number of the pool that is to run the task; 0 if it does not matter.
    fn pool(&self) -> u32 {
        0
    }
    /// So many more lines have let the task in.
    ///
    /// # Safety
    /// `task` is the one that this is part of. The caller gives up so many tickets of it.
    unsafe fn grant(&self, _task: TaskRef, _tickets: u32) {}
    /// Visits the tasks that can't start before `task`, which this is part of, has ended.
    fn behind(&self, _task: TaskRef, _walk: &mut dyn Walk) {}
    /// The closure has run. Nobody can see the result yet.
    #[inline]
    fn ran(&self) {}
    /// One more grant than its lines give has to come.
    ///
    /// # Safety
    /// One has to come, and does not meanwhile.
    unsafe fn hold_back(&self) {}
    /// The task will not be run; its closure is dropped next.
    #[inline]
    fn given_up(&self) {}
    /// The closure has been dropped unrun.
    #[inline]
    fn dropped(&self) {}
    /// Code of the user's is about to be called, before the one that runs the task goes on.
    #[inline]
    fn before_user_code(&self) {}
    /// Whether tasks that came before it may have to run before it.
    fn is_ordered(&self) -> bool {
        false
    }
    /// Tells scopes apart; null if the task is of none.
    fn scope(&self) -> *const () {
        ptr::null()
    }
    /// What to do when the task is over.
    #[inline]
    fn epilogue(&self) -> Epilogue {
        Epilogue::NONE
    }
}

/// Nothing.
impl Needs for () {}

/// Goes along lines, from tasks that are stuck, and so won't end, to those which can't start because of that.
pub(crate) trait Walk {
    /// This one can't.
    fn visit(&mut self, task: TaskRef);
    /// Whether the task is among the stuck ones whose lines have been looked at, or are looked at now.
    fn is_stuck(&self, task: TaskRef) -> bool;
    /// The task whose lines are looked at wants so many permits of the limit at that address. How many the stuck ones want in all; none if
    /// everybody is to be visited who waits for some.
    fn permits(&mut self, limit: *const (), permits: u32) -> Option<u64>;
}

/// Tells tasks apart that stand in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskRef(NonNull<Header>);

// SAFETY: it is only followed by promise, and what it leads to can be used from any thread.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// None for null.
    #[inline]
    pub(crate) fn of(task: Identity) -> Option<Self> {
        NonNull::new(task.cast_mut()).map(|task| Self(task.cast()))
    }

    pub(super) fn of_header(header: NonNull<Header>) -> Self {
        Self(header)
    }

    pub(super) fn header(self) -> NonNull<Header> {
        self.0
    }

    pub(crate) fn identity(self) -> Identity {
        self.0.as_ptr().cast_const().cast()
    }

    /// # Safety
    /// The task is alive for `'a`.
    #[inline]
    pub(crate) unsafe fn needs<'a>(self) -> &'a dyn Needs {
        // SAFETY: the caller's promise.
        let needs = unsafe { self.0.as_ref() }.vtable().needs;
        // SAFETY: the entry belongs to this task.
        let needs = unsafe { needs(self.0) };
        // SAFETY: part of the task.
        unsafe { needs.as_ref() }
    }

    /// Ends it as cancelled, if it has a handle.
    ///
    /// # Safety
    /// As for `needs`.
    unsafe fn cancel(self, why: TaskError) {
        // SAFETY: the caller's promise.
        if unsafe { self.has_handle() } {
            // SAFETY: as above.
            unsafe { head::cancel(self.0, why) };
        }
    }

    /// # Safety
    /// As for `needs`.
    #[inline]
    pub(crate) unsafe fn has_handle(self) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.0.as_ref() }.vtable().join.is_some()
    }

    /// # Safety
    /// From [`Task::into_ref`], and turned back once.
    #[inline]
    pub(crate) unsafe fn into_task(self) -> Task {
        // SAFETY: the caller's promise.
        unsafe { Task::from_header(self.0) }
    }
}

impl Task {
    fn needs(&self) -> &dyn Needs {
        // SAFETY: the executor's reference keeps it alive.
        unsafe { TaskRef(self.header()).needs() }
    }

    /// Tells the scope that it is of; null for none.
    pub(crate) fn scope(&self) -> *const () {
        self.needs().scope()
    }

    /// Whether tasks that came before it may have to run before it, as they need the same.
    pub(crate) fn is_ordered(&self) -> bool {
        self.needs().is_ordered()
    }

    /// The executor's reference goes with the pointer.
    #[inline]
    pub(crate) fn into_ref(self) -> TaskRef {
        TaskRef(self.into_link().cast())
    }

    /// From now on a waiter may run it.
    #[inline]
    pub(crate) fn let_go(&self) {
        if let Some(state) = self.state() {
            // SAFETY: the executor's reference keeps the task alive.
            unsafe { state.as_ref() }.let_go();
        }
    }
}

/// A task's place in the line for one value, owned by the line until the task is let in.
///
/// It can't be cloned, so a line can't let a task in twice. Dropping it cancels the task: its closure is dropped and its handle ends
/// with [`TaskError::Cancelled`]; its memory is not freed.
pub struct Ticket(TaskRef);

impl Ticket {
    /// # Safety
    /// The task stays alive until each of its tickets has been granted.
    #[inline]
    pub(crate) unsafe fn of(task: TaskRef) -> Self {
        Self(task)
    }

    /// One more, which is to be granted, too, before the task's turn comes.
    ///
    /// # Safety
    /// The task has a ticket that is not granted meanwhile.
    pub(crate) unsafe fn another_of(task: TaskRef) -> Self {
        // SAFETY: alive, as it has a ticket.
        let needs = unsafe { task.needs() };
        // SAFETY: the caller's promise.
        unsafe { needs.hold_back() };
        Self(task)
    }

    /// Ends the task as cancelled, if it has a handle. It still stands in line.
    pub(crate) fn cancel(&self, why: TaskError) {
        // SAFETY: it stays alive until this ticket has been granted.
        unsafe { self.0.cancel(why) };
    }

    /// Whose it is.
    pub fn task(&self) -> TaskRef {
        self.0
    }

    pub(crate) fn grant(self) {
        Tickets::from(self).grant();
    }
}

/// Tickets of one task, to be granted at once.
#[derive(Debug)]
pub(crate) struct Tickets {
    one: Ticket,
    number: u32,
}

impl From<Ticket> for Tickets {
    #[inline]
    fn from(one: Ticket) -> Self {
        Self { one, number: 1 }
    }
}

impl Tickets {
    /// One more of the same task; another's comes back.
    #[inline]
    pub(crate) fn add(&mut self, ticket: Ticket) -> Option<Ticket> {
        if ticket.0 != self.one.0 {
            return Some(ticket);
        }
        std::mem::forget(ticket);
        self.number += u32::from(!mutant("tickets_count_as_one"));
        None
    }

    #[inline]
    pub(crate) fn grant(self) {
        let task = ManuallyDrop::new(self.one).0;
        // SAFETY: they have not been granted until now.
        let needs = unsafe { task.needs() };
        // SAFETY: the task's own, and the tickets go.
        unsafe { needs.grant(task, self.number) };
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // SAFETY: as it will never be granted, the task stays alive.
        unsafe { self.0.cancel(TaskError::Cancelled) };
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}
