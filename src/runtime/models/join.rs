//! Models of `join`: the second half stays with its worker, is shared, is stolen or taken back. `docs/waiting.md` has the argument.

use super::pool::pool;
use crate::runtime::idle::Idle;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{Arc, Parker, check, thread};
use crate::{FineGrained, GlobalLock, LockFree, LockPolicy, ThreadPool, blocking, promise};

/// The inner join shares the outer one's half, its own, or neither, and each is taken back or stolen.
fn halves_of_nested_joins_are_run_once<P: LockPolicy>(pool: ThreadPool<P>) {
    let inner = pool.clone();
    let (mut a, mut b, mut c) = (vec![1], vec![2], vec![3]);
    let outer = pool.submit(move || {
        inner.join(|| inner.join(|| a.push(4), || b.push(5)), || c.push(6));
        (a.len(), b.len(), c.len())
    });
    assert_eq!(outer.result().unwrap(), (2, 2, 2));
    pool.shutdown();
}

#[test]
fn one_worker_runs_halves_of_nested_joins() {
    check(Some(1), || halves_of_nested_joins_are_run_once(pool::<GlobalLock>(1, 0)));
}

#[test]
fn two_workers_run_halves_of_nested_joins() {
    check(Some(1), || halves_of_nested_joins_are_run_once(pool::<LockFree>(2, 0)));
}

/// Who waits for a half that has been stolen runs what the thief gives it, or not: then the thief has that back.
fn who_waits_for_a_half_gets_a_part_of_it<P: LockPolicy>(pool: ThreadPool<P>) {
    let inner = pool.clone();
    let (stolen, go_on) = (Parker::new(), Parker::new());
    let (mut a, mut b, mut c) = (vec![1], vec![2], vec![3]);
    let outer = pool.submit(move || {
        let first = || {
            stolen.park();
            a.push(4);
            go_on.unpark();
        };
        let second = || {
            stolen.unpark();
            go_on.park();
            let third = || {
                // The one who waits may have it by then.
                thread::yield_now();
                b.push(5);
            };
            inner.join(third, || c.push(6));
        };
        inner.join(first, second);
        (a.len(), b.len(), c.len())
    });
    assert_eq!(outer.result().unwrap(), (2, 2, 2));
    pool.shutdown();
}

#[test]
fn who_waits_for_a_half_gets_a_part_of_it_lock_free() {
    check(Some(1), || who_waits_for_a_half_gets_a_part_of_it(pool::<LockFree>(2, 0)));
}

#[test]
fn who_waits_for_a_half_gets_a_part_of_it_fine() {
    check(Some(1), || who_waits_for_a_half_gets_a_part_of_it(pool::<FineGrained>(2, 0)));
}

/// Nobody wants the second half, and the first one waits for it.
fn who_blocks_shares_its_halves<P: LockPolicy>(pool: ThreadPool<P>) {
    let inner = pool.clone();
    let (promise, promised) = promise();
    let outer = pool.submit(move || {
        let first = || blocking(|| promised.result().unwrap());
        inner.join(|| inner.join(first, || 7), || promise.set_result(5).is_ok())
    });
    assert_eq!(outer.result().unwrap(), ((5, 7), true));
    pool.shutdown();
}

#[test]
fn who_blocks_behind_the_gate_shares_its_halves() {
    check(Some(1), || who_blocks_shares_its_halves(pool::<GlobalLock>(1, 1)));
}

#[test]
fn who_blocks_among_others_shares_its_halves() {
    check(Some(1), || who_blocks_shares_its_halves(pool::<LockFree>(1, 1)));
}

/// A task that a half waits for joins on the same stack, in a frame of its own.
#[test]
fn a_half_waits_for_a_task_that_joins() {
    check(Some(1), || {
        let pool = pool::<LockFree>(2, 0);
        let (inner, innermost) = (pool.clone(), pool.clone());
        let outer = pool.submit(move || {
            let child = || inner.submit(move || innermost.join(|| 1, || 2)).result().unwrap();
            inner.join(child, || 3)
        });
        assert_eq!(outer.result().unwrap(), ((1, 2), 3));
        pool.shutdown();
    });
}

/// Who goes to sleep is counted by a join that takes what is wanted, or wants something after it.
#[test]
fn who_goes_to_sleep_is_heard() {
    check(None, || {
        let idle = Arc::new(Idle::new(2, 2));
        // Both run tasks. As in a new pool, something is wanted.
        assert!(idle.prestart(2) && idle.prestart(2));
        let _both = (idle.stop_searching(), idle.stop_searching());
        let sleeper = {
            let idle = idle.clone();
            thread::spawn(move || {
                idle.sleep(1, false);
                idle.want();
            })
        };
        let taken = idle.take_wanted();
        sleeper.join().unwrap();
        assert!(taken > 0 || idle.wanted().load(Relaxed) > 0, "nobody hears it");
    });
}
