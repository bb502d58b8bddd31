//! What the threads of one pool share.

mod shutdown;
mod threads;

use std::time::Duration;

use crossbeam_utils::CachePadded;

use self::shutdown::Enders;
use super::capacity::Capacity;
use super::current::{self, Frame, Kind};
use super::future::Futures;
use super::holders::Holders;
use super::idle::{Idle, Notify};
use super::in_line::InLine;
use super::local::{Broken, Finalizer, Initializer, WorkerRun};
use super::lock::Lock;
use super::mail::Mail;
use super::metrics::{Metrics, WorkerCounters, WorkerMetrics};
use super::pause::Pause;
use super::propagation::Propagation;
use super::quiescence::Quiescence;
use super::ranked::Ranked;
use super::size::Size;
use super::starting::Starting;
use super::timeline::{Recorder, Timeline};
use super::timer::Timer;
use super::wait::{self, Waits};
use super::when_full::WhenFull;
use super::worker::Worker;
use crate::policy::LockPolicy;
use crate::policy::gate::Gate;
use crate::policy::run_queue::{LocalOrder, QueueConfig, RunQueue};
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Arc, Condvar, Counter, Instant, Mutex, Parker, mutant, thread, unique_number, unobserved_panic};
use crate::task::{PanicPayload, Tally, Task, TaskHooks, TaskList, quietly};

type ThreadHook = Box<dyn Fn(usize) + Send + Sync>;

/// User code that the pool calls.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) thread_start: Option<ThreadHook>,
    pub(crate) thread_stop: Option<ThreadHook>,
    pub(crate) panic: Option<Box<dyn Fn(PanicPayload) + Send + Sync>>,
    pub(crate) held_too_long: Option<(Duration, HoldHook)>,
    pub(crate) initializer: Option<Initializer>,
    pub(crate) finalizer: Option<Finalizer>,
    pub(crate) worker_main: Option<WorkerMain>,
    pub(crate) terminated: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    pub(crate) task: TaskHooks,
    pub(crate) propagation: Option<Propagation>,
}

type WorkerMain = Box<dyn Fn(WorkerRun<'_>) + Send + Sync>;
type HoldHook = Box<dyn Fn(&HeldTooLong) + Send + Sync>;

/// A task has held the global lock for longer than it should: see
/// [`Builder::on_held_too_long`](crate::Builder::on_held_too_long).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HeldTooLong {
    /// The name of the task's closure as the compiler gives it, like `app::import::{{closure}}`, with what the pool wraps around it.
    pub task: &'static str,
    /// For how long it held the lock without a break.
    pub held: Duration,
}

/// What the builder settled.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// At first, see [`Core::workers`].
    pub(crate) workers: usize,
    pub(crate) spares: usize,
    pub(crate) order: LocalOrder,
    pub(crate) thread_name: String,
    pub(crate) stack_size: Option<usize>,
    pub(crate) keep_alive: Duration,
    /// How many idle workers stay; if not told, all but the spare ones.
    pub(crate) min_workers: Option<usize>,
    pub(crate) switch_interval: Duration,
    /// How many events to record, a worker.
    pub(crate) timeline: Option<usize>,
    pub(crate) delayed_after_shutdown: bool,
    pub(crate) periodic_after_shutdown: bool,
    /// How many tasks may be queued, and what becomes of one more.
    pub(crate) bound: Option<(usize, WhenFull)>,
}

/// A worker's place: it outlives the thread in it.
struct Place<L> {
    /// None while a thread has it, and before the first.
    local: Mutex<Option<L>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

pub(crate) struct Core<P: LockPolicy> {
    pub(crate) id: u32,
    pub(crate) config: Config,
    capacity: Option<Arc<Capacity>>,
    /// Whether there is neither a `capacity` nor something to propagate; small, so that it lies beside `id`, which a submission reads anyway.
    plain: bool,
    pub(super) pause: Pause,
    pub(super) quiescence: Quiescence,
    pub(super) recorder: Option<Recorder>,
    pub(crate) hooks: Hooks,
    pub(super) queue: P::Queue,
    pub(super) ranked: Ranked,
    pub(crate) lock: Arc<Lock<P::Gate>>,
    pub(super) idle: Idle,
    pub(super) size: Size,
    pub(super) starting: Starting,
    pub(super) parkers: Box<[CachePadded<Parker>]>,
    pub(super) counters: Box<[CachePadded<WorkerCounters>]>,
    places: Box<[Place<<P::Queue as RunQueue>::Local>]>,
    /// Places without a thread, the lowest last.
    pub(super) free: Mutex<Vec<usize>>,
    pub(super) mail: Mail,
    pub(super) waits: Waits,
    pub(super) holders: Holders,
    pub(super) timer: Timer,
    pub(super) futures: Futures<P>,
    pub(super) woken: Counter,
    pub(super) start_failures: Counter,
    /// Tasks that ended unrun and that no worker counted.
    pub(super) cancelled: Counter,
    /// Tasks run by a worker that waited for them, and their queue entries that have come up since.
    pub(super) inlined: Counter,
    pub(super) claimed: Counter,
    pub(super) in_line: InLine,
    /// Whether a limit has been made for its tasks.
    limits: AtomicBool,
    /// Whether what has not started is to be cancelled.
    cancelling: AtomicBool,
    pub(super) broken: Broken,
    /// How many workers have been ready for their first task, if that can fail.
    pub(super) ready: Mutex<usize>,
    pub(super) became_ready: Condvar,
    enders: Enders,
    terminated: Mutex<bool>,
    termination: Condvar,
}

impl<P: LockPolicy> Core<P> {
    pub(crate) fn new(config: Config, mut hooks: Hooks, lock: Arc<Lock<P::Gate>>) -> Arc<Self> {
        let threads = config.workers + config.spares;
        let queue = P::Queue::new(&QueueConfig { locals: threads, order: config.order });
        // Behind an exclusive gate a second active worker could only stand in line.
        let target = if P::Gate::EXCLUSIVE { 1 } else { config.workers };
        let places = (0..threads).map(|_| Place { local: Mutex::new(None), thread: Mutex::new(None) }).collect();
        // Never reused: a worker trusts the number to say which pool, and so which types, it belongs to.
        let id = unique_number();
        lock.add(id);
        let task = std::mem::take(&mut hooks.task);
        let task = (task.before.is_some() || task.after.is_some()).then(|| Arc::new(task));
        let counters = |index| CachePadded::new(WorkerCounters::new(Tally::with_hooks(index, task.clone())));
        Arc::new(Self {
            id,
            plain: config.bound.is_none() && hooks.propagation.is_none(),
            capacity: config.bound.map(|(bound, when_full)| Capacity::new(bound, when_full)),
            pause: Pause::new(),
            quiescence: Quiescence::new(),
            recorder: config.timeline.map(|events| Recorder::new(threads, events)),
            hooks,
            places,
            queue,
            ranked: Ranked::new(),
            lock,
            idle: Idle::new(target, threads),
            size: Size::new(config.workers),
            starting: Starting::default(),
            parkers: (0..threads).map(|_| CachePadded::new(Parker::new())).collect(),
            counters: (0..threads).map(counters).collect(),
            free: Mutex::new((0..threads).rev().collect()),
            mail: Mail::new(),
            waits: Waits::default(),
            holders: Holders::new(threads),
            timer: Timer::new(),
            futures: Futures::new(),
            woken: Counter::default(),
            start_failures: Counter::default(),
            cancelled: Counter::default(),
            inlined: Counter::default(),
            claimed: Counter::default(),
            in_line: InLine::default(),
            limits: AtomicBool::new(false),
            cancelling: AtomicBool::new(false),
            broken: Broken::default(),
            ready: Mutex::new(0),
            became_ready: Condvar::new(),
            enders: Enders::new(),
            terminated: Mutex::new(false),
            termination: Condvar::new(),
            config,
        })
    }

    /// Whether tasks of the two need the same lock.
    pub(crate) fn has_lock_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.lock, &other.lock)
    }

    /// The worker of a frame of a pool whose policy is `P`.
    pub(super) fn worker(frame: &Frame) -> Option<&Worker<P>> {
        // SAFETY: such a frame's worker is a `Worker<P>` below on this thread's stack: pools' numbers are unique, and every
        // caller knows the policy of the pool whose number it compared.
        frame.worker.map(|worker| unsafe { &*worker.cast::<Worker<P>>() })
    }

    pub(crate) fn of_worker(frame: &Frame) -> Option<&Arc<Self>> {
        Self::worker(frame).map(|worker| &worker.core)
    }

    pub(crate) fn gate(&self) -> &P::Gate {
        &self.lock.gate
    }

    /// Whether code on this thread holds the lock so that only its context may let go of it.
    pub(crate) fn is_held_by_context(&self) -> bool {
        let holds = |frame: &Frame| frame.is_exclusive() && frame.kind.get() == Kind::Context && frame.covers(self.id);
        current::frames(|mut frames| frames.any(holds))
    }

    /// Whether a submission is no more than a push: it need not be [admitted](Self::admit), and [carries](super::propagation) nothing.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether tasks carry what their submitters have around them.
    pub(crate) fn propagates(&self) -> bool {
        self.hooks.propagation.is_some()
    }

    pub(crate) fn capacity(&self) -> Option<&Arc<Capacity>> {
        self.capacity.as_ref()
    }

    pub(crate) fn has_queued(&self) -> bool {
        !self.queue.is_empty() || (!self.ranked.waiting().is_none() && !mutant("ranked_is_slept_over"))
    }

    /// Whether nobody is left to run what is queued.
    pub(super) fn is_stuck(&self) -> bool {
        let word = self.idle.load();
        self.has_queued() && word.active() == 0 && word.sleeping() == 0
    }

    /// Its tasks may from now on have to wait for permits.
    pub(crate) fn has_a_limit(&self) {
        // Relaxed, as in `has_limits`: the order of submissions is that of who happens before whom.
        self.limits.store(true, Relaxed);
    }

    /// Whether a task may have to wait before it is queued, whatever the gate: then those that name the same values stand in line for them.
    pub(crate) fn has_limits(&self) -> bool {
        self.limits.load(Relaxed)
    }

    /// Queues an accepted task and sees to it that somebody finds it.
    #[inline]
    pub(crate) fn push(self: &Arc<Self>, task: Task) {
        let by_worker = current::frames(|mut frames| {
            let worker = frames.find(|frame| frame.pool == self.id).and_then(Self::worker);
            match worker {
                Some(worker) => self.queue.push(&worker.local, task),
                None => self.queue.inject(task),
            }
            worker.is_some()
        });
        self.settle(self.idle.notify(by_worker));
    }

    /// As `push`, for several in their order.
    pub(crate) fn push_all(self: &Arc<Self>, tasks: TaskList) {
        let by_worker = current::frames(|mut frames| {
            let worker = frames.find(|frame| frame.pool == self.id).and_then(Self::worker);
            match worker {
                Some(worker) => tasks.for_each(|task| self.queue.push(&worker.local, task)),
                None => self.queue.inject_all(tasks),
            }
            worker.is_some()
        });
        self.settle(self.idle.notify(by_worker));
    }

    /// As `push`, but in the order of the calls, whoever makes them.
    pub(super) fn inject(self: &Arc<Self>, task: Task) {
        self.queue.inject(task);
        self.notify_of_injected();
    }

    /// To be called after a task has been injected into the queue.
    pub(super) fn notify_of_injected(self: &Arc<Self>) {
        let by_worker =
            current::frames(|mut frames| frames.any(|frame| frame.pool == self.id && frame.worker.is_some()));
        self.settle(self.idle.notify(by_worker));
    }

    /// To be called after a task has been made visible; `by_worker`: by a thread of the pool.
    pub(super) fn notify_of_one(self: &Arc<Self>, by_worker: bool) {
        self.settle(self.idle.notify(by_worker));
    }

    /// To be called after work has been made visible.
    #[inline]
    pub(crate) fn notify(self: &Arc<Self>) {
        self.settle(self.idle.notify(true));
    }

    /// As `notify`, without the barrier: a worker that goes to sleep at the same moment may not hear of the work. For work that the caller will do
    /// itself if nobody comes for it.
    #[inline]
    pub(super) fn notify_soon(self: &Arc<Self>) {
        self.settle(self.idle.notify_soon());
    }

    /// As `notify`, for what had been queued before.
    pub(super) fn notify_others(self: &Arc<Self>) {
        match self.idle.notify(true) {
            Notify::Stuck => {}
            notify => self.settle(notify),
        }
    }

    /// Has a worker stand in line at the gate for a queued task.
    pub(crate) fn notify_extra(self: &Arc<Self>) {
        self.settle(self.idle.notify_extra(self.workers()));
    }

    #[inline]
    fn settle(self: &Arc<Self>, notify: Notify) {
        match notify {
            Notify::Enough => {}
            Notify::Wake(index) => {
                self.parkers[index].unpark();
                self.woken.add_shared(1);
                wait::has_woken();
            }
            Notify::Start => {
                if let Err(error) = self.start_thread(true) {
                    self.start_failed(&error);
                }
            }
            Notify::Stuck => self.waits.rouse(),
            Notify::Stopped => {
                self.ending(|| self.discard_all(|| self.refused()));
            }
        }
    }

    pub(super) fn call_hook(&self, hook: impl FnOnce(&Hooks) -> Option<&ThreadHook>, index: usize) {
        if let Some(hook) = hook(&self.hooks) {
            quietly(|| hook(index));
        }
    }

    /// Since when a task that begins now, or gets the lock back, holds it; none if nobody asks.
    pub(super) fn watch(&self) -> Option<Instant> {
        (P::Gate::EXCLUSIVE && self.hooks.held_too_long.is_some()).then(Instant::now)
    }

    /// A task has ended, or lets go of the lock.
    #[cold]
    pub(super) fn held(&self, task: &'static str, since: Instant) {
        let held = Instant::now().duration_since(since);
        if let Some((limit, hook)) = &self.hooks.held_too_long
            && held > *limit
        {
            quietly(|| hook(&HeldTooLong { task, held }));
        }
    }

    /// The pool's answer to a panic that no handle receives. The process's panic hook has printed it already.
    pub(super) fn unobserved_panic(&self, payload: PanicPayload) {
        quietly(|| match &self.hooks.panic {
            Some(handler) => handler(payload),
            None => {
                drop(payload);
                unobserved_panic();
            }
        });
    }

    pub(crate) fn timeline(&self) -> Option<Timeline> {
        self.recorder.as_ref().map(Recorder::timeline)
    }

    /// From now on workers take no task from the queues, until `resume`.
    pub(crate) fn pause(&self) {
        self.pause.begin(|| self.is_draining());
    }

    pub(crate) fn resume(&self) {
        self.pause.end();
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.pause.is_on()
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let mut workers: Vec<_> = self.counters.iter().map(|worker| worker.snapshot()).collect();
        // The places for spare threads are many and mostly never taken.
        let used = workers.iter().rposition(|worker| *worker != WorkerMetrics::default()).map_or(0, |last| last + 1);
        workers.truncate(used.max(self.workers()));
        let mut metrics = Metrics::of(workers);
        metrics.cancelled += self.cancelled.get();
        metrics.woken = self.woken.get();
        metrics.rejected = self.capacity.as_ref().map_or(0, |capacity| capacity.rejected.get());
        metrics.start_failures = self.start_failures.get();
        let lock = self.gate().counts();
        (metrics.lock_waits, metrics.lock_wait_time) = (lock.waits, lock.waited);
        (metrics.lock_holds, metrics.lock_hold_time) = (lock.holds, lock.held);
        (metrics.lock_wait_times, metrics.lock_hold_times) = (lock.wait_times, lock.hold_times);
        metrics.threads = self.idle.load().threads();
        metrics.largest_threads = self.size.largest();
        // Entries of tasks that a waiter ran are still in the queues, but wait for nothing.
        let stale = self.inlined.get().saturating_sub(self.claimed.get());
        metrics.queue_depth = (self.queue.len() as u64 + self.ranked.len()).saturating_sub(stale)
            + self.waiting_in_line()
            + self.timer.len() as u64;
        metrics.queue_depth += (self.mail.len() + self.starting.len()) as u64;
        metrics.submitted = metrics.started + metrics.cancelled + metrics.queue_depth;
        metrics
    }
}

impl<P: LockPolicy> Drop for Core<P> {
    fn drop(&mut self) {
        self.lock.remove(self.id);
    }
}
