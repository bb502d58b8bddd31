//! Handles of which somebody takes the next one whose task has ended.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::waitable::Waitable;
use crate::runtime::{self, Awaited, Blockable, Goal};
use crate::sync::{Arc, Instant, Mutex, Parker};
use crate::task::{Group, Identity, Target, WaitError};

pub(super) struct Gathered<H: Waitable> {
    group: Arc<Group>,
    left: Mutex<Left<H>>,
}

struct Left<H> {
    /// By their numbers in the group, which are in the order in which they came.
    handles: BTreeMap<usize, H>,
    /// Below this one none is worth a try to run it here.
    tried: usize,
}

impl<H: Waitable> Left<H> {
    fn first_queued(&self, pool: u32) -> Option<usize> {
        let is_queued = |handle: &H| target(handle).is_some_and(|target| target.is_queued(pool));
        self.handles.range(self.tried..).find(|(_, handle)| is_queued(handle)).map(|(&number, _)| number)
    }
}

fn target<H: Waitable>(handle: &H) -> Option<&dyn Target> {
    handle.reference().0
}

pub(super) fn has_ended(handle: &impl Waitable) -> bool {
    target(handle).is_none_or(|target| target.snapshot().is_terminal())
}

pub(super) fn has_failed(handle: &impl Waitable) -> bool {
    target(handle).is_some_and(Target::has_failed)
}

pub(super) fn identity(handle: &impl Waitable) -> Option<Identity> {
    target(handle).map(Target::identity)
}

impl<H: Waitable> Gathered<H> {
    pub(super) fn new() -> Self {
        Self { group: Group::new(), left: Mutex::new(Left { handles: BTreeMap::new(), tried: 0 }) }
    }

    pub(super) fn of(handles: impl IntoIterator<Item = H>) -> Self {
        let this = Self::new();
        handles.into_iter().for_each(|handle| this.add(handle));
        this
    }

    pub(super) fn add(&self, handle: H) {
        // Over both, so that whoever takes the number finds the handle.
        let mut left = self.left.lock();
        let number = self.group.add(target(&handle));
        left.handles.insert(number, handle);
    }

    pub(super) fn len(&self) -> usize {
        self.left.lock().handles.len()
    }

    /// The next one whose task has ended, with its number; none if none is left. Waits for it, at most until `deadline`.
    pub(super) fn next(&self, deadline: Option<Instant>) -> Result<Option<(usize, H)>, WaitError> {
        loop {
            if let Some(ended) = self.try_next() {
                return Ok(Some(ended));
            }
            if self.left.lock().handles.is_empty() {
                return Ok(None);
            }
            let next = Next { of: self, ran: Cell::new(None), nudges: Cell::new(0) };
            runtime::wait(&next, deadline)?;
            if let Some(ran) = next.ran.take() {
                return Ok(Some(ran));
            }
        }
    }

    pub(super) fn try_next(&self) -> Option<(usize, H)> {
        let mut left = self.left.lock();
        let number = self.group.take()?;
        let handle = left.handles.remove(&number).expect("a member's handle is here until its end is taken");
        Some((number, handle))
    }

    /// Those that were not taken, by their numbers.
    pub(super) fn rest(&self) -> BTreeMap<usize, H> {
        let rest = std::mem::take(&mut self.left.lock().handles);
        for (&number, handle) in &rest {
            if let Some(target) = target(handle) {
                target.deregister(&self.group.wake(number));
            }
        }
        rest
    }

    /// A handle of this pool whose task is queued, taken out.
    fn withdraw_queued(&self, pool: u32) -> Option<(usize, H)> {
        let mut left = self.left.lock();
        let number = left.first_queued(pool);
        left.tried = number.or(left.handles.last_key_value().map(|(&last, _)| last)).map_or(0, |tried| tried + 1);
        let number = number.filter(|&number| self.group.withdraw(number))?;
        left.handles.remove(&number).map(|handle| (number, handle))
    }

    /// Whether there may be one. Looks at all of them again.
    fn has_queued(&self, pool: u32) -> bool {
        let mut left = self.left.lock();
        left.tried = 0;
        left.first_queued(pool).is_some()
    }

    fn put_back(&self, number: usize, handle: H) {
        let mut left = self.left.lock();
        if let Some(target) = target(&handle) {
            self.group.put_back(number, target);
        }
        left.handles.insert(number, handle);
    }
}

impl<H: Waitable> Drop for Gathered<H> {
    fn drop(&mut self) {
        drop(self.rest());
    }
}

/// The wait for the next one; or the one that it ran itself.
struct Next<'a, H: Waitable> {
    of: &'a Gathered<H>,
    ran: Cell<Option<(usize, H)>>,
    /// How often the group had been nudged when it last looked.
    nudges: Cell<usize>,
}

impl<H: Waitable> Awaited for Next<'_, H> {
    fn is_over(&self) -> bool {
        self.of.group.is_over()
    }

    fn seems_over(&self) -> bool {
        self.of.group.seems_over()
    }

    fn needs_a_task_of(&self, pool: &dyn Fn(u32) -> bool) -> bool {
        self.of.group.awaits_only(|member| pool(member.pool))
    }

    fn needs(&self, task: Identity) -> bool {
        self.of.group.awaits_only(|member| member.task == task)
    }

    fn run_queued(&self, pool: u32, worker: &dyn Blockable) -> bool {
        while let Some((number, handle)) = self.of.withdraw_queued(pool) {
            if target(&handle).is_some_and(|target| target.run_queued(pool, worker)) {
                self.ran.set(Some((number, handle)));
                return true;
            }
            self.of.put_back(number, handle);
        }
        self.is_over()
    }

    fn goal(&self) -> Goal {
        Goal::Any(self.of.group.clone())
    }

    fn park_until(&self, deadline: Option<Instant>, _parker: &Arc<Parker>) -> bool {
        self.of.group.park_until(deadline, self.nudges.get())
    }

    fn begin_look(&self) {
        self.nudges.set(self.of.group.nudges());
    }

    fn is_queued(&self, pool: u32) -> bool {
        self.of.has_queued(pool)
    }
}
