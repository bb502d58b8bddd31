//! Waiting until a pool has nothing to do.

use std::time::Duration;

use super::ThreadPool;
use crate::policy::LockPolicy;
use crate::sync::Instant;

impl<P: LockPolicy> ThreadPool<P> {
    /// Waits until the pool has nothing to do, for at most `timeout`; whether there was such a moment. For tasks that spawn tasks, of which nobody
    /// has all the handles. A later submission changes nothing in the answer.
    ///
    /// Nothing to do means: no task is queued, also not for one worker in a broadcast, none runs or blocks, and none stands in line for
    /// [guarded values](Self::when), keys or [permits](Self::limit). What a running task submits is there before that task ends, so the pool is not
    /// quiescent in between. Tasks and series count from the time on when the [timer](Self::schedule) has queued them, futures when they have been woken, and
    /// [continuations](crate::TaskHandle::then) when the task before them has ended. What is queued in a [paused](Self::pause) pool counts.
    ///
    /// A task of the same pool can wait, too: tasks that wait for this do not count, so it waits for all others, and a spare worker takes its place
    /// meanwhile, if there is one. It runs none of the others itself.
    ///
    /// It returns false at once in code with a context of the pool's global lock: no task could run meanwhile.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    /// use std::time::Duration;
    ///
    /// use lockgrain::ThreadPool;
    ///
    /// fn visit(pool: &ThreadPool, depth: u32, visited: &Arc<AtomicU32>) {
    ///     visited.fetch_add(1, SeqCst);
    ///     for _ in 0..if depth == 0 { 0 } else { 2 } {
    ///         let (inner, visited) = (pool.clone(), visited.clone());
    ///         pool.spawn(move || visit(&inner, depth - 1, &visited)).unwrap();
    ///     }
    /// }
    ///
    /// let (pool, visited) = (ThreadPool::new()?, Arc::default());
    /// visit(&pool, 5, &visited);
    /// assert!(pool.await_quiescence(Duration::from_secs(60)));
    /// assert_eq!(visited.load(SeqCst), 63);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "awaitQuiescence")]
    #[doc(alias = "helpQuiesce")]
    #[doc(alias = "join")]
    pub fn await_quiescence(&self, timeout: Duration) -> bool {
        // A time too far to be told is for ever.
        self.core().await_quiescence(Instant::now().checked_add(timeout))
    }

    /// Whether the pool has nothing to do at the moment, as [`await_quiescence`](Self::await_quiescence) has it. False in a task of the pool. A
    /// worker that has just run a task looks for another for up to 100 µs before it counts as having nothing to do.
    #[doc(alias = "isQuiescent")]
    pub fn is_quiescent(&self) -> bool {
        self.core().is_quiescent()
    }
}
