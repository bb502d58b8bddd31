//! Blocks that are allocated together, and go back to the allocator together.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::{ALIGN, size_of_class};
use crate::sync::atomic::{AtomicUsize, Ordering, fence};

/// Blocks of one class, side by side, and before each one a pointer to here.
#[repr(C)]
pub(super) struct Slab {
    /// The blocks that have not been [given back](Slab::give_back).
    out: AtomicUsize,
    /// Bytes of all this.
    size: usize,
}

/// What is before a block.
type Back = NonNull<Slab>;

impl Slab {
    /// So many new blocks of a class: `each` is called for the last one first.
    pub(super) fn carve(class: usize, blocks: usize, mut each: impl FnMut(NonNull<u8>)) {
        let stride = size_of::<Back>() + size_of_class(class);
        let size = size_of::<Self>() + blocks * stride;
        let layout = Self::layout(size);
        // SAFETY: not of size zero.
        let slab = NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        // SAFETY: big enough, and aligned.
        unsafe { slab.cast().write(Self { out: AtomicUsize::new(blocks), size }) };
        for at in (0..blocks).rev() {
            // SAFETY: one of as many as there is room for.
            let back = unsafe { slab.add(size_of::<Self>() + at * stride) }.cast::<Back>();
            // SAFETY: room for it, and for the block behind it; all sizes here are multiples of the alignment.
            unsafe { back.write(slab.cast()) };
            // SAFETY: as above.
            each(unsafe { back.add(1) }.cast());
        }
    }

    /// Where a block is from.
    ///
    /// # Safety
    /// It is from [`carve`](Self::carve), and has not been given back.
    pub(super) unsafe fn of(block: NonNull<u8>) -> NonNull<Self> {
        // SAFETY: the caller's promise.
        let back = unsafe { block.cast::<Back>().sub(1) };
        // SAFETY: written by `carve`, and never since.
        unsafe { back.read() }
    }

    /// Gives back so many blocks of a slab, and with the last of them the memory.
    ///
    /// # Safety
    /// They are of this slab, nobody uses them any more, and they have not been given back.
    pub(super) unsafe fn give_back(this: NonNull<Self>, blocks: usize) {
        // SAFETY: there are such blocks.
        let slab = unsafe { this.as_ref() };
        let size = slab.size;
        // Release: who frees the memory comes after all who used it.
        if slab.out.fetch_sub(blocks, Ordering::Release) == blocks {
            fence(Ordering::Acquire);
            // SAFETY: allocated with this layout, and no block is left.
            unsafe { dealloc(this.cast().as_ptr(), Self::layout(size)) };
        }
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, ALIGN).expect("a few thousand bytes")
    }
}
