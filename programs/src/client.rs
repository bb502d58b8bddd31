//! A client: performs its operations one after another, and notes what it sees.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use lockgrain::{Access, Guarded, Keyed, LockPolicy, Promise, ResizeError, ReturnWhen, SharedHandle, Strand};
use lockgrain::{TaskError, TaskHandle, ThreadPool, WaitError, as_completed, block_on, promise, wait};

use crate::job::{self, Common, Job, Output};
use crate::ledger::{Kind, Outcome, Record};
use crate::line::{Line, Value};
use crate::program::{Body, Name, Op, Settings};
use crate::sync::Gate;

/// What all clients use.
pub(crate) struct World<P: LockPolicy> {
    pub(crate) pool: ThreadPool<P>,
    pub(crate) common: Arc<Common>,
    values: Vec<Guarded<Value, P>>,
    keyed: Keyed<u8, P>,
    strand: Strand<P>,
    lines: Lines,
}

/// What happens in each value, key and strand.
#[derive(Clone, Default)]
pub(crate) struct Lines {
    pub(crate) values: [Arc<Line>; 3],
    pub(crate) keys: [Arc<Line>; 3],
    pub(crate) strand: Arc<Line>,
}

impl<P: LockPolicy> World<P> {
    pub(crate) fn new(pool: ThreadPool<P>, common: Arc<Common>, lines: Lines) -> Self {
        let guard = |(at, line): (usize, &Arc<Line>)| {
            let guarded = pool.guarded(Value(line.clone()));
            if at == 0 { guarded.poisoning() } else { guarded }
        };
        let values = lines.values.iter().enumerate().map(guard).collect();
        Self { values, keyed: pool.keyed(), strand: pool.strand(), pool, common, lines }
    }
}

enum Held {
    Own(TaskHandle<Output>),
    Shared(SharedHandle<Output>),
    Series(TaskHandle<()>),
}

/// A task that a client has a handle of.
pub(crate) struct Slot {
    pub(crate) record: Arc<Record>,
    held: Held,
    /// The promise that it ends with.
    promise: Option<Arc<Record>>,
}

pub(crate) struct Client<P: LockPolicy> {
    number: usize,
    world: Arc<World<P>>,
    gate: Arc<Gate>,
    slots: Vec<Slot>,
    promises: Vec<(Promise<Output>, Arc<Record>)>,
}

/// What is left of a client: it waits for nothing.
#[derive(Default)]
pub(crate) struct Rest {
    pub(crate) slots: Vec<Slot>,
    pub(crate) promises: Vec<(Promise<Output>, Arc<Record>)>,
}

const SHORT: Duration = Duration::from_micros(200);
const LONG: Duration = Duration::from_secs(3600);

impl Slot {
    fn cancel(&self) -> bool {
        match &self.held {
            Held::Own(handle) => handle.cancel(),
            Held::Shared(handle) => handle.cancel(),
            Held::Series(handle) => handle.cancel(),
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        match &self.held {
            Held::Own(handle) => handle.is_finished(),
            Held::Shared(handle) => handle.is_finished(),
            Held::Series(handle) => handle.is_finished(),
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<(), WaitError> {
        match (&self.held, timeout) {
            (Held::Own(handle), None) => handle.wait(),
            (Held::Own(handle), Some(timeout)) => handle.wait_timeout(timeout),
            (Held::Shared(handle), None) => handle.wait(),
            (Held::Shared(handle), Some(timeout)) => handle.wait_timeout(timeout),
            (Held::Series(handle), None) => handle.wait(),
            (Held::Series(handle), Some(timeout)) => handle.wait_timeout(timeout),
        }
    }

    /// Takes the result of a task that has ended, or waits for it.
    pub(crate) fn result(self) {
        let Self { record, held, .. } = self;
        match held {
            Held::Own(handle) => took(&record, handle.result()),
            Held::Shared(handle) => {
                let result = handle.result();
                record.ended(Outcome::of(result));
                result.iter().for_each(|output| output.disarm());
            }
            Held::Series(handle) => {
                record.ended(Outcome::of(handle.result().as_ref()));
            }
        }
    }
}

/// The payload of a panic may panic when it is dropped.
fn took(record: &Record, result: Result<Output, TaskError>) {
    record.ended(Outcome::of(result.as_ref()));
    if let Ok(output) = &result {
        output.disarm();
        if output.record.number != record.number {
            record.fault(&format!("gave the output of {:?}", output.record));
        }
    }
    drop_bomb(result);
}

impl<P: LockPolicy> Client<P> {
    pub(crate) fn new(number: usize, world: Arc<World<P>>) -> Self {
        let gate = Arc::new(Gate::new(world.common.settings.submissions_wait()));
        Self { number, world, gate, slots: Vec::new(), promises: Vec::new() }
    }

    /// Performs its operations, and lets go of what waits for it.
    pub(crate) fn run(mut self, ops: &[(usize, Op)]) -> Rest {
        let number = self.number;
        for (at, (_, op)) in ops.iter().enumerate().filter(|(_, (client, _))| *client == number) {
            self.is_at(format!("operation {at}, {op:?}"));
            self.perform(op);
        }
        self.is_at("its end".to_owned());
        self.let_go();
        Rest { slots: self.slots, promises: self.promises }
    }

    fn is_at(&self, place: String) {
        if let Some(at) = self.world.common.ledger.at.lock().unwrap().get_mut(self.number) {
            *at = place;
        }
    }

    /// Before a wait: nothing may wait for this client.
    fn let_go(&mut self) {
        self.gate.open();
        self.gate = Arc::new(Gate::new(self.settings().submissions_wait()));
        self.world.pool.resume();
    }

    fn settings(&self) -> Settings {
        self.world.common.settings
    }

    fn expect(&self, holds: bool, what: impl FnOnce() -> String) {
        self.world.common.ledger.expect(holds, what);
    }

    /// Ends what this slot would wait for in vain.
    fn prepare(&mut self, at: usize) {
        self.let_go();
        let slot = &self.slots[at];
        if matches!(slot.record.kind, Kind::Series | Kind::Far) {
            note_cancel(slot);
        }
        if let Some(number) = slot.promise.as_ref().map(|record| record.number)
            && let Some(pending) = self.promises.iter().position(|(_, record)| record.number == number)
        {
            self.fulfil(pending);
        }
    }

    fn prepare_all(&mut self) {
        (0..self.slots.len()).for_each(|at| self.prepare(at));
    }

    fn pick(&self, index: u8) -> Option<usize> {
        (!self.slots.is_empty()).then(|| usize::from(index) % self.slots.len())
    }

    fn record(&self, kind: Kind, body: Body, spawned: bool) -> Arc<Record> {
        self.world.common.ledger.record(self.number, kind, body, spawned)
    }

    fn job(&self, record: &Arc<Record>) -> Job<P> {
        Job::new(record, &self.world.common, &self.world.pool, self.gate.clone())
    }

    fn keep(&mut self, record: Arc<Record>, handle: TaskHandle<Output>) {
        self.slots.push(Slot { record, held: Held::Own(handle), promise: None });
    }

    /// A new task with a handle.
    fn submit(&mut self, kind: Kind, body: Body, submit: impl FnOnce(&World<P>, Job<P>) -> TaskHandle<Output>) {
        let record = self.record(kind, body, false);
        let job = self.job(&record);
        let handle = self.world.common.ledger.submitting(&record, || submit(&self.world, job));
        self.keep(record, handle);
    }

    /// A new task without one.
    fn spawn<E>(&mut self, kind: Kind, body: Body, spawn: impl FnOnce(&World<P>, Job<P>) -> Result<(), E>) {
        let record = self.record(kind, body, true);
        let job = self.job(&record);
        let spawned = self.world.common.ledger.submitting(&record, || spawn(&self.world, job));
        record.note(|facts| (facts.rejected, facts.accepted) = (spawned.is_err(), spawned.is_ok()));
    }

    fn perform(&mut self, op: &Op) {
        let bounded = matches!(op, Op::Submit(_) | Op::Spawn(_) | Op::TrySubmit(_) | Op::SubmitWith(_) | Op::Read(_))
            || matches!(op, Op::SubmitMany(..) | Op::SpawnMany(..) | Op::Ranked(..) | Op::StartWithin(..));
        if bounded && self.settings().submissions_wait() {
            self.let_go();
        }
        match *op {
            Op::Submit(body) => self.submit(Kind::Bounded, body, |world, job| world.pool.submit(move || job.run())),
            Op::Spawn(body) => {
                self.spawn(Kind::Bounded, body, |world, job| world.pool.spawn(move || drop(job.run())));
            }
            Op::TrySubmit(body) => self.try_submit(body),
            Op::SubmitWith(body) => self.submit(Kind::Bounded, body, |world, job| {
                let job = job.with_context();
                world.pool.submit_with(move |cx| {
                    let _asked = cx.checkpoint();
                    job.run()
                })
            }),
            Op::SubmitMany(tasks, body) => self.submit_many(tasks, body),
            Op::SpawnMany(tasks, body) => self.spawn_many(tasks, body),
            Op::Ranked(priority, body) => self.submit(Kind::Bounded, body, |world, job| {
                world.pool.task().priority(priority).submit(move || job.run())
            }),
            Op::StartWithin(time, body) => self.submit(Kind::Expiring, body, |world, job| {
                let time = [Duration::ZERO, SHORT, LONG][usize::from(time % 3)];
                world.pool.task().start_within(time).submit(move || job.run())
            }),
            Op::When(..)
            | Op::SpawnWhen(..)
            | Op::Keyed(..)
            | Op::SpawnKeyed(..)
            | Op::ExclusiveAll(_)
            | Op::Strand(_) => self.name(op),
            Op::Schedule(milliseconds, body) => self.submit(Kind::Delayed, body, |world, job| {
                world.pool.schedule(Duration::from_millis(milliseconds.into()), move || job.run())
            }),
            // Else a shutdown would wait for it.
            Op::ScheduleFar(body) if !self.settings().run_delayed => {
                // With a handle of the pool it would keep the pool from its end by a drop.
                let body = if body.submits() { Body::Return } else { body };
                self.submit(Kind::Far, body, |world, job| world.pool.schedule(LONG, move || job.run()));
            }
            Op::ScheduleFar(body) => self.perform(&Op::Schedule(2, body)),
            Op::Series(period, most) => self.series(period, most),
            Op::Promise | Op::Fulfil(_) | Op::Fail(_) | Op::DropPromise(_) => self.promise(op),
            Op::Then(index, body) => self.then(index, body),
            Op::Share(index) => self.share(index),
            Op::Read(index) => self.read(index),
            Op::Scope(tasks) => {
                self.let_go();
                job::scope(&self.world.common, &self.world.pool, tasks.into());
            }
            Op::Join | Op::Install => self.install(*op == Op::Join),
            Op::Resize(workers) => self.resize(workers.into()),
            Op::Prestart => {
                self.world.pool.prestart_all();
            }
            Op::Pause => self.world.pool.pause(),
            Op::Resume => self.world.pool.resume(),
            Op::Open => self.let_go(),
            Op::Metrics => {
                let metrics = self.world.pool.metrics();
                let holds = metrics.panicked <= metrics.finished && metrics.finished <= metrics.started;
                self.expect(holds && metrics.started <= metrics.submitted, || format!("{metrics:?}"));
            }
            Op::Quiescence => self.quiescence(),
            Op::CancelQueued => {
                self.world.common.ledger.clearing(|| self.world.pool.cancel_queued());
            }
            Op::Shutdown | Op::ShutdownTimeout | Op::ShutdownNow | Op::ShutdownNowTimeout => self.shut_down(op),
            _ => self.handle(op),
        }
    }

    fn several(&self, tasks: u8, body: Body, spawned: bool) -> (Vec<Arc<Record>>, Vec<Job<P>>) {
        let records: Vec<_> = (0..tasks).map(|_| self.record(Kind::Bounded, body, spawned)).collect();
        let jobs = records.iter().map(|record| self.job(record)).collect();
        (records, jobs)
    }

    fn submit_many(&mut self, tasks: u8, body: Body) {
        let (records, jobs) = self.several(tasks, body, false);
        let submit = || self.world.pool.submit_many(jobs.into_iter().map(|job| move || job.run()));
        let handles = self.world.common.ledger.submitting_all(&records, submit);
        self.expect(handles.len() == records.len(), || "not a handle a task".to_owned());
        records.into_iter().zip(handles).for_each(|(record, handle)| self.keep(record, handle));
    }

    fn spawn_many(&mut self, tasks: u8, body: Body) {
        let (records, jobs) = self.several(tasks, body, true);
        let mut jobs = jobs.into_iter();
        let spawn = || self.world.pool.spawn_many(jobs.by_ref().map(|job| move || drop(job.run())));
        // If not, nobody knows how many were.
        if self.world.common.ledger.submitting_all(&records, spawn).is_ok() {
            records.iter().for_each(|record| record.note(|facts| facts.accepted = true));
        }
        // Those that were not asked for.
        jobs.for_each(drop_bomb);
    }

    /// If there was a moment with nothing to do, all that was submitted before was done by then.
    fn quiescence(&mut self) {
        let World { pool, common, .. } = &*self.world;
        let before = common.ledger.all();
        let quiescent = pool.await_quiescence(SHORT);
        // Another client may be about to submit what it has noted.
        if quiescent && self.settings().clients == 1 {
            let counts = |record: &&Arc<Record>| {
                matches!(record.kind, Kind::Bounded | Kind::Expiring | Kind::Guarded(_) | Kind::Keyed)
            };
            for record in before.iter().filter(counts) {
                self.expect(record.drops.load(SeqCst) > 0, || format!("{record:?} was there at a moment of rest"));
            }
        }
    }

    fn try_submit(&mut self, body: Body) {
        let record = self.record(Kind::Bounded, body, false);
        let job = self.job(&record);
        match self.world.common.ledger.submitting(&record, || self.world.pool.try_submit(move || job.run())) {
            Ok(handle) => {
                record.note(|facts| facts.accepted = true);
                self.keep(record, handle);
            }
            Err(rejected) => {
                record.note(|facts| facts.rejected = true);
                self.expect(record.drops.load(SeqCst) == 0, || format!("{record:?} did not come back"));
                drop_bomb(rejected);
            }
        }
    }

    fn name(&mut self, op: &Op) {
        let lines = self.world.lines.clone();
        let named = |lines: &[Arc<Line>; 3], names: &[Name]| {
            names.iter().map(|name| (lines[usize::from(name.value)].clone(), name.shared)).collect::<Vec<_>>()
        };
        // Named more than once, a key is taken once, exclusively if it is once named so.
        let merged = |names: &[Name]| {
            let of = |value| names.iter().filter(move |name| name.value == value);
            let merge = |value| of(value).map(|name| name.shared).reduce(|all, shared| all && shared);
            (0..3).filter_map(|value| Some(Name { value, shared: merge(value)? })).collect::<Vec<_>>()
        };
        match op {
            Op::When(names, body) => self.submit(Kind::Guarded(names.clone()), *body, |world, job| {
                let job = job.in_lines(named(&lines.values, names));
                let of = |shared: bool| names.iter().filter(move |name| name.shared == shared);
                let value = |name: &Name| &world.values[usize::from(name.value)];
                match names[..] {
                    [ref name @ Name { shared: false, .. }] => world.pool.when(value(name), move |_| job.run()),
                    [ref name] => world.pool.when(value(name).shared(), move |_| job.run()),
                    _ => {
                        let own: Vec<_> = of(false).map(|name| value(name).clone()).collect();
                        let read: Vec<_> = of(true).map(|name| value(name).shared()).collect();
                        world.pool.when((&own, &read), move |_| job.run())
                    }
                }
            }),
            Op::SpawnWhen(names, body) => self.spawn(Kind::Guarded(names.clone()), *body, |world, job| {
                let exclusive = names.iter().map(|name| Name { shared: false, ..*name }).collect::<Vec<_>>();
                let job = job.in_lines(named(&lines.values, &exclusive));
                let values: Vec<_> = names.iter().map(|name| world.values[usize::from(name.value)].clone()).collect();
                world.pool.spawn_when(&values, move |_| drop(job.run()))
            }),
            Op::Keyed(names, body) => self.submit(Kind::Keyed, *body, |world, job| {
                let job = job.in_lines(named(&lines.keys, &merged(names)));
                match names[..] {
                    [Name { value, shared: false }] => world.keyed.submit(value, move || job.run()),
                    [Name { value, shared: true }] => world.keyed.submit_shared(value, move || job.run()),
                    _ => {
                        let access = |shared| if shared { Access::Shared } else { Access::Exclusive };
                        let keys = names.iter().map(|name| (name.value, access(name.shared)));
                        world.keyed.submit_all(keys, move || job.run())
                    }
                }
            }),
            Op::SpawnKeyed(key, body) => self.spawn(Kind::Keyed, *body, |world, job| {
                let job = job.in_lines(named(&lines.keys, &[Name { value: *key, shared: false }]));
                world.keyed.spawn(*key, move || drop(job.run()))
            }),
            Op::ExclusiveAll(body) => self.submit(Kind::Keyed, *body, |world, job| {
                let job = job.in_lines(lines.keys.iter().map(|line| (line.clone(), false)).collect());
                world.keyed.exclusive_all(move || job.run())
            }),
            Op::Strand(body) => self.submit(Kind::Keyed, *body, |world, job| {
                let job = job.in_lines(vec![(lines.strand.clone(), false)]);
                world.strand.submit(move || job.run())
            }),
            _ => {}
        }
    }

    fn series(&mut self, period: u8, most: u8) {
        let record = self.record(Kind::Series, Body::Return, false);
        let period = Duration::from_millis(period.into());
        // Which one captures what it counts its drop by.
        let job = self.job(&record);
        let (runs, world) = (record.clone(), &self.world);
        let run = move || {
            let _captured = &job;
            runs.begin();
            if runs.runs.load(SeqCst) >= usize::from(most) {
                resume_unwind(Box::new("the last run"));
            }
        };
        let handle = world.common.ledger.submitting(&record, || {
            if most.is_multiple_of(2) {
                world.pool.schedule_at_fixed_rate(Duration::ZERO, period, run)
            } else {
                world.pool.schedule_with_fixed_delay(period, period, run)
            }
        });
        self.slots.push(Slot { record, held: Held::Series(handle), promise: None });
    }

    fn promise(&mut self, op: &Op) {
        let pick = |index: u8| (!self.promises.is_empty()).then(|| usize::from(index) % self.promises.len());
        match *op {
            Op::Promise => {
                let record = self.record(Kind::Promise, Body::Return, false);
                let (promise, handle) = promise();
                self.promises.push((promise, record.clone()));
                self.slots.push(Slot { held: Held::Own(handle), promise: Some(record.clone()), record });
            }
            Op::Fulfil(index) => {
                if let Some(at) = pick(index) {
                    self.fulfil(at);
                }
            }
            Op::Fail(index) => {
                if let Some(at) = pick(index) {
                    let (promise, record) = self.promises.swap_remove(at);
                    record.note(|facts| facts.failed = true);
                    let ended = promise.set_error(TaskError::Poisoned).is_ok();
                    record.note(|facts| facts.failed = ended);
                }
            }
            Op::DropPromise(index) => {
                if let Some(at) = pick(index) {
                    drop_promise(self.promises.swap_remove(at));
                }
            }
            _ => {}
        }
    }

    fn fulfil(&mut self, at: usize) {
        let (promise, record) = self.promises.swap_remove(at);
        record.note(|facts| facts.fulfilled = true);
        let fulfilled = promise.set_result(Output::new(record.clone())).is_ok();
        record.note(|facts| facts.fulfilled = fulfilled);
        self.expect(fulfilled != record.facts().cancelled || record.facts().asked, || {
            format!("{record:?} was fulfilled: {fulfilled}")
        });
    }

    fn then(&mut self, index: u8, body: Body) {
        let Some(at) = self.pick(index) else { return };
        if !matches!(self.slots[at].held, Held::Own(_)) {
            return;
        }
        let Slot { record: before, held, promise } = self.slots.swap_remove(at);
        let Held::Own(handle) = held else { return };
        let record = self.record(Kind::Next, body, false);
        let job = self.job(&record);
        let next = self.world.common.ledger.submitting(&record, || {
            handle.then(&self.world.pool, move |result| {
                took(&before, result);
                job.run()
            })
        });
        self.slots.push(Slot { record, held: Held::Own(next), promise });
    }

    fn share(&mut self, index: u8) {
        let Some(at) = self.pick(index) else { return };
        let Slot { record, held, promise } = self.slots.swap_remove(at);
        let held = match held {
            Held::Own(handle) => Held::Shared(handle.shared()),
            other => other,
        };
        self.slots.push(Slot { record, held, promise });
    }

    /// Without spare workers a wait inside a task may find nobody who brings about what it waits for.
    fn read(&mut self, index: u8) {
        let Some(at) = self.pick(index) else { return };
        let waits = self.settings().spares >= Settings::MANY_SPARES;
        if waits {
            self.prepare(at);
        }
        let Held::Shared(handle) = &self.slots[at].held else { return };
        let (handle, read) = (handle.clone(), self.slots[at].record.clone());
        self.submit(Kind::Bounded, Body::Return, |world, job| {
            world.pool.submit(move || {
                let result = if waits { Some(handle.result()) } else { handle.try_result() };
                if let Some(result) = result {
                    read.ended(Outcome::of(result));
                    result.iter().for_each(|output| output.disarm());
                }
                job.run()
            })
        });
    }

    /// On a pool that has ended, or that discards what is queued, these panic.
    fn install(&mut self, join: bool) {
        self.let_go();
        if self.settings().clients > 1 || self.settings().discards() || self.world.pool.is_shutdown() {
            return;
        }
        if join {
            job::join(&self.world.common, &self.world.pool);
        } else {
            let installed = self.world.pool.install(|| 1);
            self.expect(installed == 1, || format!("an installed closure gave {installed}"));
        }
    }

    fn resize(&self, workers: usize) {
        let Settings { workers: first, spares, .. } = self.settings();
        let most = first + spares;
        let expected = match workers {
            0 => Err(ResizeError::Zero),
            asked if asked > most => Err(ResizeError::TooMany { asked, most }),
            _ => Ok(()),
        };
        let resized = self.world.pool.resize(workers);
        self.expect(resized.map(drop) == expected, || format!("resize({workers}) gave {resized:?}"));
    }

    fn handle(&mut self, op: &Op) {
        match *op {
            Op::WaitFirst | Op::WaitAll => self.wait_for_several(*op == Op::WaitAll),
            Op::AsCompleted => self.take_as_completed(),
            Op::Cancel(index)
            | Op::RequestCancel(index)
            | Op::Wait(index)
            | Op::WaitTimeout(index)
            | Op::Result(index)
            | Op::ResultTimeout(index)
            | Op::TryResult(index)
            | Op::BlockOn(index)
            | Op::OnDone(index, _)
            | Op::Detach(index) => {
                if let Some(at) = self.pick(index) {
                    self.handle_one(op, at);
                }
            }
            _ => {}
        }
    }

    fn handle_one(&mut self, op: &Op, at: usize) {
        if matches!(op, Op::Wait(_) | Op::Result(_) | Op::BlockOn(_)) {
            self.prepare(at);
        }
        let slot = &mut self.slots[at];
        match op {
            Op::Cancel(_) => note_cancel(slot),
            Op::RequestCancel(_) => {
                slot.record.note(|facts| facts.asked = true);
                let asked = match &slot.held {
                    Held::Own(handle) => handle.request_cancel(),
                    Held::Shared(handle) => handle.request_cancel(),
                    Held::Series(handle) => handle.request_cancel(),
                };
                if !asked && !slot.is_finished() {
                    slot.record.fault("could not be asked to stop, and has not ended");
                }
            }
            Op::Wait(_) => {
                let waited = slot.wait(None);
                if waited.is_err() || !slot.is_finished() {
                    slot.record.fault(&format!("was waited for: {waited:?}"));
                }
            }
            Op::WaitTimeout(_) => {
                let waited = slot.wait(Some(SHORT));
                if waited.is_ok() && !slot.is_finished() {
                    slot.record.fault("was waited for, and has not ended");
                }
            }
            Op::Result(_) => self.slots.swap_remove(at).result(),
            Op::ResultTimeout(_) | Op::TryResult(_) => {
                let Held::Own(handle) = &mut slot.held else { return };
                let result = match op {
                    Op::TryResult(_) => handle.try_result(),
                    _ => Some(handle.result_timeout(SHORT)),
                };
                if let Some(result) = result.filter(|result| !matches!(result, Err(TaskError::TimedOut))) {
                    took(&slot.record, result);
                    self.slots.swap_remove(at);
                }
            }
            Op::BlockOn(_) => {
                let slot = self.slots.swap_remove(at);
                match slot.held {
                    Held::Own(handle) => took(&slot.record, block_on(handle)),
                    _ => slot.result(),
                }
            }
            Op::OnDone(_, panics) => {
                let Held::Own(handle) = &mut slot.held else { return };
                let (record, panics) = (slot.record.clone(), *panics);
                let number = record.callbacks.fetch_add(1, SeqCst);
                handle.on_done(move |result| {
                    if record.called.fetch_add(1, SeqCst) != number {
                        record.fault("had its callbacks called in another order");
                    }
                    record.ended(Outcome::of(result.as_ref()));
                    if panics {
                        resume_unwind(Box::new("a callback"));
                    }
                });
            }
            Op::Detach(_) => drop(self.slots.swap_remove(at)),
            _ => {}
        }
    }

    fn wait_for_several(&mut self, all: bool) {
        self.prepare_all();
        let when = if all { ReturnWhen::AllCompleted } else { ReturnWhen::FirstCompleted };
        let handles: Vec<_> = self.slots.iter().filter_map(own).collect();
        let given = handles.len();
        let waited = wait(handles, when, None);
        let ended = waited.done.iter().all(|handle| handle.is_finished());
        let (done, not_done) = (waited.done.len(), waited.not_done.len());
        let enough = if all { not_done == 0 } else { done > 0 || given == 0 };
        self.expect(ended && enough && done + not_done == given && waited.cut_short.is_none(), || {
            format!("a wait for {given}, {when:?}, gave {waited:?}")
        });
    }

    fn take_as_completed(&mut self) {
        self.prepare_all();
        let handles: Vec<_> = self.slots.iter().filter_map(own).collect();
        let given = handles.len();
        let taken: Vec<_> = as_completed(handles).collect();
        let ended = taken.iter().flatten().filter(|handle| handle.is_finished()).count();
        self.expect(taken.len() == given && ended == given, || format!("as_completed of {given} gave {taken:?}"));
    }

    fn shut_down(&mut self, op: &Op) {
        self.let_go();
        let (pool, ledger) = (&self.world.pool, &self.world.common.ledger);
        let stopped = match op {
            Op::Shutdown => {
                ledger.closing(false, || pool.shutdown());
                true
            }
            Op::ShutdownTimeout => ledger.closing(false, || pool.shutdown_timeout(SHORT)),
            Op::ShutdownNowTimeout => ledger.closing(true, || pool.shutdown_now_timeout(SHORT)).1,
            _ => {
                ledger.closing(true, || pool.shutdown_now());
                true
            }
        };
        self.expect(!stopped || pool.is_terminated(), || format!("{op:?} has not stopped the pool"));
        self.expect(pool.is_shutdown(), || format!("{op:?} has not shut the pool down"));
    }
}

fn own(slot: &Slot) -> Option<&TaskHandle<Output>> {
    if let Held::Own(handle) = &slot.held { Some(handle) } else { None }
}

fn note_cancel(slot: &Slot) {
    slot.record.note(|facts| facts.asked |= slot.record.kind == Kind::Series);
    let cancelled = slot.cancel();
    slot.record.note(|facts| {
        facts.cancelled |= cancelled;
        facts.started |= !cancelled;
    });
    if !cancelled && slot.record.kind == Kind::Far && !slot.record.facts().late {
        slot.record.fault("has begun before its time");
    }
}

pub(crate) fn drop_promise((promise, record): (Promise<Output>, Arc<Record>)) {
    record.note(|facts| facts.dropped = true);
    drop(promise);
}

/// What comes back may panic when it is dropped.
fn drop_bomb<T>(bomb: T) {
    let _blown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(bomb)));
}
