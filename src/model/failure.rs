//! What a check found, for people to read.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use crate::sync::trace::{Event, Execution};

/// What the threads of one execution did, a line each event: the first thing to read about a failure. Empty in a plain build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(Vec<String>);

impl Trace {
    /// The lines, each beginning with the name of its thread.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn of(execution: &Execution) -> Self {
        let widest = execution.threads.iter().map(String::len).max().unwrap_or(0);
        // Who has parked where, and not been woken since.
        let mut parked = HashMap::new();
        // The tasks' numbers, each from when it is queued.
        let (mut tasks, mut queued) = (HashMap::new(), 0);
        let line = |(thread, event): &(usize, Event)| {
            let name = |&thread: &usize| execution.threads[thread].clone();
            let what = match event {
                Event::Parks(at) => {
                    parked.insert(*at, *thread);
                    "parks".to_owned()
                }
                Event::Resumes => "wakes up".to_owned(),
                Event::Unparks(at) => match parked.remove(at) {
                    Some(sleeper) => format!("wakes {}", name(&sleeper)),
                    None => "wakes somebody who does not sleep yet".to_owned(),
                },
                Event::TaskStarts => "a task starts".to_owned(),
                Event::TaskEnds => "the task has ended".to_owned(),
                Event::TaskPanics => "the task has panicked".to_owned(),
                Event::Queues(task, how) => {
                    queued += 1;
                    tasks.insert(*task, queued);
                    format!("{how} task {queued}")
                }
                Event::Finds(task, how) => format!("{how} task {}", tasks.get(task).copied().unwrap_or(0)),
                Event::SeesNoTask => "sees that there is no task".to_owned(),
                Event::Says(text) => text.clone(),
            };
            format!("{:widest$}  {what}", name(thread))
        };
        Self(execution.events.iter().map(line).collect())
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// A check has failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong: the text of a panic, a deadlock, a data race, a leak.
    pub message: String,
    /// How many executions it took, with the failing one.
    pub executions: usize,
    /// Under loom, the least bound on preemptions that shows the failure; none if it needed more than was tried, or does not apply.
    pub preemptions: Option<usize>,
    /// What happened in the failing execution.
    pub trace: Trace,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        match self.executions {
            0 => {}
            executions => write!(f, "\n  in execution {executions}")?,
        }
        if let Some(preemptions) = self.preemptions {
            write!(f, ", with at most {preemptions} preemptions")?;
        }
        if !self.trace.is_empty() {
            write!(f, "\n  what happened in it:\n{}", self.trace)?;
        }
        Ok(())
    }
}

impl Error for Failure {}
