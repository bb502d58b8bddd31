//! What a policy promises.

use std::fmt;

/// What a pool needs of its policy, in the order in which [`check_policy`](super::super::check_policy()) looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Promise {
    /// A task that goes into the queue comes out of it once, however many there are, and whoever takes it.
    EachTaskOnce,
    /// `is_empty` and `len` agree with what `find` and `take` give: a task whose `inject` or `push` has returned is never hidden.
    QueueRules,
    /// A worker that sleeps hears of a task that is submitted from outside.
    WakeFromOutside,
    /// And of one that is spawned by a task.
    WakeFromWorker,
    /// And of what is left when another worker has taken a task from a third one.
    WakeAfterSteal,
    /// Everybody who waits for the gate, or stands in line for a value, gets it in the end.
    HandOver,
    /// Two tasks behind an exclusive gate never overlap, nor do two with a value of which one changes it, and what the one wrote the other sees.
    Exclusion,
    /// Tasks that are submitted one after another start in that order if they share a value, or on a pool with one worker.
    Order,
    /// A task that panics gives back what it holds.
    Panic,
    /// Tasks can wait for tasks that they submitted.
    NestedWaits,
    /// Each accepted task has run when the pool has shut down, or was cancelled and counted.
    Shutdown,
}

impl Promise {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::EachTaskOnce,
        Self::QueueRules,
        Self::WakeFromOutside,
        Self::WakeFromWorker,
        Self::WakeAfterSteal,
        Self::HandOver,
        Self::Exclusion,
        Self::Order,
        Self::Panic,
        Self::NestedWaits,
        Self::Shutdown,
    ];
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EachTaskOnce => "every task runs exactly once",
            Self::QueueRules => "the queue says what it holds",
            Self::WakeFromOutside => "no wake-up from outside is lost",
            Self::WakeFromWorker => "no wake-up from a worker is lost",
            Self::WakeAfterSteal => "no wake-up after a steal is lost",
            Self::HandOver => "everybody who waits gets a turn",
            Self::Exclusion => "tasks that conflict never overlap",
            Self::Order => "tasks that conflict run in the order of their submission",
            Self::Panic => "a panic gives back what the task held",
            Self::NestedWaits => "tasks can wait for their own tasks",
            Self::Shutdown => "a shutdown loses no task",
        })
    }
}
