//! Sigmoid of a plane of logits: the sums that a loss of a region is a function
//! of, and the way back from derivatives by those sums to a gradient by the
//! logits. Regions may overlap, so each has a plane of its own.
//!
//! The first pass leaves `min(p, 1 - p)` where the second puts the gradient:
//! with the sign of the logit it gives both, exact to a few units in the last
//! place however small they are, but 0 below 2^-126.

mod gradient;
mod own;
mod sums;
#[cfg(test)]
mod tests;

use crate::masked::Masked;

pub use gradient::{RegionSlopes, region_gradient};
pub use own::region_own;
pub use sums::{RegionSums, region_sums};

/// The most values in a register.
const LANES_MAX: usize = 16;

/// What the elements are.
#[derive(Clone, Copy, Debug)]
pub struct RegionReference<'a> {
    /// Whether in the region.
    pub inside: Inside<'a>,
    /// How much each element counts; 1 if left out.
    pub weights: Option<&'a [f32]>,
}

/// Whether elements are in a region.
#[derive(Clone, Copy, Debug)]
pub enum Inside<'a> {
    /// Those with this label.
    Label(&'a [u8], u8),
    /// A share each, 0 to 1.
    Shares(&'a [f32]),
}

/// A register of elements.
struct Register<V> {
    /// Share inside.
    share: V,
    /// Weight times the share inside, and times the share outside.
    inside: V,
    outside: V,
}

impl RegionReference<'_> {
    fn len(&self) -> usize {
        match self.inside {
            Inside::Label(labels, _) => labels.len(),
            Inside::Shares(shares) => shares.len(),
        }
    }

    /// # Panics
    /// If the processor lacks the instructions or a length differs.
    fn check(&self, instructions: crate::Instructions, lengths: &[usize]) {
        assert!(
            instructions <= crate::Instructions::detected(),
            "this processor has no {instructions}"
        );
        let weights = self.weights.map_or(self.len(), <[f32]>::len);
        for length in lengths.iter().chain([&weights]) {
            assert_eq!(*length, self.len(), "elements of plane and reference");
        }
    }

    /// The elements from `at` on, which must be at least `V::LANES`.
    #[inline(always)]
    unsafe fn register<V: Masked>(&self, at: usize) -> Register<V> {
        // SAFETY: the caller's promise.
        unsafe {
            let one = V::splat(1.0);
            let share = match self.inside {
                Inside::Label(labels, label) => {
                    let labels = V::load_bytes(labels.as_ptr().add(at));
                    one.keep(labels.equals(V::splat(f32::from(label))))
                }
                Inside::Shares(shares) => V::load(shares.as_ptr().add(at)),
            };
            match self.weights {
                None => Register {
                    share,
                    inside: share,
                    outside: one.sub(share),
                },
                Some(weights) => {
                    let weight = V::load(weights.as_ptr().add(at));
                    Register {
                        share,
                        inside: weight.mul(share),
                        outside: weight.mul(one.sub(share)),
                    }
                }
            }
        }
    }
}

/// The last elements, fewer than a register has: copies that weigh nothing behind.
struct Tail {
    logits: [f32; LANES_MAX],
    shares: [f32; LANES_MAX],
    weights: [f32; LANES_MAX],
}

impl Tail {
    fn new(reference: &RegionReference, logits: &[f32], at: usize) -> Self {
        let mut tail = Self {
            logits: [0.0; LANES_MAX],
            shares: [0.0; LANES_MAX],
            weights: [0.0; LANES_MAX],
        };
        for (i, element) in (at..reference.len()).enumerate() {
            tail.logits[i] = logits[element];
            tail.shares[i] = match reference.inside {
                Inside::Label(labels, label) => f32::from(u8::from(labels[element] == label)),
                Inside::Shares(shares) => shares[element],
            };
            tail.weights[i] = reference.weights.map_or(1.0, |weights| weights[element]);
        }
        tail
    }

    fn reference(&self) -> RegionReference<'_> {
        RegionReference {
            inside: Inside::Shares(&self.shares),
            weights: Some(&self.weights),
        }
    }
}
