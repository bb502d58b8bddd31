//! Free blocks: a thread's own, and those between threads.

use std::cell::Cell;
use std::ptr::NonNull;

use super::slab::Slab;
use super::{Block, CLASSES, size_of_class};
use crate::sync::{LINE, TryMutex, local, prefetch};

/// Blocks that change threads at once.
const ROUNDS: u32 = 64;
/// Bytes that the depot keeps of a class: the memory of some 100,000 small tasks. Under Miri almost nothing, so that it sees slabs go.
const KEPT: usize = if cfg!(miri) { 1 } else { 8 << 20 };

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
        let next = unsafe { first.read() }.next;
        self.first.set(next);
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

    fn empty(self) {
        // Most of them are neighbours.
        let mut run: Option<(NonNull<Slab>, usize)> = None;
        loop {
            // SAFETY: all blocks of magazines are from slabs.
            let slab = self.pop().map(|block| unsafe { Slab::of(block) });
            match (&mut run, slab) {
                (Some((same, blocks)), Some(slab)) if *same == slab => *blocks += 1,
                _ => {
                    let next = slab.map(|slab| (slab, 1));
                    if let Some((slab, blocks)) = std::mem::replace(&mut run, next) {
                        // SAFETY: so many have been taken out of the magazine.
                        unsafe { Slab::give_back(slab, blocks) };
                    }
                    if slab.is_none() {
                        return;
                    }
                }
            }
        }
    }
}

/// Magazines for whichever thread needs them, a list a class. Nobody waits for it: who finds it busy does without.
static DEPOT: [TryMutex<Vec<Magazine>>; CLASSES] = [const { TryMutex::new(Vec::new()) }; CLASSES];

fn deposit(class: usize, magazine: Magazine) {
    if let Some(mut depot) = DEPOT[class].try_lock()
        && depot.len() * ROUNDS as usize * size_of_class(class) < KEPT
    {
        depot.push(magazine);
    } else {
        magazine.empty();
    }
}

fn withdraw(class: usize) -> Option<Magazine> {
    DEPOT[class].try_lock()?.pop()
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
        let block = self.loaded.pop().or_else(|| self.reload(class));
        // The next one was in use on another core.
        if let Some(next) = self.loaded.first.get() {
            prefetch(next.as_ptr());
            if size_of_class(class) > LINE {
                prefetch(next.as_ptr().cast::<u8>().wrapping_add(LINE));
            }
        }
        block
    }

    /// Never none.
    #[cold]
    fn reload(&self, class: usize) -> Option<NonNull<u8>> {
        let full = if self.spare.is_empty() { withdraw(class) } else { Some(self.spare.take_all()) };
        match full {
            Some(full) => self.loaded.refill(full),
            None => Slab::carve(class, 2 * ROUNDS as usize, |block| {
                let empty = [&self.spare, &self.loaded].into_iter().find(|magazine| magazine.rounds.get() < ROUNDS);
                empty.expect("there are two").push(block);
            }),
        }
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

/// A block of this kind, if such are kept.
#[inline]
pub(super) fn take(of: Block) -> Option<NonNull<u8>> {
    let class = of.class()?;
    LOCAL.try_with(|local| local.0[class].take(class)).ok().flatten().or_else(|| alone(class))
}

/// A block on a thread that is ending.
#[cold]
fn alone(class: usize) -> Option<NonNull<u8>> {
    let mut only = None;
    Slab::carve(class, 1, |block| only = Some(block));
    only
}

/// Keeps the block, or hands it back if such are not kept.
///
/// # Safety
/// It is from `take` with the same kind, or that had none; and nobody uses it any more.
#[inline]
pub(super) unsafe fn give(of: Block, block: NonNull<u8>) -> Option<NonNull<u8>> {
    let Some(class) = of.class() else { return Some(block) };
    if LOCAL.try_with(|local| local.0[class].give(class, block)).is_err() {
        // SAFETY: the caller's promise.
        unsafe { give_alone(block) };
    }
    None
}

/// Gives back a block on a thread that is ending.
///
/// # Safety
/// It is from `take`, and nobody uses it any more.
#[cold]
unsafe fn give_alone(block: NonNull<u8>) {
    // SAFETY: the caller's promise.
    let slab = unsafe { Slab::of(block) };
    // SAFETY: as above.
    unsafe { Slab::give_back(slab, 1) };
}
