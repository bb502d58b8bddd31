//! Transfers between accounts, each a guarded value: many at once where the policy allows it, and never a cent lost.

use std::thread;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use lockgrain::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy};
use lockgrain_examples::Policy;

#[derive(Parser)]
#[command(about = "Moves money between random accounts from several threads, and checks that the sum stays")]
struct Arguments {
    /// How coarse the pool's locks are.
    #[arg(long, value_enum, default_value_t = Policy::All)]
    policy: Policy,
    /// How many workers [default: the number of processors].
    #[arg(long)]
    threads: Option<usize>,
    /// How many accounts, two at least.
    #[arg(long, default_value_t = 1_000)]
    accounts: usize,
    /// How many transfers.
    #[arg(long, default_value_t = 1_000_000)]
    transfers: usize,
}

const DEPOSIT: i64 = 1_000;
const TELLERS: usize = 4;

/// Numbers that look random: Marsaglia, "Xorshift RNGs" (2003).
fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    }
}

fn run<P: LockPolicy>(arguments: &Arguments) -> Result<()> {
    let mut builder = Builder::<P>::new();
    if let Some(threads) = arguments.threads {
        builder = builder.max_workers(threads);
    }
    let pool = builder.build()?;
    let start = Instant::now();
    let accounts: Vec<_> = (0..arguments.accounts).map(|_| pool.guarded(DEPOSIT)).collect();
    thread::scope(|scope| {
        for teller in 0..TELLERS {
            let (pool, accounts) = (&pool, &accounts);
            scope.spawn(move || {
                let mut random = numbers(teller as u64 + 1);
                for _ in (teller..arguments.transfers).step_by(TELLERS) {
                    let from = random(accounts.len());
                    let to = (from + 1 + random(accounts.len() - 1)) % accounts.len();
                    let amount = random(100) as i64;
                    // Nobody asks for the handle: the transfer is made all the same.
                    drop(pool.when((&accounts[from], &accounts[to]), move |(from, to)| {
                        *from -= amount;
                        *to += amount;
                    }));
                }
            });
        }
    });
    // Behind every transfer.
    let sum = pool.when(&accounts, |accounts| accounts.into_iter().map(|account| *account).sum::<i64>()).result()?;
    let took = start.elapsed();
    println!("{:<10} {} transfers in {took:.1?}, sum {sum}", P::NAME, arguments.transfers);
    ensure!(sum == DEPOSIT * arguments.accounts as i64, "money was made or lost");
    Ok(())
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.accounts >= 2, "a transfer needs two accounts: use --accounts 2 or more");
    match arguments.policy {
        Policy::Global => run::<GlobalLock>(&arguments),
        Policy::Fine => run::<FineGrained>(&arguments),
        Policy::LockFree => run::<LockFree>(&arguments),
        Policy::All => {
            run::<GlobalLock>(&arguments)?;
            run::<FineGrained>(&arguments)?;
            run::<LockFree>(&arguments)
        }
    }
}
