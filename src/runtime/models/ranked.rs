//! Models of tasks with a priority. `docs/ranked.md` has the argument.

use super::pool::pool;
use crate::sync::{check, thread};
use crate::{FineGrained, GlobalLock, LockFree, LockPolicy, ThreadPool};

/// Its worker has run the first one, and is about to sleep, or sleeps.
fn a_ranked_task_is_found_by_a_worker_that_slept<P: LockPolicy>(pool: ThreadPool<P>) {
    for (n, priority) in [3, -3].into_iter().enumerate() {
        assert_eq!(pool.task().priority(priority).submit(move || n).result().unwrap(), n);
    }
    pool.shutdown();
}

/// Pushed by a worker, while another one is about to sleep.
fn a_ranked_child_runs<P: LockPolicy>(pool: ThreadPool<P>) {
    let inner = pool.clone();
    let outer = pool.submit(move || inner.task().priority(1).submit(|| 4));
    assert_eq!(outer.result().unwrap().result().unwrap(), 4);
    pool.shutdown();
}

/// Whoever comes first, each has ended afterwards.
fn shutdown_now_against_a_ranked_task<P: LockPolicy>(pool: ThreadPool<P>) {
    let other = pool.clone();
    let thread = thread::spawn(move || other.task().priority(-1).submit(|| 4).result());
    pool.shutdown_now();
    assert!(thread.join().unwrap().is_ok_and(|value| value == 4) || pool.metrics().queue_depth == 0);
}

stamp! {
    a_ranked_task_is_found_by_a_worker_that_slept: (one: 1, 2), (two: 2, 1);
    a_ranked_child_runs: (one: 1, 2), (two: 2, 1);
    shutdown_now_against_a_ranked_task: (one: 1, 1);
}
