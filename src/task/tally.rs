//! What a worker has run, and who wants to hear of it.

use std::fmt;

use super::quietly::quietly;
use crate::sync::trace::{Event, note};
use crate::sync::{Arc, Counter};

type TaskHook = Box<dyn Fn(usize) + Send + Sync>;

/// User code around each task.
#[derive(Default)]
pub(crate) struct TaskHooks {
    pub(crate) before: Option<TaskHook>,
    pub(crate) after: Option<TaskHook>,
}

impl fmt::Debug for TaskHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskHooks")
    }
}

/// Counts of one worker, who is the only one to write them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) started: Counter,
    pub(crate) finished: Counter,
    pub(crate) panicked: Counter,
    /// With the worker's index.
    hooks: Option<(usize, Arc<TaskHooks>)>,
}

impl Tally {
    pub(crate) fn with_hooks(index: usize, hooks: Option<Arc<TaskHooks>>) -> Self {
        Self { hooks: hooks.map(|hooks| (index, hooks)), ..Self::default() }
    }

    /// A closure is about to be called.
    #[inline]
    pub(super) fn begins(&self) {
        note(Event::TaskStarts);
        self.started.add_owned(1);
        if let Some((index, hooks)) = &self.hooks {
            call(hooks.before.as_ref(), *index);
        }
    }

    /// It has returned or unwound; what the task needs it still has.
    #[inline]
    pub(super) fn returned(&self) {
        if let Some((index, hooks)) = &self.hooks {
            call(hooks.after.as_ref(), *index);
        }
    }

    /// It has ended; nobody can see the result yet.
    #[inline]
    pub(super) fn ended(&self, panicked: bool) {
        note(if panicked { Event::TaskPanics } else { Event::TaskEnds });
        self.finished.add_owned(1);
        if panicked {
            self.panicked.add_owned(1);
        }
    }
}

#[cold]
fn call(hook: Option<&TaskHook>, index: usize) {
    if let Some(hook) = hook {
        quietly(|| hook(index));
    }
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn it_counts_and_calls_the_hooks() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let hook = |name: &'static str| {
            let log = log.clone();
            Some(Box::new(move |index: usize| {
                log.lock().unwrap().push((name, index));
                assert_ne!(index, 7, "a hook panics");
            }) as TaskHook)
        };
        let tally = Tally::with_hooks(7, Some(Arc::new(TaskHooks { before: hook("before"), after: hook("after") })));
        for panicked in [false, true, true] {
            tally.begins();
            tally.returned();
            tally.ended(panicked);
        }
        tally.begins();
        assert_eq!([&tally.started, &tally.finished, &tally.panicked].map(Counter::get), [4, 3, 2]);
        let calls = std::mem::take(&mut *log.lock().unwrap());
        assert_eq!(
            calls,
            [("before", 7), ("after", 7)].repeat(3).into_iter().chain([("before", 7)]).collect::<Vec<_>>()
        );
    }
}
