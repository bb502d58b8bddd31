//! Blocks that are allocated together, and go back to the allocator together.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::{ALIGN, STEP, size_of_class};
use crate::sync::LINE;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Blocks of one class, side by side, and before each one a pointer to here.
pub(super) struct Slab {
    /// The blocks that have not been [given back](Slab::give_back).
    out: AtomicUsize,
    layout: Layout,
}

/// What is before a block, in `ALIGN` bytes.
type Back = NonNull<Slab>;

impl Slab {
    /// So many new blocks of a class: `each` is called for the last one first.
    pub(super) fn carve(class: usize, blocks: usize, mut each: impl FnMut(NonNull<u8>)) {
        let (stride, align) = (stride(class), align(class));
        // The first block is aligned as this is.
        let first = size_of::<Self>().next_multiple_of(align);
        let layout = Layout::from_size_align(first + blocks * stride, align).expect("a few thousand bytes");
        // SAFETY: not of size zero.
        let slab = NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        // SAFETY: big enough, and aligned.
        unsafe { slab.cast().write(Self { out: AtomicUsize::new(blocks), layout }) };
        for at in (0..blocks).rev() {
            // SAFETY: one of as many as there is room for.
            let back = unsafe { slab.add(first + at * stride) };
            // SAFETY: room for it, and for the block behind it; all sizes here are multiples of `ALIGN`.
            unsafe { back.cast::<Back>().write(slab.cast()) };
            // SAFETY: as above.
            each(unsafe { back.add(ALIGN) });
        }
    }

    /// Where a block is from.
    ///
    /// # Safety
    /// It is from [`carve`](Self::carve), and has not been given back.
    pub(super) unsafe fn of(block: NonNull<u8>) -> NonNull<Self> {
        // SAFETY: the caller's promise.
        let back = unsafe { block.sub(ALIGN) }.cast::<Back>();
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
        let layout = slab.layout;
        // Who frees the memory comes after all who used it.
        if slab.out.fetch_sub(blocks, Ordering::AcqRel) == blocks {
            // SAFETY: allocated with this layout, and no block is left.
            unsafe { dealloc(this.cast().as_ptr(), layout) };
        }
    }
}

/// From one block to the next. One that goes beyond a line has that to its end, if little is lost by it: neighbours run on different cores.
const fn stride(class: usize) -> usize {
    let exact = ALIGN + size_of_class(class);
    let lines = exact.next_multiple_of(LINE);
    if exact > LINE && lines - exact <= STEP { lines } else { exact }
}

/// Of blocks that fill lines, one does not share its lines with others.
const fn align(class: usize) -> usize {
    if stride(class).is_multiple_of(LINE) { LINE } else { ALIGN }
}
