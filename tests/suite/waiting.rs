//! Waiting and blocking inside workers. Contract 100, 113, 117, 120.

use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use lockgrain::gate::Gate;
use lockgrain::{Builder, LockPolicy, TaskHandle, ThreadPool, WaitError, blocking};

pub(crate) fn a_worker_waits_for_a_queued_task<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let outer = pool.submit(move || {
        let mut child = inner.submit(|| 2);
        // A timed wait parks, and a spare worker takes this one's place.
        let timed = child.result_timeout(Duration::from_secs(30)).unwrap();
        timed + inner.submit(|| 3).result().unwrap()
    });
    assert_eq!(outer.result().unwrap(), 5);
}

/// Its memory is given back when it begins, and most likely its child's is the same.
pub(crate) fn a_task_without_a_handle_waits_for_its_child<P: LockPolicy>(pool: &ThreadPool<P>) {
    fn of_size<P: LockPolicy, const N: usize>(pool: &ThreadPool<P>) {
        let (send, receive) = mpsc::channel();
        let (inner, size) = (pool.clone(), [1_u8; N]);
        let waits = move || {
            let child = inner.submit(move || 4);
            send.send(child.result().map(|n| n + size.len())).unwrap();
        };
        pool.spawn(waits).unwrap();
        assert_eq!(receive.recv().unwrap().unwrap(), 4 + N);
    }
    of_size::<P, 1>(pool);
    of_size::<P, 16>(pool);
    of_size::<P, 32>(pool);
    of_size::<P, 48>(pool);
    of_size::<P, 64>(pool);
    of_size::<P, 80>(pool);
    of_size::<P, 96>(pool);
}

/// The task's memory is free by then.
pub(crate) fn a_panic_handler_waits_for_a_task<P: LockPolicy>(pool: &ThreadPool<P>) {
    fn of_size<P: LockPolicy, const N: usize>(pool: &ThreadPool<P>) {
        let (send, receive) = mpsc::channel();
        let handles = Arc::new(Mutex::new(None::<ThreadPool<P>>));
        let mine = handles.clone();
        let handler = move |_payload| {
            let pool = mine.lock().unwrap().take();
            send.send(pool.map(|pool| pool.submit(|| 5).result())).unwrap();
        };
        let other = Builder::<P>::new().max_workers(pool.max_workers()).panic_handler(handler).build().unwrap();
        *handles.lock().unwrap() = Some(other.clone());
        let turn = other.guarded([1_u8; N]);
        let panics = |_: &mut [u8; N]| std::panic::resume_unwind(Box::new("on purpose"));
        other.spawn_when(&turn, panics).unwrap();
        assert_eq!(receive.recv().unwrap().unwrap().unwrap(), 5);
    }
    of_size::<P, 1>(pool);
    of_size::<P, 32>(pool);
}

// Contract: 117.
pub(crate) fn tasks_in_blocking_overlap<P: LockPolicy>(pool: &ThreadPool<P>) {
    // Each of 8 waits for the next: only if all are in `blocking` at once can they end.
    let (first, mut previous) = mpsc::channel::<u32>();
    let mut handles = Vec::new();
    for _ in 0..8 {
        let (sender, receiver) = mpsc::channel();
        handles.push(pool.submit(move || blocking(|| sender.send(previous.recv().unwrap() + 1).unwrap())));
        previous = receiver;
    }
    first.send(0).unwrap();
    assert_eq!(previous.recv().unwrap(), 8);
    for handle in handles {
        handle.result().unwrap();
    }
}

pub(crate) fn context_blocking_lets_others_run<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let outer = pool.submit_with(move |cx| {
        let child = inner.submit_with(|cx| cx.blocking(|| 20));
        cx.blocking(|| child.result().unwrap()) + 1
    });
    assert_eq!(outer.result().unwrap(), 21);
}

pub(crate) fn two_tasks_waiting_for_each_other_get_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    type Given = TaskHandle<Result<(), WaitError>>;
    let (to_a, from_b) = mpsc::channel::<Given>();
    let (to_b, from_a) = mpsc::channel::<Given>();
    let wait_for = |handles: mpsc::Receiver<Given>| move || blocking(|| handles.recv()).unwrap().wait();
    let a = pool.submit(wait_for(from_b));
    let b = pool.submit(wait_for(from_a));
    let (outcome, outcomes) = mpsc::channel();
    let (mut a, mut b) = (a, b);
    for handle in [&mut a, &mut b] {
        let outcome = outcome.clone();
        handle.on_done(move |result| outcome.send(*result.as_ref().unwrap()).unwrap());
    }
    to_a.send(b).unwrap();
    to_b.send(a).unwrap();
    let results = [outcomes.recv().unwrap(), outcomes.recv().unwrap()];
    assert!(results.contains(&Err(WaitError::WouldDeadlock)), "{results:?}");
}

// Contract: 100.
pub(crate) fn tasks_that_block_on_one_lock_keep_no_worker<P: LockPolicy>(pool: &ThreadPool<P>) {
    let lock = Arc::new(Mutex::new(()));
    let held = lock.lock().unwrap();
    let (blocks, blocked) = mpsc::channel();
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let (lock, blocks) = (lock.clone(), blocks.clone());
            pool.submit(move || {
                blocking(|| {
                    blocks.send(()).unwrap();
                    drop(lock.lock().unwrap());
                });
            })
        })
        .collect();
    blocked.iter().take(8).for_each(drop);
    // As many tasks as ever run at once.
    let at_once = if P::Gate::EXCLUSIVE { 1 } else { pool.max_workers() };
    let meet = Arc::new(Barrier::new(at_once));
    let others: Vec<_> = (0..at_once)
        .map(|_| {
            let meet = meet.clone();
            pool.submit(move || {
                meet.wait();
            })
        })
        .collect();
    others.into_iter().for_each(|handle| handle.result().unwrap());
    assert!(waiting.iter().all(TaskHandle::is_running));
    drop(held);
    waiting.into_iter().for_each(|handle| handle.result().unwrap());
}
