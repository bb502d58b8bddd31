//! Bounded queues whose submitters run what has no place. Contract 88.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread::{self, ThreadId};

use lockgrain::gate::Gate;
use lockgrain::{LockPolicy, Refused, TaskError, TaskHandle, ThreadPool, WhenFull, blocking};

use super::capacity::{bounded, fill, is_full, settings};

/// Tasks that block, and tell the pool, until the value is dropped: as many as there are threads, so that none is left, and nobody holds a lock.
struct AllBlocked {
    _open: Vec<mpsc::Sender<()>>,
}

impl AllBlocked {
    /// For a pool without spares.
    fn of<P: LockPolicy>(pool: &ThreadPool<P>) -> Self {
        let open = (0..pool.max_workers()).map(|_| {
            let (sender, gate) = mpsc::channel::<()>();
            let (blocks, is_blocked) = mpsc::channel();
            let wait = move || {
                blocks.send(()).unwrap();
                let _closed = gate.recv();
            };
            pool.spawn(move || blocking(wait)).unwrap();
            is_blocked.recv().unwrap();
            sender
        });
        Self { _open: open.collect() }
    }
}

fn here() -> ThreadId {
    thread::current().id()
}

// Contract: 88.
pub(crate) fn the_caller_runs_what_has_no_place<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (panics, panicked) = mpsc::channel();
    let pool = settings(pool, 1, WhenFull::CallerRuns)
        .max_spares(0)
        .panic_handler(move |_| panics.send(here()).unwrap())
        .build()
        .unwrap();
    let blocked = AllBlocked::of(&pool);
    let queued = pool.submit(here);
    let before = pool.metrics();
    let mut ran = pool.submit(here);
    assert_eq!(ran.try_result().expect("it has ended").unwrap(), here());
    let mut unwound = pool.submit(|| std::panic::resume_unwind(Box::new(5)));
    assert!(matches!(unwound.try_result(), Some(Err::<(), _>(TaskError::Panicked(_)))));
    pool.spawn(|| std::panic::resume_unwind(Box::new(5))).unwrap();
    assert_eq!(panicked.recv().unwrap(), here());
    // With a context, which lets go of the lock and takes it back.
    let mut with = pool.submit_with(|cx| (cx.blocking(here), cx.checkpoint().is_ok()));
    assert_eq!(with.try_result().expect("it has ended").unwrap(), (here(), true));
    // And with a wait, which lets go of it, too.
    let outer = pool.clone();
    let mut waited = pool.submit(move || outer.submit(here).result().unwrap());
    assert_eq!(waited.try_result().expect("it has ended").unwrap(), here());
    let after = pool.metrics();
    assert_eq!(after.rejected, 6);
    assert_eq!((after.submitted, after.started, after.finished), (before.submitted, before.started, before.finished));
    drop(blocked);
    assert_ne!(queued.result().unwrap(), here());
    pool.shutdown();
    assert_eq!(pool.spawn(|| unreachable!("refused")), Err(Refused::Shutdown));
}

/// Occupies all workers but one, until what it returns is dropped. Behind a lock a task has no other beside it anyway.
fn all_but_one<P: LockPolicy>(pool: &ThreadPool<P>) -> Vec<mpsc::Sender<()>> {
    let others = if P::Gate::EXCLUSIVE { 0 } else { pool.max_workers() - 1 };
    let occupy = |_| {
        let (open, gate) = mpsc::channel::<()>();
        let (started, starts) = mpsc::channel();
        let occupies = move || {
            started.send(()).unwrap();
            let _closed = gate.recv();
        };
        pool.spawn(occupies).unwrap();
        starts.recv().unwrap();
        open
    };
    (0..others).map(occupy).collect()
}

/// A task beside which no other runs until it has called `f`.
fn in_the_only_free_task<P: LockPolicy, T: Send + 'static>(
    pool: &ThreadPool<P>,
    f: impl FnOnce(&ThreadPool<P>) -> T + Send + 'static,
) -> TaskHandle<T> {
    let (open, inner) = (all_but_one(pool), pool.clone());
    pool.submit(move || {
        let result = f(&inner);
        drop(open);
        result
    })
}

// Contract: 88.
pub(crate) fn a_task_runs_what_has_no_place<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 1, WhenFull::CallerRuns);
    let free = in_the_only_free_task(&pool, |pool| {
        let queued = pool.submit(here);
        let mut ran = pool.submit(here);
        let mut with = pool.submit_with(|cx| cx.blocking(here));
        let mine =
            (ran.try_result().expect("it has ended").unwrap(), with.try_result().expect("it has ended").unwrap());
        (mine == (here(), here()), queued)
    });
    let (on_this_thread, queued) = free.result().unwrap();
    assert!(on_this_thread);
    queued.result().unwrap();
}

pub(crate) fn callers_on_top_of_one_another_do_not_fill_the_stack<P: LockPolicy>(pool: &ThreadPool<P>) {
    fn nest<P: LockPolicy>(pool: &ThreadPool<P>, left: usize, end: mpsc::Sender<()>) {
        if left == 0 {
            return end.send(()).unwrap();
        }
        let inner = pool.clone();
        pool.spawn(move || nest(&inner, left - 1, end)).unwrap();
    }
    let pool = bounded(pool, 1, WhenFull::CallerRuns);
    let (end, ended) = mpsc::channel();
    let free = in_the_only_free_task(&pool, move |pool| {
        let _queued = pool.submit(|| ());
        nest(pool, 20_000, end);
    });
    free.result().unwrap();
    ended.recv().unwrap();
}

/// As both could then have a reference to one value.
pub(crate) fn a_task_with_values_runs_no_other<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 1, WhenFull::CallerRuns);
    let (open, inner, value) = (all_but_one(&pool), pool.clone(), pool.guarded(0));
    let task = pool.when(&value, move |_| {
        let queued = inner.submit(|| 1);
        let full = is_full(inner.submit(|| unreachable!("rejected")));
        drop(open);
        (full, queued)
    });
    let (full, queued) = task.result().unwrap();
    assert!(full);
    assert_eq!(queued.result().unwrap(), 1);
}

/// Without a lock it stands for nothing.
pub(crate) fn a_context_runs_no_other_task_under_its_lock<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 1, WhenFull::CallerRuns);
    let (open, inner) = (all_but_one(&pool), pool.clone());
    let task = pool.submit_with(move |cx| {
        let queued = cx.submit(here);
        let mut next = cx.submit(here);
        if !P::Gate::EXCLUSIVE {
            drop(open);
            return next.try_result().expect("it has ended").unwrap() == here();
        }
        // The lock is another's meanwhile, but the context is still there: two of one lock would be on this thread.
        let next_but_one = cx.blocking(move || inner.submit(here).result());
        drop(queued);
        is_full(next) && !matches!(next_but_one, Ok(ran) if ran == here())
    });
    assert!(task.result().unwrap());
}

/// And the caller holds no lock of its own while it waits for that of the other.
pub(crate) fn callers_of_two_pools_run_each_others_tasks<P: LockPolicy>(pool: &ThreadPool<P>) {
    let build = || settings(pool, 1, WhenFull::CallerRuns).build().unwrap();
    let (one, other) = (build(), build());
    let runs = Arc::new(AtomicUsize::new(0));
    let fill = |to| fill(to, &runs);
    let fills: Vec<_> = (0..2).flat_map(|_| [one.submit(fill(&other)), other.submit(fill(&one))]).collect();
    fills.into_iter().for_each(|fill| fill.result().unwrap());
    one.shutdown();
    other.shutdown();
    assert_eq!(runs.load(SeqCst), 200);
}
