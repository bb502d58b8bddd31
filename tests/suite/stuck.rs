//! A pool whose threads all wait, with no place for one more.

use std::sync::mpsc;
use std::time::Duration;

use lockgrain::{Builder, FineGrained, LockPolicy, TaskError, TaskHandle, ThreadPool, as_completed, blocking, promise};

/// As many workers, and no thread besides.
fn without_spares<P: LockPolicy>(pool: &ThreadPool<P>) -> ThreadPool<P> {
    Builder::new().max_workers(pool.max_workers()).max_spares(0).build().unwrap()
}

/// A task on each worker; all have begun before this returns.
fn on_each_worker<P: LockPolicy, T: Send + 'static>(
    pool: &ThreadPool<P>,
    mut task: impl FnMut() -> Box<dyn FnOnce() -> T + Send>,
) -> Vec<TaskHandle<T>> {
    let begin = |_| {
        let (begun, begins) = mpsc::channel();
        let task = task();
        let handle = pool.submit(move || {
            begun.send(()).unwrap();
            task()
        });
        begins.recv().unwrap();
        handle
    };
    (0..pool.max_workers()).map(begin).collect()
}

pub(crate) fn the_next_of_several_comes_with_its_time<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = without_spares(pool);
    let waiters = on_each_worker(&pool, || {
        let pool = pool.clone();
        Box::new(move || {
            let delayed = [40, 20].map(|millis| pool.schedule(Duration::from_millis(millis), move || millis));
            as_completed(delayed).map(|next| next.unwrap().result().unwrap()).sum::<u64>()
        })
    });
    waiters.into_iter().for_each(|waiter| assert_eq!(waiter.result().unwrap(), 60));
}

pub(crate) fn who_waits_runs_what_comes_after_a_promise<P: LockPolicy>(pool: &ThreadPool<P>) {
    for next_of_several in [false, true] {
        let pool = without_spares(pool);
        let mut promises = Vec::new();
        let waiters = on_each_worker(&pool, || {
            let (promise, promised) = promise::<u32>();
            promises.push(promise);
            let pool = pool.clone();
            Box::new(move || {
                let next = promised.then(&pool, |value| value.unwrap() + 1);
                let next = if next_of_several { as_completed([next]).next().unwrap().unwrap() } else { next };
                next.result().unwrap()
            })
        });
        promises.into_iter().for_each(|promise| promise.set_result(3).unwrap());
        waiters.into_iter().for_each(|waiter| assert_eq!(waiter.result().unwrap(), 4));
    }
}

pub(crate) fn a_wait_for_another_pool_is_no_deadlock<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = without_spares(pool);
    let other = Builder::<FineGrained>::new().max_workers(1).build().unwrap();
    let (open, door) = mpsc::channel::<()>();
    let shut = other.submit(move || door.recv().is_err());
    let waiters = on_each_worker(&pool, || {
        let (pool, there) = (pool.clone(), other.clone());
        Box::new(move || {
            drop(pool.submit(|| ()));
            there.submit(|| 5).result()
        })
    });
    drop(open);
    assert!(shut.result().unwrap());
    waiters.into_iter().for_each(|waiter| assert_eq!(waiter.result().unwrap().unwrap(), 5));
}

/// The wait at a scope's end can't fail. The other one fails, whichever of the two finds out.
pub(crate) fn a_scope_leaves_the_error_to_another<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let pool = Builder::<P>::new().max_workers(2).max_spares(0).build().unwrap();
    for _ in 0..300 {
        let inner = pool.clone();
        let opener = pool.submit(move || {
            let (begun, begins) = mpsc::channel();
            let pool = &inner;
            let spawned = pool.scope(|scope| {
                let spawned = scope.submit(move || {
                    begun.send(()).unwrap();
                    // Where it may not be run by its waiter.
                    let queued = pool.submit(|| ());
                    blocking(|| queued.result())
                });
                blocking(|| begins.recv().unwrap());
                spawned
            });
            spawned.result().unwrap()
        });
        assert!(matches!(opener.result().unwrap(), Err(TaskError::WouldDeadlock)));
    }
}
