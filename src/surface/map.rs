//! The results of a function over many items.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;

use super::batch::{Batch, Opened};
use super::gathered::Gathered;
use crate::runtime;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Arc, Instant};
use crate::task::{TaskError, WaitError};

/// Takes some items from the input and submits them; none if there are no more.
pub(super) type Source<'a, T> = Box<dyn FnMut() -> Option<Batch<T>> + 'a>;

/// How many items the source gives at once, and how many may be submitted and not yielded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    pub(super) step: usize,
    pub(super) most: usize,
}

/// Submitted batches, in the order in which they are to be yielded.
pub(super) trait Queue<T> {
    fn push(&mut self, batch: Batch<T>);
    /// Waits for the next one to end, and takes it.
    fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Batch<T>>, WaitError>;
    fn cancel(&mut self);
}

/// In the order of the input.
impl<T> Queue<T> for VecDeque<Batch<T>> {
    fn push(&mut self, batch: Batch<T>) {
        self.push_back(batch);
    }

    fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Batch<T>>, WaitError> {
        if let Some(target) = self.front().and_then(Batch::target) {
            runtime::wait(target, deadline)?;
        }
        Ok(self.pop_front())
    }

    fn cancel(&mut self) {
        self.drain(..).for_each(|batch| batch.cancel());
    }
}

/// In the order in which they end.
impl<T> Queue<T> for Gathered<Batch<T>> {
    fn push(&mut self, batch: Batch<T>) {
        self.add(batch);
    }

    fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Batch<T>>, WaitError> {
        Ok(Gathered::next(self, deadline)?.map(|(_, batch)| batch))
    }

    fn cancel(&mut self) {
        self.rest().into_values().for_each(|batch| batch.cancel());
    }
}

/// What is submitted and not yielded, and what is left of the input.
pub(super) struct Stream<'a, T, Q: Queue<T>> {
    /// Once it has nothing more, none.
    source: Option<Source<'a, T>>,
    queue: Q,
    opened: Opened<T>,
    /// Items in the queue.
    queued: usize,
    buffer: Buffer,
    deadline: Option<Instant>,
    /// Tells the tasks that run.
    stopped: Arc<AtomicBool>,
    ended: bool,
}

impl<'a, T, Q: Queue<T>> Stream<'a, T, Q> {
    pub(super) fn new(
        source: Source<'a, T>,
        queue: Q,
        buffer: Buffer,
        deadline: Option<Instant>,
        stopped: Arc<AtomicBool>,
    ) -> Self {
        let source = Some(source);
        let opened = Opened::nothing();
        let mut this = Self { source, queue, opened, queued: 0, buffer, deadline, stopped, ended: false };
        this.fill();
        this
    }

    /// How many items are submitted and not yielded.
    fn submitted(&self) -> usize {
        self.queued + self.opened.len()
    }

    fn fill(&mut self) {
        while let Some(source) = &mut self.source
            && (self.queued + self.opened.len()).saturating_add(self.buffer.step) <= self.buffer.most
        {
            match source() {
                Some(batch) => {
                    self.queued += batch.len();
                    self.queue.push(batch);
                }
                None => self.source = None,
            }
        }
    }

    /// Leaves the rest of the input where it is.
    pub(super) fn take_no_more(&mut self) {
        self.source = None;
    }

    fn stop(&mut self) {
        self.ended = true;
        self.source = None;
        self.opened = Opened::nothing();
        self.stopped.store(true, Relaxed);
        self.queue.cancel();
    }

    #[inline]
    fn next(&mut self) -> Option<Result<T, TaskError>> {
        match self.opened.next_value() {
            Some(value) => Some(Ok(value)),
            None => self.next_after_wait(),
        }
    }

    fn next_after_wait(&mut self) -> Option<Result<T, TaskError>> {
        let mut next = self.opened.next();
        while next.is_none() && !self.ended {
            // What has been yielded makes room.
            self.fill();
            match self.queue.next(self.deadline) {
                Ok(Some(batch)) => {
                    self.queued -= batch.len();
                    next = batch.open(&mut self.opened);
                }
                Ok(None) => self.ended = true,
                Err(why) => {
                    self.stop();
                    return Some(Err(why.into()));
                }
            }
        }
        self.fill();
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let submitted = self.submitted();
        // If the time runs out, or the wait would deadlock, that is the last one.
        (submitted.min(1), self.source.is_none().then_some(submitted))
    }
}

impl<T, Q: Queue<T>> Drop for Stream<'_, T, Q> {
    fn drop(&mut self) {
        if !self.ended {
            self.stop();
        }
    }
}

macro_rules! iterator {
    ($(#[$doc:meta])* $name:ident over $queue:ty) => {
        $(#[$doc])*
        #[must_use = "dropping it cancels what has not started; use `for_each` for nothing but the effects"]
        pub struct $name<'a, T>(pub(super) Stream<'a, T, $queue>);

        impl<T> Iterator for $name<'_, T> {
            type Item = Result<T, TaskError>;

            #[inline]
            fn next(&mut self) -> Option<Self::Item> {
                self.0.next()
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                self.0.size_hint()
            }
        }

        impl<T> FusedIterator for $name<'_, T> {}

        impl<T> fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("submitted", &self.0.submitted()).finish_non_exhaustive()
            }
        }
    };
}

iterator! {
    /// The results of [`ThreadPool::map`](crate::ThreadPool::map), in the order of the input.
    ///
    /// An item that failed is an error at its place, and does not end the others. If the input itself panics, that is an error at its place,
    /// and the last one. When the [time-out](crate::Bulk::timeout) runs out, [`TaskError::TimedOut`] comes, and then the end. Inside a task it
    /// waits as [`TaskHandle::result`](crate::TaskHandle::result) does.
    ///
    /// Dropping it, or the end of its time, cancels what has not started.
    ///
    /// It has no `len`, as it may end before its input. Once it has taken all of that, [`size_hint`](Iterator::size_hint) says how many come at the most.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let mut lengths = pool.map(["one", "three", "", "four"], |word| match word.len() {
    ///     0 => panic!("an empty word"),
    ///     length => length,
    /// });
    /// assert_eq!(lengths.size_hint(), (1, Some(4)));
    /// assert_eq!(lengths.next().unwrap()?, 3);
    /// let rest: Vec<_> = lengths.map(|length| length.ok()).collect();
    /// assert_eq!(rest, [Some(5), None, Some(4)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Map over VecDeque<Batch<T>>
}

iterator! {
    /// The results of [`ThreadPool::map_unordered`](crate::ThreadPool::map_unordered), in the order in which they come about; otherwise as
    /// [`Map`].
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let squares = pool.map_unordered(1..=4_u32, |n| n * n);
    /// assert_eq!(squares.size_hint().1, Some(4));
    /// let mut squares: Vec<_> = squares.collect::<Result<_, _>>()?;
    /// squares.sort();
    /// assert_eq!(squares, [1, 4, 9, 16]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    MapUnordered over Gathered<Batch<T>>
}
