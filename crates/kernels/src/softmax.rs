//! Softmax over planes of logits: the sums that a loss is a function of, and
//! the way back from derivatives by those sums to a gradient by the logits.
//!
//! An element has one logit per class, each in its own plane, and a label. The
//! first pass leaves the probabilities where the second puts the gradient. That
//! moves more memory than computing them twice and is faster by a quarter: the
//! exponentials are what both passes wait for.
//!
//! A probability is exact to a few units in the last place however small it is,
//! but 0 below 2^-126.

mod gradient;
mod own;
mod power;
mod sums;
#[cfg(test)]
mod tests;

use crate::exponential::exp_difference;
use crate::masked::Masked;

pub use gradient::{SoftmaxSlopes, softmax_gradient};
pub use own::{Spread, own_gradient, softmax_own};
pub use power::power;
pub use sums::{SoftmaxSums, SumsWanted, softmax_sums};

/// The most classes that [`softmax_sums`] and [`softmax_gradient`] take.
pub const SOFTMAX_CLASSES_MAX: usize = 16;

/// Registers whose terms are added in f32 before the sum goes to f64. A sum of
/// this many positive terms is off by 16 units in the last place at the most.
pub(crate) const RUN: usize = 32;

/// Floor of a log-probability, so that sums over a run stay in the range of
/// f32: `-2^100`. Only logits that differ by more reach it.
pub(crate) const LOG_FLOOR: f32 = -1.267_650_6e30;

/// The largest derivative in f32, so that no sum of products with shares
/// overflows: 2^100.
pub(crate) const LARGEST_SLOPE: f64 = 1.267_650_600_228_229_4e30;

/// The most values in a register.
const LANES_MAX: usize = 16;
/// Fills up the labels of a part of a register; names no class.
const NO_LABEL: u8 = u8::MAX;

/// What the elements are.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxReference<'a> {
    /// Of which class.
    pub class: ReferenceClass<'a>,
    /// How much each element counts; 1 if left out. Where there are weights, an
    /// element whose label names no class counts nowhere.
    pub weights: Option<&'a [f32]>,
}

/// Of which class the elements are.
#[derive(Clone, Copy, Debug)]
pub enum ReferenceClass<'a> {
    /// A label each.
    Labels(&'a [u8]),
    /// Shares of all classes, a plane per class.
    Shares(&'a [&'a [f32]]),
}

impl<'a> SoftmaxReference<'a> {
    /// A label each, and all count once.
    pub fn labels(labels: &'a [u8]) -> Self {
        Self {
            class: ReferenceClass::Labels(labels),
            weights: None,
        }
    }

    /// Elements.
    fn len(&self) -> usize {
        match self.class {
            ReferenceClass::Labels(labels) => labels.len(),
            ReferenceClass::Shares(shares) => shares.first().map_or(0, |plane| plane.len()),
        }
    }

    /// Weights of a register of elements from `at` on, fewer than it has if
    /// `PART`.
    #[inline(always)]
    unsafe fn weight<V: Masked, const PART: bool>(&self, at: usize) -> V {
        // SAFETY: the caller's promise that there are as many elements.
        unsafe {
            match self.weights {
                None => V::splat(1.0),
                Some(weights) if PART => load_part::<V, 1>(&[weights], at)[0],
                Some(weights) => V::load(weights.as_ptr().add(at)),
            }
        }
    }
}

/// Calls `$body::<V, PLAIN, MAX>(args)` with MAX the number of classes where the loops
/// over few classes shall be unrolled, otherwise the most there are.
macro_rules! with_classes {
    ($classes:expr, $body:ident::<$vector:ident, $plain:literal>($($argument:expr),* $(,)?)) => {
        match $classes {
            2 => $body::<$vector, $plain, 2>($($argument),*),
            3 => $body::<$vector, $plain, 3>($($argument),*),
            4 => $body::<$vector, $plain, 4>($($argument),*),
            _ => $body::<$vector, $plain, { $crate::softmax::SOFTMAX_CLASSES_MAX }>($($argument),*),
        }
    };
}
use with_classes;

/// `classes`, known to the compiler where loops over it are unrolled.
#[inline(always)]
fn unrolled<const MAX: usize>(classes: usize) -> usize {
    if MAX == SOFTMAX_CLASSES_MAX {
        classes
    } else {
        MAX
    }
}

/// Exponentials of one register of elements.
struct Exponentials<V, const MAX: usize> {
    /// Per class `exp(z - largest)`.
    each: [V; MAX],
    /// The largest logit.
    largest: V,
    /// Sum of the exponentials, 1 to the number of classes.
    total: V,
}

#[inline(always)]
unsafe fn exponentials<V: Masked, const MAX: usize>(
    classes: usize,
    z: &[V; MAX],
) -> Exponentials<V, MAX> {
    // SAFETY: arithmetic only, under the caller's instructions.
    unsafe {
        let mut each = [V::splat(0.0); MAX];
        let mut largest = z[0];
        if MAX == 2 {
            // The larger of two has the exponential 1: the other's is enough.
            let rises = z[1].greater(z[0]);
            largest = z[1].or_else(rises, z[0]);
            let smaller = z[0].or_else(rises, z[1]);
            let e = exp_difference(smaller, largest);
            let one = V::splat(1.0);
            each[0] = e.or_else(rises, one);
            each[1] = one.or_else(rises, e);
        } else {
            for z in &z[1..classes] {
                largest = z.max(largest);
            }
            for (each, z) in each.iter_mut().zip(&z[..classes]) {
                *each = exp_difference(*z, largest);
            }
        }
        let mut total = each[0];
        for e in &each[1..classes] {
            total = total.add(*e);
        }
        Exponentials {
            each,
            largest,
            total,
        }
    }
}

/// Sum of the exponentials without the largest one, whose digits the small ones
/// would lose in it: the sum is 1 plus this. `below` is `z` less the largest.
#[inline(always)]
unsafe fn others_of_largest<V: Masked, const MAX: usize>(
    classes: usize,
    x: &Exponentials<V, MAX>,
    below: &[V; MAX],
) -> V {
    // SAFETY: arithmetic only, under the caller's instructions.
    unsafe {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        if MAX == 2 {
            return x.each[1].or_else(below[0].equals(zero), x.each[0]);
        }
        let (mut others, mut largest) = (zero, zero.sub(one));
        for (e, below) in x.each[..classes].iter().zip(below) {
            let is_largest = below.equals(zero);
            others = others.add(zero.or_else(is_largest, *e));
            largest = largest.add(one.keep(is_largest));
        }
        others.add(largest)
    }
}

/// One register of elements from `at` on.
#[inline(always)]
unsafe fn load_whole<V: Masked, const MAX: usize>(
    classes: usize,
    planes: &[impl AsRef<[f32]>],
    at: usize,
) -> [V; MAX] {
    // SAFETY: the caller's promise that there are `classes` planes with
    // `V::LANES` values from `at` on.
    unsafe {
        let mut values = [V::splat(0.0); MAX];
        for (class, values) in values[..classes].iter_mut().enumerate() {
            let plane = planes.get_unchecked(class).as_ref();
            *values = V::load(plane.as_ptr().add(at));
        }
        values
    }
}

/// Writes what [`load_whole`] reads.
#[inline(always)]
unsafe fn store_whole<V: Masked, const MAX: usize>(
    classes: usize,
    values: &[V; MAX],
    planes: &mut [&mut [f32]],
    at: usize,
) {
    // SAFETY: as in `load_whole`.
    unsafe {
        for (class, values) in values[..classes].iter().enumerate() {
            values.store(planes.get_unchecked_mut(class).as_mut_ptr().add(at));
        }
    }
}

/// The last elements, fewer than a register has, with zeros behind.
#[inline(always)]
unsafe fn load_part<V: Masked, const MAX: usize>(
    planes: &[impl AsRef<[f32]>],
    at: usize,
) -> [V; MAX] {
    // SAFETY: `part` holds the widest register.
    unsafe {
        let mut values = [V::splat(0.0); MAX];
        for (values, plane) in values.iter_mut().zip(planes) {
            let mut part = [0.0f32; LANES_MAX];
            let rest = &plane.as_ref()[at..];
            part[..rest.len()].copy_from_slice(rest);
            *values = V::load(part.as_ptr());
        }
        values
    }
}

/// Writes what [`load_part`] reads.
#[inline(always)]
unsafe fn store_part<V: Masked, const MAX: usize>(
    values: &[V; MAX],
    planes: &mut [&mut [f32]],
    at: usize,
) {
    for (values, plane) in values.iter().zip(planes) {
        let mut part = [0.0f32; LANES_MAX];
        // SAFETY: `part` holds the widest register.
        unsafe { values.store(part.as_mut_ptr()) };
        let rest = &mut plane[at..];
        rest.copy_from_slice(&part[..rest.len()]);
    }
}

/// The labels from `at` on, fewer than a register has, with [`NO_LABEL`] behind.
fn label_part(labels: &[u8], at: usize) -> [u8; LANES_MAX] {
    let mut part = [NO_LABEL; LANES_MAX];
    part[..labels.len() - at].copy_from_slice(&labels[at..]);
    part
}

/// Bits of `count` lanes.
#[inline(always)]
fn first_lanes(count: usize) -> u32 {
    (1 << count) - 1
}

/// # Panics
/// If the processor lacks the instructions, there are too few or too many
/// planes, or one differs in length from the reference.
fn check(
    instructions: crate::Instructions,
    planes: &[impl AsRef<[f32]>],
    reference: SoftmaxReference,
) {
    assert!(
        instructions <= crate::Instructions::detected(),
        "this processor has no {instructions}"
    );
    assert!(
        (2..=SOFTMAX_CLASSES_MAX).contains(&planes.len()),
        "{} planes, expected 2 to {SOFTMAX_CLASSES_MAX}",
        planes.len()
    );
    let count = reference.len();
    for plane in planes {
        assert_eq!(plane.as_ref().len(), count, "planes and reference");
    }
    if let ReferenceClass::Shares(shares) = reference.class {
        assert_eq!(shares.len(), planes.len(), "planes of shares");
        for plane in shares {
            assert_eq!(plane.len(), count, "planes of shares");
        }
    }
    if let Some(weights) = reference.weights {
        assert_eq!(weights.len(), count, "weights and reference");
    }
}
