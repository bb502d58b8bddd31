//! A closure that every worker runs once.

use super::Core;
use super::current::{self, Frame, Frames, Kind, Origin};
use super::propagation::carried;
use super::wait::{Goal, Share, Wait};
use super::worker::Blockable;
use crate::policy::LockPolicy;
use crate::sync::{Arc, Parker};
use crate::task::{self, Countdown, JoinRef, Latch, Scoped, Task, TaskError, WaitError};

/// Has every worker run `f`, and waits for them; what came of it, in the order of the workers. On one of them it runs the share of that one itself.
///
/// An error if this wait could never end. Then some may have run it, too.
pub(crate) fn broadcast<P, R, F>(core: &Arc<Core<P>>, f: F) -> Result<Vec<Result<R, TaskError>>, WaitError>
where
    P: LockPolicy,
    F: Fn(usize) -> R + Sync,
    R: Send,
{
    let (all, origin) = (Countdown::new(), Origin::here());
    let (f, on_worker) = (&f, origin.reference());
    let workers = core.workers();
    // All of them before the first task: it may panic.
    let shares: Vec<_> = (0..workers).map(|worker| carried(core, move || f(worker))).collect();
    let share = |f| {
        let closure = move || on_worker.enter(f);
        // SAFETY: this function is not left before all of them have counted down.
        unsafe { task::joinable_in(core.id, Scoped::one_of(&all), closure) }
    };
    let (tasks, joins): (Vec<_>, Vec<_>) = shares.into_iter().map(share).unzip();
    let waited = current::frames(|frames| run_all(core, frames, tasks, &joins, &all));
    waited.map(|()| joins.into_iter().map(JoinRef::take).collect())
}

/// Has them run, and waits for that. When it returns, all have ended.
fn run_all<P: LockPolicy, R>(
    core: &Arc<Core<P>>,
    frames: Frames<'_>,
    tasks: Vec<Task>,
    joins: &[JoinRef<R>],
    all: &Countdown,
) -> Result<(), WaitError> {
    let own = frames.clone().find(|frame| frame.pool == core.id);
    let own = own.and_then(|frame| Some((frame, Core::<P>::worker(frame)?)));
    let own_index = own.map(|(_, worker)| worker.index);
    let shares = |but: Option<usize>| -> Vec<_> {
        let all = joins.iter().enumerate().filter(|(worker, _)| Some(*worker) != but);
        all.map(|(worker, join)| Share { worker, task: join.identity(), state: join.state() }).collect()
    };
    let parker = Arc::new(Parker::new());
    let wait = || Wait::for_mail(frames.clone(), shares(own_index), parker.clone());
    if own.is_some() && core.waits.would_deadlock(&wait()) {
        drop(tasks);
        return Err(WaitError::WouldDeadlock);
    }
    core.post(tasks.into_iter().enumerate().collect());
    if let Some((frame, worker)) = own
        && let Some(join) = joins.get(worker.index)
    {
        worker.run_mail_until(frame.kind.get(), join.identity());
    }
    if all.owner_ends() {
        return Ok(());
    }
    if !all.latch.wake_by(&parker) {
        return Ok(());
    }
    let Some((frame, worker)) = frames.clone().next().and_then(|frame| Some((frame, frame.worker?))) else {
        parker.park();
        return Ok(());
    };
    // Indices of two pools' workers must not be mixed up.
    let wait = if frame.pool == core.id {
        Wait::for_mail(frames, shares(None), parker.clone())
    } else {
        Wait::new(frames, Goal::Latch(&raw const all.latch, core.id), parker.clone(), false, false)
    };
    // SAFETY: the worker of a frame is below it on this thread's stack.
    wait_on_worker(frame, unsafe { &*worker }, wait, &all.latch, &parker, || {
        // Those that run are waited for all the same.
        for join in joins {
            let _ended = join.cancel();
        }
    })
}

fn wait_on_worker(
    frame: &Frame,
    worker: &dyn Blockable,
    wait: Wait,
    latch: &Latch,
    parker: &Parker,
    give_up: impl Fn(),
) -> Result<(), WaitError> {
    let kind = frame.kind.get();
    let blocks = kind != Kind::Blocking;
    let mut goes_on = worker.begin_wait(wait);
    let is_noted = goes_on.is_ok();
    if !is_noted {
        give_up();
    }
    let held = blocks && worker.block(kind == Kind::Plain);
    while !latch.is_set() {
        let progress = if is_noted && worker.is_stuck() { worker.check_progress() } else { Ok(()) };
        if progress.is_err() && goes_on.is_ok() {
            goes_on = progress;
            give_up();
        } else {
            parker.park();
        }
    }
    if is_noted {
        worker.end_wait();
    }
    if blocks {
        worker.unblock(held);
    }
    goes_on
}

/// Has every worker run `f`, and does not wait.
pub(crate) fn spawn_broadcast<P, F>(core: &Arc<Core<P>>, f: F)
where
    P: LockPolicy,
    F: Fn(usize) + Send + Sync + 'static,
{
    let f = Arc::new(f);
    let share = |worker| {
        let f = f.clone();
        (worker, task::detached(carried(core, move || f(worker))))
    };
    core.post((0..core.workers()).map(share).collect());
    // If it is the last reference, the closure's drop is here, and may panic.
    task::drop_quietly(f);
}
