//! The keys that tasks name at the moment: a table from keys to what tasks stand in line for.

use std::mem::needs_drop;
use std::ptr::NonNull;

use crossbeam_utils::CachePadded;
use hashbrown::HashTable;

use super::Core;
use super::request::Lender;
use super::wants::{Line, Lockable, References, Want};
use crate::policy::LockPolicy;
use crate::policy::value_lock::{Access, ValueLock};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, MODEL, Mutex, MutexGuard, mutant};
use crate::task::{drop_quietly, memory};

/// Parts of a table, each behind its own mutex, which is held for one look-up, or until a task with a single key stands in line. A power of two.
const PARTS: u64 = if MODEL { 1 } else { 64 };
/// A part with room for more than this gives it back when its last key goes.
const KEEPS: usize = 64;

type Part<K, P> = CachePadded<Mutex<Table<K, P>>>;

/// Part of the table.
struct Table<K, P: LockPolicy> {
    /// Each in a block of its own.
    entries: HashTable<NonNull<Entry<K, P>>>,
    /// What keeps the whole table as long as there are entries: from the first of them until none is left after `close`.
    anchor: Option<Arc<Keys<K, P>>>,
    closed: bool,
}

/// The keys in use. An entry is made by the first task that names its key, and goes with the last.
pub(crate) struct Keys<K, P: LockPolicy> {
    core: Arc<Core<P>>,
    /// Where tasks stand that run alone, and those that come while there are such.
    all: P::Lock,
    /// The tasks that are to run alone and have not ended.
    alone: AtomicU64,
    parts: Box<[Part<K, P>]>,
}

/// One key that tasks name.
struct Entry<K, P: LockPolicy> {
    key: K,
    hash: u64,
    lock: P::Lock,
    /// References: of its line, if somebody is in it, and of those who submit. Comes from nothing and goes to nothing under the mutex of its
    /// part only.
    references: AtomicU64,
    /// Kept by the part's anchor.
    table: NonNull<Keys<K, P>>,
}

// SAFETY: `table` is that of a `Keys`, which is used from all threads.
unsafe impl<K: Send + Sync, P: LockPolicy> Send for Entry<K, P> {}
// SAFETY: as above.
unsafe impl<K: Send + Sync, P: LockPolicy> Sync for Entry<K, P> {}

impl<K, P> Keys<K, P>
where
    K: Eq + Send + Sync + 'static,
    P: LockPolicy,
{
    pub(crate) fn new(core: Arc<Core<P>>) -> Arc<Self> {
        let parts = (0..PARTS).map(|_| Part::default()).collect();
        Arc::new(Self { core, all: P::Lock::new(), alone: AtomicU64::new(0), parts })
    }

    /// The key's entry, made if there is none. The hash is always the same for equal keys.
    #[inline]
    pub(crate) fn hold(self: &Arc<Self>, key: K, hash: u64) -> Held<'_, K, P> {
        let mut part = self.part(hash).lock();
        // SAFETY: as long as they are in the table.
        let at = |entry: &NonNull<Entry<K, P>>| unsafe { entry.as_ref() }.hash;
        // SAFETY: as above.
        let is = |entry: &NonNull<Entry<K, P>>| at(entry) == hash && unsafe { entry.as_ref() }.key == key;
        let found = part.entries.find(hash, is).copied();
        let (entry, made, unused) = match found {
            Some(entry) => (entry, None, Some(key)),
            None => {
                let (lock, references) = (P::Lock::new(), AtomicU64::new(1));
                let table = NonNull::from(&**part.anchor.get_or_insert_with(|| self.clone()));
                let entry = memory::allocate(Entry { key, hash, lock, references, table });
                part.entries.insert_unique(hash, entry, at);
                (entry, Some(Named(entry)), None)
            }
        };
        // Acquire pairs with the release in `Alone`.
        let crowded = self.alone.load(Ordering::Acquire) > 0 && !mutant("keys_ignore_who_is_alone");
        Held { entry, crowded, part: Some(part), made, _unused: Quietly(unused) }
    }

    /// References to all keys in use, for a task that is to run alone: while it has these and [`all`](Self::all), no task of the table
    /// runs. A task that is not among those that it finds here sees that there is one, and stands in line for all, too.
    pub(crate) fn name_all(self: &Arc<Self>) -> (Alone<K, P>, Vec<Named<K, P>>) {
        // Relaxed: the parts' mutexes order it: of a task's look and the walk here, the later one sees the other.
        self.alone.fetch_add(1, Ordering::Relaxed);
        let alone = Alone(self.clone());
        let mut names = Vec::new();
        for part in &self.parts {
            let part = part.lock();
            names.extend(part.entries.iter().map(|entry| Named::again(*entry)));
        }
        (alone, names)
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().entries.len()).sum()
    }
}

impl<K: Send + Sync + 'static, P: LockPolicy> Keys<K, P> {
    /// The wish to run alone, or not while another does.
    pub(crate) fn all(self: &Arc<Self>, access: Access) -> Want<P> {
        Want::of_arc(self, access).implied()
    }
}

impl<K, P: LockPolicy> Keys<K, P> {
    /// Nobody will name a key any more.
    pub(crate) fn close(&self) {
        for part in &self.parts {
            let mut part = part.lock();
            part.closed = true;
            let empty = part.entries.is_empty();
            let anchor = part.anchor.take_if(|_| empty);
            drop(part);
            // Not the last: the caller has one.
            drop(anchor);
        }
    }

    fn part(&self, hash: u64) -> &Part<K, P> {
        // Not the bits that the part itself looks at: its places by the lowest, its tags by the highest seven.
        &self.parts[(hash >> 40 & (PARTS - 1)) as usize]
    }
}

/// The entry of a key, whose part of the table is locked, for one who submits a task that names it: if the task gets into line meanwhile, no reference is
/// counted for the submitter. No code of the user's may run meanwhile.
pub(crate) struct Held<'k, K: Send + Sync + 'static, P: LockPolicy> {
    entry: NonNull<Entry<K, P>>,
    crowded: bool,
    // From here on in the order in which they go. The part is locked until the task stands in line.
    part: Option<MutexGuard<'k, Table<K, P>>>,
    /// The first reference, if the entry has been made for this.
    made: Option<Named<K, P>>,
    /// Its end is code of the user's: not under the mutex, nor while others wait for a task that is not queued yet.
    _unused: Quietly<K>,
}

/// A key of the user's.
struct Quietly<K>(Option<K>);

impl<K> Drop for Quietly<K> {
    #[inline]
    fn drop(&mut self) {
        drop_quietly(self.0.take());
    }
}

impl<K: Send + Sync, P: LockPolicy> Held<'_, K, P> {
    /// Whether the task has to name all keys, too.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// The wish of the task that is being submitted.
    #[inline]
    pub(crate) fn want(&self, access: Access) -> Want<P> {
        Want::new(self.entry, access)
    }

    /// A reference, and the part is not locked any more.
    #[inline]
    pub(crate) fn named(mut self) -> Named<K, P> {
        self.reference()
    }

    #[inline]
    fn reference(&mut self) -> Named<K, P> {
        self.made.take().unwrap_or_else(|| Named::again(self.entry))
    }
}

/// A task's only key, if it is not the gate that covers it.
impl<K: Send + Sync, P: LockPolicy> Lender for Option<Held<'_, K, P>> {
    #[inline]
    fn let_in(&mut self, is_first: bool) -> bool {
        if let Some(held) = self {
            if is_first {
                std::mem::forget(held.reference());
            }
            held.part = None;
        }
        true
    }
}

/// A reference to the entry of a key.
pub(crate) struct Named<K: Send + Sync + 'static, P: LockPolicy>(NonNull<Entry<K, P>>);

impl<K: Send + Sync, P: LockPolicy> Named<K, P> {
    /// One more, under the mutex of the entry's part.
    fn again(entry: NonNull<Entry<K, P>>) -> Self {
        let named = Self(entry);
        // Relaxed: the mutex orders it against the end of the last reference.
        named.entry().references.fetch_add(1, Ordering::Relaxed);
        named
    }

    fn entry(&self) -> &Entry<K, P> {
        // SAFETY: this is a reference.
        unsafe { self.0.as_ref() }
    }

    /// The wish of the task that is being submitted.
    pub(crate) fn want(&self, access: Access) -> Want<P> {
        Want::new(self.0, access)
    }
}

impl<K: Send + Sync, P: LockPolicy> Drop for Named<K, P> {
    fn drop(&mut self) {
        // SAFETY: this one.
        unsafe { Entry::end(self.0) };
    }
}

impl<K: Send + Sync, P: LockPolicy> Entry<K, P> {
    /// One reference less. The last takes the entry out of the table.
    ///
    /// # Safety
    /// The reference is the caller's, and not used again.
    unsafe fn end(this: NonNull<Self>) {
        // SAFETY: the caller's reference.
        let entry = unsafe { this.as_ref() };
        let one_less = |references| (references > 1).then(|| references - 1);
        // Release and, below, acquire: whoever frees the entry comes after all who used it.
        if entry.references.fetch_update(Ordering::Release, Ordering::Relaxed, one_less).is_ok() {
            return;
        }
        let hash = entry.hash;
        // SAFETY: kept by the part's anchor, as this entry is in it.
        let table = unsafe { entry.table.as_ref() };
        // Perhaps the last: nobody can come to this entry while the part is locked.
        let mut part = table.part(hash).lock();
        let last = entry.references.fetch_sub(1, Ordering::AcqRel) == 1 || mutant("keys_remove_used");
        if !last {
            return;
        }
        let place = part.entries.find_entry(hash, |entry| *entry == this);
        drop(place.map(|place| place.remove()));
        let empty = part.entries.is_empty();
        let room = (empty && part.entries.capacity() > KEEPS).then(|| std::mem::take(&mut part.entries));
        let over = empty && part.closed;
        let anchor = part.anchor.take_if(|_| over);
        drop(part);
        // SAFETY: nobody has a reference to the entry, and nobody can find it any more.
        let entry = unsafe { this.read() };
        // SAFETY: from `allocate` in `name`, and moved out.
        unsafe { memory::release(this) };
        drop_quietly(entry);
        drop((room, anchor));
    }
}

/// What a task owns that is to run alone, until it has.
pub(crate) struct Alone<K, P: LockPolicy>(Arc<Keys<K, P>>);

impl<K, P: LockPolicy> Drop for Alone<K, P> {
    fn drop(&mut self) {
        // Release, and a task's look is under a mutex: whatever runs without standing in line for all comes after this task's code.
        self.0.alone.fetch_sub(1, Ordering::Release);
    }
}

/// All keys.
impl<K, P> Lockable<P> for Keys<K, P>
where
    K: Send + Sync,
    P: LockPolicy,
{
    fn line(&self) -> Line<'_, P> {
        Line::Value(&self.all)
    }

    fn core(&self) -> &Arc<Core<P>> {
        &self.core
    }

    fn references(&self) -> &'static References {
        // Made in an `Arc`, by `new`. No key is left when it goes.
        const { &References::of_arc::<Self>(false) }
    }
}

impl<K, P> Lockable<P> for Entry<K, P>
where
    K: Send + Sync,
    P: LockPolicy,
{
    fn line(&self) -> Line<'_, P> {
        Line::Value(&self.lock)
    }

    fn core(&self) -> &Arc<Core<P>> {
        // SAFETY: kept by the part's anchor, as this entry is in it.
        &unsafe { self.table.as_ref() }.core
    }

    fn references(&self) -> &'static References {
        /// # Safety
        /// There is a reference.
        unsafe fn is_last<K, P: LockPolicy>(this: NonNull<()>) -> bool {
            // SAFETY: the caller's promise.
            unsafe { this.cast::<Entry<K, P>>().as_ref() }.references.load(Ordering::Relaxed) == 1
        }
        const {
            &References {
                retain: |this| {
                    // SAFETY: there is a reference. Relaxed: whoever is in line has come by way of another one.
                    unsafe { this.cast::<Self>().as_ref() }.references.fetch_add(1, Ordering::Relaxed);
                },
                // SAFETY: the caller's promise.
                release: |this| unsafe { Self::end(this.cast()) },
                is_last: if needs_drop::<K>() { Some(is_last::<K, P>) } else { None },
            }
        }
    }
}

impl<K, P: LockPolicy> Default for Table<K, P> {
    fn default() -> Self {
        Self { entries: HashTable::new(), anchor: None, closed: false }
    }
}

// SAFETY: it stands for the entries, which are used from all threads.
unsafe impl<K: Send + Sync, P: LockPolicy> Send for Table<K, P> {}
