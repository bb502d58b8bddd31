//! Models of tasks with guarded values, on the whole pool.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::pool::pool;
use crate::sync::{Arc, Parker, UnsafeCell, check, thread};
use crate::{FineGrained, GlobalLock, Guarded, Keyed, LockFree, LockPolicy, TaskError, ThreadPool};

/// A number whose every use the model checker sees.
struct Number(UnsafeCell<u32>);

// SAFETY: that no two tasks use it at once is what the models check.
unsafe impl Send for Number {}
// SAFETY: as above.
unsafe impl Sync for Number {}

impl Number {
    fn add(&mut self) -> u32 {
        self.add_shared()
    }

    /// The model checker says if two do so at once.
    fn add_shared(&self) -> u32 {
        self.0.with_mut(|number| {
            // SAFETY: checked by the model.
            unsafe { *number += 1 };
            // SAFETY: as above.
            unsafe { *number }
        })
    }
}

fn number<P: LockPolicy>(pool: &ThreadPool<P>) -> Guarded<Number, P> {
    pool.guarded(Number(UnsafeCell::new(0)))
}

/// In the order in which tasks get into line for them, which is that of their addresses: an execution must be as the one before.
fn two_numbers<P: LockPolicy>(pool: &ThreadPool<P>) -> [Guarded<Number, P>; 2] {
    let mut numbers = [number(pool), number(pool)];
    numbers.sort_by_key(Guarded::address);
    numbers
}

fn two_tasks_with_two_values_in_opposite_order<P: LockPolicy>(pool: ThreadPool<P>) {
    let [a, b] = two_numbers(&pool);
    let (inner, mine) = (pool.clone(), (a.clone(), b.clone()));
    let submitter = thread::spawn(move || inner.when((&mine.0, &mine.1), |(a, b)| a.add() + b.add()).result().unwrap());
    let here = pool.when((&b, &a), |(b, a)| b.add() + a.add()).result().unwrap();
    let there = submitter.join().unwrap();
    assert_eq!(here.min(there), 2);
    assert_eq!(here.max(there), 4);
    pool.shutdown();
}

fn a_cancelled_task_is_passed_over<P: LockPolicy>(pool: ThreadPool<P>) {
    let value = number(&pool);
    let first = pool.when(&value, Number::add);
    let second = pool.when(&value, Number::add);
    let third = pool.when(&value, Number::add);
    let cancelled = second.cancel();
    assert_eq!(third.result().unwrap(), if cancelled { 2 } else { 3 });
    assert_eq!(first.result().unwrap(), 1);
    pool.shutdown();
}

/// Those who let it in are two.
fn a_task_without_a_handle_waits_for_both_values<P: LockPolicy>(pool: ThreadPool<P>) {
    let [a, b] = two_numbers(&pool);
    let sum = Arc::new(AtomicU32::new(0));
    let seen = sum.clone();
    for value in [&a, &b] {
        pool.spawn_when(value, |number| _ = number.add()).unwrap();
    }
    pool.spawn_when((&a, &b), move |(a, b)| seen.store(a.add() + b.add(), Relaxed)).unwrap();
    pool.shutdown();
    assert_eq!(sum.load(Relaxed), 4);
}

fn a_panic_gives_the_value_back<P: LockPolicy>(pool: ThreadPool<P>) {
    let value = number(&pool);
    // Without the panic hook's message.
    let panics = pool.when(&value, |_| std::panic::resume_unwind(Box::new(())));
    let next = pool.when(&value, Number::add);
    assert!(matches!(panics.result(), Err::<(), _>(TaskError::Panicked(_))));
    assert_eq!(next.result().unwrap(), 1);
    pool.shutdown();
}

fn shutdown_runs_what_stands_in_line<P: LockPolicy>(pool: ThreadPool<P>) {
    let value = number(&pool);
    let line = [pool.when(&value, Number::add), pool.when(&value, Number::add)];
    pool.shutdown();
    assert_eq!(line.map(|handle| handle.result().unwrap()), [1, 2]);
}

/// An outside cancel lets in the next task while the last worker of a draining pool ends.
fn a_cancel_in_a_draining_pool_lets_in_the_next<P: LockPolicy>(pool: ThreadPool<P>) {
    let value = number(&pool);
    let first = pool.when(&value, Number::add);
    let second = pool.when(&value, Number::add);
    let canceller = thread::spawn(move || first.cancel());
    pool.shutdown();
    let cancelled = canceller.join().unwrap();
    assert_eq!(second.result().unwrap(), if cancelled { 1 } else { 2 });
}

/// The same for one that is taken out of the queue.
fn a_discard_in_a_draining_pool_lets_in_the_next<P: LockPolicy>(pool: ThreadPool<P>) {
    let value = number(&pool);
    let first = pool.when(&value, Number::add);
    let second = pool.when(&value, Number::add);
    let discards = pool.clone();
    let discarder = thread::spawn(move || discards.core().discard_oldest());
    pool.shutdown();
    discarder.join().unwrap();
    let refused = |result: Result<u32, TaskError>| matches!(result, Err(TaskError::Refused));
    assert!(![first, second].map(|handle| refused(handle.result())).contains(&true));
}

/// A thread that is just about to.
fn submits<P: LockPolicy>(
    pool: &ThreadPool<P>,
    value: &Guarded<Number, P>,
) -> thread::JoinHandle<Result<u32, TaskError>> {
    let (begins, pool, value) = (Arc::new(Parker::new()), pool.clone(), value.clone());
    let begun = begins.clone();
    let submitter = thread::spawn(move || {
        begins.unpark();
        pool.when(&value, Number::add).result()
    });
    begun.park();
    submitter
}

/// The first may stand in line and be in no queue yet when the pool begins to drain.
fn shutdown_runs_who_stands_behind_a_submission<P: LockPolicy>(pool: ThreadPool<P>) {
    let value = number(&pool);
    let submitter = submits(&pool, &value);
    let second = pool.when(&value, Number::add);
    pool.shutdown();
    second.result().unwrap();
    assert!(matches!(submitter.join().unwrap(), Ok(_) | Err(TaskError::Refused)));
}

/// The same: there is perhaps nobody but the submitter to stop the pool.
fn shutdown_now_against_a_submission<P: LockPolicy>(pool: ThreadPool<P>) {
    let value = number(&pool);
    let submitter = submits(&pool, &value);
    let second = pool.when(&value, Number::add);
    pool.shutdown_now();
    assert!(second.result().map_or_else(|error| error.is_cancelled(), |_| true));
    let first = submitter.join().unwrap();
    assert!(first.map_or_else(|error| error.is_cancelled() || matches!(error, TaskError::Refused), |_| true));
}

/// There is no task here: who has let in the last one, and the shutdown, know of each other by two words.
#[test]
fn who_lets_in_the_last_one_stops_the_pool() {
    check(None, || {
        let pool = pool::<FineGrained>(1, 0);
        pool.core().in_line.one_comes();
        let lets_in = {
            let pool = pool.clone();
            thread::spawn(move || pool.core().has_let_in())
        };
        pool.shutdown();
        lets_in.join().unwrap();
    });
}

/// The end of a task against a shutdown that cancels who stands behind it.
fn shutdown_now_against_the_end_of_the_holder<P: LockPolicy>(pool: ThreadPool<P>) {
    let value = number(&pool);
    let first = pool.when(&value, Number::add);
    let second = pool.when(&value, Number::add);
    let third = pool.when(&value, Number::add);
    pool.shutdown_now();
    let mut ran = 0;
    for handle in [first, second, third] {
        match handle.result() {
            Ok(number) => {
                ran += 1;
                assert_eq!(number, ran);
            }
            Err(error) => assert!(error.is_cancelled()),
        }
    }
}

/// A shutdown ends who stands behind a task that goes on.
fn shutdown_now_ends_who_stands_in_line<P: LockPolicy>(pool: ThreadPool<P>) {
    let value = number(&pool);
    let end = Arc::new(Parker::new());
    let ends = end.clone();
    let holder = pool.when(&value, move |number| {
        ends.park();
        number.add()
    });
    let second = pool.when(&value, Number::add);
    let shutdown = {
        let pool = pool.clone();
        thread::spawn(move || pool.shutdown_now())
    };
    // Before the holder ends, if it has begun.
    assert!(second.result().is_err_and(|error| error.is_cancelled()));
    end.unpark();
    drop(holder);
    shutdown.join().unwrap();
}

/// It looks along a line, and finds one who has got into that line, and not yet into the next.
fn shutdown_now_against_a_task_with_two_values<P: LockPolicy>(pool: ThreadPool<P>) {
    let values = two_numbers(&pool);
    let [begins, submits, ends] = [(); 3].map(|()| Arc::new(Parker::new()));
    let (begun, submitted, end) = (begins.clone(), submits.clone(), ends.clone());
    let holder = pool.when(&values, move |_| {
        begins.unpark();
        ends.park();
    });
    begun.park();
    let submitter = {
        let (pool, values) = (pool.clone(), values.clone());
        thread::spawn(move || {
            submits.unpark();
            pool.when(&values, |_| ()).result()
        })
    };
    submitted.park();
    pool.core().drain_now();
    end.unpark();
    pool.shutdown();
    holder.result().unwrap();
    let second = submitter.join().unwrap();
    assert!(second.is_err_and(|error| error.is_cancelled() || matches!(error, TaskError::Refused)));
}

/// The last release of a key against a new task with it, which must find the same entry or a new one after the old.
fn a_key_that_goes_and_comes_back_excludes<P: LockPolicy>(pool: ThreadPool<P>) {
    let keys = pool.keyed::<u32>();
    let value = Arc::new(Number(UnsafeCell::new(0)));
    let add = |keys: &Keyed<u32, P>| {
        let value = value.clone();
        keys.submit(1, move || value.add_shared())
    };
    let first = add(&keys);
    let submitter = {
        let (keys, value) = (keys.clone(), value.clone());
        thread::spawn(move || keys.submit(1, move || value.add_shared()).result().unwrap())
    };
    let here = first.result().unwrap();
    let there = submitter.join().unwrap();
    assert_eq!(here + there, 3);
    pool.shutdown();
    assert!(keys.is_empty());
}

/// A task that runs alone, against one with a key that nobody has named yet.
fn a_task_alone_excludes_new_keys<P: LockPolicy>(pool: ThreadPool<P>) {
    let keys = pool.keyed::<u32>();
    let value = Arc::new(Number(UnsafeCell::new(0)));
    let add = || {
        let value = value.clone();
        move || value.add_shared()
    };
    let submitter = {
        let (keys, add) = (keys.clone(), add());
        thread::spawn(move || keys.submit(1, add).result().unwrap())
    };
    let here = keys.exclusive_all(add()).result().unwrap();
    let there = submitter.join().unwrap();
    assert_eq!(here + there, 3);
    pool.shutdown();
    assert!(keys.is_empty());
}

/// A worker keeps no task for itself while code of the user runs that waits for what the task does.
fn a_callback_can_wait_for_the_next_task<P: LockPolicy>(pool: ThreadPool<P>) {
    let value = number(&pool);
    let (begin, done) = (Arc::new(Parker::new()), Arc::new(Parker::new()));
    let (begins, is_done) = (begin.clone(), done.clone());
    let mut first = pool.when(&value, move |number| {
        begins.park();
        number.add()
    });
    first.on_done(move |_| is_done.park());
    let second = pool.when(&value, move |number| {
        done.unpark();
        number.add()
    });
    begin.unpark();
    assert_eq!(second.result().unwrap(), 2);
    pool.shutdown();
}

stamp! {
    a_cancelled_task_is_passed_over: (one: 1, 1), (two: 2, 1);
    a_task_without_a_handle_waits_for_both_values: (one: 1, 1), (two: 2, 1);
    a_panic_gives_the_value_back: (one: 1, 2), (two: 2, 0);
    shutdown_runs_what_stands_in_line: (one: 1, 2), (two: 2, 1);
    a_cancel_in_a_draining_pool_lets_in_the_next: (one: 1, 1);
    a_discard_in_a_draining_pool_lets_in_the_next: (one: 1, 1);
    shutdown_runs_who_stands_behind_a_submission: (one: 1, 1);
    shutdown_now_against_a_submission: (one: 1, 1);
    shutdown_now_against_the_end_of_the_holder: (one: 1, 1);
    a_key_that_goes_and_comes_back_excludes: (one: 1, 1), (two: 2, 0);
}

/// The lines themselves have models, to higher bounds.
mod opposite {
    use super::*;
    stamp!(@policy global GlobalLock; two_tasks_with_two_values_in_opposite_order: (one: 1, 1), (two: 2, 1););
    stamp!(@policy fine FineGrained; two_tasks_with_two_values_in_opposite_order: (one: 1, 2), (two: 2, 1););
    stamp!(@policy lock_free LockFree; two_tasks_with_two_values_in_opposite_order: (one: 1, 1), (two: 2, 0););
}

/// Where tasks of one value are kept apart by a line.
mod lines {
    use super::*;
    stamp!(@policy fine FineGrained;
        shutdown_now_ends_who_stands_in_line: (one: 1, 1);
        shutdown_now_against_a_task_with_two_values: (one: 1, 1);
        a_callback_can_wait_for_the_next_task: (two: 2, 1);
        a_task_alone_excludes_new_keys: (one: 1, 1), (two: 2, 0);
    );
    stamp!(@policy lock_free LockFree;
        shutdown_now_ends_who_stands_in_line: (one: 1, 1);
        shutdown_now_against_a_task_with_two_values: (one: 1, 1);
        a_callback_can_wait_for_the_next_task: (two: 2, 1);
        a_task_alone_excludes_new_keys: (one: 1, 1), (two: 2, 0);
    );
}
