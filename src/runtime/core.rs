//! What the threads of one pool share.

use std::fmt::Display;
use std::io;
use std::ptr;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::capacity::Capacity;
use super::current::{self, Frame, Kind};
use super::future::Futures;
use super::holders::Holders;
use super::idle::{Exit, Idle, Notify};
use super::local::{Broken, Finalizer, Initializer, WorkerRun};
use super::lock::Lock;
use super::mail::Mail;
use super::metrics::{Metrics, WorkerCounters, WorkerMetrics};
use super::pause::Pause;
use super::quiescence::Quiescence;
use super::ranked::{Ranked, Which};
use super::size::Size;
use super::timeline::{Recorder, Timeline};
use super::timer::Timer;
use super::wait::Waits;
use super::when_full::WhenFull;
use super::worker::{self, Worker};
use crate::policy::LockPolicy;
use crate::policy::gate::Gate;
use crate::policy::run_queue::{Find, LocalOrder, QueueConfig, RunQueue};
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{
    Arc, Condvar, Counter, Instant, Mutex, Parker, hint, mutant, thread, unique_number, unobserved_panic,
};
use crate::task::{Discarded, PanicPayload, Tally, Task, TaskError, TaskHooks, quietly};

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
    /// Whether there is a `capacity`; small, so that it lies beside `id`, which a submission reads anyway.
    bounded: bool,
    pub(super) pause: Pause,
    pub(super) quiescence: Quiescence,
    pub(super) recorder: Option<Recorder>,
    pub(crate) hooks: Hooks,
    pub(super) queue: P::Queue,
    pub(super) ranked: Ranked,
    pub(crate) lock: Arc<Lock<P::Gate>>,
    pub(super) idle: Idle,
    pub(super) size: Size,
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
    cancelled: Counter,
    /// Tasks run by a worker that waited for them, and their queue entries that have come up since.
    pub(super) inlined: Counter,
    pub(super) claimed: Counter,
    /// Tasks that had to wait for a guarded value, and those of them that do no more.
    pub(super) held_back: CachePadded<Counter>,
    pub(super) let_in: CachePadded<Counter>,
    /// Whether a limit has been made for its tasks.
    limits: AtomicBool,
    /// Whether what has not started is to be cancelled.
    cancelling: AtomicBool,
    pub(super) broken: Broken,
    /// How many workers have been ready for their first task, if that can fail.
    pub(super) ready: Mutex<usize>,
    pub(super) became_ready: Condvar,
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
            bounded: config.bound.is_some(),
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
            held_back: CachePadded::default(),
            let_in: CachePadded::default(),
            limits: AtomicBool::new(false),
            cancelling: AtomicBool::new(false),
            broken: Broken::default(),
            ready: Mutex::new(0),
            became_ready: Condvar::new(),
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

    /// Whether the number of queued tasks is bounded, and a submission has to be admitted.
    #[inline]
    pub(crate) fn is_bounded(&self) -> bool {
        self.bounded
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

    #[inline]
    pub(crate) fn is_draining(&self) -> bool {
        self.idle.is_draining()
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

    pub(crate) fn is_terminated(&self) -> bool {
        *self.terminated.lock()
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

    /// As `push`, but in the order of the calls, whoever makes them.
    pub(super) fn inject(self: &Arc<Self>, task: Task) {
        self.queue.inject(task);
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
            }
            Notify::Start => {
                if let Err(error) = self.start_thread() {
                    self.start_failed(&error);
                }
            }
            Notify::Stuck => self.waits.rouse(),
            Notify::Stopped => {
                self.discard_all(|| self.refused());
            }
        }
    }

    /// Starts a thread that the counters know of.
    fn start_thread(self: &Arc<Self>) -> io::Result<()> {
        let mut free = self.free.lock();
        let index = free.pop().expect("as many places as threads");
        let taken = self.threads_with(&free);
        drop(free);
        self.start_thread_at(index, taken)
    }

    /// How many places are taken if these are not.
    pub(super) fn threads_with(&self, free: &[usize]) -> usize {
        self.places.len() - free.len()
    }

    /// The same in a place that is not free any more.
    pub(super) fn start_thread_at(self: &Arc<Self>, index: usize, taken: usize) -> io::Result<()> {
        let builder = self.thread_builder(index);
        let core = self.clone();
        // Locked over the start, so that the thread's end finds its handle in place.
        let mut place = self.places[index].thread.lock();
        match builder.spawn(move || worker::main(core, index)) {
            Ok(handle) => {
                *place = Some(handle);
                self.size.has_started(taken);
                Ok(())
            }
            Err(error) => {
                drop(place);
                self.free.lock().push(index);
                Err(error)
            }
        }
    }

    /// For a thread of that number, or whatever stands for it.
    pub(super) fn thread_builder(&self, number: impl Display) -> thread::Builder {
        let builder = thread::Builder::new().name(format!("{}_{number}", self.config.thread_name));
        match self.config.stack_size {
            Some(bytes) => builder.stack_size(bytes),
            None => builder,
        }
    }

    pub(super) fn start_failed(self: &Arc<Self>, error: &io::Error) {
        self.start_failures.add_shared(1);
        if self.idle.start_failed() {
            let kind = error.kind();
            self.discard_all(|| TaskError::NoWorker(kind));
            self.stop_if_empty();
        }
        self.let_over_if_stuck();
        if self.is_stuck() {
            self.waits.rouse();
        }
        self.deliver();
        self.may_be_quiescent();
    }

    /// Starts what is missing of the workers' threads; how many, and why no more.
    pub(crate) fn prestart(self: &Arc<Self>) -> (usize, io::Result<()>) {
        let mut started = 0;
        while self.idle.prestart(self.workers()) {
            if let Err(error) = self.start_thread() {
                self.start_failures.add_shared(1);
                let _none_left = self.idle.start_failed();
                self.deliver();
                self.may_be_quiescent();
                return (started, Err(error));
            }
            started += 1;
        }
        (started, Ok(()))
    }

    pub(super) fn take_local(&self, index: usize) -> <P::Queue as RunQueue>::Local {
        // Made when a thread first takes the place, so that a queue need not look at places that were never used.
        self.places[index].local.lock().take().unwrap_or_else(|| self.queue.local(index))
    }

    /// A thread's last act but its exit: its place can be another's.
    pub(super) fn vacate(&self, index: usize, local: <P::Queue as RunQueue>::Local) {
        *self.places[index].local.lock() = Some(local);
        let mut free = self.free.lock();
        free.push(index);
        free.sort_unstable_by(|a, b| b.cmp(a));
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

    /// Ends all queued tasks unrun; how many.
    pub(super) fn discard_all(&self, why: impl Fn() -> TaskError) -> usize {
        let (mut ended, mut cancelled) = (0, 0);
        let mut discard = |task: Task| match task.discard(why()) {
            Discarded::Now => ended += 1,
            Discarded::Cancelled => cancelled += 1,
            Discarded::Claimed | Discarded::GivenBack => {}
        };
        while let Some(task) = self.ranked.take(Which::Oldest) {
            discard(task);
        }
        loop {
            match self.queue.take() {
                Find::Task(task, _) => discard(task),
                Find::Retry => hint::spin_loop(),
                Find::Empty if self.queue.is_empty() => break,
                Find::Empty => hint::spin_loop(),
            }
        }
        // Those too that were cancelled through their handles: nobody else comes to them any more.
        self.count_cancelled(ended + cancelled);
        self.may_be_quiescent();
        ended
    }

    pub(super) fn after_exit(self: &Arc<Self>, exit: Exit) {
        match exit {
            Exit::Last => self.stopped(),
            // A task that was pushed while this thread made up its mind.
            Exit::Others | Exit::Held if self.has_queued() => self.notify(),
            Exit::Held => self.timer.look_again(),
            Exit::Others => {}
        }
    }

    /// As `stop_if_empty`, but for what was queued while a worker that leaves still counted as active: it has not looked yet, or not found anybody.
    pub(super) fn stop_if_done(self: &Arc<Self>) {
        if self.has_queued() {
            self.notify();
        }
        self.stop_if_empty();
    }

    /// Stops a draining pool that has no thread.
    fn stop_if_empty(self: &Arc<Self>) {
        match self.idle.stop_if_empty() {
            Exit::Last => self.stopped(),
            Exit::Held => self.timer.look_again(),
            Exit::Others => {}
        }
    }

    fn stopped(self: &Arc<Self>) {
        // Submitted while the pool stopped: too late to run.
        self.discard_all(|| self.refused());
        self.end_futures();
        if self.idle.load().has_timer() {
            self.timer.stop();
        }
        let hook = self.hooks.terminated.lock().take();
        if let Some(hook) = hook {
            // In a frame of the pool: code that shuts it down must not wait for this very call.
            Frame::enter(self.id, None, Kind::Idle, ptr::null(), ptr::null(), None, |_| quietly(hook));
        }
        *self.terminated.lock() = true;
        self.termination.notify_all();
    }

    /// From now on tasks are refused; the queued ones are still run, and then the workers end. How many tasks of the timer that cancels.
    pub(crate) fn drain(self: &Arc<Self>) -> usize {
        let mut cancelled = 0;
        let sleepers = self.idle.drain();
        // Afterwards, as it does not begin any more in a pool that drains.
        self.pause.end();
        if let Some(sleepers) = sleepers {
            for index in sleepers {
                self.parkers[index].unpark();
            }
            if mutant("drain_stops_without_a_look") {
                self.stop_if_empty();
            } else {
                self.stop_if_done();
            }
            if self.idle.load().has_timer() {
                cancelled = self.drain_timer();
            }
        }
        // After the pool has begun to refuse tasks, also if another call did that.
        if let Some(capacity) = &self.capacity {
            capacity.close();
        }
        cancelled
    }

    /// Cancels what is queued, waits for its time or to be woken, or stands in line, but for what stands there without a handle, which ends when its turn
    /// comes; how many tasks that ends.
    pub(crate) fn cancel_queued(&self) -> usize {
        // Relaxed: a task whose turn comes at the same moment may be run, as one that started a moment before.
        self.cancelling.store(true, Relaxed);
        let timed = if self.idle.load().has_timer() { self.cancel_timed() } else { 0 };
        let futures = self.cancel_futures();
        let mail = self.end_mail(|| self.unrun());
        // First, as to end a queued task lets in the next one.
        let in_line = self.waiting_for_values() as usize;
        self.cancel_in_line();
        timed + futures + mail + in_line + self.discard_all(|| self.unrun())
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

    pub(super) fn is_cancelling(&self) -> bool {
        self.cancelling.load(Relaxed)
    }

    /// Ends a task unrun that was in no queue.
    pub(super) fn cancel(&self, task: Task) {
        if matches!(task.discard(self.unrun()), Discarded::Now | Discarded::Cancelled) {
            self.count_cancelled(1);
        }
    }

    pub(super) fn count_cancelled(&self, tasks: usize) {
        self.cancelled.add_shared(tasks as u64);
    }

    pub(super) fn waiting_for_values(&self) -> u64 {
        let let_in = self.let_in.get() + self.counters.iter().map(|worker| worker.let_in.get()).sum::<u64>();
        self.held_back.get().saturating_sub(let_in)
    }

    /// Waits for a draining pool to stop and joins its threads; false if the deadline came first, or if the caller is one
    /// of them and would wait for itself.
    pub(crate) fn join(&self, deadline: Option<Instant>) -> bool {
        if current::frames(|mut frames| frames.any(|frame| frame.covers(self.id))) {
            return self.is_terminated();
        }
        let mut terminated = self.terminated.lock();
        while !*terminated {
            match deadline {
                None => self.termination.wait(&mut terminated),
                Some(deadline) => {
                    if self.termination.wait_until(&mut terminated, deadline) && !*terminated {
                        return false;
                    }
                }
            }
        }
        drop(terminated);
        let timer = if self.idle.load().has_timer() { self.timer.take_thread() } else { None };
        let workers = self.places.iter().map(|place| place.thread.lock().take());
        for handle in workers.chain([timer]).flatten() {
            // A thread of the pool catches every panic of user code; there is nothing to pass on.
            let _ended = handle.join();
        }
        true
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
            + self.waiting_for_values()
            + self.timer.len() as u64;
        metrics.queue_depth += self.mail.len() as u64;
        metrics.submitted = metrics.started + metrics.cancelled + metrics.queue_depth;
        metrics
    }
}

impl<P: LockPolicy> Drop for Core<P> {
    fn drop(&mut self) {
        self.lock.remove(self.id);
    }
}
