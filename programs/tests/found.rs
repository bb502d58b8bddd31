//! Programs that once ended otherwise, as they were printed.
#![cfg(not(any(lockgrain_loom, lockgrain_shuttle)))]

use lockgrain_programs::{Body, Full, Op, Program, Settings, run_watched_under_all};

fn again_and_again(settings: Settings, ops: &[Op]) {
    let program = Program { settings, ops: ops.iter().map(|op| (0, op.clone())).collect() };
    (0..100).for_each(|_| run_watched_under_all(&program));
}

/// The task's memory was free when it ran, and its child had it: a task that waits for itself, by all looks.
#[test]
fn a_spawned_task_waits_for_its_child() {
    again_and_again(
        Settings { queue: Some((1, Full::Block)), ..Settings::PLAIN },
        &[Op::Spawn(Body::Child), Op::Submit(Body::Return)],
    );
}

/// One that was cancelled through its handle, and was still queued, was missing in the counts.
#[test]
fn a_shutdown_that_cancels_counts_what_was_cancelled_before() {
    again_and_again(
        Settings::PLAIN,
        &[Op::Submit(Body::BlockingHold), Op::Submit(Body::Return), Op::Cancel(1), Op::ShutdownNow],
    );
}

/// A worker that had been idle for long was about to end, counted as one that would find the task, and stopped the pool that was drained
/// meanwhile. Rare.
#[test]
fn a_worker_that_ends_for_want_of_work_leaves_none() {
    let settings = Settings { restless: true, ..Settings::PLAIN };
    (0..20).for_each(|_| again_and_again(settings, &[Op::Scope(1), Op::Submit(Body::Return)]));
}
