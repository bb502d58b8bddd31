//! What a task of a program carries, and what it does.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use lockgrain::gate::Gate as _;
use lockgrain::{LockPolicy, TaskError, ThreadPool, as_completed, blocking};

use crate::ledger::{Kind, Ledger, Outcome, Record};
use crate::line::{Inside, Line};
use crate::program::{Body, Settings};
use crate::sync::Gate;

/// Panics, but not on top of a panic: that would abort the process. Without the panic hook's message.
fn blow_up() {
    if !std::thread::panicking() {
        resume_unwind(Box::new("a bomb"));
    }
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        blow_up();
    }
}

/// Counts the drop of what it is captured by.
struct Probe(Arc<Record>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, SeqCst);
        if self.0.body == Body::BombCapture {
            blow_up();
        }
    }
}

/// What a task returns.
pub(crate) struct Output {
    pub(crate) record: Arc<Record>,
    disarmed: AtomicBool,
}

impl Output {
    pub(crate) fn new(record: Arc<Record>) -> Self {
        record.outputs.fetch_add(1, SeqCst);
        Self { record, disarmed: AtomicBool::new(false) }
    }

    /// Its drop does not panic any more.
    pub(crate) fn disarm(&self) {
        self.disarmed.store(true, SeqCst);
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.record.output_drops.fetch_add(1, SeqCst);
        if self.record.body == Body::BombOutput && !self.disarmed.load(SeqCst) {
            blow_up();
        }
    }
}

/// What all tasks of a program know.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) settings: Settings,
}

pub(crate) struct Job<P: LockPolicy> {
    record: Arc<Record>,
    common: Arc<Common>,
    gate: Arc<Gate>,
    pool: Option<ThreadPool<P>>,
    lines: Vec<(Arc<Line>, bool)>,
    has_context: bool,
    /// Last: it says that all is gone.
    _probe: Probe,
}

impl<P: LockPolicy> Job<P> {
    pub(crate) fn new(record: &Arc<Record>, common: &Arc<Common>, pool: &ThreadPool<P>, gate: Arc<Gate>) -> Self {
        Self {
            record: record.clone(),
            common: common.clone(),
            gate,
            pool: record.body.submits().then(|| pool.clone()),
            lines: Vec::new(),
            has_context: false,
            _probe: Probe(record.clone()),
        }
    }

    pub(crate) fn in_lines(self, lines: Vec<(Arc<Line>, bool)>) -> Self {
        Self { lines, ..self }
    }

    pub(crate) fn with_context(self) -> Self {
        Self { has_context: true, ..self }
    }

    /// Whether it can't wait for another task.
    fn holds_the_lock(&self) -> bool {
        P::Gate::EXCLUSIVE && (self.has_context || matches!(self.record.kind, Kind::Guarded(_) | Kind::Keyed))
    }

    pub(crate) fn run(mut self) -> Output {
        self.record.begin();
        let lines = std::mem::take(&mut self.lines);
        let inside: Vec<_> =
            lines.into_iter().map(|(line, shared)| Inside::enter(line, shared, &self.record)).collect();
        self.perform();
        drop(inside);
        // Not at the end of this function: an output that is returned is lost if a drop after it panics.
        let record = self.record.clone();
        drop(self);
        Output::new(record)
    }

    fn perform(&self) {
        match self.record.body {
            Body::Return | Body::BombCapture | Body::BombOutput => {}
            Body::Panic => resume_unwind(Box::new("asked for")),
            Body::PanicWithBomb => resume_unwind(Box::new(Bomb)),
            Body::Hold => self.gate.pass(),
            Body::Blocking => blocking(|| ()),
            Body::BlockingHold => blocking(|| self.gate.pass()),
            Body::Spawn | Body::Child | Body::CancelledChild | Body::Children | Body::Scope | Body::Join => {
                if let Some(pool) = &self.pool {
                    self.submit_to(pool);
                }
            }
        }
    }

    fn submit_to(&self, pool: &ThreadPool<P>) {
        match self.record.body {
            Body::Spawn => {
                let (record, child) = self.child(pool, true);
                let spawned = self.common.ledger.submitting(&record, || pool.spawn(move || drop(child.run())));
                record.note(|facts| (facts.rejected, facts.accepted) = (spawned.is_err(), spawned.is_ok()));
            }
            Body::Child => {
                let (record, child) = self.child(pool, false);
                let handle = self.common.ledger.submitting(&record, || pool.submit(move || child.run()));
                self.has_ended(&record, &handle.result());
            }
            Body::CancelledChild => {
                let (record, child) = self.child(pool, false);
                let handle = self.common.ledger.submitting(&record, || pool.submit(move || child.run()));
                let cancelled = handle.cancel();
                record.note(|facts| (facts.cancelled, facts.started) = (cancelled, !cancelled));
                self.has_ended(&record, &handle.result());
            }
            Body::Children => {
                let children: Vec<_> = (0..2)
                    .map(|_| {
                        let (record, child) = self.child(pool, false);
                        self.common.ledger.submitting(&record, || pool.submit(move || child.run()))
                    })
                    .collect();
                for child in as_completed(children) {
                    match child {
                        Ok(handle) => {
                            // The output says which one it is.
                            if let Ok(output) = handle.result() {
                                output.record.ended(Outcome::Value);
                            }
                        }
                        Err(_) => self.may_not_wait(),
                    }
                }
            }
            Body::Scope if !self.holds_the_lock() => scope(&self.common, pool, 2),
            // On a submitter's thread it is a submission, which panics if the pool is shutting down.
            Body::Join if self.common.settings.submissions_wait() => {}
            Body::Join if !self.holds_the_lock() => join(&self.common, pool),
            _ => {}
        }
    }

    fn child(&self, pool: &ThreadPool<P>, spawned: bool) -> (Arc<Record>, Self) {
        let record = self.common.ledger.record(Record::TASK, Kind::Bounded, Body::Return, spawned);
        let job = Self::new(&record, &self.common, pool, self.gate.clone());
        (record, job)
    }

    fn has_ended(&self, record: &Record, result: &Result<Output, TaskError>) {
        match result {
            Err(TaskError::WouldDeadlock) => self.may_not_wait(),
            result => record.ended(Outcome::of(result.as_ref())),
        }
    }

    /// A wait was refused.
    fn may_not_wait(&self) {
        let few = self.common.settings.spares < Settings::MANY_SPARES;
        if !(few || self.holds_the_lock()) {
            self.record.fault("was refused a wait, although there are spare workers");
        }
    }
}

/// Tasks that borrow: none outlives the scope.
pub(crate) fn scope<P: LockPolicy>(common: &Common, pool: &ThreadPool<P>, tasks: usize) {
    struct Gone<'a>(&'a AtomicUsize);
    impl Drop for Gone<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let (runs, drops) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let records: Vec<_> =
        (0..tasks).map(|_| common.ledger.record(Record::TASK, Kind::Plain, Body::Return, true)).collect();
    pool.scope(|s| {
        for record in &records {
            let (gone, runs, probe) = (Gone(&drops), &runs, Probe(record.clone()));
            let task = move || {
                let (_gone, probe) = (gone, probe);
                probe.0.begin();
                runs.fetch_add(1, SeqCst);
            };
            let spawned = common.ledger.submitting(record, || s.spawn(task));
            record.note(|facts| (facts.rejected, facts.accepted) = (spawned.is_err(), spawned.is_ok()));
        }
    });
    let (runs, drops) = (runs.load(SeqCst), drops.load(SeqCst));
    common.ledger.expect(drops == tasks && runs <= tasks, || {
        format!("a scope of {tasks} tasks has run {runs} and dropped {drops}")
    });
}

/// Both halves always run.
pub(crate) fn join<P: LockPolicy>(common: &Common, pool: &ThreadPool<P>) {
    let halves = pool.join(|| 1, || pool.join(|| 2, || 3));
    common.ledger.expect(halves == (1, (2, 3)), || format!("a join gave {halves:?}"));
}
