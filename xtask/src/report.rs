//! The page on performance: every pool beside every other in interleaved runs, as tables and pictures.

mod charts;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

const PAGE: &str = "docs/performance.md";
const README: &str = "README.md";
const BEGIN: &str = "<!-- report: begin -->\n";
const END: &str = "<!-- report: end -->";

/// The workloads that have to do with throughput.
const THROUGHPUT: [&str; 5] = ["spawn", "submit", "producers", "fan-out", "chain"];

/// The pools of the README's table, and what it calls its columns.
const SHORT_ROWS: [&str; 8] = ["lock-free", "fine", "global", "rayon", "tokio", "forte", "threadpool", "channel"];
const SHORT_COLUMNS: [(&str, &str); 6] = [
    ("spawn", "spawn"),
    ("submit", "submit and result"),
    ("producers", "4 producers"),
    ("fan-out", "fan-out"),
    ("chain", "chain"),
    ("round-trip", "round trip"),
];

#[derive(clap::Args, Clone)]
pub(crate) struct Options {
    /// Fewer rounds, and shorter queues: some minutes.
    #[arg(long)]
    quick: bool,
    /// Forte too. It wants a newer compiler than this project, and its beta has been seen to lose a wake-up in `round-trip`: then the run stands still.
    #[arg(long)]
    forte: bool,
}

/// One run of the program `compare`: its figures, and the table that it prints.
struct Compared {
    command: String,
    table: String,
    figures: Figures,
}

#[derive(Deserialize)]
struct Figures {
    workers: usize,
    cells: Vec<Cell>,
}

/// Nanoseconds a task.
#[derive(Deserialize)]
struct Cell {
    workload: String,
    peer: String,
    tasks: u64,
    median: f64,
}

impl Figures {
    /// In the order of the table.
    fn peers(&self) -> Vec<&str> {
        let mut peers: Vec<&str> = Vec::new();
        for cell in &self.cells {
            if !peers.contains(&&*cell.peer) {
                peers.push(&cell.peer);
            }
        }
        peers
    }

    fn of(&self, workload: &str, peer: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.workload == workload && cell.peer == peer)
    }
}

pub(crate) fn report(options: &Options) -> Result<()> {
    let forte = options.forte;
    let (rounds, longest) = if options.quick { (5, 6) } else { (21, 7) };
    let two = compare(2, rounds, &[], forte)?;
    let more = [4, 16, 64].map(|workers| compare(workers, rounds.div_ceil(2), &THROUGHPUT, forte));
    let more = more.into_iter().collect::<Result<Vec<_>>>()?;
    let lengths: Vec<String> = (3..=longest).map(|exponent| format!("queued-{}", 10_u64.pow(exponent))).collect();
    let lengths: Vec<&str> = lengths.iter().map(String::as_str).collect();
    let queued = compare(2, rounds.div_ceil(3), &lengths, forte)?;

    fs::create_dir_all("docs/performance")?;
    charts::peers(&two.figures, Path::new("docs/performance/peers.svg"))?;
    let all: Vec<&Figures> = [&two].into_iter().chain(&more).map(|compared| &compared.figures).collect();
    charts::workers(&all, &THROUGHPUT, Path::new("docs/performance/workers.svg"))?;
    charts::queued(&queued.figures, Path::new("docs/performance/queued.svg"))?;

    put(PAGE, &page(&two, &more, &queued))?;
    put(README, &short(&two))?;
    println!("\nwrote {PAGE}, its pictures, and the table in {README}");
    Ok(())
}

fn compare(workers: usize, rounds: usize, only: &[&str], forte: bool) -> Result<Compared> {
    let json = Path::new("target/report.json");
    let mut command = format!(
        "cargo run --release -p lockgrain-benches {}--bin compare -- --workers {workers} --rounds {rounds}",
        if forte { "--features forte --ignore-rust-version " } else { "" }
    );
    if !only.is_empty() {
        let _ = write!(command, " --only {}", only.join(","));
    }
    eprintln!("== {command}");
    let output =
        crate::cargo().args(command.split(' ').skip(1)).arg("--json").arg(json).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "`{command}`: {}", output.status);
    let printed = String::from_utf8(output.stdout)?;
    let (_, table) = printed.split_once("\n\n").context("`compare` printed no table")?;
    let figures = serde_json::from_str(&fs::read_to_string(json)?)?;
    Ok(Compared { command, table: table.to_owned(), figures })
}

fn page(two: &Compared, more: &[Compared], queued: &Compared) -> String {
    let mut text = format!("Made by `cargo xtask report` on {}.\n", machine());
    text.push_str("\n### 2 workers\n\n![Nanoseconds a task, each pool on each workload](performance/peers.svg)\n\n");
    section(&mut text, two);
    text.push_str(
        "\n### More workers than cores\n\n![Nanoseconds a task by the number of workers](performance/workers.svg)\n",
    );
    for compared in more {
        let _ = write!(text, "\n{} workers:\n\n", compared.figures.workers);
        section(&mut text, compared);
    }
    text.push_str("\n### Queue length\n\nAll tasks are queued before the first runs.\n\n![Nanoseconds a task by the number of queued tasks](performance/queued.svg)\n\n");
    section(&mut text, queued);
    text
}

fn section(text: &mut String, compared: &Compared) {
    let _ = write!(text, "{}\n`{}`\n", compared.table, compared.command);
}

/// The README's table.
fn short(two: &Compared) -> String {
    let titles: Vec<&str> = SHORT_COLUMNS.iter().map(|(_, title)| *title).collect();
    let mut text = format!("| | {} |\n|---|{}\n", titles.join(" | "), "---|".repeat(titles.len()));
    for peer in SHORT_ROWS {
        let cell = |(workload, _): &(&str, _)| two.figures.of(workload, peer).map(|cell| rounded(cell.median));
        // All but Forte are there.
        if let Some(cells) = SHORT_COLUMNS.iter().map(cell).collect::<Option<Vec<_>>>() {
            let _ = writeln!(text, "| {peer} | {} |", cells.join(" | "));
        }
    }
    text
}

/// Nanoseconds, or microseconds with their unit.
fn rounded(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1_000. => format!("{nanoseconds:.0}"),
        ..10_000. => format!("{:.1} µs", nanoseconds / 1e3),
        _ => format!("{:.0} µs", nanoseconds / 1e3),
    }
}

/// The processor and the compiler.
fn machine() -> String {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let compiler = Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let compiler = String::from_utf8_lossy(&compiler);
    let compiler = compiler.split(" (").next().unwrap_or_default();
    format!("{cores} cores of {}, {compiler}", model.map_or("an unknown processor", |(_, model)| model))
}

/// Between the marks in the file.
fn put(file: &'static str, text: &str) -> Result<()> {
    let old = fs::read_to_string(file).context(file)?;
    let parts = old.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.with_context(|| format!("{file} does not have the marks {BEGIN:?} and {END:?}"))?;
    fs::write(file, format!("{before}{BEGIN}\n{text}\n{END}{after}")).context(file)
}
