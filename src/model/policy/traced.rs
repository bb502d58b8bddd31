//! A policy that says in the trace what its queue is asked and answers.

use std::marker::PhantomData;

use crate::policy::LockPolicy;
use crate::policy::run_queue::{Find, QueueConfig, RunQueue, Source};
use crate::sync::trace::{Event, note};
use crate::task::{Task, TaskList};

/// `P`, its queue traced.
pub(super) struct Traced<P>(PhantomData<P>);

impl<P: LockPolicy> LockPolicy for Traced<P> {
    const NAME: &'static str = P::NAME;
    type Queue = TracedQueue<P::Queue>;
    type Gate = P::Gate;
    type Lock = P::Lock;
}

pub(super) struct TracedQueue<Q>(Q);

impl<Q: RunQueue> RunQueue for TracedQueue<Q> {
    type Local = Q::Local;

    fn new(config: &QueueConfig) -> Self {
        Self(Q::new(config))
    }

    fn local(&self, index: usize) -> Q::Local {
        self.0.local(index)
    }

    fn inject(&self, task: Task) {
        note(Event::Queues(task.identity().addr(), "injects"));
        self.0.inject(task);
    }

    fn inject_all(&self, mut tasks: TaskList) {
        let mut noted = TaskList::new();
        while let Some(task) = tasks.pop_front() {
            note(Event::Queues(task.identity().addr(), "injects"));
            noted.push_back(task);
        }
        self.0.inject_all(noted);
    }

    fn push(&self, local: &Q::Local, task: Task) {
        note(Event::Queues(task.identity().addr(), "pushes"));
        self.0.push(local, task);
    }

    fn find(&self, local: &Q::Local) -> Find {
        tell(self.0.find(local))
    }

    fn retract(&self, local: &Q::Local) -> Option<Task> {
        let task = self.0.retract(local);
        if let Some(task) = &task {
            note(Event::Finds(task.identity().addr(), "takes back"));
        }
        task
    }

    fn take(&self) -> Find {
        tell(self.0.take())
    }

    fn extract(&self, wanted: &mut dyn FnMut(&Task) -> bool) -> Option<Task> {
        self.0.extract(wanted)
    }

    fn is_empty(&self) -> bool {
        let empty = self.0.is_empty();
        if empty {
            note(Event::SeesNoTask);
        }
        empty
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

fn tell(find: Find) -> Find {
    if let Find::Task(task, source) = &find {
        let how = match source {
            Source::Own => "finds in its own queue",
            Source::Injected => "finds among the injected",
            Source::Stolen => "steals",
        };
        note(Event::Finds(task.identity().addr(), how));
    }
    find
}
