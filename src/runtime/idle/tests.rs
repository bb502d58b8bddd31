//! What a submission calls for; and each transition from each small word there can be, beside what it should do to the word's parts.

use std::fmt::Debug;

use super::*;

/// `workers` of them, all asleep.
fn asleep(workers: usize) -> Idle {
    let idle = Idle::new(workers, workers);
    for index in 0..workers {
        assert!(idle.prestart(workers));
        idle.sleep(index, true);
    }
    idle
}

#[test]
fn a_submission_wakes_one_worker_and_none_while_one_searches() {
    let idle = asleep(8);
    assert!(matches!(idle.notify(false), Notify::Wake(7)));
    for _ in 0..100 {
        assert!(matches!(idle.notify(false), Notify::Enough), "the woken one searches");
    }
    // It has found a task, and there is another one.
    assert!(idle.stop_searching());
    assert!(matches!(idle.notify(true), Notify::Wake(6)));
    assert!(matches!(idle.notify(false), Notify::Enough));
}

#[test]
fn nobody_is_woken_while_as_many_are_active_as_may_be() {
    let idle = asleep(2);
    for index in [1, 0] {
        assert!(matches!(idle.notify(false), Notify::Wake(woken) if woken == index));
        assert!(idle.stop_searching());
    }
    assert!(matches!(idle.notify(false), Notify::Enough));
    // A spare one may take the place of one that blocks, but there is none.
    idle.block();
    assert!(matches!(idle.notify(false), Notify::Enough));
    idle.block();
    assert!(matches!(idle.notify(false), Notify::Stuck));
    assert_eq!(idle.load().threads(), 2);
}

const TARGET: usize = 2;
const MAX: usize = 3;

/// The parts of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    active: usize,
    searching: usize,
    sleeping: usize,
    threads: usize,
    draining: bool,
    stopped: bool,
    held_open: bool,
    timer: bool,
}

impl Parts {
    fn of(word: Word) -> Self {
        Self {
            active: word.active(),
            searching: word.searching(),
            sleeping: word.sleeping(),
            threads: word.threads(),
            draining: word.0 & DRAINING != 0,
            stopped: word.0 & STOPPED != 0,
            held_open: word.0 & HELD_OPEN != 0,
            timer: word.0 & TIMER != 0,
        }
    }

    fn refuses(self) -> bool {
        self.draining || self.stopped
    }

    fn start(&mut self) {
        self.active += 1;
        self.searching += 1;
        self.threads += 1;
    }

    fn rouse(&mut self, sleepers: usize) {
        self.active += sleepers;
        self.searching += sleepers;
        self.sleeping -= sleepers;
    }

    fn stop_if_empty(&mut self, is_through: bool) -> &'static str {
        if self.threads > 0 || !self.refuses() || self.stopped {
            "not yet"
        } else if self.held_open {
            "held"
        } else if is_through {
            self.stopped = true;
            "done"
        } else {
            "wanted"
        }
    }

    fn notify(&mut self, limit: usize) -> (&'static str, usize) {
        if self.stopped {
            ("stopped", 0)
        } else if self.searching > 0 || self.active >= limit {
            ("enough", 0)
        } else if self.sleeping > 0 {
            let woken = self.sleeping - 1;
            self.rouse(1);
            ("wake", woken)
        } else if self.threads < MAX {
            self.start();
            ("start", 0)
        } else {
            (if self.active == 0 { "stuck" } else { "enough" }, 0)
        }
    }
}

fn told(stop: Stop) -> &'static str {
    match stop {
        Stop::Done => "done",
        Stop::NotYet => "not yet",
        Stop::Held => "held",
        Stop::Wanted => "wanted",
    }
}

fn words() -> impl Iterator<Item = u64> {
    (0..1 << 12).map(|number: u64| {
        let count = |at: u32| number >> (2 * at) & 3;
        let flag = |at: u32, flag: u64| if number >> (8 + at) & 1 == 1 { flag } else { 0 };
        let counts = ACTIVE * count(0) + SEARCHING * count(1) + SLEEPING * count(2) + THREADS * count(3);
        counts | flag(0, DRAINING) | flag(1, STOPPED) | flag(2, HELD_OPEN) | flag(3, TIMER)
    })
}

/// Looks at what `transition` makes of each word from which it `comes`, with as many sleepers on the list as the word says.
fn each<R: PartialEq + Debug>(
    comes: impl Fn(Parts) -> bool,
    transition: impl Fn(&Idle) -> R,
    expected: impl Fn(&mut Parts) -> R,
) {
    for word in words() {
        let idle = Idle::new(TARGET, MAX);
        idle.word.store(word, Relaxed);
        let mut parts = Parts::of(Word(word));
        *idle.sleepers.lock() = (0..parts.sleeping).collect();
        let before = parts;
        if comes(parts) {
            let (says, should_say) = (transition(&idle), expected(&mut parts));
            assert_eq!((says, Parts::of(idle.load())), (should_say, parts), "from {before:?}");
            assert_eq!(idle.sleepers.lock().len(), parts.sleeping, "from {before:?}");
        }
    }
}

fn always(_: Parts) -> bool {
    true
}

#[test]
fn counts_keep_to_themselves() {
    let all = MAX_THREADS as u64 + 1;
    for (unit, field) in [
        (ACTIVE, Word::active as fn(Word) -> usize),
        (SEARCHING, Word::searching),
        (SLEEPING, Word::sleeping),
        (THREADS, Word::threads),
    ] {
        assert_eq!(field(Word(unit * all)), MAX_THREADS + 1);
        assert_eq!(field(Word(!(unit * all))), 0);
    }
    assert!([DRAINING, STOPPED, HELD_OPEN, TIMER].iter().all(|flag| flag.count_ones() == 1 && *flag > THREADS * all));
    each(always, |idle| idle.load().draining(), |parts| parts.refuses());
    each(always, |idle| idle.load().stopped(), |parts| parts.stopped);
    each(always, |idle| idle.load().held_open(), |parts| parts.held_open);
    each(always, |idle| idle.load().has_timer(), |parts| parts.timer);
    each(always, Idle::is_surplus, |parts| parts.active > TARGET);
    each(
        always,
        |idle| {
            idle.set_target(MAX);
            // Nobody could take the place of another.
            (idle.is_surplus(), idle.max_threads())
        },
        |_| (false, MAX),
    );
    for others in 0..3 {
        each(always, |idle| idle.are_asleep_but(others, || true), |parts| parts.threads == parts.sleeping + others);
        each(always, |idle| idle.are_asleep_but(others, || false), |_| false);
    }
}

#[test]
fn threads_come() {
    for wanted in 0..=MAX + 1 {
        each(
            always,
            |idle| idle.prestart(wanted),
            |parts| {
                let fits = parts.threads < wanted.min(MAX) && !parts.refuses();
                if fits {
                    parts.start();
                }
                fits
            },
        );
    }
    each(
        always,
        |idle| match idle.admit() {
            Admitted::Yes => "yes",
            Admitted::Full => "full",
            Admitted::Stopped => "stopped",
        },
        |parts| {
            if parts.stopped {
                "stopped"
            } else if parts.threads == MAX {
                "full"
            } else {
                parts.start();
                "yes"
            }
        },
    );
    each(
        |parts| parts.active > 0 && parts.searching > 0 && parts.threads > 0,
        Idle::start_failed,
        |parts| {
            parts.active -= 1;
            parts.searching -= 1;
            parts.threads -= 1;
            parts.threads == 0
        },
    );
}

#[test]
fn threads_leave() {
    let runs = |parts: Parts| parts.active > 0 && parts.threads > 0;
    each(runs, Idle::leave, |parts| {
        parts.active -= 1;
        parts.threads -= 1;
    });
    each(|parts| parts.held_open, Idle::let_close, |parts| parts.held_open = false);
    for through in [false, true] {
        each(always, |idle| told(idle.stop_if_empty(|| through)), |parts| parts.stop_if_empty(through));
    }
}

#[test]
fn threads_search_sleep_and_block() {
    each(always, Idle::start_searching, |parts| {
        let may = parts.searching < 2;
        parts.searching += usize::from(may);
        may
    });
    each(
        |parts| parts.searching > 0,
        Idle::stop_searching,
        |parts| {
            parts.searching -= 1;
            parts.searching == 0
        },
    );
    each(|parts| parts.active > 0, Idle::block, |parts| parts.active -= 1);
    each(always, Idle::unblock, |parts| parts.active += 1);
    for searching in [false, true] {
        each(
            |parts| parts.active > 0 && parts.searching > 0,
            |idle| Parts::of(idle.sleep(7, searching)),
            |parts| {
                let before = *parts;
                parts.searching -= usize::from(searching);
                if !parts.refuses() {
                    parts.active -= 1;
                    parts.sleeping += 1;
                }
                before
            },
        );
    }
    each(
        always,
        |idle| idle.leave_sleepers(1),
        |parts| {
            let sleeps = parts.sleeping > 1;
            parts.active += usize::from(sleeps);
            parts.sleeping -= usize::from(sleeps);
            sleeps
        },
    );
    each(
        always,
        |idle| idle.wake(1),
        |parts| {
            let sleeps = parts.sleeping > 1;
            parts.rouse(usize::from(sleeps));
            sleeps
        },
    );
}

#[test]
fn all_are_roused() {
    let all = |parts: &mut Parts| {
        let sleepers = (0..parts.sleeping).collect::<Vec<_>>();
        parts.rouse(sleepers.len());
        sleepers
    };
    each(always, Idle::rouse, all);
    each(
        always,
        |idle| (idle.is_draining(), idle.drain(), idle.is_draining()),
        |parts| {
            let begins = !parts.refuses();
            parts.draining = true;
            (false, begins.then(|| all(parts)), true)
        },
    );
}

#[test]
fn the_timer_holds_it_open() {
    for while_draining in [false, true] {
        each(
            always,
            |idle| idle.hold_open(while_draining),
            |parts| {
                let opens = !parts.stopped && (while_draining || !parts.draining);
                parts.held_open |= opens;
                parts.timer |= opens;
                opens
            },
        );
    }
    each(always, Idle::note_timer, |parts| {
        let notes = !parts.refuses();
        parts.timer |= notes;
        notes
    });
}

#[test]
fn notifications() {
    let called_for = |notify: Notify| match notify {
        Notify::Enough => ("enough", 0),
        Notify::Wake(index) => ("wake", index),
        Notify::Start => ("start", 0),
        Notify::Stuck => ("stuck", 0),
        Notify::Stopped => ("stopped", 0),
    };
    for limit in 0..=MAX + 1 {
        each(always, |idle| called_for(idle.notify_extra(limit)), |parts| parts.notify(limit));
    }
    let with_target = |parts: &mut Parts, target| match parts.searching > 0 || parts.active >= target {
        true => ("enough", 0),
        false => parts.notify(target),
    };
    let expected = |parts: &mut Parts| with_target(parts, TARGET);
    for by_worker in [false, true] {
        each(always, |idle| called_for(idle.notify(by_worker)), expected);
    }
    each(always, |idle| called_for(idle.notify_soon()), expected);
    each(
        always,
        |idle| {
            idle.set_target(1);
            called_for(idle.notify(false))
        },
        |parts| with_target(parts, 1),
    );
}

#[test]
fn halves_are_wanted() {
    let workless = |parts: &Parts| TARGET.saturating_sub(parts.active) + parts.searching;
    for wanted in 0..4 {
        let with = |idle: &Idle, then: &dyn Fn(&Idle) -> usize| {
            idle.wanted.store(wanted, Relaxed);
            let says = then(idle);
            (says, idle.wanted().load(Relaxed))
        };
        let cries = |idle: &Idle| {
            idle.want();
            0
        };
        each(always, |idle| with(idle, &cries), |parts| (0, if wanted == 0 { workless(parts) } else { wanted }));
        let cries_for_one = |idle: &Idle| {
            idle.want_one();
            0
        };
        each(always, |idle| with(idle, &cries_for_one), |_| (0, wanted.max(1)));
        each(always, |idle| with(idle, &Idle::take_wanted), |parts| (wanted.min(workless(parts)), 0));
        for left in 0..2 {
            let leaves = |idle: &Idle| {
                idle.still_wanted(left);
                0
            };
            each(always, |idle| with(idle, &leaves), |_| (0, if left > 0 { left } else { wanted }));
        }
    }
}
