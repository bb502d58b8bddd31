//! The same programs under random schedules: `cargo xtask programs`.
#![cfg(lockgrain_shuttle)]

use std::sync::Arc;

use lockgrain::{FineGrained, GlobalLock, LockFree, LockPolicy};
use lockgrain_programs::{Body, End, Focus, Name, Op, Program, Settings, run};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// Schedules of each program: half of them random, half with few changes of priority (PCT).
const SCHEDULES: usize = 20;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number of schedules or a seed"))
}

/// Numbers that look random: G. Marsaglia, "Xorshift RNGs", 2003.
fn next(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 24) as u8
}

/// Some programs, with `LOCKGRAIN_SCHEDULES` schedules in all, from `LOCKGRAIN_SEED`. One that fails is printed with its schedule.
fn programs<P: LockPolicy>(focus: Focus) {
    let (seed, schedules) = (setting("LOCKGRAIN_SEED", 1), setting("LOCKGRAIN_SCHEDULES", 2_000) as usize);
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut executions = 0;
    for _ in 0..schedules.div_ceil(SCHEDULES) {
        let operations = usize::from(next(&mut state) % 12);
        let bytes: Vec<u8> = (0..16 + 8 * operations).map(|_| next(&mut state)).collect();
        let program = Arc::new(Program::decode_all(focus, &bytes));
        executions += schedule::<P>(&program, RandomScheduler::new_from_seed(seed, SCHEDULES / 2));
        executions += schedule::<P>(&program, PctScheduler::new_from_seed(seed, 3, SCHEDULES / 2));
    }
    println!("COMPLETE {executions} executions");
}

fn schedule<P: LockPolicy>(program: &Arc<Program>, scheduler: impl Scheduler + 'static) -> usize {
    let theirs = program.clone();
    let runner = Runner::new(scheduler, Config::new());
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runner.run(move || run::<P>(&theirs))));
    ran.unwrap_or_else(|payload| {
        eprintln!("{program:?}");
        std::panic::resume_unwind(payload);
    })
}

macro_rules! stamp {
    ($($name:ident $policy:ty;)+) => {$(
        mod $name {
            use super::*;

            #[test]
            fn programs_of_all_sorts() {
                programs::<$policy>(Focus::Executor);
            }

            #[test]
            fn programs_that_name_values_and_keys() {
                programs::<$policy>(Focus::Guarded);
            }

            #[test]
            fn programs_about_handles() {
                programs::<$policy>(Focus::Handles);
            }

            #[test]
            fn programs_with_timers() {
                programs::<$policy>(Focus::Timer);
            }
        }
    )+};
}

stamp! {
    global GlobalLock;
    fine FineGrained;
    lock_free LockFree;
}

/// It once spun for ever on a lock of the checker's that another thread's panic had poisoned.
#[test]
fn a_guarded_task_waits_for_its_child_while_the_pool_is_dropped() {
    let name = Name { value: 0, shared: true };
    let program = Program {
        settings: Settings { clients: 2, workers: 2, spares: 0, end: End::Drop, ..Settings::PLAIN },
        ops: vec![(0, Op::When(vec![name], Body::Child)), (0, Op::Strand(Body::Panic))],
    };
    let runner = Runner::new(RandomScheduler::new_from_seed(7, 3_000), Config::new());
    runner.run(move || run::<FineGrained>(&program));
}

/// One waiter's `join` found nothing, as another had the tasks in its hands, and was not told again.
#[test]
fn two_joins_wait_where_no_thread_is_left() {
    let settings =
        Settings { clients: 3, workers: 2, spares: 0, restless: true, end: End::Shutdown, ..Settings::PLAIN };
    let ops = vec![
        (0, Op::TrySubmit(Body::Panic)),
        (1, Op::Install),
        (2, Op::Submit(Body::Hold)),
        (1, Op::SubmitWith(Body::CancelledChild)),
        (0, Op::Join),
        (1, Op::TrySubmit(Body::Join)),
    ];
    let program = Program { settings, ops };
    let runner = Runner::new(RandomScheduler::new_from_seed(1, 3_000), Config::new());
    runner.run(move || run::<GlobalLock>(&program));
}
