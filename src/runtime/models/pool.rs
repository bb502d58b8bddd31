//! Models of the whole pool under each policy: the scheduler that ships. No spare threads unless a model asks for them.

use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, Parker, check, size, thread};
use crate::{
    Builder, FineGrained, GlobalLock, LockFree, LockPolicy, TaskError, TaskHandle, ThreadPool, as_completed, blocking,
};

pub(super) fn pool<P: LockPolicy>(workers: usize, spares: usize) -> ThreadPool<P> {
    Builder::new().max_workers(workers).max_spares(spares).build().unwrap()
}

/// A counter, and tasks that count.
#[derive(Clone)]
struct Runs(Arc<AtomicU32>);

impl Runs {
    fn new() -> Self {
        Self(Arc::new(AtomicU32::new(0)))
    }

    fn one(&self) -> impl FnOnce() + Send + 'static {
        let runs = self.0.clone();
        move || {
            runs.fetch_add(1, Relaxed);
        }
    }

    fn count(&self) -> usize {
        self.0.load(Relaxed) as usize
    }
}

fn results_reach_their_waiter<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let handles: Vec<_> = (0..tasks).map(|n| pool.submit(move || n)).collect();
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.result().unwrap(), n);
    }
    pool.shutdown();
}

fn a_task_is_found_by_a_worker_that_slept<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    for n in 0..tasks {
        assert_eq!(pool.submit(move || n).result().unwrap(), n);
    }
    pool.shutdown();
}

fn a_task_spawned_by_a_task_runs<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let inner = pool.clone();
    let outer = pool.submit(move || (0..tasks).map(|n| inner.submit(move || n)).collect::<Vec<_>>());
    for (n, child) in outer.result().unwrap().into_iter().enumerate() {
        assert_eq!(child.result().unwrap(), n);
    }
    pool.shutdown();
}

fn tasks_wait_for_their_children<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let outer: Vec<_> = (0..tasks)
        .map(|n| {
            let inner = pool.clone();
            pool.submit(move || inner.submit(move || n).result().unwrap() + 1)
        })
        .collect();
    for (n, outer) in outer.into_iter().enumerate() {
        assert_eq!(outer.result().unwrap(), n + 1);
    }
    pool.shutdown();
}

fn a_task_takes_its_children_as_they_end<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let inner = pool.clone();
    let outer = pool.submit(move || {
        let children: Vec<_> = (1..=tasks).map(|n| inner.submit(move || n)).collect();
        as_completed(children).map(|child| child.unwrap().result().unwrap()).sum::<usize>()
    });
    assert_eq!(outer.result().unwrap(), (1..=tasks).sum::<usize>());
    pool.shutdown();
}

fn a_scope_ends_after_its_tasks<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let inner = pool.clone();
    let outer = pool.submit(move || {
        let mut numbers = vec![0; tasks];
        inner.scope(|s| numbers.iter_mut().for_each(|number| s.spawn(|| *number += 1).unwrap()));
        numbers.iter().sum::<usize>()
    });
    assert_eq!(outer.result().unwrap(), tasks);
    pool.shutdown();
}

fn both_halves_of_a_join_are_run<P: LockPolicy>(pool: ThreadPool<P>, _tasks: usize) {
    let inner = pool.clone();
    let (mut a, mut b) = (vec![1], vec![2]);
    let outer = pool.submit(move || {
        inner.join(|| a.push(3), || b.push(4));
        (a.len(), b.len())
    });
    assert_eq!(outer.result().unwrap(), (2, 2));
    pool.shutdown();
}

fn a_paused_pool_goes_on<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    pool.pause();
    let handles: Vec<_> = (0..tasks).map(|n| pool.submit(move || n)).collect();
    pool.resume();
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.result().unwrap(), n);
    }
    let runs = Runs::new();
    pool.pause();
    pool.spawn(runs.one()).unwrap();
    pool.shutdown();
    assert_eq!(runs.count(), 1);
}

fn the_child_of_a_blocking_task_runs<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let inner = pool.clone();
    let children = move || (0..tasks).map(|n| inner.submit(move || n).result().unwrap()).sum::<usize>();
    let outer = pool.submit(|| blocking(children));
    assert_eq!(outer.result().unwrap(), (0..tasks).sum::<usize>());
    pool.shutdown();
}

/// The pool is not told that the task blocks: another worker must have heard of what it pushed, also of what it took out and put
/// back when it looked for the entry of the task that it waited for.
fn a_task_that_blocks_untold_has_its_child_run<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let inner = pool.clone();
    let outer = pool.submit(move || {
        let parker = Arc::new(Parker::new());
        let unparks = parker.clone();
        inner.spawn(move || unparks.unpark()).unwrap();
        (1..tasks).for_each(|_| inner.submit(|| ()).result().unwrap());
        parker.park();
    });
    outer.result().unwrap();
    pool.shutdown();
}

/// Its first worker runs a task that never tells the pool that it waits for what only a second one can run.
fn growing_against_submit<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let parker = Arc::new(Parker::new());
    let (parks, resizes) = (parker.clone(), pool.clone());
    let waits = pool.submit(move || parks.park());
    let resizer = thread::spawn(move || assert_eq!(resizes.resize(2), Ok(1)));
    (1..tasks).for_each(|_| pool.spawn(|| ()).unwrap());
    pool.spawn(move || parker.unpark()).unwrap();
    resizer.join().unwrap();
    waits.result().unwrap();
    pool.shutdown();
}

fn shrinking_against_submit<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let resizes = pool.clone();
    let resizer = thread::spawn(move || assert!(resizes.resize(1).is_ok()));
    let handles: Vec<_> = (0..tasks).map(|n| pool.submit(move || n)).collect();
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.result().unwrap(), n);
    }
    resizer.join().unwrap();
    pool.shutdown();
}

fn shutdown_runs_what_is_queued<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let runs = Runs::new();
    (0..tasks).for_each(|_| pool.spawn(runs.one()).unwrap());
    pool.shutdown();
    assert_eq!(runs.count(), tasks);
}

fn shutdown_now_cancels_what_has_not_started<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let handles: Vec<_> = (0..tasks).map(|n| pool.submit(move || n)).collect();
    let cancelled = pool.core().drain_now();
    pool.shutdown();
    let results: Vec<_> = handles.into_iter().map(|handle| handle.result()).collect();
    assert!(results[0].is_ok(), "its thread has been started");
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), cancelled);
}

fn shutdown_against_submit<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let submitter = pool.clone();
    let submit = move || (0..tasks).map(|n| submitter.submit(move || n)).collect::<Vec<_>>();
    let thread = thread::spawn(submit);
    pool.shutdown();
    for (n, handle) in thread.join().unwrap().into_iter().enumerate() {
        match handle.result() {
            Ok(value) => assert_eq!(value, n),
            Err(error) => assert!(matches!(error, TaskError::Refused)),
        }
    }
}

fn the_last_handle_is_dropped_in_a_task<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            pool.submit({
                let last = pool.clone();
                move || drop(last)
            })
        })
        .collect();
    drop(pool);
    handles.into_iter().for_each(|handle| handle.result().unwrap());
}

fn a_dropped_pool_runs_what_is_queued<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    let runs = Runs::new();
    (0..tasks).for_each(|_| pool.spawn(runs.one()).unwrap());
    drop(pool);
    assert_eq!(runs.count(), tasks);
}

fn a_panicking_task_leaves_the_next_one_its_turn<P: LockPolicy>(pool: ThreadPool<P>, tasks: usize) {
    // Without the panic hook's message.
    let panics = pool.submit(|| std::panic::resume_unwind(Box::new(())));
    let next: Vec<_> = (0..tasks).map(|n| pool.submit(move || n)).collect();
    assert!(matches!(panics.result(), Err::<(), _>(TaskError::Panicked(_))));
    for (n, next) in next.into_iter().enumerate() {
        assert_eq!(next.result().unwrap(), n);
    }
    pool.shutdown();
}

/// Half a minute: under one policy only, as it is the idle protocol's affair.
#[test]
fn the_last_worker_ends_against_submit() {
    check(Some(1), || {
        let pool = pool::<FineGrained>(1, 0);
        pool.submit(|| ()).result().unwrap();
        let submitter = pool.clone();
        let thread = thread::spawn(move || submitter.submit(|| 4).result());
        pool.shutdown();
        assert!(matches!(thread.join().unwrap(), Ok(4) | Err(TaskError::Refused)));
    });
}

#[test]
fn shutdown_now_against_a_worker_that_can_do_nothing() {
    check(Some(1), || {
        let builder = Builder::<FineGrained>::default().max_workers(1).max_spares(0).panic_handler(drop);
        let pool = builder.initializer(|_| Err::<(), _>("no connection")).build().unwrap();
        let handle = pool.submit(|| ());
        pool.shutdown_now();
        assert!(matches!(handle.result(), Err(TaskError::Broken(_))));
    });
}

/// A pause that is over may have kept it.
#[test]
fn what_is_left_to_a_thread_is_something_to_do() {
    check(Some(1), || {
        let pool = pool::<FineGrained>(1, 0);
        pool.pause();
        let handle = pool.submit(|| ());
        pool.resume();
        pool.core().drain_now();
        if pool.is_quiescent() {
            assert!(handle.is_finished());
        }
        pool.shutdown();
        handle.result().unwrap();
    });
}

/// A pool of two workers, whose first blocks until it may go on.
fn half_blocked() -> (ThreadPool<GlobalLock>, TaskHandle<()>, Arc<Parker>) {
    let pool = pool::<GlobalLock>(2, 0);
    let [blocks, goes_on] = [(); 2].map(|()| Arc::new(Parker::new()));
    let first = pool.submit({
        let (blocks, goes_on) = (blocks.clone(), goes_on.clone());
        move || {
            blocking(|| {
                blocks.unpark();
                goes_on.park();
            });
        }
    });
    blocks.park();
    (pool, first, goes_on)
}

#[test]
fn shutdown_now_leaves_the_second_thread_its_task() {
    check(Some(1), || {
        let (pool, first, goes_on) = half_blocked();
        let second = pool.submit(|| ());
        assert_eq!(pool.core().drain_now(), 0);
        goes_on.unpark();
        pool.shutdown();
        first.result().unwrap();
        second.result().unwrap();
    });
}

/// What is left to a thread that has not come is not overtaken by what another finds behind it.
#[test]
fn tasks_of_a_value_keep_their_order_in_a_shutdown_now() {
    check(Some(1), || {
        let (pool, first, goes_on) = half_blocked();
        let value = pool.guarded(0);
        // Starts another thread.
        let older = pool.when(&value, |value| std::mem::replace(value, 1));
        let newer = pool.when(&value, |value| std::mem::replace(value, 2));
        goes_on.unpark();
        pool.shutdown_now();
        first.result().unwrap();
        let values = [older, newer].map(TaskHandle::result);
        assert!(
            matches!(values, [Ok(0) | Err(TaskError::Cancelled), Ok(0 | 1) | Err(TaskError::Cancelled)]),
            "{values:?}"
        );
    });
}

/// Each model with so many workers, spares and tasks, and so many preemptions at most; under random schedules with more tasks.
macro_rules! stamp {
    ($($model:ident: $($sizes:tt),+;)+) => {
        stamp!(@policy global GlobalLock; $($model: $($sizes),+;)+);
        stamp!(@policy fine FineGrained; $($model: $($sizes),+;)+);
        stamp!(@policy lock_free LockFree; $($model: $($sizes),+;)+);
    };
    (@policy $name:ident $policy:ty; $($model:ident: $($sizes:tt),+;)+) => {
        mod $name {
            use super::*;
            $(mod $model {
                use super::*;
                $(stamp!(@size $model $policy; $sizes);)+
            })+
        }
    };
    (@size $model:ident $policy:ty; ($size:ident: $workers:literal, $spares:literal, $tasks:literal, $preemptions:literal)) => {
        #[test]
        fn $size() {
            check(Some($preemptions), || super::super::$model(pool::<$policy>($workers, $spares), size($tasks, $tasks + 3)));
        }
    };
}

/// Not under the global lock, where such a task has nobody to run its child.
mod untold {
    use super::*;

    stamp!(@policy fine FineGrained; a_task_that_blocks_untold_has_its_child_run: (waits: 2, 0, 2, 0);
        growing_against_submit: (one: 1, 1, 1, 1););
    stamp!(@policy lock_free LockFree; a_task_that_blocks_untold_has_its_child_run: (two: 2, 0, 1, 2), (waits: 2, 0, 2, 1);
        growing_against_submit: (one: 1, 1, 1, 1););
}

stamp! {
    results_reach_their_waiter: (one: 1, 0, 1, 2);
    a_task_is_found_by_a_worker_that_slept: (one: 1, 0, 2, 2), (two: 2, 0, 2, 1);
    a_task_spawned_by_a_task_runs: (one: 1, 0, 1, 2), (two: 2, 0, 1, 1);
    tasks_wait_for_their_children: (one: 1, 0, 1, 2), (two: 2, 0, 1, 1);
    a_task_takes_its_children_as_they_end: (one: 1, 0, 2, 1), (two: 2, 0, 1, 1);
    a_scope_ends_after_its_tasks: (one: 1, 0, 2, 1), (two: 2, 0, 1, 1);
    both_halves_of_a_join_are_run: (one: 1, 0, 1, 2), (two: 2, 0, 1, 1);
    a_paused_pool_goes_on: (one: 1, 0, 1, 1);
    the_child_of_a_blocking_task_runs: (one: 1, 1, 1, 1);
    shrinking_against_submit: (two: 2, 0, 1, 1);
    shutdown_runs_what_is_queued: (one: 1, 0, 2, 2), (two: 2, 0, 2, 1), (three: 3, 0, 3, 1);
    shutdown_now_cancels_what_has_not_started: (one: 1, 0, 1, 1), (second: 1, 0, 2, 2);
    shutdown_against_submit: (one: 1, 0, 1, 2), (two: 2, 0, 2, 1);
    the_last_handle_is_dropped_in_a_task: (one: 1, 0, 1, 3);
    a_dropped_pool_runs_what_is_queued: (one: 1, 0, 1, 3), (two: 2, 0, 2, 1);
    a_panicking_task_leaves_the_next_one_its_turn: (one: 1, 0, 1, 2);
}

/// How far those get in seconds differs. Behind the global lock one worker is active at a time, so that there is less to explore.
mod further {
    use super::*;

    stamp! {@policy global GlobalLock;
        results_reach_their_waiter: (two: 2, 0, 2, 2);
        a_task_is_found_by_a_worker_that_slept: (two: 2, 0, 2, 2);
        a_task_spawned_by_a_task_runs: (two: 2, 0, 1, 2);
        tasks_wait_for_their_children: (two: 2, 0, 1, 2);
        shutdown_runs_what_is_queued: (two: 2, 0, 2, 2), (three: 3, 0, 3, 2);
        shutdown_now_cancels_what_has_not_started: (two: 2, 0, 2, 1);
        shutdown_against_submit: (two: 2, 0, 2, 2);
        the_last_handle_is_dropped_in_a_task: (two: 2, 0, 2, 2);
        a_dropped_pool_runs_what_is_queued: (two: 2, 0, 2, 2);
    }
    stamp! {@policy fine FineGrained;
        results_reach_their_waiter: (two: 2, 0, 2, 0);
        shutdown_now_cancels_what_has_not_started: (two: 2, 0, 2, 0);
        the_last_handle_is_dropped_in_a_task: (two: 2, 0, 2, 0);
    }
    stamp! {@policy lock_free LockFree;
        results_reach_their_waiter: (two: 2, 0, 2, 1);
        shutdown_now_cancels_what_has_not_started: (two: 2, 0, 2, 1);
        shutdown_against_submit: (two: 2, 0, 2, 2);
        the_last_handle_is_dropped_in_a_task: (two: 2, 0, 2, 1);
    }
}
