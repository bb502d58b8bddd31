//! Models of tasks that hold permits, on the whole pool.

use super::pool::pool;
use crate::sync::{Arc, Parker, UnsafeCell, check, thread};
use crate::{FineGrained, GlobalLock, LockFree, LockPolicy, ThreadPool};

/// A number that who holds all permits changes: the model checker says if two do so at once.
struct Number(UnsafeCell<u32>);

// SAFETY: that no two tasks use it at once is what the models check.
unsafe impl Send for Number {}
// SAFETY: as above.
unsafe impl Sync for Number {}

impl Number {
    fn new() -> Arc<Self> {
        Arc::new(Self(UnsafeCell::new(0)))
    }

    fn add(&self) -> u32 {
        self.0.with_mut(|number| {
            // SAFETY: checked by the model.
            unsafe { *number += 1 };
            // SAFETY: as above.
            unsafe { *number }
        })
    }
}

/// A value and the one permit are taken in one step.
fn two_tasks_with_a_value_and_a_permit<P: LockPolicy>(pool: ThreadPool<P>) {
    let (limit, value, number) = (pool.limit(1), pool.guarded(0), Number::new());
    let (inner, mine, theirs) = (pool.clone(), (limit.clone(), value.clone()), number.clone());
    let submitter = thread::spawn(move || {
        let task = inner.when((&mine.0, &mine.1), move |((), value)| {
            *value += theirs.add();
            *value
        });
        task.result().unwrap()
    });
    let task = pool.when((&value, &limit), move |(value, ())| {
        *value += number.add();
        *value
    });
    let here = task.result().unwrap();
    let there = submitter.join().unwrap();
    assert_eq!((here.min(there), here.max(there)), (1, 3));
    pool.shutdown();
}

/// A permit is given back while another task gets into line for it.
fn a_permit_goes_to_one_that_comes_meanwhile<P: LockPolicy>(pool: ThreadPool<P>) {
    let (limit, number) = (pool.limit(1), Number::new());
    let theirs = number.clone();
    let first = pool.when(&limit, move |()| theirs.add());
    let second = pool.when(&limit, move |()| number.add());
    assert_eq!(second.result().unwrap(), 2);
    assert_eq!(first.result().unwrap(), 1);
    pool.shutdown();
}

/// All are let in that fit.
fn two_are_let_in_after_one_that_had_all<P: LockPolicy>(pool: ThreadPool<P>) {
    let limit = pool.limit(2);
    let other = Arc::new(Parker::new());
    let is_here = other.clone();
    let all = pool.when(limit.permits(2), |()| ());
    let first = pool.when(&limit, move |()| other.park());
    let second = pool.when(&limit, move |()| is_here.unpark());
    second.result().unwrap();
    first.result().unwrap();
    all.result().unwrap();
    pool.shutdown();
}

fn who_wants_many_goes_before_those_behind_it<P: LockPolicy>(pool: ThreadPool<P>) {
    let (limit, number) = (pool.limit(2), Number::new());
    let theirs = number.clone();
    let holder = pool.when(&limit, |()| ());
    let heavy = pool.when(limit.permits(2), move |()| theirs.add());
    let light = pool.when(&limit, move |()| number.add());
    assert_eq!(light.result().unwrap(), 2);
    assert_eq!(heavy.result().unwrap(), 1);
    holder.result().unwrap();
    pool.shutdown();
}

/// A task is cancelled while it is let in.
fn a_cancelled_task_keeps_no_permit<P: LockPolicy>(pool: ThreadPool<P>) {
    let (limit, number) = (pool.limit(1), Number::new());
    let [first, second, third] =
        [number.clone(), number.clone(), number].map(|number| pool.when(&limit, move |()| number.add()));
    let cancelled = second.cancel();
    assert_eq!(third.result().unwrap(), if cancelled { 2 } else { 3 });
    assert_eq!(first.result().unwrap(), 1);
    pool.shutdown();
}

stamp! {
    two_tasks_with_a_value_and_a_permit: (one: 1, 1);
    a_permit_goes_to_one_that_comes_meanwhile: (one: 1, 2), (two: 2, 1);
    who_wants_many_goes_before_those_behind_it: (one: 1, 2), (two: 2, 0);
    a_cancelled_task_keeps_no_permit: (one: 1, 2);
}

/// Where two tasks run at once.
mod lines {
    use super::*;
    stamp!(@policy fine FineGrained; two_are_let_in_after_one_that_had_all: (two: 2, 1););
    stamp!(@policy lock_free LockFree; two_are_let_in_after_one_that_had_all: (two: 2, 0););
}
