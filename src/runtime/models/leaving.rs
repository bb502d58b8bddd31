//! Models of workers that end for want of work: here their time is up as soon as they sleep.

use std::time::Duration;

use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Arc, Parker, check, hint, thread};
use crate::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, TaskError, ThreadPool};

fn builder<P: LockPolicy>(workers: usize, spares: usize) -> Builder<P> {
    Builder::new().max_workers(workers).max_spares(spares).min_workers(0).keep_alive(Duration::ZERO)
}

fn pool<P: LockPolicy>(workers: usize, spares: usize) -> ThreadPool<P> {
    builder(workers, spares).build().unwrap()
}

/// Who submits is not told that the worker leaves; the pool may begin to drain before it has.
fn what_is_accepted_runs<P: LockPolicy>(pool: ThreadPool<P>) {
    let first = pool.submit(|| 1);
    assert_eq!(first.result().unwrap(), 1);
    let second = pool.submit(|| 2);
    pool.shutdown();
    assert_eq!(second.result().unwrap(), 2);
}

/// The task comes when the worker has made up its mind to leave, and the shutdown when it is gone.
#[test]
fn a_shutdown_sees_what_the_worker_has_not() {
    check(Some(1), || {
        let (leaves, submitted) = (Arc::new(Parker::new()), Arc::new(Parker::new()));
        let (says, waits, is_first) = (leaves.clone(), submitted.clone(), AtomicBool::new(true));
        let hook = move |_| {
            if is_first.swap(false, Relaxed) {
                says.unpark();
                waits.park();
            }
        };
        let pool = builder::<FineGrained>(1, 0).on_thread_stop(hook).build().unwrap();
        pool.submit(|| ()).result().unwrap();
        leaves.park();
        let second = pool.submit(|| 2);
        submitted.unpark();
        hint::yield_now();
        pool.shutdown();
        assert_eq!(second.result().unwrap(), 2);
    });
}

/// While a thread counts that then does not start, a submission takes it for one that will see the task.
#[test]
fn a_thread_that_does_not_start_against_a_submission() {
    check(Some(2), || {
        let pool = builder::<FineGrained>(1, 0).stack_size(1 << 60).build().unwrap();
        let submits = pool.clone();
        let submitter = thread::spawn(move || submits.submit(|| ()).result());
        assert_eq!(pool.prestart_all(), 0);
        assert!(matches!(submitter.join().unwrap(), Err(TaskError::NoWorker(_))));
    });
}

/// And a shutdown takes it for one that will stop the pool.
#[test]
fn a_thread_that_does_not_start_against_a_shutdown() {
    check(Some(2), || {
        let pool = builder::<FineGrained>(1, 0).stack_size(1 << 60).build().unwrap();
        let shuts_down = pool.clone();
        let shutdown = thread::spawn(move || shuts_down.shutdown());
        assert_eq!(pool.prestart_all(), 0);
        shutdown.join().unwrap();
    });
}

/// Nobody begins to drain: the worker finds by itself that there is a task, as it leaves.
fn a_task_starts_a_thread_again<P: LockPolicy>(pool: ThreadPool<P>) {
    for n in 0..2 {
        assert_eq!(pool.submit(move || n).result().unwrap(), n);
    }
    pool.shutdown();
}

fn a_shutdown_ends<P: LockPolicy>(pool: ThreadPool<P>) {
    let submits = pool.clone();
    let thread = thread::spawn(move || submits.submit(|| 1).result());
    pool.shutdown();
    assert!(matches!(thread.join().unwrap(), Ok(1) | Err(TaskError::Refused)));
}

stamp! {
    what_is_accepted_runs: (one: 1, 1);
    a_task_starts_a_thread_again: (one: 1, 1);
    a_shutdown_ends: (one: 1, 1), (two: 2, 0);
}
