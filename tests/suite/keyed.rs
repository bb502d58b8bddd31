//! Keys: who has one, in which order, and who waits. Contract 103–115.

use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use lockgrain::gate::Gate;
use lockgrain::{Access, Keyed, LockPolicy, TaskError, TaskHandle, TaskState, ThreadPool, WaitError};

use super::guarded::{distinct, numbers};

/// Notices when two tasks with one key run at once.
#[derive(Clone, Default)]
pub(super) struct Watch(pub(super) Arc<(AtomicBool, AtomicUsize)>);

impl Watch {
    pub(super) fn enter(&self) {
        assert!(!self.0.0.swap(true, SeqCst), "two tasks have the key");
        thread::yield_now();
        self.0.1.fetch_add(1, SeqCst);
        self.0.0.store(false, SeqCst);
    }
}

pub(super) fn until_empty<K: Hash + Eq + Send + Sync, P: LockPolicy>(keys: &Keyed<K, P>) {
    while !keys.is_empty() {
        thread::yield_now();
    }
}

// Contract: 103.
pub(crate) fn tasks_with_a_key_in_common_never_overlap<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed::<usize>();
    let watches: [Watch; 8] = Default::default();
    thread::scope(|scope| {
        for seed in 0..2 {
            let (keys, watches) = (&keys, &watches);
            scope.spawn(move || {
                let mut next = numbers(seed);
                for _ in 0..3_000 {
                    let [a, b, c] = distinct(8, &mut next);
                    let mine = [a, b, c].map(|key| watches[key].clone());
                    drop(keys.submit_all([a, b, c].map(|key| (key, Access::Exclusive)), move || {
                        mine.iter().for_each(Watch::enter);
                    }));
                }
            });
        }
    });
    let all = (0..8).map(|key| (key, Access::Exclusive));
    keys.submit_all(all, || ()).result().unwrap();
    assert_eq!(watches.iter().map(|watch| watch.0.1.load(SeqCst)).sum::<usize>(), 18_000);
    assert_eq!(pool.metrics().panicked, 0);
    until_empty(&keys);
}

// Contract: 104.
pub(crate) fn tasks_with_a_key_in_common_run_in_order<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed::<String>();
    let logs: [Arc<Mutex<Vec<usize>>>; 3] = Default::default();
    let submit = |keys: &Keyed<String, P>, n: usize| {
        let log = logs[n % 3].clone();
        drop(keys.submit(format!("key {}", n % 3), move || log.lock().unwrap().push(n)));
    };
    (0..3_000).for_each(|n| submit(&keys, n));
    // Each link of the chain is submitted by another thread.
    for n in 3_000..3_012 {
        thread::scope(|scope| {
            scope.spawn(|| submit(&keys, n));
        });
    }
    let all = (0..3).map(|n| (format!("key {n}"), Access::Exclusive));
    keys.submit_all(all, || ()).result().unwrap();
    for (at, log) in logs.iter().enumerate() {
        assert_eq!(*log.lock().unwrap(), (at..3_012).step_by(3).collect::<Vec<_>>());
    }
}

/// Keeps the key until the gate is opened; has it when this returns.
pub(super) fn hold<P: LockPolicy>(keys: &Keyed<u32, P>, key: u32) -> (mpsc::Sender<()>, TaskHandle<()>) {
    let (open, gate) = mpsc::channel::<()>();
    let (started, starts) = mpsc::channel();
    let holder = keys.submit(key, move || {
        started.send(()).unwrap();
        let _closed = lockgrain::blocking(|| gate.recv());
    });
    starts.recv().unwrap();
    (open, holder)
}

pub(crate) fn a_cancelled_task_is_passed_over<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed();
    let (open, holder) = hold(&keys, 1);
    let middle = keys.submit_all([(1, Access::Exclusive), (2, Access::Exclusive)], || ());
    let read = keys.submit_shared(2, || 2);
    assert!(middle.cancel());
    open.send(()).unwrap();
    assert_eq!(read.result().unwrap(), 2);
    assert!(matches!(middle.result(), Err(TaskError::Cancelled)));
    holder.result().unwrap();
    until_empty(&keys);
}

// Contract: 111.
pub(crate) fn a_panic_gives_the_key_back<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed();
    let panics = keys.submit("key", || std::panic::resume_unwind(Box::new(())));
    assert!(matches!(panics.result(), Err::<(), _>(TaskError::Panicked(_))));
    assert_eq!(keys.submit("key", || 1).result().unwrap(), 1);
    until_empty(&keys);
}

// Contract: 114.
pub(crate) fn waiting_for_ones_own_key_is_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed();
    let inner = keys.clone();
    let waited = keys.submit(1, move || inner.submit(1, || ()).wait());
    assert_eq!(waited.result().unwrap(), Err(WaitError::WouldDeadlock));
    let (strand, inner) = (pool.strand(), pool.strand());
    let same = strand.clone();
    let waited = strand.submit(move || (same.submit(|| ()).wait(), inner.submit(|| ()).wait()));
    let other = if P::Gate::EXCLUSIVE { Err(WaitError::WouldDeadlock) } else { Ok(()) };
    assert_eq!(waited.result().unwrap(), (Err(WaitError::WouldDeadlock), other));
}

pub(crate) fn shutdown_ends_what_waits_for_a_key<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed();
    let (open, holder) = hold(&keys, 1);
    let line: Vec<_> = (0..100).map(|_| keys.submit(1, || ())).collect();
    let (cancelled, stopped) = pool.shutdown_now_timeout(std::time::Duration::ZERO);
    assert_eq!((cancelled, stopped), (100, false));
    open.send(()).unwrap();
    holder.result().unwrap();
    assert!(line.into_iter().all(|handle| matches!(handle.result(), Err(TaskError::Cancelled))));
    pool.shutdown();
    assert!(matches!(keys.submit(2, || ()).result(), Err(TaskError::Refused)));
    until_empty(&keys);
}

// Contract: 104, 111.
pub(crate) fn what_nobody_waits_for_keeps_the_order_too<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (keys, strand, value) = (pool.keyed::<&str>(), pool.strand(), pool.guarded(Vec::new()));
    let logs: [Arc<Mutex<Vec<usize>>>; 2] = Default::default();
    for n in 0..500 {
        let [by_key, by_strand] = logs.clone();
        keys.spawn("key", move || by_key.lock().unwrap().push(n)).unwrap();
        strand.spawn(move || by_strand.lock().unwrap().push(n)).unwrap();
        pool.spawn_when(&value, move |log| log.push(n)).unwrap();
        if n % 100 == 0 {
            // Nobody but the panic handler hears of it, and what it had is given back.
            keys.spawn("key", || std::panic::resume_unwind(Box::new("a task's own"))).unwrap();
            pool.spawn_when(&value, |_| std::panic::resume_unwind(Box::new("a task's own"))).unwrap();
        }
    }
    assert!(matches!(pool.spawn_when((&value, &value), |_| ()), Err(TaskError::Aliased)));
    pool.shutdown();
    for log in logs {
        assert_eq!(*log.lock().unwrap(), (0..500).collect::<Vec<_>>());
    }
    assert_eq!(pool.metrics().panicked, 10);
    assert!(keys.spawn("key", || ()).is_err() && strand.spawn(|| ()).is_err());
    assert!(matches!(pool.spawn_when(&value, |_| ()), Err(TaskError::Refused)));
    assert_eq!(value.try_unwrap().unwrap(), (0..500).collect::<Vec<_>>());
}

// Contract: 103.
pub(crate) fn a_hundred_thousand_tasks_never_overlap<P: LockPolicy>(pool: &ThreadPool<P>) {
    const KEYS: usize = 8;
    let keys = pool.keyed::<usize>();
    // Taken and given back by whoever has the key.
    let taken: Arc<[AtomicBool; KEYS]> = Arc::default();
    let overlaps = Arc::new(AtomicUsize::new(0));
    let mut next = numbers(7);
    for n in 0..100_000 {
        let (taken, overlaps) = (taken.clone(), overlaps.clone());
        let [a, b] = distinct(KEYS, &mut next);
        let run = move |mine: &[usize]| {
            let before = mine.iter().filter(|&&key| taken[key].swap(true, SeqCst)).count();
            overlaps.fetch_add(before, SeqCst);
            mine.iter().for_each(|&key| taken[key].store(false, SeqCst));
        };
        if n % 2 == 0 {
            keys.spawn(a, move || run(&[a])).unwrap();
        } else {
            drop(keys.submit_all([(a, Access::Exclusive), (b, Access::Exclusive)], move || run(&[a, b])));
        }
    }
    pool.shutdown();
    assert_eq!((overlaps.load(SeqCst), pool.metrics().finished), (0, 100_000));
}

// Contract: 106.
pub(crate) fn keys_in_opposite_orders_make_progress<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed::<&str>();
    let runs = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for names in [["a", "b"], ["b", "a"]] {
            let (keys, runs) = (&keys, &runs);
            scope.spawn(move || {
                for _ in 0..3_000 {
                    let runs = runs.clone();
                    drop(keys.submit_all(names.map(|name| (name, Access::Exclusive)), move || {
                        runs.fetch_add(1, SeqCst);
                    }));
                }
            });
        }
    });
    keys.submit_all([("a", Access::Exclusive), ("b", Access::Exclusive)], || ()).result().unwrap();
    assert_eq!(runs.load(SeqCst), 6_000);
}

// Contract: 107.
pub(crate) fn philosophers_with_keys_for_forks_all_eat<P: LockPolicy>(pool: &ThreadPool<P>) {
    for count in [2, 5, 50] {
        let forks = pool.keyed::<usize>();
        let watches: Vec<_> = (0..count).map(|_| Watch::default()).collect();
        let meals: Vec<_> = (0..2 * count)
            .map(|n| {
                let pair = [n % count, (n + 1) % count];
                let mine = pair.map(|fork| watches[fork].clone());
                forks.submit_all(pair.map(|fork| (fork, Access::Exclusive)), move || {
                    mine.iter().for_each(Watch::enter);
                })
            })
            .collect();
        meals.into_iter().for_each(|meal| meal.result().unwrap());
        assert!(watches.iter().all(|watch| watch.0.1.load(SeqCst) == 4), "each fork is used by two, twice");
    }
}

// Contract: 109.
pub(crate) fn a_reader_of_a_key_does_not_overtake_a_waiting_writer<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed();
    let log = Arc::new(Mutex::new(Vec::new()));
    let (open, holder) = hold(&keys, 1);
    let line: Vec<_> = [("read", Access::Shared), ("write", Access::Exclusive), ("read later", Access::Shared)]
        .into_iter()
        .map(|(name, access)| {
            let log = log.clone();
            keys.submit_all([(1, access)], move || log.lock().unwrap().push(name))
        })
        .collect();
    open.send(()).unwrap();
    holder.result().unwrap();
    line.into_iter().for_each(|handle| handle.result().unwrap());
    assert_eq!(*log.lock().unwrap(), ["read", "write", "read later"]);
}

// Contract: 109.
pub(crate) fn readers_and_writers_of_a_key_never_meet<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed();
    let (readers, watch) = (Arc::new(AtomicUsize::new(0)), Watch::default());
    for n in 0..2_000 {
        let (readers, watch) = (readers.clone(), watch.clone());
        if n % 5 == 0 {
            drop(keys.submit("key", move || {
                assert_eq!(readers.load(SeqCst), 0, "a reader is here");
                watch.enter();
                assert_eq!(readers.load(SeqCst), 0, "a reader came");
            }));
        } else {
            drop(keys.submit_shared("key", move || {
                readers.fetch_add(1, SeqCst);
                assert!(!watch.0.0.load(SeqCst), "a writer is here");
                thread::yield_now();
                readers.fetch_sub(1, SeqCst);
            }));
        }
    }
    pool.shutdown();
    assert_eq!((watch.0.1.load(SeqCst), pool.metrics().panicked), (400, 0));
}

// Contract: 110.
pub(crate) fn who_waits_for_a_key_delays_nobody_who_needs_another<P: LockPolicy>(pool: &ThreadPool<P>) {
    if P::Gate::EXCLUSIVE {
        return;
    }
    let keys = pool.keyed();
    let (open, holder) = hold(&keys, 1);
    let waiting: Vec<_> = (0..10).map(|_| keys.submit(1, || ())).collect();
    assert_eq!(keys.submit(2, || 2).result().unwrap(), 2);
    assert!(waiting.iter().all(|handle| handle.state() == TaskState::Queued));
    open.send(()).unwrap();
    holder.result().unwrap();
    waiting.into_iter().for_each(|handle| handle.result().unwrap());
}

// Contract: 112.
pub(crate) fn nobody_starts_early_for_a_cancelled_task<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed();
    let held = Arc::new(AtomicBool::new(true));
    let ends = held.clone();
    let (open, gate) = mpsc::channel::<()>();
    let (started, starts) = mpsc::channel();
    let holder = keys.submit(1, move || {
        started.send(()).unwrap();
        let _closed = lockgrain::blocking(|| gate.recv());
        ends.store(false, SeqCst);
    });
    starts.recv().unwrap();
    let middle = keys.submit(1, || ());
    let successor = keys.submit(1, move || held.load(SeqCst));
    assert!(middle.cancel());
    if !P::Gate::EXCLUSIVE {
        // Whoever could start early has had its chance by then.
        (0..10).for_each(|_| keys.submit(2, || ()).result().unwrap());
    }
    assert_eq!(successor.state(), TaskState::Queued);
    open.send(()).unwrap();
    assert!(!successor.result().unwrap(), "it ran while another had the key");
    holder.result().unwrap();
    assert!(matches!(middle.result(), Err(TaskError::Cancelled)));
}

// Contract: 113.
pub(crate) fn a_task_with_a_key_waits_for_its_child<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed::<u32>();
    let log = Arc::new(Mutex::new(Vec::new()));
    let (parents, childs, nexts) = (log.clone(), log.clone(), log.clone());
    let (inner, others) = (keys.clone(), pool.clone());
    let parent = keys.submit(1, move || {
        let next = inner.submit(1, move || nexts.lock().unwrap().push("next"));
        let child = others.submit(move || childs.lock().unwrap().push("child"));
        let waited = child.wait();
        parents.lock().unwrap().push("parent");
        (waited, next, child)
    });
    let (waited, next, child) = parent.result().unwrap();
    next.result().unwrap();
    child.result().unwrap();
    if P::Gate::EXCLUSIVE {
        // It has the lock, which the child needs.
        assert_eq!(waited, Err(WaitError::WouldDeadlock));
        assert_eq!(log.lock().unwrap()[0], "parent");
    } else {
        assert_eq!(waited, Ok(()));
        assert_eq!(*log.lock().unwrap(), ["child", "parent", "next"]);
    }
}
