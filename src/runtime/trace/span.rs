//! The spans. All of them belong to the code that made the task: no lock is held where they are made, entered, or closed.

use std::any::type_name;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use tracing::{Level, Span, event, field, span};

use crate::policy::LockPolicy;
use crate::sync::{Instant, local};
use crate::task::Panic;

/// What a thread knows of itself.
#[derive(Clone, Copy)]
struct Here {
    worker: Option<usize>,
    /// For how long it has waited for the global lock, ever.
    waited: Duration,
    /// The same when the last task ended that was on top of no other.
    before: Duration,
    /// How many of its tasks are on its stack.
    depth: u32,
}

local! {
    static HERE: Cell<Here> =
        Cell::new(Here { worker: None, waited: Duration::ZERO, before: Duration::ZERO, depth: 0 });
}

fn update(change: impl FnOnce(&mut Here)) -> Option<Here> {
    HERE.try_with(|here| {
        let mut now = here.get();
        change(&mut now);
        here.set(now);
        now
    })
    .ok()
}

/// The caller is the thread of that worker.
pub(in crate::runtime) fn on_worker(index: usize) {
    update(|here| here.worker = Some(index));
}

/// The caller has waited for the global lock since then.
pub(in crate::runtime) fn waited_for_lock(since: Instant) {
    update(|here| here.waited += Instant::now().duration_since(since));
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A task that has not begun.
struct Queued {
    span: Span,
    since: Instant,
}

impl Queued {
    fn new(policy: &'static str, task: &'static str) -> Self {
        let span = span!(
            target: "lockgrain",
            Level::DEBUG,
            "task",
            policy,
            task,
            worker = field::Empty,
            queued_us = field::Empty,
            run_us = field::Empty,
            lock_wait_us = field::Empty,
        );
        Self { span, since: Instant::now() }
    }

    fn run<T>(self, f: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let span = self.begins(begun);
        let here = update(|here| here.depth += 1);
        // What the worker waited before its task, too, but nothing that a task below has waited.
        let waited = here.map(|here| if here.depth == 1 { here.before } else { here.waited });
        let result = span.in_scope(|| catch_unwind(AssertUnwindSafe(f)));
        let now = update(|here| {
            here.depth -= 1;
            if here.depth == 0 {
                here.before = here.waited;
            }
        });
        span.record("run_us", micros(Instant::now().duration_since(begun)));
        if let (Some(now), Some(waited)) = (now, waited) {
            span.record("lock_wait_us", micros(now.waited - waited));
        }
        result.unwrap_or_else(|payload| {
            let panic = Panic::new(payload);
            event!(target: "lockgrain", parent: &span, Level::WARN, panic = panic.message(), "the task panicked");
            resume_unwind(panic.into_payload())
        })
    }

    fn begins(&self, now: Instant) -> Span {
        self.span.record("queued_us", micros(now.duration_since(self.since)));
        if let Some(worker) = HERE.try_with(Cell::get).ok().and_then(|here| here.worker) {
            self.span.record("worker", worker);
        }
        self.span.clone()
    }
}

/// Says of a task that was dropped unrun that it was.
struct Told(Option<Queued>);

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(queued) = self.0.take() {
            queued.span.record("queued_us", micros(Instant::now().duration_since(queued.since)));
            event!(target: "lockgrain", parent: &queued.span, Level::DEBUG, "the task was cancelled");
        }
    }
}

/// The closure of a task, whose span is made here and now. Its parent is the caller's current one.
pub(crate) fn traced<P: LockPolicy, T, F: FnOnce() -> T>(f: F) -> impl FnOnce() -> T {
    let mut told = Told(Some(Queued::new(P::NAME, type_name::<F>())));
    move || match told.0.take() {
        Some(queued) => queued.run(f),
        None => f(),
    }
}
