//! Models of tasks with guarded values, on the whole pool.

use super::pool::pool;
use crate::sync::{UnsafeCell, check, thread};
use crate::{FineGrained, GlobalLock, Guarded, LockFree, LockPolicy, TaskError, ThreadPool};

/// A number whose every use the model checker sees.
struct Number(UnsafeCell<u32>);

// SAFETY: that no two tasks use it at once is what the models check.
unsafe impl Send for Number {}

impl Number {
    fn add(&mut self) -> u32 {
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

fn two_tasks_with_two_values_in_opposite_order<P: LockPolicy>(pool: ThreadPool<P>) {
    let (a, b) = (number(&pool), number(&pool));
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

macro_rules! stamp {
    ($($model:ident: $(($size:ident: $workers:literal, $preemptions:literal)),+;)+) => {
        stamp!(@policy global GlobalLock; $($model: $(($size: $workers, $preemptions)),+;)+);
        stamp!(@policy fine FineGrained; $($model: $(($size: $workers, $preemptions)),+;)+);
        stamp!(@policy lock_free LockFree; $($model: $(($size: $workers, $preemptions)),+;)+);
    };
    (@policy $name:ident $policy:ty; $($model:ident: $(($size:ident: $workers:literal, $preemptions:literal)),+;)+) => {
        mod $name {
            use super::*;
            $(mod $model {
                use super::*;
                $(#[test]
                fn $size() {
                    check(Some($preemptions), || super::super::$model(pool::<$policy>($workers, 0)));
                })+
            })+
        }
    };
}

stamp! {
    two_tasks_with_two_values_in_opposite_order: (one: 1, 1), (two: 2, 0);
    a_cancelled_task_is_passed_over: (one: 1, 1), (two: 2, 0);
    a_panic_gives_the_value_back: (one: 1, 1), (two: 2, 0);
    shutdown_runs_what_stands_in_line: (one: 1, 2), (two: 2, 0);
}
