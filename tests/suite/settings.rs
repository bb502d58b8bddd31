//! A pool's settings, its threads and their hooks, and its counters. Contract 9, 10, 91, 93, 94, 96, 98.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use lockgrain::{BuildError, Builder, LockPolicy, TaskError, ThreadPool, WorkerMetrics, blocking};

// Contract: 9.
pub(crate) fn no_workers_are_an_error_and_start_no_thread<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let starts = Arc::new(AtomicUsize::new(0));
    let started = starts.clone();
    let hook = move |_| {
        started.fetch_add(1, SeqCst);
    };
    let built = Builder::<P>::new().max_workers(0).prestart(true).on_thread_start(hook).build();
    assert!(matches!(built, Err(BuildError::ZeroWorkers)));
    // The hook is gone with the settings, so no thread has it.
    assert_eq!((starts.load(SeqCst), Arc::strong_count(&starts)), (0, 1));
}

// Contract: 10.
pub(crate) fn the_default_size_is_that_of_the_machine<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let expected = match std::env::var("LOCKGRAIN_NUM_THREADS") {
        Ok(number) => number.parse().unwrap(),
        Err(_) => num_cpus::get(),
    };
    assert_eq!(Builder::<P>::new().build().unwrap().max_workers(), expected);
}

// Contract: 93.
pub(crate) fn threads_have_the_prefix_and_their_index<P: LockPolicy>(pool: &ThreadPool<P>) {
    let workers = pool.max_workers();
    for (prefix, builder) in [
        ("indexer".to_owned(), Builder::<P>::new().thread_name("indexer")),
        (format!("lockgrain-{}", P::NAME), Builder::<P>::new()),
    ] {
        let names: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
        let noted = names.clone();
        let hook = move |index| noted.lock().unwrap().push((index, thread::current().name().unwrap().to_owned()));
        let named = builder.max_workers(workers).prestart(true).on_thread_start(hook).build().unwrap();
        named.shutdown();
        let names = names.lock().unwrap();
        assert!(names.iter().all(|(index, name)| *name == format!("{prefix}_{index}")), "{names:?}");
        let indices: BTreeSet<_> = names.iter().map(|(index, _)| *index).collect();
        assert!(names.len() == workers && indices.into_iter().eq(0..workers), "{names:?}");
    }
}

thread_local! {
    static IS_SET_UP: Cell<bool> = const { Cell::new(false) };
}

// Contract: 94.
pub(crate) fn each_thread_is_set_up_before_its_first_task<P: LockPolicy>(pool: &ThreadPool<P>) {
    let starts = Arc::new(AtomicUsize::new(0));
    let started = starts.clone();
    let hook = move |_| {
        started.fetch_add(1, SeqCst);
        // Time for a task to come too early.
        thread::yield_now();
        assert!(!IS_SET_UP.replace(true), "once a thread");
    };
    let set_up = Builder::<P>::new().max_workers(pool.max_workers()).on_thread_start(hook).build().unwrap();
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            set_up.submit(move || {
                // Spare threads, too.
                if n % 20 == 0 {
                    blocking(thread::yield_now);
                }
                IS_SET_UP.get()
            })
        })
        .collect();
    assert!(tasks.into_iter().all(|task| task.result().unwrap()));
    assert!(starts.load(SeqCst) >= 1);
}

// Contract: 96.
pub(crate) fn a_pool_whose_threads_cant_start_can_be_shut_down<P: LockPolicy>(pool: &ThreadPool<P>) {
    let dead = Builder::<P>::new().max_workers(pool.max_workers()).stack_size(1 << 60).build().unwrap();
    let task = dead.submit(|| ());
    assert!(matches!(task.result(), Err(TaskError::NoWorker(_))));
    let metrics = dead.metrics();
    assert!(metrics.start_failures >= 1 && metrics.threads == 0);
    dead.shutdown();
    assert!(dead.is_terminated());
}

// Contract: 98.
pub(crate) fn a_fresh_pool_has_nothing<P: LockPolicy>(pool: &ThreadPool<P>) {
    let metrics = pool.metrics();
    assert_eq!((metrics.threads, metrics.start_failures), (0, 0));
    assert_eq!((metrics.submitted, metrics.started, metrics.finished, metrics.queue_depth), (0, 0, 0, 0));
    assert_eq!((metrics.cancelled, metrics.panicked, metrics.stolen), (0, 0, 0));
    assert_eq!((metrics.parked, metrics.woken, metrics.lock_holds, metrics.lock_waits), (0, 0, 0, 0));
    assert_eq!(metrics.workers, vec![WorkerMetrics::default(); pool.max_workers()]);
    assert!(!pool.is_shutdown() && !pool.is_terminated());
}

// Contract: 91.
pub(crate) fn counters_follow_the_events_and_are_never_ahead<P: LockPolicy>(pool: &ThreadPool<P>) {
    const TASKS: u64 = 2_000;
    let (asked, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut seen = pool.metrics();
    let mut look = |asked: &AtomicU64, ended: &AtomicU64| {
        let metrics = pool.metrics();
        assert!(metrics.submitted <= asked.load(SeqCst) && metrics.finished <= ended.load(SeqCst), "{metrics:?}");
        assert!(metrics.finished <= metrics.started && metrics.started <= metrics.submitted, "{metrics:?}");
        assert!(metrics.finished >= seen.finished && metrics.started >= seen.started, "{metrics:?}");
        assert!(metrics.threads <= pool.max_workers(), "{metrics:?}");
        seen = metrics;
    };
    for n in 0..TASKS {
        let counts = ended.clone();
        asked.fetch_add(1, SeqCst);
        pool.spawn(move || {
            counts.fetch_add(1, SeqCst);
        })
        .unwrap();
        if n % 10 == 0 {
            look(&asked, &ended);
        }
    }
    while ended.load(SeqCst) < TASKS {
        look(&asked, &ended);
    }
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!((metrics.threads, metrics.queue_depth), (0, 0));
    assert_eq!((metrics.submitted, metrics.started, metrics.finished), (TASKS, TASKS, TASKS));
}
