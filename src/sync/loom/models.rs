//! Whether the repaired atomics show every outcome: small programs, whose outcomes are also enumerated without loom.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize as Number, Ordering::Relaxed as Unordered};

use super::Arc;
use super::atomic::{AtomicU32, Ordering::*};

/// An operation on one of two atomics.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Load(usize),
    Store(usize, u32),
    Add(usize),
    Exchange(usize, u32, u32),
}
use Operation::*;

/// With no bound, and with some that lose nothing in a program of two threads.
const BOUNDS: [Option<usize>; 3] = [Some(1), Some(2), None];

/// What each thread does.
type Program = Vec<Vec<Operation>>;
/// What each operation read, thread by thread, and what there was in the end.
type Outcome = (Vec<Vec<u32>>, [u32; 2]);

fn perform(atomics: &[AtomicU32; 2], operation: Operation) -> u32 {
    match operation {
        Load(at) => atomics[at].load(Acquire),
        Store(at, value) => {
            atomics[at].store(value, Release);
            0
        }
        Add(at) => atomics[at].fetch_add(1, AcqRel),
        Exchange(at, current, new) => {
            atomics[at].compare_exchange(current, new, AcqRel, Acquire).unwrap_or_else(|seen| seen)
        }
    }
}

static EXECUTIONS: Number = Number::new(0);

/// The outcomes that loom finds with at most so many preemptions.
fn found(program: &Program, preemptions: Option<usize>) -> BTreeSet<Outcome> {
    let outcomes = Arc::new(Mutex::new(BTreeSet::new()));
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check({
        let (program, outcomes) = (program.clone(), outcomes.clone());
        move || {
            EXECUTIONS.fetch_add(1, Unordered);
            let atomics = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
            let start = |operations: &Vec<Operation>| {
                let (atomics, operations) = (atomics.clone(), operations.clone());
                ::loom::thread::spawn(move || operations.iter().map(|&one| perform(&atomics, one)).collect())
            };
            let threads: Vec<_> = program.iter().map(start).collect();
            let read = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            outcomes.lock().unwrap().insert((read, [atomics[0].load(Acquire), atomics[1].load(Acquire)]));
        }
    });
    std::mem::take(&mut *outcomes.lock().unwrap())
}

/// One execution in progress, without loom: one operation at a time.
#[derive(Clone)]
struct Run<'a> {
    program: &'a Program,
    outcome: Outcome,
    current: Option<usize>,
    preemptions: usize,
}

impl Run<'_> {
    fn next(&self, thread: usize) -> Option<Operation> {
        self.program[thread].get(self.outcome.0[thread].len()).copied()
    }

    fn step(&mut self, thread: usize) {
        let operation = self.next(thread).unwrap();
        let preempted = self.current.filter(|&current| current != thread && self.next(current).is_some());
        self.preemptions += usize::from(preempted.is_some());
        self.current = Some(thread);
        let values = &mut self.outcome.1;
        let (at, write): (_, &dyn Fn(u32) -> u32) = match operation {
            Load(at) => (at, &|seen| seen),
            Store(at, value) => (at, &move |_| value),
            Add(at) => (at, &|seen| seen + 1),
            Exchange(at, current, new) => (at, &move |seen| if seen == current { new } else { seen }),
        };
        let seen = values[at];
        values[at] = write(seen);
        self.outcome.0[thread].push(if matches!(operation, Store(..)) { 0 } else { seen });
    }

    /// With the switches that loom's bound allows: once it is reached, a thread runs to its end and the first of the others is next.
    fn enumerate(self, bound: Option<usize>, outcomes: &mut BTreeSet<Outcome>) {
        let unfinished = |&thread: &usize| self.next(thread).is_some();
        let mut next: Vec<_> = (0..self.program.len()).filter(unfinished).collect();
        if bound == Some(self.preemptions) {
            next.sort_by_key(|&thread| Some(thread) != self.current);
            next.truncate(1);
        }
        for &thread in &next {
            let mut run = self.clone();
            run.step(thread);
            run.enumerate(bound, outcomes);
        }
        if next.is_empty() {
            outcomes.insert(self.outcome);
        }
    }
}

/// The outcomes of all interleavings with at most so many preemptions.
fn possible(program: &Program, preemptions: Option<usize>) -> BTreeSet<Outcome> {
    let mut outcomes = BTreeSet::new();
    let outcome = (vec![Vec::new(); program.len()], [0; 2]);
    Run { program, outcome, current: None, preemptions: 0 }.enumerate(preemptions, &mut outcomes);
    outcomes
}

fn check_outcomes(bounds: &[Option<usize>], programs: impl IntoIterator<Item = Program>) {
    for program in programs {
        for &preemptions in bounds {
            let found = found(&program, preemptions);
            let possible = possible(&program, preemptions);
            let missed: Vec<_> = possible.difference(&found).collect();
            assert!(missed.is_empty(), "{program:?} within {preemptions:?} preemptions: not found: {missed:?}");
        }
    }
    println!("COMPLETE {} executions", EXECUTIONS.load(Unordered));
}

/// tokio-rs/loom#166.
#[test]
fn a_load_hides_no_store() {
    check_outcomes(
        &BOUNDS,
        [vec![vec![Load(0), Store(0, 1)], vec![Load(0)]], vec![vec![Load(0)], vec![Load(0), Store(0, 1)]]],
    );
}

/// The same, with a compare-and-swap.
#[test]
fn a_load_hides_no_exchange() {
    check_outcomes(
        &BOUNDS,
        [
            vec![vec![Load(0), Exchange(0, 0, 1)], vec![Load(0)]],
            vec![vec![Load(0)], vec![Load(0), Exchange(0, 0, 1)]],
            vec![vec![Load(0), Exchange(0, 0, 1)], vec![Load(0), Exchange(0, 0, 2)]],
            vec![vec![Load(0), Exchange(0, 0, 1)], vec![Load(0), Load(1)], vec![Load(0), Store(1, 1)]],
        ],
    );
}

/// Programs drawn at random, the same ones each time. Without a bound: under one loom by itself loses some outcomes of three threads,
/// the same ones whether all operations of an atomic count as dependent or not.
#[test]
fn programs_show_every_outcome() {
    let mut state = 1_u32;
    let mut draw = move |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let mut program = |threads: usize, operations: usize| -> Program {
        let mut operation = |_| {
            let at = usize::from(draw(4) == 0);
            match draw(6) {
                0..=2 => Load(at),
                3 => Store(at, 1 + draw(3)),
                4 => Add(at),
                _ => Exchange(at, draw(2), 1 + draw(3)),
            }
        };
        (0..threads).map(|_| (0..operations).map(&mut operation).collect()).collect()
    };
    let sizes = [(2, 2), (2, 3), (3, 2)].into_iter().cycle().take(36);
    check_outcomes(&[None], sizes.map(|(threads, operations)| program(threads, operations)));
}
