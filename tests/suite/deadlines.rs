//! Tasks that have to start in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lockgrain::{Builder, LockPolicy, Refused, TaskError, TaskHandle, TaskState, ThreadPool};

use super::{Occupied, count};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(3);

fn is_expired<T>(handle: TaskHandle<T>) -> bool {
    matches!(handle.result(), Err(TaskError::Expired))
}

pub(crate) fn a_task_that_has_not_started_in_time_ends<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let closure = Arc::new(());
    let weak = Arc::downgrade(&closure);
    let mut late = pool.task().start_within(SHORT).submit(move || drop(closure));
    let (send, outcome) = mpsc::channel();
    late.on_done(move |result| send.send(matches!(result, Err(TaskError::Expired))).unwrap());
    assert!(outcome.recv().unwrap());
    late.wait().unwrap();
    assert_eq!((weak.strong_count(), late.state()), (0, TaskState::Cancelled));
    assert!(is_expired(late));
    let ranked = pool.task().priority(-1).start_within(Duration::ZERO).submit_with(|_| 3);
    assert!(is_expired(ranked));
    occupied.release();
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!((metrics.cancelled, metrics.queue_depth), (2, 0));
}

pub(crate) fn a_task_that_starts_in_time_is_left_alone<P: LockPolicy>(pool: &ThreadPool<P>) {
    for time in [HOUR, Duration::MAX] {
        assert_eq!(pool.task().start_within(time).submit(|| 7).result().unwrap(), 7);
    }
    // It may not start in time, but if it does, it goes on.
    let (started, starts) = mpsc::channel();
    let long = pool.task().start_within(SHORT).submit(move || {
        started.send(()).unwrap();
        thread::sleep(2 * SHORT);
    });
    let has_started = starts.recv().is_ok();
    assert_eq!(long.result().is_ok(), has_started);
}

pub(crate) fn each_has_one_end<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..600_u64)
        .map(|n| {
            let runs = runs.clone();
            let settings = pool.task().priority((n % 3) as i8 - 1).start_within(Duration::from_micros(n * 7 % 500));
            let handle = settings.submit(move || count(&runs));
            if n % 4 == 0 {
                handle.cancel();
            }
            handle
        })
        .collect();
    let (mut ran, mut unrun) = (0, 0);
    for handle in handles {
        match handle.result() {
            Ok(()) => ran += 1,
            Err(TaskError::Expired | TaskError::Cancelled) => unrun += 1,
            Err(other) => panic!("{other}"),
        }
    }
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!((ran, ran + unrun), (runs.load(SeqCst), 600));
    assert_eq!((metrics.finished as usize, metrics.cancelled as usize, metrics.queue_depth), (ran, unrun, 0));
}

pub(crate) fn a_worker_runs_what_it_waits_for_in_time<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let pool = Builder::<P>::new().pinned().build().unwrap();
    let inner = pool.clone();
    let outer = pool.submit(move || {
        let in_time = inner.task().start_within(HOUR).submit(|| 1);
        let late = inner.task().start_within(Duration::ZERO).submit(|| ());
        while late.state() == TaskState::Queued {
            thread::yield_now();
        }
        (in_time.result().unwrap(), is_expired(late))
    });
    assert_eq!(outer.result().unwrap(), (1, true));
}

pub(crate) fn without_a_handle_it_ends_as_well<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let closure = Arc::new(());
    let weak = Arc::downgrade(&closure);
    pool.task().start_within(SHORT).spawn(move || drop(closure)).unwrap();
    while weak.strong_count() > 0 {
        thread::yield_now();
    }
    occupied.release();
    let (send, ran) = mpsc::channel();
    pool.task().start_within(HOUR).spawn(move || send.send(()).unwrap()).unwrap();
    ran.recv().unwrap();
    pool.shutdown();
    assert_eq!(pool.metrics().cancelled, 1);
}

pub(crate) fn a_shutdown_does_not_wait_for_the_time<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let in_time = pool.task().start_within(HOUR).submit(|| 1);
    let cancelled = pool.task().start_within(HOUR).submit(|| 1);
    assert!(cancelled.cancel());
    let late = pool.task().start_within(SHORT).submit(|| 1);
    assert!(!pool.shutdown_timeout(Duration::ZERO));
    // Also while it drains.
    assert!(is_expired(late));
    occupied.release();
    assert_eq!(in_time.result().unwrap(), 1);
    pool.shutdown();
    let settings = pool.task().start_within(HOUR);
    assert!(matches!(settings.submit(|| ()).result(), Err(TaskError::Refused)));
    assert_eq!(settings.spawn(|| ()), Err(Refused::Shutdown));
    assert_eq!(settings.try_submit(|| 3).map(drop).map_err(|rejected| (rejected.closure)()), Err(3));
}

pub(crate) fn an_expired_task_gives_its_place_back<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = Builder::<P>::new().max_workers(pool.max_workers()).queue_capacity(1).build().unwrap();
    let occupied = Occupied::all(&pool);
    let late = pool.task().start_within(SHORT).submit(|| ());
    assert!(is_expired(late));
    let next = pool.task().start_within(HOUR).submit(|| 2);
    assert!(matches!(pool.task().start_within(HOUR).submit(|| 3).result(), Err(TaskError::QueueFull)));
    occupied.release();
    assert_eq!(next.result().unwrap(), 2);
}
