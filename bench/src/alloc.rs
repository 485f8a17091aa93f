//! A counting allocator: how often this thread allocated, and how many bytes it holds.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    // Per thread and not atomic, so that counting does not slow down what is being timed.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
}

/// The number of allocations and reallocations this thread has made.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// Bytes allocated minus bytes freed by this thread, as requested: the allocator's own overhead is not in it.
pub(crate) fn live_bytes() -> i64 {
    LIVE_BYTES.get()
}

pub(crate) struct Counting;

fn count(allocations: u64, bytes: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + allocations);
    LIVE_BYTES.set(LIVE_BYTES.get() + bytes);
}

#[expect(clippy::cast_possible_wrap, reason = "an allocation is never larger than i64::MAX")]
const fn signed(size: usize) -> i64 {
    size as i64
}

// SAFETY: every method hands its arguments to the system's allocator unchanged; the counters are plain cells
// without a destructor, which neither allocate nor outlive their thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -signed(layout.size()));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, signed(size) - signed(layout.size()));
        unsafe { System.realloc(pointer, layout, size) }
    }
}
