//! Models of the lines for values. Each thread plays a task, and waits where a task would not have been queued to run yet.

use std::collections::VecDeque;

use super::{Access, Ticket, Turn, ValueLock, WaitList};
use crate::policy::gate::OpenGate;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Parker, UnsafeCell, check, thread};
use crate::task::Identity;

/// One task's wait for all of its values.
struct Turned {
    pending: AtomicUsize,
    parker: Parker,
}

impl Turned {
    fn new(pending: usize) -> Arc<Self> {
        Arc::new(Self { pending: AtomicUsize::new(pending), parker: Parker::new() })
    }

    fn count_down(&self, granted: usize) {
        if self.pending.fetch_update(Ordering::AcqRel, Ordering::Acquire, |pending| Some(pending - granted))
            == Ok(granted)
        {
            self.parker.unpark();
        }
    }
}

impl Turn for Turned {
    fn grant(self: Arc<Self>) {
        self.count_down(1);
    }

    fn lose(&self) {
        unreachable!("no line loses a ticket here");
    }

    fn leave(&self, _granted: &mut VecDeque<Ticket>) {}

    fn behind(&self, _visit: &mut dyn FnMut(Arc<dyn Turn>)) {}

    fn task(&self) -> Identity {
        std::ptr::null()
    }
}

struct Value {
    lock: WaitList,
    cell: UnsafeCell<u32>,
}

// SAFETY: the cell is touched by who was granted the value, which is what the models check.
unsafe impl Sync for Value {}
// SAFETY: as above.
unsafe impl Send for Value {}

fn values<const N: usize>() -> Arc<[Value; N]> {
    Arc::new(std::array::from_fn(|_| Value { lock: new(), cell: UnsafeCell::new(0) }))
}

fn new() -> WaitList {
    <WaitList as ValueLock<OpenGate>>::new()
}

fn join<'a>(lock: &'a WaitList, access: Access, turn: &Arc<Turned>) -> (bool, super::wait_list::Joined<'a>) {
    <WaitList as ValueLock<OpenGate>>::join(lock, access, || Ticket::new(turn.clone()))
}

fn leave(lock: &WaitList, access: Access) {
    let mut granted = VecDeque::new();
    <WaitList as ValueLock<OpenGate>>::leave(lock, access, &mut granted);
    granted.into_iter().for_each(Ticket::grant);
}

/// Uses all the values as one task does.
fn task(values: &[Value], access: Access) {
    let turn = Turned::new(values.len() + 1);
    let joined: Vec<_> = values.iter().map(|value| join(&value.lock, access, &turn)).collect();
    let granted = joined.iter().filter(|(granted, _)| *granted).count();
    drop(joined);
    turn.count_down(granted + 1);
    turn.parker.park();
    for value in values {
        match access {
            Access::Exclusive => value.cell.with_mut(|cell| {
                // SAFETY: checked by the model.
                unsafe { *cell += 1 };
            }),
            Access::Shared => value.cell.with(|cell| {
                // SAFETY: checked by the model.
                let _seen = unsafe { *cell };
            }),
        }
    }
    for value in values {
        leave(&value.lock, access);
    }
}

#[test]
fn two_tasks_with_two_values_end_and_never_overlap() {
    check(None, || {
        let shared = values::<2>();
        let other = shared.clone();
        let thread = thread::spawn(move || task(&*other, Access::Exclusive));
        task(&*shared, Access::Exclusive);
        thread.join().unwrap();
        // SAFETY: nobody else is left.
        assert!(shared.iter().all(|value| value.cell.with(|cell| unsafe { *cell }) == 2));
    });
}

#[test]
fn readers_and_writers_each_get_their_turn() {
    check(Some(3), || {
        let shared = values::<1>();
        let threads: Vec<_> = [Access::Shared, Access::Shared]
            .into_iter()
            .map(|access| {
                let shared = shared.clone();
                thread::spawn(move || task(&*shared, access))
            })
            .collect();
        task(&*shared, Access::Exclusive);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Writer, reader, reader, writer, and a reader who comes late.
#[test]
fn a_reader_behind_a_waiting_writer_waits() {
    check(None, || {
        let shared = values::<1>();
        let turns: [_; 4] = std::array::from_fn(|_| Turned::new(1));
        let is_in = |turn: &Turned| turn.pending.load(Ordering::Acquire) == 0;
        let granted = |access, turn: &_| join(&shared[0].lock, access, turn).0;
        assert!(granted(Access::Exclusive, &Turned::new(1)));
        for (turn, access) in turns.iter().zip([Access::Shared, Access::Shared, Access::Exclusive, Access::Shared]) {
            assert!(!granted(access, turn));
        }
        leave(&shared[0].lock, Access::Exclusive);
        assert_eq!(turns.each_ref().map(|turn| is_in(turn)), [true, true, false, false]);
        // Both readers end at once.
        let other = shared.clone();
        let thread = thread::spawn(move || leave(&other[0].lock, Access::Shared));
        let late = Turned::new(1);
        assert!(!granted(Access::Shared, &late));
        leave(&shared[0].lock, Access::Shared);
        thread.join().unwrap();
        assert_eq!(turns.each_ref().map(|turn| is_in(turn)), [true, true, true, false]);
        leave(&shared[0].lock, Access::Exclusive);
        assert!(is_in(&turns[3]) && is_in(&late));
    });
}
