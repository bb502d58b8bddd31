//! Counted limits. Contract 106, 109–114, for permits beside keys and values.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use lockgrain::gate::Gate;
use lockgrain::{Builder, LockPolicy, Permits, TaskError, TaskHandle, ThreadPool, WaitError, blocking};

use super::Occupied;
use super::guarded::{distinct, numbers};

/// Keeps permits until the gate is opened; has them when this returns.
fn hold<P: LockPolicy>(pool: &ThreadPool<P>, permits: Permits<P>) -> (mpsc::Sender<()>, TaskHandle<()>) {
    let (open, gate) = mpsc::channel::<()>();
    let (started, starts) = mpsc::channel();
    let holder = pool.when(permits, move |()| {
        started.send(()).unwrap();
        let _closed = blocking(|| gate.recv());
    });
    starts.recv().unwrap();
    (open, holder)
}

/// Permits in use, and whether there were ever too many.
#[derive(Clone, Default)]
struct Meter(Arc<(AtomicUsize, AtomicUsize)>);

impl Meter {
    fn take(&self, permits: usize) {
        let now = self.0.0.fetch_add(permits, SeqCst) + permits;
        self.0.1.fetch_max(now, SeqCst);
    }

    fn give_back(&self, permits: usize) {
        self.0.0.fetch_sub(permits, SeqCst);
    }

    fn most(&self) -> usize {
        self.0.1.load(SeqCst)
    }
}

pub(crate) fn no_more_run_than_there_are_permits<P: LockPolicy>(pool: &ThreadPool<P>) {
    let limit = pool.limit(4);
    let meter = Meter::default();
    let mut next = numbers(3);
    let handles: Vec<_> = (0..500)
        .map(|_| {
            let (meter, permits) = (meter.clone(), 1 + next(4));
            pool.when(limit.permits(permits), move |()| {
                meter.take(permits);
                // Under an exclusive gate others are let in here.
                blocking(thread::yield_now);
                meter.give_back(permits);
            })
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.result().unwrap());
    assert!(meter.most() <= 4);
}

pub(crate) fn as_many_run_as_there_are_permits<P: LockPolicy>(pool: &ThreadPool<P>) {
    let limit = pool.limit(3);
    let all = Arc::new(Barrier::new(3));
    let meter = Meter::default();
    let meet = || {
        let (all, meter) = (all.clone(), meter.clone());
        pool.when(&limit, move |()| {
            meter.take(1);
            blocking(|| all.wait());
            meter.give_back(1);
        })
    };
    let met: Vec<_> = (0..9).map(|_| meet()).collect();
    met.into_iter().for_each(|handle| handle.result().unwrap());
    assert_eq!(meter.most(), 3);
}

// Contract: 109.
pub(crate) fn who_wants_many_is_not_overtaken<P: LockPolicy>(pool: &ThreadPool<P>) {
    let limit = pool.limit(2);
    let log = Arc::new(Mutex::new(Vec::new()));
    let note = |name| {
        let log = log.clone();
        move |()| log.lock().unwrap().push(name)
    };
    let (open, holder) = hold(pool, limit.permits(1));
    let heavy = pool.when(limit.permits(2), note("heavy"));
    // There is a permit for each of them.
    let light: Vec<_> = (0..10).map(|_| pool.when(&limit, note("light"))).collect();
    if !P::Gate::EXCLUSIVE {
        (0..10).for_each(|_| pool.submit(|| ()).result().unwrap());
    }
    assert!(log.lock().unwrap().is_empty());
    open.send(()).unwrap();
    [holder, heavy].into_iter().chain(light).for_each(|handle| handle.result().unwrap());
    let log = log.lock().unwrap();
    assert_eq!((log[0], log.len()), ("heavy", 11));
}

// Contract: 106.
pub(crate) fn values_keys_and_permits_are_taken_in_one_step<P: LockPolicy>(pool: &ThreadPool<P>) {
    let values: Vec<_> = (0..6).map(|_| pool.guarded(0_usize)).collect();
    let (keys, limits) = (pool.keyed::<usize>(), [pool.limit(1), pool.limit(3)]);
    let taken: Arc<[AtomicBool; 6]> = Arc::default();
    let meter = Meter::default();
    thread::scope(|scope| {
        for seed in 0..2 {
            let (values, keys, limits, taken, meter) = (&values, &keys, &limits, &taken, &meter);
            scope.spawn(move || {
                let mut next = numbers(seed);
                for n in 0..1_500 {
                    let (taken, meter) = (taken.clone(), meter.clone());
                    let [a, b] = distinct(6, &mut next);
                    let with_key = move || {
                        assert!(!taken[b].swap(true, SeqCst), "two tasks have the key");
                        taken[b].store(false, SeqCst);
                    };
                    let heavy = 1 + next(3);
                    let task = match n % 4 {
                        0 => pool.when((&values[a], &values[b], &limits[0]), |(a, b, ())| {
                            *a += 1;
                            *b += 1;
                        }),
                        1 => pool.when((&limits[0], &limits[1], &values[b], &values[a]), |((), (), b, a)| {
                            *b += 1;
                            *a += 1;
                        }),
                        2 => pool.when((&values[a], keys.key(b), limits[1].permits(heavy)), move |(a, (), ())| {
                            meter.take(heavy);
                            with_key();
                            *a += 2;
                            meter.give_back(heavy);
                        }),
                        _ => {
                            let keyed = keys.submit(b, with_key);
                            let plain = pool.when(&values[a], |a| *a += 2);
                            drop(keyed);
                            plain
                        }
                    };
                    drop(task);
                }
            });
        }
    });
    let sum = pool.when(&values, |values| values.into_iter().map(|value| *value).sum::<usize>());
    assert_eq!(sum.result().unwrap(), 6_000);
    pool.shutdown();
    assert_eq!(pool.metrics().panicked, 0);
    assert!(meter.most() <= 3);
}

// Contract: 104.
pub(crate) fn who_waits_for_a_permit_keeps_its_place_for_the_value<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (log, keys) = (pool.guarded(Vec::new()), pool.keyed::<&str>());
    let noted = Arc::new(Mutex::new(Vec::new()));
    let note = |name| {
        let noted = noted.clone();
        move || noted.lock().unwrap().push(name)
    };
    // Named and queued before there is a limit.
    let key = keys.key("key");
    let early = pool.when(&log, |log| log.push("early"));
    let limit = pool.limit(1);
    let (open, holder) = hold(pool, limit.permits(1));
    let waits = pool.when((&log, &limit), |(log, ())| log.push("waits"));
    let next = pool.when(&log, |log| log.push("next"));
    let (waits_too, next_too) = (note("waits"), note("next"));
    let keyed = pool.when((key, &limit), move |_| waits_too());
    let next_keyed = keys.submit("key", next_too);
    let shared = pool.when(log.shared(), |log| log.len());
    early.result().unwrap();
    assert!(!next.is_finished() && !next_keyed.is_finished());
    open.send(()).unwrap();
    [holder, waits, next, keyed, next_keyed].into_iter().for_each(|handle| handle.result().unwrap());
    assert_eq!(shared.result().unwrap(), 3);
    assert_eq!(pool.when(&log, std::mem::take).result().unwrap(), ["early", "waits", "next"]);
    assert_eq!(*noted.lock().unwrap(), ["waits", "next"]);
}

// Contract: 108.
pub(crate) fn a_limit_says_what_it_can_not_do<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (limit, value) = (pool.limit(2), pool.guarded(1));
    assert_eq!(limit.total(), 2);
    let too_many = pool.when((&value, limit.permits(3)), |_| ()).result();
    assert!(matches!(too_many, Err(TaskError::TooManyPermits { asked: 3, most: 2 })));
    assert!(pool.spawn_when(limit.permits(usize::MAX), |()| ()).is_err());
    assert!(matches!(pool.when(&pool.limit(0), |()| ()).result(), Err(TaskError::TooManyPermits { .. })));
    assert!(matches!(pool.when((&limit, limit.permits(1)), |_| ()).result(), Err(TaskError::Aliased)));
    let (open, holder) = hold(pool, limit.permits(2));
    // None are no wait.
    assert_eq!(pool.when((limit.permits(0), &value), |((), value)| *value).result().unwrap(), 1);
    open.send(()).unwrap();
    holder.result().unwrap();
    let other = super::pool::<P>(1);
    let foreign = other.limit(1);
    let used = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.when(&foreign, |()| ())));
    assert!(used.is_err());
}

// Contract: 111.
pub(crate) fn a_panic_gives_permits_back<P: LockPolicy>(pool: &ThreadPool<P>) {
    let limit = pool.limit(2);
    let panics = |()| -> () { std::panic::resume_unwind(Box::new("a task's own")) };
    let broken = pool.when(limit.permits(2), panics);
    let next = pool.when(limit.permits(2), |()| 1);
    assert!(matches!(broken.result(), Err(TaskError::Panicked(_))));
    assert_eq!(next.result().unwrap(), 1);
}

// Contract: 112.
pub(crate) fn who_gives_up_is_passed_over<P: LockPolicy>(pool: &ThreadPool<P>) {
    let limit = pool.limit(2);
    let (open, holder) = hold(pool, limit.permits(1));
    let heavy = pool.when(limit.permits(2), |()| ());
    let line: Vec<_> = (0..20_000).map(|_| pool.when(limit.permits(2), |()| ())).collect();
    let light = pool.when(&limit, |()| ());
    assert!(line.iter().all(TaskHandle::cancel) && heavy.cancel());
    assert!(matches!(heavy.result(), Err(TaskError::Cancelled)));
    open.send(()).unwrap();
    light.result().unwrap();
    holder.result().unwrap();
    pool.when(limit.permits(2), |()| ()).result().unwrap();
    let metrics = pool.metrics();
    assert_eq!((metrics.cancelled, metrics.queue_depth), (20_001, 0));
}

// Contract: 110.
pub(crate) fn who_waits_for_a_permit_keeps_no_worker<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (limit, other) = (pool.limit(1), pool.limit(1));
    let (open, holder) = hold(pool, limit.permits(1));
    let waiting: Vec<_> = (0..20).map(|_| pool.when(&limit, |()| ())).collect();
    assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
    assert_eq!(pool.when(&other, |()| 2).result().unwrap(), 2);
    assert!(waiting.iter().all(|handle| !handle.is_finished()));
    open.send(()).unwrap();
    waiting.into_iter().for_each(|handle| handle.result().unwrap());
    holder.result().unwrap();
}

// Contract: 113.
pub(crate) fn who_holds_some_permits_waits_for_one_that_wants_the_rest<P: LockPolicy>(pool: &ThreadPool<P>) {
    let limit = pool.limit(3);
    let (inner, mine) = (pool.clone(), limit.clone());
    let parent = pool.when(limit.permits(2), move |()| {
        let child = inner.when(&mine, |()| 1);
        let other = inner.submit(|| 2);
        (child.result(), other.result())
    });
    assert!(matches!(parent.result().unwrap(), (Ok(1), Ok(2))));
}

// Contract: 114.
pub(crate) fn waiting_for_one_that_wants_more_than_the_rest_is_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    let limit = pool.limit(3);
    // Directly; behind one that wants more than the rest; behind one that has the rest, and waits for a value behind the holder.
    for way in 0..3 {
        let value = pool.guarded(());
        let (inner, mine) = (pool.clone(), limit.clone());
        let waited = if way < 2 {
            let holder = pool.when(limit.permits(2), move |()| {
                let before = inner.when(mine.permits(if way == 0 { 1 } else { 2 }), |()| ());
                let target = inner.when(mine.permits(if way == 0 { 2 } else { 1 }), |()| ());
                let waited = target.wait();
                drop((before, target));
                waited
            });
            holder.result().unwrap()
        } else {
            let held = value.clone();
            let holder = pool.when((&held, limit.permits(2)), move |_| {
                let before = inner.when((&value, &mine), |_| ());
                let target = inner.when(&mine, |()| ());
                let waited = target.wait();
                drop((before, target));
                waited
            });
            holder.result().unwrap()
        };
        assert_eq!(waited, Err(WaitError::WouldDeadlock), "way {way}");
    }
    pool.when(limit.permits(3), |()| ()).result().unwrap();
}

// Contract: 114.
pub(crate) fn the_last_of_all_holders_that_wait_gets_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    const HOLDERS: usize = 2;
    let limit = pool.limit(HOLDERS);
    let all = Arc::new(Barrier::new(HOLDERS));
    let holders: Vec<_> = (0..HOLDERS)
        .map(|_| {
            let (inner, mine, all) = (pool.clone(), limit.clone(), all.clone());
            pool.when(&limit, move |()| {
                // Nobody waits before both have their permits.
                blocking(|| all.wait());
                inner.when(&mine, |()| ()).wait()
            })
        })
        .collect();
    let waited: Vec<_> = holders.into_iter().map(|holder| holder.result().unwrap()).collect();
    // The permit of the one that gets the error lets the others' children run.
    assert_eq!(waited.iter().filter(|waited| waited.is_err()).count(), 1, "{waited:?}");
    assert!(waited.contains(&Err(WaitError::WouldDeadlock)));
}

pub(crate) fn who_waits_for_a_time_is_counted_on<P: LockPolicy>(pool: &ThreadPool<P>) {
    let limit = pool.limit(2);
    let all = Arc::new(Barrier::new(2));
    let holders = [Some(Duration::from_millis(100)), None].map(|timeout| {
        let (inner, mine, all) = (pool.clone(), limit.clone(), all.clone());
        pool.when(&limit, move |()| {
            blocking(|| all.wait());
            let child = inner.when(&mine, |()| ());
            match timeout {
                Some(timeout) => child.wait_timeout(timeout),
                None => child.wait(),
            }
        })
    });
    // It times out, or its child ran after the child of the other, whose wait was never hopeless.
    let [timed, other] = holders.map(|holder| holder.result().unwrap());
    assert_eq!(other, Ok(()));
    assert!(matches!(timed, Ok(()) | Err(WaitError::TimedOut)), "{timed:?}");
}

pub(crate) fn shutdown_runs_what_waits_for_permits<P: LockPolicy>(pool: &ThreadPool<P>) {
    let limit = pool.limit(2);
    let ran = Arc::new(AtomicUsize::new(0));
    for n in 0..100 {
        let ran = ran.clone();
        pool.spawn_when(limit.permits(1 + n % 2), move |()| super::count(&ran)).unwrap();
    }
    pool.shutdown();
    assert_eq!(ran.load(SeqCst), 100);
    assert!(matches!(pool.when(&limit, |()| ()).result(), Err(TaskError::Refused)));
}

/// Who gets a permit before it, and keeps that, waits for what the waiting one holds.
pub(crate) fn waiting_for_one_behind_who_keeps_what_it_gets_is_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (limit, value) = (pool.limit(2), pool.guarded(()));
    let (open, all) = hold(pool, limit.permits(2));
    let (begun, begins) = mpsc::channel();
    let (give, given) = mpsc::channel::<TaskHandle<()>>();
    let waits = pool.when(&value, move |()| {
        begun.send(()).unwrap();
        let last = given.recv().unwrap();
        (last.wait(), last)
    });
    begins.recv().unwrap();
    let keeps = pool.when((&value, limit.permits(1)), |_| ());
    give.send(pool.when(limit.permits(2), |()| ())).unwrap();
    let (waited, last) = waits.result().unwrap();
    assert_eq!(waited, Err(WaitError::WouldDeadlock));
    drop(open);
    all.result().unwrap();
    keeps.result().unwrap();
    last.result().unwrap();
}

/// Nor of its pool.
pub(crate) fn nothing_is_left_of_a_limit_that_had_several_at_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    let kept = Arc::new(());
    let token = kept.clone();
    let pool = Builder::<P>::new()
        .max_workers(pool.max_workers())
        .panic_handler(move |_payload| drop(token.clone()))
        .build()
        .unwrap();
    let limit = pool.limit(3);
    for permits in [[1, 2], [3, 3], [2, 2]] {
        let occupied = Occupied::all(&pool);
        let handles = permits.map(|permits| pool.when(limit.permits(permits), |()| ()));
        drop(occupied);
        handles.into_iter().for_each(|handle| handle.result().unwrap());
    }
    drop(limit);
    pool.shutdown();
    drop(pool);
    assert_eq!(Arc::strong_count(&kept), 1);
}
