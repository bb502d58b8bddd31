//! What a space of keys is: which of them are equal, what it keeps, and who is kept apart by more than a key. Contract 103–115.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use lockgrain::gate::Gate;
use lockgrain::{Access, Keyed, LockPolicy, TaskError, TaskState, ThreadPool, WaitError};

use super::guarded::{distinct, numbers};
use super::keyed::{Watch, hold, until_empty};

/// All of them have the same hash.
#[derive(PartialEq, Eq)]
struct Collides(u32);

impl Hash for Collides {
    fn hash<H: Hasher>(&self, state: &mut H) {
        0_u32.hash(state);
    }
}

// Contract: 105, 109.
pub(crate) fn different_keys_are_never_in_each_others_way<P: LockPolicy>(pool: &ThreadPool<P>) {
    if P::Gate::EXCLUSIVE || pool.max_workers() < 2 {
        return;
    }
    let keys = pool.keyed();
    let both = Arc::new(Barrier::new(2));
    let meet = |key, access| {
        let both = both.clone();
        keys.submit_all([(Collides(key), access)], move || {
            both.wait();
        })
    };
    // Two keys, and two readers of one.
    for (second, access) in [(2, Access::Exclusive), (1, Access::Shared)] {
        let met = [meet(1, access), meet(second, access)];
        met.into_iter().for_each(|handle| handle.result().unwrap());
    }
    // Nor are the keys of two spaces.
    let (here, there) = (pool.keyed(), pool.keyed());
    let met = [&here, &there].map(|keys| {
        let both = both.clone();
        keys.submit(1, move || {
            both.wait();
        })
    });
    met.into_iter().for_each(|handle| handle.result().unwrap());
}

/// Counts what it hashes.
#[derive(Default)]
struct Counting(Arc<AtomicUsize>);

impl BuildHasher for Counting {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        self.0.fetch_add(1, SeqCst);
        DefaultHasher::new()
    }
}

pub(crate) fn keys_have_the_hash_that_they_are_given<P: LockPolicy>(pool: &ThreadPool<P>) {
    let hasher = Counting::default();
    let hashed = hasher.0.clone();
    let keys: Keyed<String, P, Counting> = pool.keyed_with_hasher(hasher);
    let ran: [Arc<Mutex<Vec<usize>>>; 3] = Default::default();
    let handles: Vec<_> = (0..60)
        .map(|n| {
            let ran = ran[n % 3].clone();
            keys.clone().submit((n % 3).to_string(), move || ran.lock().unwrap().push(n))
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.result().unwrap());
    for (key, ran) in ran.iter().enumerate() {
        assert_eq!(*ran.lock().unwrap(), (0..20).map(|turn| 3 * turn + key).collect::<Vec<_>>());
    }
    // Once each; or not at all, if the gate covers all keys.
    let hashed = hashed.load(SeqCst);
    assert!(hashed == 60 || (P::Gate::EXCLUSIVE && hashed == 0), "{hashed} times for 60 tasks");
}

// Contract: 108.
pub(crate) fn a_key_named_twice_is_taken_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed();
    let (shared, exclusive) = (Access::Shared, Access::Exclusive);
    assert_eq!(keys.submit_all([(1, exclusive), (2, shared), (1, exclusive)], || 1).result().unwrap(), 1);
    let watch = Watch::default();
    for n in 0..200 {
        // Whichever comes first, it is exclusive.
        let twice = if n % 2 == 0 { [(1, shared), (1, exclusive)] } else { [(1, exclusive), (1, shared)] };
        let watch = watch.clone();
        drop(keys.submit_all(twice, move || watch.enter()));
    }
    keys.submit(1, || ()).result().unwrap();
    assert_eq!(watch.0.1.load(SeqCst), 200);
    assert_eq!(pool.metrics().panicked, 0);
    assert_eq!(keys.submit_all([], || 7).result().unwrap(), 7);
    until_empty(&keys);
}

// Contract: 115.
pub(crate) fn a_key_takes_memory_only_while_tasks_name_it<P: LockPolicy>(pool: &ThreadPool<P>) {
    /// Counts those there are.
    #[derive(PartialEq, Eq, Hash)]
    struct Counted(u32, Count);
    #[derive(Clone, Eq)]
    struct Count(Arc<()>);
    impl Hash for Count {
        fn hash<H: Hasher>(&self, _state: &mut H) {}
    }
    impl PartialEq for Count {
        fn eq(&self, _other: &Self) -> bool {
            true
        }
    }
    let count = Count(Arc::new(()));
    let keys = pool.keyed();
    let handles: Vec<_> = (0..2_000).map(|n| keys.submit(Counted(n % 1_000, count.clone()), move || n)).collect();
    for (n, handle) in (0..).zip(handles) {
        assert_eq!(handle.result().unwrap(), n);
    }
    until_empty(&keys);
    while Arc::strong_count(&count.0) > 1 {
        thread::yield_now();
    }
}

pub(crate) fn panicking_keys_are_survived<P: LockPolicy>(pool: &ThreadPool<P>) {
    struct Bomb;
    impl PartialEq for Bomb {
        fn eq(&self, _other: &Self) -> bool {
            panic!("a panicking comparison")
        }
    }
    impl Eq for Bomb {}
    impl Hash for Bomb {
        fn hash<H: Hasher>(&self, _state: &mut H) {}
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("a panicking drop");
            }
        }
    }
    let keys = pool.keyed();
    let first = keys.submit(Bomb, || 1);
    let second = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| keys.submit(Bomb, || 2)));
    assert_eq!(first.result().unwrap(), 1);
    if let Ok(second) = second {
        // The first had ended, or there is no table, as the gate covers the keys.
        assert_eq!(second.result().unwrap(), 2);
    }
    until_empty(&keys);
    assert_eq!(pool.submit(|| 3).result().unwrap(), 3);
}

// Contract: 103, 104.
pub(crate) fn a_strand_runs_its_tasks_one_after_another<P: LockPolicy>(pool: &ThreadPool<P>) {
    let strand = pool.strand();
    let (watch, log) = (Watch::default(), Arc::new(Mutex::new(Vec::new())));
    for n in 0..1_000 {
        let (watch, log) = (watch.clone(), log.clone());
        drop(strand.submit(move || {
            watch.enter();
            log.lock().unwrap().push(n);
        }));
    }
    strand.submit(|| ()).result().unwrap();
    assert_eq!(*log.lock().unwrap(), (0..1_000).collect::<Vec<_>>());
}

pub(crate) fn keys_and_values_are_taken_in_one_step<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (keys, others, log) = (pool.keyed::<u32>(), pool.keyed::<u32>(), pool.guarded(Vec::new()));
    let (open, holder) = hold(&keys, 1);
    let first = pool.when((keys.key(1), others.key(1).shared(), &log), |(_, _, log)| log.push("both"));
    let second = others.submit(1, || ());
    let third = pool.when((keys.key(2), others.key(2)), |_| ());
    let overlaps = !P::Gate::EXCLUSIVE && pool.max_workers() > 1;
    if overlaps {
        third.wait().unwrap();
        assert_eq!((first.state(), second.state()), (TaskState::Queued, TaskState::Queued));
    }
    open.send(()).unwrap();
    holder.result().unwrap();
    third.result().unwrap();
    first.result().unwrap();
    second.result().unwrap();
    assert_eq!(pool.when(&log, |log| log.len()).result().unwrap(), 1);
    let twice = pool.when((keys.key(3), keys.key(3)), |_| ()).result();
    // Under a gate that covers all keys nothing is taken.
    assert!(matches!(twice, Err(TaskError::Aliased) | Ok(())));
    until_empty(&keys);
    until_empty(&others);
}

pub(crate) fn a_task_alone_meets_no_other<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed::<usize>();
    let (inside, alone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    thread::scope(|scope| {
        for seed in 0..2 {
            let (keys, inside, alone) = (&keys, &inside, &alone);
            scope.spawn(move || {
                let mut next = numbers(seed);
                for n in 0..2_000 {
                    let (inside, alone) = (inside.clone(), alone.clone());
                    if n % 50 == 0 {
                        let audit = keys.exclusive_all(move || {
                            assert_eq!(inside.load(SeqCst), 0, "nobody else runs");
                            alone.fetch_add(1, SeqCst);
                            thread::yield_now();
                            assert_eq!(inside.load(SeqCst), 0, "and nobody comes");
                        });
                        // Some are given up.
                        if n % 200 == 0 {
                            audit.cancel();
                        }
                        continue;
                    }
                    let run = move || {
                        inside.fetch_add(1, SeqCst);
                        thread::yield_now();
                        inside.fetch_sub(1, SeqCst);
                    };
                    let [a, b, _] = distinct(64, &mut next);
                    match n % 3 {
                        0 => keys.spawn(a, run).unwrap(),
                        1 => drop(keys.submit_all([(a, Access::Exclusive), (b, Access::Shared)], run)),
                        _ => drop(pool.when((keys.key(a).shared(), keys.key(b)), move |_| run())),
                    }
                }
            });
        }
    });
    keys.exclusive_all(|| ()).result().unwrap();
    pool.shutdown();
    assert_eq!(pool.metrics().panicked, 0);
    assert!(alone.load(SeqCst) >= 60, "{} of 80 ran", alone.load(SeqCst));
    until_empty(&keys);
}

pub(crate) fn a_task_alone_keeps_its_place<P: LockPolicy>(pool: &ThreadPool<P>) {
    let keys = pool.keyed::<u32>();
    let log = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let log = log.clone();
        move || log.lock().unwrap().push(name)
    };
    let (open, holder) = hold(&keys, 1);
    let all = [
        keys.submit(1, note("before, same key")),
        keys.exclusive_all(note("alone")),
        keys.submit(2, note("after, another key")),
        keys.submit(1, note("after, same key")),
        keys.exclusive_all(note("alone again")),
        keys.submit(3, note("last")),
    ];
    open.send(()).unwrap();
    holder.result().unwrap();
    all.into_iter().for_each(|handle| handle.result().unwrap());
    let log = log.lock().unwrap();
    let at = |name| log.iter().position(|noted| *noted == name).unwrap();
    assert_eq!((at("before, same key"), at("alone"), at("alone again"), at("last")), (0, 1, 4, 5));
    // While it runs, it can't wait for another.
    let (inner, pool) = (keys.clone(), pool.clone());
    let waits = keys.exclusive_all(move || {
        let [behind, plain] = [inner.submit(4, || ()), pool.submit(|| ())].map(|handle| handle.wait());
        (behind, plain)
    });
    let plain = if P::Gate::EXCLUSIVE { Err(WaitError::WouldDeadlock) } else { Ok(()) };
    assert_eq!(waits.result().unwrap(), (Err(WaitError::WouldDeadlock), plain));
    until_empty(&keys);
}
