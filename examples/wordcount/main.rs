//! Counts the words of text files on a pool and prints the most frequent: a map a file, a reduce in a tree.
//!
//! ```text
//! cargo run --release --example wordcount -- --top 20 FILE..
//! ```
//!
//! Without a file it counts the pages in `docs/` of this repository; `--policy all` compares the three policies. A file
//! that can't be read, or is no UTF-8, is reported, and makes the exit code 1.

mod count;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use lockgrain::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, Metrics};
use lockgrain_examples::Policy;

use count::Counts;

#[derive(Parser)]
#[command(about = "Prints the most frequent words of text files")]
struct Arguments {
    /// The files [default: the pages in docs/ of this repository].
    files: Vec<PathBuf>,
    /// How many words are printed.
    #[arg(long, default_value_t = 10)]
    top: usize,
    /// How coarse the pool's locks are.
    #[arg(long, value_enum, default_value_t = Policy::LockFree)]
    policy: Policy,
    /// How many workers [default: the number of processors].
    #[arg(long)]
    threads: Option<usize>,
}

/// What one pass over the files gave.
struct Pass {
    policy: &'static str,
    counts: Counts,
    errors: Vec<String>,
    took: Duration,
    metrics: Metrics,
}

/// How many files' counts are merged in one go.
const BATCH: usize = 64;

fn pass<P: LockPolicy>(files: &[PathBuf], threads: Option<usize>) -> Result<Pass> {
    let mut builder = Builder::<P>::new();
    if let Some(threads) = threads {
        builder = builder.max_workers(threads);
    }
    let pool = builder.build()?;
    let start = Instant::now();
    // Twice a batch, so that the next one is counted while one is merged; and no more, so that memory is bounded.
    let mut counted = pool.bulk().buffer_size(2 * BATCH).map_unordered(files.to_vec(), |path| {
        let counts = count::file(&path);
        (path, counts)
    });
    let mut counts = Counts::new();
    let mut errors = Vec::new();
    loop {
        let batch: Vec<_> = counted.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }
        let mut maps = vec![counts];
        for outcome in batch {
            match outcome.context("counting a file")? {
                (_, Ok(counts)) => maps.push(counts),
                (path, Err(error)) => errors.push(format!("{}: {error}", path.display())),
            }
        }
        counts = count::merge(&pool, maps);
    }
    // By name, so that the order does not depend on who was first.
    errors.sort();
    Ok(Pass { policy: P::NAME, counts, errors, took: start.elapsed(), metrics: pool.metrics() })
}

/// The pages in `docs/`.
fn docs() -> Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("docs");
    let entries = fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut pages = paths.with_context(|| format!("listing {}", folder.display()))?;
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    Ok(pages)
}

fn table(passes: &[Pass]) {
    eprintln!("{:<10} {:>9} {:>8} {:>8} {:>11}", "policy", "time", "steals", "parks", "lock waits");
    for Pass { policy, took, metrics, .. } in passes {
        let (steals, parks, waits) = (metrics.stolen, metrics.parked, metrics.lock_waits);
        eprintln!("{policy:<10} {:>8.3}s {steals:>8} {parks:>8} {waits:>11}", took.as_secs_f64());
    }
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let files = if arguments.files.is_empty() { docs()? } else { arguments.files };
    let threads = arguments.threads;
    let passes = match arguments.policy {
        Policy::Global => vec![pass::<GlobalLock>(&files, threads)?],
        Policy::Fine => vec![pass::<FineGrained>(&files, threads)?],
        Policy::LockFree => vec![pass::<LockFree>(&files, threads)?],
        Policy::All => {
            vec![
                pass::<GlobalLock>(&files, threads)?,
                pass::<FineGrained>(&files, threads)?,
                pass::<LockFree>(&files, threads)?,
            ]
        }
    };
    let first = &passes[0];
    ensure!(
        passes.iter().all(|pass| pass.counts == first.counts),
        "the policies disagree: did a file change meanwhile?"
    );
    let mut out = io::BufWriter::new(io::stdout().lock());
    for (word, count) in count::most_frequent(&first.counts, arguments.top) {
        writeln!(out, "{count:>8} {word}")?;
    }
    out.flush()?;
    for error in &first.errors {
        eprintln!("wordcount: {error}");
    }
    if arguments.policy == Policy::All {
        table(&passes);
    }
    Ok(if first.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
