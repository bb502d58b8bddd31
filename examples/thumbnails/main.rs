//! Scales images down on a pool whose queue is bounded: however many there are, few wait in memory.
//!
//! ```text
//! cargo run --release --example thumbnails -- --out thumbnails --size 128 FILE_OR_FOLDER..
//! ```
//!
//! PNG and JPEG. An image that can't be read is reported, does not stop the rest, and makes the exit code 1.

mod find;
mod scale;

use std::fs;
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use lockgrain::{ThreadPool, WhenFull};

use find::Image;
use scale::Size;

#[derive(Parser)]
#[command(about = "Makes thumbnails of PNG and JPEG images")]
struct Arguments {
    /// Images, and folders of images.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// The folder for the thumbnails, made if it is not there.
    #[arg(long, default_value = "thumbnails")]
    out: PathBuf,
    /// How long a thumbnail's longer side is at most, in pixels.
    #[arg(long, default_value = "128")]
    size: NonZeroU32,
    /// How many images may wait for a worker.
    #[arg(long, default_value_t = 16)]
    queue: usize,
    /// How many workers [default: the number of processors].
    #[arg(long)]
    threads: Option<usize>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let made = fs::create_dir_all(&arguments.out).and_then(|()| fs::canonicalize(&arguments.out));
    let out = made.with_context(|| format!("making the folder {}", arguments.out.display()))?;
    // The walk over the folders waits while the queue is full. Few spares: each that stands in for a task that reads
    // begins one more image.
    let mut builder = ThreadPool::builder().queue_capacity(arguments.queue).when_full(WhenFull::Block).max_spares(2);
    if let Some(threads) = arguments.threads {
        builder = builder.max_workers(threads);
    }
    let pool = builder.build()?;
    // Draws nothing unless standard error is a terminal.
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} images, {elapsed}")?);
    let longest = arguments.size.get();
    let mut errors = Vec::new();
    let mut handles = Vec::new();
    for image in find::images(&arguments.images, &out) {
        match image {
            Ok(Image { from, to }) => {
                bar.inc_length(1);
                let (source, target, bar) = (from.clone(), to.clone(), bar.clone());
                let handle = pool.submit(move || {
                    let size = scale::file(&source, &target, longest);
                    bar.inc(1);
                    size
                });
                handles.push((from, to, handle));
            }
            Err(error) => errors.push(format!("{error:#}")),
        }
    }
    let mut lines = Vec::new();
    for (from, to, handle) in handles {
        // A panic, as of a decoder that meets what it did not expect, is the image's error too.
        match handle.result().map_err(anyhow::Error::from).and_then(|size| size) {
            Ok(Size(width, height)) => lines.push(format!("{} {width}x{height}", to.display())),
            Err(error) => errors.push(format!("{}: {error:#}", from.display())),
        }
    }
    bar.finish_and_clear();
    let mut stdout = io::stdout().lock();
    for line in lines {
        writeln!(stdout, "{line}")?;
    }
    for error in &errors {
        eprintln!("thumbnails: {error}");
    }
    Ok(if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
