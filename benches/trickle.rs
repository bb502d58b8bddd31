//! What a trickle of tasks costs: the CPU time of the whole process, less that of a thread that only sleeps.
//!
//! `cargo run --release -p lockgrain-benches --bin trickle -- --help`

use std::thread;
use std::time::Duration;

use clap::Parser;
use cpu_time::ProcessTime;
use lockgrain_benches::all;

#[derive(Parser)]
#[command(about = "Microseconds of CPU a task, for tasks that come one by one")]
struct Arguments {
    /// Tasks of each pool.
    #[arg(long, default_value_t = 200)]
    tasks: u64,
    /// Tasks a second.
    #[arg(long, default_value_t = 100)]
    rate: u64,
    /// Threads of each pool.
    #[arg(long, default_value_t = 8)]
    workers: usize,
}

fn main() {
    let Arguments { tasks, rate, workers } = Arguments::parse();
    let pause = Duration::from_secs(1) / u32::try_from(rate).expect("a rate that a timer can keep");
    let cpu = |work: &dyn Fn()| {
        let start = ProcessTime::now();
        work();
        start.elapsed().as_secs_f64() * 1e6 / tasks as f64
    };
    let peers = all(workers);
    let timer = cpu(&|| (0..tasks).for_each(|_| thread::sleep(pause)));
    println!("{workers} workers, {tasks} tasks, {rate} a second; the timer alone {timer:.0} µs, which is taken off\n");
    println!("| | µs of CPU a task |\n|---|---|");
    for peer in &peers {
        // Threads start, and settle.
        peer.trickle(20, pause);
        println!("| {} | {:.0} |", peer.name(), cpu(&|| peer.trickle(tasks, pause)) - timer);
    }
}
