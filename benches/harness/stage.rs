//! The workloads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::Executor;

/// What is measured; the time is a task's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// One thread outside spawns small tasks, then waits for the last.
    Spawn,
    /// One thread outside submits tasks, then takes all results.
    Submit,
    /// Four threads outside spawn at once.
    Producers,
    /// A binary tree of tasks, each of which spawns its two children.
    FanOut,
    /// Each task spawns the next one.
    Chain,
    /// Submit one task and wait for its result, again and again.
    RoundTrip,
    /// The same after a pause in which the workers have gone to sleep.
    Wake,
    /// As [`Spawn`](Self::Spawn), so many tasks, which are all queued before the first runs.
    Queued(u64),
}

impl Workload {
    /// Those that tables show.
    pub const ALL: [Self; 7] =
        [Self::Spawn, Self::Submit, Self::Producers, Self::FanOut, Self::Chain, Self::RoundTrip, Self::Wake];

    /// The name in tables.
    pub fn name(self) -> String {
        let name = match self {
            Self::Spawn => "spawn",
            Self::Submit => "submit",
            Self::Producers => "producers",
            Self::FanOut => "fan-out",
            Self::Chain => "chain",
            Self::RoundTrip => "round-trip",
            Self::Wake => "wake",
            Self::Queued(tasks) => return format!("queued-{tasks}"),
        };
        name.to_owned()
    }

    /// The one with that name.
    pub fn named(name: &str) -> Option<Self> {
        match name.strip_prefix("queued-") {
            Some(tasks) => tasks.parse().ok().filter(|tasks| *tasks > 0).map(Self::Queued),
            None => Self::ALL.into_iter().find(|workload| workload.name() == name),
        }
    }

    /// How many tasks one measurement runs.
    pub fn tasks(self) -> u64 {
        match self {
            Self::Spawn | Self::Producers => 200_000,
            Self::Submit => 100_000,
            Self::FanOut => (1 << 20) - 1,
            Self::Chain => 200_000,
            Self::RoundTrip => 2_000,
            Self::Wake => 50,
            Self::Queued(tasks) => tasks,
        }
    }
}

/// A pool with its name, ready to run workloads.
pub trait Peer {
    fn name(&self) -> &'static str;
    /// Runs the workload's tasks once; the time of all.
    fn run(&self, workload: Workload) -> Duration;
    /// Spawns so many tasks from outside, one at a time, each after a pause.
    fn trickle(&self, tasks: u64, pause: Duration);
}

/// A pool and what its tasks report to. It lives as long as the process, so that tasks can refer to it at no cost.
pub(crate) struct Stage<E> {
    pool: E,
    /// How many of its tasks run at once.
    at_once: usize,
    left: AtomicU64,
    waiter: Mutex<Option<Thread>>,
}

impl<E: Executor> Stage<E> {
    pub(crate) fn new(workers: usize) -> &'static Self {
        Box::leak(Box::new(Self {
            pool: E::start(workers),
            at_once: E::at_once(workers),
            left: AtomicU64::new(0),
            waiter: Mutex::new(None),
        }))
    }

    fn done(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(waiter) = self.waiter.lock().take()
        {
            waiter.unpark();
        }
    }

    /// The time from before `start` until `done` has been called `calls` times.
    fn until_done(&'static self, calls: u64, start: impl FnOnce()) -> Duration {
        *self.waiter.lock() = Some(thread::current());
        self.left.store(calls, Ordering::Release);
        let begun = Instant::now();
        start();
        while self.left.load(Ordering::Acquire) > 0 {
            thread::park();
        }
        begun.elapsed()
    }

    fn spawn_after(&'static self, pause: Duration) {
        thread::sleep(pause);
        self.pool.spawn(move || self.done());
    }

    fn spawn_many(&'static self, tasks: u64) {
        for _ in 0..tasks {
            self.pool.spawn(move || self.done());
        }
    }

    /// Keeps the workers from all other tasks until what is returned is called.
    fn hold(&self) -> impl FnOnce() {
        let gate = Arc::new(Barrier::new(self.at_once + 1));
        for _ in 0..self.at_once {
            let gate = gate.clone();
            self.pool.spawn(move || {
                gate.wait();
                gate.wait();
            });
        }
        gate.wait();
        move || {
            gate.wait();
        }
    }

    /// A tree of `2^(height + 1) - 1` tasks, of which the leaves report.
    fn fan_out(&'static self, height: u32) {
        if height == 0 {
            return self.done();
        }
        for _ in 0..2 {
            self.pool.spawn(move || self.fan_out(height - 1));
        }
    }

    fn chain(&'static self, left: u64) {
        match left {
            0 => self.done(),
            _ => self.pool.spawn(move || self.chain(left - 1)),
        }
    }

    fn round_trip(&'static self, number: u64) {
        assert_eq!(E::result(&self.pool, self.pool.submit(move || number + 1)), number + 1);
    }
}

impl<E: Executor> Peer for &'static Stage<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn trickle(&self, tasks: u64, pause: Duration) {
        let stage = *self;
        stage.until_done(tasks, || (0..tasks).for_each(|_| stage.spawn_after(pause)));
    }

    fn run(&self, workload: Workload) -> Duration {
        let stage = *self;
        let tasks = workload.tasks();
        match workload {
            Workload::Spawn => stage.until_done(tasks, || stage.spawn_many(tasks)),
            Workload::Queued(tasks) => {
                let release = stage.hold();
                stage.until_done(tasks, || {
                    stage.spawn_many(tasks);
                    release();
                })
            }
            Workload::Submit => {
                let mut handles = Vec::with_capacity(tasks as usize);
                let begun = Instant::now();
                handles.extend((0..tasks).map(|number| stage.pool.submit(move || number)));
                let sum: u64 = handles.into_iter().map(|handle| E::result(&stage.pool, handle)).sum();
                assert_eq!(sum, tasks * (tasks - 1) / 2);
                begun.elapsed()
            }
            Workload::Producers => stage.until_done(tasks, || {
                thread::scope(|scope| {
                    for _ in 0..4 {
                        scope.spawn(|| stage.spawn_many(tasks / 4));
                    }
                });
            }),
            Workload::FanOut => {
                let leaves = tasks.div_ceil(2);
                stage.until_done(leaves, || stage.pool.spawn(move || stage.fan_out(leaves.ilog2())))
            }
            Workload::Chain => stage.until_done(1, || stage.pool.spawn(move || stage.chain(tasks - 1))),
            Workload::RoundTrip => {
                let begun = Instant::now();
                (0..tasks).for_each(|number| stage.round_trip(number));
                begun.elapsed()
            }
            Workload::Wake => (0..tasks)
                .map(|number| {
                    thread::sleep(Duration::from_millis(1));
                    let begun = Instant::now();
                    stage.round_trip(number);
                    begun.elapsed()
                })
                .sum(),
        }
    }
}
