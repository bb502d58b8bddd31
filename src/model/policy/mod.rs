//! Whether a policy keeps what the pool needs it to keep.
//!
//! `promise` names the promises, `queue`, `lock` and `pool` have the models that show them, `traced` has the queue say what it is asked.

mod lock;
mod pool;
mod promise;
mod queue;
mod traced;

use std::fmt;
use std::time::Duration;

pub use promise::Promise;

use super::failure::Failure;
use super::options::{Checked, Options};
use crate::policy::LockPolicy;

/// A small program, and what it shows.
type Model = (&'static str, fn());

/// What came out of the check of a policy.
#[derive(Clone, Debug)]
#[must_use]
pub struct Verdict {
    /// The policy's [`NAME`](LockPolicy::NAME).
    pub policy: &'static str,
    /// What was found about each promise, until one was broken.
    pub findings: Vec<Finding>,
}

/// What was found about one promise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// Which.
    pub promise: Promise,
    /// What its models have seen, each by its name, until one failed.
    pub kept: Vec<(&'static str, Checked)>,
    /// The model that failed, and how.
    pub broken: Option<(&'static str, Failure)>,
}

impl Verdict {
    /// Whether no promise was found broken.
    pub fn is_kept(&self) -> bool {
        self.broken().is_none()
    }

    /// The promise that broke, and how.
    pub fn broken(&self) -> Option<(Promise, &Failure)> {
        self.findings.iter().find_map(|finding| Some((finding.promise, &finding.broken.as_ref()?.1)))
    }

    /// Prints it, for a test.
    ///
    /// # Panics
    /// If a promise is broken.
    #[track_caller]
    pub fn assert_kept(&self) {
        assert!(self.is_kept(), "{self}");
        println!("{self}");
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.broken() {
            None => writeln!(f, "policy `{}` keeps what it promises:", self.policy)?,
            Some((promise, _)) => writeln!(f, "policy `{}` breaks a promise: {promise}", self.policy)?,
        }
        for Finding { promise, kept, broken } in &self.findings {
            writeln!(f, "  {} {promise}", if broken.is_some() { "BROKEN" } else { "kept  " })?;
            for (name, checked) in kept {
                writeln!(f, "           {name}: {checked}")?;
            }
            if let Some((name, failure)) = broken {
                writeln!(f, "  {name}:\n  {failure}")?;
            }
        }
        Ok(())
    }
}

/// For each promise, if nothing else is told.
const LIMIT: Duration = Duration::from_secs(10);

/// Checks that the policy `P` keeps what a pool needs of it: see [`Promise`]. For policies of your own.
///
/// In a [model build](crate::model) each promise is explored for 10 seconds at most, with no preemption first, then one, then two; so the trace of a
/// failure is a short one. It stops at the first promise that is broken. In a plain build it is a stress test of some seconds, which finds a queue
/// that loses tasks, and hardly ever a lost wake-up.
///
/// A failure leaves a thread behind, with all that it held. A policy that never ends is given up after a minute more than it may take.
///
/// ```
/// use lockgrain::{LockPolicy, gate, model, run_queue, value_lock};
///
/// /// One task at a time, but over deques.
/// struct Mixed;
///
/// impl LockPolicy for Mixed {
///     const NAME: &'static str = "mixed";
///     type Queue = run_queue::Sharded;
///     type Gate = gate::GlobalGate;
///     type Lock = value_lock::WaitList;
/// }
///
/// model::check_policy::<Mixed>().assert_kept();
/// ```
pub fn check_policy<P: LockPolicy>() -> Verdict {
    Options::new().time_limit(LIMIT).check_policy::<P>()
}

impl Options {
    /// As [`check_policy`](super::check_policy()), with these options; the time limit is that of each promise.
    pub fn check_policy<P: LockPolicy>(self) -> Verdict {
        let mut findings = Vec::new();
        for &promise in Promise::ALL {
            let finding = self.find_out(promise, &models::<P>(promise));
            let broken = finding.broken.is_some();
            findings.push(finding);
            if broken {
                break;
            }
        }
        Verdict { policy: P::NAME, findings }
    }

    fn find_out(&self, promise: Promise, models: &[Model]) -> Finding {
        let mut finding = Finding { promise, kept: Vec::new(), broken: None };
        let share = self.bounds.limit.map(|limit| limit / models.len().max(1) as u32);
        for &(name, model) in models {
            let mut options = self.clone();
            options.bounds.limit = share;
            match options.run(model) {
                Ok(checked) => finding.kept.push((name, checked)),
                Err(failure) => {
                    finding.broken = Some((name, failure));
                    break;
                }
            }
        }
        finding
    }
}

fn models<P: LockPolicy>(promise: Promise) -> Vec<Model> {
    match promise {
        Promise::EachTaskOnce => vec![
            ("many tasks, and then as many finds", queue::many_tasks_come_out_once::<P>),
            ("an owner, a thief, and a task from outside", queue::an_owner_and_a_thief::<P>),
            ("results of tasks on a pool", pool::results_reach_their_waiter::<P>),
        ],
        Promise::QueueRules => vec![
            ("is_empty, len, find and take in turn", queue::what_is_said_agrees::<P>),
            ("is_empty on another thread", queue::a_task_is_never_hidden::<P>),
        ],
        Promise::WakeFromOutside => vec![("one task after another", pool::a_worker_that_slept_is_woken::<P>)],
        Promise::WakeFromWorker => vec![("a task waits for one that it spawned", pool::a_child_is_run::<P>)],
        Promise::WakeAfterSteal => vec![("a task waits for two that it spawned", pool::two_children_are_run::<P>)],
        Promise::HandOver => vec![
            ("the gate by itself", lock::each_gets_the_gate::<P>),
            ("four tasks with one value", lock::each_gets_the_value::<P>),
            ("two tasks with two values, in opposite order", lock::opposite_orders::<P>),
        ],
        Promise::Exclusion => vec![
            ("the gate by itself", lock::the_gate_excludes::<P>),
            ("two writers and a reader of a value", lock::the_value_excludes::<P>),
        ],
        Promise::Order => vec![
            ("tasks from outside, one worker", pool::tasks_start_in_order::<P>),
            ("four tasks with one value", lock::the_value_keeps_the_order::<P>),
        ],
        Promise::Panic => vec![("a task that panics with a value", lock::a_panic_gives_the_value_back::<P>)],
        Promise::NestedWaits => vec![("tasks that wait for their children", pool::tasks_wait_for_their_children::<P>)],
        Promise::Shutdown => vec![
            ("shutdown", pool::shutdown_runs_what_is_queued::<P>),
            ("shutdown_now", pool::shutdown_now_counts_what_it_cancels::<P>),
            ("shutdown with a line", lock::shutdown_runs_what_stands_in_line::<P>),
            ("the last handle is dropped", pool::a_dropped_pool_runs_what_is_queued::<P>),
        ],
    }
}

/// Ends the check if something does not hold, wherever that is.
#[track_caller]
fn require(holds: bool, what: &str) {
    if !holds {
        crate::sync::isolated::fail(what.to_owned());
        panic!("{what}");
    }
}
