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

/// Hands each kind of value on as what it is, so that the hash is that of `hash_one`.
macro_rules! forward {
    ($($write:ident $value:ty),+) => {
        impl Hasher for KeyHasher {
            $(#[inline]
            fn $write(&mut self, value: $value) {
                self.0.$write(value);
            })+

            #[inline]
            fn finish(&self) -> u64 {
                self.0.finish()
            }
        }
    };
}

forward!(write &[u8], write_u8 u8, write_u16 u16, write_u32 u32, write_u64 u64, write_u128 u128, write_usize usize);

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHasher").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_same_either_way() {
        fn by_hand(mut hasher: KeyHasher, value: &impl Hash) -> u64 {
            value.hash(&mut hasher);
            hasher.finish()
        }
        fn same(value: impl Hash) {
            let build = KeyHashBuilder::default();
            assert_eq!(build.hash_one(&value), by_hand(build.build_hasher(), &value));
        }
        same(7_u8);
        same(-7_i16);
        same((1_u32, 2_i64, 3_u128, 4_usize));
        same(("alice", vec![1_u16, 2], Some('x'), true));
    }
}
