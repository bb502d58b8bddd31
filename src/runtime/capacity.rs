//! The places of a bounded queue, and who waits for one.

use std::collections::VecDeque;

use super::when_full::WhenFull;
use crate::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};
use crate::sync::{Arc, Counter, Instant, Mutex, Parker, mutant};

/// Somebody waits, so no place is free: whoever gives one back hands it on. Changes under the lock only.
const WAITING: usize = 1 << (usize::BITS - 1);

/// How many more tasks may be queued.
#[derive(Debug)]
pub(crate) struct Capacity {
    bound: usize,
    pub(super) when_full: WhenFull,
    /// The free places, or [`WAITING`].
    free: AtomicUsize,
    line: Mutex<Line>,
    /// Tasks turned away.
    pub(super) rejected: Counter,
}

#[derive(Debug, Default)]
struct Line {
    /// The first one has waited for longest.
    waiting: VecDeque<Arc<Waiter>>,
    closed: bool,
}

/// A submitter in line.
#[derive(Debug)]
struct Waiter {
    parker: Parker,
    /// One of the constants below. Relaxed: the parker orders it.
    told: AtomicU32,
    /// Whether it may go on without a place, where none may ever come.
    exceeds: bool,
}

const NOTHING: u32 = 0;
const PLACE: u32 = 1;
const OVER: u32 = 2;
const CLOSED: u32 = 3;

/// A place in the queue. It is part of the task's closure, so whatever uses that up gives the place back: a start, a cancellation, a discard.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Capacity>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// How a wait for a place ended.
#[derive(Debug)]
pub(super) enum Waited {
    Place(Permit),
    /// Without a place, as none may ever come.
    Over,
    Closed,
    TimedOut,
}

/// A place in the line of submitters.
#[derive(Debug)]
#[must_use]
pub(super) struct Waiting<'a> {
    capacity: &'a Arc<Capacity>,
    waiter: Arc<Waiter>,
}

impl Capacity {
    pub(super) fn new(bound: usize, when_full: WhenFull) -> Arc<Self> {
        // More than this is no bound at all.
        let bound = bound.min(WAITING - 1);
        Arc::new(Self {
            bound,
            when_full,
            free: AtomicUsize::new(bound),
            line: Mutex::new(Line::default()),
            rejected: Counter::default(),
        })
    }

    pub(crate) fn bound(&self) -> usize {
        self.bound
    }

    /// A place, if one is free and nobody waits.
    pub(super) fn try_take(self: &Arc<Self>) -> Option<Permit> {
        let take = |free: usize| if free & WAITING == 0 { free.checked_sub(1) } else { None };
        // Relaxed: a place orders nothing.
        self.free.fetch_update(Relaxed, Relaxed, take).is_ok().then(|| Permit(self.clone()))
    }

    fn give_back(self: &Arc<Self>) {
        let give = |free: usize| (free & WAITING == 0).then_some(free + 1);
        while self.free.fetch_update(Relaxed, Relaxed, give).is_err() {
            let mut line = self.line.lock();
            let first = line.waiting.pop_front();
            self.note_whether_empty(&line);
            drop(line);
            // Who waited may have left: then the place is free again.
            if let Some(first) = first {
                first.tell(PLACE);
                return;
            }
        }
    }

    /// To be called under the lock, whenever somebody has left the line.
    fn note_whether_empty(&self, line: &Line) {
        if line.waiting.is_empty() {
            self.free.fetch_and(!WAITING, Relaxed);
        }
    }

    /// Gets into line, unless there is a place at once.
    pub(super) fn line_up(self: &Arc<Self>, exceeds: bool) -> Result<Waiting<'_>, Waited> {
        let mut line = self.line.lock();
        if line.closed && !mutant("capacity_waits_when_closed") {
            return Err(Waited::Closed);
        }
        // A place may have been given back since the caller looked; from this change on it would be handed on.
        let wait = |free: usize| Some(if free & !WAITING == 0 { WAITING } else { free - 1 });
        let before = self.free.fetch_update(Relaxed, Relaxed, wait).expect("never refused");
        if before & !WAITING > 0 && !mutant("capacity_waits_for_a_free_place") {
            return Err(Waited::Place(Permit(self.clone())));
        }
        let waiter = Arc::new(Waiter { parker: Parker::new(), told: AtomicU32::new(NOTHING), exceeds });
        line.waiting.push_back(waiter.clone());
        Ok(Waiting { capacity: self, waiter })
    }

    /// Lets those go on without a place who may: what would free one may wait for them.
    pub(super) fn let_over(&self) {
        let mut line = self.line.lock();
        let (over, stay) = std::mem::take(&mut line.waiting).into_iter().partition(|waiter| waiter.exceeds);
        line.waiting = stay;
        self.note_whether_empty(&line);
        drop(line);
        let over: VecDeque<Arc<Waiter>> = over;
        over.iter().for_each(|waiter| waiter.tell(OVER));
    }

    /// Nobody waits from now on.
    pub(super) fn close(&self) {
        let mut line = self.line.lock();
        line.closed = true;
        let all = std::mem::take(&mut line.waiting);
        self.note_whether_empty(&line);
        drop(line);
        all.iter().for_each(|waiter| waiter.tell(CLOSED));
    }
}

impl Waiter {
    /// By whoever took it out of the line.
    fn tell(&self, what: u32) {
        self.told.store(what, Relaxed);
        self.parker.unpark();
    }
}

impl Waiting<'_> {
    pub(super) fn wait(self, deadline: Option<Instant>) -> Waited {
        let Self { capacity, waiter } = self;
        if !waiter.parker.park_until(deadline) {
            let mut line = capacity.line.lock();
            if let Some(at) = line.waiting.iter().position(|other| Arc::ptr_eq(other, &waiter)) {
                line.waiting.remove(at);
                capacity.note_whether_empty(&line);
                return Waited::TimedOut;
            }
            drop(line);
            if mutant("capacity_time_out_loses_the_place") {
                return Waited::TimedOut;
            }
            // Somebody took it out of the line, and is about to tell it.
            waiter.parker.park();
        }
        match waiter.told.load(Relaxed) {
            PLACE => Waited::Place(Permit(capacity.clone())),
            OVER => Waited::Over,
            _ => Waited::Closed,
        }
    }
}
