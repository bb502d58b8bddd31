//! Programs from bytes: 16 for the settings, and eight an operation. Who takes operations out, or makes bytes smaller, gets simpler programs.

use crate::program::{Body, End, Focus, Full, Name, Op, Program, Settings};
use crate::sync::MODEL;

/// Operations of a program.
const MOST: usize = 60;

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn below(&mut self, most: usize) -> usize {
        usize::from(self.next()) % most
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn flag(&mut self) -> bool {
        self.next() % 2 == 1
    }

    fn body(&mut self) -> Body {
        use Body::{Blocking, Child, Children, Spawn};
        use Body::{
            BlockingHold, BombCapture, BombOutput, CancelledChild, Hold, Join, Panic, PanicWithBomb, Return, Scope,
        };
        let body = self.one_of(&[
            Return,
            Return,
            Return,
            Panic,
            PanicWithBomb,
            BombCapture,
            BombOutput,
            Hold,
            Hold,
            Hold,
            Blocking,
            BlockingHold,
            Spawn,
            Child,
            CancelledChild,
            Children,
            Scope,
            Join,
        ]);
        match body {
            // A bomb asks whether its thread panics, and shuttle's threads are one to the standard library.
            PanicWithBomb | BombCapture | BombOutput if MODEL => Panic,
            body => body,
        }
    }

    fn name(&mut self) -> Name {
        Name { value: self.next() % 3, shared: self.flag() }
    }

    fn names(&mut self) -> Vec<Name> {
        (0..[1, 1, 1, 2, 2, 3][self.below(6)]).map(|_| self.name()).collect()
    }

    fn settings(&mut self) -> Settings {
        let all = [Full::Reject, Full::Block, Full::CallerRuns, Full::DiscardOldest, Full::DiscardNewest];
        Settings {
            clients: self.one_of(&[1, 1, 2, 3]),
            workers: 1 + self.below(4),
            spares: self.one_of(&[Settings::MANY_SPARES, Settings::MANY_SPARES, 0, 1]),
            queue: match self.below(16) {
                full @ 0..5 => Some(full),
                _ => None,
            }
            .map(|full| (1 + self.below(3), all[full])),
            lifo: self.flag(),
            restless: self.flag(),
            run_delayed: !self.flag(),
            late_promises: self.flag(),
            end: self.one_of(&[End::Shutdown, End::ShutdownNow, End::Drop]),
        }
    }
}

type Draw = fn(&mut Bytes<'_>) -> Op;

const TASKS: &[Draw] = &[
    |b| Op::Submit(b.body()),
    |b| Op::Submit(b.body()),
    |b| Op::Spawn(b.body()),
    |b| Op::TrySubmit(b.body()),
    |b| Op::SubmitWith(b.body()),
    |b| Op::SubmitMany(b.next() % 6, b.body()),
    |b| Op::SpawnMany(b.next() % 6, b.body()),
    |b| Op::Ranked(b.one_of(&[-1, 0, 1]), b.body()),
    |b| Op::StartWithin(b.next() % 3, b.body()),
];

const HANDLES: &[Draw] = &[
    |b| Op::Cancel(b.next()),
    |b| Op::Result(b.next()),
    |b| Op::Detach(b.next()),
    |b| Op::WaitTimeout(b.next()),
    |b| Op::TryResult(b.next()),
];

const MORE_HANDLES: &[Draw] = &[
    |b| Op::Cancel(b.next()),
    |b| Op::RequestCancel(b.next()),
    |b| Op::Wait(b.next()),
    |b| Op::ResultTimeout(b.next()),
    |b| Op::BlockOn(b.next()),
    |b| Op::OnDone(b.next(), b.flag()),
    |b| Op::OnDone(b.next(), b.flag()),
    |b| Op::Then(b.next(), b.body()),
    |b| Op::Then(b.next(), b.body()),
    |b| Op::Share(b.next()),
    |b| Op::Read(b.next()),
    |_| Op::Promise,
    |b| Op::Fulfil(b.next()),
    |b| Op::Fail(b.next()),
    |b| Op::DropPromise(b.next()),
    |_| Op::WaitFirst,
    |_| Op::WaitAll,
    |_| Op::AsCompleted,
];

const POOL: &[Draw] = &[
    |_| Op::Open,
    |_| Op::Pause,
    |_| Op::Resume,
    |b| Op::Resize(b.next() % 8),
    |_| Op::Prestart,
    |_| Op::Metrics,
    |_| Op::Quiescence,
    |b| Op::Scope(b.next() % 4),
    |_| Op::Join,
    |_| Op::Install,
];

/// Of these few, or most of a program would run on a pool that has ended, or lose its tasks.
const ENDS: &[Draw] = &[|b| match b.below(16) {
    0 => Op::Shutdown,
    1 => Op::ShutdownTimeout,
    2 => Op::ShutdownNow,
    3 => Op::ShutdownNowTimeout,
    4 => Op::CancelQueued,
    _ => Op::Open,
}];

const GUARDED: &[Draw] = &[
    |b| Op::When(b.names(), b.body()),
    |b| Op::When(b.names(), b.body()),
    |b| Op::When(b.names(), b.body()),
    |b| Op::SpawnWhen(b.names(), b.body()),
    |b| Op::Keyed(b.names(), b.body()),
    |b| Op::Keyed(b.names(), b.body()),
    |b| Op::SpawnKeyed(b.next() % 3, b.body()),
    |b| Op::ExclusiveAll(b.body()),
    |b| Op::Strand(b.body()),
];

const TIMERS: &[Draw] = &[
    |b| Op::Schedule(b.next() % 4, b.body()),
    |b| Op::Schedule(b.next() % 4, b.body()),
    |b| Op::ScheduleFar(b.body()),
    |b| Op::Series(1 + b.next() % 3, 1 + b.next() % 4),
];

impl Focus {
    fn tables(self) -> &'static [&'static [Draw]] {
        match self {
            Self::Executor => &[TASKS, HANDLES, POOL, ENDS],
            Self::Guarded => &[GUARDED, TASKS, HANDLES, ENDS],
            Self::Handles => &[TASKS, HANDLES, MORE_HANDLES, ENDS],
            Self::Timer => &[TIMERS, TASKS, HANDLES, ENDS],
        }
    }

    fn draw(self, bytes: &mut Bytes<'_>) -> Op {
        let all = || self.tables().iter().copied().flatten();
        let at = bytes.below(all().count());
        all().nth(at).map_or(Op::Open, |draw| draw(bytes))
    }
}

/// How many bytes the settings are.
const SETTINGS: usize = 16;

impl Program {
    /// The program that these bytes stand for; all do for one. A failing one is printed when it fails.
    pub fn decode(focus: Focus, settings: &[u8], ops: &[u8]) -> Self {
        let settings = Bytes(settings).settings();
        let op = |mut bytes: Bytes<'_>| (bytes.below(settings.clients), focus.draw(&mut bytes));
        Self { settings, ops: ops.chunks(8).map(Bytes).take(MOST).map(op).collect() }
    }

    /// The same from one piece.
    pub fn decode_all(focus: Focus, bytes: &[u8]) -> Self {
        let (settings, ops) = bytes.split_at(bytes.len().min(SETTINGS));
        Self::decode(focus, settings, ops)
    }
}
