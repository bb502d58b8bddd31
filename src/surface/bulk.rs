//! One function over many items.

use std::convert::Infallible;
use std::fmt;
use std::iter;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::batch::{Batch, Chunk, Chunks, one_part, parts_of};
use super::entry::submit;
use super::gathered::Gathered;
use super::map::{Buffer, Map, MapUnordered, Queue, Source, Stream};
use super::part::{Filled, Parts, fill};
use super::{Failure, ThreadPool};
use crate::policy::LockPolicy;
use crate::runtime::Core;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Arc, Instant};
use crate::task::TaskError;

/// How many items of a bulk operation one task works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkSize {
    /// So many, but the last.
    Items(usize),
    /// Many at the beginning, so that tasks cost little, and ever fewer, so that the workers are done at the same time: each time a fixed
    /// part of the items that are left, by the input's `size_hint`, or else as many as were submitted; at most 16,384.
    ///
    /// ("Guided self-scheduling", Polychronopoulos and Kuck, IEEE Transactions on Computers, 1987.)
    Auto,
}

impl From<usize> for ChunkSize {
    fn from(items: usize) -> Self {
        Self::Items(items)
    }
}

/// Settings of an operation over many items; made by [`ThreadPool::bulk`].
///
/// ```
/// use lockgrain::{ChunkSize, ThreadPool};
///
/// let pool = ThreadPool::new()?;
/// let squares = pool.bulk().chunk_size(ChunkSize::Auto).map(0..1_000_u64, |n| n * n);
/// assert_eq!(squares.map(Result::unwrap).sum::<u64>(), 332_833_500);
///
/// // Of an endless input, at most 8 are submitted and not yet yielded.
/// let mut endless = pool.bulk().buffer_size(8).map(0.., |n: u64| n + 1);
/// assert_eq!(endless.next().unwrap()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "settings do nothing until `map` or another operation"]
pub struct Bulk<'a, P: LockPolicy> {
    core: &'a Arc<Core<P>>,
    chunk_size: ChunkSize,
    buffer_size: usize,
    timeout: Option<Duration>,
}

impl<P: LockPolicy> Bulk<'_, P> {
    /// So many items may always be submitted at once, and so many chunks.
    const FEW: usize = 1 << 18;
    const ENOUGH: usize = 32;
    const ENOUGH_A_WORKER: usize = 8;

    /// How many items one task works on. Default: 1. For items that take less than some µs, more, or [`ChunkSize::Auto`].
    ///
    /// # Panics
    /// If it is 0.
    #[doc(alias = "chunksize")]
    #[doc(alias = "with_min_len")]
    pub fn chunk_size(mut self, size: impl Into<ChunkSize>) -> Self {
        self.chunk_size = size.into();
        assert!(self.chunk_size != ChunkSize::Items(0), "a chunk has at least one item: `chunk_size` was 0");
        self
    }

    /// How many items may be submitted and not yet yielded: the input is taken no faster, and may be endless. Default: no bound, all are
    /// submitted in the call; where that returns all values, some 2^18.
    ///
    /// # Panics
    /// If it is 0.
    #[doc(alias = "buffersize")]
    pub fn buffer_size(mut self, items: usize) -> Self {
        assert!(items > 0, "a buffer has room for at least one item: `buffer_size` was 0");
        self.buffer_size = items;
        self
    }

    /// How long the results are waited for in all, from the call of the operation on. Then comes [`TaskError::TimedOut`], and what has not
    /// started is cancelled.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// See [`ThreadPool::map`].
    pub fn map<'i, I, T, F>(self, items: I, f: F) -> Map<'i, T>
    where
        I: IntoIterator<IntoIter: 'i, Item: Send + 'static>,
        T: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
    {
        Map(self.stream(items.into_iter(), f, Default::default()))
    }

    /// See [`ThreadPool::map_unordered`].
    pub fn map_unordered<'i, I, T, F>(self, items: I, f: F) -> MapUnordered<'i, T>
    where
        I: IntoIterator<IntoIter: 'i, Item: Send + 'static>,
        T: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
    {
        MapUnordered(self.stream(items.into_iter(), f, Gathered::new()))
    }

    /// See [`ThreadPool::for_each`].
    ///
    /// # Errors
    /// The first item's, in the order of the input, that has failed.
    pub fn for_each<I, F>(self, items: I, f: F) -> Result<(), TaskError>
    where
        I: IntoIterator<Item: Send + 'static>,
        F: Fn(I::Item) + Send + Sync + 'static,
    {
        let mut first = Ok(());
        for result in self.map(items, f) {
            first = first.and(result);
        }
        first
    }

    /// See [`ThreadPool::map_all`].
    ///
    /// # Errors
    /// The first item's, in the order of the input, that has failed.
    pub fn map_all<I, T, F>(self, items: I, f: F) -> Result<Vec<T>, TaskError>
    where
        I: IntoIterator<Item: Send + 'static>,
        T: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
    {
        let Ok(values) = self.collect_items(items.into_iter(), move |item| Ok::<_, Infallible>(f(item)))?;
        Ok(values)
    }

    /// See [`ThreadPool::try_map`].
    ///
    /// # Errors
    /// [`Failure::Error`] or [`Failure::Task`]: the first failed item's, in the order of the input.
    pub fn try_map<I, T, E, F>(self, items: I, f: F) -> Result<Vec<T>, Failure<E>>
    where
        I: IntoIterator<Item: Send + 'static>,
        T: Send + 'static,
        E: Send + 'static,
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'static,
    {
        match self.collect_items(items.into_iter(), f) {
            Ok(values) => values.map_err(Failure::Error),
            Err(error) => Err(Failure::Task(error)),
        }
    }

    /// See [`ThreadPool::map_range`].
    ///
    /// # Errors
    /// The first index's that has failed.
    pub fn map_range<T, F>(self, range: Range<usize>, f: F) -> Result<Vec<T>, TaskError>
    where
        T: Send + 'static,
        F: Fn(usize) -> T + Send + Sync + 'static,
    {
        let (len, size) = (range.len(), self.size());
        let at_once = self.chunks_at_once(len <= Self::FEW || size == ChunkSize::Auto);
        let parts = parts_of(range, size, self.core.workers());
        let Ok(values) = self.collect(len, at_once, parts, move |index| Ok::<_, Infallible>(f(index)))?;
        Ok(values)
    }

    /// The values for all items of the input.
    fn collect_items<I, T, E, F>(self, items: I, f: F) -> Result<Result<Vec<T>, E>, TaskError>
    where
        I: Iterator<Item: Send + 'static>,
        T: Send + 'static,
        E: Send + 'static,
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'static,
    {
        let (expected, at_once) = match items.size_hint() {
            (least, Some(_)) => (least, self.chunks_at_once(least <= Self::FEW)),
            // It may be endless.
            (_, None) => (0, self.chunks_at_once(false)),
        };
        let mut chunks = Chunks::new(items, self.size(), self.core.workers());
        let chunks = iter::from_fn(move || {
            let mut items = Vec::new();
            chunks.take(&mut items);
            (!items.is_empty()).then(|| items.into_iter())
        });
        self.collect(expected, at_once, chunks, f)
    }

    /// All values, or the first failure, after which no item is begun. An item of the `map` below is a chunk, which fills its part of the vector.
    fn collect<C, T, E, F>(
        self,
        expected: usize,
        at_once: usize,
        chunks: impl Iterator<Item = C>,
        f: F,
    ) -> Result<Result<Vec<T>, E>, TaskError>
    where
        C: ExactSizeIterator + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
        F: Fn(C::Item) -> Result<T, E> + Send + Sync + 'static,
    {
        let mut parts = Parts::with_capacity(expected);
        let mut values = Filled::before(&parts);
        let chunks = chunks.map(move |items| {
            let part = parts.next(items.len());
            (items, part)
        });
        let failed = AtomicBool::new(false);
        let bulk = Self { chunk_size: ChunkSize::Items(1), buffer_size: at_once, ..self };
        let mut failure = None;
        let mut results = bulk.map(chunks, move |(items, part)| fill(items, part, &f, &failed));
        while let Some(result) = results.next() {
            match result {
                Ok(Ok(part)) => {
                    values.push(part);
                    continue;
                }
                // Not begun: the reason comes later.
                Ok(Err(None)) => {}
                Ok(Err(Some(error))) => failure = failure.or(Some(Ok(Err(error)))),
                Err(error) => failure = failure.or(Some(Err(error))),
            }
            results.0.take_no_more();
        }
        failure.unwrap_or_else(|| Ok(Ok(values.into_vec())))
    }

    /// How many chunks may be submitted and not done. If the caller says nothing, enough to keep the workers busy also behind a slow chunk, but not all of
    /// very many, whose memory would be used once each.
    fn chunks_at_once(&self, are_few: bool) -> usize {
        let enough = Self::ENOUGH.max(Self::ENOUGH_A_WORKER * self.core.workers());
        match self.size() {
            ChunkSize::Items(size) if self.buffer_size < usize::MAX => self.buffer_size / size,
            _ if are_few => usize::MAX,
            ChunkSize::Items(size) => (Self::FEW / size).max(enough),
            ChunkSize::Auto => enough,
        }
    }

    /// The chunk's size, in view of the buffer's.
    fn size(&self) -> ChunkSize {
        match self.chunk_size {
            ChunkSize::Items(items) => ChunkSize::Items(items.min(self.buffer_size)),
            ChunkSize::Auto if self.buffer_size == usize::MAX => ChunkSize::Auto,
            ChunkSize::Auto => ChunkSize::Items(one_part(self.buffer_size, self.core.workers())),
        }
    }

    fn stream<'i, I, T, F, Q>(self, items: I, f: F, queue: Q) -> Stream<'i, T, Q>
    where
        I: Iterator<Item: Send + 'static> + 'i,
        T: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        Q: Queue<T>,
    {
        // A time too far to be told is for ever.
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let stopped = Arc::new(AtomicBool::new(false));
        let chunk_size = self.size();
        let step = if let ChunkSize::Items(items) = chunk_size { items } else { 1 };
        let chunks = Chunks::new(items, chunk_size, self.core.workers());
        let source = source(self.core.clone(), chunks, f, stopped.clone());
        Stream::new(source, queue, Buffer { step, most: self.buffer_size }, deadline, stopped)
    }
}

fn source<'i, P, I, T, F>(core: Arc<Core<P>>, mut chunks: Chunks<I>, f: F, stopped: Arc<AtomicBool>) -> Source<'i, T>
where
    P: LockPolicy,
    I: Iterator<Item: Send + 'static> + 'i,
    T: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
{
    let f = Arc::new(f);
    let mut panicked = None;
    Box::new(move || {
        if let Some(panic) = &mut panicked {
            return Option::take(panic);
        }
        let mut chunk = Vec::new();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| chunks.take(&mut chunk))) {
            // At its place, after what came before; and then nothing more.
            let panic = Batch::Failed(TaskError::unwound(payload));
            panicked = Some(None);
            if chunk.is_empty() {
                return Some(panic);
            }
            panicked = Some(Some(panic));
        }
        let f = f.clone();
        let len = chunk.len();
        match len {
            0 => None,
            1 => {
                let item = chunk.pop().expect("one item");
                Some(Batch::One(submit(&core, move || f(item))))
            }
            _ => {
                let stopped = stopped.clone();
                let work = move || Chunk::work(chunk, &*f, || stopped.load(Relaxed));
                Some(Batch::Many { handle: submit(&core, work), len })
            }
        }
    })
}

impl<P: LockPolicy> ThreadPool<P> {
    /// Has `f` called with each item on the pool; the results come in the order of the items.
    ///
    /// All are submitted in this call, a task each; see [`bulk`](Self::bulk) for chunks, a bounded buffer, and a time-out.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let lengths: Result<Vec<_>, _> = pool.map(["a", "bc", "def"], str::len).collect();
    /// assert_eq!(lengths?, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "imap")]
    #[doc(alias = "starmap")]
    pub fn map<'i, I, T, F>(&self, items: I, f: F) -> Map<'i, T>
    where
        I: IntoIterator<IntoIter: 'i, Item: Send + 'static>,
        T: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
    {
        self.bulk().map(items, f)
    }

    /// As [`map`](Self::map), with the results in the order in which they come about.
    #[doc(alias = "imap_unordered")]
    pub fn map_unordered<'i, I, T, F>(&self, items: I, f: F) -> MapUnordered<'i, T>
    where
        I: IntoIterator<IntoIter: 'i, Item: Send + 'static>,
        T: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
    {
        self.bulk().map_unordered(items, f)
    }

    /// Has `f` called with each item on the pool, and waits for all, also when one has failed.
    ///
    /// # Errors
    /// The first item's, in the order of the input, that has failed.
    pub fn for_each<I, F>(&self, items: I, f: F) -> Result<(), TaskError>
    where
        I: IntoIterator<Item: Send + 'static>,
        F: Fn(I::Item) + Send + Sync + 'static,
    {
        self.bulk().for_each(items, f)
    }

    /// The values of `f` for all items, in their order: waits for them. After the first panic no other item is begun.
    ///
    /// The tasks write the values where they belong, in one vector, so this takes less time than to collect those of [`map`](Self::map), which come
    /// one by one. If items take less than some µs, have each task work on many: `pool.bulk().chunk_size(ChunkSize::Auto).map_all(..)`.
    ///
    /// # Errors
    /// The first item's, in the order of the input, that has failed.
    ///
    /// ```
    /// use lockgrain::ChunkSize;
    ///
    /// let pool = lockgrain::ThreadPool::new()?;
    /// assert_eq!(pool.map_all(["a", "bc", "def"], str::len)?, [1, 2, 3]);
    ///
    /// let squares = pool.bulk().chunk_size(ChunkSize::Auto).map_all(0..100_000_u64, |n| n * n)?;
    /// assert_eq!(squares[99_999], 9_999_800_001);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "collect")]
    #[doc(alias = "par_iter")]
    pub fn map_all<I, T, F>(&self, items: I, f: F) -> Result<Vec<T>, TaskError>
    where
        I: IntoIterator<Item: Send + 'static>,
        T: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
    {
        self.bulk().map_all(items, f)
    }

    /// As [`map_all`](Self::map_all), of all indices in a range. Each task gets a part of the range and not its items one by one, which is the least work
    /// there can be: for very many that take a few ns each.
    ///
    /// # Errors
    /// The first index's that has failed.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use lockgrain::ChunkSize;
    ///
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let words: Arc<[&str]> = ["a", "bc", "def"].into();
    /// let lengths = pool.bulk().chunk_size(ChunkSize::Auto).map_range(0..words.len(), move |at| words[at].len())?;
    /// assert_eq!(lengths, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "parallelSetAll")]
    pub fn map_range<T, F>(&self, range: Range<usize>, f: F) -> Result<Vec<T>, TaskError>
    where
        T: Send + 'static,
        F: Fn(usize) -> T + Send + Sync + 'static,
    {
        self.bulk().map_range(range, f)
    }

    /// As [`map_all`](Self::map_all), of a function that may fail; after the first error, or panic, no other item is begun, and no more of the input is
    /// taken.
    ///
    /// # Errors
    /// [`Failure::Error`] or [`Failure::Task`]: the first failed item's, in the order of the input.
    ///
    /// ```
    /// use lockgrain::Failure;
    ///
    /// let pool = lockgrain::ThreadPool::new()?;
    /// assert_eq!(pool.try_map(["1", "2"], str::parse::<u32>).unwrap(), [1, 2]);
    /// assert!(matches!(pool.try_map(["1", "x"], str::parse::<u32>), Err(Failure::Error(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_map<I, T, E, F>(&self, items: I, f: F) -> Result<Vec<T>, Failure<E>>
    where
        I: IntoIterator<Item: Send + 'static>,
        T: Send + 'static,
        E: Send + 'static,
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'static,
    {
        self.bulk().try_map(items, f)
    }

    /// Settings for an operation over many items.
    pub fn bulk(&self) -> Bulk<'_, P> {
        Bulk { core: self.core(), chunk_size: ChunkSize::Items(1), buffer_size: usize::MAX, timeout: None }
    }
}

impl<P: LockPolicy> fmt::Debug for Bulk<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk")
            .field("chunk_size", &self.chunk_size)
            .field("buffer_size", &self.buffer_size)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
