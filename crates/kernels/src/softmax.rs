//! Softmax over planes of logits: the sums that a loss is a function of, and
//! the way back from derivatives by those sums to a gradient by the logits.
//!
//! An element has one logit per class, each in its own plane, and a label. Both
//! passes compute the softmax from the logits: that costs less than to write
//! probabilities to memory and read them again.
//!
//! A probability below 2^-126 is 0. Where the largest logit is of another class,
//! that of a class is exact to about `2^-24 (3 + |z - largest|)` of itself.

mod gradient;
mod sums;

use crate::exponential::exp_not_positive;
use crate::masked::Masked;

pub use gradient::{SoftmaxSlopes, softmax_gradient};
pub use sums::{SoftmaxSums, SumsWanted, softmax_sums};

/// The most classes that [`softmax_sums`] and [`softmax_gradient`] take.
pub const SOFTMAX_CLASSES_MAX: usize = 16;

/// The most values in a register.
const LANES_MAX: usize = 16;
/// Fills up the labels of a part of a register; names no class.
const NO_LABEL: u8 = u8::MAX;

/// Calls `$body::<V, MAX>(args)` with MAX the number of classes where the loops
/// over few classes shall be unrolled, otherwise the most there are.
macro_rules! with_classes {
    ($classes:expr, $body:ident::<$vector:ident>($($argument:expr),* $(,)?)) => {
        match $classes {
            2 => $body::<$vector, 2>($($argument),*),
            3 => $body::<$vector, 3>($($argument),*),
            4 => $body::<$vector, 4>($($argument),*),
            _ => $body::<$vector, { $crate::softmax::SOFTMAX_CLASSES_MAX }>($($argument),*),
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
        let mut largest = z[0];
        for z in &z[1..classes] {
            largest = z.max(largest);
        }
        let zero = V::splat(0.0);
        let mut each = [zero; MAX];
        if MAX == 2 {
            // One of the two differences is 0, so one exponential is enough.
            let below = [z[0].sub(largest), z[1].sub(largest)];
            let e = exp_not_positive(below[0].add(below[1]));
            for class in 0..2 {
                each[class] = e.or_else(zero.greater(below[class]), V::splat(1.0));
            }
        } else {
            for class in 0..classes {
                each[class] = exp_not_positive(z[class].sub(largest));
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
