//! The allocator of packs: a small arena first, the standard allocator when it is full.
//!
//! A call runs in a fresh instance and is over soon, so most packs never need memory back. The arena lies in the component's
//! initial memory: while it lasts, no call asks the host for more pages, and every such request is a change of the process's
//! memory map that all running calls wait for. Freed blocks come back only when they were the last; what does not fit goes to the
//! standard allocator, which reuses memory as usual, so a pack that runs long does not grow without end.

#![allow(unsafe_code, reason = "an allocator hands out raw memory")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::{Cell, UnsafeCell},
    ptr,
};

/// Enough for the arguments, the output and the work of a call with some 50 KB of JSON. Untouched pages cost nothing.
#[cfg(target_arch = "wasm32")]
const SIZE: usize = 256 * 1024;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ARENA: Arena<SIZE> = Arena::new();

#[repr(C, align(16))]
struct Memory<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

struct Arena<const SIZE: usize> {
    memory: Memory<SIZE>,
    /// How many bytes are taken.
    taken: Cell<usize>,
}

// SAFETY: a component has one thread; elsewhere there is no shared arena.
#[cfg(target_arch = "wasm32")]
unsafe impl<const SIZE: usize> Sync for Arena<SIZE> {}

impl<const SIZE: usize> Arena<SIZE> {
    const fn new() -> Self {
        Self { memory: Memory(UnsafeCell::new([0; SIZE])), taken: Cell::new(0) }
    }

    const fn start(&self) -> *mut u8 {
        self.memory.0.get().cast()
    }

    /// Where the block lies in the arena, when it does.
    fn offset(&self, block: *mut u8) -> Option<usize> {
        block.addr().checked_sub(self.start().addr()).filter(|offset| *offset < SIZE)
    }

    /// Takes the bytes from `offset` on, when they are left.
    fn take(&self, offset: usize, size: usize) -> bool {
        let Some(end) = offset.checked_add(size).filter(|end| *end <= SIZE) else { return false };
        self.taken.set(end);
        true
    }

    /// Whether the block is the last one.
    fn is_last(&self, offset: usize, size: usize) -> bool {
        offset + size == self.taken.get()
    }
}

// SAFETY: a block is either from the arena, whose blocks do not overlap because `taken` only falls back to the start of the last
// one, or from `System`; `offset` tells which. Blocks of the arena are aligned relative to its start; where that is less aligned
// than a layout asks for, `System` serves it.
unsafe impl<const SIZE: usize> GlobalAlloc for Arena<SIZE> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= align_of::<Memory<SIZE>>() {
            let offset = self.taken.get().next_multiple_of(layout.align());
            if self.take(offset, layout.size()) {
                // SAFETY: `take` has checked that the block ends within the arena.
                return unsafe { self.start().add(offset) };
            }
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.offset(block) {
            Some(offset) if self.is_last(offset, layout.size()) => self.taken.set(offset),
            Some(_) => {}
            // SAFETY: not from the arena, so from `System`.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(offset) = self.offset(block) else {
            // SAFETY: not from the arena, so from `System`.
            return unsafe { System.realloc(block, layout, size) };
        };
        if (self.is_last(offset, layout.size()) && self.take(offset, size)) || size <= layout.size() {
            return block;
        }
        // SAFETY: the size is the caller's promise, the alignment is that of a layout; the blocks do not overlap, and the old one
        // is as long as its layout says.
        unsafe {
            let grown = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !grown.is_null() {
                ptr::copy_nonoverlapping(block, grown, layout.size());
            }
            grown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn blocks_are_aligned_and_apart() {
        let arena = Arena::<256>::new();
        // SAFETY: every block is used within its layout.
        unsafe {
            let a = arena.alloc(layout(3, 1));
            let b = arena.alloc(layout(8, 8));
            let c = arena.alloc(layout(16, 16));
            assert_eq!([arena.offset(a), arena.offset(b), arena.offset(c)], [Some(0), Some(8), Some(16)]);
            assert_eq!(c.addr() % 16, 0);
        }
    }

    #[test]
    fn the_last_block_grows_in_place_and_comes_back() {
        let arena = Arena::<64>::new();
        // SAFETY: every block is used within its layout and freed once.
        unsafe {
            let a = arena.alloc(layout(8, 1));
            a.write_bytes(7, 8);
            assert_eq!(arena.realloc(a, layout(8, 1), 32), a);
            let b = arena.alloc(layout(8, 1));
            let moved = arena.realloc(a, layout(32, 1), 33);
            assert_eq!((arena.offset(moved), moved.read()), (None, 7), "it no longer fits, so it moved out");
            System.dealloc(moved, layout(33, 1));
            arena.dealloc(b, layout(8, 1));
            assert_eq!(arena.taken.get(), 32);
            assert_eq!(arena.realloc(a, layout(32, 1), 4), a);
            assert_eq!(arena.taken.get(), 4);
        }
    }

    #[test]
    fn what_does_not_fit_goes_to_the_standard_allocator() {
        let arena = Arena::<64>::new();
        // SAFETY: every block is used within its layout and freed once.
        unsafe {
            for (size, align) in [(65, 1), (8, 32), (usize::MAX / 4, 1)] {
                let block = arena.alloc(layout(size, align));
                assert_eq!(arena.offset(block), None, "{size} {align}");
                if !block.is_null() {
                    arena.dealloc(block, layout(size, align));
                }
            }
            assert_eq!(arena.taken.get(), 0);
        }
    }
}
