//! The spans of tasks, as a subscriber sees them.

#![cfg(feature = "tracing")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use lockgrain::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, TaskError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[derive(Clone, Debug, Default)]
struct Seen {
    name: &'static str,
    parent: Option<u64>,
    fields: HashMap<&'static str, String>,
    events: Vec<String>,
    entered: bool,
    closed: bool,
}

thread_local! { static STACK: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) }; }

/// Keeps all that it sees.
#[derive(Clone, Default)]
struct Keeper {
    next: Arc<AtomicU64>,
    seen: Arc<Mutex<HashMap<u64, (Seen, usize)>>>,
}

struct Fields<'a>(&'a mut HashMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Keeper {
    fn with<R>(&self, id: u64, f: impl FnOnce(&mut (Seen, usize)) -> R) -> R {
        f(self.seen.lock().unwrap().get_mut(&id).expect("a span that is there"))
    }

    /// The tasks' spans, in the order in which they were made. All of them have been closed.
    fn tasks(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        let mut tasks: Vec<_> = seen.iter().filter(|(_, (span, _))| span.name == "task").collect();
        tasks.sort_by_key(|(id, _)| **id);
        let tasks: Vec<_> = tasks.into_iter().map(|(_, (span, _))| span.clone()).collect();
        assert!(tasks.iter().all(|task| task.closed), "{tasks:?}");
        tasks
    }
}

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "lockgrain" || metadata.target() == "tracing"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = 1 + self.next.fetch_add(1, SeqCst);
        let current = STACK.with_borrow(|stack| stack.last().copied());
        let parent = if attributes.is_contextual() { current } else { attributes.parent().map(Id::into_u64) };
        let mut span = Seen { name: attributes.metadata().name(), parent, ..Seen::default() };
        attributes.record(&mut Fields(&mut span.fields));
        self.seen.lock().unwrap().insert(id, (span, 1));
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.with(span.into_u64(), |(span, _)| values.record(&mut Fields(&mut span.fields)));
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = HashMap::new();
        event.record(&mut Fields(&mut fields));
        let parent = event.parent().expect("an event of a task").into_u64();
        let text = format!("{} {}", fields["message"], fields.get("panic").map_or("", String::as_str));
        self.with(parent, |(span, _)| span.events.push(text.trim().to_owned()));
    }

    fn enter(&self, span: &Id) {
        STACK.with_borrow_mut(|stack| stack.push(span.into_u64()));
        self.with(span.into_u64(), |(span, _)| span.entered = true);
    }

    fn exit(&self, span: &Id) {
        assert_eq!(STACK.with_borrow_mut(Vec::pop), Some(span.into_u64()));
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.with(span.into_u64(), |(_, references)| *references += 1);
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        self.with(span.into_u64(), |(span, references)| {
            *references -= 1;
            span.closed = *references == 0;
            span.closed
        })
    }
}

fn micros(task: &Seen, field: &str) -> u64 {
    task.fields[field].parse().expect("a number")
}

const WHILE: Duration = Duration::from_millis(20);

fn named() {
    thread::sleep(WHILE);
}

fn spans_tell_of_tasks<P: LockPolicy>() {
    let keeper = Keeper::default();
    tracing::subscriber::with_default(keeper.clone(), || {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        // The subscriber is this thread's; a program has one for all.
        let on_thread = move |_| {
            let guard = tracing::dispatcher::set_default(&dispatch);
            std::mem::forget(guard);
        };
        let pool = Builder::<P>::new().max_workers(1).on_thread_start(on_thread).build().unwrap();
        let outer = tracing::info_span!(target: "tracing", "request");
        let (open, gate) = mpsc::channel::<()>();
        let first = outer.in_scope(|| pool.submit(move || gate.recv().is_err()));
        let second = pool.submit(named);
        let cancelled = pool.submit(|| ());
        assert!(cancelled.cancel());
        thread::sleep(WHILE);
        drop(open);
        first.result().unwrap();
        second.result().unwrap();
        assert!(matches!(pool.submit(|| panic!("on purpose")).result(), Err(TaskError::Panicked(_))));
        let inner = pool.clone();
        pool.submit(move || inner.submit(|| ()).result().unwrap()).result().unwrap();
        pool.shutdown();
    });
    let tasks = keeper.tasks();
    let [first, second, cancelled, panicked, parent, child] = &tasks[..] else { panic!("{tasks:?}") };
    for task in [first, second, panicked, parent, child] {
        assert!(task.entered);
        assert_eq!((&*task.fields["policy"], &*task.fields["worker"]), (&*format!("{:?}", P::NAME), "0"));
    }
    assert!(first.parent.is_some() && second.parent.is_none());
    assert!(child.parent.is_some_and(|id| keeper.with(id, |(span, _)| span.fields["task"] == parent.fields["task"])));
    assert!(second.fields["task"].contains("named"));
    let least = WHILE.as_micros() as u64;
    assert!(micros(second, "queued_us") >= least && micros(second, "run_us") >= least);
    assert!(micros(second, "lock_wait_us") <= micros(second, "queued_us") + micros(second, "run_us"));
    assert!(!cancelled.entered && !cancelled.fields.contains_key("worker"));
    assert_eq!(cancelled.events, ["the task was cancelled"]);
    assert_eq!(panicked.events, ["the task panicked \"on purpose\""]);
}

#[test]
fn under_the_global_lock() {
    spans_tell_of_tasks::<GlobalLock>();
}

#[test]
fn with_fine_locks() {
    spans_tell_of_tasks::<FineGrained>();
}

#[test]
fn without_locks() {
    spans_tell_of_tasks::<LockFree>();
}

#[test]
fn a_wait_for_the_lock_is_told() {
    let keeper = Keeper::default();
    tracing::subscriber::with_default(keeper.clone(), || {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let on_thread = move |_| std::mem::forget(tracing::dispatcher::set_default(&dispatch));
        let pool = Builder::<GlobalLock>::new().max_workers(1).on_thread_start(on_thread).build().unwrap();
        let task = pool.lock(|_| {
            let task = pool.submit(|| ());
            // It has come for the lock, and waits.
            while pool.metrics().lock_waits == 0 && pool.metrics().threads == 0 {
                thread::yield_now();
            }
            thread::sleep(2 * WHILE);
            task
        });
        task.result().unwrap();
        pool.shutdown();
    });
    let tasks = keeper.tasks();
    assert!(micros(&tasks[0], "lock_wait_us") > 0, "{tasks:?}");
}
