//! One SQLite connection, which must not be used by two threads at once, for many tasks: as a guarded value, which tasks wait for without a
//! worker waiting, and under the global lock, which covers it.
//!
//! `cargo run --release -p lockgrain-sqlite -- --help`

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use lockgrain::{Builder, FineGrained, GlobalLock, Guarded, LockFree, LockPolicy, TaskHandle, ThreadPool};
use lockgrain_examples::Policy;
use rusqlite::{Connection, params};

#[derive(Parser)]
#[command(about = "Reads and writes one SQLite file from many tasks, and checks that it is whole and no write is lost")]
struct Arguments {
    /// How coarse the pool's locks are.
    #[arg(long, value_enum, default_value_t = Policy::All)]
    policy: Policy,
    /// How many workers [default: the number of processors].
    #[arg(long)]
    threads: Option<usize>,
    /// How many reads and writes, a task each; three of four are reads.
    #[arg(long, default_value_t = 100_000)]
    operations: usize,
    /// The folder for the files [default: a temporary one].
    #[arg(long)]
    folder: Option<PathBuf>,
}

const ACCOUNTS: u32 = 1_000;

fn open(path: &Path) -> Result<Connection> {
    let mut connection = Connection::open(path).with_context(|| format!("opening {}", path.display()))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)", [])?;
    let transaction = connection.transaction()?;
    for id in 0..ACCOUNTS {
        transaction.execute("INSERT INTO account VALUES (?1, 0)", [id])?;
    }
    transaction.commit()?;
    Ok(connection)
}

/// One task's work: what it read, or how many rows it wrote.
fn operate(connection: &Connection, id: u32, write: bool) -> rusqlite::Result<i64> {
    if write {
        let sql = "UPDATE account SET balance = balance + 1 WHERE id = ?1";
        connection.prepare_cached(sql)?.execute(params![id]).map(|rows| rows as i64)
    } else {
        let sql = "SELECT balance FROM account WHERE id = ?1";
        connection.prepare_cached(sql)?.query_row(params![id], |row| row.get(0))
    }
}

/// How a task gets at the connection.
type Submit<P> = fn(&ThreadPool<P>, &Guarded<Connection, P>, u32, bool) -> TaskHandle<rusqlite::Result<i64>>;

/// By its name: under any policy.
fn named<P: LockPolicy>(
    pool: &ThreadPool<P>,
    database: &Guarded<Connection, P>,
    id: u32,
    write: bool,
) -> TaskHandle<rusqlite::Result<i64>> {
    pool.when(database, move |connection| operate(connection, id, write))
}

/// With the context of the task that holds the global lock.
fn covered(
    pool: &ThreadPool<GlobalLock>,
    database: &Guarded<Connection, GlobalLock>,
    id: u32,
    write: bool,
) -> TaskHandle<rusqlite::Result<i64>> {
    let database = database.clone();
    pool.submit_with(move |cx| operate(database.get_mut(cx), id, write))
}

fn run<P: LockPolicy>(arguments: &Arguments, folder: &Path, how: &str, submit: Submit<P>) -> Result<()> {
    let mut builder = Builder::<P>::new();
    if let Some(threads) = arguments.threads {
        builder = builder.max_workers(threads);
    }
    let pool = builder.build()?;
    let database = pool.guarded(open(&folder.join(format!("{}-{how}.sqlite", P::NAME)))?);
    let mut random = fastrand::Rng::with_seed(1);
    let start = Instant::now();
    let handles: Vec<_> = (0..arguments.operations)
        .map(|n| (n % 4 == 0, submit(&pool, &database, random.u32(0..ACCOUNTS), n % 4 == 0)))
        .collect();
    let mut writes = 0;
    for (write, handle) in handles {
        let got = handle.result()??;
        if write {
            ensure!(got == 1, "a write of {got} rows");
            writes += 1;
        }
    }
    let took = start.elapsed();
    let (sum, verdict) = pool
        .when(&database, |connection| -> rusqlite::Result<(i64, String)> {
            let sum = connection.query_row("SELECT sum(balance) FROM account", [], |row| row.get(0))?;
            Ok((sum, connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?))
        })
        .result()??;
    println!(
        "{:<10} {how:<8} {} operations in {took:.1?}, {writes} writes, sum {sum}, integrity {verdict}",
        P::NAME,
        arguments.operations
    );
    ensure!(sum == writes, "writes are lost");
    ensure!(verdict == "ok", "the file is damaged: {verdict}");
    Ok(())
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir()?;
    let folder = arguments.folder.as_deref().unwrap_or(temporary.path());
    let (global, all) = (Policy::Global, Policy::All);
    if [global, all].contains(&arguments.policy) {
        run::<GlobalLock>(&arguments, folder, "context", covered)?;
        run::<GlobalLock>(&arguments, folder, "guarded", named)?;
    }
    if [Policy::Fine, all].contains(&arguments.policy) {
        run::<FineGrained>(&arguments, folder, "guarded", named)?;
    }
    if [Policy::LockFree, all].contains(&arguments.policy) {
        run::<LockFree>(&arguments, folder, "guarded", named)?;
    }
    Ok(())
}
