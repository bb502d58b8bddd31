//! Several injectors, so that producers are seldom in one another's way, nor consumers.

use std::cell::Cell;

use super::injector::{Injector, Taken};
use crate::sync::{MODEL, local, unique_number};
use crate::task::{Task, TaskList};

/// One in a model: what two promise together is what each promises.
const LANES: usize = if MODEL { 1 } else { 4 };

local! { static LANE: Cell<Option<usize>> = Cell::new(None); }

/// The lane of this thread, always the same one: its tasks keep their order.
#[inline]
fn own_lane() -> usize {
    let known = |lane: &Cell<Option<usize>>| {
        let number = lane.get().unwrap_or_else(|| unique_number() as usize % LANES);
        lane.set(Some(number));
        number
    };
    // A thread that is ending has lost its number.
    LANE.try_with(known).unwrap_or(0)
}

/// The tasks from outside: each producer's in its order, those of different producers in no order.
#[derive(Debug)]
pub(super) struct Injectors([Injector; LANES]);

/// Where a consumer looks first: in the lane where it found something last.
#[derive(Debug, Default)]
pub(super) struct Cursor(Cell<usize>);

impl Cursor {
    pub(super) fn new(consumer: usize) -> Self {
        Self(Cell::new(consumer % LANES))
    }

    /// To be called now and then, so that a lane that is never empty does not keep a consumer from the others.
    pub(super) fn advance(&self) {
        self.0.set((self.0.get() + 1) % LANES);
    }
}

impl Injectors {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Injector::new()))
    }

    #[inline]
    pub(super) fn push(&self, task: Task) {
        self.0[own_lane()].push(task);
    }

    pub(super) fn push_all(&self, tasks: TaskList) {
        self.0[own_lane()].push_all(tasks);
    }

    /// The oldest task of a lane.
    #[inline]
    pub(super) fn pop(&self, cursor: &Cursor) -> Result<Task, Taken> {
        let mut nothing = Taken::Empty;
        for step in 0..LANES {
            let lane = (cursor.0.get() + step) % LANES;
            match self.0[lane].pop() {
                Ok(task) => {
                    cursor.0.set(lane);
                    return Ok(task);
                }
                Err(Taken::Retry) => nothing = Taken::Retry,
                Err(_) => {}
            }
        }
        Err(nothing)
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Injector::len).sum()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Injector::is_empty)
    }
}
