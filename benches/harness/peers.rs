//! The pools, behind one trait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;

use lockgrain::{
    Builder, FineGrained, GlobalLock, LockFree, LockPolicy, TaskHandle, ThreadPool, deque, gate, run_queue, value_lock,
};
use parking_lot::{Condvar, Mutex};

use crate::stage::{Peer, Stage};

/// A pool of threads. `spawn` and `submit` may be called from its own tasks.
pub trait Executor: Send + Sync + 'static {
    const NAME: &'static str;
    type Handle<T: Send + 'static>: Send;

    /// How many tasks run at once.
    fn at_once(workers: usize) -> usize {
        workers
    }

    fn start(workers: usize) -> Self;
    fn spawn(&self, f: impl FnOnce() + Send + 'static);
    fn submit<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Self::Handle<T>;
    /// Waits, outside the pool.
    fn result<T: Send + 'static>(&self, handle: Self::Handle<T>) -> T;
}

/// All pools with so many workers, lockgrain's first.
pub fn all(workers: usize) -> Vec<Box<dyn Peer>> {
    fn peer<E: Executor>(workers: usize) -> Box<dyn Peer> {
        Box::new(Stage::<E>::new(workers))
    }
    let peers = vec![
        peer::<ThreadPool<LockFree>>(workers),
        peer::<ThreadPool<OverCrossbeam>>(workers),
        peer::<ThreadPool<FineGrained>>(workers),
        peer::<ThreadPool<GlobalLock>>(workers),
        peer::<rayon::ThreadPool>(workers),
        peer::<tokio::runtime::Runtime>(workers),
        peer::<Threadpool>(workers),
        peer::<rusty_pool::ThreadPool>(workers),
        peer::<Channel>(workers),
        peer::<NaiveMutex>(workers),
    ];
    #[cfg(feature = "forte")]
    let peers = peers.into_iter().chain((workers <= Forte::MOST).then(|| peer::<Forte>(workers))).collect();
    peers
}

/// [`LockFree`] with `crossbeam-deque` in the place of the crate's own deque.
struct OverCrossbeam;

impl LockPolicy for OverCrossbeam {
    const NAME: &'static str = "lock-free, crossbeam";
    type Queue = run_queue::Stealing<deque::Crossbeam>;
    type Gate = gate::OpenGate;
    type Lock = value_lock::WaitList;
}

impl<P: LockPolicy> Executor for ThreadPool<P> {
    const NAME: &'static str = P::NAME;
    type Handle<T: Send + 'static> = TaskHandle<T>;

    fn at_once(workers: usize) -> usize {
        if <P::Gate as gate::Gate>::EXCLUSIVE { 1 } else { workers }
    }

    fn start(workers: usize) -> Self {
        Builder::new().max_workers(workers).prestart(true).build().expect("good settings")
    }

    fn spawn(&self, f: impl FnOnce() + Send + 'static) {
        self.spawn(f).expect("the pool is open");
    }

    fn submit<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> TaskHandle<T> {
        self.submit(f)
    }

    fn result<T: Send + 'static>(&self, handle: TaskHandle<T>) -> T {
        handle.result().expect("the task does not fail")
    }
}

#[derive(Debug)]
/// Where a result arrives, for pools whose tasks have none: what their users write.
pub struct Slot<T>(Arc<(Mutex<Option<T>>, Condvar)>);

impl<T: Send + 'static> Slot<T> {
    fn of(f: impl FnOnce() -> T + Send + 'static) -> (Self, impl FnOnce() + Send + 'static) {
        let slot = Self(Arc::new((Mutex::new(None), Condvar::new())));
        let filled = slot.0.clone();
        let run = move || {
            *filled.0.lock() = Some(f());
            filled.1.notify_one();
        };
        (slot, run)
    }

    fn wait(self) -> T {
        let (value, changed) = &*self.0;
        let mut value = value.lock();
        loop {
            match value.take() {
                Some(value) => return value,
                None => changed.wait(&mut value),
            }
        }
    }
}

/// `Handle`, `submit` and `result` by way of a [`Slot`].
macro_rules! with_slots {
    () => {
        type Handle<T: Send + 'static> = Slot<T>;

        fn submit<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Slot<T> {
            let (slot, run) = Slot::of(f);
            Executor::spawn(self, run);
            slot
        }

        fn result<T: Send + 'static>(&self, slot: Slot<T>) -> T {
            slot.wait()
        }
    };
}

impl Executor for rayon::ThreadPool {
    const NAME: &'static str = "rayon";
    with_slots!();

    fn start(workers: usize) -> Self {
        rayon::ThreadPoolBuilder::new().num_threads(workers).build().expect("good settings")
    }

    fn spawn(&self, f: impl FnOnce() + Send + 'static) {
        self.spawn(f);
    }
}

impl Executor for tokio::runtime::Runtime {
    const NAME: &'static str = "tokio";
    type Handle<T: Send + 'static> = tokio::task::JoinHandle<T>;

    fn start(workers: usize) -> Self {
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).build().expect("good settings")
    }

    fn spawn(&self, f: impl FnOnce() + Send + 'static) {
        drop(self.spawn(async move { f() }));
    }

    fn submit<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Self::Handle<T> {
        self.spawn(async move { f() })
    }

    fn result<T: Send + 'static>(&self, handle: Self::Handle<T>) -> T {
        self.block_on(handle).expect("the task does not fail")
    }
}

/// Its pools are for ever.
#[cfg(feature = "forte")]
struct Forte(&'static forte::ThreadPool);

#[cfg(feature = "forte")]
impl Forte {
    /// Threads of one pool.
    const MOST: usize = 32;
}

#[cfg(feature = "forte")]
impl Executor for Forte {
    const NAME: &'static str = "forte";
    with_slots!();

    fn start(workers: usize) -> Self {
        let pool: &'static forte::ThreadPool = Box::leak(Box::new(forte::ThreadPool::new()));
        assert_eq!(pool.resize_to(workers), workers);
        Self(pool)
    }

    fn spawn(&self, f: impl FnOnce() + Send + 'static) {
        self.0.spawn(move |_: &forte::Worker| f());
    }
}

/// `threadpool` keeps its sender in a cell, so each thread would clone it; a mutex is what its users put around it.
struct Threadpool(Mutex<threadpool::ThreadPool>);

impl Executor for Threadpool {
    const NAME: &'static str = "threadpool";
    with_slots!();

    fn start(workers: usize) -> Self {
        Self(Mutex::new(threadpool::ThreadPool::new(workers)))
    }

    fn spawn(&self, f: impl FnOnce() + Send + 'static) {
        self.0.lock().execute(f);
    }
}

impl Executor for rusty_pool::ThreadPool {
    const NAME: &'static str = "rusty_pool";
    type Handle<T: Send + 'static> = rusty_pool::JoinHandle<T>;

    fn start(workers: usize) -> Self {
        rusty_pool::Builder::new().core_size(workers).max_size(workers).build()
    }

    fn spawn(&self, f: impl FnOnce() + Send + 'static) {
        self.execute(f);
    }

    fn submit<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Self::Handle<T> {
        self.evaluate(f)
    }

    fn result<T: Send + 'static>(&self, handle: Self::Handle<T>) -> T {
        handle.await_complete()
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// A channel of boxes and threads that read it.
struct Channel(crossbeam_channel::Sender<Job>);

impl Executor for Channel {
    const NAME: &'static str = "channel";
    with_slots!();

    fn start(workers: usize) -> Self {
        let (sender, receiver) = crossbeam_channel::unbounded::<Job>();
        for _ in 0..workers {
            let receiver = receiver.clone();
            thread::spawn(move || receiver.into_iter().for_each(|job| job()));
        }
        Self(sender)
    }

    fn spawn(&self, f: impl FnOnce() + Send + 'static) {
        self.0.send(Box::new(f)).expect("the threads are there");
    }
}

/// One queue behind one mutex, and a notification a push.
struct NaiveMutex(Arc<(Mutex<VecDeque<Job>>, Condvar)>);

impl Executor for NaiveMutex {
    const NAME: &'static str = "naive mutex";
    with_slots!();

    fn start(workers: usize) -> Self {
        let shared = Arc::new((Mutex::new(VecDeque::<Job>::new()), Condvar::new()));
        for _ in 0..workers {
            let shared = shared.clone();
            thread::spawn(move || {
                let (queue, pushed) = &*shared;
                loop {
                    let mut jobs = queue.lock();
                    let job = loop {
                        match jobs.pop_front() {
                            Some(job) => break job,
                            None => pushed.wait(&mut jobs),
                        }
                    };
                    drop(jobs);
                    job();
                }
            });
        }
        Self(shared)
    }

    fn spawn(&self, f: impl FnOnce() + Send + 'static) {
        let (queue, pushed) = &*self.0;
        queue.lock().push_back(Box::new(f));
        pushed.notify_one();
    }
}
