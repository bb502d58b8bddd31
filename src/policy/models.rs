//! Models of the injector and of each run queue.

use std::ptr::{self, NonNull};

use super::injector::{Injector, Taken};
use super::run_queue::{Find, LocalOrder, QueueConfig, RunQueue, Sharded, Shared, Stealing};
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, UnsafeCell, check, hint, thread};
use crate::task::{Chain, Link, Tally, detached};

#[repr(C)]
struct Entry {
    link: Link,
    number: UnsafeCell<usize>,
}

struct Entries(Vec<Entry>);

// SAFETY: the cells are touched by whoever has the entry, which is what loom checks.
unsafe impl Send for Entries {}
// SAFETY: as above.
unsafe impl Sync for Entries {}

impl Entries {
    fn push(&self, injector: &Injector, index: usize) {
        self.0[index].number.with_mut(|number| {
            // SAFETY: not pushed yet.
            unsafe { *number = index };
        });
        injector.push_chain(Chain::of(NonNull::from(&self.0[index].link)));
    }

    /// Two at once.
    fn push_pair(&self, injector: &Injector, pair: [usize; 2]) {
        let [first, last] = pair.map(|index| {
            self.0[index].number.with_mut(|number| {
                // SAFETY: not pushed yet.
                unsafe { *number = index };
            });
            NonNull::from(&self.0[index].link)
        });
        self.0[pair[0]].link.next.store(last.as_ptr(), Relaxed);
        self.0[pair[1]].link.next.store(ptr::null_mut(), Relaxed);
        injector.push_chain(Chain { first, last, len: 2 });
    }

    fn pop(injector: &Injector) -> Option<usize> {
        // The second attempt comes at once, while whoever was in the way may still be there.
        for attempt in 0.. {
            match injector.pop_link() {
                Taken::Entry(link) => {
                    // SAFETY: it has come out, and nobody else gets it.
                    unsafe { &mut *link.as_ptr() }.retire();
                    // SAFETY: the link is the first field of an entry.
                    let entry = unsafe { link.cast::<Entry>().as_ref() };
                    return Some(entry.number.with_mut(|number| {
                        // SAFETY: checked by loom.
                        let seen = unsafe { *number };
                        // SAFETY: as above.
                        unsafe { *number = usize::MAX };
                        seen
                    }));
                }
                Taken::Empty => return None,
                Taken::Retry if attempt == 0 => {}
                Taken::Retry => hint::spin_loop(),
            }
        }
        unreachable!("attempts do not end")
    }
}

fn injected(entries: usize) -> (Arc<Entries>, Arc<Injector>) {
    let new = |_| Entry { link: Link::new(), number: UnsafeCell::new(usize::MAX) };
    (Arc::new(Entries((0..entries).map(new).collect())), Arc::new(Injector::new()))
}

#[test]
fn injected_entries_come_out_once_and_in_the_order_of_each_producer() {
    check(Some(3), || {
        let (entries, injector) = injected(4);
        let producers: Vec<_> = [[0, 1], [2, 3]]
            .map(|mine| {
                let (entries, injector) = (entries.clone(), injector.clone());
                thread::spawn(move || mine.map(|index| entries.push(&injector, index)))
            })
            .into();
        let mut seen: Vec<_> = std::iter::from_fn(|| Entries::pop(&injector)).collect();
        for producer in producers {
            producer.join().unwrap();
        }
        seen.extend(std::iter::from_fn(|| Entries::pop(&injector)));
        let place = |index| seen.iter().position(|&other| other == index).expect("an entry was lost");
        assert_eq!(seen.len(), 4);
        assert!(place(0) < place(1) && place(2) < place(3), "{seen:?}");
    });
}

#[test]
fn entries_pushed_at_once_come_out_once_and_in_order() {
    check(Some(3), || {
        let (entries, injector) = injected(5);
        let producer = {
            let (entries, injector) = (entries.clone(), injector.clone());
            thread::spawn(move || entries.push_pair(&injector, [0, 1]))
        };
        let other = {
            let (entries, injector) = (entries.clone(), injector.clone());
            thread::spawn(move || {
                entries.push(&injector, 2);
                entries.push_pair(&injector, [3, 4]);
            })
        };
        let mut seen: Vec<_> = std::iter::from_fn(|| Entries::pop(&injector)).collect();
        producer.join().unwrap();
        other.join().unwrap();
        seen.extend(std::iter::from_fn(|| Entries::pop(&injector)));
        let place = |index| seen.iter().position(|&other| other == index).expect("an entry was lost");
        assert_eq!(seen.len(), 5);
        assert!(place(0) < place(1) && place(2) < place(3) && place(3) < place(4), "{seen:?}");
    });
}

#[test]
fn two_consumers_take_each_injected_entry_once() {
    check(Some(2), || {
        let (entries, injector) = injected(2);
        entries.push(&injector, 0);
        let other = {
            let injector = injector.clone();
            thread::spawn(move || Entries::pop(&injector))
        };
        entries.push(&injector, 1);
        let mut seen: Vec<_> = std::iter::from_fn(|| Entries::pop(&injector)).collect();
        seen.extend(other.join().unwrap());
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
    });
}

#[test]
fn an_injected_entry_is_never_hidden() {
    check(None, || {
        let (entries, injector) = injected(3);
        (0..3).for_each(|index| entries.push(&injector, index));
        let other = {
            let injector = injector.clone();
            thread::spawn(move || Entries::pop(&injector))
        };
        assert!(!injector.is_empty(), "one of three was taken");
        assert_eq!(other.join().unwrap(), Some(0));
        // These are no tasks, which the injector would cancel.
        assert_eq!([Entries::pop(&injector), Entries::pop(&injector)], [Some(1), Some(2)]);
    });
}

#[test]
fn a_task_in_the_inbox_is_never_hidden() {
    check(None, || {
        let queue = Arc::new(Shared::new(&QueueConfig { locals: 1, order: LocalOrder::Lifo }));
        (0..3).for_each(|_| queue.inject(detached(|| ())));
        let other = {
            let queue = queue.clone();
            thread::spawn(move || run(queue.take()))
        };
        assert!(!queue.is_empty(), "one of three was taken");
        assert!(other.join().unwrap());
    });
}

/// While another thread looks for one that is not there.
fn the_oldest_is_never_hidden(order: LocalOrder) {
    check(None, move || {
        let queue = Arc::new(Shared::new(&QueueConfig { locals: 1, order }));
        let local = queue.local(0);
        queue.push(&local, detached(|| ()));
        let other = {
            let queue = queue.clone();
            thread::spawn(move || assert!(queue.extract(&mut |_| false).is_none()))
        };
        assert!(!queue.is_empty());
        other.join().unwrap();
        assert!(run(queue.find(&local)) && queue.is_empty());
    });
}

#[test]
fn the_oldest_of_a_pools_own_tasks_is_never_hidden_fifo() {
    the_oldest_is_never_hidden(LocalOrder::Fifo);
}

#[test]
fn the_oldest_of_a_pools_own_tasks_is_never_hidden_lifo() {
    the_oldest_is_never_hidden(LocalOrder::Lifo);
}

/// The place of the first one is used again while another worker is about to take what was there.
#[test]
fn of_two_that_are_alone_one_after_another_each_comes_out_once() {
    check(None, || {
        let queue = Arc::new(Shared::new(&QueueConfig { locals: 2, order: LocalOrder::Lifo }));
        let (local, other) = (queue.local(0), queue.local(1));
        let runs = Arc::new(AtomicU32::new(0));
        let task = || {
            let runs = runs.clone();
            detached(move || {
                runs.fetch_add(1, Relaxed);
            })
        };
        let thief = {
            let queue = queue.clone();
            thread::spawn(move || run(queue.find(&other)))
        };
        queue.push(&local, task());
        let first = run(queue.find(&local));
        queue.push(&local, task());
        let found = [first, thief.join().unwrap(), run(queue.find(&local))];
        assert_eq!((runs.load(Relaxed), found.iter().filter(|found| **found).count()), (2, 2));
    });
}

/// One worker pushes two tasks and takes what it finds, another takes what it finds, and a task is injected from outside:
/// each runs once, whoever gets it.
fn each_task_comes_out_once<Q: RunQueue>() {
    check(Some(3), || {
        let queue = Arc::new(Q::new(&QueueConfig { locals: 2, order: LocalOrder::Lifo }));
        let runs: [Arc<AtomicU32>; 3] = std::array::from_fn(|_| Arc::new(AtomicU32::new(0)));
        let task = |index: usize| {
            let runs = runs[index].clone();
            detached(move || {
                runs.fetch_add(1, Relaxed);
            })
        };
        let (local, other) = (queue.local(0), queue.local(1));
        let thief = {
            let queue = queue.clone();
            thread::spawn(move || {
                run(queue.find(&other));
                run(queue.find(&other));
                other
            })
        };
        queue.push(&local, task(0));
        queue.push(&local, task(1));
        queue.inject(task(2));
        run(queue.find(&local));
        let other = thief.join().unwrap();
        while !queue.is_empty() {
            // Alone now: what `is_empty` says is there must come out, with any local.
            assert!(run(queue.find(&other)), "not empty, and nothing found");
        }
        assert!(runs.iter().all(|runs| runs.load(Relaxed) == 1));
    });
}

fn run(found: Find) -> bool {
    let Find::Task(task, _) = found else { return false };
    let _ran = task.run(&Tally::default());
    true
}

#[test]
fn shared_gives_each_task_once() {
    each_task_comes_out_once::<Shared>();
}

#[test]
fn sharded_gives_each_task_once() {
    each_task_comes_out_once::<Sharded>();
}

#[test]
fn stealing_gives_each_task_once() {
    each_task_comes_out_once::<Stealing>();
}
