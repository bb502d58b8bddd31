//! The same workload under the three policies, as three pictures of what each worker did when.
//!
//! `cargo run --release --example timeline -- target/traces` writes a trace a policy, for <https://ui.perfetto.dev> or Chrome's
//! `about:tracing`; `cargo xtask draw` makes a picture of them.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use lockgrain::{Activity, Builder, FineGrained, GlobalLock, LockFree, LockPolicy};

#[derive(Parser)]
#[command(about = "Records requests that compute, wait for I/O and compute again, under each lock policy")]
struct Arguments {
    /// Where the traces go.
    #[arg(default_value = "target/traces")]
    folder: PathBuf,
    /// How many workers.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How many requests.
    #[arg(long, default_value_t = 12)]
    requests: u64,
}

/// Computes for about so long.
fn compute(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        black_box((0..100_u64).fold(1, |hash: u64, n| (hash ^ n).wrapping_mul(0x100_0000_01B3)));
    }
}

const PART: Duration = Duration::from_millis(1);

/// Parses, waits for a database, and renders.
fn serve<P: LockPolicy>(cx: &mut lockgrain::Context<P>) -> u64 {
    compute(PART);
    cx.blocking(|| thread::sleep(2 * PART));
    compute(PART);
    1
}

fn record<P: LockPolicy>(arguments: &Arguments) -> Result<()> {
    let pool = Builder::<P>::new().max_workers(arguments.threads).timeline(100_000).build()?;
    let start = Instant::now();
    let requests: Vec<_> = (0..arguments.requests).map(|_| pool.submit_with(serve)).collect();
    let served = lockgrain::join_all(requests).into_iter().sum::<Result<u64, _>>()?;
    let took = start.elapsed();
    pool.shutdown();
    let timeline = pool.timeline().context("the pool does not record")?;
    let path = arguments.folder.join(format!("{}.json", P::NAME));
    write(&path, &timeline)?;
    let total = |activity| {
        let of_it = timeline.events.iter().filter(|event| event.activity == activity);
        of_it.map(|event| event.duration).sum::<Duration>().as_secs_f64() * 1e3
    };
    println!(
        "{:<10} {served:>8} {:>8.1} {:>8.1} {:>8.1} {:>10.1}  {}",
        P::NAME,
        took.as_secs_f64() * 1e3,
        total(Activity::Task) - total(Activity::Blocked),
        total(Activity::Blocked),
        total(Activity::LockWait),
        path.display(),
    );
    Ok(())
}

fn write(path: &Path, timeline: &lockgrain::Timeline) -> Result<()> {
    let file = File::create(path).with_context(|| format!("can't create {}", path.display()))?;
    timeline.write_trace(BufWriter::new(file)).with_context(|| format!("can't write {}", path.display()))
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.folder)
        .with_context(|| format!("can't create the folder {}", arguments.folder.display()))?;
    println!(
        "{:<10} {:>8} {:>8} {:>8} {:>8} {:>10}  trace",
        "policy", "requests", "ms", "running", "blocked", "lock wait"
    );
    record::<GlobalLock>(&arguments)?;
    record::<FineGrained>(&arguments)?;
    record::<LockFree>(&arguments)
}
