//! A task with settings of its own.

use std::fmt;

use super::pool::{spawn_ranked, submit_ranked, try_submit_ranked};
use super::{Context, Refused, Rejected, TaskHandle, ThreadPool};
use crate::policy::LockPolicy;
use crate::runtime::Core;
use crate::sync::Arc;

/// Settings of one task or of several; made by [`ThreadPool::task`].
///
/// ```
/// use lockgrain::ThreadPool;
///
/// let pool = ThreadPool::builder().max_workers(1).build()?;
/// let (open, gate) = std::sync::mpsc::channel::<()>();
/// let first = pool.submit(move || gate.recv().is_err());
/// let (send, order) = std::sync::mpsc::channel();
/// for (name, priority) in [("tidy up", -1), ("import", 0), ("answer", 10), ("another answer", 10)] {
///     let send = send.clone();
///     pool.task().priority(priority).spawn(move || send.send(name).unwrap())?;
/// }
/// drop((open, send)); // the only worker was busy until now
/// assert_eq!(order.iter().collect::<Vec<_>>(), ["answer", "another answer", "import", "tidy up"]);
/// # drop(first);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "settings do nothing until a task is submitted with them"]
pub struct TaskBuilder<'pool, P: LockPolicy> {
    core: &'pool Arc<Core<P>>,
    priority: i8,
}

impl<P: LockPolicy> ThreadPool<P> {
    /// Settings for a task: its priority.
    pub fn task(&self) -> TaskBuilder<'_, P> {
        TaskBuilder { core: self.core(), priority: 0 }
    }
}

impl<P: LockPolicy> TaskBuilder<'_, P> {
    /// Which of the tasks that wait for a worker goes first: the higher one. Those with one priority start in the order in which they were submitted.
    /// Default: 0, as all tasks have that are submitted otherwise.
    ///
    /// So that each starts some day, whatever keeps coming: of each 16 tasks that a worker takes while there are some with a priority other than 0, it takes one that has 0,
    /// if there is one, and the oldest of the others, whatever its priority. `docs/ranked.md` says how long a task can wait.
    ///
    /// A priority does not interrupt what runs. Who [waits](TaskHandle::result) for a task in a worker runs it at once if it is queued, whatever its priority.
    pub fn priority(mut self, priority: i8) -> Self {
        self.priority = priority;
        self
    }

    /// As [`ThreadPool::submit`].
    pub fn submit<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> TaskHandle<T> {
        submit_ranked(self.core, self.priority, f)
    }

    /// As [`ThreadPool::try_submit`].
    ///
    /// # Errors
    /// As there.
    pub fn try_submit<T, F>(&self, f: F) -> Result<TaskHandle<T>, Rejected<F>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        try_submit_ranked(self.core, self.priority, f)
    }

    /// As [`ThreadPool::submit_with`].
    pub fn submit_with<T, F>(&self, f: F) -> TaskHandle<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Context<P>) -> T + Send + 'static,
    {
        let pool = self.core.id;
        self.submit(move || Context::within(pool, f))
    }

    /// As [`ThreadPool::spawn`].
    ///
    /// # Errors
    /// As there.
    pub fn spawn(&self, f: impl FnOnce() + Send + 'static) -> Result<(), Refused> {
        spawn_ranked(self.core, self.priority, f)
    }
}

impl<P: LockPolicy> fmt::Debug for TaskBuilder<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder").field("priority", &self.priority).finish_non_exhaustive()
    }
}
