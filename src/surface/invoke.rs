//! Several closures at once.

use super::gathered::Gathered;
use super::wait::{ReturnWhen, Waited, wait};
use super::{Failure, TaskHandle, ThreadPool};
use crate::policy::LockPolicy;

impl<P: LockPolicy> ThreadPool<P> {
    /// Submits all closures and waits for them; the handles, all ended, in the order of the closures. For a time-out use
    /// [`wait`](crate::wait).
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
        let Waited { mut done, not_done, .. } = wait(handles, ReturnWhen::AllCompleted, None);
        done.extend(not_done);
        done
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
        let handles = Gathered::of(tasks.into_iter().map(|task| self.submit(task)));
        let mut failure = Failure::Empty;
        let outcome = loop {
            match handles.next(None) {
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
