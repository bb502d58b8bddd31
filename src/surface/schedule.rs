//! Tasks that run later, or again and again.

use std::time::Duration;

use super::{TaskHandle, ThreadPool};
use crate::policy::LockPolicy;
use crate::runtime::propagation::{Surroundings, carried};
use crate::runtime::timer::{self, Period};
use crate::task;

impl<P: LockPolicy> ThreadPool<P> {
    /// Has `f` run by a worker once `delay` has passed. It may be later: when a worker is free, as with any task.
    ///
    /// The handle is that of [`submit`](Self::submit). Until its time has come the task is [queued](crate::TaskState::Queued), also for who waits
    /// for it inside a worker: a spare one takes its place. [`cancel`](TaskHandle::cancel) drops `f` at once.
    ///
    /// [`shutdown`](Self::shutdown) waits for the task, but see
    /// [`Builder::run_delayed_after_shutdown`](crate::Builder::run_delayed_after_shutdown). A pool that has such tasks has one thread more, named
    /// `<prefix>_timer`, which is none of its workers. A delay that no clock can tell counts as some 30 years.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let begin = Instant::now();
    /// let later = pool.schedule(Duration::from_millis(20), move || begin.elapsed());
    /// let never = pool.schedule(Duration::from_secs(3600), || "too late");
    /// assert!(later.result()? >= Duration::from_millis(20));
    /// assert!(never.cancel());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Through the handle, as with `submit`: [`TaskError::Refused`](crate::TaskError::Refused) once the pool is shutting down, and
    /// [`TaskError::NoWorker`](crate::TaskError::NoWorker) if the timer's thread could not be started.
    #[doc(alias = "call_later")]
    #[doc(alias = "ScheduledExecutorService")]
    #[doc(alias = "setTimeout")]
    pub fn schedule<T, F>(&self, delay: Duration, f: F) -> TaskHandle<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let core = self.core();
        if core.is_draining() {
            task::drop_quietly(f);
            return TaskHandle::new(task::refused(core.id, core.refused()));
        }
        TaskHandle::new(timer::delayed(core, delay, carried(core, f)))
    }

    /// Has `f` run by a worker again and again: the first run is due after `initial_delay`, each further one `period` after the last one
    /// was due. A run that is late does not shift those after it: they follow at once, until the series has caught up.
    ///
    /// Two runs never overlap. What one does the next one sees, on whatever worker it runs, so `f` may change what it owns.
    ///
    /// The handle is that of the series, and never has a value:
    ///
    /// - [`cancel`](TaskHandle::cancel) between two runs ends the series and drops `f` at once. During a run it returns true as well, and
    ///   the series ends after it; so does [`request_cancel`](TaskHandle::request_cancel). The handle ends with
    ///   [`TaskError::Cancelled`](crate::TaskError::Cancelled).
    /// - A run that panics ends the series, and the handle with [`TaskError::Panicked`](crate::TaskError::Panicked).
    /// - Without a handle the series goes on until the pool shuts down.
    /// - Between two runs it is [queued](crate::TaskState::Queued), during one it [runs](crate::TaskState::Running).
    ///
    /// [`shutdown`](Self::shutdown) ends it, as cancelled, but see
    /// [`Builder::run_periodic_after_shutdown`](crate::Builder::run_periodic_after_shutdown); a run that was due may still come.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let (send, ticks) = std::sync::mpsc::channel();
    /// let mut tick = 0;
    /// let series = pool.schedule_at_fixed_rate(Duration::ZERO, Duration::from_millis(5), move || {
    ///     tick += 1;
    ///     let _nobody_listens = send.send(tick);
    /// });
    /// assert_eq!(ticks.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
    /// assert!(series.cancel());
    /// assert!(series.result().unwrap_err().is_cancelled());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Through the handle, as with [`schedule`](Self::schedule).
    ///
    /// # Panics
    /// If `period` is zero.
    #[doc(alias = "scheduleAtFixedRate")]
    #[doc(alias = "interval")]
    pub fn schedule_at_fixed_rate<F>(&self, initial_delay: Duration, period: Duration, f: F) -> TaskHandle<()>
    where
        F: FnMut() + Send + 'static,
    {
        assert!(!period.is_zero(), "the period is zero: such a series would never rest");
        self.series(initial_delay, Period::Rate(period), f)
    }

    /// As [`schedule_at_fixed_rate`](Self::schedule_at_fixed_rate), but each further run is due `delay` after the last one has ended.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let (send, gaps) = std::sync::mpsc::channel();
    /// let mut ended = None;
    /// let series = pool.schedule_with_fixed_delay(Duration::ZERO, Duration::from_millis(5), move || {
    ///     let now = Instant::now();
    ///     let _nobody_listens = send.send(ended.map(|ended| now.duration_since(ended)));
    ///     ended = Some(Instant::now());
    /// });
    /// assert!(gaps.iter().flatten().take(2).all(|gap| gap >= Duration::from_millis(5)));
    /// assert!(series.cancel());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Through the handle, as with [`schedule`](Self::schedule).
    ///
    /// # Panics
    /// If `delay` is zero.
    #[doc(alias = "scheduleWithFixedDelay")]
    pub fn schedule_with_fixed_delay<F>(&self, initial_delay: Duration, delay: Duration, f: F) -> TaskHandle<()>
    where
        F: FnMut() + Send + 'static,
    {
        assert!(!delay.is_zero(), "the delay is zero: such a series would never rest");
        self.series(initial_delay, Period::Delay(delay), f)
    }

    fn series<F: FnMut() + Send + 'static>(&self, initial_delay: Duration, period: Period, mut f: F) -> TaskHandle<()> {
        let core = self.core();
        if core.is_draining() {
            task::drop_quietly(f);
            return TaskHandle::new(task::refused(core.id, core.refused()));
        }
        let mut around = Surroundings::here(core);
        TaskHandle::new(timer::series(core, initial_delay, period, move || around.run(&mut f)))
    }
}
