//! Memory that several threads fill.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Values that start on a cache line and hold nothing until written.
pub(super) struct Buffer<T> {
    start: NonNull<T>,
    layout: Layout,
}

impl<T: Copy> Buffer<T> {
    pub(super) fn new(length: usize) -> Self {
        let layout = Layout::array::<T>(length.max(1)).and_then(|l| l.align_to(64));
        let layout = layout.expect("a buffer that fits in memory");
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { alloc(layout) });
        let start = start.unwrap_or_else(|| handle_alloc_error(layout));
        #[cfg(test)]
        // In tests, what is read but was never written is not a number.
        // SAFETY: as many bytes as allocated.
        unsafe {
            start.write_bytes(0xff, layout.size());
        }
        Self {
            start: start.cast(),
            layout,
        }
    }

    pub(super) fn start(&self) -> *const T {
        self.start.as_ptr()
    }

    pub(super) fn shared(&mut self) -> Shared<T> {
        Shared(self.start.as_ptr())
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr().cast(), self.layout) }
    }
}

/// The start of memory whose parts different threads read or write. That no
/// part is written by two is the duty of whoever uses the pointers.
#[derive(Clone, Copy)]
pub(super) struct Shared<T>(*mut T);

// SAFETY: a pointer; each use is unsafe and says why it is apart from others.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    pub(super) fn new(start: *mut T) -> Self {
        Self(start)
    }

    pub(super) fn at(self, offset: usize) -> *mut T {
        self.0.wrapping_add(offset)
    }

    /// The `length` values at `offset`.
    ///
    /// # Safety
    /// They must lie in the memory, and nothing else may use them meanwhile.
    pub(super) unsafe fn slice<'a>(self, offset: usize, length: usize) -> &'a mut [MaybeUninit<T>] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.at(offset).cast(), length) }
    }
}
