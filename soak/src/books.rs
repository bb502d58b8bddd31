//! What was done and what came of it, and what may come of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use lockgrain::{TaskError, TaskHandle};

use crate::ON_PURPOSE;

/// Whether a panic with this text is one of ours, or tells of an injected fault.
pub(crate) fn is_expected(text: &str) -> bool {
    text.contains(ON_PURPOSE) || text.contains("no worker thread could be started")
}

/// A driver's panic is passed on if it is not expected.
pub(crate) fn contained(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f))
        && !is_expected(crate::text(&*payload))
    {
        resume_unwind(payload);
    }
}

/// Panics when it is dropped.
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("{ON_PURPOSE}: a drop");
        }
    }
}

/// How often what was done, and what came of the tasks.
#[derive(Default)]
pub(crate) struct Books {
    operations: Mutex<BTreeMap<&'static str, u64>>,
    outcomes: Mutex<BTreeMap<&'static str, u64>>,
    wrong: AtomicU64,
}

impl Books {
    pub(crate) fn did(&self, operation: &'static str) {
        *self.operations.lock().unwrap().entry(operation).or_default() += 1;
    }

    fn came(&self, outcome: &'static str) {
        *self.outcomes.lock().unwrap().entry(outcome).or_default() += 1;
    }

    pub(crate) fn expect(&self, holds: bool, what: &str) {
        if !holds {
            self.wrong.fetch_add(1, Relaxed);
            eprintln!("WRONG: {what}");
        }
    }

    /// Writes down the outcome of a task; its value if it has one.
    pub(crate) fn take<T>(&self, result: Result<T, TaskError>) -> Option<T> {
        let outcome = match result {
            Ok(value) => {
                self.came("value");
                return Some(value);
            }
            Err(TaskError::Panicked(panic)) => {
                self.expect(is_expected(panic.message()), panic.message());
                "panic"
            }
            Err(TaskError::Cancelled) => "cancelled",
            Err(TaskError::Refused) => "refused",
            Err(TaskError::QueueFull) => "queue full",
            Err(TaskError::Broken(_)) => "broken pool",
            Err(TaskError::NoWorker(_)) => "no thread",
            Err(TaskError::TimedOut) => "timed out",
            Err(TaskError::Expired) => "expired",
            Err(TaskError::WouldDeadlock) => "would deadlock",
            Err(TaskError::Abandoned) => "abandoned promise",
            Err(error) => {
                self.expect(false, &error.to_string());
                "else"
            }
        };
        self.came(outcome);
        None
    }

    /// As `take`, of a task that gives this value if any.
    pub(crate) fn gives(&self, handle: TaskHandle<u64>, value: u64) {
        if let Some(got) = self.take(handle.result()) {
            self.expect(got == value, "another task's value");
        }
    }

    pub(crate) fn wrong(&self) -> u64 {
        self.wrong.load(Relaxed)
    }

    pub(crate) fn report(&self) -> String {
        let mut text = "| operation | times |\n|---|---|\n".to_owned();
        for (operation, times) in &*self.operations.lock().unwrap() {
            let _ = writeln!(text, "| {operation} | {times} |");
        }
        text.push_str("\n| outcomes of tasks, and totals | |\n|---|---|\n");
        for (outcome, times) in &*self.outcomes.lock().unwrap() {
            let _ = writeln!(text, "| {outcome} | {times} |");
        }
        text
    }
}
