//! Time, as the model has it pass.

use std::time::Duration;

use crate::sync::{Instant, clock};

/// The time of one execution of a model, which passes when the model says so.
///
/// Without one, time stands still in a model build, and no wait with a time-out times out. With one, the checker looks at what happens when the time
/// is up before, after and amid everything else:
///
/// ```
/// use std::time::Duration;
///
/// use lockgrain::{TaskError, ThreadPool, model};
///
/// model::check(|| {
///     let clock = model::Clock::start();
///     let pool = ThreadPool::builder().max_workers(1).build().unwrap();
///     let mut task = pool.submit(|| 6 * 7);
///     let passes = model::thread::spawn(move || clock.advance(Duration::from_millis(1)));
///     match task.result_timeout(Duration::from_millis(1)) {
///         Err(TaskError::TimedOut) => assert_eq!(task.result().unwrap(), 42),
///         in_time => assert_eq!(in_time.unwrap(), 42),
///     }
///     passes.join().unwrap();
/// });
/// ```
///
/// In a plain build time passes by itself, and [`advance`](Self::advance) sleeps so long: let it be milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// From now on time is what [`advance`](Self::advance) makes of it, to the end of this execution. To be called before anything
    /// else that looks at the time: a pool, a task.
    ///
    /// # Panics
    /// In a model build, outside of a check.
    pub fn start() -> Self {
        clock::start();
        Self { started: Instant::now() }
    }

    /// Lets so much time pass, in one step: every wait with a time-out that is over by then ends, and all tasks
    /// that are scheduled until then are due. So they may be late, as on a machine that is busy, and are never early.
    ///
    /// The caller holds no lock with which somebody waits for a time-out.
    pub fn advance(&self, by: Duration) {
        clock::advance(by);
    }

    /// How much time has passed since the start.
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(self.started)
    }
}
