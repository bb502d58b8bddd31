//! Tasks with a priority.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use lockgrain::{Builder, LockPolicy, Refused, TaskError, ThreadPool, WhenFull, join_all};

use super::{Occupied, count, pool as another};

type Log = Arc<Mutex<Vec<i8>>>;

fn spawn<P: LockPolicy>(pool: &ThreadPool<P>, priority: i8, log: &Log, what: i8) {
    let log = log.clone();
    pool.task().priority(priority).spawn(move || log.lock().unwrap().push(what)).unwrap();
}

pub(crate) fn the_higher_goes_first_and_equals_in_order<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let pool = another::<P>(1);
    let occupied = Occupied::all(&pool);
    let log = Log::default();
    for (what, priority) in [(6, -1), (4, 0), (3, 1), (1, 9), (7, -128), (5, 0), (2, 9)] {
        spawn(&pool, priority, &log, what);
    }
    assert_eq!(pool.metrics().queue_depth, 7);
    occupied.release();
    pool.shutdown();
    assert_eq!(*log.lock().unwrap(), [1, 2, 3, 4, 5, 6, 7]);
}

/// Spawns itself with that priority again and again, until it is told to stop; how often.
fn go_on<P: LockPolicy>(pool: &ThreadPool<P>, priority: i8, stop: &Arc<AtomicBool>, runs: &Arc<AtomicUsize>) {
    count(runs);
    if !stop.load(SeqCst) && runs.load(SeqCst) < 10_000 {
        let (inner, stop, runs) = (pool.clone(), stop.clone(), runs.clone());
        pool.task().priority(priority).spawn(move || go_on(&inner, priority, &stop, &runs)).unwrap();
    }
}

pub(crate) fn nobody_waits_for_ever<P: LockPolicy>(_pool: &ThreadPool<P>) {
    for (others, waits) in [(0, -1), (5, -1), (5, 0), (5, 4), (-1, -2), (127, -128)] {
        let pool = another::<P>(1);
        let occupied = Occupied::all(&pool);
        let (stop, runs) = (Arc::default(), Arc::default());
        // Two, so that one is always there.
        go_on(&pool, others, &stop, &runs);
        go_on(&pool, others, &stop, &runs);
        let stops = stop.clone();
        let patient = pool.task().priority(waits).submit(move || stops.store(true, SeqCst));
        occupied.release();
        patient.wait().unwrap();
        pool.shutdown();
        // Of 16 tasks it is one, but for the two older ones; and the last two end after it.
        assert!(runs.load(SeqCst) <= 2 + 3 * 16 + 2, "{others} {waits}: {}", runs.load(SeqCst));
    }
}

pub(crate) fn each_runs_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..3_u32)
        .map(|thread| {
            let (pool, runs) = (pool.clone(), runs.clone());
            thread::spawn(move || {
                for n in 0..300_u32 {
                    let priority = ((n * 37 + thread) % 7) as i8 - 3;
                    let (inner, outer_runs, runs) = (pool.clone(), runs.clone(), runs.clone());
                    let child = move || {
                        count(&outer_runs);
                        inner.task().priority(-priority).spawn(move || count(&runs)).unwrap();
                    };
                    pool.task().priority(priority).spawn(child).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(pool.await_quiescence(Duration::from_secs(50)));
    assert_eq!(runs.load(SeqCst), 1800);
    let metrics = pool.metrics();
    assert_eq!((metrics.submitted, metrics.finished, metrics.queue_depth), (1800, 1800, 0));
}

pub(crate) fn an_idle_worker_wakes_for_it<P: LockPolicy>(pool: &ThreadPool<P>) {
    for n in 0..200 {
        let priority = if n % 2 == 0 { 1 } else { -1 };
        assert_eq!(pool.task().priority(priority).submit(move || n).result().unwrap(), n);
        if n % 20 == 0 {
            assert!(pool.await_quiescence(Duration::from_secs(50)));
        }
    }
}

pub(crate) fn a_worker_runs_what_it_waits_for<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let pool = Builder::<P>::new().pinned().build().unwrap();
    let inner = pool.clone();
    let outer = pool.submit(move || {
        let log = Log::default();
        spawn(&inner, 10, &log, 1);
        let low: Vec<_> = [-7, -8, 3].map(|priority| inner.task().priority(priority).submit(move || priority)).into();
        let sum = join_all(low).into_iter().map(|low| low.unwrap()).sum::<i8>();
        let first = inner.task().priority(-2).submit(|| 1);
        let any = lockgrain::as_completed([first]).map(|first| first.unwrap().result().unwrap()).sum::<i8>();
        (sum, any, log)
    });
    let (sum, any, log) = outer.result().unwrap();
    assert_eq!((sum, any), (-12, 1));
    pool.shutdown();
    assert_eq!(*log.lock().unwrap(), [1]);
    let metrics = pool.metrics();
    assert_eq!((metrics.submitted, metrics.finished, metrics.queue_depth), (6, 6, 0));
}

pub(crate) fn a_queued_one_is_cancelled<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let handles: Vec<_> = (-3..4).map(|priority| pool.task().priority(priority).submit(|| ())).collect();
    assert_eq!(pool.metrics().queue_depth, 7);
    assert!(handles[0].cancel() && handles[6].cancel());
    let (cancelled, _stopped) = pool.shutdown_now_timeout(Duration::ZERO);
    assert_eq!(cancelled, 5);
    occupied.release();
    pool.shutdown();
    assert!(join_all(handles).into_iter().all(|ended| ended.is_err_and(|error| error.is_cancelled())));
    let metrics = pool.metrics();
    assert_eq!((metrics.cancelled, metrics.queue_depth), (7, 0));
    let settings = pool.task().priority(1);
    assert!(matches!(settings.submit(|| ()).result(), Err(TaskError::Refused)));
    assert_eq!(settings.spawn(|| ()), Err(Refused::Shutdown));
    assert_eq!(settings.try_submit(|| 3).map(drop).map_err(|rejected| (rejected.closure)()), Err(3));
}

pub(crate) fn a_shutdown_runs_them<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let handles: Vec<_> = (-20..20).map(|n| pool.task().priority(n).submit_with(move |_| i32::from(n))).collect();
    let other = pool.clone();
    let ends = thread::spawn(move || other.shutdown());
    occupied.release();
    assert_eq!(join_all(handles).into_iter().map(Result::unwrap).sum::<i32>(), -20);
    ends.join().unwrap();
}

pub(crate) fn they_have_places_in_a_bounded_queue<P: LockPolicy>(pool: &ThreadPool<P>) {
    let bounded = |when_full| {
        let builder = Builder::<P>::new().max_workers(pool.max_workers()).queue_capacity(3);
        builder.when_full(when_full).build().unwrap()
    };
    let pool = bounded(WhenFull::Reject);
    let occupied = Occupied::all(&pool);
    let taken = [1, 0, -1].map(|priority| pool.task().priority(priority).submit(|| ()));
    assert!(matches!(pool.task().priority(9).submit(|| ()).result(), Err(TaskError::QueueFull)));
    assert_eq!(pool.task().priority(9).spawn(|| ()), Err(Refused::Full));
    assert!(taken[0].cancel());
    let next = pool.task().priority(9).submit(|| ());
    occupied.release();
    next.result().unwrap();
    drop(taken);
    pool.shutdown();

    let pool = bounded(WhenFull::DiscardOldest);
    let occupied = Occupied::all(&pool);
    let handles = [5, -1, 0, -2, 4, 3, 2, 1].map(|priority| pool.task().priority(priority).submit(|| ()));
    occupied.release();
    let ran = join_all(handles).into_iter().map(|ended| ended.is_ok());
    // Each time the lowest of those that are queued makes room, and the newest is queued in any case.
    assert_eq!(ran.collect::<Vec<_>>(), [true, false, false, false, true, false, false, true]);
}

pub(crate) fn a_paused_pool_begins_none<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    pool.submit(move || inner.pause()).result().unwrap();
    assert!(pool.await_quiescence(Duration::from_secs(50)));
    let (send, ran) = mpsc::channel();
    for priority in [1, -1] {
        let send = send.clone();
        pool.task().priority(priority).spawn(move || send.send(priority).unwrap()).unwrap();
    }
    drop(send);
    assert!(ran.recv_timeout(Duration::from_millis(3)).is_err());
    pool.resume();
    assert_eq!(ran.iter().sum::<i8>(), 0);
}

/// Those that go after tasks without a priority first, those that go before them last.
pub(crate) fn of_the_lowest_priority_the_oldest_makes_room<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = Builder::<P>::new()
        .max_workers(pool.max_workers())
        .queue_capacity(4)
        .when_full(WhenFull::DiscardOldest)
        .build()
        .unwrap();
    let occupied = Occupied::all(&pool);
    let mut handles = Vec::new();
    // What each submission discards, by number, once four are queued.
    let priorities = [0, -5, -5, 5, 0, 0, 0, 0, 0, 0, 5, 5, 5, 7, 6];
    let discards = [1, 2, 0, 4, 5, 6, 7, 8, 9, 3, 10];
    for (number, priority) in priorities.into_iter().enumerate() {
        handles.push(pool.task().priority(priority).submit(move || number));
        let made_room = number.checked_sub(4).map_or(&[][..], |most| &discards[..=most]);
        let cancelled = (0..handles.len()).filter(|number| handles[*number].is_cancelled());
        let mut expected = made_room.to_vec();
        expected.sort_unstable();
        assert_eq!(cancelled.collect::<Vec<_>>(), expected, "after {number}");
    }
    drop(occupied);
    let values: Vec<_> = handles.into_iter().filter_map(|handle| handle.result().ok()).collect();
    assert_eq!(values, [11, 12, 13, 14]);
}
