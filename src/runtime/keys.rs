//! The keys that tasks name at the moment: a table from keys to what tasks stand in line for.

use std::hash::{BuildHasher, Hash, RandomState};
use std::mem::ManuallyDrop;
use std::ptr;

use crossbeam_utils::CachePadded;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Place;

use super::Core;
use super::request::{Lockable, Want};
use crate::policy::LockPolicy;
use crate::policy::value_lock::{Access, ValueLock};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, MODEL, Mutex, mutant};
use crate::task::{drop_quietly, quietly};

/// Parts of a table, each behind its own mutex, which is held for one look-up. A power of two.
const PARTS: u64 = if MODEL { 1 } else { 64 };
/// A part with room for more than this gives it back when its last key goes.
const KEEPS: usize = 64;

type Part<K, P> = CachePadded<Mutex<HashTable<Arc<Entry<K, P>>>>>;

/// The keys in use. An entry is made by the first task that names its key, and goes with the last.
pub(crate) struct Keys<K, P: LockPolicy> {
    core: Arc<Core<P>>,
    hasher: RandomState,
    parts: Box<[Part<K, P>]>,
}

/// One key that tasks name.
struct Entry<K, P: LockPolicy> {
    key: ManuallyDrop<K>,
    hash: u64,
    lock: P::Lock,
    /// The tasks that name it. Comes from nothing and goes to nothing under the mutex of its part only.
    tasks: AtomicU64,
    table: Arc<Keys<K, P>>,
}

impl<K, P> Keys<K, P>
where
    K: Hash + Eq + Send + Sync + 'static,
    P: LockPolicy,
{
    pub(crate) fn new(core: Arc<Core<P>>) -> Arc<Self> {
        let parts = (0..PARTS).map(|_| Part::default()).collect();
        Arc::new(Self { core, hasher: RandomState::new(), parts })
    }

    /// The wish of one task to have the key.
    pub(crate) fn want(self: &Arc<Self>, key: K, access: Access) -> Want<P> {
        let hash = self.hasher.hash_one(&key);
        let mut part = self.part(hash).lock();
        let (entry, unused) =
            match part.entry(hash, |entry| entry.hash == hash && *entry.key == key, |entry| entry.hash) {
                Place::Occupied(place) => {
                    let entry = place.get().clone();
                    // Relaxed: the mutex orders it against the end of the last task.
                    entry.tasks.fetch_add(1, Ordering::Relaxed);
                    (entry, Some(key))
                }
                Place::Vacant(place) => {
                    let (key, lock, tasks) = (ManuallyDrop::new(key), P::Lock::new(), AtomicU64::new(1));
                    let entry = Arc::new(Entry { key, hash, lock, tasks, table: self.clone() });
                    place.insert(entry.clone());
                    (entry, None)
                }
            };
        drop(part);
        // A user's destructor: not under the mutex.
        drop_quietly(unused);
        Want::new(entry, access)
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().len()).sum()
    }
}

impl<K, P: LockPolicy> Keys<K, P> {
    fn part(&self, hash: u64) -> &Part<K, P> {
        // Not the bits that the part itself looks at: its places by the lowest, its tags by the highest seven.
        &self.parts[(hash >> 40 & (PARTS - 1)) as usize]
    }
}

impl<K, P: LockPolicy> Drop for Entry<K, P> {
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        quietly(|| unsafe { ManuallyDrop::drop(&mut self.key) });
    }
}

impl<K, P> Lockable<P> for Entry<K, P>
where
    K: Send + Sync,
    P: LockPolicy,
{
    fn lock(&self) -> &P::Lock {
        &self.lock
    }

    fn core(&self) -> &Arc<Core<P>> {
        &self.table.core
    }

    fn release(&self) {
        let one_less = |tasks| (tasks > 1).then(|| tasks - 1);
        if self.tasks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            return;
        }
        // Perhaps the last: no task can come to this entry while the part is locked.
        let mut part = self.table.part(self.hash).lock();
        let last = self.tasks.fetch_sub(1, Ordering::Relaxed) == 1 || mutant("keys_remove_used");
        let entry = last.then(|| part.find_entry(self.hash, |entry| ptr::eq(&**entry, self)).ok()).flatten();
        let entry = entry.map(|place| place.remove().0);
        let room = (part.is_empty() && part.capacity() > KEEPS).then(|| std::mem::take(&mut *part));
        drop(part);
        drop((entry, room));
    }
}
