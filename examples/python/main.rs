//! A real CPython in this process: the interpreter's work runs on a pool under `GlobalLock`, native work lets the lock go.
//!
//! `cargo run --release --manifest-path examples/python/Cargo.toml -- --help`
//!
//! Python code calls back into Rust without room for a context, and gets one all the same: `Context::reentrant`. A thread that comes
//! back from native work goes before tasks that have not begun, and nobody fights for CPython's own lock, as one task at a time has ours.

use std::ffi::CString;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use lockgrain::{Context, GlobalLock, Guarded, ThreadPool};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};

#[derive(Parser)]
#[command(about = "Python makes numbers, native code works on them without the lock, Python puts the results together")]
struct Arguments {
    /// How many times.
    #[arg(long, default_value_t = 200)]
    tasks: u64,
    /// Numbers in each.
    #[arg(long, default_value_t = 2_000)]
    numbers: u64,
    /// Rounds of the native work over them.
    #[arg(long, default_value_t = 500)]
    rounds: u32,
}

/// What Python knows: a generator of numbers, and a report that calls back.
const MODULE: &str = "
def numbers(seed, count):
    for n in range(count):
        seed = (seed * 1103515245 + 12345) % 2147483648
        yield seed / 2147483648

def report(seed, total, note):
    note(f'{seed}: {total:.6f}')
    return round(total, 6)
";

/// What a library in native code would do: a long computation that needs no interpreter.
fn native(numbers: &[f64], rounds: u32) -> f64 {
    let mut total = 0.;
    for round in 0..rounds {
        let scale = 1. / f64::from(round + 1);
        total += numbers.iter().map(|number| (number * scale).sqrt()).sum::<f64>();
    }
    total
}

fn python_numbers(module: &Py<PyModule>, seed: u64, count: u64) -> PyResult<Vec<f64>> {
    Python::attach(|py| {
        let generator = module.bind(py).getattr("numbers")?.call1((seed, count))?;
        generator.try_iter()?.map(|number| number?.extract()).collect()
    })
}

/// One task: all that touches Python or the log has the lock.
fn task(
    cx: &mut Context<GlobalLock>,
    pool: &ThreadPool<GlobalLock>,
    module: &Py<PyModule>,
    log: &Guarded<Vec<String>, GlobalLock>,
    seed: u64,
    arguments: &Arguments,
) -> PyResult<f64> {
    let numbers = python_numbers(module, seed, arguments.numbers)?;
    let total = cx.blocking(|| native(&numbers, arguments.rounds));
    let (pool, log) = (pool.clone(), log.clone());
    cx.reentrant(|| {
        Python::attach(|py| {
            let note = PyCFunction::new_closure(py, None, None, move |arguments, _: Option<&Bound<'_, PyDict>>| {
                let line: String = arguments.get_item(0)?.extract()?;
                pool.lock(|cx| log.get_mut(cx).push(line));
                PyResult::Ok(())
            })?;
            module.bind(py).getattr("report")?.call1((seed, total, note))?.extract()
        })
    })
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let module: Py<PyModule> = Python::attach(|py| {
        let code = CString::new(MODULE)?;
        PyResult::Ok(PyModule::from_code(py, &code, c"numbers.py", c"numbers")?.unbind())
    })?;
    let start = Instant::now();
    let mut expected = Vec::new();
    for seed in 0..arguments.tasks {
        let total = native(&python_numbers(&module, seed, arguments.numbers)?, arguments.rounds);
        expected.push((total * 1e6).round() / 1e6);
    }
    let alone = start.elapsed();

    let pool = ThreadPool::builder().policy::<GlobalLock>().build()?;
    let log = pool.guarded(Vec::new());
    let arguments = std::sync::Arc::new(arguments);
    let module = std::sync::Arc::new(module);
    let start = Instant::now();
    let handles: Vec<_> = (0..arguments.tasks)
        .map(|seed| {
            let (inner, module, log, arguments) = (pool.clone(), module.clone(), log.clone(), arguments.clone());
            pool.submit_with(move |cx| task(cx, &inner, &module, &log, seed, &arguments))
        })
        .collect();
    for (handle, expected) in handles.into_iter().zip(&expected) {
        let total = handle.result()??;
        ensure!((total - expected).abs() < 2e-6, "Python has {total}, not {expected}");
    }
    let pooled = start.elapsed();
    let mut lines = pool.lock(|cx| log.get(cx).clone());
    lines.sort();
    lines.dedup();
    ensure!(lines.len() as u64 == arguments.tasks, "each task has called back");
    pool.shutdown();

    let metrics = pool.metrics();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!("{} tasks, each with Python, native work without the lock, and a callback from Python", arguments.tasks);
    println!("one after another {:.0} ms, on {} workers {:.0} ms", ms(alone), pool.max_workers(), ms(pooled));
    println!("the lock was held {:.0} ms, {} times", ms(metrics.lock_hold_time), metrics.lock_holds);
    if let Some(wait) = metrics.lock_wait_times.quantile(0.99) {
        println!("of {} waits for it 99 % were shorter than {wait:?}", metrics.lock_waits);
    }
    Ok(())
}
