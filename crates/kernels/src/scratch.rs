//! Memory that kernels write before they read.

use std::cell::RefCell;
use std::mem::MaybeUninit;

/// Parts in which long sums are added up, in order, each by one thread: a fixed
/// number, so that no bit depends on the number of threads.
pub(crate) const PARTS: usize = 8;

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Calls `work` with `length` values of this thread's own memory, which holds
/// anything; kept from call to call, since fresh pages cost more than the work.
pub(crate) fn with<R>(length: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    SCRATCH.with_borrow_mut(|values| {
        if values.len() < length {
            values.resize(length, 0.0);
        }
        work(&mut values[..length])
    })
}

/// A vector of `length` values that hold nothing yet: zeroing a large one costs
/// as much as a pass of work.
///
/// # Safety
/// Every value must be written before it is read or the vector is handed on.
pub(crate) unsafe fn unwritten(length: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(length);
    #[cfg(test)]
    // In tests, what is read but was never written is not a number.
    values.resize(length, f32::NAN);
    // SAFETY: the capacity is there, and the caller writes the values.
    #[allow(clippy::uninit_vec, reason = "the caller's promise")]
    unsafe {
        values.set_len(length);
    }
    values
}

/// The start of memory whose parts different threads read or write. That no
/// part is written by two is the duty of whoever uses the pointers.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(*mut T);

// SAFETY: a pointer; each use is unsafe and says why it is apart from others.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    /// The memory from `start` on, which must outlive all use of it.
    pub fn new(start: *mut T) -> Self {
        Self(start)
    }

    /// The place `offset` values from the start.
    pub fn at(self, offset: usize) -> *mut T {
        self.0.wrapping_add(offset)
    }

    /// The `length` values at `offset`.
    ///
    /// # Safety
    /// They must lie in the memory, and nothing else may use them meanwhile.
    pub unsafe fn slice<'a>(self, offset: usize, length: usize) -> &'a mut [MaybeUninit<T>] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.at(offset).cast(), length) }
    }
}
