//! The hot paths, to count instructions by: a case, as often as asked for, and nothing else. `cargo xtask instructions` runs them
//! under valgrind, twice each, and divides the difference by the operations between.

use std::hint::black_box;
use std::num::NonZero;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use lockgrain::{Builder, ChunkSize, Context, FineGrained, GlobalLock, LockFree, LockPolicy, ThreadPool};
use lockgrain_benches::{chili_fib, fib, rayon_fib};

#[derive(Parser)]
#[command(about = "Does one thing so many times, to count instructions by")]
struct Arguments {
    case: Case,
    /// One of lockgrain's policies, or another pool.
    who: Who,
    /// How often; for `join`, which Fibonacci number.
    times: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Case {
    /// A task from outside, without a handle.
    Spawn,
    /// A task from outside, and its result.
    Submit,
    /// A task from outside, without a handle, one of many in a call.
    SpawnMany,
    /// The same with a handle, and its result.
    SubmitMany,
    /// A task from a task, without a handle, which the same worker runs.
    Nested,
    /// A task that another worker has, for whoever takes it.
    Steal,
    /// A task that borrows, from the scope of a task.
    Scope,
    /// A `join` in the recursion for a Fibonacci number, with the calls that it is about.
    Join,
    /// An item of a `map` in chunks, from outside.
    Map,
    /// A task for a guarded value, and its result.
    When,
    /// A task for two guarded values, and its result.
    WhenTwo,
    /// A task for a key, without a handle.
    Key,
    /// A checkpoint at which nobody asks.
    Checkpoint,
    /// A region without the lock that nobody wants.
    Blocking,
}

#[derive(Clone, Copy, ValueEnum)]
enum Who {
    LockFree,
    Fine,
    Global,
    Chili,
    Rayon,
}

fn main() -> ExitCode {
    let Arguments { case, who, times } = Arguments::parse();
    let has_it = match who {
        Who::LockFree => lockgrain::<LockFree>(case, times),
        Who::Fine => lockgrain::<FineGrained>(case, times),
        Who::Global => lockgrain::<GlobalLock>(case, times),
        Who::Chili => chili(case, times),
        Who::Rayon => rayon(case, times),
    };
    if !has_it {
        eprintln!("it has nothing like that");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What a pool is given at once; then it is left to finish that, so that memory is used again.
const BATCH: u64 = 1_000;

fn batches(times: u64) -> impl Iterator<Item = Range<u64>> {
    (0..times).step_by(BATCH as usize).map(|first| first..first + BATCH)
}

/// Keeps a pool's only worker from all that is submitted meanwhile.
fn held<R>(spawn: impl FnOnce(Box<dyn FnOnce() + Send>), meanwhile: impl FnOnce() -> R) -> R {
    let (let_go, held) = mpsc::channel::<()>();
    spawn(Box::new(move || {
        let _gone = held.recv();
    }));
    let result = meanwhile();
    drop(let_go);
    result
}

fn lockgrain<P: LockPolicy>(case: Case, times: u64) -> bool {
    let workers = if matches!(case, Case::Steal) { 2 } else { 1 };
    let pool: ThreadPool<P> = Builder::new().max_workers(workers).prestart(true).build().expect("good settings");
    let spawn = |n| pool.spawn(move || use_up(n)).expect("it is open");
    let hold = |task| pool.spawn(task).expect("it is open");
    let settle = || assert!(pool.await_quiescence(Duration::from_secs(60)), "it is not done");
    match case {
        Case::Spawn => batches(times).for_each(|mut batch| {
            held(hold, || batch.by_ref().for_each(spawn));
            settle();
        }),
        Case::Submit => batches(times).for_each(|batch| {
            let handles = held(hold, || batch.map(|n| pool.submit(move || n)).collect::<Vec<_>>());
            settle();
            handles.into_iter().for_each(|handle| use_up(handle.result()));
        }),
        Case::SpawnMany => batches(times).for_each(|batch| {
            held(hold, || pool.spawn_many(batch.map(|n| move || use_up(n))).expect("it is open"));
            settle();
        }),
        Case::SubmitMany => batches(times).for_each(|batch| {
            let handles = held(hold, || pool.submit_many(batch.map(|n| move || n)));
            settle();
            handles.into_iter().for_each(|handle| use_up(handle.result()));
        }),
        Case::Nested => batches(times).for_each(|mut batch| {
            let inner = pool.clone();
            let nest = move || batch.by_ref().for_each(|n| inner.spawn(move || use_up(n)).expect("it is open"));
            pool.submit(nest).result().expect("no panic");
            settle();
        }),
        Case::Steal => batches(times).for_each(|mut batch| {
            let inner = pool.clone();
            let nest = move || {
                let (last, done) = mpsc::channel();
                batch.by_ref().for_each(|n| inner.spawn(move || use_up(n)).expect("it is open"));
                inner.spawn(move || last.send(()).expect("who made it waits")).expect("it is open");
                done.recv().expect("it is run");
            };
            pool.submit(nest).result().expect("no panic");
            settle();
        }),
        Case::Scope => pool.install(|| {
            batches(times).for_each(|mut batch| {
                pool.scope(|s| batch.by_ref().for_each(|n| s.spawn(move || use_up(n)).expect("it is open")));
            });
        }),
        Case::Join => pool.install(|| use_up(fib(&pool, times))),
        Case::Map => pool.bulk().chunk_size(ChunkSize::Auto).map(0..times, |n| n + 1).for_each(use_up),
        Case::When => {
            let value = pool.guarded(0);
            let submit = |n| pool.when(&value, move |value| *value += n);
            batches(times).for_each(|batch| {
                let handles = held(hold, || batch.map(submit).collect::<Vec<_>>());
                settle();
                handles.into_iter().for_each(|handle| use_up(handle.result()));
            });
        }
        Case::WhenTwo => {
            let (value, others) = (pool.guarded(0), (0..64).map(|_| pool.guarded(0)).collect::<Vec<_>>());
            let submit =
                |n| pool.when((&value, &others[n as usize % 64]), move |(value, other)| (*value, *other) = (*other, n));
            batches(times).for_each(|batch| {
                let handles = held(hold, || batch.map(submit).collect::<Vec<_>>());
                settle();
                handles.into_iter().for_each(|handle| use_up(handle.result()));
            });
        }
        Case::Key => {
            let keys = pool.keyed();
            let spawn = |n| keys.spawn(n % 64, move || use_up(n)).expect("it is open");
            batches(times).for_each(|mut batch| {
                held(hold, || batch.by_ref().for_each(spawn));
                settle();
            });
        }
        Case::Checkpoint => {
            let check = move |cx: &mut Context<P>| (0..times).try_for_each(|_| cx.checkpoint());
            pool.submit_with(check).result().expect("no panic").expect("nobody cancels it");
        }
        Case::Blocking => {
            let block = move |cx: &mut Context<P>| (0..times).for_each(|n| cx.blocking(|| use_up(n)));
            pool.submit_with(block).result().expect("no panic");
        }
    }
    pool.shutdown();
    true
}

/// Those of the cases that it has.
fn rayon(case: Case, times: u64) -> bool {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("good settings");
    // Behind all that is queued.
    let settle = || pool.install(|| ());
    match case {
        Case::Spawn => batches(times).for_each(|mut batch| {
            held(|task| pool.spawn(task), || batch.by_ref().for_each(|n| pool.spawn(move || use_up(n))));
            settle();
        }),
        Case::Nested => batches(times).for_each(|mut batch| {
            pool.install(|| batch.by_ref().for_each(|n| rayon::spawn(move || use_up(n))));
            settle();
        }),
        Case::Scope => pool.install(|| {
            batches(times).for_each(|mut batch| {
                rayon::scope(|s| batch.by_ref().for_each(|n| s.spawn(move |_| use_up(n))));
            });
        }),
        Case::Join => pool.install(|| use_up(rayon_fib(times))),
        _ => return false,
    }
    true
}

fn chili(case: Case, times: u64) -> bool {
    let config = chili::Config { thread_count: NonZero::new(1), ..Default::default() };
    let pool = chili::ThreadPool::with_config(config);
    let joins = matches!(case, Case::Join);
    if joins {
        use_up(chili_fib(&mut pool.scope(), times));
    }
    joins
}

fn use_up<T>(value: T) {
    black_box(value);
}
