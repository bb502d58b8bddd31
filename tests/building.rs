//! Settings, and what goes wrong with them. Contract 9, 10, 93, 94.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use lockgrain::{
    BuildError, Builder, FineGrained, GlobalLock, LocalOrder, LockFree, LockPolicy, TaskError, ThreadPool,
};

#[test]
fn zero_workers_are_an_error() {
    assert!(matches!(ThreadPool::builder().max_workers(0).build(), Err(BuildError::ZeroWorkers)));
}

#[test]
fn a_queue_without_a_place_is_an_error() {
    let error = ThreadPool::builder().queue_capacity(0).build().unwrap_err();
    assert!(matches!(error, BuildError::ZeroCapacity) && error.to_string().contains("queue_capacity"), "{error}");
    let pool = ThreadPool::builder().queue_capacity(usize::MAX).build().unwrap();
    assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
    assert_eq!(ThreadPool::new().unwrap().queue_capacity(), None);
}

#[test]
fn too_many_threads_are_an_error() {
    let error = ThreadPool::builder().max_workers(usize::MAX).build().unwrap_err();
    assert!(matches!(error, BuildError::TooManyThreads { .. }), "{error}");
}

#[test]
fn an_absurd_stack_fails_prestart() {
    let error = ThreadPool::builder().max_workers(2).stack_size(1 << 60).prestart(true).build().unwrap_err();
    assert!(matches!(error, BuildError::Thread(_)), "{error}");
}

// Contract: 96.
#[test]
fn with_no_worker_at_all_the_handle_says_why() {
    let pool = ThreadPool::builder().max_workers(2).stack_size(1 << 60).build().unwrap();
    assert!(matches!(pool.submit(|| ()).result(), Err(TaskError::NoWorker(_))));
    assert!(pool.metrics().start_failures >= 1);
    assert_eq!(pool.metrics().threads, 0);
    pool.shutdown();
}

// Contract: 84.
#[test]
fn prestart_starts_all() {
    let pool = ThreadPool::builder().max_workers(3).prestart(true).build().unwrap();
    assert_eq!(pool.metrics().threads, 3);
}

#[test]
fn hooks_run_around_each_threads_life_and_may_panic() {
    let (starts, stops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (started, stopped) = (starts.clone(), stops.clone());
    let pool = ThreadPool::builder()
        .max_workers(2)
        .prestart(true)
        .on_thread_start(move |_| assert_eq!(started.fetch_add(1, SeqCst), 0, "the second panics on purpose"))
        .on_thread_stop(move |_| assert_eq!(stopped.fetch_add(1, SeqCst), 0, "the second panics on purpose"))
        .build()
        .unwrap();
    assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
    pool.shutdown();
    assert_eq!((starts.load(SeqCst), stops.load(SeqCst)), (2, 2));
}

#[test]
fn the_panic_handler_gets_what_nobody_else_receives_and_may_panic() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let pool = ThreadPool::builder()
        .max_workers(1)
        .panic_handler(move |payload| {
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
            count.fetch_add(1, SeqCst);
            panic!("in the handler, on purpose");
        })
        .build()
        .unwrap();
    for _ in 0..2 {
        pool.spawn(|| panic!("on purpose")).unwrap();
    }
    assert!(pool.submit(|| panic!("on purpose")).result().unwrap_err().is_panic());
    pool.shutdown();
    assert_eq!(seen.load(SeqCst), 2);
}

#[test]
fn a_workers_own_tasks_run_in_the_order_that_was_chosen() {
    for (order, expected) in [(LocalOrder::Lifo, [2, 1, 0]), (LocalOrder::Fifo, [0, 1, 2])] {
        let pool = ThreadPool::builder().max_workers(1).local_order(order).build().unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        let inner = pool.clone();
        pool.spawn(move || {
            for n in 0..3 {
                let send = send.clone();
                inner.spawn(move || send.send(n).unwrap()).unwrap();
            }
        })
        .unwrap();
        assert_eq!(receive.iter().take(3).collect::<Vec<_>>(), expected);
    }
}

fn start_in_order<P: LockPolicy>(pool: ThreadPool<P>) {
    let (send, receive) = std::sync::mpsc::channel();
    for n in 0..500 {
        let send = send.clone();
        pool.spawn(move || send.send(n).unwrap()).unwrap();
    }
    assert!(receive.iter().take(500).eq(0..500));
}

#[test]
fn tasks_from_outside_start_in_order_on_one_worker() {
    start_in_order(Builder::<GlobalLock>::new().max_workers(1).build().unwrap());
    start_in_order(Builder::<FineGrained>::new().max_workers(1).build().unwrap());
    start_in_order(Builder::<LockFree>::new().max_workers(1).build().unwrap());
}

/// Run again by the test below, with the variable set.
#[test]
fn the_environment_sets_the_number_of_workers() {
    const VARIABLE: &str = "LOCKGRAIN_NUM_THREADS";
    if std::env::var_os("LOCKGRAIN_TEST_INNER").is_some() {
        match std::env::var(VARIABLE).unwrap().as_str() {
            "3" => assert_eq!(ThreadPool::new().unwrap().max_workers(), 3),
            _ => assert!(matches!(ThreadPool::new(), Err(BuildError::BadEnvironment(_)))),
        }
        return;
    }
    for value in ["3", "0", "many"] {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_environment_sets_the_number_of_workers"])
            .env(VARIABLE, value)
            .env("LOCKGRAIN_TEST_INNER", "1")
            .status()
            .unwrap();
        assert!(status.success(), "{VARIABLE}={value}");
    }
}
