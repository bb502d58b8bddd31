//! A task that is queued when another has ended.

use std::fmt;

use super::Core;
use crate::policy::LockPolicy;
use crate::sync::{Arc, Mutex, mutant};
use crate::task::{Next, Task};

/// The task, once it is made, until the other has ended.
pub(crate) struct Continuation<P: LockPolicy> {
    core: Arc<Core<P>>,
    stage: Mutex<Stage>,
}

enum Stage {
    /// Neither is there.
    Before,
    Made(Task),
    /// The other task has ended.
    Ended,
}

impl<P: LockPolicy> Continuation<P> {
    pub(crate) fn new(core: Arc<Core<P>>) -> Arc<Self> {
        Arc::new(Self { core, stage: Mutex::new(Stage::Before) })
    }

    /// To be called once.
    pub(crate) fn made(&self, task: Task) {
        let mut stage = self.stage.lock();
        if matches!(*stage, Stage::Before) || mutant("continuation_misses_the_end") {
            *stage = Stage::Made(task);
            return;
        }
        drop(stage);
        self.queue(task);
    }

    fn queue(&self, task: Task) {
        if self.core.is_cancelling() {
            self.core.cancel(task);
            return;
        }
        task.let_go();
        self.core.push(task);
    }
}

impl<P: LockPolicy> Next for Continuation<P> {
    fn begin(&self) {
        let before = std::mem::replace(&mut *self.stage.lock(), Stage::Ended);
        if let Stage::Made(task) = before {
            self.queue(task);
        }
    }
}

impl<P: LockPolicy> fmt::Debug for Continuation<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Continuation")
    }
}
