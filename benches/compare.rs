//! Pools side by side in one run: each round measures every pool once, in an order of its own, so that the machine's moods, and what
//! the pool before has left in its caches, meet all alike.
//!
//! `cargo run --release -p lockgrain-benches --bin compare -- --help`

use std::error::Error;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use lockgrain_benches::{Peer, Workload, all};
use serde::Serialize;

#[derive(Parser)]
#[command(about = "Medians over interleaved rounds: nanoseconds a task")]
struct Arguments {
    /// Measurements of each pool and workload.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Threads of each pool.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Only these workloads: spawn, submit, producers, fan-out, chain, round-trip, wake; and queued-N, which is not among those that run without this.
    #[arg(long, value_delimiter = ',', value_parser = workload)]
    only: Vec<Workload>,
    /// Only these pools, and the first.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Where the figures go too, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What the JSON says.
#[derive(Serialize)]
struct Run {
    workers: usize,
    cells: Vec<Cell>,
}

/// Nanoseconds a task.
#[derive(Serialize)]
struct Cell {
    workload: String,
    peer: &'static str,
    tasks: u64,
    median: f64,
}

fn workload(name: &str) -> Result<Workload, String> {
    Workload::named(name).ok_or_else(|| format!("no workload `{name}`"))
}

/// Nanoseconds a task of one pool's rounds, sorted.
struct Sample(Vec<f64>);

impl Sample {
    fn quantile(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share).round() as usize]
    }

    fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Half the distance of the quartiles, in percent of the median.
    fn spread(&self) -> f64 {
        50. * (self.quantile(0.75) - self.quantile(0.25)) / self.median()
    }
}

fn measure(peers: &[Box<dyn Peer>], workload: Workload, rounds: usize) -> Vec<Sample> {
    let mut samples = vec![Vec::with_capacity(rounds); peers.len()];
    let mut order: Vec<usize> = (0..peers.len()).collect();
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..=rounds {
        random.shuffle(&mut order);
        for &index in &order {
            let (peer, sample) = (&peers[index], &mut samples[index]);
            // What the pool before left to do is done: its threads are asleep.
            std::thread::sleep(Duration::from_millis(2));
            let took = peer.run(workload);
            // The first round warms up.
            if round > 0 {
                sample.push(took.as_nanos() as f64 / workload.tasks() as f64);
            }
        }
    }
    samples.iter_mut().for_each(|sample| sample.sort_by(f64::total_cmp));
    samples.into_iter().map(Sample).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let workloads = if arguments.only.is_empty() { Workload::ALL.to_vec() } else { arguments.only };
    let mut peers = all(arguments.workers);
    if !arguments.peers.is_empty() {
        let mut index = 0;
        peers.retain(|peer| {
            index += 1;
            index == 1 || arguments.peers.iter().any(|name| name == peer.name())
        });
    }
    println!(
        "{} workers, {} rounds: ns a task, median ± spread (best), then its ratio to `lock-free`\n",
        arguments.workers, arguments.rounds
    );
    let columns: Vec<Vec<Sample>> =
        workloads.iter().map(|&workload| measure(&peers, workload, arguments.rounds)).collect();
    println!("| | {} |", workloads.iter().map(|workload| workload.name()).collect::<Vec<_>>().join(" | "));
    println!("|---|{}", "---|".repeat(workloads.len()));
    for (row, peer) in peers.iter().enumerate() {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| {
                let (sample, ratio) = (&column[row], column[row].median() / column[0].median());
                format!("{:.0} ± {:.0} % ({:.0}) {ratio:.2}×", sample.median(), sample.spread(), sample.quantile(0.))
            })
            .collect();
        println!("| {} | {} |", peer.name(), cells.join(" | "));
    }
    let Some(path) = arguments.json else { return Ok(()) };
    let cells = workloads.iter().zip(&columns).flat_map(|(workload, column)| {
        peers.iter().zip(column).map(|(peer, sample)| Cell {
            workload: workload.name(),
            peer: peer.name(),
            tasks: workload.tasks(),
            median: sample.median(),
        })
    });
    let run = Run { workers: arguments.workers, cells: cells.collect() };
    Ok(serde_json::to_writer(File::create(path)?, &run)?)
}
