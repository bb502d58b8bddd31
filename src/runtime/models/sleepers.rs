//! The protocol of `docs/idle.md` by itself: sleepers that wait for a counter instead of a queue.

use crate::runtime::idle::{Idle, Notify};
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, Parker, check, size, thread};

struct Pool {
    idle: Idle,
    queued: AtomicU32,
    parkers: Vec<Parker>,
}

impl Pool {
    fn take(&self) -> bool {
        self.queued.fetch_update(Relaxed, Relaxed, |queued| queued.checked_sub(1)).is_ok()
    }

    fn notify(&self) {
        match self.idle.notify(false) {
            Notify::Wake(index) => self.parkers[index].unpark(),
            Notify::Enough | Notify::Stuck => {}
            Notify::Start | Notify::Stopped => unreachable!("all threads are there"),
        }
    }

    /// A worker whose first task never ends: it runs, or it blocks.
    fn work(&self, index: usize, blocks: bool) {
        let mut searching = true;
        while !self.take() {
            self.idle.sleep(index, searching);
            if self.queued.load(Relaxed) > 0 {
                self.notify();
            }
            self.parkers[index].park();
            searching = true;
        }
        if searching && self.idle.stop_searching() && self.queued.load(Relaxed) > 0 {
            self.notify();
        }
        if !blocks {
            return;
        }
        self.idle.block();
        if self.queued.load(Relaxed) > 0 {
            self.notify();
        }
    }
}

fn every_sleeper_gets_its_task(sleepers: usize, bound: Option<usize>, blocks: bool) {
    check(bound, move || {
        let pool = Arc::new(Pool {
            idle: Idle::new(sleepers, sleepers),
            queued: AtomicU32::new(0),
            parkers: (0..sleepers).map(|_| Parker::new()).collect(),
        });
        let threads: Vec<_> = (0..sleepers)
            .map(|index| {
                assert!(pool.idle.prestart(sleepers));
                let pool = pool.clone();
                thread::spawn(move || pool.work(index, blocks))
            })
            .collect();
        for _ in 0..sleepers {
            pool.queued.fetch_add(1, Relaxed);
            pool.notify();
        }
        // A lost wake-up would be a deadlock here.
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn one_sleeper() {
    every_sleeper_gets_its_task(1, None, true);
}

#[test]
fn two_sleepers() {
    every_sleeper_gets_its_task(size(2, 4), Some(2), true);
}

#[test]
fn two_sleepers_whose_tasks_run_on() {
    every_sleeper_gets_its_task(size(2, 4), Some(3), false);
}

#[test]
fn who_blocks_hands_over() {
    check(Some(4), || {
        let parkers = (0..2).map(|_| Parker::new()).collect();
        let pool = Arc::new(Pool { idle: Idle::new(1, 2), queued: AtomicU32::new(0), parkers });
        // The first runs a task, the second sleeps.
        assert!(pool.idle.prestart(2) && pool.idle.prestart(2));
        let _first_of_two = pool.idle.stop_searching();
        pool.idle.sleep(1, true);
        let blocker = {
            let pool = pool.clone();
            thread::spawn(move || {
                pool.idle.block();
                if pool.queued.load(Relaxed) > 0 {
                    pool.notify();
                }
            })
        };
        let sleeper = {
            let pool = pool.clone();
            thread::spawn(move || {
                pool.parkers[1].park();
                assert!(pool.take());
            })
        };
        pool.queued.fetch_add(1, Relaxed);
        pool.notify();
        blocker.join().unwrap();
        sleeper.join().unwrap();
    });
}

#[test]
fn a_pool_that_grows_finds_what_is_queued() {
    check(Some(4), || {
        let parkers = (0..2).map(|_| Parker::new()).collect();
        let pool = Arc::new(Pool { idle: Idle::new(1, 2), queued: AtomicU32::new(0), parkers });
        // The first runs a task that never ends, the second sleeps.
        assert!(pool.idle.prestart(2) && pool.idle.prestart(2));
        let _first_of_two = pool.idle.stop_searching();
        pool.idle.sleep(1, true);
        let resizer = {
            let pool = pool.clone();
            thread::spawn(move || {
                pool.idle.set_target(2);
                if pool.queued.load(Relaxed) > 0 {
                    pool.notify();
                }
            })
        };
        let sleeper = {
            let pool = pool.clone();
            thread::spawn(move || {
                pool.parkers[1].park();
                assert!(pool.take());
            })
        };
        pool.queued.fetch_add(1, Relaxed);
        pool.notify();
        resizer.join().unwrap();
        sleeper.join().unwrap();
    });
}
