//! How a task can end other than with its value, and how a wait can fail.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::resume_unwind;

use crate::sync::Arc;

/// What a panicking task unwound with, as from [`std::thread::JoinHandle::join`].
pub type PanicPayload = Box<dyn Any + Send + 'static>;

/// A task's panic.
pub struct Panic(PanicPayload);

// SAFETY: by shared reference it only looks for a `str` or a `String` in the payload, which are `Sync`.
unsafe impl Sync for Panic {}

impl Panic {
    pub(crate) fn new(payload: PanicPayload) -> Self {
        Self(payload)
    }

    /// What it panicked with.
    pub fn into_payload(self) -> PanicPayload {
        self.0
    }

    /// The message, if the payload is a string, as that of `panic!` is.
    pub fn message(&self) -> &str {
        let literal = self.0.downcast_ref::<&'static str>().copied();
        literal
            .or_else(|| self.0.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("(a payload that is not a string)")
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message()).finish()
    }
}

/// Why a handle has no value to give.
#[non_exhaustive]
pub enum TaskError {
    /// Cancelled before it started: through its handle, by a shutdown, or because a run queue dropped it. A series or a future:
    /// ended by its handle or by a shutdown.
    Cancelled,
    /// It had not started in time: see [`TaskBuilder::start_within`](crate::TaskBuilder::start_within). It was not run.
    Expired,
    /// The closure panicked.
    Panicked(Panic),
    /// The pool was already shutting down when the task was submitted.
    Refused,
    /// The pool's queue was full when the task was submitted: see [`Builder::queue_capacity`](crate::Builder::queue_capacity).
    QueueFull,
    /// The pool is broken, and why: a worker's [initializer](crate::Builder::initializer) failed. The task was not run.
    Broken(Arc<str>),
    /// No worker thread could be started, and none was running.
    NoWorker(io::ErrorKind),
    /// The time given to the wait ran out. Task and handle are as they were.
    TimedOut,
    /// This wait could never end: see [`WaitError::WouldDeadlock`].
    WouldDeadlock,
    /// The task named one guarded value twice. It was not queued.
    Aliased,
    /// The task wanted more permits than its [`Limit`](crate::Limit) has in all. It was not queued.
    TooManyPermits {
        /// What it wanted, in permits.
        asked: usize,
        /// The most there can be.
        most: usize,
    },
    /// The task named a guarded value that is [poisoned](crate::Guarded::poisoning). It was not run.
    Poisoned,
    /// The [`Promise`](crate::Promise) was dropped before it was fulfilled.
    Abandoned,
}

impl TaskError {
    /// True for [`TaskError::Cancelled`].
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// True for [`TaskError::Panicked`].
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// The panic's payload, or the error itself if it is not a panic.
    pub fn into_panic(self) -> Result<PanicPayload, Self> {
        match self {
            Self::Panicked(panic) => Ok(panic.into_payload()),
            other => Err(other),
        }
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("Cancelled"),
            Self::Expired => f.write_str("Expired"),
            Self::Panicked(panic) => f.debug_tuple("Panicked").field(&panic.message()).finish(),
            Self::Refused => f.write_str("Refused"),
            Self::QueueFull => f.write_str("QueueFull"),
            Self::Broken(why) => f.debug_tuple("Broken").field(why).finish(),
            Self::NoWorker(kind) => f.debug_tuple("NoWorker").field(kind).finish(),
            Self::TimedOut => f.write_str("TimedOut"),
            Self::WouldDeadlock => f.write_str("WouldDeadlock"),
            Self::Aliased => f.write_str("Aliased"),
            Self::TooManyPermits { asked, most } => {
                f.debug_struct("TooManyPermits").field("asked", asked).field("most", most).finish()
            }
            Self::Poisoned => f.write_str("Poisoned"),
            Self::Abandoned => f.write_str("Abandoned"),
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the task was cancelled before it started"),
            Self::Expired => f.write_str("the task did not start in time: raise `start_within`, or `max_workers`"),
            Self::Panicked(panic) => write!(f, "the task panicked: {}", panic.message()),
            Self::Refused => f.write_str("the pool is shut down: submit before `shutdown`, or keep the pool alive"),
            Self::QueueFull => f.write_str(
                "the pool's queue is full: submit again later, raise `queue_capacity`, or say by `when_full` what is to be done",
            ),
            Self::Broken(why) => write!(f, "the pool is broken, and runs no more tasks: {why}"),
            Self::NoWorker(kind) => {
                write!(f, "no worker thread could be started ({kind}): lower `max_workers` or raise the limit")
            }
            Self::TimedOut => f.write_str("the task did not finish in time; the handle is still good"),
            Self::WouldDeadlock => WaitError::WouldDeadlock.fmt(f),
            Self::Aliased => {
                f.write_str("the task named one guarded value twice: name it once, exclusively if it is changed")
            }
            Self::TooManyPermits { asked, most } => {
                write!(f, "the task wanted {asked} permits of a limit of {most}: it could never run; ask for no more than {most}")
            }
            Self::Poisoned => f.write_str(
                "a task panicked while it could change the guarded value: mend it, then call `clear_poison`",
            ),
            Self::Abandoned => {
                f.write_str("the promise was dropped unfulfilled: set a result or an error on every path")
            }
        }
    }
}

impl std::error::Error for TaskError {}

/// What a task unwinds with whose value is poisoned.
struct EndsAsPoisoned;

/// Ends the task that this is called in with [`TaskError::Poisoned`].
pub(crate) fn end_as_poisoned() -> ! {
    // Without the panic hook: nothing has gone wrong here.
    resume_unwind(Box::new(EndsAsPoisoned))
}

impl TaskError {
    /// Of a task that has unwound.
    pub(crate) fn unwound(payload: PanicPayload) -> Self {
        if payload.is::<EndsAsPoisoned>() { Self::Poisoned } else { Self::Panicked(Panic::new(payload)) }
    }
}

/// Why a wait ended before the task did. The task and its handle are untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitError {
    /// The time given ran out.
    TimedOut,
    /// The wait could never end: the task waits for itself, directly, through other waiting tasks, or through a guarded value that one
    /// of them holds and the other needs, or permits that waiting tasks hold and don't leave enough of; or it holds the global lock through a context or for a guarded value, and only a context
    /// can release it; or every worker, spares included, is waiting.
    WouldDeadlock,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "the task did not finish in time; the handle is still good",
            Self::WouldDeadlock => {
                "this wait would deadlock: don't wait for oneself; in a task with a context wait inside `cx.blocking`; else raise `max_spares`"
            }
        })
    }
}

impl std::error::Error for WaitError {}

impl From<WaitError> for TaskError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::TimedOut => Self::TimedOut,
            WaitError::WouldDeadlock => Self::WouldDeadlock,
        }
    }
}
