//! How keys are hashed if nobody says otherwise.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};

type Inner = hashbrown::DefaultHashBuilder;

/// The hash of [`ThreadPool::keyed`](super::ThreadPool::keyed): a fast one, `foldhash`, with a seed for each table that is no secret. For keys that an adversary picks there is
/// [`ThreadPool::keyed_with_hasher`](super::ThreadPool::keyed_with_hasher).
#[derive(Clone, Default)]
pub struct KeyHashBuilder(Inner);

impl BuildHasher for KeyHashBuilder {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(self.0.build_hasher())
    }

    #[inline]
    fn hash_one<T: Hash>(&self, value: T) -> u64 {
        self.0.hash_one(value)
    }
}

impl fmt::Debug for KeyHashBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHashBuilder").finish_non_exhaustive()
    }
}

/// A hash in the making, of [`KeyHashBuilder`].
#[derive(Clone)]
pub struct KeyHasher(<Inner as BuildHasher>::Hasher);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHasher").finish_non_exhaustive()
    }
}
