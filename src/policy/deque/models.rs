//! Models of the Chase–Lev deque. Entries are cells that their claimer writes: an entry that comes out twice, or before it is
//! whole, is a data race that loom reports.

use std::ptr::NonNull;

use super::chase_lev::Claim;
use super::{ChaseLev, ChaseLevStealer, Deque};
use crate::policy::run_queue::LocalOrder;
use crate::sync::{Arc, UnsafeCell, check, size, thread};
use crate::task::Link;

#[repr(C)]
struct Entry {
    link: Link,
    taken: UnsafeCell<u32>,
}

struct Entries(Vec<Entry>);

// SAFETY: the cells are touched by claimers only, which is what loom checks.
unsafe impl Send for Entries {}
// SAFETY: as above.
unsafe impl Sync for Entries {}

impl Entries {
    fn new(n: usize) -> Arc<Self> {
        Arc::new(Self((0..n).map(|_| Entry { link: Link::new(), taken: UnsafeCell::new(0) }).collect()))
    }

    fn push(&self, deque: &ChaseLev, index: usize) {
        self.0[index].taken.with_mut(|taken| {
            // SAFETY: not pushed yet.
            unsafe { *taken = 1 };
        });
        deque.push_link(NonNull::from(&self.0[index].link));
    }

    fn claim(&self, link: NonNull<Link>) {
        // SAFETY: the link is the first field of an entry of this list.
        let entry = unsafe { link.cast::<Entry>().as_ref() };
        entry.taken.with_mut(|taken| {
            // SAFETY: checked by loom.
            assert_eq!(unsafe { *taken }, 1, "taken once, and after it was pushed");
            // SAFETY: as above.
            unsafe { *taken = 2 };
        });
    }

    fn steal(&self, stealer: &ChaseLevStealer) {
        if let Claim::Entry(link) = stealer.steal_link() {
            self.claim(link);
        }
    }

    fn pop(&self, deque: &ChaseLev) -> bool {
        match deque.pop_link() {
            Some(link) => {
                self.claim(link);
                true
            }
            None => false,
        }
    }

    fn all_taken(&self) {
        for entry in &self.0 {
            // SAFETY: all threads are joined.
            entry.taken.with(|taken| assert_eq!(unsafe { *taken }, 2, "an entry was lost"));
        }
    }
}

/// `pushes` at once, `pops` among them, and `thieves` that steal `steals` times each.
fn owner_against_thieves(order: LocalOrder, bound: Option<usize>, pushes: usize, thieves: usize, steals: usize) {
    check(bound, move || {
        let entries = Entries::new(pushes);
        let deque = ChaseLev::new(order);
        let others: Vec<_> = (0..thieves)
            .map(|_| {
                let (entries, stealer) = (entries.clone(), deque.stealer());
                thread::spawn(move || (0..steals).for_each(|_| entries.steal(&stealer)))
            })
            .collect();
        for index in 0..pushes {
            entries.push(&deque, index);
        }
        entries.pop(&deque);
        entries.pop(&deque);
        for other in others {
            other.join().unwrap();
        }
        while entries.pop(&deque) {}
        entries.all_taken();
    });
}

#[test]
fn the_last_entries_go_to_the_owner_or_to_a_thief() {
    owner_against_thieves(LocalOrder::Lifo, Some(3), 2, size(1, 3), 2);
}

#[test]
fn two_thieves_and_the_owner_take_each_entry_once() {
    owner_against_thieves(LocalOrder::Lifo, Some(3), 2, 2, size(1, 3));
}

#[test]
fn entries_survive_growth_under_a_thief() {
    owner_against_thieves(LocalOrder::Lifo, Some(3), size(3, 9), size(1, 2), size(2, 4));
}

#[test]
fn an_owner_that_takes_the_oldest_races_thieves() {
    owner_against_thieves(LocalOrder::Fifo, Some(3), size(2, 5), 2, size(1, 3));
}
