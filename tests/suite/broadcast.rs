//! A closure that every worker runs once.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use lockgrain::gate::Gate;
use lockgrain::{Builder, LockPolicy, Refused, TaskError, ThreadPool, blocking};

use super::{Occupied, count};

fn name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

pub(crate) fn every_worker_runs_it_once_on_its_own_thread<P: LockPolicy>(pool: &ThreadPool<P>) {
    let workers = pool.max_workers();
    for _ in 0..20 {
        let threads = pool.broadcast(|worker| (worker, name(), thread::current().id()));
        for (n, (worker, name, _)) in threads.iter().enumerate() {
            assert_eq!((*worker, name), (n, &format!("lockgrain-{}_{n}", P::NAME)));
        }
        assert_eq!(threads.iter().map(|(.., id)| id).collect::<HashSet<_>>().len(), workers);
        assert_eq!(pool.metrics().threads, workers);
    }
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!((metrics.submitted, metrics.finished), (20 * workers as u64, 20 * workers as u64));
}

pub(crate) fn workers_may_meet_in_it<P: LockPolicy>(pool: &ThreadPool<P>) {
    let workers = pool.max_workers();
    let all = Barrier::new(workers);
    let leaders = pool.broadcast(|_| {
        // One at a time only behind an exclusive gate, unless it lets go.
        if P::Gate::EXCLUSIVE { blocking(|| all.wait().is_leader()) } else { all.wait().is_leader() }
    });
    assert_eq!(leaders.into_iter().filter(|leads| *leads).count(), 1);
}

pub(crate) fn a_panic_is_passed_on_when_all_have_ended<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs = AtomicUsize::new(0);
    let last = pool.max_workers() - 1;
    let panicking = AssertUnwindSafe(|| {
        pool.broadcast(|worker| {
            count(&runs);
            assert!(worker < last, "the last one");
            super::Bomb
        })
    });
    let payload = catch_unwind(panicking).err().expect("it panics");
    assert_eq!(payload.downcast_ref(), Some(&"the last one"));
    assert_eq!(runs.load(SeqCst), pool.max_workers());
    assert_eq!(pool.broadcast(|worker| worker).len(), pool.max_workers());
}

pub(crate) fn a_worker_that_is_busy_comes_to_it_later<P: LockPolicy>(pool: &ThreadPool<P>) {
    let ((open, gate), (begins, begun)) = (mpsc::channel::<()>(), mpsc::channel());
    let busy = pool.submit(move || {
        begins.send(()).unwrap();
        blocking(|| gate.recv().is_err())
    });
    begun.recv().unwrap();
    let (sends, ends) = mpsc::channel();
    pool.spawn_broadcast(move |_| sends.send(name()).unwrap()).unwrap();
    let others: Vec<_> = (1..pool.max_workers()).map(|_| ends.recv().unwrap()).collect();
    assert!(ends.try_recv().is_err() && !busy.is_finished(), "{others:?}");
    drop(open);
    assert!(busy.result().unwrap());
    let last = ends.recv().unwrap();
    assert!(!others.contains(&last));
    assert!(ends.recv().is_err());
}

pub(crate) fn a_task_runs_its_own_share<P: LockPolicy>(pool: &ThreadPool<P>) {
    for _ in 0..50 {
        let inner = pool.clone();
        let (own, names) = pool.submit(move || (name(), inner.broadcast(|_| name()))).result().unwrap();
        assert!(names.contains(&own));
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), pool.max_workers());
        // Also where it has let go.
        let inner = pool.clone();
        let blocked = pool.submit(move || blocking(|| inner.broadcast(|worker| worker)));
        assert_eq!(blocked.result().unwrap().len(), pool.max_workers());
    }
}

pub(crate) fn tasks_broadcast_at_the_same_time<P: LockPolicy>(pool: &ThreadPool<P>) {
    for _ in 0..50 {
        let broadcasts = (0..2 * pool.max_workers()).map(|n| {
            let inner = pool.clone();
            pool.submit(move || inner.broadcast(|worker| n + worker).into_iter().sum::<usize>())
        });
        let workers = pool.max_workers();
        for (n, sum) in broadcasts.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(sum.result().unwrap(), n * workers + (0..workers).sum::<usize>());
        }
    }
}

pub(crate) fn broadcasts_come_in_one_order<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (send, receive) = mpsc::channel();
    for n in 0..50 {
        let send = send.clone();
        pool.spawn_broadcast(move |worker| send.send((worker, n)).unwrap()).unwrap();
    }
    drop(send);
    let mut next = vec![0; pool.max_workers()];
    for (worker, n) in receive {
        assert_eq!(next[worker], n);
        next[worker] += 1;
    }
    assert_eq!(next, vec![50; pool.max_workers()]);
}

pub(crate) fn one_that_could_not_end_is_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    let ((open, gate), (begins, begun)) = (mpsc::channel::<()>(), mpsc::channel());
    let inner = pool.clone();
    let broadcasts = pool.submit(move || {
        begins.send(()).unwrap();
        let _closed = blocking(|| gate.recv());
        inner.broadcast(|worker| worker)
    });
    begun.recv().unwrap();
    // On another worker, which can't come to its share before this has ended.
    let waits = pool.submit(move || {
        drop(open);
        broadcasts.result()
    });
    match waits.result().unwrap() {
        // A spare worker, which has no share.
        Ok(workers) => assert_eq!((workers.len(), pool.max_workers()), (1, 1)),
        // It depends on who came first.
        Err(TaskError::Panicked(panic)) => assert!(panic.message().contains("would deadlock"), "{panic:?}"),
        Err(error) => assert!(matches!(error, TaskError::WouldDeadlock), "{error}"),
    }
    assert_eq!(pool.broadcast(|worker| worker).len(), pool.max_workers());
}

pub(crate) fn broadcasts_nest<P: LockPolicy>(pool: &ThreadPool<P>) {
    let workers = pool.max_workers();
    let nested = pool.broadcast(|outer| pool.broadcast(|inner| outer * workers + inner));
    assert_eq!(nested.concat(), (0..workers * workers).collect::<Vec<_>>());
}

pub(crate) fn it_waits_for_the_end_of_a_pause<P: LockPolicy>(pool: &ThreadPool<P>) {
    pool.pause();
    let (send, receive) = mpsc::channel();
    pool.spawn_broadcast(move |worker| send.send(worker).unwrap()).unwrap();
    assert!(receive.recv_timeout(Duration::from_millis(5)).is_err());
    pool.resume();
    assert_eq!(receive.iter().count(), pool.max_workers());
}

pub(crate) fn it_goes_by_the_size_of_the_pool<P: LockPolicy>(pool: &ThreadPool<P>) {
    let workers = pool.max_workers();
    assert_eq!(pool.broadcast(|worker| worker).len(), workers);
    for size in [workers + 3, 1, workers] {
        pool.resize(size).unwrap();
        assert_eq!(pool.broadcast(|worker| worker), (0..size).collect::<Vec<_>>());
    }
}

/// Posted while threads end, of their own accord.
pub(crate) fn it_finds_workers_that_end<P: LockPolicy>(pool: &ThreadPool<P>) {
    let workers = pool.max_workers();
    let pool = Builder::<P>::new().max_workers(workers).min_workers(0).keep_alive(Duration::ZERO).build().unwrap();
    for n in 0..200 {
        let spawned = pool.submit(move || n);
        assert_eq!(pool.broadcast(|worker| worker).len(), workers);
        assert_eq!(spawned.result().unwrap(), n);
    }
    pool.shutdown();
    assert_eq!(pool.metrics().finished, 200 * (1 + workers as u64));
}

pub(crate) fn shutdown_runs_what_was_accepted<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (send, receive) = mpsc::channel();
    pool.spawn_broadcast(move |worker| send.send(worker).unwrap()).unwrap();
    pool.shutdown();
    assert_eq!(receive.iter().count(), pool.max_workers());
    assert_eq!(pool.spawn_broadcast(|_| ()), Err(Refused::Shutdown));
    let refused = catch_unwind(AssertUnwindSafe(|| pool.broadcast(|_| ())));
    assert!(refused.is_err());
}

pub(crate) fn shutdown_now_ends_what_has_not_begun<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let broadcasts = pool.clone();
    let thread = thread::spawn(move || catch_unwind(AssertUnwindSafe(|| broadcasts.broadcast(|worker| worker))));
    // Behind an exclusive gate others take theirs, and wait for the gate.
    while pool.metrics().queue_depth == 0 && !P::Gate::EXCLUSIVE {
        thread::yield_now();
    }
    let (cancelled, stopped) = pool.shutdown_now_timeout(Duration::ZERO);
    assert!(!stopped && (P::Gate::EXCLUSIVE || cancelled == pool.max_workers()));
    drop(occupied);
    pool.shutdown();
    assert!(P::Gate::EXCLUSIVE || thread.join().unwrap().is_err());
}

pub(crate) fn it_races_with_shutdown<P: LockPolicy>(pool: &ThreadPool<P>) {
    for _ in 0..50 {
        let pool = super::pool::<P>(pool.max_workers());
        let other = pool.clone();
        let thread = thread::spawn(move || catch_unwind(AssertUnwindSafe(|| other.broadcast(|worker| worker))));
        pool.shutdown();
        if let Ok(workers) = thread.join().unwrap() {
            assert_eq!(workers.len(), pool.max_workers());
        }
    }
}

pub(crate) fn a_pool_whose_threads_cant_be_set_up_says_so<P: LockPolicy>(pool: &ThreadPool<P>) {
    let builder = Builder::<P>::new().max_workers(pool.max_workers());
    let broken = builder.initializer(|_| Err::<(), _>("no device")).build().unwrap();
    let failed = catch_unwind(AssertUnwindSafe(|| broken.broadcast(|worker| worker)));
    let payload = failed.expect_err("it is broken");
    let message = payload.downcast_ref::<String>().expect("a text");
    assert!(message.contains("no device"), "{message}");
}

pub(crate) fn with_a_context_it_is_refused_under_a_global_lock<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let held = pool.submit_with(move |_| inner.broadcast(|worker| worker).len()).result();
    match held {
        Err(TaskError::Panicked(panic)) => assert!(P::Gate::EXCLUSIVE && panic.message().contains("blocking")),
        workers => assert_eq!(workers.unwrap(), pool.max_workers()),
    }
    let inner = pool.clone();
    let let_go = pool.submit_with(move |cx| cx.blocking(|| inner.broadcast(|worker| worker).len()));
    assert_eq!(let_go.result().unwrap(), pool.max_workers());
}
