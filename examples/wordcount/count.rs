//! Counting the words of one file, and adding up the counts of many.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;
use std::{fs, io, mem};

use lockgrain::{LockPolicy, ThreadPool};

/// How often a word occurs.
pub(crate) type Counts = HashMap<String, u64>;

/// Reads with the global lock let go, if there is one, and counts with it held.
pub(crate) fn file(path: &Path) -> io::Result<Counts> {
    let text = lockgrain::blocking(|| fs::read_to_string(path))?;
    let mut counts = Counts::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    Ok(counts)
}

/// The sum of all: each half by itself, at once.
pub(crate) fn merge<P: LockPolicy>(pool: &ThreadPool<P>, mut all: Vec<Counts>) -> Counts {
    if all.len() <= 1 {
        return all.pop().unwrap_or_default();
    }
    let half = all.split_off(all.len() / 2);
    let (left, right) = pool.join(|| merge(pool, all), || merge(pool, half));
    sum(left, right)
}

fn sum(mut into: Counts, mut from: Counts) -> Counts {
    if into.len() < from.len() {
        mem::swap(&mut into, &mut from);
    }
    for (word, count) in from {
        *into.entry(word).or_default() += count;
    }
    into
}

/// So many words, the most frequent first; of those that are equally frequent, in the order of the alphabet.
pub(crate) fn most_frequent(counts: &Counts, top: usize) -> Vec<(&str, u64)> {
    let mut words: Vec<_> = counts.iter().map(|(word, &count)| (word.as_str(), count)).collect();
    words.sort_unstable_by_key(|&(word, count)| (Reverse(count), word));
    words.truncate(top);
    words
}
