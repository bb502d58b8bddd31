//! Hashes every file under a folder with SHA-256 on a pool, and prints a manifest that `sha256sum -c` accepts.

mod hash;
mod manifest;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use lockgrain::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, Metrics};
use lockgrain_examples::Policy;
use walkdir::WalkDir;

#[derive(Parser)]
#[command(about = "Prints the SHA-256 of every file under a folder, as `sha256sum` does")]
struct Arguments {
    /// The folder.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// How coarse the pool's locks are.
    #[arg(long, value_enum, default_value_t = Policy::LockFree)]
    policy: Policy,
    /// How many workers [default: the number of processors].
    #[arg(long)]
    threads: Option<usize>,
}

/// What one pass over the folder gave.
struct Pass {
    policy: &'static str,
    /// By path, so that the order does not depend on who was first.
    manifest: BTreeMap<PathBuf, hash::Digest>,
    errors: Vec<String>,
    bytes: u64,
    took: Duration,
    metrics: Metrics,
}

fn pass<P: LockPolicy>(arguments: &Arguments) -> Result<Pass> {
    let mut builder = Builder::<P>::new();
    if let Some(threads) = arguments.threads {
        builder = builder.max_workers(threads);
    }
    let pool = builder.build()?;
    let start = Instant::now();
    // Draws nothing unless standard error is a terminal.
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} files, {elapsed}")?);
    let mut errors = Vec::new();
    let mut handles = Vec::new();
    for entry in WalkDir::new(&arguments.dir).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                bar.inc_length(1);
                let path = entry.into_path();
                let (file, bar) = (path.clone(), bar.clone());
                let handle = pool.submit_with(move |cx| {
                    let hashed = hash::file(cx, &file);
                    bar.inc(1);
                    hashed
                });
                handles.push((path, handle));
            }
            Ok(_) => {}
            Err(error) => errors.push(error.to_string()),
        }
    }
    let mut manifest = BTreeMap::new();
    let mut bytes = 0;
    for (path, handle) in handles {
        match handle.result().with_context(|| format!("hashing {}", path.display()))? {
            Ok(hashed) => {
                bytes += hashed.bytes;
                manifest.insert(path, hashed.digest);
            }
            Err(error) => errors.push(format!("{}: {error}", path.display())),
        }
    }
    bar.finish_and_clear();
    Ok(Pass { policy: P::NAME, manifest, errors, bytes, took: start.elapsed(), metrics: pool.metrics() })
}

fn table(passes: &[Pass]) {
    eprintln!("{:<10} {:>9} {:>9} {:>8} {:>8} {:>11}", "policy", "time", "MB/s", "steals", "parks", "lock waits");
    for Pass { policy, bytes, took, metrics, .. } in passes {
        let seconds = took.as_secs_f64();
        let rate = *bytes as f64 / 1e6 / seconds;
        let (steals, parks, waits) = (metrics.stolen, metrics.parked, metrics.lock_waits);
        eprintln!("{policy:<10} {seconds:>8.3}s {rate:>9.1} {steals:>8} {parks:>8} {waits:>11}");
    }
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let passes = match arguments.policy {
        Policy::Global => vec![pass::<GlobalLock>(&arguments)?],
        Policy::Fine => vec![pass::<FineGrained>(&arguments)?],
        Policy::LockFree => vec![pass::<LockFree>(&arguments)?],
        Policy::All => {
            vec![pass::<GlobalLock>(&arguments)?, pass::<FineGrained>(&arguments)?, pass::<LockFree>(&arguments)?]
        }
    };
    let first = &passes[0];
    ensure!(
        passes.iter().all(|pass| pass.manifest == first.manifest),
        "the policies disagree: did a file change meanwhile?"
    );
    let mut out = io::BufWriter::new(io::stdout().lock());
    for (path, digest) in &first.manifest {
        manifest::write_line(&mut out, path, digest)?;
    }
    out.flush()?;
    for error in &first.errors {
        eprintln!("checksum: {error}");
    }
    if arguments.policy == Policy::All {
        table(&passes);
    }
    Ok(if first.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
