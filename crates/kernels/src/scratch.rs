//! Memory that kernels write before they read.

use std::cell::RefCell;

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

/// A vector that several threads write different parts of.
#[derive(Clone, Copy)]
pub(crate) struct Shared(*mut f32);

// SAFETY: the pointer is only written through, by unsafe code that promises
// disjoint parts.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The parts of `values`, which must outlive all use of it.
    pub fn new(values: &mut [f32]) -> Self {
        Self(values.as_mut_ptr())
    }

    /// Start of the vector.
    pub fn start(&self) -> *mut f32 {
        self.0
    }
}
