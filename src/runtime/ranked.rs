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

    /// The next task for a worker, where ranked ones wait.
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
