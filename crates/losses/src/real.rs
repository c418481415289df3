//! The element types of logits and gradients.

/// A floating-point element type of logits and gradients: `f32` for training,
/// `f64` for checking derivatives. With `f32`, the arithmetic of an element is
/// done in `f32` and only sums over many elements in `f64`; more than
/// [`SOFTMAX_CLASSES_MAX`](lacuna_kernels::SOFTMAX_CLASSES_MAX) classes are
/// computed in `f64` as `f64` logits are.
pub trait Real: Copy + Send + Sync + sealed::Sealed {
    /// Exact widening.
    fn to_f64(self) -> f64;
    /// Nearest value; magnitudes beyond the type's range become its largest finite one.
    fn from_f64(value: f64) -> Self;
    /// The same values where this is the type `f32`.
    fn as_f32(values: &[Self]) -> Option<&[f32]>;
    /// As [`Real::as_f32`].
    fn as_f32_mut(values: &mut [Self]) -> Option<&mut [f32]>;
}

impl Real for f32 {
    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline]
    fn from_f64(value: f64) -> Self {
        value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
    }

    fn as_f32(values: &[Self]) -> Option<&[f32]> {
        Some(values)
    }

    fn as_f32_mut(values: &mut [Self]) -> Option<&mut [f32]> {
        Some(values)
    }
}

impl Real for f64 {
    #[inline]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline]
    fn from_f64(value: f64) -> Self {
        value
    }

    fn as_f32(_values: &[Self]) -> Option<&[f32]> {
        None
    }

    fn as_f32_mut(_values: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}
