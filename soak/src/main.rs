//! Everything at once, for long: random operations of several threads on one pool, and on pools that come and go, with faults in every place where
//! the user's code is called. Best built with `--cfg lockgrain_soak`, as `cargo xtask soak` does: then the pool pauses where it has set something and not
//! told of it, and some threads can't be started.

mod books;
mod operations;
mod pools;
mod watch;
mod world;

use std::any::Any;
use std::panic;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use lockgrain::{FineGrained, GlobalLock, LockFree, LockPolicy};

use watch::Board;
use world::World;

#[derive(Parser)]
struct Arguments {
    /// How long for each policy, in minutes.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Only this one.
    #[arg(long)]
    policy: Option<Policy>,
    /// Where the random choices begin; drawn if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Threads that operate on the pool.
    #[arg(long, default_value_t = 4)]
    drivers: usize,
    /// An operation that takes longer than so many seconds stands still.
    #[arg(long, default_value_t = 60)]
    stall: u64,
}

#[derive(Clone, Copy, ValueEnum, PartialEq)]
enum Policy {
    Global,
    Fine,
    LockFree,
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// The text of our own panics.
pub(crate) const ON_PURPOSE: &str = "on purpose";

pub(crate) fn text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}, {} drivers, {} minutes a policy\n", arguments.drivers, arguments.minutes);
    panic::set_hook(Box::new(|info| {
        PANICS.fetch_add(1, Relaxed);
        let text = text(info.payload());
        if !books::is_expected(text) {
            eprintln!("a panic: {text}, {:?}", info.location());
        }
    }));
    let wanted = |policy| arguments.policy.is_none_or(|only| only == policy);
    let mut good = true;
    if wanted(Policy::Global) {
        good &= soak::<GlobalLock>(&arguments, seed);
    }
    if wanted(Policy::Fine) {
        good &= soak::<FineGrained>(&arguments, seed);
    }
    if wanted(Policy::LockFree) {
        good &= soak::<LockFree>(&arguments, seed);
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn soak<P: LockPolicy>(arguments: &Arguments, seed: u64) -> bool {
    let world = Arc::new(World::<P>::new());
    let board = Board::new(arguments.drivers);
    let shown = world.clone();
    let watchdog = board.watch(Duration::from_secs(arguments.stall), move || shown.show());
    let panics = PANICS.load(Relaxed);
    let end = Instant::now() + Duration::from_secs_f64(arguments.minutes * 60.0);
    thread::scope(|scope| {
        for driver in 0..arguments.drivers {
            let (world, board) = (&world, &board);
            let seed = seed.wrapping_add(driver as u64);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                let slot = board.slot(driver);
                while Instant::now() < end {
                    let start = Instant::now();
                    world.operate(&mut random, &slot);
                    slot.end();
                    board.took(start.elapsed());
                }
            });
        }
    });
    let slot = board.slot(0);
    slot.begin("the end of the shared pool");
    world.end();
    slot.end();
    board.close();
    let _ended = watchdog.join();
    print!("{}", world.report());
    println!("| panics in the user's code | {} |", PANICS.load(Relaxed) - panics);
    println!("| longest operation | {:.1?} |", board.longest());
    #[cfg(lockgrain_soak)]
    {
        let injected = lockgrain::soak::injected();
        println!("| pauses injected so far | {} |", injected.gaps);
        println!("| threads not started so far | {} |", injected.unstarted);
    }
    println!("| wrong outcomes | {} |\n", world.wrong());
    world.wrong() == 0
}
