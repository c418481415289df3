//! Arrays of other libraries by DLPack (github.com/dmlc/dlpack, version 0):
//! a capsule named `dltensor` holds a pointer to a `DLManagedTensor`. Whoever
//! takes it renames the capsule and calls the tensor's deleter when done.

use std::ffi::{CStr, c_void};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi::{PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_SetName};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

const FRESH: &CStr = c"dltensor";
const USED: &CStr = c"used_dltensor";
/// `kDLCPU`.
const CPU: i32 = 1;

#[repr(C)]
struct DataType {
    code: u8,
    bits: u8,
    lanes: u16,
}

#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    dtype: DataType,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

#[repr(C)]
struct Managed {
    tensor: Tensor,
    manager: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
}

/// An element type, as DLPack names it.
pub trait Element: Copy + Send + Sync {
    /// `(code, bits)`: 0 signed, 1 unsigned, 2 floating.
    const TYPE: (u8, u8);
}

impl Element for f32 {
    const TYPE: (u8, u8) = (2, 32);
}

impl Element for f64 {
    const TYPE: (u8, u8) = (2, 64);
}

impl Element for u8 {
    const TYPE: (u8, u8) = (1, 8);
}

/// A dense array on the CPU that another library owns, alive until dropped.
pub struct Array {
    managed: *mut Managed,
}

// SAFETY: the memory is plain numbers, and the deleter of a DLPack tensor may be
// called from any thread that can take the interpreter's lock, which every
// producer here (NumPy, PyTorch) does by itself.
unsafe impl Send for Array {}
// SAFETY: as above; shared access only reads the numbers.
unsafe impl Sync for Array {}

impl Array {
    /// Takes what `array.__dlpack__()` gives.
    ///
    /// # Errors
    /// When it is no fresh capsule, is not on the CPU or is not dense in C order.
    pub fn take(capsule: &Bound<'_, PyCapsule>) -> PyResult<Self> {
        let pointer = capsule.as_ptr();
        // SAFETY: the capsule is alive, and its name tells what it points to.
        let managed = unsafe {
            if PyCapsule_IsValid(pointer, FRESH.as_ptr()) == 0 {
                return Err(PyTypeError::new_err(
                    "expected a fresh DLPack capsule; pass a NumPy array or a PyTorch tensor",
                ));
            }
            let managed = PyCapsule_GetPointer(pointer, FRESH.as_ptr()).cast::<Managed>();
            // From here on the deleter is ours to call.
            PyCapsule_SetName(pointer, USED.as_ptr());
            managed
        };
        let array = Self { managed };
        if array.tensor().device_type != CPU {
            return Err(PyValueError::new_err(format!(
                "the array is on another device (DLPack type {}); move it to the CPU first, \
                 for PyTorch with tensor.cpu()",
                array.tensor().device_type
            )));
        }
        if !array.is_dense() {
            return Err(PyValueError::new_err(
                "the array is not contiguous in C order; use numpy.ascontiguousarray or \
                 tensor.contiguous()",
            ));
        }
        Ok(array)
    }

    fn tensor(&self) -> &Tensor {
        // SAFETY: the producer keeps it valid until the deleter is called.
        unsafe { &(*self.managed).tensor }
    }

    /// Length of each axis.
    pub fn shape(&self) -> Vec<usize> {
        let tensor = self.tensor();
        (0..tensor.ndim as usize)
            // SAFETY: `shape` has `ndim` entries.
            .map(|axis| unsafe { *tensor.shape.add(axis) } as usize)
            .collect()
    }

    fn len(&self) -> usize {
        self.shape().iter().product()
    }

    fn is_dense(&self) -> bool {
        let tensor = self.tensor();
        if tensor.strides.is_null() {
            return true;
        }
        let mut expected = 1;
        for (axis, length) in self.shape().into_iter().enumerate().rev() {
            // SAFETY: strides that are given have `ndim` entries.
            let stride = unsafe { *tensor.strides.add(axis) };
            if length > 1 && stride != expected {
                return false;
            }
            expected *= length as i64;
        }
        true
    }

    /// Whether the elements are of this type.
    pub fn is<T: Element>(&self) -> bool {
        let dtype = &self.tensor().dtype;
        (dtype.code, dtype.bits, dtype.lanes) == (T::TYPE.0, T::TYPE.1, 1)
    }

    fn start<T: Element>(&self, name: &str) -> PyResult<*mut T> {
        if !self.is::<T>() {
            let DataType { code, bits, .. } = self.tensor().dtype;
            let kind = ["int", "uint", "float"]
                .get(usize::from(code))
                .unwrap_or(&"type ");
            let expected = ["int", "uint", "float"][usize::from(T::TYPE.0)];
            return Err(PyTypeError::new_err(format!(
                "{name}: found {kind}{bits}, expected {expected}{}",
                T::TYPE.1
            )));
        }
        let tensor = self.tensor();
        // SAFETY: the offset stays within the producer's memory.
        let start = unsafe { tensor.data.cast::<u8>().add(tensor.byte_offset as usize) };
        if self.len() > 0 && (start.is_null() || !(start as usize).is_multiple_of(size_of::<T>())) {
            return Err(PyValueError::new_err(format!(
                "{name}: its memory is not aligned"
            )));
        }
        Ok(start.cast())
    }

    /// The elements. `name` is for the error.
    ///
    /// # Errors
    /// When they are of another type.
    pub fn read<T: Element>(&self, name: &str) -> PyResult<&[T]> {
        let start = self.start::<T>(name)?;
        match self.len() {
            0 => Ok(&[]),
            // SAFETY: dense, aligned, of this type, and alive as long as self.
            count => Ok(unsafe { std::slice::from_raw_parts(start, count) }),
        }
    }

    /// The elements, to be written.
    ///
    /// # Errors
    /// When they are of another type.
    ///
    /// # Safety
    /// No one else may read or write the memory meanwhile.
    pub unsafe fn write<T: Element>(&mut self, name: &str) -> PyResult<&mut [T]> {
        let start = self.start::<T>(name)?;
        match self.len() {
            0 => Ok(&mut []),
            // SAFETY: as in `read`, and the caller's promise.
            count => Ok(unsafe { std::slice::from_raw_parts_mut(start, count) }),
        }
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        // SAFETY: the capsule was renamed, so the deleter is called here only.
        unsafe {
            if let Some(deleter) = (*self.managed).deleter {
                deleter(self.managed);
            }
        }
    }
}
