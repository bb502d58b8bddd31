//! Operations over many items, and recursion: `join`, `scope`, `map`, `wait` and `as_completed`, beside chili, rayon and
//! `std::thread::scope`.
//!
//! `cargo run --release -p lockgrain-benches --bin bulk -- --help`

use std::hint::black_box;
use std::num::NonZero;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use lockgrain::{
    Builder, Bulk, ChunkSize, FineGrained, GlobalLock, LockFree, LockPolicy, ReturnWhen, ThreadPool, as_completed,
    join_all, wait,
};
use lockgrain_benches::{chili_fib, fib, rayon_fib};
use rayon::prelude::*;

#[derive(Parser)]
#[command(about = "Milliseconds a workload: medians, and the middle half, over interleaved rounds")]
struct Arguments {
    /// Measurements of each.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Threads of each pool.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Only workloads whose name contains it.
    #[arg(long)]
    only: Option<String>,
}

struct Pools {
    lock_free: ThreadPool<LockFree>,
    fine: ThreadPool<FineGrained>,
    global: ThreadPool<GlobalLock>,
    /// With a timeline each.
    recorded: (ThreadPool<LockFree>, ThreadPool<FineGrained>, ThreadPool<GlobalLock>),
    rayon: rayon::ThreadPool,
    chili: chili::ThreadPool,
    workers: usize,
    small: Node,
    /// Made when it is first asked for: it takes a while, and half a gigabyte.
    large: LazyLock<Node>,
}

fn pool<P: LockPolicy>(workers: usize) -> ThreadPool<P> {
    Builder::new().max_workers(workers).prestart(true).build().expect("good settings")
}

/// With room for the events of all rounds.
fn recorded<P: LockPolicy>(workers: usize) -> ThreadPool<P> {
    Builder::new().max_workers(workers).prestart(true).timeline(10_000_000).build().expect("good settings")
}

impl Pools {
    fn new(workers: usize) -> Self {
        let rayon = rayon::ThreadPoolBuilder::new().num_threads(workers).build().expect("good settings");
        let chili = chili::Config { thread_count: NonZero::new(workers), ..Default::default() };
        Self {
            lock_free: pool(workers),
            fine: pool(workers),
            global: pool(workers),
            recorded: (recorded(workers), recorded(workers), recorded(workers)),
            rayon,
            chili: chili::ThreadPool::with_config(chili),
            workers,
            small: Node::tree(10, 1),
            large: LazyLock::new(|| Node::tree(24, 1)),
        }
    }
}

type Run = fn(&Pools);

fn use_up<T>(value: T) {
    black_box(value);
}

/// A workload, and who does it.
const WORKLOADS: &[(&str, &[(&str, Run)])] = &[
    (
        "join, fib(32)",
        &[
            ("lock-free", |pools| pools.lock_free.install(|| use_up(fib(&pools.lock_free, 32)))),
            ("fine", |pools| pools.fine.install(|| use_up(fib(&pools.fine, 32)))),
            ("global", |pools| pools.global.install(|| use_up(fib(&pools.global, 32)))),
            ("chili", |pools| use_up(chili_fib(&mut pools.chili.scope(), 32))),
            ("rayon", |pools| pools.rayon.install(|| use_up(rayon_fib(32)))),
            ("serial", |_| use_up(serial_fib(black_box(32)))),
        ],
    ),
    (
        "join, sum of a tree, 1,023 nodes, 1,000 times",
        &[
            ("lock-free", |pools| pools.lock_free.install(|| often(|| pools.small.sum(&pools.lock_free)))),
            ("fine", |pools| pools.fine.install(|| often(|| pools.small.sum(&pools.fine)))),
            ("global", |pools| pools.global.install(|| often(|| pools.small.sum(&pools.global)))),
            ("chili", |pools| {
                let scope = &mut pools.chili.scope();
                often(|| pools.small.chili_sum(scope));
            }),
            ("rayon", |pools| pools.rayon.install(|| often(|| pools.small.rayon_sum()))),
            ("serial", |pools| often(|| black_box(&pools.small).serial_sum())),
        ],
    ),
    (
        "join, sum of a tree, 2^24 nodes",
        &[
            ("lock-free", |pools| pools.lock_free.install(|| use_up(pools.large.sum(&pools.lock_free)))),
            ("fine", |pools| pools.fine.install(|| use_up(pools.large.sum(&pools.fine)))),
            ("global", |pools| pools.global.install(|| use_up(pools.large.sum(&pools.global)))),
            ("chili", |pools| use_up(pools.large.chili_sum(&mut pools.chili.scope()))),
            ("rayon", |pools| pools.rayon.install(|| use_up(pools.large.rayon_sum()))),
            ("serial", |pools| use_up(pools.large.serial_sum())),
        ],
    ),
    (
        "join, a comb of 1,000 leaves, the rest first",
        &[
            ("lock-free", |pools| pools.lock_free.install(|| use_up(comb_rest_first(&pools.lock_free, LEAVES)))),
            ("fine", |pools| pools.fine.install(|| use_up(comb_rest_first(&pools.fine, LEAVES)))),
            ("global", |pools| pools.global.install(|| use_up(comb_rest_first(&pools.global, LEAVES)))),
            ("chili", |pools| use_up(chili_comb_rest_first(&mut pools.chili.scope(), LEAVES))),
            ("rayon", |pools| pools.rayon.install(|| use_up(rayon_comb_rest_first(LEAVES)))),
            ("serial", |_| use_up((0..LEAVES).map(leaf).fold(0, u64::wrapping_add))),
        ],
    ),
    (
        "join, a comb of 1,000 leaves, the leaf first",
        &[
            ("lock-free", |pools| pools.lock_free.install(|| use_up(comb_leaf_first(&pools.lock_free, LEAVES)))),
            ("fine", |pools| pools.fine.install(|| use_up(comb_leaf_first(&pools.fine, LEAVES)))),
            ("global", |pools| pools.global.install(|| use_up(comb_leaf_first(&pools.global, LEAVES)))),
            ("chili", |pools| use_up(chili_comb_leaf_first(&mut pools.chili.scope(), LEAVES))),
            ("rayon", |pools| pools.rayon.install(|| use_up(rayon_comb_leaf_first(LEAVES)))),
            ("serial", |_| use_up((0..LEAVES).map(leaf).fold(0, u64::wrapping_add))),
        ],
    ),
    (
        "scope, 10^6 spawns",
        &[
            ("lock-free", |pools| spawns(&pools.lock_free)),
            ("fine", |pools| spawns(&pools.fine)),
            ("global", |pools| spawns(&pools.global)),
            ("rayon", |pools| pools.rayon.scope(|s| (0..SPAWNS).for_each(|n| s.spawn(move |_| use_up(n))))),
        ],
    ),
    (
        "10^6 tasks from outside",
        &[
            ("spawn_many, lock-free", |pools| all_at_once(&pools.lock_free)),
            ("spawn_many, fine", |pools| all_at_once(&pools.fine)),
            ("spawn_many, global", |pools| all_at_once(&pools.global)),
            ("spawn, lock-free", |pools| one_by_one(&pools.lock_free)),
            ("spawn, fine", |pools| one_by_one(&pools.fine)),
            ("spawn, global", |pools| one_by_one(&pools.global)),
            ("submit_many, lock-free", |pools| {
                use_up(join_all(pools.lock_free.submit_many((0..SPAWNS).map(|n| move || n))))
            }),
            ("rayon", |pools| {
                (0..SPAWNS).for_each(|n| pools.rayon.spawn(move || use_up(n)));
                pools.rayon.install(|| ());
            }),
        ],
    ),
    (
        "10^7 small items",
        &[
            ("map_range, lock-free", |pools| small_range(&pools.lock_free)),
            ("map_range, fine", |pools| small_range(&pools.fine)),
            ("map_range, global", |pools| small_range(&pools.global)),
            ("map_all, lock-free", |pools| small_all(pools.lock_free.bulk())),
            ("map_all, lock-free, a buffer of 2^18", |pools| small_all(pools.lock_free.bulk().buffer_size(1 << 18))),
            ("map_all, fine", |pools| small_all(pools.fine.bulk())),
            ("map_all, fine, a buffer of 2^18", |pools| small_all(pools.fine.bulk().buffer_size(1 << 18))),
            ("map_all, global", |pools| small_all(pools.global.bulk())),
            ("map, lock-free", |pools| small(pools.lock_free.bulk())),
            ("map, lock-free, a buffer of 2^18", |pools| small(pools.lock_free.bulk().buffer_size(1 << 18))),
            ("rayon", |pools| pools.rayon.install(|| use_up(items().into_par_iter().map(work).collect::<Vec<_>>()))),
            ("std::thread::scope", small_by_threads),
            ("serial", |_| use_up(items().map(work).collect::<Vec<_>>())),
        ],
    ),
    (
        "10^4 uneven items",
        &[
            ("map_all, lock-free", |pools| uneven_all(&pools.lock_free)),
            ("map_all, fine", |pools| uneven_all(&pools.fine)),
            ("map_all, global", |pools| uneven_all(&pools.global)),
            ("map, lock-free", |pools| uneven(&pools.lock_free)),
            ("rayon", |pools| {
                pools.rayon.install(|| use_up((0..UNEVEN).into_par_iter().map(heavy).collect::<Vec<_>>()))
            }),
            ("std::thread::scope", uneven_by_threads),
            ("serial", |_| use_up((0..UNEVEN).map(heavy).collect::<Vec<_>>())),
        ],
    ),
    (
        "10^5 tasks of some 2 µs",
        &[
            ("lock-free", |pools| some(&pools.lock_free)),
            ("lock-free, with a timeline", |pools| some(&pools.recorded.0)),
            ("fine", |pools| some(&pools.fine)),
            ("fine, with a timeline", |pools| some(&pools.recorded.1)),
            ("global", |pools| some(&pools.global)),
            ("global, with a timeline", |pools| some(&pools.recorded.2)),
        ],
    ),
    (
        "10^5 handles",
        &[
            ("submit and result", |pools| {
                handles(&pools.lock_free, |handles| handles.into_iter().for_each(|handle| drop(handle.result())))
            }),
            ("wait for all", |pools| {
                handles(&pools.lock_free, |handles| drop(wait(handles, ReturnWhen::AllCompleted, None)))
            }),
            ("wait for the first failure", |pools| {
                handles(&pools.lock_free, |handles| drop(wait(handles, ReturnWhen::FirstException, None)))
            }),
            ("as_completed", |pools| handles(&pools.lock_free, |handles| as_completed(handles).for_each(drop))),
        ],
    ),
];

#[inline(never)]
fn serial_fib(n: u64) -> u64 {
    if n < 2 { n } else { serial_fib(n - 1) + serial_fib(n - 2) }
}

/// A full binary tree, each node by itself.
struct Node {
    value: u64,
    children: Option<[Box<Node>; 2]>,
}

impl Node {
    /// Which child comes first in memory is left to chance: some sum up the left one first, others the right one.
    fn tree(layers: u32, chance: u64) -> Self {
        let child = |side| Box::new(Self::tree(layers - 1, work(chance ^ side)));
        let children = (layers > 1).then(|| {
            if chance.is_multiple_of(2) {
                let left = child(0);
                [left, child(1)]
            } else {
                let right = child(1);
                [child(0), right]
            }
        });
        Self { value: 1, children }
    }

    fn sum<P: LockPolicy>(&self, pool: &ThreadPool<P>) -> u64 {
        let Some([left, right]) = &self.children else { return self.value };
        let (left, right) = pool.join(|| left.sum(pool), || right.sum(pool));
        self.value + left + right
    }

    fn chili_sum(&self, scope: &mut chili::Scope<'_>) -> u64 {
        let Some([left, right]) = &self.children else { return self.value };
        let (left, right) = scope.join(|scope| left.chili_sum(scope), |scope| right.chili_sum(scope));
        self.value + left + right
    }

    fn rayon_sum(&self) -> u64 {
        let Some([left, right]) = &self.children else { return self.value };
        let (left, right) = rayon::join(|| left.rayon_sum(), || right.rayon_sum());
        self.value + left + right
    }

    fn serial_sum(&self) -> u64 {
        let Some([left, right]) = &self.children else { return self.value };
        self.value + left.serial_sum() + right.serial_sum()
    }
}

const LEAVES: u64 = 1_000;

/// Some 20 µs.
fn leaf(n: u64) -> u64 {
    (0..2_000).fold(n, |hash, _| work(hash))
}

fn comb_rest_first<P: LockPolicy>(pool: &ThreadPool<P>, n: u64) -> u64 {
    let Some(n) = n.checked_sub(1) else { return 0 };
    let (rest, one) = pool.join(|| comb_rest_first(pool, n), || leaf(n));
    rest.wrapping_add(one)
}

fn comb_leaf_first<P: LockPolicy>(pool: &ThreadPool<P>, n: u64) -> u64 {
    let Some(n) = n.checked_sub(1) else { return 0 };
    let (one, rest) = pool.join(|| leaf(n), || comb_leaf_first(pool, n));
    rest.wrapping_add(one)
}

fn chili_comb_rest_first(scope: &mut chili::Scope<'_>, n: u64) -> u64 {
    let Some(n) = n.checked_sub(1) else { return 0 };
    let (rest, one) = scope.join(|scope| chili_comb_rest_first(scope, n), |_| leaf(n));
    rest.wrapping_add(one)
}

fn chili_comb_leaf_first(scope: &mut chili::Scope<'_>, n: u64) -> u64 {
    let Some(n) = n.checked_sub(1) else { return 0 };
    let (one, rest) = scope.join(|_| leaf(n), |scope| chili_comb_leaf_first(scope, n));
    rest.wrapping_add(one)
}

fn rayon_comb_rest_first(n: u64) -> u64 {
    let Some(n) = n.checked_sub(1) else { return 0 };
    let (rest, one) = rayon::join(|| rayon_comb_rest_first(n), || leaf(n));
    rest.wrapping_add(one)
}

fn rayon_comb_leaf_first(n: u64) -> u64 {
    let Some(n) = n.checked_sub(1) else { return 0 };
    let (one, rest) = rayon::join(|| leaf(n), || rayon_comb_leaf_first(n));
    rest.wrapping_add(one)
}

fn often(mut f: impl FnMut() -> u64) {
    (0..1_000).for_each(|_| use_up(f()));
}

const SPAWNS: u64 = 1_000_000;

fn spawns<P: LockPolicy>(pool: &ThreadPool<P>) {
    pool.install(|| pool.scope(|s| (0..SPAWNS).for_each(|n| s.spawn(move || use_up(n)).expect("it is open"))));
}

fn all_at_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    pool.spawn_many((0..SPAWNS).map(|n| move || use_up(n))).expect("it is open");
    assert!(pool.await_quiescence(Duration::from_secs(60)), "it is not done");
}

fn one_by_one<P: LockPolicy>(pool: &ThreadPool<P>) {
    (0..SPAWNS).for_each(|n| pool.spawn(move || use_up(n)).expect("it is open"));
    assert!(pool.await_quiescence(Duration::from_secs(60)), "it is not done");
}

fn some<P: LockPolicy>(pool: &ThreadPool<P>) {
    pool.scope(|s| {
        (0..100_000).for_each(|n| s.spawn(move || use_up((0..170).fold(n, |hash, _| work(hash)))).expect("it is open"))
    });
}

fn items() -> std::ops::Range<u64> {
    0..10_000_000
}

/// Some 10 ns.
fn work(n: u64) -> u64 {
    (0..8).fold(n, |hash, _| (hash ^ (hash >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9))
}

fn small_all<P: LockPolicy>(bulk: Bulk<'_, P>) {
    use_up(bulk.chunk_size(ChunkSize::Auto).map_all(items(), work).expect("no panic"));
}

fn small_range<P: LockPolicy>(pool: &ThreadPool<P>) {
    let range = items().start as usize..items().end as usize;
    use_up(pool.bulk().chunk_size(ChunkSize::Auto).map_range(range, |n| work(n as u64)).expect("no panic"));
}

fn small<P: LockPolicy>(bulk: Bulk<'_, P>) {
    let results = bulk.chunk_size(ChunkSize::Auto).map(items(), work);
    black_box(results.map(|result| result.expect("no panic")).collect::<Vec<_>>());
}

fn small_by_threads(pools: &Pools) {
    let part = items().end / pools.workers as u64;
    let mut all = Vec::new();
    thread::scope(|s| {
        let parts = (0..pools.workers as u64).map(|at| at * part..(at + 1) * part);
        let threads: Vec<_> = parts.map(|part| s.spawn(|| part.map(work).collect::<Vec<_>>())).collect();
        threads.into_iter().for_each(|thread| all.extend(thread.join().expect("no panic")));
    });
    black_box(all);
}

const UNEVEN: u64 = 10_000;

/// Some 5 µs; every hundredth, and the last hundred, twenty times as long.
fn heavy(n: u64) -> u64 {
    let rounds = if n.is_multiple_of(100) || n >= UNEVEN - 100 { 10_000 } else { 500 };
    (0..rounds).fold(n, |hash, _| work(hash))
}

fn uneven_all<P: LockPolicy>(pool: &ThreadPool<P>) {
    use_up(pool.bulk().chunk_size(ChunkSize::Auto).map_all(0..UNEVEN, heavy).expect("no panic"));
}

fn uneven<P: LockPolicy>(pool: &ThreadPool<P>) {
    let results = pool.bulk().chunk_size(ChunkSize::Auto).map(0..UNEVEN, heavy);
    black_box(results.map(|result| result.expect("no panic")).collect::<Vec<_>>());
}

fn uneven_by_threads(pools: &Pools) {
    let part = UNEVEN / pools.workers as u64;
    thread::scope(|s| {
        let parts = (0..pools.workers as u64).map(|at| at * part..(at + 1) * part);
        let threads: Vec<_> = parts.map(|part| s.spawn(|| part.map(heavy).collect::<Vec<_>>())).collect();
        threads.into_iter().for_each(|thread| use_up(thread.join().expect("no panic")));
    });
}

fn handles<P: LockPolicy>(pool: &ThreadPool<P>, end: impl FnOnce(Vec<lockgrain::TaskHandle<u64>>)) {
    end((0..100_000).map(|n| pool.submit(move || n)).collect());
}

fn main() {
    let arguments = Arguments::parse();
    let pools = Pools::new(arguments.workers);
    println!("| workload | who | ms | middle half |\n|---|---|---|---|");
    for (workload, rows) in WORKLOADS {
        if arguments.only.as_ref().is_some_and(|only| !workload.contains(only)) {
            continue;
        }
        let mut times = vec![Vec::new(); rows.len()];
        for round in 0..=arguments.rounds {
            for (row, (_, run)) in rows.iter().enumerate() {
                let start = Instant::now();
                run(&pools);
                // The first round warms up.
                if round > 0 {
                    times[row].push(start.elapsed());
                }
            }
        }
        for ((who, _), times) in rows.iter().zip(&mut times) {
            times.sort_unstable();
            let at = |part: usize| millis(times[(times.len() - 1) * part / 4]);
            println!("| {workload} | {who} | {:.1} | {:.1}–{:.1} |", at(2), at(1), at(3));
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
