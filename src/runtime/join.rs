//! Fork and join: two closures, of which another worker may take the second. `docs/waiting.md` has the argument.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::thread::Result as Caught;

use super::Core;
use super::current::{self, Frame, Origin, OriginRef};
use super::lane::{self, Entry, Lane};
use super::patience::Patience;
use super::propagation::Surroundings;
use super::scope::{runs_more, wait_for_latch};
use super::worker::{Blockable, Worker};
use crate::policy::LockPolicy;
use crate::policy::gate::Gate;
use crate::policy::run_queue::RunQueue;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{Arc, mutant};
use crate::task::{Elsewhere, Helper, Latch, OnStack, Task, drop_quietly};

/// The second half of a join, on the stack of who joins: either in its thread's lane, or shared as a task.
#[repr(C)]
struct Half<B, R> {
    entry: Entry,
    /// Until it is run here, or shared.
    closure: Cell<MaybeUninit<B>>,
    /// From when it is shared.
    origin: Cell<MaybeUninit<Origin>>,
    /// From when it is shared.
    job: Cell<MaybeUninit<OnStack<B, OriginRef, R>>>,
}

impl Elsewhere for OriginRef {
    fn run<R>(&self, helper: &Helper, f: impl FnOnce() -> R) -> R {
        self.enter_helped(helper, f)
    }
}

impl<B: FnOnce() -> R + Send, R: Send> Half<B, R> {
    #[inline]
    fn new(closure: B) -> Self {
        Self {
            // SAFETY: a half's entry is its first field.
            entry: unsafe { Entry::new(Self::share) },
            closure: Cell::new(MaybeUninit::new(closure)),
            origin: Cell::new(MaybeUninit::uninit()),
            job: Cell::new(MaybeUninit::uninit()),
        }
    }

    /// The closure.
    ///
    /// # Safety
    /// Once, where it has not been shared.
    #[inline]
    unsafe fn take(&self) -> B {
        // SAFETY: the caller's promise: nobody has moved it.
        unsafe { self.closure.replace(MaybeUninit::uninit()).assume_init() }
    }

    /// # Safety
    /// `entry` is that of a half of code in that frame, which stays where it is until the task has come back, which is then forgotten, or its latch
    /// is set. Once.
    unsafe fn share(entry: NonNull<Entry>, frame: *const Frame) -> Task {
        // SAFETY: the caller's promise.
        let this = unsafe { entry.cast::<Self>().as_ref() };
        // SAFETY: it is shared once, and so not taken here.
        let closure = unsafe { this.take() };
        this.origin.set(MaybeUninit::new(Origin::of(frame)));
        // SAFETY: just made.
        let origin = unsafe { NonNull::from(&this.origin).cast::<Origin>().as_ref() };
        this.job.set(MaybeUninit::new(OnStack::new(closure, origin.reference())));
        // SAFETY: just made, and for the rest the caller's promise.
        unsafe { OnStack::task(this.job()) }
    }

    /// What is shared of it. Used through such pointers only, as another thread may have it.
    #[inline]
    fn job(&self) -> NonNull<OnStack<B, OriginRef, R>> {
        NonNull::from(&self.job).cast()
    }
}

/// Runs both closures, the second one perhaps on another worker meanwhile; `elsewhere` does if this is no place on a worker of the pool where
/// that can be done.
#[inline]
pub(crate) fn join<P, A, B, RA, RB>(
    core: &Arc<Core<P>>,
    a: A,
    b: B,
    elsewhere: impl FnOnce(A, B) -> (RA, RB),
) -> (RA, RB)
where
    P: LockPolicy,
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    // SAFETY: it is used in this frame, below those of the closures.
    match unsafe { lane::here() } {
        Some(lane) if lane.is_open(core.idle.wanted()) && !(shares::<P>() && lane.is_wanted()) => {
            join_in::<P, _, _, _, _>(lane, a, b, || ())
        }
        lane => join_slowly(core, lane, a, b, elsewhere),
    }
}

/// Whether others could ever run a half meanwhile: behind a gate nobody can.
#[inline]
const fn shares<P: LockPolicy>() -> bool {
    !P::Gate::EXCLUSIVE
}

/// Takes all with it, so that nothing of it has to be kept for a return to the usual way, which is a call cheaper for that.
#[cold]
#[inline(never)]
fn join_slowly<P, A, B, RA, RB>(
    core: &Arc<Core<P>>,
    lane: Option<&Lane>,
    a: A,
    b: B,
    elsewhere: impl FnOnce(A, B) -> (RA, RB),
) -> (RA, RB)
where
    P: LockPolicy,
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    let Some(lane) = lane.filter(|lane| lane.is_open(core.idle.wanted()) || open(core, lane)) else {
        return elsewhere(a, b);
    };
    let share = || {
        if shares::<P>() {
            share_wanted::<P>();
        }
    };
    if !core.propagates() {
        return join_in::<P, _, _, _, _>(lane, a, b, share);
    }
    // Each join comes this way.
    lane::close();
    let mut around = Surroundings::here(core);
    join_in::<P, _, _, _, _>(lane, a, move || around.run(b), share)
}

/// Looks whether this is a place where to join.
#[cold]
#[inline(never)]
fn open<P: LockPolicy>(core: &Arc<Core<P>>, lane: &Lane) -> bool {
    current::frames(|mut frames| {
        let frame = frames.next().filter(|frame| frame.pool == core.id && runs_more(frame));
        let Some((frame, worker)) = frame.and_then(|frame| Some((frame, Core::<P>::worker(frame)?))) else {
            return false;
        };
        // SAFETY: a worker keeps its pool.
        let opens = || unsafe { lane.open(core.idle.wanted(), frame) };
        if !opens() {
            worker.share_halves();
            core.notify_soon();
            let opens = opens();
            debug_assert!(opens, "the lane is empty");
        }
        true
    })
}

#[inline]
fn join_in<P, A, B, RA, RB>(lane: &Lane, a: A, b: B, share: impl FnOnce()) -> (RA, RB)
where
    P: LockPolicy,
    A: FnOnce() -> RA,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    let half = Half::new(b);
    // SAFETY: this function is not left before the half is out of the lane, or has been shared and is done with.
    unsafe { lane.push(NonNull::from(&half).cast()) };
    let a = catch_unwind(AssertUnwindSafe(|| {
        share();
        a()
    }));
    if !lane.pop(&half.entry) {
        // SAFETY: it is not in the lane.
        return unsafe { finish_shared::<P, _, _, _>(&half, a) };
    }
    if a.is_ok() && shares::<P>() && lane.is_wanted() {
        // The first one may have been long, or have joined nothing; the older halves are in the lane.
        share_wanted::<P>();
    }
    // SAFETY: it was in the lane until it came out above.
    let b = unsafe { half.take() };
    match a {
        Ok(a) => (a, b()),
        Err(payload) => {
            drop_quietly(b);
            resume_unwind(payload)
        }
    }
}

/// Has others find as many of this worker's halves as they can take. In code that may join.
#[cold]
#[inline(never)]
fn share_wanted<P: LockPolicy>() {
    // SAFETY: it is used in this frame.
    let Some(lane) = (unsafe { lane::here() }).filter(|lane| !lane.is_empty()) else { return };
    current::frames(|mut frames| {
        let frame = frames.next();
        let worker = frame.and_then(Core::<P>::worker).expect("a worker's code has joined");
        let core = &worker.core;
        // That is known again, so that the next look is a short one.
        if !lane.is_open(core.idle.wanted()) && !core.propagates() {
            open(core, lane);
        }
        if core.idle.wanted().load(Relaxed) == 0 {
            return;
        }
        let push = |task| core.queue.push(&worker.local, task);
        if let Some(helper) = frame.and_then(Frame::helper).filter(|helper| helper.is_ready())
            && let Some(task) = lane.share()
            && let Err(task) = helper.give(task)
        {
            push(task);
            core.notify_soon();
        }
        let wanted = core.idle.take_wanted();
        let shared = (0..wanted).map_while(|_| lane.share()).map(push).count();
        if shared > 0 {
            core.idle.still_wanted(wanted - shared);
            core.notify_soon();
        }
    });
}

/// Looks from one cry for a half to the next, some 2 µs.
const CRY: u32 = 8;

/// Looks for a while whether the latch has been set; meanwhile runs halves of joins that who has the awaited one makes of it: without these it does not end, so
/// that whatever they wait for can't wait for what is below them on this stack. Whether it has been set.
fn help<P: LockPolicy>(worker: &Worker<P>, latch: &Latch, helper: &Helper) -> bool {
    while worker.may_help() && !latch.is_set() {
        helper.offer();
        let mut looks = 0_u32;
        let mut there = || {
            // Now and then, as the others, whom it costs a barrier, can't give what is wanted.
            if looks.is_multiple_of(CRY) {
                worker.core.idle.want_one();
            }
            looks += 1;
            latch.is_set() || helper.has_task()
        };
        // As long as nothing is queued that somebody else could run in this one's place.
        Patience::look_steadily(|| there() || worker.core.has_queued());
        let seen = there();
        match helper.withdraw() {
            Some(task) if mutant("join_forgets_what_it_is_given") => std::mem::forget(task),
            Some(task) => worker.run_on_top(task),
            None if seen => {}
            None => break,
        }
    }
    latch.is_set()
}

/// # Safety
/// The half has been shared.
#[cold]
#[inline(never)]
unsafe fn finish_shared<P, B, RA, RB>(half: &Half<B, RB>, a: Caught<RA>) -> (RA, RB)
where
    P: LockPolicy,
    B: FnOnce() -> RB + Send,
    RB: Send,
{
    // SAFETY: made when it was shared. What others change of it are atomics, and a cell that they have to themselves.
    let job = unsafe { half.job().as_ref() };
    current::frames(|mut frames| {
        let frame = frames.next();
        let worker = frame.and_then(Core::<P>::worker).expect("it was made in this frame, of a worker");
        let latch = job.latch();
        let given = frame.and_then(Frame::helper).and_then(|helper| helper.take_back(job.identity()));
        let is_back = given.map(Task::forget).is_some() || worker.take_back(job.identity());
        let may_help = shares::<P>() && frame.is_some_and(runs_more);
        let is_over = is_back || (may_help && help(worker, latch, job.helper()));
        if !is_over {
            wait_for_latch(latch, worker.core.id, (&raw const *latch).cast());
        }
    });
    let a = a.unwrap_or_else(|payload| {
        // SAFETY: as below. It is not begun any more.
        unsafe { job.abandon() };
        resume_unwind(payload)
    });
    // SAFETY: the task has come back, or its latch is set.
    let b = unsafe { job.finish() };
    (a, b.unwrap_or_else(|payload| resume_unwind(payload)))
}
