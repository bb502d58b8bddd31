//! `crossbeam-deque` as a piece: the field's reference, which no model checker can run as it ships.

use super::{Deque, Steal};
use crate::policy::run_queue::LocalOrder;
use crate::sync::deque::{Steal as Stolen, Stealer, Worker};
use crate::task::Task;

/// The deque of the `crossbeam-deque` crate. A pool on it: `type Queue = run_queue::Stealing<deque::Crossbeam>`.
///
/// Not there under `--cfg lockgrain_loom`, as its code can't run on loom.
#[derive(Debug)]
pub struct Crossbeam {
    deque: Worker<Task>,
    order: LocalOrder,
}

impl From<Stolen<Task>> for Steal {
    fn from(stolen: Stolen<Task>) -> Self {
        match stolen {
            Stolen::Success(task) => Self::Task(task),
            Stolen::Empty => Self::Empty,
            Stolen::Retry => Self::Retry,
        }
    }
}

impl Deque for Crossbeam {
    type Stealer = Stealer<Task>;

    fn new(order: LocalOrder) -> Self {
        let deque = match order {
            LocalOrder::Lifo => Worker::new_lifo(),
            LocalOrder::Fifo => Worker::new_fifo(),
        };
        Self { deque, order }
    }

    fn stealer(&self) -> Stealer<Task> {
        self.deque.stealer()
    }

    #[inline]
    fn push(&self, task: Task) {
        self.deque.push(task);
    }

    #[inline]
    fn pop(&self) -> Option<Task> {
        self.deque.pop()
    }

    fn retract(&self) -> Option<Task> {
        match self.order {
            LocalOrder::Lifo => self.deque.pop(),
            LocalOrder::Fifo => None,
        }
    }

    fn steal(from: &Stealer<Task>) -> Steal {
        from.steal().into()
    }

    fn steal_half(&self, from: &Stealer<Task>) -> Steal {
        from.steal_batch_and_pop(&self.deque).into()
    }

    fn len(of: &Stealer<Task>) -> usize {
        of.len()
    }
}
