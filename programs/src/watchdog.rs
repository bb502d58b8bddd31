//! A program that stands still is a failure, too: what all tasks and clients were at is printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use lockgrain::{FineGrained, GlobalLock, LockFree, LockPolicy};

use crate::ledger::Ledger;
use crate::program::Program;
use crate::run::run_noted;

/// Seconds after which a program stands still; `LOCKGRAIN_PROGRAM_SECONDS` says otherwise.
const LIMIT: u64 = 60;

/// One has stood still: those that it is made smaller by are not waited for so long.
static HAS_HUNG: AtomicBool = AtomicBool::new(false);

fn limit() -> Duration {
    let seconds = std::env::var("LOCKGRAIN_PROGRAM_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(LIMIT);
    Duration::from_secs(if HAS_HUNG.load(Relaxed) { seconds.min(5) } else { seconds })
}

/// Runs it under `P`, for so long at most.
///
/// # Panics
/// With what is wrong.
pub fn run_watched<P: LockPolicy>(program: &Program) {
    let ledger = Arc::<Ledger>::default();
    let (done, ended) = sync_channel(1);
    let (theirs, noted) = (program.clone(), ledger.clone());
    let thread = thread::spawn(move || {
        run_noted::<P>(&theirs, &noted);
        let _nobody_waits = done.send(());
    });
    if ended.recv_timeout(limit()) == Err(RecvTimeoutError::Timeout) {
        HAS_HUNG.store(true, Relaxed);
        panic!("stands still under {}:\n{ledger:?}{program:?}", P::NAME);
    }
    if let Err(payload) = thread.join() {
        std::panic::resume_unwind(payload);
    }
}

/// Runs it under each of the three policies.
pub fn run_watched_under_all(program: &Program) {
    run_watched::<GlobalLock>(program);
    run_watched::<FineGrained>(program);
    run_watched::<LockFree>(program);
}
