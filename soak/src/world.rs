//! The pool that all drivers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use lockgrain::{Builder, Guarded, Keyed, Limit, LockPolicy, Strand, ThreadPool};

use crate::ON_PURPOSE;
use crate::books::Books;

pub(crate) const WORKERS: usize = 4;
/// More guarded values than most tasks find free.
pub(crate) const VALUES: usize = 5;
pub(crate) const PERMITS: usize = 3;

/// The pool that all share, its guarded values, and the books.
pub(crate) struct World<P: LockPolicy> {
    pub(crate) pool: ThreadPool<P>,
    pub(crate) values: Vec<Guarded<u64, P>>,
    pub(crate) keyed: Keyed<u8, P>,
    pub(crate) strand: Strand<P>,
    pub(crate) limit: Limit<P>,
    pub(crate) books: Books,
    /// How often a task has added one to a guarded value.
    pub(crate) added: Arc<AtomicU64>,
    /// Permits in use.
    pub(crate) in_use: Arc<AtomicU64>,
}

impl<P: LockPolicy> World<P> {
    pub(crate) fn new() -> Self {
        let settings = Builder::new().max_workers(WORKERS).keep_alive(Duration::from_millis(2)).min_workers(1);
        let hook = |every: u32, what: &'static str| {
            move |_: usize| assert!(fastrand::u32(0..every) > 0, "{ON_PURPOSE}: {what}")
        };
        let settings = settings.on_thread_start(hook(5, "a start")).on_thread_stop(hook(5, "a stop"));
        let settings = settings.before_task(hook(5_000, "before")).after_task(hook(5_000, "after"));
        let handler = |_| assert!(fastrand::bool(), "{ON_PURPOSE}: a panic handler");
        let pool = settings.panic_handler(handler).build().expect("no thread is needed for that");
        Self {
            values: (0..VALUES).map(|_| pool.guarded(0)).collect(),
            keyed: pool.keyed(),
            strand: pool.strand(),
            limit: pool.limit(PERMITS),
            pool,
            books: Books::default(),
            added: Arc::default(),
            in_use: Arc::default(),
        }
    }

    pub(crate) fn show(&self) -> String {
        format!("{:?}, paused: {}\n{}", self.pool, self.pool.is_paused(), self.pool.metrics())
    }

    pub(crate) fn wrong(&self) -> u64 {
        self.books.wrong()
    }

    /// Ends the pool, and looks at its books and ours.
    pub(crate) fn end(&self) {
        let last = |value: &Guarded<u64, P>| {
            // Until it has a thread to run on.
            (0..100).find_map(|_| self.pool.when(value, |value| *value).result().ok())
        };
        let added = self.values.iter().map(last).sum::<Option<u64>>();
        self.books.expect(added == Some(self.added.load(Relaxed)), "an update of a guarded value is lost");
        self.pool.shutdown();
        let metrics = self.pool.metrics();
        self.books.expect(metrics.started == metrics.finished, "a task began and did not end");
        self.books.expect(metrics.submitted == metrics.started + metrics.cancelled, "a task is lost");
        self.books.expect(metrics.threads == 0, "a thread is left");
        self.books.expect(self.keyed.is_empty(), "a key is left");
        self.books.expect(self.in_use.load(Relaxed) == 0, "a permit is left");
    }

    pub(crate) fn report(&self) -> String {
        format!("{}\n{}\n{}", P::NAME, self.pool.metrics(), self.books.report())
    }
}
