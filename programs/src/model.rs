//! The reference model: which ends a task can come to, by what was done to it and to its pool.

use std::sync::atomic::Ordering::SeqCst;

use crate::ledger::{Facts, Kind, Ledger, Outcome, Record};
use crate::program::Settings;

/// What happened to the pool, and to what the tasks name.
pub(crate) struct Model {
    pub(crate) settings: Settings,
    /// A shutdown was called.
    pub(crate) closed: bool,
    /// One that cancels was called.
    pub(crate) cancelled: bool,
    /// How often what was queued was cancelled.
    pub(crate) clearings: usize,
    /// The value that can be poisoned is.
    pub(crate) poisoned: bool,
}

impl Model {
    pub(crate) fn new(ledger: &Ledger, settings: Settings, poisoned: bool) -> Self {
        let (closed, cancelled) = (ledger.closing.load(SeqCst), ledger.cancelling.load(SeqCst));
        let clearings = ledger.clearing.load(SeqCst);
        Self { settings, closed, cancelled, clearings, poisoned }
    }

    /// Checks one task, once all is over.
    pub(crate) fn judge(&self, record: &Record) {
        let facts = record.facts();
        let runs = record.runs.load(SeqCst);
        let check = |holds: bool, what: &str| {
            if !holds {
                record.fault(what);
            }
        };
        let (made, gone) = (record.outputs.load(SeqCst), record.output_drops.load(SeqCst));
        check(made == gone, "has not had its output dropped once");
        let (callbacks, called) = (record.callbacks.load(SeqCst), record.called.load(SeqCst));
        check(callbacks == called, "has not had its callbacks called once each");
        if record.kind != Kind::Promise {
            check(record.drops.load(SeqCst) == 1, "has not had its closure dropped once");
        }
        if record.kind != Kind::Series {
            check(runs <= 1, "ran more than once");
        }
        match facts.outcome {
            Some(outcome) => check(self.allows(record, &facts, outcome), "can't have come to this end"),
            // Nobody was told: it did run, unless there is a reason.
            None if record.kind == Kind::Promise => {}
            None => check(runs > 0 || self.may_not_run(record, &facts), "was lost"),
        }
    }

    /// Whether the task may have ended so.
    pub(crate) fn allows(&self, record: &Record, facts: &Facts, outcome: Outcome) -> bool {
        if record.kind == Kind::Promise {
            return match outcome {
                Outcome::Value => facts.fulfilled,
                Outcome::Poisoned => facts.failed,
                Outcome::Abandoned => facts.dropped && !facts.fulfilled && !facts.failed && !facts.cancelled,
                Outcome::Cancelled => facts.cancelled || facts.asked,
                _ => false,
            };
        }
        if record.kind == Kind::Series {
            return match outcome {
                Outcome::Panicked => record.has_run(),
                Outcome::Cancelled => facts.cancelled || facts.asked || self.closed,
                Outcome::Refused => facts.late && !record.has_run(),
                _ => false,
            };
        }
        match outcome {
            Outcome::Value | Outcome::Panicked => {
                let value = outcome == Outcome::Value;
                record.has_run() && !facts.cancelled && !facts.too_late && value != record.panics()
            }
            _ if record.has_run() => false,
            Outcome::Refused => self.may_be_refused(record, facts),
            Outcome::Aliased => names_one_twice(record),
            Outcome::Poisoned => self.poisoned && names_the_first(record),
            Outcome::Full => {
                let bounded = matches!(record.kind, Kind::Bounded | Kind::Expiring);
                self.settings.queue.is_some() && bounded && !facts.accepted
            }
            Outcome::Expired => record.kind == Kind::Expiring && !facts.started,
            Outcome::Cancelled => !facts.started && self.may_be_cancelled(record, facts),
            Outcome::Abandoned | Outcome::Unknown => false,
        }
    }

    fn may_be_refused(&self, record: &Record, facts: &Facts) -> bool {
        // What comes after another is submitted when that one has ended.
        // Also what was accepted while the pool stopped: too late to run.
        if record.kind == Kind::Next { self.closed } else { facts.late }
    }

    fn may_be_cancelled(&self, record: &Record, facts: &Facts) -> bool {
        let by_shutdown = match record.kind {
            Kind::Delayed => self.cancelled || (self.closed && !self.settings.run_delayed),
            Kind::Far | Kind::Next => self.closed,
            _ => self.cancelled,
        };
        // Whatever it names, if it has been queued for longest.
        let cleared = record.cleared < self.clearings && record.kind != Kind::Far;
        facts.cancelled || facts.asked || by_shutdown || cleared || self.settings.discards()
    }

    /// Whether there is any reason for which it did not run.
    fn may_not_run(&self, record: &Record, facts: &Facts) -> bool {
        use Outcome::{Aliased, Cancelled, Expired, Full, Poisoned, Refused};
        let ends = [Refused, Aliased, Poisoned, Full, Cancelled, Expired];
        ends.into_iter().any(|end| self.allows(record, facts, end))
    }
}

/// One value twice in one task.
fn names_one_twice(record: &Record) -> bool {
    let Kind::Guarded(names) = &record.kind else { return false };
    names.iter().enumerate().any(|(at, name)| names[..at].iter().any(|before| before.value == name.value))
}

/// The value that can be poisoned.
fn names_the_first(record: &Record) -> bool {
    matches!(&record.kind, Kind::Guarded(names) if names.iter().any(|name| name.value == 0))
}
