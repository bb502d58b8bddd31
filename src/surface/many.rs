//! Many tasks in one call.

use std::mem;

use super::entry::{spawn, submit};
use super::{Refused, TaskHandle, ThreadPool};
use crate::policy::LockPolicy;
use crate::runtime::Core;
use crate::runtime::trace::traced;
use crate::sync::Arc;
use crate::task::{self, Task, TaskList};

/// So many tasks are made before the pool sees them.
const BLOCK: usize = 64;

/// Tasks that the pool has not seen yet. It sees them at the end in any case, also if the iterator panics that gives the next.
struct Block<'pool, P: LockPolicy> {
    core: &'pool Arc<Core<P>>,
    tasks: TaskList,
}

impl<'pool, P: LockPolicy> Block<'pool, P> {
    fn new(core: &'pool Arc<Core<P>>) -> Self {
        Self { core, tasks: TaskList::new() }
    }

    #[inline]
    fn add(&mut self, task: Task) {
        self.tasks.push_back(task);
        if self.tasks.len() == BLOCK {
            self.show();
        }
    }

    fn show(&mut self) {
        if !self.tasks.is_empty() {
            self.core.push_all(mem::take(&mut self.tasks));
        }
    }
}

impl<P: LockPolicy> Drop for Block<'_, P> {
    fn drop(&mut self) {
        self.show();
    }
}

impl<P: LockPolicy> ThreadPool<P> {
    /// Has a worker run each of `tasks`, as [`spawn`](Self::spawn) does, in their order: the same as a loop of it, for less than half of the caller's time.
    ///
    /// The pool sees the tasks in blocks of 64, so the iterator must not wait for what it has given. If it panics, what it has given before is
    /// run.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    ///
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let sum = Arc::new(AtomicU64::new(0));
    /// pool.spawn_many((1..=1_000).map(|n| {
    ///     let sum = sum.clone();
    ///     move || {
    ///         sum.fetch_add(n, SeqCst);
    ///     }
    /// }))?;
    /// pool.shutdown();
    /// assert_eq!(sum.load(SeqCst), 500_500);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the first one that is refused, with the reason, as `spawn`'s. Those before it have been accepted; it has been dropped, and no more have
    /// been asked for.
    #[doc(alias = "batch")]
    pub fn spawn_many<F>(&self, tasks: impl IntoIterator<Item = F>) -> Result<(), Refused>
    where
        F: FnOnce() + Send + 'static,
    {
        let core = self.core();
        let mut block = Block::new(core);
        for f in tasks {
            if core.is_draining() || !core.is_plain() {
                block.show();
                spawn(core, 0, f)?;
            } else {
                block.add(task::detached(traced::<P, _, _>(f)));
            }
        }
        Ok(())
    }

    /// Has a worker run each of `tasks`, as [`submit`](Self::submit) does, in their order; the handles in the same one. The same as a loop of it, for
    /// less of the caller's time.
    /// For results as they come, without handles for all, see [`map`](Self::map).
    ///
    /// The pool sees the tasks in blocks of 64, so the iterator must not wait for what it has given. If it panics, what it has given before is
    /// run.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let handles = pool.submit_many((1..=3).map(|n| move || n * n));
    /// let squares = lockgrain::join_all(handles);
    /// assert_eq!(squares.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "batch")]
    #[must_use = "without its handle nobody hears of a task's result; `spawn_many` needs none"]
    #[doc(alias = "map_async")]
    pub fn submit_many<T, F>(&self, tasks: impl IntoIterator<Item = F>) -> Vec<TaskHandle<T>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let core = self.core();
        let mut block = Block::new(core);
        let submit = |f| {
            if core.is_draining() || !core.is_plain() {
                block.show();
                return submit(core, f);
            }
            let (task, join) = task::joinable(core.id, traced::<P, _, _>(f));
            block.add(task);
            TaskHandle::new(join)
        };
        tasks.into_iter().map(submit).collect()
    }
}
