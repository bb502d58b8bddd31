//! Programs small enough for an interpreter: `cargo xtask sanitize Miri` runs them under many schedules, with memory as weak as the language allows, and looks for
//! races also with memory that has been used before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use lockgrain::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, TaskError, ThreadPool};

fn pool<P: LockPolicy>() -> ThreadPool<P> {
    Builder::<P>::new().max_workers(2).build().expect("the settings are good")
}

fn results_of_two_submitters<P: LockPolicy>() {
    let pool = pool::<P>();
    let other = pool.clone();
    let submitter = thread::spawn(move || (0..8).map(|n| other.submit(move || n)).map(|it| it.result().unwrap()).sum());
    let mine: i32 = (0..8).map(|n| pool.submit(move || n)).map(|it| it.result().unwrap()).sum();
    let theirs: i32 = submitter.join().unwrap();
    assert_eq!(mine + theirs, 56);
}

fn tasks_without_a_handle_from_everywhere<P: LockPolicy>() {
    let pool = pool::<P>();
    let runs = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..4 {
                    let (runs, inner) = (runs.clone(), pool.clone());
                    let task = move || {
                        let child = runs.clone();
                        runs.fetch_add(1, Relaxed);
                        let _refused_at_the_end = inner.spawn(move || {
                            child.fetch_add(1, Relaxed);
                        });
                    };
                    pool.spawn(task).unwrap();
                }
            });
        }
    });
    assert!(pool.await_quiescence(std::time::Duration::from_secs(100)));
    assert_eq!(runs.load(Relaxed), 16);
}

fn what_nobody_takes_is_dropped<P: LockPolicy>() {
    let pool = pool::<P>();
    let value = Arc::new(());
    let handles: Vec<_> = (0..6)
        .map(|n| {
            let value = value.clone();
            pool.submit(move || if n == 3 { panic!("on purpose") } else { value })
        })
        .collect();
    for (n, handle) in handles.into_iter().enumerate() {
        match n % 3 {
            0 => drop(handle.cancel()),
            1 => drop(handle),
            _ => drop(handle.result()),
        }
    }
    pool.shutdown();
    assert_eq!(Arc::strong_count(&value), 1);
}

fn halves_and_scopes_borrow<P: LockPolicy>() {
    let pool = pool::<P>();
    let mut numbers: Vec<u32> = (0..6).collect();
    let (left, right) = numbers.split_at_mut(3);
    let add = |part: &mut [u32]| part.iter_mut().for_each(|n| *n += 1);
    pool.join(|| add(left), || add(right));
    let sum = pool.scope(|scope| {
        let halves = [scope.submit(|| numbers[..3].iter().sum::<u32>()), scope.submit(|| numbers[3..].iter().sum())];
        halves.map(|half| half.result().unwrap()).iter().sum::<u32>()
    });
    assert_eq!(sum, 21);
}

fn values_and_keys_exclude<P: LockPolicy>() {
    let pool = pool::<P>();
    let (a, b) = (pool.guarded(0), pool.guarded(0));
    let keys = pool.keyed::<u8>();
    let mut handles = Vec::new();
    for n in 0..4 {
        handles.push(if n % 2 == 0 {
            pool.when((&a, &b), |(a, b)| (*a += 1, *b += 1).0)
        } else {
            pool.when((&b, &a), |(b, a)| (*a += 1, *b += 1).0)
        });
        handles.push(keys.submit(n % 2, || ()));
    }
    handles.into_iter().for_each(|handle| handle.result().unwrap());
    assert_eq!(pool.when((a.shared(), b.shared()), |(a, b)| (*a, *b)).result().unwrap(), (4, 4));
}

/// The task may have run, and be gone, before its submitter has got it into line.
fn a_task_with_one_value_goes_while_it_is_submitted<P: LockPolicy>() {
    let pool = pool::<P>();
    let value = pool.guarded(0);
    let keys = pool.keyed::<u8>();
    let submit = |pool: &ThreadPool<P>| {
        for _ in 0..3 {
            pool.spawn_when(&value, |value| *value += 1).unwrap();
            pool.spawn_when(value.shared(), |value| assert!(*value > 0)).unwrap();
            keys.spawn(0, || ()).unwrap();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| submit(&pool));
        submit(&pool);
    });
    assert_eq!(pool.when(&value, |value| *value).result().unwrap(), 6);
}

fn futures_and_promises_end<P: LockPolicy>() {
    let pool = pool::<P>();
    let (promise, made) = lockgrain::promise();
    let doubled = pool.spawn_future(async move { made.await.map(|n: u32| 2 * n) });
    let fulfiller = pool.submit(move || promise.set_result(21).is_ok());
    assert_eq!(doubled.result().unwrap().unwrap(), 42);
    assert!(fulfiller.result().unwrap());
}

fn shutdown_now_ends_what_is_queued<P: LockPolicy>() {
    let pool = pool::<P>();
    let handles: Vec<_> = (0..6).map(|n| pool.submit(move || vec![n])).collect();
    let stopper = pool.clone();
    let stopped = thread::spawn(move || stopper.shutdown_now());
    for handle in handles {
        assert!(matches!(handle.result(), Ok(_) | Err(TaskError::Cancelled)));
    }
    stopped.join().unwrap();
}

macro_rules! stamp {
    ($($case:ident),+ $(,)?) => {
        stamp!(@policy global GlobalLock; $($case),+);
        stamp!(@policy fine FineGrained; $($case),+);
        stamp!(@policy lock_free LockFree; $($case),+);
    };
    (@policy $name:ident $policy:ty; $($case:ident),+) => {
        mod $name {
            use super::*;
            $(#[test] fn $case() { super::$case::<$policy>(); })+
        }
    };
}

stamp! {
    results_of_two_submitters,
    tasks_without_a_handle_from_everywhere,
    what_nobody_takes_is_dropped,
    halves_and_scopes_borrow,
    values_and_keys_exclude,
    a_task_with_one_value_goes_while_it_is_submitted,
    futures_and_promises_end,
    shutdown_now_ends_what_is_queued,
}
