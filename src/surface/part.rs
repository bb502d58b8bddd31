//! One vector for the results of many tasks: each fills a part of its memory, which is the task's alone.

use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};

use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::task::drop_quietly;

/// A vector's memory. The values in it belong to the parts.
struct Memory<T> {
    start: NonNull<T>,
    capacity: usize,
}

// SAFETY: nobody gets at a value through it but the part that has it, and that is as good as the value itself.
unsafe impl<T: Send> Send for Memory<T> {}
// SAFETY: as above: what is shared is the address.
unsafe impl<T: Send> Sync for Memory<T> {}

impl<T> Memory<T> {
    fn with_capacity(capacity: usize) -> Arc<Self> {
        let mut vec = ManuallyDrop::new(Vec::<T>::with_capacity(capacity));
        let start = NonNull::new(vec.as_mut_ptr()).expect("a vector's address is not null");
        Arc::new(Self { start, capacity: vec.capacity() })
    }
}

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        // SAFETY: a vector gave it up, with this capacity.
        drop(unsafe { Vec::from_raw_parts(self.start.as_ptr(), 0, self.capacity) });
    }
}

/// Gives out the parts, from the beginning on.
pub(super) struct Parts<T> {
    memory: Arc<Memory<T>>,
    /// So many places of it are given out.
    given: usize,
}

impl<T> Parts<T> {
    /// With room for so many values in one piece.
    pub(super) fn with_capacity(values: usize) -> Self {
        Self { memory: Memory::with_capacity(values), given: 0 }
    }

    /// Room for so many: in the one piece if there is still enough, else, and for all that come later, by itself.
    pub(super) fn next(&mut self, room: usize) -> Part<T> {
        if room > self.memory.capacity - self.given {
            self.given = self.memory.capacity;
            return Part { memory: Memory::with_capacity(room), start: 0, len: 0, room };
        }
        let start = self.given;
        self.given += room;
        Part { memory: self.memory.clone(), start, len: 0, room }
    }
}

/// Some places in a row, which are nobody else's, and the values in the first of them.
pub(super) struct Part<T> {
    memory: Arc<Memory<T>>,
    start: usize,
    len: usize,
    room: usize,
}

impl<T> Part<T> {
    /// The place of the value with that number: within the memory, or just behind it.
    fn place(&self, number: usize) -> NonNull<T> {
        debug_assert!(number <= self.room);
        // SAFETY: a part's places are all in its memory.
        unsafe { self.memory.start.add(self.start + number) }
    }

    fn pushes(&mut self) -> Pushes<'_, T> {
        Pushes { next: self.place(self.len), left: self.room - self.len, part: self }
    }

    /// Takes the values of the part right behind its own; gives any other back.
    fn join(&mut self, mut next: Self) -> Option<Self> {
        if !Arc::ptr_eq(&self.memory, &next.memory) || self.start + self.len != next.start {
            return Some(next);
        }
        self.len += mem::take(&mut next.len);
        self.room = self.len;
        None
    }

    fn append_to(mut self, values: &mut Vec<T>) {
        values.reserve(self.len);
        let end = values.spare_capacity_mut().as_mut_ptr().cast::<T>();
        // SAFETY: there is room for so many, in other memory; they are moved, as this part forgets them.
        unsafe { ptr::copy_nonoverlapping(self.place(0).as_ptr(), end, self.len) };
        let len = values.len() + mem::take(&mut self.len);
        // SAFETY: they are there now.
        unsafe { values.set_len(len) };
    }

    /// Without copying them if no other part of the memory is left.
    fn into_vec(mut self) -> Vec<T> {
        let len = self.len;
        match Arc::get_mut(&mut self.memory) {
            Some(memory) if self.start == 0 => {
                self.len = 0;
                let start = mem::replace(&mut memory.start, NonNull::dangling());
                let capacity = mem::take(&mut memory.capacity);
                // SAFETY: a vector's memory, which nobody else has a part of, with so many values at its beginning.
                unsafe { Vec::from_raw_parts(start.as_ptr(), len, capacity) }
            }
            _ => {
                let mut values = Vec::new();
                self.append_to(&mut values);
                values
            }
        }
    }
}

/// Adds values to a part, which knows of them afterwards: a loop can keep this in registers.
struct Pushes<'a, T> {
    /// Where the next value goes: the first place without one.
    next: NonNull<T>,
    /// So many places are free.
    left: usize,
    part: &'a mut Part<T>,
}

impl<T> Pushes<'_, T> {
    /// # Panics
    /// If the part is full.
    fn push(&mut self, value: T) {
        assert!(self.left > 0, "a part is full");
        // SAFETY: a place of the part, with no value in it.
        unsafe { self.next.write(value) };
        // SAFETY: there was one more place, so this is in the memory, or just behind it.
        self.next = unsafe { self.next.add(1) };
        self.left -= 1;
    }
}

impl<T> Drop for Pushes<'_, T> {
    fn drop(&mut self) {
        self.part.len = self.part.room - self.left;
    }
}

impl<T> Drop for Part<T> {
    fn drop(&mut self) {
        let values = ptr::slice_from_raw_parts_mut(self.place(0).as_ptr(), self.len);
        // SAFETY: so many values are there, and they are this part's.
        unsafe { values.drop_in_place() };
    }
}

/// Filled parts, in their order.
pub(super) struct Filled<T> {
    /// All at the beginning of the one piece.
    front: Part<T>,
    /// What comes after them.
    rest: Vec<Part<T>>,
}

impl<T> Filled<T> {
    /// Nothing yet, of what is going to be given out.
    pub(super) fn before(parts: &Parts<T>) -> Self {
        let front = Part { memory: parts.memory.clone(), start: 0, len: 0, room: 0 };
        Self { front, rest: Vec::new() }
    }

    pub(super) fn push(&mut self, part: Part<T>) {
        let next = if self.rest.is_empty() { self.front.join(part) } else { Some(part) };
        self.rest.extend(next);
    }

    pub(super) fn into_vec(self) -> Vec<T> {
        let mut values = self.front.into_vec();
        self.rest.into_iter().for_each(|part| part.append_to(&mut values));
        values
    }
}

/// Fills the part with the values of the items. None if the operation has failed elsewhere, so that one was not begun.
pub(super) fn fill<I: Iterator, T, E>(
    mut items: I,
    mut part: Part<T>,
    f: impl Fn(I::Item) -> Result<T, E>,
    failed: &AtomicBool,
) -> Result<Part<T>, Option<E>> {
    let run = catch_unwind(AssertUnwindSafe(|| {
        let mut pushes = part.pushes();
        for item in items.by_ref() {
            if failed.load(Relaxed) {
                return Err(None);
            }
            pushes.push(f(item).map_err(Some)?);
        }
        Ok(())
    }));
    if let Ok(Ok(())) = run {
        return Ok(part);
    }
    failed.store(true, Relaxed);
    drop_quietly(items);
    drop_quietly(part);
    Err(run.unwrap_or_else(|payload| resume_unwind(payload)).expect_err("it is not done"))
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use super::*;

    fn filled(part: Part<String>, values: impl IntoIterator<Item = usize>) -> Part<String> {
        values.into_iter().fold(part, |mut part, value| {
            part.pushes().push(value.to_string());
            part
        })
    }

    fn numbers(values: Vec<String>) -> Vec<usize> {
        values.iter().map(|value| value.parse().unwrap()).collect()
    }

    #[test]
    fn one_piece_is_not_copied() {
        let mut parts = Parts::with_capacity(10);
        let mut all = Filled::before(&parts);
        let (first, second) = (parts.next(4), parts.next(6));
        let second = filled(second, 4..10);
        let first = filled(first, 0..4);
        let address = first.place(0).as_ptr().cast_const();
        drop(parts);
        all.push(first);
        all.push(second);
        let values = all.into_vec();
        assert_eq!(values.as_ptr(), address);
        assert_eq!(numbers(values), Vec::from_iter(0..10));
    }

    #[test]
    fn more_than_expected() {
        for capacity in 0..8 {
            let mut parts = Parts::with_capacity(capacity);
            let mut all = Filled::before(&parts);
            for start in [0, 3, 6] {
                all.push(filled(parts.next(3), start..start + 3));
            }
            // There still are some, so nothing may be taken over.
            assert_eq!(numbers(all.into_vec()), Vec::from_iter(0..9));
            drop(parts);
        }
    }

    #[test]
    fn a_gap_is_no_value() {
        let mut parts = Parts::with_capacity(10);
        let mut all = Filled::before(&parts);
        all.push(filled(parts.next(3), [0, 1]));
        all.push(filled(parts.next(3), [2, 3, 4]));
        drop(filled(parts.next(1), [9]));
        drop(parts);
        assert_eq!(numbers(all.into_vec()), Vec::from_iter(0..5));
    }

    #[test]
    fn values_without_size() {
        let mut parts = Parts::with_capacity(2);
        let mut all = Filled::before(&parts);
        for _ in 0..3 {
            let mut part = parts.next(2);
            part.pushes().push(());
            part.pushes().push(());
            all.push(part);
        }
        assert_eq!(all.into_vec().len(), 6);
    }

    #[test]
    #[should_panic(expected = "a part is full")]
    fn no_more_than_there_is_room_for() {
        filled(Parts::with_capacity(10).next(1), 0..2);
    }
}
