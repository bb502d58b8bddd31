//! How many threads there are, and how that changes while the pool runs. Contract 84–86, 91.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lockgrain::gate::Gate;
use lockgrain::{Builder, LockPolicy, ResizeError, TaskHandle, ThreadPool, blocking};

use super::Occupied;

fn settings<P: LockPolicy>(like: &ThreadPool<P>) -> Builder<P> {
    Builder::new().max_workers(like.max_workers())
}

/// Waits until there are so many threads.
fn await_threads<P: LockPolicy>(pool: &ThreadPool<P>, threads: usize) {
    while pool.metrics().threads != threads {
        thread::yield_now();
    }
}

/// A task that runs until the sender is dropped, and has begun.
fn runs<P: LockPolicy>(pool: &ThreadPool<P>) -> (mpsc::Sender<()>, TaskHandle<()>) {
    let ((open, gate), (begins, begun)) = (mpsc::channel::<()>(), mpsc::channel());
    let handle = pool.submit(move || {
        begins.send(()).unwrap();
        let _closed = gate.recv();
    });
    begun.recv().unwrap();
    (open, handle)
}

// Contract: 86.
pub(crate) fn a_bad_size_changes_nothing<P: LockPolicy>(pool: &ThreadPool<P>) {
    let workers = pool.max_workers();
    let pool = settings(pool).max_spares(3).build().unwrap();
    assert_eq!(pool.resize(0), Err(ResizeError::Zero));
    let most = workers + 3;
    assert_eq!(pool.resize(most + 1), Err(ResizeError::TooMany { asked: most + 1, most }));
    assert_eq!(pool.max_workers(), workers);
    assert_eq!((pool.resize(most), pool.max_workers()), (Ok(workers), most));
    assert_eq!((pool.resize(1), pool.resize(workers)), (Ok(most), Ok(1)));
    assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
}

// Contract: 86.
pub(crate) fn a_grown_pool_runs_more_at_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = settings(pool).build().unwrap();
    let occupied = Occupied::all(&pool);
    let (begins, begun) = mpsc::channel();
    // Queued before, and found by a worker that was not there.
    let queued = pool.submit(move || begins.send(()).unwrap());
    pool.resize(pool.max_workers() + 2).unwrap();
    if P::Gate::EXCLUSIVE {
        // One task runs at a time all the same.
        assert!(begun.try_recv().is_err());
    } else {
        begun.recv_timeout(Duration::from_secs(30)).unwrap();
        let more = [(); 2].map(|()| runs(&pool));
        drop(more);
    }
    drop(occupied);
    queued.result().unwrap();
    pool.shutdown();
}

// Contract: 86.
pub(crate) fn a_shrunk_pool_interrupts_nobody<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = settings(pool).keep_alive(Duration::from_millis(1)).prestart(true).build().unwrap();
    let occupied = Occupied::all(&pool);
    let queued: Vec<_> = (0..20).map(|n| pool.submit(move || n)).collect();
    pool.resize(1).unwrap();
    assert!(occupied.handles().iter().all(|handle| !handle.is_finished()));
    drop(occupied);
    for (n, handle) in queued.into_iter().enumerate() {
        assert_eq!(handle.result().unwrap(), n);
    }
    await_threads(&pool, 1);
    // One at a time now.
    let (open, first) = runs(&pool);
    let second = pool.submit(|| ());
    assert!(!second.is_finished() && pool.metrics().queue_depth == 1);
    drop(open);
    first.result().unwrap();
    second.result().unwrap();
    assert_eq!(pool.metrics().threads, 1);
}

// Contract: 86.
pub(crate) fn sleepers_of_a_shrunk_pool_end<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = settings(pool).keep_alive(Duration::from_millis(1)).prestart(true).build().unwrap();
    let workers = pool.max_workers();
    while pool.metrics().parked < workers as u64 {
        thread::yield_now();
    }
    assert_eq!(pool.metrics().threads, workers);
    pool.resize(1).unwrap();
    await_threads(&pool, 1);
    pool.resize(workers).unwrap();
    assert_eq!((pool.prestart_all(), pool.metrics().threads), (workers - 1, workers));
}

// Contract: 86.
pub(crate) fn resizing_races_with_submission<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = settings(pool).keep_alive(Duration::ZERO).min_workers(1).build().unwrap();
    let (resizes, workers) = (pool.clone(), pool.max_workers());
    let (stop, stopped) = mpsc::channel::<()>();
    let resizer = thread::spawn(move || {
        for n in 0.. {
            resizes.resize(1 + n % (workers + 2)).unwrap();
            if stopped.try_recv() == Err(mpsc::TryRecvError::Disconnected) {
                return;
            }
            thread::yield_now();
        }
    });
    for round in 0..200 {
        let handles: Vec<_> = (0..20).map(|n| pool.submit(move || n + round)).collect();
        for (n, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.result().unwrap(), n + round);
        }
    }
    drop(stop);
    resizer.join().unwrap();
    pool.shutdown();
}

// Contract: 85.
pub(crate) fn idle_workers_above_the_minimum_end<P: LockPolicy>(pool: &ThreadPool<P>) {
    for least in [0, 1] {
        let pool =
            settings(pool).min_workers(least).keep_alive(Duration::from_millis(1)).prestart(true).build().unwrap();
        await_threads(&pool, least);
        for n in 0..10 {
            assert_eq!(pool.submit(move || n).result().unwrap(), n);
            await_threads(&pool, least);
        }
        pool.shutdown();
        assert!(pool.is_terminated());
    }
}

// Contract: 85.
pub(crate) fn without_a_minimum_workers_stay<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = settings(pool).keep_alive(Duration::ZERO).prestart(true).build().unwrap();
    let workers = pool.max_workers();
    let more_than_all = settings(&pool).keep_alive(Duration::ZERO).min_workers(99).prestart(true).build().unwrap();
    for pool in [pool, more_than_all] {
        while pool.metrics().parked < workers as u64 {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(5));
        assert_eq!(pool.metrics().threads, workers);
    }
}

// Contract: 84.
pub(crate) fn prestart_all_starts_what_is_missing<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = settings(pool).build().unwrap();
    let workers = pool.max_workers();
    pool.submit(|| ()).result().unwrap();
    assert_eq!((pool.prestart_all(), pool.metrics().threads), (workers - 1, workers));
    assert_eq!(pool.prestart_all(), 0);
    pool.shutdown();
    assert_eq!(pool.prestart_all(), 0);
}

// Contract: 91.
pub(crate) fn the_largest_number_of_threads_is_kept<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = settings(pool).min_workers(0).keep_alive(Duration::from_millis(1)).build().unwrap();
    assert_eq!(pool.metrics().largest_threads, 0);
    pool.submit(|| ()).result().unwrap();
    assert_eq!(pool.metrics().largest_threads, 1);
    // Else it may be about to look for work, and another is started for the next task.
    await_threads(&pool, 0);
    let inner = pool.clone();
    // One more in the place of the one that blocks.
    pool.submit(move || blocking(|| runs(&inner).1.cancel())).result().unwrap();
    await_threads(&pool, 0);
    assert_eq!(pool.metrics().largest_threads, 2);
}
