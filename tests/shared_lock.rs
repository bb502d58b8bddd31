//! One `GlobalLock` for several pools. Contract 116.

mod suite;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use lockgrain::{Builder, GlobalLock, ThreadPool, WaitError, WhenFull, blocking};

fn pools_with_one_lock() -> [ThreadPool<GlobalLock>; 2] {
    let settings = || Builder::new().max_workers(2).switch_interval(Duration::from_millis(1));
    let first = settings().build().unwrap();
    let second = settings().share_lock(&first).build().unwrap();
    [first, second]
}

// Contract: 116.
#[test]
fn tasks_of_pools_with_one_lock_never_overlap() {
    let pools = pools_with_one_lock();
    let value = pools[0].guarded(0);
    let inside = Arc::new(AtomicBool::new(false));
    let handles: Vec<_> = (0..400)
        .map(|n| {
            let (inside, value) = (inside.clone(), value.clone());
            let section = move || {
                assert!(!inside.swap(true, SeqCst));
                thread::yield_now();
                inside.store(false, SeqCst);
            };
            pools[n % 2].submit_with(move |cx| {
                section();
                *value.get_mut(cx) += 1;
                cx.blocking(thread::yield_now);
                section();
                cx.checkpoint().unwrap();
                section();
                *value.get_mut(cx) += 1;
            })
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.result().unwrap());
    // A task of either pool can name the value, and either lock gives it out.
    assert_eq!(pools[1].when(&value, |value| *value).result().unwrap(), 800);
    assert_eq!(pools.each_ref().map(|pool| pool.lock(|cx| *value.get(cx))), [800, 800]);
    let [one, other] = pools.each_ref().map(ThreadPool::metrics);
    assert!(one.lock_holds > 0 && one.lock_holds == other.lock_holds);
    // Those of a third have another lock.
    let third = suite::pool::<GlobalLock>(1);
    let foreign = || third.lock(|cx| *value.get(cx));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(foreign)).is_err());
}

#[test]
fn waits_know_that_pools_have_one_lock() {
    let [first, second] = pools_with_one_lock();
    // A plain task lets go of the lock while it waits, one with a context does not.
    let inner = second.clone();
    assert_eq!(first.submit(move || inner.submit(|| 7).result().unwrap()).result().unwrap(), 7);
    let inner = second.clone();
    let refused = first.submit_with(move |_| inner.submit(|| ()).wait()).result().unwrap();
    assert_eq!(refused, Err(WaitError::WouldDeadlock));
    let inner = second.clone();
    let waited = first.submit_with(move |cx| cx.blocking(|| inner.submit(|| 8).result().unwrap())).result();
    assert_eq!(waited.unwrap(), 8);
    // The one lock is not taken twice.
    let inner = second.clone();
    let locked = first.submit(move || inner.lock(|cx| cx.blocking(|| inner.submit(|| 9).result().unwrap())));
    assert_eq!(locked.result().unwrap(), 9);
    let (inner, lock) = (second.clone(), first.clone());
    let again = first
        .submit_with(move |_| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| inner.lock(|_| ()))).is_err());
    assert!(again.result().unwrap());
    assert!(std::panic::catch_unwind(|| second.lock(|_| lock.lock(|_| ()))).is_err());
    // The last handle of a pool goes in a task of the other.
    let ran = Arc::new(AtomicUsize::new(0));
    let counts = ran.clone();
    let (third, keeps) =
        (Builder::<GlobalLock>::new().max_workers(1).share_lock(&second).build().unwrap(), second.clone());
    let dropped = keeps.submit(move || {
        let handle: lockgrain::TaskHandle<()> = third.submit(move || {
            counts.fetch_add(1, SeqCst);
        });
        drop(third);
        handle
    });
    dropped.result().unwrap().result().unwrap();
    assert_eq!(ran.load(SeqCst), 1);
    first.shutdown();
    // The other goes on.
    assert_eq!(second.submit(|| 10).result().unwrap(), 10);
}

/// As a submitter that is no task of the pool, or that has let go; also of a pool with the same lock.
#[test]
fn a_caller_has_the_lock_while_it_runs_a_task() {
    let settings = || Builder::<GlobalLock>::new().max_workers(1).max_spares(0);
    let pool = settings().queue_capacity(1).when_full(WhenFull::CallerRuns).build().unwrap();
    let other = settings().share_lock(&pool).build().unwrap();
    let inside = Arc::new(AtomicBool::new(false));
    let section = {
        let (inside, lock) = (inside.clone(), pool.clone());
        move || {
            assert!(!inside.swap(true, SeqCst));
            thread::yield_now();
            lock.lock(|_| assert!(inside.load(SeqCst)));
            inside.store(false, SeqCst);
            blocking(thread::yield_now);
            assert!(!inside.swap(true, SeqCst));
            inside.store(false, SeqCst);
        }
    };
    let submit = {
        let (pool, section) = (pool.clone(), section.clone());
        move || {
            for _ in 0..100 {
                pool.submit(section.clone()).result().unwrap();
            }
        }
    };
    let released = {
        let (pool, submit) = (pool.clone(), submit.clone());
        move || {
            blocking(|| {
                // Its one worker is this one.
                let _queued = pool.submit(|| ());
                submit();
            });
        }
    };
    let tasks = [pool.submit(released), other.submit(submit.clone())];
    let outside = thread::spawn(submit);
    tasks.into_iter().for_each(|task| task.result().unwrap());
    outside.join().unwrap();
    assert!(pool.metrics().rejected > 0);
}
