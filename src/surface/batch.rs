//! A few items of a bulk operation, which one task works on.

use std::iter::{self, Fuse};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::vec;

use super::waitable::{Reference, Waitable, sealed::Sealed};
use super::{ChunkSize, TaskHandle};
use crate::task::{Target, TaskError, drop_quietly};

/// Most items from an iterator that [`ChunkSize::Auto`] puts into one task, and into how many parts a worker it divides what is left.
const MOST: usize = 1 << 14;
const PARTS: usize = 4;

/// Of so many items from an iterator, for one task.
pub(super) fn one_part(items: usize, workers: usize) -> usize {
    one_part_of_range(items, workers).min(MOST)
}

/// Nobody takes the items of a range one by one, nor keeps them, so a part of it may be as large as it likes.
fn one_part_of_range(items: usize, workers: usize) -> usize {
    (items / (PARTS * workers)).max(1)
}

/// The items of the input, a chunk at a time.
pub(super) struct Chunks<I> {
    items: Fuse<I>,
    size: ChunkSize,
    workers: usize,
    /// So many have been taken.
    taken: usize,
}

impl<I: Iterator> Chunks<I> {
    pub(super) fn new(items: I, size: ChunkSize, workers: usize) -> Self {
        Self { items: items.fuse(), size, workers, taken: 0 }
    }

    /// Appends the next chunk's items. If the input panics, those before are there.
    pub(super) fn take(&mut self, chunk: &mut Vec<I::Item>) {
        let size = match self.size {
            ChunkSize::Items(items) => items,
            ChunkSize::Auto => one_part(self.items.size_hint().0.max(self.taken), self.workers),
        };
        chunk.extend(self.items.by_ref().take(size));
        self.taken += chunk.len();
    }
}

/// A range in parts, each for one task.
pub(super) fn parts_of(mut range: Range<usize>, size: ChunkSize, workers: usize) -> impl Iterator<Item = Range<usize>> {
    iter::from_fn(move || {
        let len = match size {
            ChunkSize::Items(items) => items,
            ChunkSize::Auto => one_part_of_range(range.len(), workers),
        };
        let part = range.start..range.start + len.min(range.len());
        range.start = part.end;
        (!part.is_empty()).then_some(part)
    })
}

/// The results of one chunk's items, in runs of values with an error behind each but the last.
pub(super) struct Chunk<T>(Vec<(Vec<T>, Option<TaskError>)>);

impl<T> Chunk<T> {
    /// Works on one item after another. One that panics does not keep the next from its turn; what comes after a stop was cancelled.
    pub(super) fn work<I>(items: Vec<I>, f: impl Fn(I) -> T, is_stopped: impl Fn() -> bool) -> Self {
        let mut runs = Vec::new();
        let mut items = items.into_iter();
        loop {
            let mut values = Vec::with_capacity(items.len());
            let run = catch_unwind(AssertUnwindSafe(|| {
                while !is_stopped() {
                    let Some(item) = items.next() else { return };
                    values.push(f(item));
                }
            }));
            match run {
                Err(payload) => runs.push((values, Some(TaskError::unwound(payload)))),
                Ok(()) => {
                    runs.push((values, None));
                    break;
                }
            }
        }
        runs.extend(items.as_slice().iter().map(|_| (Vec::new(), Some(TaskError::Cancelled))));
        drop_quietly(items);
        Self(runs)
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
        let _cancelled = match self {
            Self::One(handle) => handle.cancel(),
            Self::Many { handle, .. } => handle.cancel(),
            Self::Failed(_) => false,
        };
    }

    /// Opens a batch that has ended, of which `opened` keeps all but the first result.
    pub(super) fn open(self, opened: &mut Opened<T>) -> Option<Result<T, TaskError>> {
        match self {
            Self::One(handle) => return Some(handle.result()),
            Self::Failed(error) => return Some(Err(error)),
            Self::Many { handle, len } => match handle.result() {
                Ok(Chunk(runs)) => (opened.left, opened.runs) = (len, runs.into_iter()),
                Err(error) => opened.unrun = Some((error, len)),
            },
        }
        opened.next()
    }
}

/// The results of a batch, in the order of its items.
pub(super) struct Opened<T> {
    /// What comes next.
    values: vec::IntoIter<T>,
    error: Option<TaskError>,
    runs: vec::IntoIter<(Vec<T>, Option<TaskError>)>,
    /// How many results the runs have, those that are begun not counted.
    left: usize,
    /// So many items had the fate of their task.
    unrun: Option<(TaskError, usize)>,
}

impl<T> Opened<T> {
    pub(super) fn nothing() -> Self {
        Self { values: Vec::new().into_iter(), error: None, runs: Vec::new().into_iter(), left: 0, unrun: None }
    }

    /// The next one, if it is a value.
    #[inline]
    pub(super) fn next_value(&mut self) -> Option<T> {
        self.values.next()
    }

    pub(super) fn next(&mut self) -> Option<Result<T, TaskError>> {
        loop {
            if let Some(value) = self.values.next() {
                return Some(Ok(value));
            }
            if let Some(error) = self.error.take() {
                return Some(Err(error));
            }
            let Some((values, error)) = self.runs.next() else { break };
            self.left -= values.len() + usize::from(error.is_some());
            (self.values, self.error) = (values.into_iter(), error);
        }
        let (error, left) = self.unrun.as_mut()?;
        *left = left.checked_sub(1)?;
        Some(Err(same(error)))
    }

    /// How many are left.
    pub(super) fn len(&self) -> usize {
        let unrun = self.unrun.as_ref().map_or(0, |(_, left)| *left);
        self.values.len() + usize::from(self.error.is_some()) + self.left + unrun
    }
}

/// The error of a task that was not run, for one more of its items.
fn same(error: &TaskError) -> TaskError {
    match error {
        TaskError::Refused => TaskError::Refused,
        TaskError::Broken(why) => TaskError::Broken(why.clone()),
        TaskError::NoWorker(kind) => TaskError::NoWorker(*kind),
        _ => TaskError::Cancelled,
    }
}
