//! Several closures at once.

use std::time::Duration;

use super::gathered::Gathered;
use super::wait::{Waited, wait_for_all};
use super::{Failure, TaskHandle, ThreadPool};
use crate::policy::LockPolicy;
use crate::sync::Instant;

impl<P: LockPolicy> ThreadPool<P> {
    /// Submits all closures and waits for them; the handles, all ended, in the order of the closures. Where it can't
    /// wait, as in code that holds the global lock, they come back at once, and each says why when it is asked.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let handles = pool.invoke_all((1..=3).map(|n| move || n * 10));
    /// assert!(handles.iter().all(|handle| handle.is_finished()));
    /// assert_eq!(lockgrain::join_all(handles).into_iter().map(Result::unwrap).collect::<Vec<_>>(), [10, 20, 30]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn invoke_all<T, F>(&self, tasks: impl IntoIterator<Item = F>) -> Vec<TaskHandle<T>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let handles = self.submit_many(tasks);
        // Where a wait would deadlock, the handle says so.
        let _waited = wait_for_all(&handles, None);
        handles
    }

    /// As [`invoke_all`](Self::invoke_all), for at most `timeout` from the call on. Then what has not started is cancelled, and counts as done; who
    /// runs is asked to stop, and is not done. The same if it can't wait; [`Waited::cut_short`](crate::Waited::cut_short) says which it was.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use lockgrain::{ThreadPool, WaitError};
    ///
    /// let pool = ThreadPool::builder().max_workers(1).build()?;
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let gate = std::sync::Mutex::new(gate);
    /// let waits = std::sync::Arc::new(move || gate.lock().unwrap().recv().is_ok());
    /// let tasks = (0..3).map(|_| { let waits = waits.clone(); move || waits() });
    /// let waited = pool.invoke_all_timeout(tasks, Duration::from_millis(50));
    /// assert_eq!(waited.cut_short, Some(WaitError::TimedOut));
    /// assert!(waited.not_done.len() == 1 && waited.done.iter().all(|handle| handle.is_cancelled()));
    /// go.send(())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn invoke_all_timeout<T, F>(
        &self,
        tasks: impl IntoIterator<Item = F>,
        timeout: Duration,
    ) -> Waited<TaskHandle<T>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        // A time too far to be told is for ever.
        let deadline = Instant::now().checked_add(timeout);
        let handles = self.submit_many(tasks);
        let cut_short = wait_for_all(&handles, deadline).err();
        if cut_short.is_some() {
            handles.iter().for_each(|handle| _ = handle.request_cancel());
        }
        Waited::of(handles, cut_short)
    }

    /// Submits all closures and waits for the first success; then what has not started is cancelled, and who runs is asked to stop.
    ///
    /// # Errors
    /// [`Failure::Empty`] without closures; else, if none has success, the failure that came last.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// assert_eq!(pool.invoke_any(["x", "7"].map(|text| || text.parse::<u32>())).unwrap(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "race")]
    pub fn invoke_any<T, E, F>(&self, tasks: impl IntoIterator<Item = F>) -> Result<T, Failure<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        self.invoke_any_until(tasks, None)
    }

    /// As [`invoke_any`](Self::invoke_any), for at most `timeout` from the call on.
    ///
    /// # Errors
    /// As `invoke_any`'s; and [`Failure::Task`] with [`TaskError::TimedOut`](crate::TaskError::TimedOut) if by then none has success and not all have failed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let found = pool.invoke_any_timeout(["x", "7"].map(|text| || text.parse::<u32>()), Duration::from_secs(10));
    /// assert_eq!(found.unwrap(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn invoke_any_timeout<T, E, F>(
        &self,
        tasks: impl IntoIterator<Item = F>,
        timeout: Duration,
    ) -> Result<T, Failure<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        // A time too far to be told is for ever.
        self.invoke_any_until(tasks, Instant::now().checked_add(timeout))
    }

    fn invoke_any_until<T, E, F>(
        &self,
        tasks: impl IntoIterator<Item = F>,
        deadline: Option<Instant>,
    ) -> Result<T, Failure<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        let handles = Gathered::of(tasks.into_iter().map(|task| self.submit(task)));
        let mut failure = Failure::Empty;
        let outcome = loop {
            match handles.next(deadline) {
                Err(why) => break Err(Failure::Task(why.into())),
                Ok(None) => break Err(failure),
                Ok(Some((_, handle))) => match handle.result() {
                    Ok(Ok(value)) => break Ok(value),
                    Ok(Err(error)) => failure = Failure::Error(error),
                    Err(error) => failure = Failure::Task(error),
                },
            }
        };
        for handle in handles.rest().into_values() {
            handle.request_cancel();
        }
        outcome
    }
}
