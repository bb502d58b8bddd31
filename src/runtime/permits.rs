//! The line of a counted limit: so many permits, first come, first served.

use std::collections::VecDeque;

use crate::policy::value_lock::{Entry, Granted, Ticket};
use crate::sync::{Mutex, MutexGuard, mutant};
use crate::task::Walk;

/// The permits of a limit, and who waits for some. Behind a mutex that is held for a few instructions or, by a task that names several things,
/// until it stands in all its lines.
pub(crate) struct Permits {
    most: u32,
    line: Mutex<Line>,
}

/// Invariant: the first in line, if any, wants more than is free. Nobody wants none, or more than there are.
struct Line {
    free: u32,
    waiting: VecDeque<(u32, Ticket)>,
}

/// The mutex of the line, kept until a task stands in all of its lines.
pub(super) struct Joined<'a>(#[allow(dead_code, reason = "held for its drop")] Option<MutexGuard<'a, Line>>);

impl Line {
    fn take(&mut self, permits: u32) -> bool {
        let fits = permits <= self.free;
        if fits {
            self.free -= permits;
        }
        fits
    }
}

impl Permits {
    pub(crate) fn new(most: u32) -> Self {
        Self { most, line: Mutex::new(Line { free: most, waiting: VecDeque::new() }) }
    }

    pub(crate) fn most(&self) -> u32 {
        self.most
    }

    /// Gets into line, also if what is wanted is free but somebody waits for more.
    pub(super) fn join(&self, permits: u32, ticket: impl FnOnce() -> Ticket) -> (Entry, Joined<'_>) {
        let mut line = self.line.lock();
        let first = line.free == self.most;
        let overtakes = line.waiting.is_empty() || mutant("permits_light_overtakes");
        let entry = match overtakes && line.take(permits) {
            true if first => Entry::First,
            true => Entry::Together,
            false => {
                line.waiting.push_back((permits, ticket()));
                Entry::Waits
            }
        };
        (entry, Joined((!mutant("permits_join_one_by_one")).then_some(line)))
    }

    /// Gives permits back; true if all are free.
    pub(super) fn leave(&self, permits: u32, granted: &mut Granted) -> bool {
        let mut line = self.line.lock();
        line.free += permits;
        while let Some(&(permits, _)) = line.waiting.front()
            && line.take(permits)
        {
            line.waiting.pop_front().into_iter().for_each(|(_, ticket)| granted.push(ticket));
            if mutant("permits_let_in_one") {
                break;
            }
        }
        line.free == self.most
    }

    /// Visits those who can't be let in before one of the stuck tasks has ended, of which one that wants so many permits is the latest.
    pub(super) fn behind(&self, permits: u32, walk: &mut dyn Walk) {
        let wanted = walk.permits(std::ptr::from_ref(self).cast(), permits);
        let line = self.line.lock();
        // None if all who wait are to be visited.
        let mut left = wanted.map(|wanted| {
            let stuck = line.waiting.iter().filter(|(_, ticket)| walk.is_stuck(ticket.task()));
            // Those of them who don't wait here have been let in, and keep what they have. Saturating: one may have left.
            let waiting: u64 = stuck.map(|(permits, _)| u64::from(*permits)).sum();
            u64::from(self.most).saturating_sub(wanted.saturating_sub(waiting))
        });
        // The others before them will end, but who is stuck does not give back what it gets.
        let at = line.waiting.iter().position(|(permits, ticket)| {
            let permits = u64::from(*permits);
            let Some(left) = left.as_mut().filter(|left| permits <= **left) else { return true };
            if walk.is_stuck(ticket.task()) {
                *left -= permits;
            }
            false
        });
        line.waiting.iter().skip(at.unwrap_or(line.waiting.len())).for_each(|(_, ticket)| walk.visit(ticket.task()));
    }
}
