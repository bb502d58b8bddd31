//! Tasks with a priority, beside the policy's run queue. `docs/ranked.md` says in which order they run, and why each does.

use std::collections::{BTreeMap, VecDeque};

use super::Core;
use super::current;
use crate::policy::LockPolicy;
use crate::policy::run_queue::{Find, RunQueue, Source};
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Arc, Mutex};
use crate::task::Task;

/// A list that has become empty keeps memory for so many tasks at the most.
const KEPT: usize = 64;

/// Those of all workers: one for a pool, as they are few and their order is that of the pool.
#[derive(Debug)]
pub(super) struct Ranked {
    /// How many there are of each kind. Changes under the lock. Relaxed: who must not miss a task has a fence between, as with the run queue.
    waiting: AtomicU64,
    lists: Mutex<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    /// Those of a priority in order, each with its number.
    of: BTreeMap<i8, VecDeque<(u64, Task)>>,
    made: u64,
}

/// How many ranked tasks wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting(u64);

impl Waiting {
    const HIGH: u64 = 1 << 32;

    fn one_of(priority: i8) -> u64 {
        if priority > 0 { Self::HIGH } else { 1 }
    }

    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Those that go before tasks without a priority.
    pub(super) fn high(self) -> u64 {
        self.0 / Self::HIGH
    }

    fn all(self) -> u64 {
        self.high() + self.0 % Self::HIGH
    }
}

/// Which task to take; of those with one priority always the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The highest that goes before tasks without a priority.
    High,
    Highest,
    Oldest,
    /// The lowest that goes after tasks without a priority.
    Low,
    Lowest,
}

impl Lists {
    fn priority_of(&self, which: Which) -> Option<i8> {
        let mut filled = self.of.iter().filter(|(_, list)| !list.is_empty());
        let priority = match which {
            Which::High | Which::Highest => filled.next_back(),
            Which::Low | Which::Lowest => filled.next(),
            Which::Oldest => filled.min_by_key(|(_, list)| list.front().map(|(number, _)| *number)),
        };
        let fits = |priority: &i8| match which {
            Which::High => *priority > 0,
            Which::Low => *priority < 0,
            _ => true,
        };
        priority.map(|(priority, _)| *priority).filter(fits)
    }
}

impl Ranked {
    pub(super) fn new() -> Self {
        Self { waiting: AtomicU64::new(0), lists: Mutex::new(Lists::default()) }
    }

    #[inline]
    pub(super) fn waiting(&self) -> Waiting {
        Waiting(self.waiting.load(Relaxed))
    }

    pub(super) fn len(&self) -> u64 {
        self.waiting().all()
    }

    fn push(&self, task: Task, priority: i8) {
        let mut lists = self.lists.lock();
        let number = lists.made;
        lists.made += 1;
        lists.of.entry(priority).or_default().push_back((number, task));
        self.waiting.store(self.waiting().0 + Waiting::one_of(priority), Relaxed);
    }

    pub(super) fn take(&self, which: Which) -> Option<Task> {
        let mut lists = self.lists.lock();
        let priority = lists.priority_of(which)?;
        self.take_at(&mut lists, priority, 0)
    }

    /// The first one that is wanted. Looks under the lock in any case.
    pub(super) fn take_if(&self, mut wanted: impl FnMut(&Task) -> bool) -> Option<Task> {
        let mut lists = self.lists.lock();
        let mut position = |list: &VecDeque<(u64, Task)>| list.iter().position(|(_, task)| wanted(task));
        let (priority, at) = lists.of.iter().rev().find_map(|(priority, list)| Some((*priority, position(list)?)))?;
        self.take_at(&mut lists, priority, at)
    }

    fn take_at(&self, lists: &mut Lists, priority: i8, at: usize) -> Option<Task> {
        let list = lists.of.get_mut(&priority)?;
        let (_, task) = list.remove(at)?;
        if list.is_empty() && list.capacity() > KEPT {
            *list = VecDeque::new();
        }
        self.waiting.store(self.waiting().0 - Waiting::one_of(priority), Relaxed);
        Some(task)
    }
}

/// What a worker counts while ranked tasks wait: how many tasks it has taken, so that each kind gets its turn.
#[derive(Debug, Default)]
pub(super) struct Turns(std::cell::Cell<u32>);

impl Turns {
    const ALL: u32 = 16;
    const OF_ORDINARY: u32 = 7;
    const OF_OLDEST: u32 = 15;
}

impl<P: LockPolicy> Core<P> {
    /// As `push`, for a task with a priority.
    #[inline]
    pub(crate) fn push_ranked(self: &Arc<Self>, task: Task, priority: i8) {
        if priority == 0 { self.push(task) } else { self.push_out_of_order(task, priority) }
    }

    #[cold]
    fn push_out_of_order(self: &Arc<Self>, task: Task, priority: i8) {
        self.ranked.push(task, priority);
        let is_worker =
            current::frames(|mut frames| frames.any(|frame| frame.pool == self.id && frame.worker.is_some()));
        self.notify_of_one(is_worker);
    }

    /// The next task for a worker, where ranked ones may wait.
    #[cold]
    pub(super) fn find_among_ranked(&self, local: &<P::Queue as RunQueue>::Local, turns: &Turns) -> Find {
        let ranked = |which| self.ranked.take(which).map(|task| Find::Task(task, Source::Injected));
        let ordinary = || match self.queue.find(local) {
            Find::Empty => ranked(Which::Highest).unwrap_or(Find::Empty),
            found => found,
        };
        let turn = turns.0.get();
        let first = match turn {
            Turns::OF_ORDINARY => None,
            Turns::OF_OLDEST => ranked(Which::Oldest),
            _ => ranked(Which::High),
        };
        let found = first.unwrap_or_else(ordinary);
        if matches!(found, Find::Task(..)) {
            turns.0.set((turn + 1) % Turns::ALL);
        }
        found
    }

    /// What a worker would take next, but for the turns.
    pub(super) fn take_next(&self) -> Find {
        let ranked = |which| self.ranked.take(which).map(|task| Find::Task(task, Source::Injected));
        ranked(Which::High).unwrap_or_else(|| match self.queue.take() {
            Find::Empty => ranked(Which::Highest).unwrap_or(Find::Empty),
            found => found,
        })
    }

    /// A task that can best be done without: the oldest of those with the lowest priority.
    pub(super) fn take_least(&self) -> Find {
        let ranked = |which| self.ranked.take(which).map(|task| Find::Task(task, Source::Injected));
        let is_low = self.ranked.waiting().all() > self.ranked.waiting().high();
        is_low.then(|| ranked(Which::Low)).flatten().unwrap_or_else(|| match self.queue.take() {
            Find::Empty => ranked(Which::Lowest).unwrap_or(Find::Empty),
            found => found,
        })
    }
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use super::*;
    use crate::task::{Tally, detached};

    /// Tasks that say their number.
    #[derive(Default)]
    struct Said(Arc<Mutex<Vec<u32>>>);

    impl Said {
        fn task(&self, number: u32) -> Task {
            let said = self.0.clone();
            detached(move || said.lock().push(number))
        }

        fn by(&self, task: Option<Task>) -> Option<u32> {
            let _ran = task?.run(&Tally::default());
            self.0.lock().pop()
        }
    }

    #[test]
    fn the_oldest_of_the_priority_that_is_asked_for() {
        let (ranked, said) = (Ranked::new(), Said::default());
        let take = |which| said.by(ranked.take(which));
        let counts = || (ranked.waiting().is_none(), ranked.waiting().high(), ranked.len());
        assert_eq!(counts(), (true, 0, 0));
        for (number, priority) in [(1, 5), (2, -3), (3, 5), (4, 1), (5, -3), (6, -7), (7, 3)] {
            ranked.push(said.task(number), priority);
        }
        assert_eq!(counts(), (false, 4, 7));
        assert_eq!([take(Which::High), take(Which::High), take(Which::Highest)], [Some(1), Some(3), Some(7)]);
        assert_eq!([take(Which::Oldest), take(Which::Low), take(Which::Lowest)], [Some(2), Some(6), Some(5)]);
        assert_eq!(counts(), (false, 1, 1));
        assert_eq!([take(Which::Low), take(Which::Lowest)], [None, Some(4)]);
        ranked.push(said.task(8), -1);
        assert_eq!([take(Which::High), take(Which::Highest)], [None, Some(8)]);
        // Neither before tasks without a priority nor after them.
        ranked.push(said.task(9), 0);
        assert_eq!(counts(), (false, 0, 1));
        assert_eq!([take(Which::High), take(Which::Low), take(Which::Oldest)], [None, None, Some(9)]);
        assert_eq!(counts(), (true, 0, 0));
    }

    #[test]
    fn the_first_one_that_is_wanted() {
        let (ranked, said) = (Ranked::new(), Said::default());
        for (number, priority) in [(1, 1), (2, -1), (3, 1), (4, 1)] {
            ranked.push(said.task(number), priority);
        }
        let mut asked = 0;
        let second = ranked.take_if(|_| {
            asked += 1;
            asked == 2
        });
        assert_eq!((said.by(second), asked, ranked.len()), (Some(3), 2, 3));
        assert!(ranked.take_if(|_| false).is_none());
        let rest = [(); 4].map(|()| said.by(ranked.take(Which::Highest)));
        assert_eq!(rest, [Some(1), Some(4), Some(2), None]);
    }

    #[test]
    fn only_a_long_list_gives_its_memory_back() {
        let (ranked, said) = (Ranked::new(), Said::default());
        for (many, keeps) in [(KEPT as u32, true), (1000, false)] {
            (0..many).for_each(|number| ranked.push(said.task(number), 1));
            (0..many).for_each(|number| assert_eq!(said.by(ranked.take(Which::High)), Some(number)));
            assert_eq!(ranked.lists.lock().of[&1].capacity() > 0, keeps, "{many}");
        }
    }
}
