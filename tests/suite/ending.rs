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
        // A thread is started for it.
        let task = pool.submit(move || round);
        assert_eq!(pool.shutdown_now_timeout(Duration::ZERO).0, 0);
        assert_eq!(task.result().unwrap(), round);
        assert!(pool.await_termination(Duration::MAX));
        let metrics = pool.metrics();
        assert_eq!((metrics.submitted, metrics.finished, metrics.cancelled), (1, 1, 0));
    }
}

// Contract: 72.
pub(crate) fn now_leaves_a_thread_that_has_not_come_one_task<P: LockPolicy>(_: &ThreadPool<P>) {
    for (first, later) in [(0, -1), (-1, 0), (1, 2), (-2, -1)] {
        let (begin, begun) = mpsc::channel();
        let (go, gone) = mpsc::channel();
        let gone = std::sync::Mutex::new(gone);
        let at_start = move |_| {
            begin.send(()).unwrap();
            gone.lock().unwrap().recv().unwrap();
        };
        let pool = Builder::<P>::default().max_workers(1).on_thread_start(at_start).build().unwrap();
        let submit = |priority| pool.task().priority(priority).submit(|| ());
        let tasks = [submit(first), submit(first), submit(later)];
        begun.recv().unwrap();
        assert_eq!(pool.shutdown_now_timeout(Duration::ZERO), (2, false));
        // A second one finds nothing that is queued.
        assert_eq!(pool.shutdown_now_timeout(Duration::ZERO), (0, false));
        let next = if later > first { 2 } else { 0 };
        let pending = |at: usize| !tasks[at].is_finished();
        assert_eq!([0, 1, 2].map(pending), [0, 1, 2].map(|at| at == next), "{first}, {later}");
        assert_eq!(pool.metrics().queue_depth, 1);
        go.send(()).unwrap();
        for (at, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.result().is_ok(), at == next);
        }
        assert!(pool.await_termination(Duration::MAX));
    }
}

// Contract: 72.
pub(crate) fn now_leaves_a_task_to_who_waits_for_it_before_its_first<P: LockPolicy>(_: &ThreadPool<P>) {
    let (begin, begun) = mpsc::channel();
    let (go, gone) = mpsc::channel();
    let gone = std::sync::Mutex::new(gone);
    let itself = Arc::new(std::sync::OnceLock::<ThreadPool<P>>::new());
    let pool = itself.clone();
    let at_start = move |_| {
        pool.wait().scope(|s| {
            s.spawn(|| ()).unwrap();
            begin.send(()).unwrap();
            gone.lock().unwrap().recv().unwrap();
        });
    };
    let pool = Builder::<P>::default().max_workers(1).on_thread_start(at_start).build().unwrap();
    let later = pool.task().priority(-1).submit(|| ());
    itself.set(pool.clone()).unwrap();
    begun.recv().unwrap();
    assert_eq!(pool.shutdown_now_timeout(Duration::ZERO), (1, false));
    assert!(later.is_cancelled());
    go.send(()).unwrap();
    assert!(pool.await_termination(Duration::MAX));
    assert_eq!(pool.metrics().finished, 1);
}

// Contract: 72.
pub(crate) fn now_leaves_nothing_to_a_thread_that_breaks_the_pool<P: LockPolicy>(_: &ThreadPool<P>) {
    let (begin, begun) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let initializer = move |_| {
        begin.send(()).unwrap();
        gone.lock().unwrap().recv().unwrap();
        Err::<(), _>("no connection")
    };
    let pool = Builder::<P>::default().max_workers(1).panic_handler(drop).initializer(initializer).build().unwrap();
    let tasks = [(); 2].map(|()| pool.submit(|| ()));
    begun.recv().unwrap();
    assert_eq!(pool.shutdown_now_timeout(Duration::ZERO), (1, false));
    go.send(()).unwrap();
    let [first, second] = tasks.map(TaskHandle::result);
    assert!(matches!(first, Err(TaskError::Broken(_))) && matches!(second, Err(TaskError::Cancelled)));
    assert!(pool.await_termination(Duration::MAX));
    assert_eq!(pool.metrics().cancelled, 2);
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
