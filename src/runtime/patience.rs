//! How long a thread looks before it sleeps: as long as looking has paid lately.

use std::cell::Cell;

use crate::sync::{MODEL, hint};

/// Looks of a thread whose looking never pays, some 0.4 µs, and of one whose looking does, some 20 µs. None in a model, where
/// time stands still.
const LEAST: u32 = if MODEL { 0 } else { 2 };
const MOST: u32 = if MODEL { 0 } else { 100 };
/// Looks with a pause or a yield between them.
const STEADY_LOOKS: u32 = if MODEL { 0 } else { 400 };
/// Looks with 1 to 16 yields between them, some 500 ns each.
const LONG_LOOKS: u32 = if MODEL { 0 } else { 16 };
/// Spins in a pause.
const PAUSE: u32 = if MODEL { 0 } else { 8 };
/// How often more a task must be there to count.
const STAYS: u32 = if MODEL { 0 } else { 2 };
/// Every so often it looks for long although it did not pay, as times change.
const PROBE: u32 = 16;

/// One thread's memory of how its looking went.
#[derive(Debug)]
pub(super) struct Patience {
    looks: Cell<u32>,
    missed: Cell<u32>,
    /// Not to look the next time.
    none: Cell<bool>,
}

impl Patience {
    pub(super) const fn new() -> Self {
        Self { looks: Cell::new(MOST), missed: Cell::new(0), none: Cell::new(false) }
    }

    /// The next look is one glance, from which nothing is learnt.
    pub(super) fn look_not(&self) {
        self.none.set(true);
    }

    /// Looks for `there` until it holds, or until this thread's patience is at its end: then false.
    pub(super) fn look(&self, mut there: impl FnMut() -> bool) -> bool {
        if there() {
            return true;
        }
        if self.none.take() {
            return false;
        }
        let probe = self.missed.get() % PROBE == PROBE - 1;
        let looks = if probe { MOST } else { self.looks.get() };
        let found = (0..looks).any(|_| {
            pause();
            there()
        });
        if found {
            self.looks.set(MOST);
            self.missed.set(0);
            return true;
        }
        self.looks.set((self.looks.get() / 2).max(LEAST));
        self.missed.set(self.missed.get().wrapping_add(1));
        false
    }

    /// Looks for some 100 µs, without ever looking less often, and learns nothing from it: for the one thing that a certain other thread may be about to give.
    pub(super) fn look_steadily(mut there: impl FnMut() -> bool) {
        for look in 0..STEADY_LOOKS {
            if there() {
                return;
            }
            if look % 8 == 7 { hint::yield_now() } else { pause() }
        }
    }

    /// Looks for some 100 µs and learns nothing from it: while others work, who may at any moment have something to share. Ever
    /// less often, not to be in their way, and only for what stays: they take most of it back themselves.
    pub(super) fn look_long(mut there: impl FnMut() -> bool) {
        let mut stays = || {
            there()
                && (0..STAYS).all(|_| {
                    pause();
                    there()
                })
        };
        for look in 0..LEAST + LONG_LOOKS {
            if stays() {
                return;
            }
            match look.checked_sub(LEAST) {
                None => pause(),
                Some(late) => (0..1 << (late / 2).min(4)).for_each(|_| hint::yield_now()),
            }
        }
    }
}

/// Some 200 ns.
pub(super) fn pause() {
    (0..PAUSE).for_each(|_| hint::spin_loop());
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use super::*;

    fn fruitless(patience: &Patience) -> u32 {
        let mut looked = 0;
        assert!(!patience.look(|| {
            looked += 1;
            false
        }));
        looked
    }

    #[test]
    fn it_shrinks_while_looking_does_not_pay_and_probes_now_and_then() {
        let patience = Patience::new();
        let looked: Vec<u32> = (0..2 * PROBE).map(|_| fruitless(&patience)).collect();
        assert_eq!(looked[..6], [101, 51, 26, 13, 7, 4]);
        assert_eq!(looked.iter().filter(|&&looked| looked == MOST + 1).count(), 3);
    }

    #[test]
    fn a_long_look_is_for_what_stays() {
        let looks = |there: &dyn Fn(u32) -> bool| {
            let mut looked = 0;
            Patience::look_long(|| {
                looked += 1;
                there(looked)
            });
            looked
        };
        assert_eq!(looks(&|_| false), LEAST + LONG_LOOKS);
        assert_eq!(looks(&|_| true), 1 + STAYS);
        // There for a moment, twice.
        assert_eq!(looks(&|look| look == 2 || look > 4), 4 + 1 + STAYS);
    }

    #[test]
    fn a_steady_look_ends_with_what_it_is_for() {
        let looks = |there: &dyn Fn(u32) -> bool| {
            let mut looked = 0;
            Patience::look_steadily(|| {
                looked += 1;
                there(looked)
            });
            looked
        };
        assert_eq!(looks(&|_| false), STEADY_LOOKS);
        assert_eq!(looks(&|look| look == 20), 20);
    }

    #[test]
    fn once_it_does_not_look_if_told_so() {
        let patience = Patience::new();
        patience.look_not();
        assert_eq!([fruitless(&patience), fruitless(&patience), fruitless(&patience)], [1, 101, 51]);
    }

    #[test]
    fn one_success_brings_it_back() {
        let patience = Patience::new();
        for _ in 0..8 {
            fruitless(&patience);
        }
        let mut looked = 0;
        assert!(patience.look(|| {
            looked += 1;
            looked == 3
        }));
        assert_eq!(fruitless(&patience), MOST + 1);
    }
}
