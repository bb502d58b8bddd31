//! A pool with nothing to do. Contract 97.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lockgrain::gate::Gate;
use lockgrain::{Builder, LockPolicy, ThreadPool, WhenFull, join_all};

use super::{Occupied, count};

const LONG: Duration = Duration::from_secs(50);
const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(3);

fn spread<P: LockPolicy>(pool: &ThreadPool<P>, depth: u32, runs: &Arc<AtomicUsize>) {
    count(runs);
    for _ in 0..if depth == 0 { 0 } else { 3 } {
        let (inner, runs) = (pool.clone(), runs.clone());
        pool.spawn(move || spread(&inner, depth - 1, &runs)).unwrap();
    }
}

// Contract: 97.
pub(crate) fn a_pool_is_quiescent_after_all_that_its_tasks_have_spawned<P: LockPolicy>(pool: &ThreadPool<P>) {
    for _ in 0..30 {
        let runs = Arc::default();
        spread(pool, 4, &runs);
        assert!(pool.await_quiescence(LONG));
        assert_eq!(runs.load(SeqCst), 121);
    }
    assert!(pool.is_quiescent());
    let metrics = pool.metrics();
    assert_eq!((metrics.queue_depth, metrics.submitted, metrics.finished), (0, 3600, 3600));
}

// Contract: 97, 98.
pub(crate) fn a_new_pool_is_quiescent<P: LockPolicy>(pool: &ThreadPool<P>) {
    assert!(pool.is_quiescent() && pool.await_quiescence(Duration::ZERO) && pool.await_quiescence(Duration::MAX));
    assert_eq!(pool.metrics().threads, 0);
}

// Contract: 97.
pub(crate) fn what_runs_or_is_queued_counts<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    assert!(!pool.is_quiescent() && !pool.await_quiescence(Duration::ZERO) && !pool.await_quiescence(SHORT));
    let queued = pool.submit(|| ());
    let cancelled = pool.submit(|| ());
    assert!(cancelled.cancel());
    occupied.release();
    assert!(pool.await_quiescence(LONG));
    assert!(queued.is_finished());
    let (open, gate) = mpsc::channel::<()>();
    let blocked = pool.submit(move || lockgrain::blocking(|| gate.recv().is_err()));
    assert!(!pool.await_quiescence(SHORT), "it blocks");
    drop(open);
    assert!(pool.await_quiescence(LONG) && blocked.is_finished());
}

// Contract: 97.
pub(crate) fn who_stands_in_line_counts<P: LockPolicy>(pool: &ThreadPool<P>) {
    let value = pool.guarded(0);
    let runs = Arc::new(AtomicUsize::new(0));
    let (open, gate) = mpsc::channel::<()>();
    let first = pool.when(&value, move |_| gate.recv().is_err());
    let behind: Vec<_> = (0..10)
        .map(|_| {
            let runs = runs.clone();
            pool.when(&value, move |value| {
                *value += 1;
                count(&runs);
            })
        })
        .collect();
    assert!(behind[3].cancel());
    assert!(!pool.await_quiescence(SHORT));
    drop(open);
    assert!(pool.await_quiescence(LONG));
    assert_eq!((first.is_finished(), runs.load(SeqCst)), (true, 9));
}

// Contract: 97.
pub(crate) fn tasks_that_wait_for_it_do_not_count<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs = Arc::new(AtomicUsize::new(0));
    // So that none of them finds that the others are not there yet.
    pool.pause();
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let (inner, runs) = (pool.clone(), runs.clone());
            pool.submit(move || {
                spread(&inner, 3, &runs);
                assert!(!inner.is_quiescent(), "this task runs");
                (inner.await_quiescence(LONG), runs.load(SeqCst))
            })
        })
        .collect();
    pool.resume();
    let (reached, seen): (Vec<_>, Vec<_>) = join_all(waiters).into_iter().map(Result::unwrap).unzip();
    assert_eq!((reached, seen), (vec![true; 3], vec![120; 3]));
    assert!(pool.await_quiescence(LONG));
    // A task of another pool may wait here, and then it does not run there.
    let other = super::pool::<P>(1);
    let (outer, inner) = (other.clone(), pool.clone());
    assert!(outer.submit(move || inner.await_quiescence(LONG)).result().unwrap());
}

// Contract: 97.
pub(crate) fn with_a_context_nobody_waits<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let waited = pool.submit_with(move |_| inner.await_quiescence(LONG));
    assert_eq!(waited.result().unwrap(), !P::Gate::EXCLUSIVE);
    let inner = pool.clone();
    let waited = pool.submit_with(move |cx| cx.blocking(|| inner.await_quiescence(LONG)));
    assert!(waited.result().unwrap());
}

// Contract: 97, 102.
pub(crate) fn what_is_not_due_does_not_count<P: LockPolicy>(pool: &ThreadPool<P>) {
    let later = pool.schedule(HOUR, || ());
    let series = pool.schedule_at_fixed_rate(HOUR, HOUR, || ());
    assert!(pool.is_quiescent() && pool.await_quiescence(LONG));
    assert!(later.cancel() && series.cancel());
    let soon = pool.schedule(Duration::ZERO, || 1);
    assert_eq!(soon.result().unwrap(), 1);
    assert!(pool.await_quiescence(LONG));
}

// Contract: 97.
pub(crate) fn a_paused_pool_is_quiescent_if_nothing_is_queued<P: LockPolicy>(pool: &ThreadPool<P>) {
    spread(pool, 3, &Arc::default());
    assert!(pool.await_quiescence(LONG));
    let inner = pool.clone();
    // Its worker rests from then on.
    pool.submit(move || inner.pause()).result().unwrap();
    assert!(pool.await_quiescence(LONG));
    let queued = pool.submit(|| ());
    assert!(!pool.is_quiescent() && !pool.await_quiescence(SHORT));
    pool.resume();
    assert!(pool.await_quiescence(LONG) && queued.is_finished());
    pool.pause();
    let queued = pool.submit(|| ());
    pool.shutdown_now();
    assert!(pool.await_quiescence(LONG));
    // A worker that looked just before the pause may have had it.
    drop(queued);
}

// Contract: 97.
pub(crate) fn all_who_wait_are_told<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let pool = pool.clone();
            thread::spawn(move || pool.await_quiescence(if n % 2 == 0 { LONG } else { Duration::MAX }))
        })
        .collect();
    occupied.release();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
}

// Contract: 97.
pub(crate) fn a_broadcast_counts<P: LockPolicy>(pool: &ThreadPool<P>) {
    for _ in 0..20 {
        let runs = Arc::new(AtomicUsize::new(0));
        let counts = runs.clone();
        pool.spawn_broadcast(move |_| count(&counts)).unwrap();
        assert!(pool.await_quiescence(LONG));
        assert_eq!(runs.load(SeqCst), pool.max_workers());
    }
}

// Contract: 88, 97.
pub(crate) fn a_submitter_that_runs_its_task_counts<P: LockPolicy>(pool: &ThreadPool<P>) {
    let builder = Builder::<P>::new().max_workers(pool.max_workers()).queue_capacity(1);
    let pool = builder.when_full(WhenFull::CallerRuns).build().unwrap();
    if P::Gate::EXCLUSIVE {
        // It would wait for the lock, which the others have.
        return;
    }
    let occupied = Occupied::all(&pool);
    let queued = pool.submit(|| ());
    let ((open, gate), (started, starts)) = (mpsc::channel::<()>(), mpsc::channel());
    let other = pool.clone();
    let caller = thread::spawn(move || {
        let inner = other.clone();
        let here = other.submit(move || {
            started.send(()).unwrap();
            let waited = gate.recv().is_err();
            // All others have ended, and this one waits for it.
            waited && inner.await_quiescence(LONG)
        });
        here.result().unwrap()
    });
    starts.recv().unwrap();
    occupied.release();
    queued.result().unwrap();
    assert!(!pool.await_quiescence(SHORT));
    drop(open);
    assert!(caller.join().unwrap());
    assert!(pool.await_quiescence(LONG));
}

// Contract: 97.
pub(crate) fn a_pool_that_has_stopped_is_quiescent<P: LockPolicy>(pool: &ThreadPool<P>) {
    let waiter = pool.clone();
    let waits = thread::spawn(move || waiter.await_quiescence(LONG));
    spread(pool, 2, &Arc::default());
    assert!(pool.shutdown_timeout(LONG));
    assert!(waits.join().unwrap() && pool.is_quiescent() && pool.await_quiescence(LONG));
}
