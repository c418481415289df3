//! The element types of logits and gradients.

/// A floating-point element type of logits and gradients: `f32` for training,
/// `f64` for checking derivatives. All arithmetic is done in `f64`.
pub trait Real: Copy + Send + Sync + sealed::Sealed {
    /// Exact widening.
    fn to_f64(self) -> f64;
    /// Nearest value; magnitudes beyond the type's range become its largest finite one.
    fn from_f64(value: f64) -> Self;
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
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}
