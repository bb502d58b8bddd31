//! One task at a time, in all its forms.

use std::task::Poll;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use lockgrain::{LockPolicy, TaskHandle, block_on, blocking, promise};

use super::sleep;
use crate::ON_PURPOSE;
use crate::books::Bomb;
use crate::watch::Slot;
use crate::world::World;

impl<P: LockPolicy> World<P> {
    pub(super) fn submit(&self, random: &mut Rng, _: &Slot) {
        let n = random.u64(..);
        self.books.gives(self.pool.submit(move || n), n);
    }

    pub(super) fn submit_panicking(&self, random: &mut Rng, _: &Slot) {
        let handle: TaskHandle<()> = match random.u32(0..3) {
            0 => self.pool.submit(|| panic!("{ON_PURPOSE}")),
            1 => self.pool.submit(|| std::panic::panic_any(ON_PURPOSE.to_owned())),
            _ => {
                let bomb = Bomb;
                self.pool.submit(move || drop(bomb))
            }
        };
        let got = self.books.take(handle.result());
        self.books.expect(got.is_none(), "a value of a task that panics");
    }

    pub(super) fn spawn(&self, random: &mut Rng, _: &Slot) {
        for _ in 0..random.u32(1..50) {
            let panics = random.u32(0..20) == 0;
            let spawned = self.pool.spawn(move || assert!(!panics, "{ON_PURPOSE}"));
            self.books.expect(spawned.is_ok(), "a spawn is refused");
        }
    }

    pub(super) fn cancel(&self, random: &mut Rng, _: &Slot) {
        let bomb = (random.u32(0..4) == 0).then_some(Bomb);
        let handle = self.pool.submit(move || std::mem::forget(bomb));
        if random.bool() {
            thread::yield_now();
        }
        let cancelled = handle.cancel();
        let got = self.books.take(handle.result());
        self.books.expect(!(cancelled && got.is_some()), "a value of a task that was cancelled");
    }

    pub(super) fn request_cancel(&self, _: &mut Rng, _: &Slot) {
        let handle = self.pool.submit_with(|cx| while cx.checkpoint().is_ok() {});
        thread::yield_now();
        let asked = handle.request_cancel();
        // Ended already, or there is no thread for it.
        if !asked {
            self.books.expect(handle.is_finished(), "a task can't be asked to stop");
        }
        self.books.take(handle.result());
    }

    pub(super) fn drop_handle(&self, random: &mut Rng, _: &Slot) {
        let bomb = (random.u32(0..4) == 0).then_some(Bomb);
        drop(self.pool.submit(move || bomb));
    }

    pub(super) fn timed_wait(&self, random: &mut Rng, _: &Slot) {
        let mut own = random.fork();
        let mut handle = self.pool.submit(move || sleep(&mut own));
        if self.books.take(handle.result_timeout(Duration::from_micros(random.u64(0..500)))).is_none()
            && !handle.is_finished()
        {
            self.books.take(handle.result());
        }
    }

    pub(super) fn callback(&self, random: &mut Rng, _: &Slot) {
        let (send, receive) = std::sync::mpsc::channel();
        let mut handle = self.pool.submit(|| 7);
        for n in 0..3 {
            let (send, panics) = (send.clone(), random.u32(0..4) == 0);
            handle.on_done(move |_| {
                let _nobody_waits = send.send(n);
                assert!(!panics, "{ON_PURPOSE}: a callback");
            });
        }
        drop(send);
        self.books.gives(handle, 7);
        self.books.expect(receive.iter().eq(0..3), "callbacks out of order, or missing");
    }

    pub(super) fn nested(&self, random: &mut Rng, _: &Slot) {
        let (pool, n) = (self.pool.clone(), random.u64(1..20));
        let outer = self.pool.submit(move || {
            let inner: Vec<_> = (0..n).map(|n| pool.submit(move || n)).collect();
            inner
                .into_iter()
                .map(|handle| handle.result().unwrap_or_else(|error| panic!("{ON_PURPOSE}: {error}")))
                .sum()
        });
        self.books.gives(outer, n * (n - 1) / 2);
    }

    pub(super) fn blocking(&self, random: &mut Rng, _: &Slot) {
        let mut own = random.fork();
        let handle = self.pool.submit(move || {
            blocking(|| sleep(&mut own));
            blocking(|| assert!(own.u32(0..4) > 0, "{ON_PURPOSE}"));
            3
        });
        self.books.gives(handle, 3);
    }

    pub(super) fn slow(&self, random: &mut Rng, _: &Slot) {
        let mut own = random.fork();
        let handle = self.pool.submit(move || sleep(&mut own));
        if random.bool() {
            self.books.take(handle.result());
        }
    }

    pub(super) fn context(&self, random: &mut Rng, _: &Slot) {
        let mut own = random.fork();
        let handle = self.pool.submit_with(move |cx| {
            let _asked = cx.checkpoint();
            cx.blocking(|| sleep(&mut own));
            6
        });
        self.books.gives(handle, 6);
    }

    pub(super) fn future(&self, random: &mut Rng, _: &Slot) {
        let (mut polls, panics) = (random.u32(1..8), random.u32(0..6) == 0);
        let inner = self.pool.submit(|| 2_u64);
        let handle = self.pool.spawn_future(async move {
            std::future::poll_fn(|cx| {
                polls -= 1;
                if polls == 0 {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            assert!(!panics, "{ON_PURPOSE}");
            inner.await.map_or(9, |_| 9)
        });
        if random.u32(0..6) == 0 {
            handle.cancel();
        }
        let result = if random.bool() { block_on(handle) } else { handle.result() };
        if let Some(got) = self.books.take(result) {
            self.books.expect(got == 9, "a future's output");
        }
    }

    pub(super) fn schedule(&self, random: &mut Rng, _: &Slot) {
        let handles: Vec<_> = (0..random.u64(1..10))
            .map(|n| (n, self.pool.schedule(Duration::from_micros(random.u64(0..3_000)), move || n)))
            .collect();
        for (n, handle) in handles {
            if random.u32(0..4) == 0 {
                handle.cancel();
            }
            self.books.gives(handle, n);
        }
    }

    pub(super) fn series(&self, random: &mut Rng, _: &Slot) {
        let mut own = random.fork();
        let f = move || assert!(own.u32(0..20) > 0, "{ON_PURPOSE}");
        let (delay, period) = (Duration::ZERO, Duration::from_micros(random.u64(1..500)));
        let handle = if random.bool() {
            self.pool.schedule_at_fixed_rate(delay, period, f)
        } else {
            self.pool.schedule_with_fixed_delay(delay, period, f)
        };
        thread::sleep(Duration::from_micros(random.u64(0..3_000)));
        handle.cancel();
        self.books.take(handle.result());
    }

    pub(super) fn promise(&self, random: &mut Rng, _: &Slot) {
        let (promise, handle) = promise::<u64>();
        let keeps = random.u32(0..4) > 0;
        let _runs = self.pool.spawn(move || {
            if keeps {
                let _late = promise.set_result(8);
            }
        });
        self.books.gives(handle, 8);
    }

    pub(super) fn shared_then(&self, random: &mut Rng, _: &Slot) {
        let panics = random.u32(0..4) == 0;
        let shared = self.pool.submit(|| 4_u64).shared();
        let others: Vec<_> = (0..3).map(|_| shared.clone()).collect();
        let same = others.iter().all(|other| other.result().ok() == shared.result().ok());
        self.books.expect(same, "two readers see two results");
        let then = self.pool.submit(|| 5_u64).then(&self.pool, move |before| {
            assert!(!panics, "{ON_PURPOSE}");
            before.map_or(6, |before| before + 1)
        });
        self.books.gives(then, 6);
    }

    pub(super) fn ranked(&self, random: &mut Rng, _: &Slot) {
        let tasks: Vec<_> = (0..random.u64(1..30))
            .map(|n| {
                let mut task = self.pool.task().priority(random.i8(-2..3));
                if random.u32(0..3) == 0 {
                    task = task.start_within(Duration::from_micros(random.u64(0..500)));
                }
                if random.u32(0..4) == 0 {
                    let spawned = task.spawn(|| ());
                    self.books.expect(spawned.is_ok(), "a spawn with a priority is refused");
                }
                (n, task.submit(move || n))
            })
            .collect();
        for (n, handle) in tasks {
            if random.u32(0..10) == 0 {
                handle.cancel();
            }
            self.books.gives(handle, n);
        }
    }
}
