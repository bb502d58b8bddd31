//! How often a worker without work asks for halves of joins: for a while not at all if those that it got were not worth their way.

use std::cell::Cell;
use std::time::Duration;

use crate::sync::Instant;

/// A half that is run in less time is not worth its way: to who gives it away, and waits for it, it is half a microsecond at least.
const WORTH: Duration = Duration::from_micros(4);
/// How long the worker asks for none after the first such half; twice as long after each that follows, up to the most.
const LEAST: Duration = Duration::from_micros(4);
const MOST: Duration = Duration::from_micros(64);

/// One worker's memory of what it got. It looks at the clock when it gets something of another's and when it has nothing to do.
#[derive(Debug, Default)]
pub(super) struct Appetite {
    /// When it got what it runs now.
    got: Cell<Option<Instant>>,
    /// How long it rests after what is not worth it; nothing if the last one was.
    rest: Cell<Duration>,
    until: Cell<Option<Instant>>,
}

impl Appetite {
    /// The worker has got something of another's.
    pub(super) fn gets(&self) {
        self.got.set(Some(Instant::now()));
    }

    /// The worker has nothing to do.
    pub(super) fn is_through(&self) {
        if let Some(got) = self.got.take() {
            self.judge(got, Instant::now());
        }
    }

    fn judge(&self, got: Instant, now: Instant) {
        let is_worth = now.duration_since(got) >= WORTH;
        self.rest.set(if is_worth { Duration::ZERO } else { (2 * self.rest.get()).clamp(LEAST, MOST) });
        self.until.set((!is_worth).then(|| now + self.rest.get()));
    }

    /// Whether it asks for more before it has run what it has.
    pub(super) fn is_good(&self) -> bool {
        self.rest.get().is_zero()
    }

    /// Whether it asks.
    pub(super) fn is_there(&self) -> bool {
        let rests = self.until.get().is_some_and(|until| Instant::now() < until);
        if !rests {
            self.until.set(None);
        }
        !rests
    }
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_small_halves_and_comes_back_with_a_large_one() {
        let appetite = Appetite::default();
        assert!(appetite.is_good() && appetite.is_there());
        let now = Instant::now() + Duration::from_secs(3600);
        let rests: Vec<_> = (0..6)
            .map(|_| {
                appetite.judge(now - Duration::from_micros(3), now);
                assert!(!appetite.is_good() && !appetite.is_there());
                appetite.until.get().unwrap().duration_since(now).as_micros()
            })
            .collect();
        assert_eq!(rests, [4, 8, 16, 32, 64, 64]);
        appetite.until.set(Some(Instant::now()));
        assert!(appetite.is_there() && !appetite.is_good());
        appetite.judge(now - WORTH, now);
        assert!(appetite.is_good() && appetite.is_there());
    }

    #[test]
    fn it_does_not_judge_what_it_did_not_get() {
        let appetite = Appetite::default();
        appetite.is_through();
        assert!(appetite.is_good());
        appetite.gets();
        appetite.is_through();
        appetite.is_through();
        assert!(appetite.rest.get() <= LEAST);
    }
}
