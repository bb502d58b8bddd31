//! Callbacks, added before the end, after it, and while it comes. Contract 31–37.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use lockgrain::{LockPolicy, TaskError, TaskHandle, ThreadPool};

use super::Occupied;

#[derive(Debug, PartialEq)]
enum Seen {
    Value(u32),
    Panic(String),
    Cancelled,
}

impl Seen {
    fn of(outcome: &Result<u32, TaskError>) -> Self {
        match outcome {
            Ok(value) => Self::Value(*value),
            Err(TaskError::Panicked(panic)) => Self::Panic(panic.message().to_owned()),
            Err(TaskError::Cancelled) => Self::Cancelled,
            Err(error) => panic!("{error}"),
        }
    }
}

fn three<P: LockPolicy>(pool: &ThreadPool<P>) -> [TaskHandle<u32>; 3] {
    let fails = || std::panic::resume_unwind(Box::new("on purpose"));
    [pool.submit(|| 1), pool.submit(fails), pool.submit(|| 2)]
}

fn expected() -> [Seen; 3] {
    [Seen::Value(1), Seen::Panic("on purpose".to_owned()), Seen::Cancelled]
}

// Contract: 31.
pub(crate) fn one_added_before_the_end_sees_it<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let mut handles = three(pool);
    let seen = handles.each_mut().map(|handle| {
        let (see, seen) = mpsc::channel();
        handle.on_done(move |outcome| see.send(Seen::of(outcome)).unwrap());
        seen
    });
    assert!(handles[2].cancel());
    drop(occupied);
    // The channel ends with the callback, so each was called once.
    assert_eq!(seen.map(|seen| seen.iter().collect::<Vec<_>>()), expected().map(|seen| vec![seen]));
}

// Contract: 32.
pub(crate) fn one_added_after_the_end_is_called_at_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let mut handles = three(pool);
    assert!(handles[2].cancel());
    drop(occupied);
    for (handle, expected) in handles.iter_mut().zip(expected()) {
        handle.wait().unwrap();
        let (see, seen) = mpsc::channel();
        handle.on_done(move |outcome| see.send((thread::current().id(), Seen::of(outcome))).unwrap());
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [(thread::current().id(), expected)]);
    }
}

// Contract: 37.
pub(crate) fn of_one_for_a_value_and_one_for_an_error_one_is_called<P: LockPolicy>(pool: &ThreadPool<P>) {
    let called = three(pool).map(|mut handle| {
        let (see, seen) = mpsc::channel();
        let value = {
            let see = see.clone();
            move |value: &u32| see.send(Ok(*value)).unwrap()
        };
        let error = move |error: &TaskError| see.send(Err(error.is_panic())).unwrap();
        handle.on_done(move |outcome| match outcome {
            Ok(ok) => value(ok),
            Err(err) => error(err),
        });
        seen.iter().collect::<Vec<_>>()
    });
    assert_eq!(called, [vec![Ok(1)], vec![Err(true)], vec![Ok(2)]]);
}

// Contract: 35.
pub(crate) fn those_added_while_the_task_ends_keep_the_order<P: LockPolicy>(pool: &ThreadPool<P>) {
    for round in 0..300 {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (open, gate) = mpsc::channel::<()>();
        let mut handle = pool.submit(move || gate.recv().unwrap());
        for n in 0..6 {
            if n == round % 6 {
                open.send(()).unwrap();
            }
            let log = log.clone();
            handle.on_done(move |_| log.lock().unwrap().push(n));
        }
        handle.result().unwrap();
        assert_eq!(*log.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
    }
}

// Contract: 36.
pub(crate) fn a_panic_in_one_leaves_the_worker_alive<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let pool = super::pool::<P>(1);
    let worker = pool.submit(|| thread::current().id()).result().unwrap();
    for _ in 0..8 {
        let occupied = Occupied::all(&pool);
        let mut handle = pool.submit(|| 1);
        handle.on_done(|_| std::panic::resume_unwind(Box::new("a callback's own")));
        drop(occupied);
        assert_eq!(handle.result().unwrap(), 1);
        assert_eq!(pool.submit(|| thread::current().id()).result().unwrap(), worker);
    }
    assert_eq!(pool.metrics().threads, 1);
}
