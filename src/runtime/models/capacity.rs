//! Models of the bounded queue: the places by themselves, and submitters that wait inside a pool.

use crate::runtime::WhenFull;
use crate::runtime::capacity::{Capacity, Permit, Waited};
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, check, size, thread};
use crate::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, TaskError, ThreadPool};

fn one_place() -> Arc<Capacity> {
    Capacity::new(1, WhenFull::Block)
}

/// As a submission does.
fn submit(capacity: &Arc<Capacity>, exceeds: bool) -> Waited {
    match capacity.try_take() {
        Some(permit) => Waited::Place(permit),
        None => capacity.line_up(exceeds).map_or_else(|at_once| at_once, |waiting| waiting.wait(None)),
    }
}

/// Whoever has the place: nobody else has it meanwhile.
fn hold(permit: Permit, holders: &AtomicU32) {
    assert_eq!(holders.fetch_add(1, Relaxed), 0);
    holders.fetch_sub(1, Relaxed);
    drop(permit);
}

/// A lost place would be a deadlock here.
#[test]
fn a_place_goes_from_one_to_the_next() {
    check(Some(3), || {
        let (capacity, holders) = (one_place(), Arc::new(AtomicU32::new(0)));
        let permit = capacity.try_take().expect("it is free");
        let submitters: Vec<_> = (0..size(2, 5))
            .map(|_| {
                let (capacity, holders) = (capacity.clone(), holders.clone());
                thread::spawn(move || match submit(&capacity, false) {
                    Waited::Place(permit) => hold(permit, &holders),
                    other => panic!("{other:?}"),
                })
            })
            .collect();
        hold(permit, &holders);
        submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
        assert!(capacity.try_take().is_some(), "it is free again");
    });
}

#[test]
fn nobody_waits_on_after_the_shutdown() {
    check(Some(3), || {
        let capacity = one_place();
        let permit = capacity.try_take();
        let submitters: Vec<_> = (0..size(2, 5))
            .map(|_| {
                let capacity = capacity.clone();
                thread::spawn(move || assert!(matches!(submit(&capacity, false), Waited::Closed)))
            })
            .collect();
        capacity.close();
        submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
        drop(permit);
    });
}

#[test]
fn a_worker_frees_a_place_while_the_pool_shuts_down() {
    check(Some(2), || {
        let capacity = one_place();
        let permit = capacity.try_take();
        let submitters: Vec<_> = (0..2)
            .map(|_| {
                let capacity = capacity.clone();
                thread::spawn(move || drop(submit(&capacity, false)))
            })
            .collect();
        let shutdown = {
            let capacity = capacity.clone();
            thread::spawn(move || capacity.close())
        };
        drop(permit);
        submitters.into_iter().for_each(|submitter| submitter.join().unwrap());
        shutdown.join().unwrap();
        assert!(capacity.try_take().is_some(), "it is free again");
    });
}

fn pool<P: LockPolicy>(workers: usize, spares: usize) -> ThreadPool<P> {
    let builder = Builder::new().max_workers(workers).max_spares(spares);
    builder.queue_capacity(1).when_full(WhenFull::Block).build().unwrap()
}

fn a_submitter_outside_gets_its_place<P: LockPolicy>(pool: &ThreadPool<P>, tasks: usize) {
    let handles: Vec<_> = (0..tasks).map(|n| pool.submit(move || n)).collect();
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.result().unwrap(), n);
    }
    pool.shutdown();
}

/// The last of them to wait sees to it that the first goes on.
fn a_task_that_others_wait_for_fills_the_queue<P: LockPolicy>(pool: &ThreadPool<P>, tasks: usize) {
    let inner = pool.clone();
    let fills = pool.submit(move || (0..tasks).map(|n| inner.submit(move || n)).collect::<Vec<_>>());
    let waits = pool.submit(move || fills.result().unwrap());
    for (n, child) in waits.result().unwrap().into_iter().enumerate() {
        assert_eq!(child.result().unwrap(), n);
    }
    pool.shutdown();
}

fn shutdown_against_waiting_submitters<P: LockPolicy>(pool: &ThreadPool<P>, tasks: usize) {
    let submitter = pool.clone();
    let thread = thread::spawn(move || (0..tasks).map(|n| submitter.submit(move || n)).collect::<Vec<_>>());
    pool.shutdown();
    for (n, handle) in thread.join().unwrap().into_iter().enumerate() {
        match handle.result() {
            Ok(value) => assert_eq!(value, n),
            Err(error) => assert!(matches!(error, TaskError::Refused)),
        }
    }
}

macro_rules! stamp {
    ($($name:ident $policy:ty: $($model:ident ($workers:literal, $spares:literal, $tasks:literal, $preemptions:literal)),+;)+) => {
        $(mod $name {
            use super::*;
            $(#[test]
            fn $model() {
                check(Some($preemptions), || super::$model(&pool::<$policy>($workers, $spares), size($tasks, $tasks + 3)));
            })+
        })+
    };
}

stamp! {
    global GlobalLock:
        a_submitter_outside_gets_its_place (1, 0, 2, 2),
        a_task_that_others_wait_for_fills_the_queue (2, 0, 2, 1),
        shutdown_against_waiting_submitters (1, 0, 2, 2);
    fine FineGrained:
        a_submitter_outside_gets_its_place (1, 0, 2, 2),
        a_task_that_others_wait_for_fills_the_queue (2, 0, 2, 0),
        shutdown_against_waiting_submitters (1, 0, 2, 2);
    lock_free LockFree:
        a_submitter_outside_gets_its_place (1, 0, 2, 2),
        a_task_that_others_wait_for_fills_the_queue (2, 0, 2, 0),
        shutdown_against_waiting_submitters (1, 0, 2, 2);
}
