//! Many tasks at once, and changes of the pool under them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use lockgrain::{
    CompletionQueue, Failure, LockPolicy, ReturnWhen, TaskError, TaskHandle, ThreadPool, as_completed, wait,
};

use super::sleep;
use crate::ON_PURPOSE;
use crate::watch::Slot;
use crate::world::{WORKERS, World};

fn fib<P: LockPolicy>(pool: &ThreadPool<P>, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = pool.join(|| fib(pool, n - 1), || fib(pool, n - 2));
    a + b
}

impl<P: LockPolicy> World<P> {
    pub(super) fn submit_many(&self, random: &mut Rng, _: &Slot) {
        let handles: Vec<_> = (0..random.u64(1..200)).map(|n| (n, self.pool.submit(move || n))).collect();
        handles.into_iter().for_each(|(n, handle)| self.books.gives(handle, n));
    }

    pub(super) fn scope(&self, random: &mut Rng, _: &Slot) {
        let (mut numbers, panics) = (vec![0_u64; random.usize(1..30)], random.u32(0..5) == 0);
        self.pool.scope(|s| {
            for number in &mut numbers {
                let _not_draining = s.spawn(move || *number = 1);
            }
            if panics {
                let _not_draining = s.spawn(|| panic!("{ON_PURPOSE}"));
            }
            let inner = s.submit(|| 5);
            self.books.gives(inner, 5);
        });
    }

    pub(super) fn join(&self, random: &mut Rng, _: &Slot) {
        let n = random.u64(5..16);
        let got = self.pool.install(|| fib(&self.pool, n));
        self.books.expect(got == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610][n as usize], "fib");
        if random.bool() {
            self.pool.join(thread::yield_now, || panic!("{ON_PURPOSE}"));
        }
    }

    pub(super) fn map(&self, random: &mut Rng, _: &Slot) {
        let (items, bad) = (random.u64(1..300), random.u64(0..600));
        let map = self.pool.bulk().buffer_size(random.usize(1..400)).map(0..items, move |n| {
            assert!(n != bad, "{ON_PURPOSE}");
            n
        });
        let most = if random.u32(0..4) == 0 { random.usize(..=items as usize) } else { usize::MAX };
        for (n, result) in (0..).zip(map.take(most)) {
            if let Some(got) = self.books.take(result) {
                self.books.expect(got == n, "map out of order");
            }
        }
    }

    pub(super) fn for_each(&self, random: &mut Rng, _: &Slot) {
        let bad = random.u64(0..600);
        let done = self.pool.for_each(0..300, move |n: u64| assert!(n != bad, "{ON_PURPOSE}"));
        self.books.take(done);
    }

    pub(super) fn as_completed(&self, random: &mut Rng, _: &Slot) {
        let items = random.u64(1..50);
        let mut all: Vec<_> = as_completed((0..items).map(|n| self.pool.submit(move || n)))
            .filter_map(|handle| self.books.take(handle.map_or(Err(TaskError::TimedOut), TaskHandle::result)))
            .collect();
        all.dedup();
        self.books.expect(all.len() <= items as usize, "a result twice");
    }

    pub(super) fn wait(&self, random: &mut Rng, _: &Slot) {
        let mut own = random.fork();
        let handles = (0..20).map(|_| {
            let mut own = own.fork();
            self.pool.submit(move || sleep(&mut own))
        });
        let when =
            [ReturnWhen::FirstCompleted, ReturnWhen::FirstException, ReturnWhen::AllCompleted][random.usize(..3)];
        let waited = wait(handles.collect::<Vec<_>>(), when, Duration::from_micros(random.u64(0..3_000)));
        self.books.expect(waited.done.len() + waited.not_done.len() == 20, "a handle is lost");
    }

    pub(super) fn broadcast(&self, random: &mut Rng, _: &Slot) {
        let panics = random.u32(0..4) == 0;
        let f = move |worker| {
            assert!(!panics || worker > 0, "{ON_PURPOSE}");
            worker
        };
        match random.u32(0..3) {
            0 => {
                let _not_draining = self.pool.spawn_broadcast(move |worker| {
                    f(worker);
                });
            }
            1 => {
                let inner = self.pool.clone();
                let handle = self.pool.submit(move || inner.broadcast(f));
                self.in_order(self.books.take(handle.result()).unwrap_or_default());
            }
            _ => self.in_order(self.pool.broadcast(f)),
        }
    }

    fn in_order(&self, workers: Vec<usize>) {
        self.books.expect(workers.iter().copied().eq(0..workers.len()), "a broadcast out of order");
    }

    pub(super) fn change(&self, random: &mut Rng, _: &Slot) {
        match random.u32(0..3) {
            0 => {
                let resized = self.pool.resize(random.usize(1..=2 * WORKERS));
                self.books.expect(resized.is_ok(), "a resize fails");
            }
            1 => {
                let _missing = self.pool.prestart_all();
            }
            _ => {
                self.pool.pause();
                thread::sleep(Duration::from_micros(random.u64(0..500)));
                self.pool.resume();
            }
        }
    }

    pub(super) fn in_a_call(&self, random: &mut Rng, _: &Slot) {
        let (tasks, bad) = (random.u64(0..300), random.u64(0..600));
        let runs = |n| {
            move || {
                assert!(n != bad, "{ON_PURPOSE}");
                n
            }
        };
        if random.bool() {
            let handles = self.pool.submit_many((0..tasks).map(runs));
            self.books.expect(handles.len() as u64 == tasks, "not a handle a task");
            (0..).zip(handles).for_each(|(n, handle)| self.books.gives(handle, n));
        } else {
            let done = Arc::new(AtomicU64::new(0));
            let tasks = (0..tasks).map(|_| {
                let done = done.clone();
                move || {
                    done.fetch_add(1, Relaxed);
                }
            });
            let spawned = self.pool.spawn_many(tasks);
            self.books.expect(spawned.is_ok(), "tasks are refused");
        }
    }

    pub(super) fn try_map(&self, random: &mut Rng, _: &Slot) {
        let (bad, worse) = (random.u64(0..400), random.u64(0..800));
        let all = self.pool.try_map(0..200, move |n: u64| {
            assert!(n != worse, "{ON_PURPOSE}");
            if n == bad { Err(n) } else { Ok(n) }
        });
        match all {
            Ok(all) => self.books.expect(all.into_iter().eq(0..200), "try_map out of order"),
            Err(Failure::Error(n)) => self.books.expect(n == bad, "another task's error"),
            Err(Failure::Task(error)) => drop(self.books.take(Err::<(), _>(error))),
            Err(_) => self.books.expect(false, "try_map of nothing"),
        }
    }

    pub(super) fn invoke_any(&self, random: &mut Rng, _: &Slot) {
        let good = random.u64(0..12);
        let any = self.pool.invoke_any((0..10).map(|n| {
            move || {
                assert!(n % 3 != 0, "{ON_PURPOSE}");
                if n < good { Err(n) } else { Ok(n) }
            }
        }));
        match any {
            Ok(n) => self.books.expect(n >= good, "a failure for a success"),
            Err(Failure::Error(n)) => self.books.expect(n < good, "a success for a failure"),
            Err(Failure::Task(error)) => drop(self.books.take(Err::<(), _>(error))),
            Err(_) => self.books.expect(false, "invoke_any of nothing"),
        }
    }

    pub(super) fn completion_queue(&self, random: &mut Rng, _: &Slot) {
        let (queue, mut own, tasks) = (CompletionQueue::new(), random.fork(), random.usize(1..30));
        let mut taken = 0;
        for _ in 0..tasks {
            let mut own = own.fork();
            queue.submit(&self.pool, move || sleep(&mut own));
            if random.bool()
                && let Some(handle) = queue.try_take()
            {
                taken += 1;
                self.books.take(handle.result());
            }
        }
        while let Ok(Some(handle)) = queue.take_timeout(Duration::from_secs(100)) {
            taken += 1;
            self.books.take(handle.result());
        }
        self.books.expect(taken == tasks && queue.is_empty(), "a handle is lost in a queue");
    }

    /// The others submit on: whether there is a moment of rest is theirs to say.
    pub(super) fn quiescence(&self, random: &mut Rng, _: &Slot) {
        let timeout = Duration::from_micros(random.u64(0..2_000));
        if random.bool() {
            let _there_was = self.pool.await_quiescence(timeout);
        } else {
            let pool = self.pool.clone();
            let handle = self.pool.submit(move || pool.await_quiescence(timeout));
            let _there_was = self.books.take(handle.result());
        }
    }
}
