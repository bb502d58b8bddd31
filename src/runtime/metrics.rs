//! Counters: one writer each, summed when they are read.

use std::fmt;
use std::time::Duration;

use super::in_line::OwnLetIn;
use crate::policy::gate::Histogram;
use crate::sync::Counter;
use crate::task::Tally;

/// One worker's counters.
#[derive(Debug)]
pub(super) struct WorkerCounters {
    pub(super) tally: Tally,
    pub(super) cancelled: Counter,
    pub(super) stolen: Counter,
    pub(super) parked: Counter,
    /// Tasks whose turn at a guarded value it brought.
    pub(super) let_in: OwnLetIn,
}

/// A snapshot of one worker's counters, since the pool was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Tasks whose closure this worker began to run.
    pub started: u64,
    /// Of these, the ones whose closure has ended, by panic too.
    pub finished: u64,
    /// Of these, the ones that panicked.
    pub panicked: u64,
    /// Tasks that this worker took from a queue and found cancelled.
    pub cancelled: u64,
    /// Tasks or batches taken from another worker's queue.
    pub stolen: u64,
    /// How often the worker went to sleep for want of work.
    pub parked: u64,
}

/// A snapshot of a pool's counters, since it was built.
///
/// Each counter is exact once the pool is quiet. While it runs, the counters are read one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Tasks accepted: started, cancelled or still queued. Each run of a series counts as one, and each poll of a future.
    pub submitted: u64,
    /// Tasks whose closure has begun to run.
    pub started: u64,
    /// Tasks whose closure has ended, by panic too.
    pub finished: u64,
    /// Tasks that ended unrun. One cancelled through its handle is counted when a worker comes to it.
    pub cancelled: u64,
    /// Tasks that panicked.
    pub panicked: u64,
    /// Tasks turned away because the queue was full: refused, dropped as the newest, or run by their submitter. None of the counts above has
    /// them.
    pub rejected: u64,
    /// Tasks or batches taken from another worker's queue.
    pub stolen: u64,
    /// How often a worker went to sleep for want of work.
    pub parked: u64,
    /// How often a sleeping worker was woken for a task.
    pub woken: u64,
    /// Tasks that wait in the queues now, for a guarded value, or for their time. A cancelled one may count until its turn comes.
    pub queue_depth: u64,
    /// How often somebody had to wait for the global lock, and for how long in all. A wait counts when it is over.
    pub lock_waits: u64,
    /// See [`lock_waits`](Self::lock_waits).
    pub lock_wait_time: Duration,
    /// How often the global lock changed hands, and how long it was held in all. A worker holds it over many tasks in a row; a
    /// hold counts in the time when it is over.
    pub lock_holds: u64,
    /// See [`lock_holds`](Self::lock_holds).
    pub lock_hold_time: Duration,
    /// How long each wait for the global lock took.
    pub lock_wait_times: Histogram,
    /// How long each hold of the global lock lasted.
    pub lock_hold_times: Histogram,
    /// Threads that could not be started.
    pub start_failures: u64,
    /// Workers' threads there are now, spare ones too.
    pub threads: usize,
    /// The most of them that there were at once.
    pub largest_threads: usize,
    /// The same a worker, and after these the spare ones that were ever needed; a thread that ended left its place, with its
    /// counts, to a later one.
    pub workers: Vec<WorkerMetrics>,
}

impl WorkerCounters {
    pub(super) fn new(tally: Tally) -> Self {
        let [cancelled, stolen, parked] = Default::default();
        Self { tally, cancelled, stolen, parked, let_in: OwnLetIn::default() }
    }

    pub(super) fn snapshot(&self) -> WorkerMetrics {
        // The later event first, so that no count is ahead of the one it is part of.
        let (panicked, finished) = (self.tally.panicked.get(), self.tally.finished.get());
        WorkerMetrics {
            panicked,
            finished,
            started: self.tally.started.get(),
            cancelled: self.cancelled.get(),
            stolen: self.stolen.get(),
            parked: self.parked.get(),
        }
    }
}

impl Metrics {
    pub(super) fn of(workers: Vec<WorkerMetrics>) -> Self {
        let sum = |field: fn(&WorkerMetrics) -> u64| workers.iter().map(field).sum();
        Self {
            started: sum(|worker| worker.started),
            finished: sum(|worker| worker.finished),
            cancelled: sum(|worker| worker.cancelled),
            panicked: sum(|worker| worker.panicked),
            stolen: sum(|worker| worker.stolen),
            parked: sum(|worker| worker.parked),
            workers,
            ..Self::default()
        }
    }
}

/// As a table: a row a worker, their sum, and a line for what belongs to no worker.
impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, cells: [&dyn fmt::Display; 6]| {
            write!(f, "{name:<8}")?;
            cells.iter().try_for_each(|cell| write!(f, " {:>10}", cell.to_string()))?;
            writeln!(f)
        };
        row("worker", [&"started", &"finished", &"panicked", &"cancelled", &"stolen", &"parked"])?;
        for (index, worker) in self.workers.iter().enumerate() {
            let WorkerMetrics { started, finished, panicked, cancelled, stolen, parked } = worker;
            row(&index.to_string(), [started, finished, panicked, cancelled, stolen, parked])?;
        }
        let Self { started, finished, panicked, cancelled, stolen, parked, .. } = self;
        row("all", [started, finished, panicked, cancelled, stolen, parked])?;
        write!(
            f,
            "submitted {}, queued {}, rejected {}, woken {}, threads {}; lock: {} waits in {:.1?}, {} holds in {:.1?}",
            self.submitted,
            self.queue_depth,
            self.rejected,
            self.woken,
            self.threads,
            self.lock_waits,
            self.lock_wait_time,
            self.lock_holds,
            self.lock_hold_time,
        )
    }
}
