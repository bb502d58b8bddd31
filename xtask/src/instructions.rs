//! Instructions an operation, as valgrind counts them: a program does the operation often, and then more often; the difference is divided by the
//! operations between. `xtask/instructions.txt` says what is counted, and how much it may be.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::models::{each, executable};

/// How often: in the shorter run, and in the longer one.
const TIMES: [u64; 2] = [10_000, 20_000];

/// The same for `checkpoint`, which takes so few that what threads do when they start would count.
const CHECKPOINTS: [u64; 2] = [100_000, 1_000_000];

/// The same for `join`: which Fibonacci numbers.
const FIBONACCI: [u64; 2] = [18, 22];

const TABLE: &str = "xtask/instructions.txt";

/// A line of the table.
struct Row<'a> {
    case: &'a str,
    who: &'a str,
    /// None for another pool's.
    limit: Option<f64>,
}

/// Counts all cases whose name has `filter` in it, those of other pools only if asked for; fails if one takes more than it may.
pub(crate) fn count(filter: &str, peers: bool) -> Result<()> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("\nSKIPPED: there is no valgrind here, so no instructions were counted");
        return Ok(());
    }
    let program = build()?;
    let table = fs::read_to_string(TABLE).context(TABLE)?;
    let rows = table.lines().filter(|line| !line.starts_with('#')).map(row).collect::<Result<Vec<_>>>()?;
    let rows: Vec<_> =
        rows.into_iter().filter(|row| row.case.contains(filter) && (peers || row.limit.is_some())).collect();
    ensure!(!rows.is_empty(), "there is no case with `{filter}` in its name");
    println!("\n| case | who | instructions | limit |\n|---|---|---|---|");
    let mut over = 0;
    for (row, counted) in rows.iter().zip(each(&rows, |row| instructions(&program, row))) {
        let counted = counted.with_context(|| format!("{} {}", row.case, row.who))?;
        let is_over = row.limit.is_some_and(|limit| counted > limit);
        over += usize::from(is_over);
        let limit = row.limit.map_or_else(String::new, |limit| limit.to_string());
        println!("| {} | {} | {counted:.1} | {limit}{} |", row.case, row.who, if is_over { " EXCEEDED" } else { "" });
    }
    ensure!(over == 0, "{over} of {} take more than they may", rows.len());
    Ok(())
}

fn row(line: &str) -> Result<Row<'_>> {
    let mut words = line.split_whitespace();
    let (Some(case), Some(who), Some(limit), None) = (words.next(), words.next(), words.next(), words.next()) else {
        anyhow::bail!("{TABLE}: `{line}` is not a case, a pool and a limit");
    };
    let limit = if limit == "-" { None } else { Some(limit.parse().with_context(|| format!("{TABLE}: {line}"))?) };
    Ok(Row { case, who, limit })
}

/// Of one operation.
fn instructions(program: &str, row: &Row<'_>) -> Result<f64> {
    let (times, operations) = match row.case {
        "join" => (FIBONACCI, joins(FIBONACCI[1]) - joins(FIBONACCI[0])),
        "checkpoint" => (CHECKPOINTS, CHECKPOINTS[1] - CHECKPOINTS[0]),
        _ => (TIMES, TIMES[1] - TIMES[0]),
    };
    let counts = times.map(|times| run(program, row, times));
    let [few, many] = counts;
    let (few, many) = (few?, many?);
    Ok((many as f64 - few as f64) / operations as f64)
}

/// How many joins the recursion for that Fibonacci number has.
fn joins(n: u64) -> u64 {
    if n < 2 { 0 } else { 1 + joins(n - 1) + joins(n - 2) }
}

/// Of the whole program.
fn run(program: &str, row: &Row<'_>, times: u64) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", program, row.case, row.who])
        .arg(times.to_string())
        .output()?;
    let printed = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}\n{printed}", output.status);
    let (_, count) = printed.split_once("refs:").with_context(|| format!("valgrind counted nothing:\n{printed}"))?;
    let digits: String = count.lines().next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    digits.parse().with_context(|| format!("valgrind counted no number:\n{printed}"))
}

fn build() -> Result<String> {
    let output = crate::cargo()
        .args([
            "build",
            "--package",
            "lockgrain-benches",
            "--bin",
            "instructions",
            "--release",
            "--message-format=json",
        ])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "building the program: {}", output.status);
    let messages = String::from_utf8(output.stdout)?;
    Ok(executable(&messages).context("cargo named no program")?.to_owned())
}
