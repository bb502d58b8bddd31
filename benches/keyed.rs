//! Tasks that must run in order per key: lockgrain's keys, guarded values and strands beside what people build on other pools.
//!
//! `cargo run --release -p lockgrain-benches --bin keyed -- --help`

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use lockgrain::{FineGrained, Guarded, Keyed, LockFree, LockPolicy, ThreadPool};
use parking_lot::Mutex;

#[derive(Parser)]
#[command(about = "Nanoseconds a task, from the first submission to the last end: medians over interleaved rounds")]
struct Arguments {
    /// Measurements of each.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Tasks of each measurement.
    #[arg(long, default_value_t = 1_000_000)]
    tasks: usize,
    /// Threads of each pool.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Only these rows: keys whose name contains it.
    #[arg(long)]
    only: Option<String>,
    /// Only these columns: 1, 16, 1024, 100000, zipf.
    #[arg(long, value_delimiter = ',')]
    keys: Vec<String>,
    /// Tasks refer to what they share for good, and do not count their references to it.
    #[arg(long)]
    uncounted: bool,
}

/// What the tasks do: each looks whether it is the next of its key.
struct Order {
    next: Vec<AtomicU64>,
    ended: AtomicU64,
    violations: AtomicU64,
}

impl Order {
    fn new(keys: usize) -> Self {
        let next = (0..keys).map(|_| AtomicU64::new(0)).collect();
        Self { next, ended: AtomicU64::new(0), violations: AtomicU64::new(0) }
    }

    fn task(&self, key: usize, number: u64) {
        if self.next[key].load(Relaxed) != number {
            self.violations.fetch_add(1, Relaxed);
        }
        self.next[key].store(number + 1, Relaxed);
        self.ended.fetch_add(1, Relaxed);
    }
}

/// How tasks refer to it.
trait Shared: Clone + Deref<Target = Order> + Send + 'static {
    fn of(order: Order) -> Self;
}

impl Shared for Arc<Order> {
    fn of(order: Order) -> Self {
        Self::new(order)
    }
}

impl Shared for &'static Order {
    fn of(order: Order) -> Self {
        Box::leak(Box::new(order))
    }
}

/// Which keys the tasks have, one after another.
struct Load {
    keys: usize,
    sequence: Vec<u32>,
}

impl Load {
    fn named(name: &str, tasks: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        if name == "zipf" {
            // 1,024 keys, the first drawn n times as often as the n-th.
            let mut sums: Vec<f64> = (1..=1024).map(|rank| 1. / f64::from(rank)).collect();
            (1..sums.len()).for_each(|at| sums[at] += sums[at - 1]);
            let draw = |_| sums.partition_point(|sum| *sum < random.f64() * sums[1023]).min(1023) as u32;
            return Self { keys: 1024, sequence: (0..tasks).map(draw).collect() };
        }
        let keys: u32 = name.parse().expect("a number of keys");
        Self { keys: keys as usize, sequence: (0..tasks).map(|_| random.u32(0..keys)).collect() }
    }

    /// Submits the tasks and waits for their end.
    fn run<S: Shared>(&self, order: &S, mut submit: impl FnMut(usize, Job<S>)) -> Duration {
        let mut numbers = vec![0; self.keys];
        let start = Instant::now();
        for &key in &self.sequence {
            let key = key as usize;
            submit(key, Job { order: order.clone(), key, number: numbers[key] });
            numbers[key] += 1;
        }
        while order.ended.load(Relaxed) < self.sequence.len() as u64 {
            thread::sleep(Duration::from_micros(20));
        }
        start.elapsed()
    }
}

struct Job<S> {
    order: S,
    key: usize,
    number: u64,
}

impl<S: Shared> Job<S> {
    fn run(self) {
        self.order.task(self.key, self.number);
    }
}

type Run<S> = fn(&Load, &S, usize) -> Duration;

fn pool<P: LockPolicy>(workers: usize) -> ThreadPool<P> {
    ThreadPool::builder().policy::<P>().max_workers(workers).build().expect("the settings are good")
}

fn keyed<P: LockPolicy, S: Shared>(load: &Load, order: &S, workers: usize) -> Duration {
    let keys: Keyed<usize, P> = pool(workers).keyed();
    load.run(order, |key, job| keys.spawn(key, || job.run()).expect("it runs"))
}

fn values<P: LockPolicy, S: Shared>(load: &Load, order: &S, workers: usize) -> Duration {
    let pool = pool::<P>(workers);
    let values: Vec<Guarded<u64, P>> = (0..load.keys).map(|_| pool.guarded(0)).collect();
    load.run(order, |key, job| {
        pool.spawn_when(&values[key], |value| {
            *value += 1;
            job.run();
        })
        .expect("it runs");
    })
}

/// Each task has a handle, which nobody else here gives, and which is dropped at once.
fn handles<P: LockPolicy, S: Shared>(load: &Load, order: &S, workers: usize) -> Duration {
    let pool = pool::<P>(workers);
    let values: Vec<Guarded<u64, P>> = (0..load.keys).map(|_| pool.guarded(0)).collect();
    load.run(order, |key, job| {
        drop(pool.when(&values[key], |value| {
            *value += 1;
            job.run();
        }));
    })
}

/// Each task names another value, too, which is its alone for the most part.
fn two_values<P: LockPolicy, S: Shared>(load: &Load, order: &S, workers: usize) -> Duration {
    let pool = pool::<P>(workers);
    let values: Vec<Guarded<u64, P>> = (0..load.keys).map(|_| pool.guarded(0)).collect();
    let others: Vec<Guarded<u64, P>> = (0..4096).map(|_| pool.guarded(0)).collect();
    let mut at = 0;
    load.run(order, |key, job| {
        at = (at + 1) % others.len();
        pool.spawn_when((&values[key], &others[at]), |(value, other)| {
            *value += 1;
            *other += 1;
            job.run();
        })
        .expect("it runs");
    })
}

/// A channel a thread, and the key says which.
fn shard_channels<S: Shared>(load: &Load, order: &S, workers: usize) -> Duration {
    let (senders, threads): (Vec<_>, Vec<_>) = (0..workers)
        .map(|_| {
            let (sender, jobs) = crossbeam_channel::unbounded::<Box<dyn FnOnce() + Send>>();
            (sender, thread::spawn(move || jobs.into_iter().for_each(|job| job())))
        })
        .unzip();
    let took = load.run(order, |key, job| senders[key % workers].send(Box::new(|| job.run())).expect("they listen"));
    drop(senders);
    threads.into_iter().for_each(|thread| thread.join().expect("no task panics"));
    took
}

/// What one core can hand to another at all: one thread, whatever the key, that spins at a ring of this load's own jobs, no closures. It is no pool, and
/// a limit for those that are.
fn bare_ring<S: Shared>(load: &Load, order: &S, _workers: usize) -> Duration {
    let (mut jobs, mut ring) = rtrb::RingBuffer::<Job<S>>::new(load.sequence.len());
    let thread = thread::spawn(move || {
        while !(ring.is_abandoned() && ring.is_empty()) {
            match ring.pop() {
                Ok(job) => job.run(),
                Err(_empty) => std::hint::spin_loop(),
            }
        }
    });
    let took = load.run(order, |_, job| jobs.push(job).expect("there is room for all"));
    drop(jobs);
    thread.join().expect("no task panics");
    took
}

#[derive(Default)]
struct RayonStrand(Mutex<Strand>);

#[derive(Default)]
struct Strand {
    running: bool,
    jobs: VecDeque<Box<dyn FnOnce() + Send>>,
}

impl RayonStrand {
    fn submit<S: Shared>(self: &Arc<Self>, pool: &rayon::ThreadPool, job: Job<S>) {
        let mut strand = self.0.lock();
        strand.jobs.push_back(Box::new(|| job.run()));
        if !std::mem::replace(&mut strand.running, true) {
            drop(strand);
            let shared = self.clone();
            pool.spawn(move || {
                loop {
                    let mut strand = shared.0.lock();
                    let Some(job) = strand.jobs.pop_front() else {
                        strand.running = false;
                        return;
                    };
                    drop(strand);
                    job();
                }
            });
        }
    }
}

fn rayon_strands<S: Shared>(load: &Load, order: &S, workers: usize) -> Duration {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().expect("threads");
    let strands: Vec<Arc<RayonStrand>> = (0..load.keys).map(|_| Arc::default()).collect();
    load.run(order, |key, job| strands[key].submit(&pool, job))
}

fn tokio_actors<S: Shared>(load: &Load, order: &S, workers: usize) -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).build().expect("threads");
    let actor = |_| {
        let (sender, mut jobs) = tokio::sync::mpsc::unbounded_channel::<Job<S>>();
        runtime.spawn(async move {
            while let Some(job) = jobs.recv().await {
                job.run();
            }
        });
        sender
    };
    let actors: Vec<_> = (0..load.keys).map(actor).collect();
    load.run(order, |key, job| {
        if actors[key].send(job).is_err() {
            unreachable!("they listen");
        }
    })
}

fn rows<S: Shared>() -> [(&'static str, Run<S>); 12] {
    [
        ("lock-free, keys", keyed::<LockFree, S>),
        ("fine, keys", keyed::<FineGrained, S>),
        ("lock-free, value", values::<LockFree, S>),
        ("fine, value", values::<FineGrained, S>),
        ("lock-free, value, handles", handles::<LockFree, S>),
        ("fine, value, handles", handles::<FineGrained, S>),
        ("lock-free, two values", two_values::<LockFree, S>),
        ("fine, two values", two_values::<FineGrained, S>),
        ("a channel a shard", shard_channels),
        ("strands on rayon", rayon_strands),
        ("actors on tokio", tokio_actors),
        ("a bare ring", bare_ring),
    ]
}

fn main() {
    let arguments = Arguments::parse();
    if arguments.uncounted { measure::<&'static Order>(arguments) } else { measure::<Arc<Order>>(arguments) }
}

fn measure<S: Shared>(Arguments { rounds, tasks, workers, only, keys, .. }: Arguments) {
    let columns: Vec<&str> = ["1", "16", "1024", "100000", "zipf"]
        .into_iter()
        .filter(|name| keys.is_empty() || keys.iter().any(|key| key == name))
        .collect();
    let rows: Vec<_> =
        rows::<S>().into_iter().filter(|(name, _)| only.as_ref().is_none_or(|part| name.contains(part))).collect();
    let mut medians = vec![Vec::new(); rows.len()];
    let mut violations = vec![0; rows.len()];
    let mut serial = Vec::new();
    for column in &columns {
        let load = Load::named(column, tasks);
        let mut samples = vec![Vec::new(); rows.len()];
        let mut alone = Vec::new();
        let mut random = fastrand::Rng::with_seed(2);
        let mut places: Vec<usize> = (0..rows.len()).collect();
        for _ in 0..rounds {
            random.shuffle(&mut places);
            for &at in &places {
                let order = S::of(Order::new(load.keys));
                samples[at].push(rows[at].1(&load, &order, workers).as_secs_f64() * 1e9 / tasks as f64);
                violations[at] += order.violations.load(Relaxed);
            }
            let order = S::of(Order::new(load.keys));
            alone.push(load.run(&order, |_, job| job.run()).as_secs_f64() * 1e9 / tasks as f64);
        }
        let median = |mut samples: Vec<f64>| {
            samples.sort_by(f64::total_cmp);
            samples[samples.len() / 2]
        };
        samples.into_iter().zip(&mut medians).for_each(|(samples, row)| row.push(median(samples)));
        serial.push(median(alone));
    }
    let line = |name: &str, row: &[f64], note: &str| {
        let cells: Vec<String> = row.iter().map(|ns| format!("{ns:.0}")).collect();
        println!("| {name} | {} | {note} |", cells.join(" | "));
    };
    println!("{workers} workers, {tasks} tasks, ns a task, medians of {rounds}\n");
    println!("| | {} | out of order |\n|---|{}---|", columns.join(" | "), "---|".repeat(columns.len()));
    for ((name, _), (row, violations)) in rows.iter().zip(medians.iter().zip(violations)) {
        line(name, row, &violations.to_string());
    }
    line("a serial loop", &serial, "0");
}
