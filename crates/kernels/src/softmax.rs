//! Softmax over planes of logits: the sums that a loss is a function of, and
//! the way back from derivatives by those sums to a gradient by the logits.
//!
//! An element has one logit per class, each in its own plane, and a label. Both
//! passes compute the softmax from the logits: that costs less than to write
//! probabilities to memory and read them again.
//!
//! A probability is exact to a few units in the last place however small it is,
//! but 0 below 2^-126.

mod gradient;
mod sums;

use crate::exponential::exp_difference;
use crate::masked::Masked;

pub use gradient::{SoftmaxSlopes, softmax_gradient};
pub use sums::{SoftmaxSums, SumsWanted, softmax_sums};

/// The most classes that [`softmax_sums`] and [`softmax_gradient`] take.
pub const SOFTMAX_CLASSES_MAX: usize = 16;

/// The most values in a register.
const LANES_MAX: usize = 16;
/// Fills up the labels of a part of a register; names no class.
const NO_LABEL: u8 = u8::MAX;

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

/// The first `len < V::LANES` elements from `at`, with zeros and [`NO_LABEL`] behind.
#[inline(always)]
unsafe fn load_part<V: Masked, const MAX: usize>(
    planes: &[&[f32]],
    labels: &[u8],
    at: usize,
) -> ([V; MAX], [u8; LANES_MAX]) {
    let mut label_part = [NO_LABEL; LANES_MAX];
    label_part[..labels.len() - at].copy_from_slice(&labels[at..]);
    // SAFETY: `part` holds the widest register.
    unsafe {
        let mut z = [V::splat(0.0); MAX];
        for (z, plane) in z.iter_mut().zip(planes) {
            let mut part = [0.0f32; LANES_MAX];
            part[..plane.len() - at].copy_from_slice(&plane[at..]);
            *z = V::load(part.as_ptr());
        }
        (z, label_part)
    }
}

/// One register of elements from `at` on.
#[inline(always)]
unsafe fn load_whole<V: Masked, const MAX: usize>(
    classes: usize,
    planes: &[&[f32]],
    at: usize,
) -> [V; MAX] {
    // SAFETY: the caller's promise that every plane has `V::LANES` values from
    // `at` on, and that there are `classes` planes.
    unsafe {
        let mut z = [V::splat(0.0); MAX];
        for (class, z) in z[..classes].iter_mut().enumerate() {
            *z = V::load(planes.get_unchecked(class).as_ptr().add(at));
        }
        z
    }
}

/// Bits of `count` lanes.
#[inline(always)]
fn first_lanes(count: usize) -> u32 {
    (1 << count) - 1
}

/// # Panics
/// If there is no plane per class, too many, or planes and labels differ in length.
fn check(instructions: crate::Instructions, planes: &[&[f32]], labels: &[u8]) {
    assert!(
        instructions <= crate::Instructions::detected(),
        "this processor has no {instructions}"
    );
    assert!(
        (2..=SOFTMAX_CLASSES_MAX).contains(&planes.len()),
        "{} planes of logits, expected 2 to {SOFTMAX_CLASSES_MAX}",
        planes.len()
    );
    for plane in planes {
        assert_eq!(plane.len(), labels.len(), "logits and labels");
    }
}
