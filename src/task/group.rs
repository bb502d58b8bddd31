//! Several tasks of which somebody awaits the next one to end.

use std::collections::{BTreeMap, VecDeque};

use super::header::Identity;
use super::target::Target;
use super::waiters::Wake;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Arc, Condvar, Instant, Mutex, mutant};

/// Which of its members have ended, in the order in which they did, and which have not. A member is told by the number it got when it
/// was added.
#[derive(Debug)]
pub(crate) struct Group {
    members: Mutex<Members>,
    changed: Condvar,
    /// Whether one has ended that was not taken: for a look without the lock.
    some: AtomicBool,
}

#[derive(Debug, Default)]
struct Members {
    next: usize,
    /// Those that have not ended.
    pending: BTreeMap<usize, Member>,
    ended: VecDeque<usize>,
    nudges: usize,
}

/// A task, to be compared, and the number of its pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) task: Identity,
    pub(crate) pool: u32,
    /// Whether it waits for its time, or has done so.
    pub(crate) by_time: bool,
}

impl Member {
    pub(crate) fn of(target: &(impl Target + ?Sized)) -> Self {
        Self { task: target.identity(), pool: target.pool(), by_time: target.snapshot().comes_by_time() }
    }
}

// SAFETY: the pointer is compared, never followed.
unsafe impl Send for Member {}

impl Group {
    pub(crate) fn new() -> Arc<Self> {
        let members = Mutex::new(Members::default());
        Arc::new(Self { members, changed: Condvar::new(), some: AtomicBool::new(false) })
    }

    /// Adds a task, or what has no task any more as its result was taken; its number, one higher with each.
    pub(crate) fn add(self: &Arc<Self>, target: Option<&dyn Target>) -> usize {
        let mut members = self.members.lock();
        let number = members.next;
        members.next += 1;
        match target.filter(|target| !target.snapshot().is_terminal()) {
            None => self.note_end(&mut members, number),
            Some(target) => members.await_end(number, target),
        }
        drop(members);
        match target {
            Some(target) if target.snapshot().is_terminal() || !target.register(&self.wake(number)) => self.end(number),
            Some(_) => {}
            None => self.tell(false),
        }
        number
    }

    /// Does not await this member any more; false if it has ended.
    pub(crate) fn withdraw(&self, number: usize) -> bool {
        let mut members = self.members.lock();
        let awaited = members.pending.remove(&number).is_some();
        let last = members.is_over();
        drop(members);
        if last {
            self.changed.notify_all();
        }
        awaited
    }

    /// Awaits it again.
    pub(crate) fn put_back(&self, number: usize, target: &dyn Target) {
        self.members.lock().await_end(number, target);
        if target.snapshot().is_terminal() {
            self.end(number);
        }
    }

    /// The wake-up of a member's end.
    pub(crate) fn wake(self: &Arc<Self>, number: usize) -> Wake {
        Wake::Group(self.clone(), number)
    }

    /// A member has ended.
    pub(super) fn end(&self, number: usize) {
        let mut members = self.members.lock();
        if members.pending.remove(&number).is_none() {
            return;
        }
        self.note_end(&mut members, number);
        let last = members.pending.is_empty();
        drop(members);
        self.tell(last);
    }

    fn note_end(&self, members: &mut Members, number: usize) {
        members.ended.push_back(number);
        self.some.store(true, Relaxed);
    }

    fn tell(&self, last: bool) {
        // With the last one gone, whoever else waits does so for nothing.
        if last && !mutant("group_end_untold") {
            self.changed.notify_all();
        } else {
            self.changed.notify_one();
        }
    }

    /// The next one that has ended, each once.
    pub(crate) fn take(&self) -> Option<usize> {
        let mut members = self.members.lock();
        let number = members.ended.pop_front()?;
        self.some.store(!members.ended.is_empty(), Relaxed);
        Some(number)
    }

    /// Whether one has ended, or none is left to do so; perhaps not the newest answer.
    pub(crate) fn seems_over(&self) -> bool {
        self.some.load(Relaxed)
    }

    /// Whether one has ended, or none is left to do so.
    pub(crate) fn is_over(&self) -> bool {
        self.members.lock().is_over()
    }

    /// Has those that wait look around.
    pub(crate) fn nudge(&self) {
        self.members.lock().nudges += 1;
        self.changed.notify_all();
    }

    /// How often that has been.
    pub(crate) fn nudges(&self) -> usize {
        self.members.lock().nudges
    }

    /// Waits until one has ended, or none is left to do so, or there have been more nudges; false if `deadline` passed before.
    pub(crate) fn park_until(&self, deadline: Option<Instant>, nudges: usize) -> bool {
        let mut members = self.members.lock();
        while !members.is_over() && members.nudges == nudges {
            match deadline {
                None => self.changed.wait(&mut members),
                Some(deadline) if self.changed.wait_until(&mut members, deadline) => return members.is_over(),
                Some(_) => {}
            }
        }
        true
    }

    /// Whether the next end may be that of such a member.
    pub(crate) fn awaits_some(&self, such: impl FnMut(Member) -> bool) -> bool {
        self.members.lock().pending.values().copied().any(such)
    }

    /// Whether the next end is that of such a member, as there are no others.
    pub(crate) fn awaits_only(&self, mut such: impl FnMut(Member) -> bool) -> bool {
        let members = self.members.lock();
        !members.is_over() && members.pending.values().all(|&member| such(member))
    }
}

impl Members {
    fn await_end(&mut self, number: usize, target: &dyn Target) {
        self.pending.insert(number, Member::of(target));
    }

    fn is_over(&self) -> bool {
        !self.ended.is_empty() || self.pending.is_empty()
    }
}
