//! Guarded values. Contract 103–114.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use lockgrain::gate::Gate;
use lockgrain::{Guarded, LockPolicy, TaskError, TaskHandle, ThreadPool, WaitError};

/// A value that notices when two tasks use it at once.
struct Account {
    balance: i64,
    used: Arc<AtomicBool>,
}

impl Account {
    fn new(balance: i64) -> Self {
        Self { balance, used: Arc::default() }
    }

    fn change(&mut self, by: i64) {
        assert!(!self.used.swap(true, SeqCst), "two tasks have the account");
        thread::yield_now();
        self.balance += by;
        self.used.store(false, SeqCst);
    }
}

/// Numbers that look random; the same in each run.
pub(super) fn numbers(mut seed: usize) -> impl FnMut(usize) -> usize {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

pub(super) fn distinct<const N: usize>(below: usize, next: &mut impl FnMut(usize) -> usize) -> [usize; N] {
    loop {
        let drawn = std::array::from_fn(|_| next(below));
        if (1..N).all(|at| !drawn[..at].contains(&drawn[at])) {
            return drawn;
        }
    }
}

// Contract: 103.
pub(crate) fn transfers_on_pairs_and_triples_keep_the_sum<P: LockPolicy>(pool: &ThreadPool<P>) {
    let accounts: Vec<_> = (0..8).map(|_| pool.guarded(Account::new(100))).collect();
    thread::scope(|scope| {
        for seed in 0..2 {
            let accounts = &accounts;
            scope.spawn(move || {
                let mut next = numbers(seed);
                for round in 0..2_000 {
                    if round % 2 == 0 {
                        let [a, b] = distinct(8, &mut next).map(|at| &accounts[at]);
                        drop(pool.when((a, b), |(a, b)| {
                            a.change(-7);
                            b.change(7);
                        }));
                    } else {
                        let [a, b, c] = distinct(8, &mut next).map(|at| &accounts[at]);
                        drop(pool.when((a, b, c), |(a, b, c)| {
                            a.change(-10);
                            b.change(4);
                            c.change(6);
                        }));
                    }
                }
            });
        }
    });
    let sum = pool.when(&accounts, |accounts| accounts.into_iter().map(|account| account.balance).sum::<i64>());
    assert_eq!(sum.result().unwrap(), 800);
    let metrics = pool.metrics();
    assert_eq!((metrics.panicked, metrics.queue_depth), (0, 0));
}

/// What is lent for an array can be taken apart.
pub(crate) fn an_array_is_lent_for_an_array<P: LockPolicy>(pool: &ThreadPool<P>) {
    let accounts = [3, 4].map(|balance| pool.guarded(Account::new(balance)));
    let transfer = pool.when(&accounts, |[from, to]| {
        from.change(-3);
        to.change(3);
        [from.balance, to.balance]
    });
    assert_eq!(transfer.result().unwrap(), [0, 7]);
    let readers = accounts.each_ref().map(|account| account.shared());
    assert_eq!(pool.when(&readers, |[from, to]| to.balance - from.balance).result().unwrap(), 7);
    let [a, b] = &accounts;
    pool.when([a, b], |[a, b]| std::mem::swap(&mut a.balance, &mut b.balance)).result().unwrap();
    assert_eq!(pool.when(a, |a| a.balance).result().unwrap(), 7);
    let picked = vec![b, a];
    let balances = pool.when(&picked, |picked| [picked[0].balance, picked[1].balance]);
    assert_eq!(balances.result().unwrap(), [0, 7]);
    assert!(matches!(pool.when([a, a], |_| ()).result(), Err(TaskError::Aliased)));
}

// Contract: 104.
pub(crate) fn conflicting_tasks_run_in_the_order_of_their_submission<P: LockPolicy>(pool: &ThreadPool<P>) {
    let log = pool.guarded(Vec::new());
    let other = pool.guarded(());
    let mut log_from_a_task = pool.guarded(Vec::new());
    for n in 0..1_000 {
        if n % 3 == 0 {
            drop(pool.when((&log, &other), move |(log, ())| log.push(n)));
        } else {
            drop(pool.when(&log, move |log| log.push(n)));
        }
    }
    // Each link of the chain is submitted by another thread.
    for n in 1_000..1_010 {
        thread::scope(|scope| {
            scope.spawn(|| drop(pool.when(&log, move |log| log.push(n))));
        });
    }
    assert_eq!(pool.when(&log, std::mem::take).result().unwrap(), (0..1_010).collect::<Vec<_>>());

    // By a task of the pool, whose own queue may be last in, first out.
    let (inner, mine) = (pool.clone(), log_from_a_task.clone());
    let submit = move || (0..100).for_each(|n| drop(inner.when(&mine, move |log| log.push(n))));
    pool.submit(submit).result().unwrap();
    assert_eq!(pool.when(&log_from_a_task, std::mem::take).result().unwrap(), (0..100).collect::<Vec<_>>());
    // Nobody else is left to use it.
    loop {
        match log_from_a_task.try_unwrap() {
            Ok(log) => break assert!(log.is_empty()),
            Err(again) => log_from_a_task = again,
        }
    }
}

// Contract: 105, 109.
pub(crate) fn tasks_with_nothing_in_common_overlap<P: LockPolicy>(pool: &ThreadPool<P>) {
    if P::Gate::EXCLUSIVE || pool.max_workers() < 2 {
        return;
    }
    let both = Arc::new(Barrier::new(2));
    let meet = |value: Guarded<(), P>| {
        let both = both.clone();
        pool.when(&value, move |()| {
            both.wait();
        })
    };
    let met = [meet(pool.guarded(())), meet(pool.guarded(()))];
    met.into_iter().for_each(|handle| handle.result().unwrap());
    // Readers of one value, too.
    let value = pool.guarded(());
    let read = || {
        let both = both.clone();
        pool.when(value.shared(), move |()| {
            both.wait();
        })
    };
    let met = [read(), read()];
    met.into_iter().for_each(|handle| handle.result().unwrap());
}

// Contract: 107.
pub(crate) fn philosophers_all_eat<P: LockPolicy>(pool: &ThreadPool<P>) {
    for count in [5, 100] {
        let forks: Vec<_> = (0..count).map(|_| pool.guarded(Account::new(0))).collect();
        let meals: Vec<_> = (0..2 * count)
            .map(|n| {
                pool.when((&forks[n % count], &forks[(n + 1) % count]), |(left, right)| {
                    left.change(1);
                    right.change(1);
                })
            })
            .collect();
        meals.into_iter().for_each(|meal| meal.result().unwrap());
        let uses = pool.when(&forks, |forks| forks.into_iter().map(|fork| fork.balance).sum::<i64>());
        assert_eq!(uses.result().unwrap(), 4 * count as i64);
    }
}

// Contract: 108.
pub(crate) fn a_value_named_twice_is_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    let value = pool.guarded(1);
    let same = value.clone();
    let twice = pool.when((&value, &same), |(_, _)| ());
    assert!(matches!(twice.result(), Err(TaskError::Aliased)));
    assert!(matches!(pool.when((&value, value.shared()), |_| ()).result(), Err(TaskError::Aliased)));
    assert!(matches!(pool.when(&vec![value.clone(), same], |_| ()).result(), Err(TaskError::Aliased)));
    assert_eq!(pool.when(&value, |value| *value).result().unwrap(), 1);
}

/// Keeps the value until the gate is opened; has it when this returns.
fn hold<P: LockPolicy>(pool: &ThreadPool<P>, value: &Guarded<u32, P>) -> (mpsc::Sender<()>, TaskHandle<()>) {
    let (open, gate) = mpsc::channel::<()>();
    let (started, starts) = mpsc::channel();
    let holder = pool.when(value, move |_| {
        started.send(()).unwrap();
        let _closed = lockgrain::blocking(|| gate.recv());
    });
    starts.recv().unwrap();
    (open, holder)
}

// Contract: 109.
pub(crate) fn a_reader_behind_a_waiting_writer_does_not_overtake<P: LockPolicy>(pool: &ThreadPool<P>) {
    let value = pool.guarded(0);
    let (open, holder) = hold(pool, &value);
    let before = pool.when(value.shared(), |value| *value);
    let write = pool.when(&value, |value| *value += 1);
    let after = pool.when(value.shared(), |value| *value);
    open.send(()).unwrap();
    assert_eq!(before.result().unwrap(), 0);
    write.result().unwrap();
    assert_eq!(after.result().unwrap(), 1);
    holder.result().unwrap();
}

// Contract: 110.
pub(crate) fn a_waiting_task_delays_nobody_who_wants_another_value<P: LockPolicy>(pool: &ThreadPool<P>) {
    if P::Gate::EXCLUSIVE {
        return;
    }
    let (busy, free) = (pool.guarded(0), pool.guarded(0));
    let (open, holder) = hold(pool, &busy);
    let waits = pool.when(&busy, |_| ());
    pool.when(&free, |_| ()).result().unwrap();
    assert!(!waits.is_finished());
    open.send(()).unwrap();
    waits.result().unwrap();
    holder.result().unwrap();
}

// Contract: 111.
pub(crate) fn a_panic_gives_the_value_back<P: LockPolicy>(pool: &ThreadPool<P>) {
    let value = pool.guarded(3);
    let panics = pool.when(&value, |_| std::panic::resume_unwind(Box::new(())));
    assert!(matches!(panics.result(), Err::<(), _>(TaskError::Panicked(_))));
    assert_eq!(pool.when(&value, |value| *value).result().unwrap(), 3);
}

pub(crate) fn a_cancelled_task_is_passed_over<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (value, other) = (pool.guarded(0), pool.guarded(0));
    let (open, holder) = hold(pool, &value);
    let dropped = Arc::new(());
    let held = dropped.clone();
    let middle = pool.when((&value, &other), move |_| drop(held));
    let last = pool.when(&other, |other| *other += 1);
    assert!(middle.cancel());
    assert_eq!(Arc::strong_count(&dropped), 1, "its closure is dropped at once");
    assert!(matches!(middle.result(), Err(TaskError::Cancelled)));
    open.send(()).unwrap();
    last.result().unwrap();
    holder.result().unwrap();
    assert_eq!(pool.when((&value, &other), |(a, b)| *a + *b).result().unwrap(), 1);
}

pub(crate) fn a_long_line_of_cancelled_tasks_does_not_fill_the_stack<P: LockPolicy>(pool: &ThreadPool<P>) {
    let value = pool.guarded(0);
    let (open, holder) = hold(pool, &value);
    let line: Vec<_> = (0..20_000).map(|_| pool.when(&value, |value| *value += 1)).collect();
    assert!(line.iter().all(TaskHandle::cancel));
    let last = pool.when(&value, |value| *value);
    open.send(()).unwrap();
    assert_eq!(last.result().unwrap(), 0);
    holder.result().unwrap();
}

// Contract: 114.
pub(crate) fn waiting_for_a_task_behind_ones_own_value_is_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (value, second) = (pool.guarded(0), pool.guarded(0));
    // Directly, and through a task that stands in another line before it.
    for through_another in [false, true] {
        let (inner, value, second) = (pool.clone(), value.clone(), second.clone());
        let mine = value.clone();
        let holder = pool.when(&mine, move |_| {
            let between = through_another.then(|| inner.when((&value, &second), |_| ()));
            let target = inner.when(if through_another { &second } else { &value }, |_| ());
            let waited = target.wait();
            drop((between, target));
            waited
        });
        assert_eq!(holder.result().unwrap(), Err(WaitError::WouldDeadlock));
    }
    pool.when((&value, &second), |_| ()).result().unwrap();
}

// Contract: 113.
pub(crate) fn a_task_with_a_value_waits_for_its_child<P: LockPolicy>(pool: &ThreadPool<P>) {
    let value = pool.guarded(0);
    let (inner, mine) = (pool.clone(), value.clone());
    let parent = pool.when(&value, move |value| {
        // Stands in line, and must neither run in the middle of this task nor keep the child from running.
        let next = inner.when(&mine, |value| *value *= 10);
        let child = inner.submit(|| 4);
        let waited = child.wait();
        *value += 1;
        drop(next);
        waited
    });
    let waited = parent.result().unwrap();
    assert_eq!(waited, if P::Gate::EXCLUSIVE { Err(WaitError::WouldDeadlock) } else { Ok(()) });
    assert_eq!(pool.when(&value, |value| *value).result().unwrap(), 10);
}

pub(crate) fn shutdown_runs_what_stands_in_line<P: LockPolicy>(pool: &ThreadPool<P>) {
    let value = pool.guarded(0);
    let line: Vec<_> = (0..100).map(|_| pool.when(&value, |value| *value += 1)).collect();
    pool.shutdown();
    assert!(line.into_iter().all(|handle| handle.result().is_ok()));
    assert!(matches!(pool.when(&value, |_| ()).result(), Err(TaskError::Refused)));
    assert_eq!(value.try_unwrap().unwrap(), 100);
}

pub(crate) fn shutdown_now_ends_what_stands_in_line<P: LockPolicy>(pool: &ThreadPool<P>) {
    let value = pool.guarded(0);
    let (open, holder) = hold(pool, &value);
    let line: Vec<_> = (0..100).map(|_| pool.when(&value, |value| *value += 1)).collect();
    let (cancelled, stopped) = pool.shutdown_now_timeout(std::time::Duration::ZERO);
    assert_eq!((cancelled, stopped), (100, false));
    open.send(()).unwrap();
    holder.result().unwrap();
    assert!(line.into_iter().all(|handle| matches!(handle.result(), Err(TaskError::Cancelled))));
    pool.shutdown();
    assert_eq!(value.try_unwrap().unwrap(), 0);
}

/// What stands in line behind a task that runs is not kept until that one ends.
pub(crate) fn shutdown_now_ends_at_once_what_stands_in_line<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (value, other, keys, limit) = (pool.guarded(0), pool.guarded(0), pool.keyed::<u32>(), pool.limit(2));
    let (open, gate) = mpsc::channel::<()>();
    let (started, starts) = mpsc::channel();
    let holder = pool.when((&value, keys.key(1), limit.permits(2)), move |_| {
        started.send(()).unwrap();
        let _closed = gate.recv();
    });
    starts.recv().unwrap();
    let dropped = Arc::new(());
    let held = || {
        let held = dropped.clone();
        move || drop(held)
    };
    let mut line = Vec::new();
    for _ in 0..10 {
        let [a, b, c, d, e, f] = std::array::from_fn(|_| held());
        line.push(pool.when((&value, &other), move |_| a()));
        line.push(pool.when(value.shared(), move |_| b()));
        // Behind those that wait.
        line.push(pool.when(&other, move |_| c()));
        line.push(keys.submit(1, d));
        line.push(keys.submit_shared(1, e));
        line.push(pool.when(&limit, move |()| f()));
    }
    // Somebody waits for one of them.
    let waited = line.pop().unwrap();
    let waiter = thread::spawn(move || waited.result());
    let detached = held();
    pool.spawn_when(&value, move |_| detached()).unwrap();
    let (cancelled, stopped) = pool.shutdown_now_timeout(std::time::Duration::ZERO);
    assert_eq!((cancelled, stopped), (61, false));
    assert!(matches!(waiter.join().unwrap(), Err(TaskError::Cancelled)));
    assert!(line.iter().all(TaskHandle::is_finished));
    assert!(line.into_iter().all(|handle| matches!(handle.result(), Err(TaskError::Cancelled))));
    // The one without a handle may be left, until its turn.
    assert!(Arc::strong_count(&dropped) <= 2);
    open.send(()).unwrap();
    holder.result().unwrap();
    pool.shutdown();
    assert_eq!(Arc::strong_count(&dropped), 1);
    assert!(keys.is_empty());
    assert_eq!(value.try_unwrap().unwrap(), 0);
}

/// Who cancels lets in the next task while the pool drains, and that one was accepted.
pub(crate) fn a_cancel_in_a_draining_pool_lets_in_the_next<P: LockPolicy>(pool: &ThreadPool<P>) {
    for _ in 0..200 {
        let pool = super::pool::<P>(pool.max_workers());
        let value = pool.guarded(0);
        let first = pool.when(&value, |value| *value += 1);
        let second = pool.when(&value, |value| *value += 1);
        let canceller = thread::spawn(move || first.cancel());
        pool.shutdown();
        second.result().unwrap();
        let cancelled = canceller.join().unwrap();
        assert_eq!(value.try_unwrap().unwrap(), if cancelled { 1 } else { 2 });
    }
}

pub(crate) fn a_value_of_another_pool_is_refused<P: LockPolicy>(pool: &ThreadPool<P>) {
    let other = super::pool::<P>(1);
    let value = other.guarded(1);
    let used = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.when(&value, |_| ())));
    assert!(used.is_err());
    assert_eq!(other.when(&value, |value| *value).result().unwrap(), 1);
}

pub(crate) fn panicking_drops_of_values_are_survived<P: LockPolicy>(pool: &ThreadPool<P>) {
    let value = pool.guarded(super::Bomb);
    let used = pool.when(&value, |_| 1);
    drop(value);
    assert_eq!(used.result().unwrap(), 1);
    assert_eq!(pool.submit(|| 2).result().unwrap(), 2);
}

// Contract: 109.
pub(crate) fn readers_and_writers_never_meet<P: LockPolicy>(pool: &ThreadPool<P>) {
    let value = pool.guarded(Account::new(0));
    let reading = Arc::new(AtomicUsize::new(0));
    for n in 0..2_000 {
        let reading = reading.clone();
        if n % 5 == 0 {
            drop(pool.when(&value, move |value| {
                assert_eq!(reading.load(SeqCst), 0);
                value.change(1);
            }));
        } else {
            drop(pool.when(value.shared(), move |value| {
                reading.fetch_add(1, SeqCst);
                assert!(!value.used.load(SeqCst));
                thread::yield_now();
                reading.fetch_sub(1, SeqCst);
            }));
        }
    }
    assert_eq!(pool.when(value.shared(), |value| value.balance).result().unwrap(), 400);
    assert_eq!(pool.metrics().panicked, 0);
}

// Contract: 111.
pub(crate) fn a_panic_poisons_if_asked<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (value, other) = (pool.guarded(1).poisoning(), pool.guarded(2));
    let panics = |_: (&mut i32, &mut i32)| -> () { std::panic::resume_unwind(Box::new("a task's own")) };
    let broken = pool.when((&value, &other), panics);
    // Whether they were in line before the panic or come after it.
    let behind = pool.when((&other, &value), |(other, _)| *other += 1);
    assert!(matches!(broken.result(), Err(TaskError::Panicked(_))));
    assert!(matches!(behind.result(), Err(TaskError::Poisoned)));
    assert!(value.is_poisoned() && !other.is_poisoned());
    assert!(matches!(pool.when(value.shared(), |value| *value).result(), Err(TaskError::Poisoned)));
    assert!(matches!(pool.when(&vec![other.clone(), value.clone()], |_| ()).result(), Err(TaskError::Poisoned)));
    pool.spawn_when(&value, |value| *value = 7).unwrap();
    // After that one, so that it has had its turn before the value is good again.
    assert!(matches!(pool.when((&value, &other), |_| ()).result(), Err(TaskError::Poisoned)));
    assert_eq!(pool.when(&other, |other| *other).result().unwrap(), 2);
    value.clear_poison();
    assert_eq!(pool.when(&value, |value| *value).result().unwrap(), 1);
    // A reader changes nothing.
    let reader = pool.when(value.shared(), |_| -> () { std::panic::resume_unwind(Box::new("a task's own")) });
    assert!(matches!(reader.result(), Err(TaskError::Panicked(_))));
    assert!(!value.is_poisoned());
    pool.shutdown();
    assert_eq!(pool.metrics().panicked, 2);
}

// Contract: 103.
pub(crate) fn who_does_not_mind_the_order_is_kept_apart_too<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (a, b) = (pool.guarded(Account::new(0)), pool.guarded(Account::new(0)));
    let (keys, used) = (pool.keyed::<u32>(), Arc::new(AtomicBool::new(false)));
    let (inner, mine) = (pool.clone(), (a.clone(), b.clone()));
    let submit = move || {
        let (a, b) = mine;
        let add = |(a, b): (&mut Account, &mut Account)| {
            a.change(1);
            b.change(1);
        };
        for n in 0..1_000 {
            let used = used.clone();
            match n % 5 {
                0 => drop(inner.when(a.unordered(), |a| a.change(2))),
                1 => drop(inner.when((&b, a.unordered()), move |(b, a)| add((a, b)))),
                2 => drop(inner.when(&b, |b| b.change(3))),
                3 => inner.spawn_when(a.shared().unordered(), |a| assert!(!a.used.load(SeqCst))).unwrap(),
                _ => drop(inner.when(keys.key(1).unordered(), move |()| {
                    assert!(!used.swap(true, SeqCst), "two tasks have the key");
                    thread::yield_now();
                    used.store(false, SeqCst);
                })),
            }
        }
    };
    pool.submit(submit.clone()).result().unwrap();
    submit();
    // All have run then, in whatever order.
    pool.shutdown();
    assert_eq!(pool.metrics().panicked, 0);
    let balances = [a, b].map(|value| value.try_unwrap().map(|account| account.balance));
    assert!(matches!(balances, [Ok(1_200), Ok(1_600)]));
}
