//! Lock policies of one's own, and how they are checked.
//!
//! `cargo xtask conformance` builds this with `--cfg lockgrain_loom` and runs it once for each policy: `custom-policy NAME`. Without a name it lists
//! them. It ends with 0 if the policy keeps what it promises, and with 1 if it breaks a promise, which it names in the line `BROKEN ...`.
//!
//! A policy is made of three pieces: `queue` has a queue of its own, `gate` a gate, `line` a line for values. Each can be told to have a fault.

mod gate;
mod line;
mod queue;

use std::process::ExitCode;
use std::time::Duration;

use lockgrain::model::{Options, Verdict};
use lockgrain::{LockPolicy, gate::OpenGate};

use gate::Turnstile;
use line::Line;
use queue::Ring;

/// A policy, by its pieces.
macro_rules! policy {
    ($(#[$doc:meta])* $name:ident $text:literal: $queue:ty, $gate:ty, $lock:ty) => {
        $(#[$doc])*
        struct $name;

        impl LockPolicy for $name {
            const NAME: &'static str = $text;
            type Queue = $queue;
            type Gate = $gate;
            type Lock = $lock;
        }
    };
}

policy!(
    /// One lock for the queue, one for the tasks, and a line for each value.
    Good "good": Ring, Turnstile, Line
);
policy!(
    /// Its queue drops a task for which it has no place.
    LosesWhenFull "loses-when-full": Ring<{ queue::LOSES_WHEN_FULL }>, OpenGate, Line
);
policy!(
    /// Who leaves its gate does not wake who waits there.
    ForgetsToWake "forgets-to-wake": Ring, Turnstile<{ gate::FORGETS_TO_WAKE }>, Line
);
policy!(
    /// Who comes to its gate looks whether it is free, and takes it later.
    LetsTwoIn "lets-two-in": Ring, Turnstile<{ gate::LETS_TWO_IN }>, Line
);
policy!(
    /// In its line the last comer is the next.
    ReordersAKey "reorders-a-key": Ring, OpenGate, Line<{ line::LAST_COMER_FIRST }>
);
policy!(
    /// Its queue is empty, as it says, if nothing has come from outside.
    LiesInIsEmpty "lies-in-is-empty": Ring<{ queue::FORGETS_ITS_OWN }>, OpenGate, Line
);
policy!(
    /// Asked for one task by the shutdown, which wants to cancel and count them one by one, its queue drops all the others.
    DropsOnShutdown "drops-on-shutdown": Ring<{ queue::DROPS_WHEN_TAKEN_FROM }>, OpenGate, Line
);

type Check = fn() -> Verdict;

/// Each policy, with its check.
const POLICIES: &[(&str, Check)] = &[
    (Good::NAME, check::<Good>),
    (LosesWhenFull::NAME, check::<LosesWhenFull>),
    (ForgetsToWake::NAME, check::<ForgetsToWake>),
    (LetsTwoIn::NAME, check::<LetsTwoIn>),
    (ReordersAKey::NAME, check::<ReordersAKey>),
    (LiesInIsEmpty::NAME, check::<LiesInIsEmpty>),
    (DropsOnShutdown::NAME, check::<DropsOnShutdown>),
];

fn check<P: LockPolicy>() -> Verdict {
    Options::new().time_limit(Duration::from_secs(2)).check_policy::<P>()
}

fn main() -> ExitCode {
    let Some(wanted) = std::env::args().nth(1) else {
        POLICIES.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let Some((_, check)) = POLICIES.iter().find(|(name, _)| *name == wanted) else {
        eprintln!("there is no policy `{wanted}`");
        return ExitCode::from(2);
    };
    let verdict = check();
    print!("{verdict}");
    match verdict.broken() {
        None => ExitCode::SUCCESS,
        Some((promise, _)) => {
            println!("BROKEN {promise}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use lockgrain::ThreadPool;

    use super::*;

    #[test]
    fn a_pool_runs_on_the_good_policy() {
        let pool = ThreadPool::builder().policy::<Good>().max_workers(2).build().unwrap();
        let keys = pool.keyed();
        let tasks: Vec<_> = (0..1_000).map(|n| keys.submit(n % 7, move || n)).collect();
        let sum: usize = tasks.into_iter().map(|task| task.result().unwrap()).sum();
        assert_eq!(sum, 499_500);
    }

    /// A fault that needs no luck is found on real threads, too.
    #[test]
    fn a_queue_that_loses_tasks_is_found_without_a_model_checker() {
        let verdict = Options::new().executions(3).check_policy::<LosesWhenFull>();
        let (promise, failure) = verdict.broken().expect("it loses tasks");
        assert_eq!(promise, lockgrain::model::Promise::EachTaskOnce, "{failure}");
    }
}
