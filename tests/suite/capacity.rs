//! Bounded queues. Contract 13, 87–90.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use lockgrain::gate::Gate;
use lockgrain::{Builder, LockPolicy, Refused, Rejected, TaskError, TaskHandle, ThreadPool, WhenFull, blocking};

use super::Occupied;

/// A pool as the given one, with a bound.
fn bounded<P: LockPolicy>(like: &ThreadPool<P>, capacity: usize, when_full: WhenFull) -> ThreadPool<P> {
    settings(like, capacity, when_full).build().unwrap()
}

fn settings<P: LockPolicy>(like: &ThreadPool<P>, capacity: usize, when_full: WhenFull) -> Builder<P> {
    Builder::new().max_workers(like.max_workers()).queue_capacity(capacity).when_full(when_full)
}

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

fn is_full<T: std::fmt::Debug>(handle: TaskHandle<T>) -> bool {
    matches!(handle.result(), Err(TaskError::QueueFull))
}

// Contract: 87, 88.
pub(crate) fn a_full_queue_rejects<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 2, WhenFull::Reject);
    assert_eq!(pool.queue_capacity(), Some(2));
    let occupied = Occupied::all(&pool);
    let queued: Vec<_> = (0..2).map(|n| pool.submit(move || n)).collect();
    assert!(is_full(pool.submit(|| unreachable!("rejected"))));
    assert!(is_full(pool.submit_with(|_| unreachable!("rejected"))));
    assert_eq!(pool.spawn(|| unreachable!("rejected")), Err(Refused::Full));
    let Rejected { closure, why } = pool.try_submit(|| 7).unwrap_err();
    assert_eq!((closure(), why), (7, Refused::Full));
    let metrics = pool.metrics();
    assert_eq!((metrics.rejected, metrics.queue_depth, metrics.cancelled), (4, 2, 0));
    assert_eq!(metrics.submitted, 2 + occupied.handles().len() as u64);
    // During the termination, and after it.
    assert!(!pool.shutdown_timeout(Duration::ZERO));
    assert_eq!(pool.spawn(|| ()), Err(Refused::Shutdown));
    drop(occupied);
    assert_eq!(queued.into_iter().map(|handle| handle.result().unwrap()).collect::<Vec<_>>(), [0, 1]);
    pool.shutdown();
    assert_eq!(pool.spawn(|| ()), Err(Refused::Shutdown));
    assert_eq!(pool.metrics().rejected, 4);
}

// Contract: 90.
pub(crate) fn a_cancelled_task_makes_room_at_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 1, WhenFull::Reject);
    let occupied = Occupied::all(&pool);
    assert!(!occupied.handles()[0].cancel(), "it runs");
    let queued = pool.submit(|| 1);
    assert!(is_full(pool.submit(|| 2)));
    assert!(queued.cancel());
    let next = pool.submit(|| 3);
    assert!(is_full(pool.submit(|| 4)));
    drop(occupied);
    assert_eq!(next.result().unwrap(), 3);
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!((metrics.cancelled, metrics.rejected, metrics.started), (1, 2, metrics.finished));
}

// Contract: 13.
pub(crate) fn a_thousand_tasks_retried_run_once_each<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 3, WhenFull::Reject);
    let runs = Arc::new(AtomicUsize::new(0));
    let run = {
        let runs = runs.clone();
        move || {
            runs.fetch_add(1, SeqCst);
        }
    };
    for _ in 0..1000 {
        let mut task = run.clone();
        while let Err(Rejected { closure, why }) = pool.try_submit(task) {
            assert_eq!(why, Refused::Full);
            task = closure;
            thread::yield_now();
        }
    }
    pool.shutdown();
    assert_eq!(runs.load(SeqCst), 1000);
    assert_eq!(pool.metrics().finished, 1000);
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

// Contract: 89.
pub(crate) fn the_oldest_makes_room<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 3, WhenFull::DiscardOldest);
    let occupied = Occupied::all(&pool);
    let mut queued: Vec<_> = (0..5).map(|n| pool.submit(move || n)).collect();
    let newest = queued.split_off(2);
    for oldest in queued {
        assert!(oldest.is_cancelled());
        assert!(matches!(oldest.result(), Err(TaskError::Cancelled)));
    }
    let metrics = pool.metrics();
    assert_eq!((metrics.cancelled, metrics.rejected, metrics.queue_depth), (2, 0, 3));
    // One that is cancelled already is not what makes room.
    assert!(newest[0].cancel());
    let more = [pool.submit(|| 5), pool.submit(|| 6)];
    assert!(newest[1].is_cancelled() && !newest[2].is_cancelled());
    let stopped = pool.shutdown_timeout(Duration::ZERO);
    assert!(!stopped);
    assert!(matches!(pool.submit(|| 7).result(), Err(TaskError::Refused)));
    assert!(!newest[2].is_cancelled());
    drop(occupied);
    let results = newest.into_iter().chain(more).map(|handle| handle.result().ok());
    assert_eq!(results.collect::<Vec<_>>(), [None, None, Some(4), Some(5), Some(6)]);
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!((metrics.cancelled, metrics.submitted), (4, metrics.started + 4));
}

// Contract: 88.
pub(crate) fn the_newest_is_dropped<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 1, WhenFull::DiscardNewest);
    let occupied = Occupied::all(&pool);
    let queued = pool.submit(|| 1);
    let owned = Arc::new(());
    let dropped = [owned.clone(), owned.clone()].map(|owned| pool.submit(move || drop(owned)));
    assert_eq!(Arc::strong_count(&owned), 1, "the closures are gone");
    assert!(dropped.iter().all(TaskHandle::is_cancelled));
    pool.spawn(|| unreachable!("dropped")).unwrap();
    assert!(pool.try_submit(|| ()).unwrap().is_cancelled());
    let metrics = pool.metrics();
    assert_eq!((metrics.rejected, metrics.cancelled, metrics.queue_depth), (4, 0, 1));
    drop(occupied);
    assert_eq!(queued.result().unwrap(), 1);
}

pub(crate) fn a_submitter_waits_for_a_start<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 2, WhenFull::Block);
    let submitters: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            thread::spawn(move || (0..200).map(|n| pool.submit(move || n).detached()).sum::<usize>())
        })
        .collect();
    for submitter in submitters {
        assert_eq!(submitter.join().unwrap(), 200);
    }
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!((metrics.finished, metrics.rejected, metrics.cancelled), (600, 0, 0));
}

trait Detached {
    fn detached(self) -> usize;
}

impl<T> Detached for TaskHandle<T> {
    fn detached(self) -> usize {
        drop(self);
        1
    }
}

pub(crate) fn a_submitter_waits_for_a_cancel<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 1, WhenFull::Block);
    let occupied = Occupied::all(&pool);
    let queued = pool.submit(|| 1);
    let (submits, submitted) = mpsc::channel();
    let submitter = {
        let pool = pool.clone();
        thread::spawn(move || {
            submits.send(None).unwrap();
            submits.send(Some(pool.submit(|| 2))).unwrap();
        })
    };
    assert!(submitted.recv().unwrap().is_none());
    assert!(submitted.recv_timeout(Duration::from_millis(5)).is_err(), "there is no place");
    assert!(queued.cancel());
    let next = submitted.recv().unwrap().unwrap();
    submitter.join().unwrap();
    assert_eq!(next.state(), lockgrain::TaskState::Queued);
    drop(occupied);
    assert_eq!(next.result().unwrap(), 2);
}

pub(crate) fn a_wait_for_a_place_can_end<P: LockPolicy>(pool: &ThreadPool<P>) {
    let timeout = Duration::from_millis(5);
    let pool = bounded(pool, 1, WhenFull::BlockTimeout(timeout));
    let occupied = Occupied::all(&pool);
    let queued = pool.submit(|| 1);
    let start = Instant::now();
    assert!(is_full(pool.submit(|| 2)));
    assert!(start.elapsed() >= timeout);
    let Rejected { closure, why } = pool.try_submit(|| 3).unwrap_err();
    assert_eq!((closure(), why), (3, Refused::Full));
    assert_eq!(pool.metrics().rejected, 2);
    assert!(queued.cancel());
    let next = pool.submit(|| 4);
    drop(occupied);
    assert_eq!(next.result().unwrap(), 4);
}

pub(crate) fn shutdown_ends_the_waits_for_a_place<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 1, WhenFull::Block);
    let occupied = Occupied::all(&pool);
    let queued = pool.submit(|| 1);
    let (submits, about_to) = mpsc::channel();
    let submitters: Vec<_> = (0..3)
        .map(|_| {
            let (pool, submits) = (pool.clone(), submits.clone());
            thread::spawn(move || {
                submits.send(()).unwrap();
                (pool.spawn(|| unreachable!("refused")), pool.submit(|| ()).result())
            })
        })
        .collect();
    submitters.iter().for_each(|_| about_to.recv().unwrap());
    thread::sleep(Duration::from_millis(2));
    assert!(!pool.shutdown_timeout(Duration::ZERO));
    for submitter in submitters {
        let (spawned, submitted) = submitter.join().unwrap();
        assert_eq!(spawned, Err(Refused::Shutdown));
        assert!(matches!(submitted, Err(TaskError::Refused)));
    }
    drop(occupied);
    assert_eq!(queued.result().unwrap(), 1);
    pool.shutdown();
}

/// With spares, and without.
pub(crate) fn a_task_fills_its_own_pool<P: LockPolicy>(pool: &ThreadPool<P>) {
    for spares in [256, 0] {
        let pool = settings(pool, 1, WhenFull::Block).max_spares(spares).build().unwrap();
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let inner = pool.clone();
                pool.submit(move || (0..100).map(|n| inner.submit(move || n)).collect::<Vec<_>>())
            })
            .collect();
        let results = tasks.into_iter().flat_map(|task| task.result().unwrap()).map(|task| task.result().unwrap());
        assert_eq!(results.sum::<usize>(), 3 * 4950);
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.finished, metrics.rejected, metrics.threads), (303, 0, 0));
    }
}

/// The context keeps the lock, which others need to make room.
pub(crate) fn a_task_with_a_context_fills_its_own_pool<P: LockPolicy>(pool: &ThreadPool<P>) {
    for spares in [256, 0] {
        let pool = settings(pool, 1, WhenFull::Block).max_spares(spares).build().unwrap();
        let task = pool.submit_with(|cx| (0..100).map(|n| cx.submit(move || n)).collect::<Vec<_>>());
        assert_eq!(task.result().unwrap().into_iter().map(|task| task.result().unwrap()).sum::<usize>(), 4950);
        let (value, inner) = (pool.guarded(()), pool.clone());
        let task = pool.when(&value, move |()| (0..100).map(|n| inner.submit(move || n)).collect::<Vec<_>>());
        assert_eq!(task.result().unwrap().into_iter().map(|task| task.result().unwrap()).sum::<usize>(), 4950);
    }
}

/// One task waits for a place, and another for that task: nobody is left to make room.
pub(crate) fn whoever_all_others_wait_for_gets_in<P: LockPolicy>(pool: &ThreadPool<P>) {
    let workers = pool.max_workers().min(2);
    for _ in 0..10 {
        let pool = settings(pool, 1, WhenFull::Block).max_workers(workers).max_spares(0).build().unwrap();
        let (give, given) = mpsc::channel::<TaskHandle<usize>>();
        let (inner, outer) = (pool.clone(), pool.clone());
        let waiting = pool.submit(move || {
            let fills = given.recv().unwrap();
            // Most likely it waits by then; if it comes later, it sees that it is the last.
            while fills.is_running() && outer.metrics().queue_depth == 0 {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(1));
            fills.result()
        });
        let fills = pool.submit(move || (0..3).map(|n| inner.submit(move || n).detached()).sum());
        give.send(fills).unwrap();
        assert_eq!(waiting.result().unwrap().unwrap(), 3);
        pool.shutdown();
        assert_eq!(pool.metrics().finished, 5);
    }
}

/// Each pool's tasks wait for a place in the other.
pub(crate) fn two_pools_fill_each_other<P: LockPolicy>(pool: &ThreadPool<P>) {
    let build = || settings(pool, 1, WhenFull::Block).max_spares(0).build().unwrap();
    let (one, other) = (build(), build());
    let runs = Arc::new(AtomicUsize::new(0));
    let fill = |to: &ThreadPool<P>| {
        let (to, runs) = (to.clone(), runs.clone());
        move || {
            for _ in 0..50 {
                let runs = runs.clone();
                let count = move || {
                    runs.fetch_add(1, SeqCst);
                };
                to.spawn(count).unwrap();
            }
        }
    };
    let fills = [one.submit(fill(&other)), other.submit(fill(&one))];
    fills.into_iter().for_each(|fill| fill.result().unwrap());
    one.shutdown();
    other.shutdown();
    assert_eq!(runs.load(SeqCst), 100);
}

/// And the caller holds no lock of its own while it waits for that of the other.
pub(crate) fn callers_of_two_pools_run_each_others_tasks<P: LockPolicy>(pool: &ThreadPool<P>) {
    let build = || settings(pool, 1, WhenFull::CallerRuns).build().unwrap();
    let (one, other) = (build(), build());
    let runs = Arc::new(AtomicUsize::new(0));
    let fill = |to: &ThreadPool<P>| {
        let (to, runs) = (to.clone(), runs.clone());
        move || {
            for _ in 0..50 {
                let runs = runs.clone();
                let count = move || {
                    runs.fetch_add(1, SeqCst);
                };
                to.spawn(count).unwrap();
            }
        }
    };
    let fills: Vec<_> = (0..2).flat_map(|_| [one.submit(fill(&other)), other.submit(fill(&one))]).collect();
    fills.into_iter().for_each(|fill| fill.result().unwrap());
    one.shutdown();
    other.shutdown();
    assert_eq!(runs.load(SeqCst), 200);
}

/// Whatever becomes of a task, its handle says so, and the counts agree.
pub(crate) fn every_handle_ends_and_the_counts_agree<P: LockPolicy>(pool: &ThreadPool<P>) {
    let kinds = [
        WhenFull::Reject,
        WhenFull::Block,
        WhenFull::BlockTimeout(Duration::from_micros(50)),
        WhenFull::CallerRuns,
        WhenFull::DiscardOldest,
        WhenFull::DiscardNewest,
    ];
    for when_full in kinds {
        let pool = bounded(pool, 2, when_full);
        let submit = |by: usize| {
            let pool = pool.clone();
            move || -> [u64; 3] {
                let mut counts = [0; 3];
                let handles: Vec<_> = (0..100)
                    .map(|n| {
                        let handle = pool.submit(move || n);
                        if n % 7 == by {
                            handle.cancel();
                        }
                        handle
                    })
                    .collect();
                for handle in handles {
                    counts[match handle.result() {
                        Ok(_) => 0,
                        Err(TaskError::Cancelled) => 1,
                        Err(TaskError::QueueFull) => 2,
                        Err(error) => panic!("{error}"),
                    }] += 1;
                }
                counts
            }
        };
        let threads: Vec<_> = (0..2).map(|by| thread::spawn(submit(by))).collect();
        let inside = pool.submit(submit(3));
        // It may have been discarded, or be one too many.
        let inside = match inside.result() {
            Ok(counts) => counts,
            Err(TaskError::Cancelled | TaskError::QueueFull) => [0; 3],
            Err(error) => panic!("{when_full:?}: {error}"),
        };
        let [ran, cancelled, full] =
            threads.into_iter().map(|thread| thread.join().unwrap()).chain([inside]).fold([0; 3], add);
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!(metrics.started, metrics.finished);
        assert_eq!(metrics.submitted, metrics.started + metrics.cancelled);
        let outer = 1;
        assert_eq!(metrics.submitted + metrics.rejected, ran + cancelled + full + outer, "{when_full:?}");
        match when_full {
            WhenFull::Reject | WhenFull::BlockTimeout(_) => assert!(metrics.rejected >= full),
            WhenFull::Block | WhenFull::DiscardOldest => assert_eq!(metrics.rejected, 0),
            _ => assert_eq!(full, 0),
        }
    }
}

fn add(a: [u64; 3], b: [u64; 3]) -> [u64; 3] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}
