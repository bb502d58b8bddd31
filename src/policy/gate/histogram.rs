//! How long things took: counts by powers of two.

use std::fmt;
use std::time::Duration;

const BUCKETS: usize = 40;

/// Counts of durations: one bucket for each power of two of nanoseconds, the last for everything from 2^38 ns, some four and a half minutes, up.
///
/// ```
/// # use std::time::Duration;
/// let pool = lockgrain::ThreadPool::builder().policy::<lockgrain::GlobalLock>().build()?;
/// pool.lock(|_| std::thread::sleep(Duration::from_millis(2)));
/// let holds = pool.metrics().lock_hold_times;
/// assert_eq!(holds.count(), 1);
/// assert!(holds.quantile(0.99).unwrap() >= Duration::from_millis(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Histogram([u64; BUCKETS]);

impl Histogram {
    /// Counts one more.
    pub fn record(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bits = (u64::BITS - nanos.leading_zeros()) as usize;
        self.0[bits.min(BUCKETS - 1)] += 1;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// What that share of them, from 0 to 1, were shorter than: the upper end of the bucket, so up to twice as long as they were.
    /// [`Duration::MAX`] for the last bucket, and none if there are none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = (self.count() as f64 * share.clamp(0., 1.)).ceil().max(1.) as u64;
        let mut seen = 0;
        self.buckets().find_map(|(end, count)| {
            seen += count;
            (seen >= wanted).then_some(end)
        })
    }

    /// The buckets with something in them: what all in it were shorter than, and how many there are. The shortest first.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let end = |at| if at == BUCKETS - 1 { Duration::MAX } else { Duration::from_nanos(1_u64 << at) };
        self.0.iter().enumerate().filter(|(_, count)| **count > 0).map(move |(at, count)| (end(at), *count))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.buckets()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_below_the_end_of_its_bucket() {
        for nanos in [0, 1, 2, 3, 1_000, 1_023, 1_024, 123_456_789, u64::MAX] {
            let mut histogram = Histogram::default();
            histogram.record(Duration::from_nanos(nanos));
            let [(end, count)] = histogram.buckets().collect::<Vec<_>>()[..] else { panic!("one bucket") };
            assert_eq!(count, 1);
            assert!(end > Duration::from_nanos(nanos), "{nanos} ns is in the bucket up to {end:?}");
            assert!(end == Duration::MAX || end <= Duration::from_nanos(2 * nanos.max(1)));
        }
    }

    #[test]
    fn quantiles_are_ends_of_buckets() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        (0..90).for_each(|_| histogram.record(Duration::from_nanos(100)));
        (0..10).for_each(|_| histogram.record(Duration::from_micros(100)));
        let quantile = |share| histogram.quantile(share).unwrap();
        assert_eq!(quantile(0.), Duration::from_nanos(128));
        assert_eq!(quantile(0.9), Duration::from_nanos(128));
        assert_eq!(quantile(0.91), Duration::from_nanos(1 << 17));
        assert_eq!(quantile(1.), Duration::from_nanos(1 << 17));
        assert_eq!(format!("{histogram:?}"), "{128ns: 90, 131.072µs: 10}");
    }
}
