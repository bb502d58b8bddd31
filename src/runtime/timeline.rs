//! What each worker did when, for looking at it as a picture.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::io;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::sync::{Instant, Mutex};

/// What a worker did for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// It ran a task.
    Task,
    /// It ran a task on top of the one that waited for it.
    Inlined,
    /// Its task waited for another, or was in a blocking region, with another worker in its place.
    Blocked,
    /// It waited for the global lock.
    LockWait,
    /// It had the global lock: for a number of tasks, or a part of one.
    LockHold,
    /// It slept for want of work.
    Parked,
    /// It took a task from another worker's queue; takes no time.
    Steal,
}

impl Activity {
    fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Inlined => "inlined task",
            Self::Blocked => "blocked",
            Self::LockWait => "lock wait",
            Self::LockHold => "lock hold",
            Self::Parked => "parked",
            Self::Steal => "steal",
        }
    }
}

/// One activity of one worker.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TimelineEvent {
    /// The worker's index, as in its thread's name.
    pub worker: usize,
    /// What it did.
    pub activity: Activity,
    /// The name of the task's closure as the compiler gives it; empty if it is not about a task.
    pub task: &'static str,
    /// When it began, from the time on when the pool was built.
    pub start: Duration,
    /// For how long it did so.
    pub duration: Duration,
}

/// The row of the lock, below those of all workers there can be.
const LOCK: usize = 1_000_000;

impl TimelineEvent {
    fn row(&self) -> usize {
        if self.activity == Activity::LockHold { LOCK } else { self.worker }
    }
}

/// Waits for the lock that are shorter are none.
const NO_WAIT: Duration = Duration::from_micros(1);

/// A pool's recorder.
pub(super) struct Recorder {
    epoch: Instant,
    /// At the most, a worker.
    most: usize,
    workers: Box<[CachePadded<Mutex<Recorded>>]>,
}

#[derive(Default)]
struct Recorded {
    events: Vec<Noted>,
    lost: usize,
}

/// An event as small as it can well be; in nanoseconds.
struct Noted {
    task: &'static str,
    start: u64,
    duration: u64,
    activity: Activity,
}

impl Recorder {
    pub(super) fn new(workers: usize, most: usize) -> Self {
        let workers = (0..workers).map(|_| CachePadded::default()).collect();
        Self { epoch: Instant::now(), most, workers }
    }

    /// Notes what `worker` has done from `since` on, until now; when that is.
    pub(super) fn note(&self, worker: usize, activity: Activity, task: &'static str, since: Instant) -> Instant {
        let now = Instant::now();
        let (start, duration) = (since.duration_since(self.epoch), now.duration_since(since));
        if activity == Activity::LockWait && duration < NO_WAIT {
            return now;
        }
        let mut recorded = self.workers[worker].lock();
        if recorded.events.len() < self.most {
            let nanos = |time: Duration| time.as_nanos() as u64;
            recorded.events.push(Noted { task, start: nanos(start), duration: nanos(duration), activity });
        } else {
            recorded.lost += 1;
        }
        now
    }

    pub(super) fn timeline(&self) -> Timeline {
        let mut timeline = Timeline { events: Vec::new(), lost: 0 };
        for (worker, recorded) in self.workers.iter().enumerate() {
            let recorded = recorded.lock();
            timeline.events.extend(recorded.events.iter().map(|noted| TimelineEvent {
                worker,
                activity: noted.activity,
                task: noted.task,
                start: Duration::from_nanos(noted.start),
                duration: Duration::from_nanos(noted.duration),
            }));
            timeline.lost += recorded.lost;
        }
        timeline.events.sort_by_key(|event| event.start);
        timeline
    }
}

/// What the workers of a pool did when: see [`Builder::timeline`](crate::Builder::timeline).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Timeline {
    /// In the order in which they began. What still goes on is not there.
    pub events: Vec<TimelineEvent>,
    /// How many more there were than there was room for.
    pub lost: usize,
}

impl Timeline {
    /// Writes it in the trace format of Chrome, which its `about:tracing` and Perfetto show: a row a worker, and one that says which worker had the
    /// global lock.
    ///
    /// # Errors
    /// Those of the writer.
    #[doc(alias = "perfetto")]
    pub fn write_trace(&self, mut to: impl io::Write) -> io::Result<()> {
        to.write_all(b"{\"traceEvents\":[")?;
        let mut comma = "";
        let rows: BTreeSet<usize> = self.events.iter().map(TimelineEvent::row).collect();
        for row in rows {
            write!(
                to,
                "{comma}\n{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":0,\"tid\":{row},\"args\":{{\"name\":\""
            )?;
            if row == LOCK {
                write!(to, "lock")?
            } else {
                write!(to, "worker {row}")?
            }
            to.write_all(b"\"}}")?;
            comma = ",";
        }
        for event in &self.events {
            let micros = |time: Duration| time.as_secs_f64() * 1e6;
            let name = match event.activity {
                Activity::LockHold => format!("worker {}", event.worker).into(),
                _ if event.task.is_empty() => Cow::Borrowed(event.activity.name()),
                _ => event.task.into(),
            };
            write!(
                to,
                ",\n{{\"name\":{},\"cat\":\"{}\",\"ph\":\"X\",\"pid\":0,\"tid\":{},\"ts\":{:.3},\"dur\":{:.3}}}",
                Json(&name),
                event.activity.name(),
                event.row(),
                micros(event.start),
                micros(event.duration),
            )?;
        }
        to.write_all(b"\n]}\n")
    }
}

/// A string of JSON.
struct Json<'a>(&'a str);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in self.0.chars() {
            match char {
                '"' | '\\' => write!(f, "\\{char}")?,
                ..=' ' if char != ' ' => write!(f, "\\u{:04x}", u32::from(char))?,
                _ => f.write_char(char)?,
            }
        }
        f.write_char('"')
    }
}
