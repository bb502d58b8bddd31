//! Models of the gate by itself, and of tasks with values.

use super::pool::{Pool, pool, result};
use super::require;
use crate::model::note;
use crate::policy::LockPolicy;
use crate::policy::gate::{Entrant, Gate};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, thread};

/// A place where only one may be, and who has been there. Relaxed, so that who comes later sees it only by what let him in.
#[derive(Default)]
struct Section {
    inside: AtomicBool,
    entered: AtomicUsize,
}

impl Section {
    fn pass(&self, what: &str) {
        require(!self.inside.swap(true, Relaxed), &format!("two {what} at once"));
        let entered = self.entered.load(Relaxed);
        // A place to be interrupted at.
        self.entered.store(entered + 1, Relaxed);
        require(self.inside.swap(false, Relaxed), &format!("two {what} at once"));
    }
}

/// Each of three comes once, one of them as if it came back from blocking work.
fn three_at_the_gate<P: LockPolicy>(section: impl Fn() + Send + Sync + Clone + 'static) {
    let gate = Arc::new(P::Gate::new());
    let enter = move |who| {
        let (gate, section) = (gate.clone(), section.clone());
        move || {
            note("comes to the gate");
            gate.enter(who);
            note("is let in");
            section();
            note("leaves");
            gate.leave();
        }
    };
    let threads = [Entrant::Ordinary, Entrant::Returner].map(|who| thread::spawn(enter(who)));
    enter(Entrant::Ordinary)();
    threads.into_iter().for_each(|thread| require(thread.join().is_ok(), "the gate panics"));
}

pub(super) fn each_gets_the_gate<P: LockPolicy>() {
    three_at_the_gate::<P>(|| ());
}

pub(super) fn the_gate_excludes<P: LockPolicy>() {
    if !P::Gate::EXCLUSIVE {
        return;
    }
    let section = Arc::new(Section::default());
    let passes = section.clone();
    three_at_the_gate::<P>(move || passes.pass("are behind an exclusive gate"));
    require(section.entered.load(Relaxed) == 3, "what one behind the gate wrote the next does not see");
}

/// A writer, a reader and two writers of one value.
fn four_with_a_value<P: LockPolicy>(pool: &Pool<P>, section: impl Fn(usize) + Send + Sync + Clone + 'static) {
    let value = pool.guarded(());
    let task = |number: usize| {
        let section = section.clone();
        move || {
            note(format!("has the value, submitted as number {number}"));
            section(number);
        }
    };
    let tasks = (task(0), task(1), task(2), task(3));
    let writer = pool.when(&value, move |()| tasks.0());
    let reader = pool.when(value.shared(), move |()| tasks.1());
    let writers = [pool.when(&value, move |()| tasks.2()), pool.when(&value, move |()| tasks.3())];
    result(writer);
    result(reader);
    writers.into_iter().for_each(result);
}

pub(super) fn each_gets_the_value<P: LockPolicy>() {
    let pool = pool::<P>(1);
    four_with_a_value(&pool, drop::<usize>);
    pool.shutdown();
}

pub(super) fn opposite_orders<P: LockPolicy>() {
    let pool = pool::<P>(1);
    let (a, b) = (pool.guarded(()), pool.guarded(()));
    let (inner, mine) = (pool.clone(), (a.clone(), b.clone()));
    let submitter = thread::spawn(move || result(inner.when((&mine.0, &mine.1), |_| ())));
    result(pool.when((&b, &a), |_| ()));
    require(submitter.join().is_ok(), "a submission panics");
    pool.shutdown();
}

/// Also where the gate covers the value.
pub(super) fn the_value_excludes<P: LockPolicy>() {
    let pool = pool::<P>(2);
    let section = Arc::new(Section::default());
    let passes = section.clone();
    four_with_a_value(&pool, move |_| passes.pass("tasks have a value that one of them changes"));
    require(section.entered.load(Relaxed) == 4, "what one task wrote the next with the same value does not see");
    pool.shutdown();
}

pub(super) fn the_value_keeps_the_order<P: LockPolicy>() {
    let pool = pool::<P>(1);
    let turn = Arc::new(AtomicUsize::new(0));
    let turns = turn.clone();
    four_with_a_value(&pool, move |number| {
        let seen = turns.fetch_add(1, Relaxed);
        require(
            seen == number,
            &format!("the task with the value that was submitted as number {number} runs as number {seen}"),
        );
    });
    pool.shutdown();
}

pub(super) fn a_panic_gives_the_value_back<P: LockPolicy>() {
    let pool = pool::<P>(1);
    let value = pool.guarded(0);
    // Without the panic hook's message.
    let panics = pool.when(&value, |_| std::panic::resume_unwind(Box::new(())));
    let next = pool.when(&value, |value| *value += 1);
    let error = Result::<(), _>::err(panics.result());
    require(error.is_some_and(|error| error.is_panic()), "a task's panic is not with its handle");
    result(next);
    pool.shutdown();
}

pub(super) fn shutdown_runs_what_stands_in_line<P: LockPolicy>() {
    let pool = pool::<P>(1);
    let value = pool.guarded(0);
    let line = [0, 1].map(|_| {
        pool.when(&value, |value| {
            *value += 1;
            *value
        })
    });
    pool.shutdown();
    require(line.map(result) == [1, 2], "tasks that stood in line have not both run, in their order");
}
