//! Whether a bounded queue takes a task, and what becomes of it if not.

use super::Core;
use super::capacity::{Permit, Waited};
use super::current::{self, Blocked, Frame, Kind};
use super::when_full::WhenFull;
use crate::policy::LockPolicy;
use crate::sync::{Arc, Instant, mutant};
use crate::task::Task;

/// Tasks run by their submitters on top of one another on one stack; deeper ones are queued.
const MAX_DEPTH: usize = 64;

/// What to do with a task.
#[derive(Debug)]
#[must_use]
pub(crate) enum Admission {
    /// Queue it, with its place in its closure.
    Place(Permit),
    /// It has got no place.
    NoPlace(Then),
    Full,
    Shutdown,
}

/// What becomes of a task that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It is queued; without a place, over the bound.
    Queue,
    /// Its submitter runs it.
    RunHere,
    /// It ends as cancelled.
    Drop,
}

impl From<Waited> for Admission {
    fn from(waited: Waited) -> Self {
        match waited {
            Waited::Place(permit) => Self::Place(permit),
            Waited::Over => Self::NoPlace(Then::Queue),
            Waited::Closed => Self::Shutdown,
            Waited::TimedOut => Self::Full,
        }
    }
}

impl<P: LockPolicy> Core<P> {
    /// What to do with a new task. May wait for a place.
    #[inline(never)]
    pub(crate) fn admit(self: &Arc<Self>) -> Admission {
        let Some(capacity) = self.capacity() else { return Admission::NoPlace(Then::Queue) };
        if let Some(permit) = capacity.try_take() {
            return Admission::Place(permit);
        }
        let admission = match capacity.when_full {
            WhenFull::Reject => Admission::Full,
            WhenFull::Block => self.wait_for_place(None),
            // A time too far to be told is for ever.
            WhenFull::BlockTimeout(timeout) => match Instant::now().checked_add(timeout) {
                None => self.wait_for_place(None),
                deadline => self.wait_for_place(deadline),
            },
            WhenFull::CallerRuns => self.admit_here(),
            WhenFull::DiscardOldest => {
                self.discard_oldest();
                // Else somebody else was faster, or what went had no place: still one came for one that went.
                capacity.try_take().map_or(Admission::NoPlace(Then::Queue), Admission::Place)
            }
            WhenFull::DiscardNewest => Admission::NoPlace(Then::Drop),
        };
        if matches!(admission, Admission::Full | Admission::NoPlace(Then::RunHere | Then::Drop)) {
            capacity.rejected.add_shared(1);
        }
        admission
    }

    /// Brings a task to where it goes.
    pub(crate) fn see_to(self: &Arc<Self>, task: Task, priority: i8, then: Then) {
        match then {
            Then::Queue => self.push_ranked(task, priority),
            Then::RunHere => self.run_here(task),
            Then::Drop => drop(task),
        }
    }

    fn wait_for_place(self: &Arc<Self>, deadline: Option<Instant>) -> Admission {
        let Some(capacity) = self.capacity() else { return Admission::NoPlace(Then::Queue) };
        current::frames(|frames| {
            // Code with a context holds the lock, and only its context may let go of it: others may need that lock to go on.
            if frames.clone().any(holds_by_context) {
                return if deadline.is_some() { Admission::Full } else { Admission::NoPlace(Then::Queue) };
            }
            let on_worker = frames.clone().any(|frame| frame.worker.is_some());
            let waiting = match capacity.line_up(on_worker && deadline.is_none()) {
                Ok(waiting) => waiting,
                Err(at_once) => return at_once.into(),
            };
            let _blocked = leave_worker(frames.clone().next());
            // Whoever has stopped all of the pool may have done so before this one stood in line.
            self.let_over_if_stuck();
            waiting.wait(deadline).into()
        })
    }

    /// Lets submitters go on that block threads, if no thread of the pool is left to free a place. To be called after a thread has stopped being
    /// active, or has got into line: the last to come sees the others.
    #[inline]
    pub(super) fn let_over_if_stuck(&self) {
        if let Some(capacity) = self.capacity() {
            let word = self.idle.load();
            if word.active() == 0 && word.sleeping() == 0 && !mutant("capacity_lets_nobody_over") {
                capacity.let_over();
            }
        }
    }

    fn admit_here(&self) -> Admission {
        let (depth, refused) = current::frames(|frames| {
            // Two references to one value would be alive, or two contexts of one lock.
            let excludes =
                |frame: &Frame| holds_by_context(frame) || frame.has_values.get() || self.has_context_below(frame);
            (frames.clone().count(), frames.clone().any(excludes))
        });
        match (refused, depth > MAX_DEPTH) {
            (true, _) => Admission::Full,
            (false, true) => Admission::NoPlace(Then::Queue),
            (false, false) => Admission::NoPlace(Then::RunHere),
        }
    }

    /// Whether a context of the pool's lock is in use further down this stack, though it has let go.
    fn has_context_below(&self, frame: &Frame) -> bool {
        frame.is_exclusive() && frame.has_context.get() && frame.covers(self.id)
    }
}

fn holds_by_context(frame: &Frame) -> bool {
    frame.is_exclusive() && frame.kind.get() == Kind::Context
}

/// The worker whose code this is gives up its place, and its gate, until the drop, unless it has done so before.
pub(crate) fn leave_worker(innermost: Option<&Frame>) -> Option<Blocked<'_>> {
    innermost.filter(|frame| frame.worker.is_some() && frame.kind.get() != Kind::Blocking).map(Blocked::enter)
}
