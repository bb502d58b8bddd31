//! A few items of a bulk operation, which one task works on.

use std::iter::{self, Peekable};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::vec;

use super::TaskHandle;
use super::waitable::{Reference, Waitable, sealed::Sealed};
use crate::task::{Target, TaskError, drop_quietly};

/// The results of one chunk's items.
pub(super) struct Chunk<T> {
    values: Vec<T>,
    /// With their places among all.
    failures: Vec<(usize, TaskError)>,
}

impl<T> Chunk<T> {
    /// Works on one item after another. One that panics does not keep the next from its turn; what comes after a stop was cancelled.
    pub(super) fn work<I>(items: Vec<I>, f: impl Fn(I) -> T, is_stopped: impl Fn() -> bool) -> Self {
        let mut done = Self { values: Vec::with_capacity(items.len()), failures: Vec::new() };
        let mut items = items.into_iter();
        while let Err(payload) = catch_unwind(AssertUnwindSafe(|| {
            while !is_stopped() {
                let Some(item) = items.next() else { return };
                done.values.push(f(item));
            }
        })) {
            done.failures.push((done.values.len() + done.failures.len(), TaskError::unwound(payload)));
        }
        let begun = done.values.len() + done.failures.len();
        done.failures.extend(iter::zip(begun.., items.as_slice()).map(|(place, _)| (place, TaskError::Cancelled)));
        drop_quietly(items);
        done
    }
}

/// A submitted chunk.
pub(super) enum Batch<T> {
    One(TaskHandle<T>),
    Many {
        handle: TaskHandle<Chunk<T>>,
        len: usize,
    },
    /// The input's panic.
    Failed(TaskError),
}

impl<T> Sealed for Batch<T> {
    fn reference(&self) -> Reference<'_> {
        match self {
            Self::One(handle) => handle.reference(),
            Self::Many { handle, .. } => handle.reference(),
            Self::Failed(_) => Reference(None),
        }
    }
}
impl<T> Waitable for Batch<T> {}

impl<T> Batch<T> {
    pub(super) fn target(&self) -> Option<&dyn Target> {
        self.reference().0
    }

    pub(super) fn len(&self) -> usize {
        if let Self::Many { len, .. } = self { *len } else { 1 }
    }

    pub(super) fn cancel(&self) {
        match self {
            Self::One(handle) => drop(handle.cancel()),
            Self::Many { handle, .. } => drop(handle.cancel()),
            Self::Failed(_) => {}
        }
    }

    /// The results of a batch that has ended.
    pub(super) fn into_results(self) -> Results<T> {
        match self {
            Self::One(handle) => Results::One(Some(handle.result())),
            Self::Failed(error) => Results::One(Some(Err(error))),
            Self::Many { handle, len } => match handle.result() {
                Ok(Chunk { values, failures }) => {
                    let left = values.len() + failures.len();
                    Results::Many { values: values.into_iter(), failures: failures.into_iter().peekable(), at: 0, left }
                }
                Err(error) => Results::Unrun(error, len),
            },
        }
    }
}

/// The results of one batch, in the order of its items.
pub(super) enum Results<T> {
    One(Option<Result<T, TaskError>>),
    Many {
        values: vec::IntoIter<T>,
        failures: Peekable<vec::IntoIter<(usize, TaskError)>>,
        at: usize,
        left: usize,
    },
    /// So many items had the fate of their task.
    Unrun(TaskError, usize),
}

impl<T> Iterator for Results<T> {
    type Item = Result<T, TaskError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::One(result) => result.take(),
            Self::Many { values, failures, at, left } => {
                *left = left.checked_sub(1)?;
                *at += 1;
                match failures.next_if(|(place, _)| *place == *at - 1) {
                    Some((_, error)) => Some(Err(error)),
                    None => values.next().map(Ok),
                }
            }
            Self::Unrun(error, left) => {
                *left = left.checked_sub(1)?;
                Some(Err(same(error)))
            }
        }
    }
}

/// The error of a task that was not run, for one more of its items.
fn same(error: &TaskError) -> TaskError {
    match error {
        TaskError::Refused => TaskError::Refused,
        TaskError::NoWorker(kind) => TaskError::NoWorker(*kind),
        _ => TaskError::Cancelled,
    }
}
