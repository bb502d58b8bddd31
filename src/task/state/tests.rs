//! Each transition from each word there can be, beside what it should do to the word's parts.

use std::fmt::Debug;

use super::*;

const FLAGS: [u32; 9] =
    [EXECUTOR, HANDLE, WAITERS, CANCEL_REQUESTED, HELD_BACK, DELAYED, SERIES | POLLED, EXPIRER, TAKEN];
const PHASES: [u32; 6] = [QUEUED, RUNNING, CANCELLING, FINISHED, CANCELLED, STARTED];

/// The parts of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    phase: u32,
    executor: bool,
    handle: bool,
    waiters: bool,
    cancel_requested: bool,
    held_back: bool,
    delayed: bool,
    series: bool,
    polled: bool,
    expirer: bool,
    taken: bool,
}

impl Parts {
    fn of(state: &State) -> Self {
        let word = state.0.load(Ordering::Relaxed);
        let has = |flag| word & flag == flag;
        Self {
            phase: word & PHASE,
            executor: has(EXECUTOR),
            handle: has(HANDLE),
            waiters: has(WAITERS),
            cancel_requested: has(CANCEL_REQUESTED),
            held_back: has(HELD_BACK),
            delayed: has(DELAYED),
            series: has(SERIES),
            polled: has(POLLED),
            expirer: has(EXPIRER),
            taken: has(TAKEN),
        }
    }

    fn is_terminal(self) -> bool {
        [FINISHED, CANCELLED].contains(&self.phase)
    }
}

/// All words, but that those which are a series and those which are polled take turns.
fn words() -> impl Iterator<Item = u32> {
    (0..PHASES.len() << FLAGS.len()).map(|number| {
        let flags = FLAGS.iter().enumerate().filter(|(at, _)| number >> at & 1 == 1).map(|(_, flag)| flag);
        let word = PHASES[number >> FLAGS.len()] | flags.fold(0, |word, flag| word | flag);
        word & !(if number.count_ones() % 2 == 0 { SERIES } else { POLLED })
    })
}

/// Looks at what `transition` makes of each word, and says; `expected` changes the parts, and says what is to be said.
fn each<R: PartialEq + Debug>(transition: impl Fn(&State) -> R, expected: impl Fn(&mut Parts) -> R) {
    for word in words() {
        let state = State(AtomicU32::new(word));
        let mut parts = Parts::of(&state);
        let before = parts;
        let (says, should_say) = (transition(&state), expected(&mut parts));
        assert_eq!((says, Parts::of(&state)), (should_say, parts), "from {before:?}");
    }
}

/// A transition that is made, and says so, if the word allows it.
fn each_if(transition: impl Fn(&State) -> bool, allows: impl Fn(Parts) -> bool, expected: impl Fn(&mut Parts)) {
    each(transition, |parts| {
        let allowed = allows(*parts);
        if allowed {
            expected(parts);
        }
        allowed
    });
}

#[test]
fn each_flag_is_a_bit_of_its_own() {
    let flags = [EXECUTOR, HANDLE, WAITERS, CANCEL_REQUESTED, HELD_BACK, DELAYED, SERIES, POLLED, EXPIRER, TAKEN];
    assert!(flags.iter().all(|flag| flag.count_ones() == 1 && flag & PHASE == 0));
    assert_eq!(flags.iter().fold(0, |all, flag| all | flag).count_ones() as usize, flags.len());
    assert!(PHASES.iter().all(|phase| phase & !PHASE == 0));
}

#[test]
fn what_a_task_begins_as() {
    let nothing = Parts::of(&State(AtomicU32::new(QUEUED)));
    let queued = Parts { executor: true, handle: true, ..nothing };
    let held_back = Parts { held_back: true, ..queued };
    assert_eq!(Parts::of(&State::queued()), queued);
    assert_eq!(Parts::of(&State::held_back()), held_back);
    assert_eq!(Parts::of(&State::delayed()), Parts { delayed: true, ..held_back });
    assert_eq!(Parts::of(&State::series()), Parts { series: true, ..held_back });
    assert_eq!(Parts::of(&State::polled()), Parts { polled: true, ..held_back });
    let finished = Parts { phase: FINISHED, handle: true, ..nothing };
    assert_eq!(Parts::of(&State::finished_without_executor()), finished);
}

#[test]
fn what_a_snapshot_says() {
    each(|state| state.load().is_queued(), |parts| parts.phase == QUEUED);
    each(|state| state.load().is_claimable(), |parts| parts.phase == QUEUED && !parts.held_back);
    each(|state| state.load().comes_by_time(), |parts| parts.phase == QUEUED && parts.delayed);
    each(|state| state.load().is_series(), |parts| parts.series);
    each(|state| state.load().comes_again(), |parts| parts.series || parts.polled);
    each(|state| state.load().is_terminal(), |parts| parts.is_terminal());
    each(|state| state.load().is_cancelled(), |parts| [CANCELLING, CANCELLED].contains(&parts.phase));
    each(|state| state.load().is_taken(), |parts| parts.taken);
    each(
        |state| state.load().public(),
        |parts| match parts.phase {
            QUEUED => TaskState::Queued,
            RUNNING | STARTED => TaskState::Running,
            FINISHED => TaskState::Finished,
            _ => TaskState::Cancelled,
        },
    );
}

#[test]
fn claims() {
    let is_queued = |parts: Parts| parts.phase == QUEUED;
    let is_open = |parts: Parts| [QUEUED, STARTED].contains(&parts.phase);
    each_if(State::claim_to_run, is_queued, |parts| parts.phase = RUNNING);
    each_if(State::claim_to_run_early, |parts| is_queued(parts) && !parts.held_back, |parts| parts.phase = RUNNING);
    each_if(State::claim_to_cancel, is_queued, |parts| parts.phase = CANCELLING);
    each_if(State::cancel_claimed, |parts| parts.phase == RUNNING, |parts| parts.phase = CANCELLING);
    each_if(State::claim_to_expire, is_queued, |parts| {
        parts.phase = CANCELLING;
        parts.expirer = true;
    });
    each_if(State::start, is_open, |parts| parts.phase = STARTED);
    each_if(State::claim_to_fulfil, is_open, |parts| parts.phase = RUNNING);
    each_if(State::claim_to_fulfil_as_cancelled, is_open, |parts| parts.phase = CANCELLING);
}

#[test]
fn ends() {
    #[derive(Debug, PartialEq, Eq)]
    enum Left {
        Released,
        Orphan,
        Kept,
        HasWaiters,
    }
    for (release, force) in [(false, false), (false, true), (true, false), (true, true)] {
        each(
            |state| match state.publish(release, force) {
                Published::Released => Left::Released,
                Published::Orphan => Left::Orphan,
                Published::Kept => Left::Kept,
                Published::HasWaiters => Left::HasWaiters,
            },
            |parts| {
                if parts.waiters && !force {
                    return Left::HasWaiters;
                }
                parts.phase = if parts.phase == RUNNING { FINISHED } else { CANCELLED };
                parts.executor &= !release;
                match (release, parts.handle) {
                    (false, _) => Left::Kept,
                    (true, false) => Left::Orphan,
                    (true, true) => Left::Released,
                }
            },
        );
    }
    each(State::rearm, |parts| {
        parts.phase = if parts.cancel_requested { CANCELLING } else { QUEUED };
        !parts.cancel_requested
    });
}

#[test]
fn references() {
    each(State::release_executor, |parts| {
        parts.executor = false;
        !parts.handle && !parts.expirer
    });
    each(State::release_expirer, |parts| {
        parts.expirer = false;
        !parts.handle && !parts.executor
    });
    each_if(State::detach, |parts| !parts.is_terminal(), |parts| parts.handle = false);
    each_if(State::take_orphan, |parts| !parts.handle && !parts.taken, |parts| parts.taken = true);
    let has_output = |parts: Parts| parts.handle && !parts.taken;
    each(
        |state| has_output(Parts::of(state)) && state.release_handle_taken(),
        |parts| {
            let releases = has_output(*parts);
            if releases {
                (parts.handle, parts.taken) = (false, true);
            }
            releases && !parts.executor && !parts.expirer
        },
    );
}

#[test]
fn notes() {
    each(State::let_go, |parts| parts.held_back = false);
    each(
        |state| state.announce_waiter().0,
        |parts| {
            let before = [
                (parts.executor, EXECUTOR),
                (parts.handle, HANDLE),
                (parts.waiters, WAITERS),
                (parts.cancel_requested, CANCEL_REQUESTED),
                (parts.held_back, HELD_BACK),
                (parts.delayed, DELAYED),
                (parts.series, SERIES),
                (parts.polled, POLLED),
                (parts.expirer, EXPIRER),
                (parts.taken, TAKEN),
            ];
            parts.waiters = true;
            before.iter().filter(|(has, _)| *has).fold(parts.phase, |word, (_, flag)| word | flag)
        },
    );
    each(State::request_cancel, |parts| {
        parts.cancel_requested = true;
        !parts.is_terminal()
    });
    each(State::cancel_requested, |parts| parts.cancel_requested);
    each(State::leave_share, |_| ());
}
