//! What happens in an execution of a model, for people to read; nothing in an ordinary build.

#![cfg_attr(not(any(lockgrain_loom, lockgrain_shuttle)), allow(dead_code, reason = "only a model build records"))]

/// What a thread did.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// It goes to sleep at the parker with this address.
    Parks(usize),
    /// It goes on.
    Resumes,
    /// It gives the parker with this address its permit.
    Unparks(usize),
    TaskStarts,
    TaskEnds,
    TaskPanics,
    /// A task goes into the queue; by its identity, and how.
    Queues(usize, &'static str),
    /// It comes out.
    Finds(usize, &'static str),
    SeesNoTask,
    Says(String),
}

/// One execution of a model.
#[derive(Clone, Debug, Default)]
pub(crate) struct Execution {
    /// How many there have been, with this one.
    pub(crate) number: usize,
    /// The threads' names, in the order in which they came up.
    pub(crate) threads: Vec<String>,
    pub(crate) events: Vec<(usize, Event)>,
}

#[cfg(any(lockgrain_loom, lockgrain_shuttle))]
mod recorded {
    use std::cell::{Cell, RefCell};

    use super::{Event, Execution};
    use crate::sync::thread;

    // All threads of a model are one thread of the system.
    std::thread_local! { static CURRENT: RefCell<Option<Execution>> = const { RefCell::new(None) }; }

    crate::sync::local! { static NUMBER: Cell<usize> = Cell::new(usize::MAX); }

    /// More are left out.
    const MOST: usize = 2_000;

    pub(crate) fn start() {
        CURRENT.set(Some(Execution::default()));
    }

    /// An execution begins, on its first thread.
    pub(crate) fn begin() {
        CURRENT.with_borrow_mut(|current| {
            if let Some(execution) = current {
                execution.number += 1;
                execution.events.clear();
                execution.threads.clear();
                execution.threads.push("main".to_owned());
            }
        });
        NUMBER.with(|number| number.set(0));
    }

    pub(crate) fn end() -> Execution {
        CURRENT.take().unwrap_or_default()
    }

    pub(crate) fn is_on() -> bool {
        CURRENT.with_borrow(Option::is_some)
    }

    /// To be called by a thread of the model.
    pub(crate) fn note(event: Event) {
        if !is_on() {
            return;
        }
        // Unknown in the destructor of a thread's local.
        let Ok(mut own) = NUMBER.try_with(Cell::get) else { return };
        let name = (own == usize::MAX).then(|| thread::current().name().map(str::to_owned));
        CURRENT.with_borrow_mut(|current| {
            let Some(execution) = current else { return };
            if let Some(name) = name {
                own = execution.threads.len();
                execution.threads.push(name.unwrap_or_else(|| format!("thread {own}")));
            }
            if execution.events.len() < MOST {
                execution.events.push((own, event));
            }
        });
        let _gone = NUMBER.try_with(|number| number.set(own));
    }
}

#[cfg(any(lockgrain_loom, lockgrain_shuttle))]
pub(crate) use recorded::*;

#[cfg(not(any(lockgrain_loom, lockgrain_shuttle)))]
mod ignored {
    use super::{Event, Execution};

    #[inline(always)]
    pub(crate) fn note(_event: Event) {}

    pub(crate) fn start() {}

    pub(crate) fn end() -> Execution {
        Execution::default()
    }
}

#[cfg(not(any(lockgrain_loom, lockgrain_shuttle)))]
pub(crate) use ignored::*;
