//! How long a task that comes back from I/O waits for the global lock while others compute, here and under CPython's.
//!
//! `cargo run --release -p lockgrain-benches --bin gil -- --help`

use std::io::{Read, Write, pipe};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use lockgrain::{Context, GlobalLock, ThreadPool};

#[derive(Parser)]
#[command(
    about = "An echo under the global lock, beside tasks that compute: how long its reply lies there, and what is left to them"
)]
struct Arguments {
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 2.)]
    seconds: f64,
    /// The Python to compare with; left out if it can't be started.
    #[arg(long, default_value = "python3")]
    python: String,
}

/// Nanoseconds since 1970: a clock that two processes share.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock that is set").as_nanos() as u64
}

/// Answers each byte with the time.
fn echo(mut requests: impl Read, mut replies: impl Write) {
    let mut request = [0];
    while requests.read_exact(&mut request).is_ok() && replies.write_all(&now().to_ne_bytes()).is_ok() {}
}

/// What came of one measurement: the waits in nanoseconds, and the rounds that those who compute made.
struct Outcome {
    waits: Vec<u64>,
    rounds: u64,
}

/// Some microsecond of work.
fn compute() {
    let mut number = 1_u64;
    for _ in 0..600 {
        number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005));
    }
}

fn ours(computing: usize, with_echo: bool, time: Duration) -> Outcome {
    let pool: ThreadPool<GlobalLock> =
        ThreadPool::builder().policy::<GlobalLock>().max_workers(computing + 1).build().expect("the settings are good");
    let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..computing)
        .map(|_| {
            let (stop, rounds) = (stop.clone(), rounds.clone());
            pool.submit_with(move |cx: &mut Context<GlobalLock>| {
                while !stop.load(Relaxed) {
                    compute();
                    rounds.fetch_add(1, Relaxed);
                    cx.checkpoint().expect("nobody cancels it");
                }
            })
        })
        .collect();
    let waits = with_echo.then(|| {
        let (requests, mut ask) = pipe().expect("a pipe");
        let (mut answer, replies) = pipe().expect("a pipe");
        let echo = thread::spawn(move || echo(requests, replies));
        let stop = stop.clone();
        let waits = pool.submit_with(move |cx| {
            let mut waits = Vec::new();
            while !stop.load(Relaxed) {
                cx.blocking(|| ask.write_all(&[1])).expect("somebody reads");
                let mut reply = [0; 8];
                cx.blocking(|| answer.read_exact(&mut reply)).expect("somebody writes");
                waits.push(now() - u64::from_ne_bytes(reply));
            }
            waits
        });
        (waits, echo)
    });
    thread::sleep(time);
    stop.store(true, Relaxed);
    tasks.into_iter().for_each(|task| task.result().expect("it does not fail"));
    let waits = waits.map(|(waits, echo)| {
        let waits = waits.result().expect("it does not fail");
        echo.join().expect("it does not panic");
        waits
    });
    Outcome { waits: waits.unwrap_or_default(), rounds: rounds.load(Relaxed) }
}

/// Computing threads and, on request, one that asks and waits for the reply; prints its waits and the rounds.
const SCRIPT: &str = r#"
import os, struct, sys, threading, time
computing, with_echo, seconds = int(sys.argv[1]), sys.argv[2] == "true", float(sys.argv[3])
stop, rounds, waits = False, [0] * computing, []
def compute(at):
    while not stop:
        for _ in range(20):
            pass
        rounds[at] += 1
def ask():
    while not stop:
        os.write(1, b"x")
        reply = os.read(0, 8)
        waits.append(time.time_ns() - struct.unpack("=Q", reply)[0])
threads = [threading.Thread(target=compute, args=(at,)) for at in range(computing)]
if with_echo:
    threads.append(threading.Thread(target=ask))
for thread in threads:
    thread.start()
time.sleep(seconds)
stop = True
for thread in threads:
    thread.join()
print(sum(rounds), *waits, file=sys.stderr)
"#;

fn python(python: &str, computing: usize, with_echo: bool, time: Duration) -> Option<Outcome> {
    let arguments = [computing.to_string(), with_echo.to_string(), time.as_secs_f64().to_string()];
    let mut command = Command::new(python);
    command.arg("-c").arg(SCRIPT).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
    let (requests, replies) = (child.stdout.take().expect("piped"), child.stdin.take().expect("piped"));
    let echo = thread::spawn(move || echo(requests, replies));
    let output = child.wait_with_output().ok()?;
    echo.join().expect("it does not panic");
    let text = String::from_utf8(output.stderr).ok()?;
    let mut numbers = text.split_whitespace().map(|number| number.parse().expect("the script prints numbers"));
    Some(Outcome { rounds: numbers.next()?, waits: numbers.collect() })
}

fn row(name: &str, computing: usize, alone: &Outcome, mut beside: Outcome) {
    beside.waits.sort_unstable();
    // Without a reply, infinitely long.
    let quantile = |share: f64| {
        let at = (beside.waits.len().saturating_sub(1) as f64 * share) as usize;
        beside.waits.get(at).map_or(f64::INFINITY, |wait| *wait as f64 / 1e3)
    };
    let left = 100. * beside.rounds as f64 / alone.rounds as f64;
    let (median, late, replies) = (quantile(0.5), quantile(0.99), beside.waits.len());
    println!("| {name} | {computing} | {median:.0} | {late:.0} | {replies} | {left:.0} % |");
}

/// Nanoseconds of a checkpoint at which nobody asks.
fn checkpoint() -> f64 {
    const CHECKPOINTS: u32 = 50_000_000;
    let pool: ThreadPool<GlobalLock> = ThreadPool::builder().policy::<GlobalLock>().build().expect("good settings");
    let took = pool.submit_with(|cx| {
        let start = Instant::now();
        (0..CHECKPOINTS).for_each(|_| cx.checkpoint().expect("nobody cancels it"));
        start.elapsed()
    });
    took.result().expect("it does not fail").as_secs_f64() * 1e9 / f64::from(CHECKPOINTS)
}

fn main() {
    let arguments = Arguments::parse();
    println!("A checkpoint at which nobody asks: {:.1} ns\n", checkpoint());
    let time = Duration::from_secs_f64(arguments.seconds);
    println!("| | compute | median wait, µs | 99 % | replies | left to those who compute |\n|---|---|---|---|---|---|");
    for computing in [1, 2, 4] {
        row("lockgrain", computing, &ours(computing, false, time), ours(computing, true, time));
        let beside = python(&arguments.python, computing, true, time);
        if let (Some(alone), Some(beside)) = (python(&arguments.python, computing, false, time), beside) {
            row(&arguments.python, computing, &alone, beside);
        }
    }
}
