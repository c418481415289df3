//! Aligned memory that several threads fill.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use crate::scratch::Shared;

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
        Shared::new(self.start.as_ptr())
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr().cast(), self.layout) }
    }
}
