//! What is seen of each task while a program runs.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use lockgrain::TaskError;

use crate::program::{Body, Name};

/// How a task came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Value,
    Panicked,
    Cancelled,
    Refused,
    Full,
    Aliased,
    Poisoned,
    Abandoned,
    Expired,
    /// None that a handle may have.
    Unknown,
}

impl Outcome {
    pub(crate) fn of<T>(result: Result<&T, &TaskError>) -> Self {
        match result {
            Ok(_) => Self::Value,
            Err(TaskError::Panicked(_)) => Self::Panicked,
            Err(TaskError::Cancelled) => Self::Cancelled,
            Err(TaskError::Refused) => Self::Refused,
            Err(TaskError::QueueFull) => Self::Full,
            Err(TaskError::Aliased) => Self::Aliased,
            Err(TaskError::Poisoned) => Self::Poisoned,
            Err(TaskError::Abandoned) => Self::Abandoned,
            Err(TaskError::Expired) => Self::Expired,
            Err(_) => Self::Unknown,
        }
    }
}

/// How a task is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    /// Counts towards the bound of the queue: only these can be full or be discarded.
    Bounded,
    /// The same, and may not start late.
    Expiring,
    Guarded(Vec<Name>),
    /// By key, or on a strand.
    Keyed,
    Delayed,
    /// Its time never comes.
    Far,
    Series,
    /// Comes after another.
    Next,
    Promise,
}

/// What has become known of a task other than by its running.
#[derive(Clone, Default)]
pub(crate) struct Facts {
    /// It was refused right away.
    pub(crate) rejected: bool,
    /// It was accepted, so it can't be refused.
    pub(crate) accepted: bool,
    /// A shutdown had begun when its submission ended.
    pub(crate) late: bool,
    /// The pool was shutting down when its submission began.
    pub(crate) too_late: bool,
    /// `cancel` has said that it is cancelled.
    pub(crate) cancelled: bool,
    /// `cancel` has said that it runs, or has ended.
    pub(crate) started: bool,
    /// It was asked to stop.
    pub(crate) asked: bool,
    /// Its promise was fulfilled, ended with an error, or dropped.
    pub(crate) fulfilled: bool,
    pub(crate) failed: bool,
    pub(crate) dropped: bool,
    /// What a handle, a callback or a continuation has said.
    pub(crate) outcome: Option<Outcome>,
}

/// Those that hold.
impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rejected, accepted, late, too_late, cancelled, started, asked, fulfilled, failed, dropped, outcome } =
            self;
        let all = [
            (rejected, "rejected"),
            (accepted, "accepted"),
            (late, "late"),
            (too_late, "too late"),
            (cancelled, "cancelled"),
            (started, "not to be cancelled"),
            (asked, "asked to stop"),
            (fulfilled, "fulfilled"),
            (failed, "failed"),
            (dropped, "abandoned"),
        ];
        all.into_iter().filter(|(holds, _)| **holds).try_for_each(|(_, name)| write!(f, "{name}, "))?;
        write!(f, "outcome {outcome:?}")
    }
}

/// One task.
pub(crate) struct Record {
    /// In the order of submission, as far as one client is concerned.
    pub(crate) number: usize,
    pub(crate) client: usize,
    pub(crate) kind: Kind,
    pub(crate) body: Body,
    /// So many calls that cancel what is queued had ended before it was submitted.
    pub(crate) cleared: usize,
    /// Without a handle: its output is dropped by the task.
    pub(crate) spawned: bool,
    pub(crate) runs: AtomicUsize,
    /// When it began, by the ledger's clock.
    pub(crate) began: AtomicUsize,
    /// How often what it captured was dropped.
    pub(crate) drops: AtomicUsize,
    pub(crate) outputs: AtomicUsize,
    pub(crate) output_drops: AtomicUsize,
    pub(crate) callbacks: AtomicUsize,
    pub(crate) called: AtomicUsize,
    pub(crate) facts: Mutex<Facts>,
    ledger: Arc<Ledger>,
}

impl Record {
    /// The client of what tasks submit: no order is promised between different tasks.
    pub(crate) const TASK: usize = usize::MAX;

    pub(crate) fn facts(&self) -> Facts {
        self.facts.lock().unwrap().clone()
    }

    pub(crate) fn note(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.facts.lock().unwrap());
    }

    /// All who hear of the end hear the same.
    pub(crate) fn ended(&self, outcome: Outcome) {
        let before = self.facts.lock().unwrap().outcome.replace(outcome);
        if before.is_some_and(|before| before != outcome) {
            self.fault(&format!("ended as {outcome:?} and as {before:?}"));
        }
    }

    pub(crate) fn fault(&self, what: &str) {
        self.ledger.fault(format!("{self:?} {what}"));
    }

    pub(crate) fn has_run(&self) -> bool {
        self.runs.load(SeqCst) > 0
    }

    pub(crate) fn panics(&self) -> bool {
        self.body.panics() || (self.spawned && self.body == Body::BombOutput)
    }

    /// Nothing of it is left, as far as can be seen.
    pub(crate) fn is_gone(&self) -> bool {
        let closure = self.kind == Kind::Promise || self.drops.load(SeqCst) > 0;
        let outputs = self.outputs.load(SeqCst);
        // Made when the closure is gone. A scope's task and a series have none.
        let has_none = !self.has_run() || self.panics() || matches!(self.kind, Kind::Plain | Kind::Series);
        closure && (outputs > 0 || has_none) && outputs == self.output_drops.load(SeqCst)
    }

    /// Its closure begins.
    pub(crate) fn begin(&self) {
        self.began.store(self.ledger.clock.fetch_add(1, SeqCst), SeqCst);
        self.runs.fetch_add(1, SeqCst);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, client, kind, body, .. } = self;
        match *client {
            Self::TASK => write!(f, "task {number} of a task")?,
            client => write!(f, "task {number} of client {client}")?,
        }
        write!(f, " ({kind:?}, {body:?}")?;
        write!(f, ", runs {}, drops {}", self.runs.load(SeqCst), self.drops.load(SeqCst))?;
        match self.facts.try_lock() {
            Ok(facts) => write!(f, ", {facts:?})"),
            Err(_) => f.write_str(")"),
        }
    }
}

/// All tasks of a program, and what was found wrong.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) records: Mutex<Vec<Arc<Record>>>,
    pub(crate) faults: Mutex<Vec<String>>,
    clock: AtomicUsize,
    /// A shutdown is about to be called, or has been.
    pub(crate) closing: AtomicBool,
    /// One has been called.
    pub(crate) closed: AtomicBool,
    /// The same of one that cancels.
    pub(crate) cancelling: AtomicBool,
    /// How often what is queued is about to be cancelled, or was.
    pub(crate) clearing: AtomicUsize,
    /// How often it was.
    cleared: AtomicUsize,
    /// Panics that came to the panic handler.
    pub(crate) handled: AtomicUsize,
    /// What each client does at the moment.
    pub(crate) at: Mutex<Vec<String>>,
}

impl Ledger {
    pub(crate) fn record(self: &Arc<Self>, client: usize, kind: Kind, body: Body, spawned: bool) -> Arc<Record> {
        let mut records = self.records.lock().unwrap();
        let record = Arc::new(Record {
            number: records.len(),
            client,
            kind,
            body,
            cleared: self.cleared.load(SeqCst),
            spawned,
            runs: AtomicUsize::new(0),
            began: AtomicUsize::new(0),
            drops: AtomicUsize::new(0),
            outputs: AtomicUsize::new(0),
            output_drops: AtomicUsize::new(0),
            callbacks: AtomicUsize::new(0),
            called: AtomicUsize::new(0),
            facts: Mutex::default(),
            ledger: self.clone(),
        });
        records.push(record.clone());
        record
    }

    pub(crate) fn all(&self) -> Vec<Arc<Record>> {
        self.records.lock().unwrap().clone()
    }

    pub(crate) fn fault(&self, what: String) {
        self.faults.lock().unwrap().push(what);
    }

    pub(crate) fn expect(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fault(what());
        }
    }

    /// Submits, and notes whether the pool may have been closed by then.
    pub(crate) fn submitting<R>(&self, record: &Arc<Record>, submit: impl FnOnce() -> R) -> R {
        self.submitting_all(std::slice::from_ref(record), submit)
    }

    /// The same of several.
    pub(crate) fn submitting_all<R>(&self, records: &[Arc<Record>], submit: impl FnOnce() -> R) -> R {
        let too_late = self.closed.load(SeqCst);
        let result = submit();
        let late = self.closing.load(SeqCst);
        records.iter().for_each(|record| record.note(|facts| (facts.late, facts.too_late) = (late, too_late)));
        result
    }

    /// Cancels what is queued.
    pub(crate) fn clearing<R>(&self, clear: impl FnOnce() -> R) -> R {
        self.clearing.fetch_add(1, SeqCst);
        let result = clear();
        self.cleared.fetch_add(1, SeqCst);
        result
    }

    /// Calls a shutdown.
    pub(crate) fn closing<R>(&self, now: bool, shutdown: impl FnOnce() -> R) -> R {
        self.cancelling.fetch_or(now, SeqCst);
        self.closing.store(true, SeqCst);
        let result = shutdown();
        self.closed.store(true, SeqCst);
        result
    }
}

/// What a hang is reported with.
impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(at) = self.at.try_lock() {
            for (client, at) in at.iter().enumerate() {
                writeln!(f, "client {client} is at {at}")?;
            }
        }
        if let Ok(records) = self.records.try_lock() {
            records.iter().try_for_each(|record| writeln!(f, "{record:?}"))?;
        }
        if let Ok(faults) = self.faults.try_lock() {
            faults.iter().try_for_each(|fault| writeln!(f, "fault: {fault}"))?;
        }
        Ok(())
    }
}
