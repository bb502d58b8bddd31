//! The cases: each shows one promise with a pool that it is handed.

#![allow(dead_code, reason = "not every test program uses every helper")]

pub(crate) mod broadcast;
pub(crate) mod bulk;
pub(crate) mod caller_runs;
pub(crate) mod capacity;
pub(crate) mod clearing;
pub(crate) mod deadlines;
pub(crate) mod future_ends;
pub(crate) mod futures;
pub(crate) mod groups;
pub(crate) mod guarded;
pub(crate) mod handles;
pub(crate) mod hooks;
pub(crate) mod key_space;
pub(crate) mod keyed;
pub(crate) mod limits;
pub(crate) mod locals;
pub(crate) mod pause;
pub(crate) mod places;
pub(crate) mod promises;
pub(crate) mod quiescence;
pub(crate) mod ranked;
pub(crate) mod scope;
pub(crate) mod shared;
pub(crate) mod shutdown;
pub(crate) mod sizing;
pub(crate) mod tasks;
pub(crate) mod then;
pub(crate) mod timers;
pub(crate) mod waiting;

pub(crate) mod callbacks;
pub(crate) mod ending;
pub(crate) mod settings;
pub(crate) mod states;
pub(crate) mod stuck;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lockgrain::{LockPolicy, TaskHandle, ThreadPool};

pub(crate) fn pool<P: LockPolicy>(workers: usize) -> ThreadPool<P> {
    lockgrain::Builder::<P>::new().max_workers(workers).build().expect("the settings are good")
}

/// Runs a case, and fails it if it hangs.
pub(crate) fn within_a_minute(case: impl FnOnce() + Send + 'static) {
    watched(Box::new(case));
}

/// The same of a case with a pool of its own.
pub(crate) fn with_workers<P: LockPolicy>(workers: usize, case: fn(&ThreadPool<P>)) {
    within_a_minute(move || case(&pool(workers)));
}

/// Compiled once, and not for each of thousands of cases.
fn watched(case: Box<dyn FnOnce() + Send>) {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        case();
        let _nobody_waits = done.send(());
    });
    match ended.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the case hangs"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {}
    }
    if let Err(payload) = thread.join() {
        std::panic::resume_unwind(payload);
    }
}

/// Occupies every worker, without telling the pool, until the value is dropped: later tasks stay queued.
pub(crate) struct Occupied {
    _open: Vec<mpsc::Sender<()>>,
    handles: Vec<TaskHandle<()>>,
}

impl Occupied {
    pub(crate) fn all<P: LockPolicy>(pool: &ThreadPool<P>) -> Self {
        let (started, starts) = mpsc::channel();
        let mut open = Vec::new();
        let mut handles = Vec::new();
        // Behind an exclusive gate one task occupies all.
        let tasks = if <P::Gate as lockgrain::gate::Gate>::EXCLUSIVE { 1 } else { pool.max_workers() };
        for _ in 0..tasks {
            let (sender, gate) = mpsc::channel::<()>();
            let started = started.clone();
            open.push(sender);
            handles.push(pool.submit(move || {
                started.send(()).unwrap();
                let _closed = gate.recv();
            }));
            // One after another, so that a small queue is enough.
            starts.recv().unwrap();
        }
        Self { _open: open, handles }
    }

    pub(crate) fn handles(&self) -> &[TaskHandle<()>] {
        &self.handles
    }

    pub(crate) fn handles_mut(&mut self) -> &mut [TaskHandle<()>] {
        &mut self.handles
    }

    /// Lets them end; their handles.
    pub(crate) fn release(self) -> Vec<TaskHandle<()>> {
        self.handles
    }
}

/// Panics when dropped.
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a panicking drop");
    }
}

/// One more.
pub(crate) fn count(runs: &std::sync::atomic::AtomicUsize) {
    runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
}
