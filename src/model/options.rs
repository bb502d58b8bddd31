//! How far a check goes.

use std::fmt;
use std::time::{Duration, Instant};

use super::failure::{Failure, Trace};
use crate::runtime::current;
use crate::sync::isolated::{self, isolated};
use crate::sync::{self, Arc, Bounds, Explored, MODEL, Model};

/// How far a check goes. [`check`](super::check) uses the defaults.
///
/// | | loom | shuttle | plain build | environment |
/// |---|---|---|---|---|
/// | [`preemptions`](Self::preemptions) | 2 | | | `LOCKGRAIN_PREEMPTIONS`: `any` for no bound, `+1` for one more, `-1` for one fewer |
/// | [`executions`](Self::executions) | no bound | 2,000 | 100 | `LOCKGRAIN_SCHEDULES` |
/// | [`time_limit`](Self::time_limit) | 60 s | 60 s | 60 s | `LOCKGRAIN_SECONDS` |
/// | [`seed`](Self::seed) | | 1 | | `LOCKGRAIN_SEED` |
/// | one schedule that was printed | | | | `LOCKGRAIN_SCHEDULE` |
///
/// The environment is stronger than what the program says.
///
/// ```
/// use lockgrain::{ThreadPool, model};
///
/// model::Options::new().preemptions(1).executions(10).check(|| {
///     let pool = ThreadPool::builder().max_workers(2).build().unwrap();
///     assert_eq!(pool.submit(|| 6 * 7).result().unwrap(), 42);
/// });
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `check`"]
pub struct Options {
    pub(super) bounds: Bounds,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// What a check that found nothing has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// How many executions; under loom, with the last bound that was tried.
    pub executions: usize,
    /// Whether it came to its end: false if a limit on executions or time under loom, or on time elsewhere, cut it off.
    pub complete: bool,
    /// Under loom, all executions with so many preemptions at most have been explored. None if that was not so even with 0, if there was no bound,
    /// and in other builds.
    pub preemptions: Option<usize>,
}

impl Checked {
    fn of(explored: Explored) -> Self {
        Self { executions: explored.executions, complete: explored.complete, preemptions: None }
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { executions, complete, preemptions } = self;
        write!(f, "{} {executions} executions", if *complete { "COMPLETE" } else { "CAPPED" })?;
        match preemptions {
            Some(preemptions) => write!(f, ", all with at most {preemptions} preemptions"),
            None => Ok(()),
        }
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Self { bounds: Bounds { preemptions: Some(2), limit: Some(Duration::from_secs(60)), ..Bounds::default() } }
    }

    /// Under loom, explores all executions with at most so many preemptions: times that a thread is interrupted where it could go on. Those with fewer
    /// come first: a failure has as few as it can, and a check that is [cut off](Self::time_limit) has seen all with some bound. Most faults
    /// show with 2; each more costs many times as long.
    pub fn preemptions(mut self, most: usize) -> Self {
        self.bounds.preemptions = Some(most);
        self
    }

    /// Under loom, explores all executions. For small models: a few atomics, a task or two without a pool.
    pub fn all_preemptions(mut self) -> Self {
        self.bounds.preemptions = None;
        self
    }

    /// At most so many executions under loom, so many random schedules under shuttle, and so many runs in a plain build.
    pub fn executions(mut self, most: usize) -> Self {
        self.bounds.executions = Some(most);
        self
    }

    /// Begins no execution after this time; 60 s if not told. The check says then that it is `CAPPED`, and passes: see [`Checked::complete`].
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.bounds.limit = Some(limit);
        self
    }

    /// Which random schedules shuttle draws.
    pub fn seed(mut self, seed: u64) -> Self {
        self.bounds.seed = Some(seed);
        self
    }

    /// As [`check`](super::check), with these options.
    ///
    /// # Panics
    /// With the [`Failure`], as `check` does.
    #[track_caller]
    pub fn check(self, model: impl Fn() + Send + Sync + 'static) {
        match self.explore(model) {
            Ok(checked) => println!("{checked}"),
            Err(failure) => panic!("{failure}"),
        }
    }

    /// As [`check`](Self::check), to look at what comes out.
    ///
    /// # Errors
    /// The [`Failure`].
    ///
    /// # Panics
    /// In a plain build, where the model does.
    pub fn explore(self, model: impl Fn() + Send + Sync + 'static) -> Result<Checked, Failure> {
        if !MODEL {
            return Ok(Checked::of(sync::explore(&self.bounds.or_environment(), Arc::new(model))));
        }
        let replays = self.bounds.clone().or_environment().schedule.is_some();
        let checked = self.run(model)?;
        if checked.executions == 1 && checked.complete && !replays {
            let message = "the model explored one execution only: nothing in it runs at once".to_owned();
            return Err(Failure { message, executions: 1, preemptions: None, trace: Trace::default() });
        }
        Ok(checked)
    }

    /// Runs the checker on a thread of its own, also in a plain build; one execution is enough.
    pub(super) fn run(self, model: impl Fn() + Send + Sync + 'static) -> Result<Checked, Failure> {
        let (bounds, model): (_, Model) = (self.bounds.or_environment(), Arc::new(model));
        let start = Instant::now();
        let mut checked = Checked { executions: 0, complete: false, preemptions: None };
        // The fewer preemptions a failure needs, the easier it is to read; and a check that is cut off has seen all with fewer.
        for preemptions in steps(&bounds) {
            let limit = bounds.limit.map(|limit| limit.saturating_sub(start.elapsed()));
            if limit.is_some_and(|limit| limit.is_zero()) {
                checked.complete = false;
                break;
            }
            let explored = explore_once(&Bounds { preemptions, limit, ..bounds.clone() }, &model)?;
            checked.executions = explored.executions;
            checked.complete = explored.complete;
            if !explored.complete {
                break;
            }
            checked.preemptions = preemptions;
        }
        Ok(checked)
    }
}

/// The bounds on preemptions, one after another.
fn steps(bounds: &Bounds) -> Vec<Option<usize>> {
    match bounds.preemptions {
        Some(most) if cfg!(lockgrain_loom) => (0..=most).map(Some).collect(),
        _ => vec![None],
    }
}

/// What an execution may take that has begun within the limit.
const GRACE: Duration = Duration::from_secs(60);

fn explore_once(bounds: &Bounds, model: &Model) -> Result<Explored, Failure> {
    let (model, own) = (model.clone(), bounds.clone());
    let limit = bounds.limit.map(|limit| limit + GRACE);
    let explored = isolated(limit, is_in_a_task, move || sync::explore(&own, model));
    explored.map_err(|isolated::Failed { message, execution }| Failure {
        message,
        executions: execution.number,
        preemptions: bounds.preemptions,
        trace: Trace::of(&execution),
    })
}

/// Whether the pool is there to catch a panic.
fn is_in_a_task() -> bool {
    current::frames(|mut frames| frames.any(|frame| !frame.task.get().is_null()))
}
