//! Errors of building a pool and of submitting to it.

use std::fmt;
use std::io;

use crate::policy::LockPolicy;
use crate::runtime::Core;
use crate::sync::Arc;
use crate::task::TaskError;

/// Why a pool could not be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// `max_workers` was 0.
    ZeroWorkers,
    /// `queue_capacity` was 0.
    ZeroCapacity,
    /// More threads, spares included, than a pool can count.
    TooManyThreads {
        /// What was asked for, in threads.
        asked: usize,
        /// The most there can be.
        most: usize,
    },
    /// `LOCKGRAIN_NUM_THREADS` is set to something that is not a positive number.
    BadEnvironment(String),
    /// The [finalizer](crate::Builder::finalizer) takes something else than what the [initializer](crate::Builder::initializer) makes.
    Finalizer {
        /// The name of the type that it takes.
        takes: &'static str,
        /// The name of the type that is made; none without an initializer.
        made: Option<&'static str>,
    },
    /// With `prestart`, a worker's [initializer](crate::Builder::initializer) failed, and why. All threads have been stopped.
    Broken(Arc<str>),
    /// With `prestart`, a thread could not be started; those that were have been stopped.
    Thread(io::Error),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroWorkers => f.write_str("a pool needs at least one worker: `max_workers` was 0"),
            Self::ZeroCapacity => f.write_str(
                "a pool's tasks come to its workers through its queue: `queue_capacity` was 0, use 1 for the least of waiting",
            ),
            Self::TooManyThreads { asked, most } => {
                write!(f, "{asked} threads are too many: `max_workers` and `max_spares` may add up to {most}")
            }
            Self::BadEnvironment(value) => {
                write!(f, "LOCKGRAIN_NUM_THREADS is {value:?}: set it to a number from 1 up, or unset it")
            }
            Self::Finalizer { takes, made: Some(made) } => {
                write!(f, "the finalizer takes `{takes}`, but the initializer makes `{made}`: let them be the same")
            }
            Self::Finalizer { takes, made: None } => {
                write!(f, "the finalizer takes `{takes}`, which nobody makes: set an initializer, too")
            }
            Self::Broken(why) => write!(f, "a worker could not begin: {why}"),
            Self::Thread(error) => write!(f, "a worker thread could not be started: {error}"),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a pool's number of workers was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResizeError {
    /// No workers were asked for.
    Zero,
    /// More than the pool has room for.
    TooMany {
        /// What was asked for, in workers.
        asked: usize,
        /// The most there can be.
        most: usize,
    },
}

impl fmt::Display for ResizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => f.write_str("a pool needs at least one worker"),
            Self::TooMany { asked, most } => {
                write!(f, "{asked} workers are too many: the pool was built with room for {most}, raise `max_spares`")
            }
        }
    }
}

impl std::error::Error for ResizeError {}

/// Why a pool did not take a task.
///
/// ```
/// use lockgrain::Refused;
///
/// let pool = lockgrain::ThreadPool::new()?;
/// pool.shutdown();
/// assert_eq!(pool.spawn(|| ()), Err(Refused::Shutdown));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "RejectedExecutionException")]
pub enum Refused {
    /// The pool is shutting down and takes no more tasks.
    Shutdown,
    /// The queue is full, see [`Builder::queue_capacity`](crate::Builder::queue_capacity). Later there may be a place.
    Full,
    /// The pool is broken: a worker's [initializer](crate::Builder::initializer) failed. [`TaskError::Broken`] says why.
    Broken,
}

impl Refused {
    /// Why a pool takes no task that is draining.
    pub(super) fn by<P: LockPolicy>(core: &Core<P>) -> Self {
        if core.broken().is_some() { Self::Broken } else { Self::Shutdown }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shutdown => "the pool is shut down and takes no more tasks",
            Self::Full => "the pool's queue is full: submit again later",
            Self::Broken => "the pool is broken, and runs no more tasks: a worker's initializer failed",
        })
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for TaskError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Shutdown => Self::Refused,
            Refused::Full => Self::QueueFull,
            Refused::Broken => Self::Broken("a worker's initializer failed".into()),
        }
    }
}

/// A refused task's closure, handed back.
///
/// ```
/// use lockgrain::{Refused, Rejected, TaskHandle, ThreadPool};
///
/// fn retry(pool: &ThreadPool, mut task: impl FnOnce() -> u32 + Send + 'static) -> Result<TaskHandle<u32>, Refused> {
///     loop {
///         match pool.try_submit(task) {
///             Ok(handle) => return Ok(handle),
///             Err(Rejected { closure, why: Refused::Full }) => task = closure,
///             Err(Rejected { why, .. }) => return Err(why),
///         }
///         std::thread::yield_now();
///     }
/// }
///
/// let pool = ThreadPool::builder().queue_capacity(1).build()?;
/// let handles: Result<Vec<_>, _> = (0..10).map(|n| retry(&pool, move || n)).collect();
/// assert_eq!(handles?.into_iter().map(|handle| handle.result().unwrap()).sum::<u32>(), 45);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Rejected<F> {
    /// As it was submitted.
    pub closure: F,
    /// Why the pool did not take it.
    pub why: Refused,
}

impl<F> fmt::Debug for Rejected<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<F> fmt::Display for Rejected<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<F> std::error::Error for Rejected<F> {}

/// A promise has ended already: it was fulfilled before, or its handle has cancelled it. What it was given is handed back.
#[doc(alias = "InvalidStateError")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AlreadyEnded<T>(pub T);

impl<T> fmt::Debug for AlreadyEnded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlreadyEnded(..)")
    }
}

impl<T> fmt::Display for AlreadyEnded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the promise has been fulfilled already, or its handle has cancelled it")
    }
}

impl<T> std::error::Error for AlreadyEnded<T> {}

/// Somebody asked this task to stop, through [`TaskHandle::request_cancel`](crate::TaskHandle::request_cancel).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelRequested;

impl fmt::Display for CancelRequested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task was asked to stop")
    }
}

impl std::error::Error for CancelRequested {}

/// Why an operation over several items or closures has no value to give.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure<E> {
    /// An item's, or a closure's, own error.
    Error(E),
    /// Its task panicked, was cancelled or refused, or was not waited for to its end.
    Task(TaskError),
    /// There was nothing to do.
    Empty,
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Task(error) => error.fmt(f),
            Self::Empty => f.write_str("there was nothing to do: give at least one closure"),
        }
    }
}

impl<E: std::error::Error> std::error::Error for Failure<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // Each is shown as its own.
        match self {
            Self::Error(error) => error.source(),
            Self::Task(error) => error.source(),
            Self::Empty => None,
        }
    }
}
