//! Memory for tasks: each is one allocation, and blocks of the usual sizes are kept for the next task.
//!
//! A task is most often made on one thread and freed on another, which is where a general allocator is slowest. So a freed
//! block goes to a list of its thread, whole lists go from thread to thread by way of a depot, and what the depot does not
//! hold goes back to the allocator. After J. Bonwick, J. Adams, "Magazines and Vmem", USENIX 2001. The figures are in
//! `docs/performance.md`.
//!
//! Not in a model build: blocks are plain allocations there, as a checker has its own allocator or none.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Moves `value` to a block of its own.
#[inline]
pub(crate) fn allocate<T>(value: T) -> NonNull<T> {
    let block = take(const { Block::of::<T>() }).cast::<T>();
    // SAFETY: a block for a `T`, which nobody else has.
    unsafe { block.write(value) };
    block
}

/// Gives the memory back; what was in it has been moved out or dropped.
///
/// # Safety
/// `block` came from [`allocate`] with the same `T`, and nobody uses it any more.
#[inline]
pub(crate) unsafe fn release<T>(block: NonNull<T>) {
    // SAFETY: the caller's promise.
    unsafe { give_back(const { Block::of::<T>() }, block.cast()) };
}

#[inline]
fn take(of: Block) -> NonNull<u8> {
    magazine::take(of).unwrap_or_else(|| {
        // SAFETY: no task is of size zero: each has a header.
        NonNull::new(unsafe { alloc(of.0) }).unwrap_or_else(|| handle_alloc_error(of.0))
    })
}

/// As [`release`], by one who knows no more of its type than this.
///
/// # Safety
/// `block` came from [`allocate`] with a type of which `of` is, and nobody uses it any more.
#[inline]
pub(super) unsafe fn give_back(of: Block, block: NonNull<u8>) {
    if let Some(block) = magazine::give(of, block) {
        // SAFETY: the caller's promise; blocks of one layout are alike, whoever allocated them.
        unsafe { dealloc(block.as_ptr(), of.0) };
    }
}

/// What kind of block a type needs. Small sizes are rounded up to a size class, one for each size of glibc's chunks, so that rounding wastes nothing there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block(Layout);

impl Block {
    pub(super) const fn of<T>() -> Self {
        const { assert!(size_of::<T>() > 0) };
        let exact = Layout::new::<T>();
        if exact.align() > ALIGN || exact.size() > LARGEST {
            return Self(exact);
        }
        match Layout::from_size_align(class(exact.size()) * STEP + ALIGN, ALIGN) {
            Ok(layout) => Self(layout),
            Err(_) => Self(exact),
        }
    }
}

const ALIGN: usize = 8;
const STEP: usize = 16;
const CLASSES: usize = 16;
const LARGEST: usize = (CLASSES - 1) * STEP + ALIGN;

/// Of a size up to `LARGEST`: class `n` has blocks of `16 n + 8` bytes.
const fn class(size: usize) -> usize {
    size.saturating_sub(ALIGN).div_ceil(STEP)
}

#[cfg(not(any(lockgrain_loom, lockgrain_shuttle)))]
mod magazine {
    use std::alloc::{Layout, dealloc};
    use std::cell::Cell;
    use std::ptr::NonNull;

    use super::{ALIGN, Block, CLASSES, LARGEST, STEP, class};
    use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use crate::sync::{TryMutex, local};

    /// Blocks that change threads at once.
    const ROUNDS: u32 = 64;
    /// Bytes that the depot keeps, of all classes: the memory of some 100,000 small tasks.
    const KEPT: usize = 8 << 20;

    /// Free blocks of one class, chained through their first words.
    struct Magazine {
        first: Cell<Option<NonNull<Free>>>,
        rounds: Cell<u32>,
    }

    struct Free {
        next: Option<NonNull<Free>>,
    }

    // SAFETY: it owns its blocks, which are memory and nothing else.
    unsafe impl Send for Magazine {}

    impl Magazine {
        const fn new() -> Self {
            Self { first: Cell::new(None), rounds: Cell::new(0) }
        }

        #[inline]
        fn pop(&self) -> Option<NonNull<u8>> {
            let first = self.first.get()?;
            // SAFETY: a block in the chain is this magazine's, and holds a `Free`.
            self.first.set(unsafe { first.read() }.next);
            self.rounds.set(self.rounds.get() - 1);
            Some(first.cast())
        }

        #[inline]
        fn push(&self, block: NonNull<u8>) {
            let block = block.cast::<Free>();
            // SAFETY: the block is the magazine's now; every class has room and alignment for a pointer.
            unsafe { block.write(Free { next: self.first.get() }) };
            self.first.set(Some(block));
            self.rounds.set(self.rounds.get() + 1);
        }

        /// All its blocks.
        fn take_all(&self) -> Self {
            Self { first: Cell::new(self.first.take()), rounds: Cell::new(self.rounds.take()) }
        }

        /// Takes the place of no blocks.
        fn refill(&self, other: Self) {
            debug_assert!(self.first.get().is_none());
            self.first.set(other.first.get());
            self.rounds.set(other.rounds.get());
        }

        fn is_empty(&self) -> bool {
            self.first.get().is_none()
        }

        fn empty(self, class: usize) {
            let layout = Layout::from_size_align(class * STEP + ALIGN, ALIGN).expect("a small size");
            while let Some(block) = self.pop() {
                // SAFETY: every block of a class was allocated with this layout.
                unsafe { dealloc(block.as_ptr(), layout) };
            }
        }
    }

    /// Magazines for whichever thread needs them, a list a class. Nobody waits for it: who finds it busy does without.
    static DEPOT: [TryMutex<Vec<Magazine>>; CLASSES] = [const { TryMutex::new(Vec::new()) }; CLASSES];
    static KEPT_NOW: AtomicUsize = AtomicUsize::new(0);

    fn bytes(class: usize, magazine: &Magazine) -> usize {
        magazine.rounds.get() as usize * (class * STEP + ALIGN)
    }

    fn deposit(class: usize, magazine: Magazine) {
        let bytes = bytes(class, &magazine);
        if KEPT_NOW.load(Relaxed) + bytes <= KEPT
            && let Some(mut depot) = DEPOT[class].try_lock()
        {
            KEPT_NOW.fetch_add(bytes, Relaxed);
            depot.push(magazine);
        } else {
            magazine.empty(class);
        }
    }

    fn withdraw(class: usize) -> Option<Magazine> {
        let magazine = DEPOT[class].try_lock()?.pop()?;
        KEPT_NOW.fetch_sub(bytes(class, &magazine), Relaxed);
        Some(magazine)
    }

    /// A thread's blocks of one class. Two magazines, so that a thread at a magazine's edge need not go to the depot each time.
    struct Pair {
        loaded: Magazine,
        /// Empty or full.
        spare: Magazine,
    }

    struct Local([Pair; CLASSES]);

    local! {
        static LOCAL: Local = Local([const { Pair { loaded: Magazine::new(), spare: Magazine::new() } }; CLASSES]);
    }

    impl Pair {
        #[inline]
        fn take(&self, class: usize) -> Option<NonNull<u8>> {
            self.loaded.pop().or_else(|| self.reload(class))
        }

        #[cold]
        fn reload(&self, class: usize) -> Option<NonNull<u8>> {
            let full = if self.spare.is_empty() { withdraw(class)? } else { self.spare.take_all() };
            self.loaded.refill(full);
            self.loaded.pop()
        }

        #[inline]
        fn give(&self, class: usize, block: NonNull<u8>) {
            if self.loaded.rounds.get() == ROUNDS {
                self.unload(class);
            }
            self.loaded.push(block);
        }

        #[cold]
        fn unload(&self, class: usize) {
            let spare = self.spare.take_all();
            self.spare.refill(self.loaded.take_all());
            if !spare.is_empty() {
                deposit(class, spare);
            }
        }
    }

    impl Drop for Local {
        fn drop(&mut self) {
            for (class, pair) in self.0.iter().enumerate() {
                for magazine in [&pair.loaded, &pair.spare] {
                    if !magazine.is_empty() {
                        deposit(class, magazine.take_all());
                    }
                }
            }
        }
    }

    /// None if no blocks of the kind are kept.
    #[inline]
    fn kept(of: Block) -> Option<usize> {
        (of.0.align() <= ALIGN && of.0.size() <= LARGEST).then(|| class(of.0.size()))
    }

    /// A block of this kind, if one is kept for this thread.
    #[inline]
    pub(super) fn take(of: Block) -> Option<NonNull<u8>> {
        let class = kept(of)?;
        LOCAL.try_with(|local| local.0[class].take(class)).ok().flatten()
    }

    /// Keeps the block, or hands it back to be freed.
    #[inline]
    pub(super) fn give(of: Block, block: NonNull<u8>) -> Option<NonNull<u8>> {
        let Some(class) = kept(of) else { return Some(block) };
        match LOCAL.try_with(|local| local.0[class].give(class, block)) {
            Ok(()) => None,
            // The thread is ending.
            Err(_) => Some(block),
        }
    }
}

#[cfg(any(lockgrain_loom, lockgrain_shuttle))]
mod magazine {
    use std::ptr::NonNull;

    use super::Block;

    pub(super) fn take(_of: Block) -> Option<NonNull<u8>> {
        None
    }

    pub(super) fn give(_of: Block, block: NonNull<u8>) -> Option<NonNull<u8>> {
        Some(block)
    }
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn classes_have_room_and_waste_little() {
        for size in 1..=LARGEST {
            let block = class(size) * STEP + ALIGN;
            assert!(block >= size && block < size + STEP || block == ALIGN, "{size} bytes in {block}");
            assert!(class(size) < CLASSES);
            // A block's own size finds its class again.
            assert_eq!(class(block), class(size));
        }
    }

    #[test]
    fn blocks_come_back_whole_from_other_threads() {
        let blocks: Vec<_> = (0..1000_usize).map(|n| allocate([n; 4]).as_ptr() as usize).collect();
        std::thread::spawn(move || {
            for (n, block) in blocks.into_iter().enumerate() {
                let block = NonNull::new(block as *mut [usize; 4]).unwrap();
                // SAFETY: allocated above and written there.
                assert_eq!(unsafe { block.read() }, [n; 4]);
                // SAFETY: allocated above with the same type, and used no more.
                unsafe { release(block) };
            }
        })
        .join()
        .unwrap();
        let again: Vec<_> = (0..1000_usize).map(|n| allocate([n; 4])).collect();
        let mut distinct: Vec<_> = again.iter().map(|block| block.as_ptr()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 1000);
        for (n, block) in again.into_iter().enumerate() {
            // SAFETY: as above.
            assert_eq!(unsafe { block.read() }, [n; 4]);
            // SAFETY: as above.
            unsafe { release(block) };
        }
    }

    #[test]
    fn large_and_overaligned_values_are_plain_allocations() {
        #[repr(align(64))]
        struct Wide([u8; 64]);
        let wide = allocate(Wide([7; 64]));
        assert_eq!(wide.as_ptr() as usize % 64, 0);
        // SAFETY: written above.
        assert_eq!(unsafe { wide.as_ref() }.0[63], 7);
        // SAFETY: allocated above with the same type, and used no more.
        unsafe { release(wide) };
    }
}
