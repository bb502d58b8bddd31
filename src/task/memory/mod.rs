//! Memory for tasks: each is one block, and blocks of the usual sizes are made many at once, and kept for the next task.
//!
//! A task is most often made on one thread and freed on another, which is where a general allocator is slowest. So a freed
//! block goes to a list of its thread, whole lists go from thread to thread by way of a depot, and what the depot does not
//! hold goes back to the slab that it is from, and with its last block the slab to the allocator. After J. Bonwick, J. Adams, "Magazines and Vmem", USENIX 2001. The figures are in
//! `docs/performance.md`.
//!
//! Not in a model build: blocks are plain allocations there, as a checker has its own allocator or none.

#[cfg(not(any(lockgrain_loom, lockgrain_shuttle)))]
mod magazine;
#[cfg(not(any(lockgrain_loom, lockgrain_shuttle)))]
mod slab;

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
    // SAFETY: the caller's promise.
    if let Some(block) = unsafe { magazine::give(of, block) } {
        // SAFETY: as above: from the allocator, with this layout.
        unsafe { dealloc(block.as_ptr(), of.0) };
    }
}

/// What kind of block a type needs. Small sizes are rounded up to a size class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block(Layout);

impl Block {
    pub(super) const fn of<T>() -> Self {
        const { assert!(size_of::<T>() > 0) };
        let exact = Layout::new::<T>();
        if exact.align() > ALIGN || exact.size() > LARGEST {
            return Self(exact);
        }
        match Layout::from_size_align(size_of_class(class(exact.size())), ALIGN) {
            Ok(layout) => Self(layout),
            Err(_) => Self(exact),
        }
    }

    /// None if such blocks are not kept.
    #[cfg(not(any(lockgrain_loom, lockgrain_shuttle)))]
    #[inline]
    fn class(self) -> Option<usize> {
        (self.0.align() <= ALIGN && self.0.size() <= LARGEST).then(|| class(self.0.size()))
    }
}

/// Of every block, and no less than a pointer's.
const ALIGN: usize = 8;
const STEP: usize = 16;
const CLASSES: usize = 16;
const LARGEST: usize = (CLASSES - 1) * STEP + ALIGN;

/// Of a size up to `LARGEST`.
const fn class(size: usize) -> usize {
    size.saturating_sub(ALIGN).div_ceil(STEP)
}

/// Bytes of a block: with the pointer before it, a multiple of `STEP`.
const fn size_of_class(class: usize) -> usize {
    class * STEP + ALIGN
}

#[cfg(any(lockgrain_loom, lockgrain_shuttle))]
mod magazine {
    use std::ptr::NonNull;

    use super::Block;

    pub(super) fn take(_of: Block) -> Option<NonNull<u8>> {
        None
    }

    pub(super) unsafe fn give(_of: Block, block: NonNull<u8>) -> Option<NonNull<u8>> {
        Some(block)
    }
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn classes_have_room_and_waste_little() {
        for size in 1..=LARGEST {
            let block = size_of_class(class(size));
            assert!(block >= size && block < size + STEP || block == ALIGN, "{size} bytes in {block}");
            assert!(class(size) < CLASSES);
            // A block's own size finds its class again.
            assert_eq!(class(block), class(size));
        }
    }

    /// Also of slabs that are split between the threads, and more than the depot holds.
    #[test]
    fn blocks_come_back_whole_from_other_threads() {
        for count in [1000, 300_000] {
            let blocks: Vec<_> = (0..count).map(|n| allocate([n; 4]).as_ptr() as usize).collect();
            std::thread::scope(|s| {
                for thread in 0..3 {
                    let blocks = &blocks;
                    s.spawn(move || {
                        for (n, block) in blocks.iter().enumerate().skip(thread).step_by(3) {
                            let block = NonNull::new(*block as *mut [usize; 4]).unwrap();
                            // SAFETY: allocated above and written there.
                            assert_eq!(unsafe { block.read() }, [n; 4]);
                            // SAFETY: allocated above with the same type, and used no more.
                            unsafe { release(block) };
                        }
                    });
                }
            });
            let again: Vec<_> = (0..count).map(|n| allocate([n; 4])).collect();
            let mut distinct: Vec<_> = again.iter().map(|block| block.as_ptr()).collect();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), count);
            for (n, block) in again.into_iter().enumerate() {
                // SAFETY: as above.
                assert_eq!(unsafe { block.read() }, [n; 4]);
                // SAFETY: as above.
                unsafe { release(block) };
            }
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
