//! A task with settings of its own.

use std::fmt;
use std::time::Duration;

use super::entry::{Entry, refused, spawn};
use super::{Context, Refused, Rejected, TaskHandle, ThreadPool};
use crate::policy::LockPolicy;
use crate::runtime::Core;
use crate::sync::Arc;
use crate::task;

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
    start_within: Option<Duration>,
}

impl<P: LockPolicy> ThreadPool<P> {
    /// Settings for a task: its priority, and when it has to start.
    pub fn task(&self) -> TaskBuilder<'_, P> {
        TaskBuilder { core: self.core(), priority: 0, start_within: None }
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

    /// The task is only good if it starts that soon after its submission: if it has not, its handle ends with [`TaskError::Expired`](crate::TaskError::Expired),
    /// and the closure is dropped, unrun. For answers that nobody waits for any more, which would only keep those back that somebody does. Default: however late.
    ///
    /// It may end a little later than that: when the thread named `<prefix>_timer` comes by, which the pool starts for the first such task, as for those that are
    /// [scheduled](ThreadPool::schedule). That thread drops the closure, and runs the handle's callbacks, so these should be short. A task that has started is left alone. An expired
    /// one counts as cancelled, in its [state](TaskHandle::state) and in the metrics.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lockgrain::{TaskError, ThreadPool};
    ///
    /// let pool = ThreadPool::builder().max_workers(1).build()?;
    /// let (open, gate) = std::sync::mpsc::channel::<()>();
    /// let first = pool.submit(move || gate.recv().is_err());
    /// let answer = pool.task().start_within(Duration::from_millis(5)).submit(|| "an answer");
    /// assert!(matches!(answer.result(), Err(TaskError::Expired)));
    /// drop(open);
    /// assert!(first.result()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "deadline")]
    #[doc(alias = "start_deadline")]
    pub fn start_within(mut self, time: Duration) -> Self {
        self.start_within = Some(time);
        self
    }

    /// As [`ThreadPool::submit`].
    pub fn submit<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> TaskHandle<T> {
        match Entry::to(self.core) {
            Ok(entry) => self.enter(entry, f),
            Err(why) => {
                task::drop_quietly(f);
                refused(self.core, why)
            }
        }
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
        match Entry::to(self.core) {
            Ok(entry) => Ok(self.enter(entry, f)),
            Err(why) => Err(Rejected { closure: f, why }),
        }
    }

    fn enter<T, F>(&self, entry: Entry, f: F) -> TaskHandle<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        match self.start_within {
            None => entry.submit(self.core, self.priority, f),
            Some(time) => entry.submit_within(self.core, self.priority, time, f),
        }
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
        match self.start_within {
            None => spawn(self.core, self.priority, f),
            Some(_) => self.try_submit(f).map(drop).map_err(|Rejected { closure, why }| {
                task::drop_quietly(closure);
                why
            }),
        }
    }
}

impl<P: LockPolicy> fmt::Debug for TaskBuilder<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("priority", &self.priority)
            .field("start_within", &self.start_within)
            .finish_non_exhaustive()
    }
}
