//! Runs a program on a pool of its own, and has the model judge what came of it.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use lockgrain::run_queue::LocalOrder;
use lockgrain::{Builder, LockPolicy, Metrics, ThreadPool, WhenFull};

use crate::client::{Client, Lines, Rest, World, drop_promise};
use crate::job::Common;
use crate::ledger::{Kind, Ledger, Outcome};
use crate::model::Model;
use crate::program::{End, Full, Program, Settings};
use crate::sync::{settle, spawn, with_time};

/// Runs it under the policy `P`.
///
/// # Panics
/// With what is wrong, if something is.
pub fn run<P: LockPolicy>(program: &Program) {
    with_time(|| run_noted::<P>(program, &Arc::default()));
}

pub(crate) fn run_noted<P: LockPolicy>(program: &Program, ledger: &Arc<Ledger>) {
    let Settings { clients, end, late_promises, .. } = program.settings;
    *ledger.at.lock().unwrap() = vec![String::new(); clients];
    let common = Arc::new(Common { ledger: ledger.clone(), settings: program.settings });
    let lines = Lines::default();
    let world = Arc::new(World::new(pool::<P>(program.settings, ledger), common, lines.clone()));
    let threads: Vec<_> = (0..clients)
        .map(|number| {
            let (client, ops) = (Client::new(number, world.clone()), program.ops.clone());
            spawn(move || client.run(&ops))
        })
        .collect();
    let mut rest = Rest::default();
    for thread in threads {
        match thread.join() {
            Ok(Rest { slots, promises }) => {
                rest.slots.extend(slots);
                rest.promises.extend(promises);
            }
            Err(payload) => std::panic::resume_unwind(payload),
        }
    }
    let Rest { slots, mut promises } = rest;
    if !late_promises {
        promises.drain(..).for_each(drop_promise);
    }
    let metrics = end_pool(world, end, ledger);
    promises.into_iter().for_each(drop_promise);
    for slot in slots {
        // What comes after another of a pool that has stopped may be refused a moment later.
        if metrics.is_some() && !matches!(slot.record.kind, Kind::Next | Kind::Promise) && !slot.is_finished() {
            slot.record.fault("has not ended, although the pool has");
        }
        slot.result();
    }
    // A worker may have had the last handle of the pool.
    settle(|| ledger.all().iter().all(|record| record.is_gone()) && lines.values.iter().all(|line| line.drops() > 0));
    judge(program, ledger, &lines, metrics.as_ref());
    let faults = std::mem::take(&mut *ledger.faults.lock().unwrap());
    assert!(faults.is_empty(), "under {}: {faults:#?}\n{program:?}", P::NAME);
}

fn pool<P: LockPolicy>(settings: Settings, ledger: &Arc<Ledger>) -> ThreadPool<P> {
    let handled = ledger.clone();
    let mut builder = Builder::<P>::new()
        .max_workers(settings.workers)
        .max_spares(settings.spares)
        .run_delayed_after_shutdown(settings.run_delayed)
        .local_order(if settings.lifo { LocalOrder::Lifo } else { LocalOrder::Fifo })
        .panic_handler(move |_payload| {
            handled.handled.fetch_add(1, SeqCst);
        });
    if let Some((bound, full)) = settings.queue {
        builder = builder.queue_capacity(bound).when_full(match full {
            Full::Reject => WhenFull::Reject,
            Full::Block => WhenFull::Block,
            Full::CallerRuns => WhenFull::CallerRuns,
            Full::DiscardOldest => WhenFull::DiscardOldest,
            Full::DiscardNewest => WhenFull::DiscardNewest,
        });
    }
    if settings.restless {
        builder = builder.min_workers(0).keep_alive(std::time::Duration::ZERO);
    }
    builder.build().expect("the settings are good")
}

/// Ends the pool; its last counts, if it has stopped by then.
fn end_pool<P: LockPolicy>(world: Arc<World<P>>, end: End, ledger: &Ledger) -> Option<Metrics> {
    let pool = &world.pool;
    match end {
        End::Shutdown => ledger.closing(false, || pool.shutdown()),
        End::ShutdownNow => {
            ledger.closing(true, || pool.shutdown_now());
        }
        End::Drop => {
            // Not closed: tasks that submit have handles of the pool, too.
            ledger.closing.store(true, SeqCst);
            drop(world);
            return None;
        }
    }
    ledger.expect(pool.is_terminated(), || format!("{end:?} has not stopped the pool"));
    Some(pool.metrics())
}

fn judge(program: &Program, ledger: &Ledger, lines: &Lines, metrics: Option<&Metrics>) {
    let poisoned = lines.values[0].check_poison();
    let all = lines.values.iter().chain(&lines.keys).chain([&lines.strand]);
    all.for_each(|line| line.check_order());
    let dropped = lines.values.iter().all(|line| line.drops() == 1);
    ledger.expect(dropped, || "a guarded value was not dropped once".to_owned());
    let model = Model::new(ledger, program.settings, poisoned);
    let records = ledger.all();
    records.iter().for_each(|record| model.judge(record));
    if program.is_in_order() {
        let mut began = 0;
        for record in records.iter().filter(|record| record.has_run()) {
            let at = record.began.load(SeqCst);
            if at < began {
                record.fault("began before one that was submitted earlier");
            }
            began = at;
        }
    }
    let Some(metrics) = metrics else { return };
    let adds_up = metrics.submitted == metrics.started + metrics.cancelled
        && metrics.started == metrics.finished
        && (metrics.queue_depth, metrics.threads) == (0, 0);
    ledger.expect(adds_up, || format!("does not add up: {metrics:?}"));
    if program.is_counted() {
        let count = |counts: &dyn Fn(&crate::ledger::Record) -> bool| {
            records.iter().filter(|record| record.kind != Kind::Promise && counts(record)).count() as u64
        };
        // A task whose value is poisoned begins, and ends at once.
        let poisoned = count(&|record| !record.has_run() && record.facts().outcome == Some(Outcome::Poisoned));
        // Who was refused while the pool stopped may count as cancelled, and who waits for another task is not yet there to count.
        let unknown = count(&|record| {
            let next = record.kind == Kind::Next;
            !record.has_run() && (next || matches!(record.facts().outcome, None | Some(Outcome::Refused)))
        });
        let started = count(&|record| record.has_run()) + poisoned;
        let (least, most) = (started, started + unknown);
        ledger.expect((least..=most).contains(&metrics.started), || {
            format!("{} tasks have begun, by the pool's count {}", started, metrics.started)
        });
        let panicked = count(&|record| record.has_run() && record.panics());
        ledger.expect((panicked..=panicked + poisoned + unknown).contains(&metrics.panicked), || {
            format!("{panicked} tasks have panicked, by the pool's count {}", metrics.panicked)
        });
        let cancelled = count(&|record| {
            record.kind != Kind::Next && matches!(record.facts().outcome, Some(Outcome::Cancelled | Outcome::Expired))
        });
        ledger.expect((cancelled..=cancelled + unknown).contains(&metrics.cancelled), || {
            format!("{cancelled} tasks were cancelled, by the pool's count {}", metrics.cancelled)
        });
    }
}
