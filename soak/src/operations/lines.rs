//! Tasks that stand in line for data, keys or permits.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use fastrand::Rng;
use lockgrain::LockPolicy;

use crate::ON_PURPOSE;
use crate::watch::Slot;
use crate::world::{PERMITS, VALUES, World};

impl<P: LockPolicy> World<P> {
    pub(super) fn when(&self, random: &mut Rng, _: &Slot) {
        let mut handles = Vec::new();
        for _ in 0..random.u32(1..30) {
            let (a, b) = (random.usize(..VALUES), random.usize(..VALUES));
            let (added, panics) = (self.added.clone(), random.u32(0..20) == 0);
            let one_more = move |value: &mut u64| {
                *value += 1;
                added.fetch_add(1, Relaxed);
                assert!(!panics, "{ON_PURPOSE}");
            };
            let handle = if a == b {
                self.pool.when(&self.values[a], move |a| one_more(a))
            } else {
                let read = self.values[b].shared();
                self.pool.when((&self.values[a], read), move |(a, b)| {
                    let before = *b;
                    one_more(a);
                    assert_eq!(before, *b, "a writer beside a reader");
                })
            };
            if random.u32(0..5) == 0 {
                handle.cancel();
            }
            handles.push(handle);
        }
        for handle in handles {
            self.books.take(handle.result());
        }
    }

    pub(super) fn key(&self, random: &mut Rng, _: &Slot) {
        let handles: Vec<_> = (0..random.u64(1..30))
            .map(|n| {
                let panics = random.u32(0..20) == 0;
                let f = move || {
                    assert!(!panics, "{ON_PURPOSE}");
                    n
                };
                let handle = match random.u32(0..3) {
                    0 => self.keyed.submit(random.u8(0..8), f),
                    1 => self.keyed.submit_shared(random.u8(0..8), f),
                    _ => self.keyed.exclusive_all(f),
                };
                (n, handle)
            })
            .collect();
        handles.into_iter().for_each(|(n, handle)| self.books.gives(handle, n));
    }

    pub(super) fn strand(&self, random: &mut Rng, _: &Slot) {
        let handles: Vec<_> = (0..random.u64(1..20)).map(|n| self.strand.submit(move || n)).collect();
        (0..).zip(handles).for_each(|(n, handle)| self.books.gives(handle, n));
    }

    pub(super) fn limit(&self, random: &mut Rng, _: &Slot) {
        let handles: Vec<_> = (0..random.u64(1..20))
            .map(|n| {
                let (permits, panics) = (random.usize(0..=PERMITS), random.u32(0..20) == 0);
                let (in_use, value) = (self.in_use.clone(), &self.values[random.usize(..VALUES)]);
                let f = move || {
                    let now = in_use.fetch_add(permits as u64, Relaxed) + permits as u64;
                    thread::yield_now();
                    in_use.fetch_sub(permits as u64, Relaxed);
                    assert!(now <= PERMITS as u64, "more permits than there are");
                    assert!(!panics, "{ON_PURPOSE}");
                    n
                };
                let permits = self.limit.permits(permits);
                let handle = match random.u32(0..3) {
                    0 => self.pool.when((permits, value.shared().unordered()), move |_| f()),
                    1 => self.pool.when((permits, value.unordered()), move |_| f()),
                    _ => self.pool.when(permits, move |()| f()),
                };
                if random.u32(0..8) == 0 {
                    handle.cancel();
                }
                (n, handle)
            })
            .collect();
        handles.into_iter().for_each(|(n, handle)| self.books.gives(handle, n));
    }
}
