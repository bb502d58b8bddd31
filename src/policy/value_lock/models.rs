//! Models of the lines for values, for each kind of line. Each thread plays a task, and waits where a task would not have been queued to
//! run yet.

use std::mem::ManuallyDrop;

use super::{Access, Entry, Granted, McsQueue, TaskRef, Ticket, ValueLock, WaitList};
use crate::policy::gate::OpenGate;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Parker, UnsafeCell, check, thread};
use crate::task::{JoinRef, Needs, Walk, needing};

/// One task's wait for all of its values.
struct Turn {
    pending: AtomicUsize,
    parker: Parker,
}

impl Turn {
    fn count_down(&self, granted: usize) {
        if self.pending.fetch_sub(granted, Ordering::AcqRel) == granted {
            self.parker.unpark();
        }
    }
}

/// Its task's share of it, dropped by the player.
struct Share(UnsafeCell<ManuallyDrop<Arc<Turn>>>);

// SAFETY: written by the player alone, after the last grant.
unsafe impl Sync for Share {}

impl Needs for Share {
    fn pool(&self) -> u32 {
        1
    }

    unsafe fn grant(&self, _task: TaskRef, tickets: u32) {
        // Its own, as the player may go on before this call returns.
        let turn = self.0.with(|turn| {
            // SAFETY: not dropped before the grant is counted.
            Arc::clone(unsafe { &*turn })
        });
        turn.count_down(tickets as usize);
    }

    fn behind(&self, _task: TaskRef, _walk: &mut dyn Walk) {}

    fn ran(&self) {}

    fn dropped(&self) {
        self.0.with_mut(|turn| {
            // SAFETY: once, at the end.
            unsafe { ManuallyDrop::drop(&mut *turn) };
        });
    }

    fn before_user_code(&self) {}
}

struct Value<L> {
    lock: L,
    cell: UnsafeCell<u32>,
}

// SAFETY: the cell is touched by who was granted the value, which is what the models check.
unsafe impl<L: Sync> Sync for Value<L> {}
// SAFETY: as above.
unsafe impl<L: Send> Send for Value<L> {}

fn values<L: ValueLock<OpenGate>, const N: usize>() -> Arc<[Value<L>; N]> {
    Arc::new(std::array::from_fn(|_| Value { lock: L::new(), cell: UnsafeCell::new(0) }))
}

/// A task that stands in line for some values, and is let in.
struct Player<'v, L: ValueLock<OpenGate>> {
    values: &'v [Value<L>],
    access: Access,
    places: Box<[L::Place]>,
    turn: Arc<Turn>,
    task: TaskRef,
    _handle: JoinRef<()>,
}

impl<'v, L: ValueLock<OpenGate>> Player<'v, L> {
    fn joins(values: &'v [Value<L>], access: Access) -> Self {
        Self::joins_as(values, access, false)
    }

    fn joins_as(values: &'v [Value<L>], access: Access, unordered: bool) -> Self {
        let turn = Arc::new(Turn { pending: AtomicUsize::new(values.len() + 1), parker: Parker::new() });
        let share = Share(UnsafeCell::new(ManuallyDrop::new(turn.clone())));
        let places: Box<[_]> = values.iter().map(|_| L::Place::default()).collect();
        let mut task = None;
        let _handle = needing(1, share, || (), |_, queued| task = Some(queued.into_ref()));
        let task = task.expect("queued");
        let mut granted = 1;
        let joined: Vec<_> = values
            .iter()
            .zip(&places)
            .map(|(value, place)| {
                // SAFETY: it is granted before the player leaves.
                let ticket = || unsafe { Ticket::of(task) };
                let only = values.len() == 1;
                let (entry, joined) = if unordered {
                    // SAFETY: the place is fresh, and boxed.
                    unsafe { value.lock.join_unordered(access, place, only, ticket) }
                } else {
                    // SAFETY: as above.
                    unsafe { value.lock.join(access, place, only, ticket) }
                };
                granted += usize::from(entry != Entry::Waits);
                joined
            })
            .collect();
        drop(joined);
        turn.count_down(granted);
        Self { values, access, places, turn, task, _handle }
    }

    fn is_in(&self) -> bool {
        self.turn.pending.load(Ordering::Acquire) == 0
    }

    /// Who is behind.
    fn delays(&self) -> Vec<TaskRef> {
        let mut behind = Vec::new();
        for (value, place) in self.values.iter().zip(&self.places) {
            // SAFETY: it has joined, and has not left.
            unsafe { value.lock.behind(self.access, place, self.task, &mut |ticket| behind.push(ticket.task())) };
        }
        behind
    }

    fn uses(&self) {
        self.turn.parker.park();
        for value in self.values {
            match self.access {
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
    }

    /// How many values nobody uses any more.
    fn leaves(self) -> usize {
        let mut granted = Granted::default();
        let mut freed = 0;
        for (value, place) in self.values.iter().zip(&self.places) {
            // SAFETY: it is in.
            freed += usize::from(unsafe { value.lock.leave(self.access, place, &mut granted) });
        }
        while let Some(tickets) = granted.pop() {
            tickets.grant();
        }
        // SAFETY: from `into_ref`, and no ticket is left.
        drop(unsafe { self.task.into_task() });
        freed
    }
}

/// Uses all the values as one task does.
fn play<L: ValueLock<OpenGate>>(values: &[Value<L>], access: Access) {
    let player = Player::joins(values, access);
    player.uses();
    player.leaves();
}

fn two_tasks_with_two_values_end_and_never_overlap<L: ValueLock<OpenGate>>() {
    let shared = values::<L, 2>();
    let other = shared.clone();
    let thread = thread::spawn(move || play(&*other, Access::Exclusive));
    play(&*shared, Access::Exclusive);
    thread.join().unwrap();
    // SAFETY: nobody else is left.
    assert!(shared.iter().all(|value| value.cell.with(|cell| unsafe { *cell }) == 2));
}

/// The threads' accesses, and then that of the model's own.
fn each_gets_its_turn<L: ValueLock<OpenGate>>(others: &[Access], own: Access) {
    let shared = values::<L, 1>();
    let other = |access| {
        let shared = shared.clone();
        thread::spawn(move || play(&*shared, access))
    };
    let threads: Vec<_> = others.iter().map(|access| other(*access)).collect();
    play(&*shared, own);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    // Nobody is left behind, so the next one is let in.
    let last = Player::joins(&*shared, Access::Exclusive);
    assert!(last.is_in());
    assert_eq!(last.leaves(), 1);
}

fn three_writers<L: ValueLock<OpenGate>>() {
    each_gets_its_turn::<L>(&[Access::Exclusive, Access::Exclusive], Access::Exclusive);
}

fn two_readers_and_a_writer<L: ValueLock<OpenGate>>() {
    each_gets_its_turn::<L>(&[Access::Shared, Access::Shared], Access::Exclusive);
}

fn a_reader_and_two_writers<L: ValueLock<OpenGate>>() {
    each_gets_its_turn::<L>(&[Access::Exclusive, Access::Exclusive], Access::Shared);
}

fn three_readers<L: ValueLock<OpenGate>>() {
    each_gets_its_turn::<L>(&[Access::Shared, Access::Shared], Access::Shared);
}

/// Writer, reader, writer, reader, and another reader who comes at any moment.
fn a_reader_behind_a_waiting_writer_waits<L: ValueLock<OpenGate>>() {
    let shared = values::<L, 1>();
    let joins = |access| Player::joins(&*shared, access);
    let first = joins(Access::Exclusive);
    assert!(first.is_in());
    let reader = joins(Access::Shared);
    let other = shared.clone();
    let thread = thread::spawn(move || play(&*other, Access::Shared));
    first.leaves();
    reader.uses();
    let (writer, last) = (joins(Access::Exclusive), joins(Access::Shared));
    assert!(!writer.is_in() && !last.is_in());
    let behind = reader.delays();
    assert!(behind.contains(&writer.task) && behind.contains(&last.task));
    reader.leaves();
    writer.uses();
    assert!(!last.is_in() && writer.delays().contains(&last.task));
    writer.leaves();
    thread.join().unwrap();
    assert!(last.is_in());
    assert_eq!(last.leaves(), 1);
}

/// Writer, and another behind whom, perhaps before he has quite got there, comes a third.
fn a_search_finds_who_is_in_line<L: ValueLock<OpenGate>>() {
    let shared = values::<L, 1>();
    let first = Player::joins(&*shared, Access::Exclusive);
    let other = shared.clone();
    let thread = thread::spawn(move || play(&*other, Access::Exclusive));
    let last = Player::joins(&*shared, Access::Exclusive);
    assert!(first.delays().contains(&last.task));
    first.leaves();
    last.uses();
    last.leaves();
    thread.join().unwrap();
}

/// Writer, and two who wait; a reader who does not mind its place comes at any moment.
fn a_reader_that_overtakes_meets_no_writer<L: ValueLock<OpenGate>>() {
    let shared = values::<L, 1>();
    let joins = |access| Player::joins(&*shared, access);
    let (first, reader, writer) = (joins(Access::Exclusive), joins(Access::Shared), joins(Access::Exclusive));
    let other = shared.clone();
    let thread = thread::spawn(move || {
        let player = Player::joins_as(&*other, Access::Shared, true);
        player.uses();
        player.leaves();
    });
    first.uses();
    first.leaves();
    reader.uses();
    reader.leaves();
    writer.uses();
    writer.leaves();
    thread.join().unwrap();
    let last = joins(Access::Exclusive);
    assert!(last.is_in());
    assert_eq!(last.leaves(), 1);
}

macro_rules! stamp {
    ($($model:ident: $list:expr, $queue:expr;)+) => {
        stamp!(@lock wait_list WaitList; $($model: $list;)+);
        stamp!(@lock mcs_queue McsQueue; $($model: $queue;)+);
    };
    (@lock $name:ident $lock:ty; $($model:ident: $preemptions:expr;)+) => {
        mod $name {
            use super::*;
            $(#[test]
            fn $model() {
                check($preemptions, super::$model::<$lock>);
            })+
        }
    };
}

stamp! {
    two_tasks_with_two_values_end_and_never_overlap: None, Some(4);
    three_writers: Some(3), Some(3);
    two_readers_and_a_writer: Some(3), Some(2);
    a_reader_and_two_writers: Some(3), Some(2);
    three_readers: Some(3), Some(1);
    a_reader_behind_a_waiting_writer_waits: None, Some(4);
    a_search_finds_who_is_in_line: None, None;
    a_reader_that_overtakes_meets_no_writer: None, Some(4);
}
