//! Models of the whole pool over the policy.

use super::require;
use super::traced::Traced;
use crate::policy::LockPolicy;
use crate::policy::gate::Gate;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Parker};
use crate::{Builder, TaskHandle, ThreadPool};

pub(super) type Pool<P> = ThreadPool<Traced<P>>;

pub(super) fn pool<P: LockPolicy>(workers: usize) -> Pool<P> {
    let built = Builder::new().max_workers(workers).max_spares(0).thread_name("worker").build();
    built.unwrap_or_else(|error| unreachable!("the settings are good: {error}"))
}

/// The result of a task that must have one.
pub(super) fn result<T>(handle: TaskHandle<T>) -> T {
    handle.result().unwrap_or_else(|error| {
        require(false, &format!("a task that was accepted has no result: {error}"));
        unreachable!("that has ended the check")
    })
}

fn counts(runs: &Arc<AtomicUsize>) -> impl FnOnce() + Send + 'static + use<> {
    let runs = runs.clone();
    move || {
        runs.fetch_add(1, Relaxed);
    }
}

fn spawn<P: LockPolicy>(pool: &Pool<P>, task: impl FnOnce() + Send + 'static) {
    require(pool.spawn(task).is_ok(), "the pool refuses a task, and nobody shuts it down");
}

pub(super) fn results_reach_their_waiter<P: LockPolicy>() {
    let pool = pool::<P>(1);
    let handles = [pool.submit(|| 1), pool.submit(|| 2)];
    require(handles.map(result) == [1, 2], "a result is another task's");
    pool.shutdown();
}

pub(super) fn a_worker_that_slept_is_woken<P: LockPolicy>() {
    let pool = pool::<P>(1);
    for _ in 0..2 {
        result(pool.submit(|| ()));
    }
    pool.shutdown();
}

/// The pool is not told that the outer one waits, so that another worker has to come, where another may run at all.
fn waits_for<P: LockPolicy>(children: usize) {
    if P::Gate::EXCLUSIVE {
        let pool = pool::<P>(1);
        let inner = pool.clone();
        let outer = pool.submit(move || (0..children).map(|_| inner.submit(|| ())).collect::<Vec<_>>());
        result(outer).into_iter().for_each(result);
        return pool.shutdown();
    }
    let pool = pool::<P>(2);
    let inner = pool.clone();
    let outer = pool.submit(move || {
        let parkers: Vec<_> = (0..children).map(|_| Arc::new(Parker::new())).collect();
        for parker in &parkers {
            let parker = parker.clone();
            spawn(&inner, move || parker.unpark());
        }
        parkers.iter().for_each(|parker| parker.park());
    });
    result(outer);
    pool.shutdown();
}

pub(super) fn a_child_is_run<P: LockPolicy>() {
    waits_for::<P>(1);
}

pub(super) fn two_children_are_run<P: LockPolicy>() {
    waits_for::<P>(2);
}

pub(super) fn tasks_start_in_order<P: LockPolicy>() {
    let pool = pool::<P>(1);
    let turn = Arc::new(AtomicUsize::new(0));
    let task = |number: usize| {
        let turn = turn.clone();
        move || require(turn.fetch_add(1, Relaxed) == number, &format!("task {number} of 0, 1, 2 is out of turn"))
    };
    let handles = [0, 1, 2].map(|number| pool.submit(task(number)));
    handles.into_iter().for_each(result);
    pool.shutdown();
}

pub(super) fn tasks_wait_for_their_children<P: LockPolicy>() {
    let pool = pool::<P>(1);
    let inner = pool.clone();
    let outer = pool.submit(move || result(inner.submit(|| 1)) + 1);
    require(result(outer) == 2, "a result is another task's");
    pool.shutdown();
}

pub(super) fn shutdown_runs_what_is_queued<P: LockPolicy>() {
    let (pool, runs) = (pool::<P>(2), Arc::default());
    (0..2).for_each(|_| spawn(&pool, counts(&runs)));
    pool.shutdown();
    require(runs.load(Relaxed) == 2, "a task that was accepted has not run after `shutdown`");
}

pub(super) fn shutdown_now_counts_what_it_cancels<P: LockPolicy>() {
    let (pool, runs) = (pool::<P>(1), Arc::default());
    let handles: Vec<_> = (0..3).map(|_| pool.submit(counts(&runs))).collect();
    let cancelled = pool.shutdown_now();
    let unrun = handles.into_iter().filter_map(|handle| handle.result().err()).count();
    require(unrun + runs.load(Relaxed) == 3, "a task has neither run nor been cancelled after `shutdown_now`");
    let what = || format!("{unrun} tasks have not run, and `shutdown_now` says that it cancelled {cancelled}");
    require(unrun == cancelled, &what());
}

pub(super) fn a_dropped_pool_runs_what_is_queued<P: LockPolicy>() {
    let (pool, runs) = (pool::<P>(1), Arc::default());
    (0..2).for_each(|_| spawn(&pool, counts(&runs)));
    drop(pool);
    require(runs.load(Relaxed) == 2, "a task that was accepted has not run after the pool's drop");
}
