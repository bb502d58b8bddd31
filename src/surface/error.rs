//! Errors of building a pool and of submitting to it.

use std::fmt;
use std::io;

use crate::task::TaskError;

/// Why a pool could not be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// `max_workers` was 0.
    ZeroWorkers,
    /// More threads, spares included, than a pool can count.
    TooManyThreads {
        /// What was asked for, in threads.
        asked: usize,
        /// The most there can be.
        most: usize,
    },
    /// `LOCKGRAIN_NUM_THREADS` is set to something that is not a positive number.
    BadEnvironment(String),
    /// With `prestart`, a thread could not be started; those that were have been stopped.
    Thread(io::Error),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroWorkers => f.write_str("a pool needs at least one worker: `max_workers` was 0"),
            Self::TooManyThreads { asked, most } => {
                write!(f, "{asked} threads are too many: `max_workers` and `max_spares` may add up to {most}")
            }
            Self::BadEnvironment(value) => {
                write!(f, "LOCKGRAIN_NUM_THREADS is {value:?}: set it to a number from 1 up, or unset it")
            }
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

/// The pool is shutting down and takes no more tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool is shut down and takes no more tasks")
    }
}

impl std::error::Error for Refused {}

/// A refused task's closure, handed back.
pub struct Rejected<F>(pub F);

impl<F> fmt::Debug for Rejected<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rejected(..)")
    }
}

impl<F> fmt::Display for Rejected<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Refused.fmt(f)
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
