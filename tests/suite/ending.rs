//! What a shutdown leaves, with and without a wait. Contract 70–79.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lockgrain::{Builder, LockPolicy, TaskError, TaskHandle, ThreadPool};

use super::{Occupied, pool as another};

// Contract: 70, 79.
pub(crate) fn now_ends_the_queued_and_leaves_the_running<P: LockPolicy>(pool: &ThreadPool<P>) {
    for count in [3, 50] {
        let pool = another::<P>(pool.max_workers());
        let occupied = Occupied::all(&pool);
        let running = occupied.handles().len() as u64;
        let queued: Vec<_> = (0..count).map(|_| pool.submit(|| ())).collect();
        assert_eq!(pool.shutdown_now_timeout(Duration::ZERO), (count, false));
        assert!(queued.iter().all(TaskHandle::is_cancelled), "at once");
        assert_eq!(pool.metrics().queue_depth, 0);
        assert!(occupied.handles().iter().all(TaskHandle::is_running));
        occupied.release().into_iter().for_each(|handle| handle.result().unwrap());
        assert!(pool.await_termination(Duration::MAX));
        assert!(queued.into_iter().all(|handle| matches!(handle.result(), Err(TaskError::Cancelled))));
        let metrics = pool.metrics();
        assert_eq!((metrics.finished, metrics.cancelled, metrics.threads), (running, count as u64, 0));
    }
}

// Contract: 71.
pub(crate) fn without_a_wait_accepted_tasks_run_and_threads_end<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let queued: Vec<_> = (0..20).map(|n| pool.submit(move || n)).collect();
    assert!(!pool.shutdown_timeout(Duration::ZERO));
    assert!(pool.is_shutdown() && pool.spawn(|| ()).is_err());
    drop(occupied);
    for (n, handle) in queued.into_iter().enumerate() {
        assert_eq!(handle.result().unwrap(), n);
    }
    while !pool.is_terminated() {
        thread::yield_now();
    }
    assert_eq!(pool.metrics().threads, 0);
}

// Contract: 72.
pub(crate) fn now_without_a_wait_right_after_a_submit<P: LockPolicy>(pool: &ThreadPool<P>) {
    for round in 0..100 {
        let pool = another::<P>(pool.max_workers());
        let task = pool.submit(move || round);
        let (cancelled, _) = pool.shutdown_now_timeout(Duration::ZERO);
        match task.result() {
            Ok(value) => assert_eq!((value, cancelled), (round, 0)),
            Err(error) => assert!(error.is_cancelled() && cancelled == 1, "{error}, {cancelled} cancelled"),
        }
        assert!(pool.await_termination(Duration::MAX));
    }
}

// Contract: 73.
pub(crate) fn after_a_submit_and_a_quick_cancel<P: LockPolicy>(pool: &ThreadPool<P>) {
    for round in 0..100 {
        let pool = another::<P>(pool.max_workers());
        let tasks = [(); 2].map(|()| pool.submit(move || round));
        let cancelled = tasks.each_ref().map(TaskHandle::cancel);
        pool.shutdown();
        for (task, cancelled) in tasks.into_iter().zip(cancelled) {
            assert_eq!(matches!(task.result(), Err(TaskError::Cancelled)), cancelled);
        }
        assert!(pool.is_terminated());
    }
}

// Contract: 74.
pub(crate) fn a_drop_waits_for_all_and_joins_the_threads<P: LockPolicy>(pool: &ThreadPool<P>) {
    let [starts, stops, runs] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
    let (started, stopped) = (starts.clone(), stops.clone());
    let dropped = Builder::<P>::new()
        .max_workers(pool.max_workers())
        .on_thread_start(move |_| {
            started.fetch_add(1, SeqCst);
        })
        .on_thread_stop(move |_| {
            stopped.fetch_add(1, SeqCst);
        })
        .build()
        .unwrap();
    let unread: Vec<_> = (0..20)
        .map(|n| {
            let runs = runs.clone();
            dropped.submit(move || {
                runs.fetch_add(1, SeqCst);
                n
            })
        })
        .collect();
    drop(dropped.clone());
    assert!(!unread.is_empty() && starts.load(SeqCst) >= stops.load(SeqCst), "a clone is not the last");
    drop(dropped);
    assert_eq!(runs.load(SeqCst), 20);
    assert!(starts.load(SeqCst) > 0);
    assert_eq!(starts.load(SeqCst), stops.load(SeqCst));
    for (n, mut handle) in unread.into_iter().enumerate() {
        assert_eq!(handle.try_result().unwrap().unwrap(), n);
    }
}

// Contract: 78.
pub(crate) fn awaiting_the_end_takes_its_time_and_says_whether_it_came<P: LockPolicy>(pool: &ThreadPool<P>) {
    const SHORT: Duration = Duration::from_millis(5);
    let is_terminating = || pool.is_shutdown() && !pool.is_terminated();
    let start = Instant::now();
    assert!(!pool.await_termination(SHORT));
    assert!(start.elapsed() >= SHORT);
    assert!(!pool.is_shutdown() && !pool.is_terminated());
    let occupied = Occupied::all(pool);
    let start = Instant::now();
    assert!(!pool.shutdown_timeout(SHORT));
    assert!(start.elapsed() >= SHORT);
    assert!(is_terminating());
    let (waits, waiting) = mpsc::channel();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            waits.send(()).unwrap();
            pool.await_termination(Duration::MAX)
        });
        waiting.recv().unwrap();
        drop(occupied);
        assert!(waiter.join().unwrap());
    });
    assert!(pool.is_terminated() && !is_terminating());
    assert!(pool.await_termination(Duration::ZERO));
}
