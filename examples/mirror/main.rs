//! Fetches all files of an HTTP server with many clients that block, on a pool of few workers.
//!
//! ```text
//! cargo run --release --example mirror -- SOURCE TARGET
//! ```
//!
//! The server is part of the program: it serves the folder SOURCE on this machine, and drops every 7th request. A request
//! that was dropped, or has taken too long, is made again a little later; with `--fail-fast` the first failure that is final
//! cancels the rest. Empty folders are left out. The exit code is 1 if a file could not be fetched.

mod client;
mod name;
mod server;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use lockgrain::{CompletionQueue, TaskError, ThreadPool};

use client::{Client, Failure, Fetched, Resource};
use server::{Faults, Server};

#[derive(Parser)]
#[command(about = "Mirrors a folder through HTTP, with many blocking clients")]
struct Arguments {
    /// The folder that is served.
    source: PathBuf,
    /// The folder for what is fetched, made if it is not there.
    target: PathBuf,
    /// How many files are fetched at once.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// How many workers; the other clients run on spare threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How long a request may take, in milliseconds.
    #[arg(long, default_value_t = 5_000)]
    timeout: u64,
    /// How often a request is made again.
    #[arg(long, default_value_t = 5)]
    retries: u32,
    /// How long after a failure it is made again, in milliseconds.
    #[arg(long, default_value_t = 20)]
    retry_delay: u64,
    /// Give up at the first file that can't be fetched.
    #[arg(long)]
    fail_fast: bool,
    /// The server drops the connection of every n-th request; 0 for none.
    #[arg(long, default_value_t = 7)]
    drop_every: usize,
    /// The server does not answer every n-th request; 0 for none.
    #[arg(long, default_value_t = 0)]
    stall_every: usize,
}

/// One request, made.
struct Attempt {
    resource: Resource,
    /// How many were made for it before.
    retry: u32,
    outcome: Result<Fetched, Failure>,
}

fn attempt(client: &Client, resource: Resource, retry: u32) -> Attempt {
    // A spare worker makes the next request meanwhile.
    let outcome = lockgrain::blocking(|| client.fetch(&resource));
    Attempt { resource, retry, outcome }
}

#[derive(Default)]
struct Counts {
    files: u64,
    bytes: u64,
    retried: u64,
    failed: u64,
    cancelled: u64,
}

fn mirror(arguments: &Arguments, client: &Arc<Client>) -> Result<Counts> {
    let workers = arguments.threads.min(arguments.clients);
    let pool = ThreadPool::builder().max_workers(workers).max_spares(arguments.clients - workers).build()?;
    let task = |resource, retry| {
        let client = Arc::clone(client);
        move || attempt(&client, resource, retry)
    };
    let delay = Duration::from_millis(arguments.retry_delay);
    let mut counts = Counts::default();
    let queue = CompletionQueue::new();
    queue.submit(&pool, task(Resource::Index, 0));
    while let Some(handle) = queue.take()? {
        let Attempt { resource, retry, outcome } = match handle.result() {
            Ok(attempt) => attempt,
            // Cancelled while it waited; or refused, as a retry after that.
            Err(TaskError::Cancelled | TaskError::Refused) => {
                counts.cancelled += 1;
                continue;
            }
            Err(error) => return Err(error).context("fetching a file"),
        };
        match outcome {
            Ok(Fetched::Index(paths)) => {
                paths.into_iter().for_each(|path| queue.submit(&pool, task(Resource::File(path), 0)));
            }
            Ok(Fetched::File(bytes)) => {
                counts.files += 1;
                counts.bytes += bytes;
            }
            Err(Failure { retriable: true, .. }) if retry < arguments.retries => {
                counts.retried += u64::from(!pool.is_shutdown());
                queue.add(pool.schedule(delay, task(resource, retry + 1)));
            }
            Err(Failure { error, .. }) => {
                counts.failed += 1;
                let what = match &resource {
                    Resource::Index => "the index".to_owned(),
                    Resource::File(path) => name::decode(path).unwrap_or_else(|| path.clone()),
                };
                eprintln!("mirror: {what}: {error:#}");
                if arguments.fail_fast {
                    // Cancels what waits for a client or for its time; what runs comes to its end.
                    pool.shutdown_now();
                }
            }
        }
    }
    Ok(counts)
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let source = fs::canonicalize(&arguments.source);
    let source = source.with_context(|| format!("finding the folder {}", arguments.source.display()))?;
    ensure!(source.is_dir(), "{} is no folder", source.display());
    let made = fs::create_dir_all(&arguments.target).and_then(|()| fs::canonicalize(&arguments.target));
    let target = made.with_context(|| format!("making the folder {}", arguments.target.display()))?;
    ensure!(!target.starts_with(&source) && !source.starts_with(&target), "one folder is in the other");
    let faults = Faults { drop_every: arguments.drop_every, stall_every: arguments.stall_every };
    let (server, address) = Server::start(source, faults).context("starting the server")?;
    let timeout = Duration::from_millis(arguments.timeout);
    let client = Arc::new(Client::new(format!("http://{address}"), target, timeout));
    let Counts { files, bytes, retried, failed, cancelled } = mirror(&arguments, &client)?;
    println!("fetched {files} files, {bytes} bytes");
    println!("{retried} retried, {failed} failed, {cancelled} cancelled");
    println!("{} requests, at most {} at once", server.requests(), client.peak());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
