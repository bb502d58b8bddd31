//! Lock-free: an injector and a Chase–Lev deque a worker, crossbeam's.

use crossbeam_deque::{Injector, Steal, Stealer, Worker};
use crossbeam_utils::CachePadded;

use super::{Fairness, Find, LocalOrder, QueueConfig, RunQueue, Source};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::task::Task;

/// The run queue of [`LockFree`](crate::LockFree): `crossbeam-deque`'s injector, and its Chase–Lev deque for each worker
/// (Chase and Lev, "Dynamic circular work-stealing deque", SPAA 2005, with the orderings of Lê et al., PPoPP 2013).
#[derive(Debug)]
pub struct Stealing {
    injector: Injector<Task>,
    stealers: Box<[CachePadded<Stealer<Task>>]>,
    /// The owners' halves, until their workers ask for them.
    owners: Mutex<Vec<Option<Worker<Task>>>>,
    /// Deques from here on were never used.
    used: AtomicUsize,
}

/// A worker's part of [`Stealing`].
#[derive(Debug)]
pub struct StealingLocal {
    index: usize,
    deque: Worker<Task>,
    fairness: Fairness,
}

fn settled(steal: Steal<Task>, source: Source) -> Find {
    match steal {
        Steal::Success(task) => Find::Task(task, source),
        Steal::Empty => Find::Empty,
        Steal::Retry => Find::Retry,
    }
}

impl Stealing {
    fn used(&self) -> &[CachePadded<Stealer<Task>>] {
        &self.stealers[..self.used.load(Relaxed)]
    }

    fn steal(&self, thief: Option<&StealingLocal>) -> Find {
        let stealers = self.used();
        let start = thief.map_or(0, |local| local.index + 1);
        let mut retry = false;
        for step in 0..stealers.len() {
            let victim = (start + step) % stealers.len();
            let stolen = match thief {
                Some(local) if local.index == victim => continue,
                Some(local) => stealers[victim].steal_batch_and_pop(&local.deque),
                None => stealers[victim].steal(),
            };
            match settled(stolen, Source::Stolen) {
                Find::Empty => {}
                Find::Retry => retry = true,
                found => return found,
            }
        }
        if retry { Find::Retry } else { Find::Empty }
    }
}

impl RunQueue for Stealing {
    type Local = StealingLocal;

    fn new(config: &QueueConfig) -> Self {
        let owners: Vec<_> = (0..config.locals)
            .map(|_| match config.order {
                LocalOrder::Lifo => Worker::new_lifo(),
                LocalOrder::Fifo => Worker::new_fifo(),
            })
            .collect();
        Self {
            injector: Injector::new(),
            stealers: owners.iter().map(|owner| CachePadded::new(owner.stealer())).collect(),
            owners: Mutex::new(owners.into_iter().map(Some).collect()),
            used: AtomicUsize::new(0),
        }
    }

    fn local(&self, index: usize) -> StealingLocal {
        let deque = self.owners.lock()[index].take().expect("a local is asked for once an index");
        self.used.fetch_max(index + 1, Relaxed);
        StealingLocal { index, deque, fairness: Fairness::default() }
    }

    fn inject(&self, task: Task) {
        self.injector.push(task);
    }

    #[inline]
    fn push(&self, local: &StealingLocal, task: Task) {
        local.deque.push(task);
    }

    #[inline]
    fn find(&self, local: &StealingLocal) -> Find {
        if local.fairness.injected_first()
            && let Steal::Success(task) = self.injector.steal()
        {
            return Find::Task(task, Source::Injected);
        }
        if let Some(task) = local.deque.pop() {
            return Find::Task(task, Source::Own);
        }
        // One at a time: a batch in the deque would be overtaken whenever the injector has its turn.
        match settled(self.injector.steal(), Source::Injected) {
            Find::Empty => self.steal(Some(local)),
            Find::Retry => match self.steal(Some(local)) {
                Find::Empty => Find::Retry,
                other => other,
            },
            found => found,
        }
    }

    fn take(&self) -> Find {
        match settled(self.injector.steal(), Source::Injected) {
            Find::Empty => self.steal(None),
            other => other,
        }
    }

    fn is_empty(&self) -> bool {
        self.injector.is_empty() && self.used().iter().all(|deque| deque.is_empty())
    }

    fn len(&self) -> usize {
        self.injector.len() + self.used().iter().map(|deque| deque.len()).sum::<usize>()
    }
}
