//! Who wants to hear of a task's end: callbacks, parked threads and wakers. Made on first use.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::task::Waker;

use super::error::TaskError;
use super::group::Group;
use crate::sync::{Arc, Mutex, Parker};

pub(crate) type Callback<T> = Box<dyn FnOnce(&Result<T, TaskError>) + Send>;

/// A wake-up that comes after the result has become visible.
#[derive(Clone, Debug)]
pub(crate) enum Wake {
    Thread(Arc<Parker>),
    Task(Waker),
    /// One of several futures of one task.
    Place(Arc<Place>),
    /// The end of a group's member.
    Group(Arc<Group>, usize),
    /// What comes after the task.
    Next(Arc<dyn Next>),
}

/// Something that begins when a task has ended.
pub(crate) trait Next: Debug + Send + Sync {
    fn begin(&self);
}

impl Wake {
    pub(super) fn wake(self) {
        match self {
            Self::Thread(parker) => parker.unpark(),
            // A waker is user code: it may panic, and the rest must be woken all the same.
            Self::Task(waker) => super::quietly::quietly(|| waker.wake()),
            Self::Place(place) => place.wake(),
            Self::Group(group, member) => group.end(member),
            Self::Next(next) => next.begin(),
        }
    }

    fn same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Thread(a), Self::Thread(b)) => Arc::ptr_eq(a, b),
            // Only `TaskHandle::poll` registers wakers, by unique reference: the newer one replaces the older.
            (Self::Task(_), Self::Task(_)) => true,
            (Self::Place(a), Self::Place(b)) => Arc::ptr_eq(a, b),
            (Self::Group(a, m), Self::Group(b, n)) => Arc::ptr_eq(a, b) && m == n,
            // Never registered twice.
            _ => false,
        }
    }
}

/// Where a future leaves its newest waker.
#[derive(Debug, Default)]
pub(crate) struct Place(Mutex<Option<Waker>>);

impl Place {
    /// Whoever ends the task after this wakes it; who does so before may have found an older one, so look again.
    pub(crate) fn leave(&self, waker: &Waker) {
        // Cloned and dropped outside the lock: both are user code.
        let waker = waker.clone();
        let older = self.0.lock().replace(waker);
        super::quietly::drop_quietly(older);
    }

    fn wake(&self) {
        let waker = self.0.lock().take();
        super::quietly::quietly(|| waker.into_iter().for_each(Waker::wake));
    }
}

pub(super) struct Waiting<T> {
    pub(super) callbacks: VecDeque<Callback<T>>,
    pub(super) wakes: Vec<Wake>,
}

pub(super) struct Waiters<T>(pub(super) Mutex<Waiting<T>>);

impl<T> Waiters<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Waiting { callbacks: VecDeque::new(), wakes: Vec::new() }))
    }
}

impl<T> Waiting<T> {
    /// Adds a wake-up; the one it replaces is handed back, to be dropped outside the lock.
    pub(super) fn add(&mut self, wake: Wake) -> Option<Wake> {
        match self.wakes.iter_mut().find(|known| known.same_place(&wake)) {
            Some(known) => Some(std::mem::replace(known, wake)),
            None => {
                self.wakes.push(wake);
                None
            }
        }
    }

    pub(super) fn remove(&mut self, wake: &Wake) -> Option<Wake> {
        let at = self.wakes.iter().position(|known| known.same_place(wake))?;
        Some(self.wakes.swap_remove(at))
    }
}
