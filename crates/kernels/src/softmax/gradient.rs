//! From derivatives by the sums to the gradient by the logits.
//!
//! With `a`, `b` and `e` the derivatives of a loss by the sums of probabilities,
//! squared errors and log-probabilities, an element with label l has
//! `g_c = a_lc + 2 b_lc (p_c - [c = l])` and
//! `dL/dz_c = p_c sum_k p_k (g_c - g_k) + e_l ([c = l] - p_c)`.
//! The differences of the `a` are taken in f64 beforehand: only terms as small
//! as the result are added, and a saturated element keeps its relative accuracy.

use super::{
    LARGEST_SLOPE, ReferenceClass, SoftmaxReference, check, first_lanes, label_part, unrolled,
    with_classes,
};
use super::{load_part, load_whole, store_part, store_whole};
use crate::Instructions;
use crate::masked::Masked;
use crate::vector::with_vector;

/// Derivatives of a loss by the sums of [`super::SoftmaxSums`], as the gradient
/// needs them.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxSlopes {
    classes: usize,
    /// `a_lc - a_lk`, `[l, c, k]`.
    differences: Vec<f32>,
    /// `2 b_lc`, `[l, c]`; empty where all are 0.
    curves: Vec<f32>,
    /// `e_l`; empty where all are 0.
    logs: Vec<f32>,
}

impl SoftmaxSlopes {
    /// Of the derivatives by the sums of probabilities `[label, class]`, of
    /// squared errors `[label, class]` and of log-probabilities `[label]`. Where
    /// one exceeds 2^100, all are scaled down to that: the gradient keeps its
    /// direction and stays finite.
    ///
    /// # Panics
    /// If the lengths do not agree.
    pub fn new(probability: &[f64], squared_error: &[f64], log_probability: &[f64]) -> Self {
        let classes = log_probability.len();
        assert_eq!(probability.len(), classes * classes);
        assert_eq!(squared_error.len(), classes * classes);
        let largest = probability
            .iter()
            .chain(squared_error)
            .chain(log_probability)
            .fold(0.0f64, |largest, d| largest.max(d.abs()));
        let scale = if largest > LARGEST_SLOPE {
            LARGEST_SLOPE / largest
        } else {
            1.0
        };
        let scaled = |derivatives: &[f64], factor: f64| -> Vec<f32> {
            if derivatives.iter().all(|&d| d == 0.0) {
                return Vec::new();
            }
            let as_f32 = |d: &f64| (d * scale * factor) as f32;
            derivatives.iter().map(as_f32).collect()
        };
        let differences = probability.chunks_exact(classes).flat_map(|row| {
            let pairs = move |a: &f64| {
                let a = a * scale;
                row.iter().map(move |b| (a - b * scale) as f32)
            };
            row.iter().flat_map(pairs)
        });
        Self {
            classes,
            differences: differences.collect(),
            curves: scaled(squared_error, 2.0),
            logs: scaled(log_probability, 1.0),
        }
    }
}

/// Turns the probabilities `planes[class]` into the gradient by the logits, times
/// each element's weight. Where it has shares of the labels, it is that of each
/// label times the share.
///
/// # Panics
/// If the number of planes is not that of the classes, if one is not as long as
/// the reference, if a label names no class, or the processor lacks the
/// instructions.
pub fn softmax_gradient(
    instructions: Instructions,
    planes: &mut [&mut [f32]],
    reference: SoftmaxReference,
    slopes: &SoftmaxSlopes,
) {
    check(instructions, planes, reference);
    assert_eq!(planes.len(), slopes.classes, "planes and classes");
    // SAFETY: lengths and instructions were checked.
    let complete = unsafe {
        with_vector!(
            instructions,
            write(
                planes: &mut [&mut [f32]],
                reference: SoftmaxReference,
                slopes: &SoftmaxSlopes,
            ) -> Option<()>
        )
    };
    assert!(complete.is_some(), "a label names no class");
}

#[inline(always)]
unsafe fn write<V: Masked>(
    planes: &mut [&mut [f32]],
    reference: SoftmaxReference,
    slopes: &SoftmaxSlopes,
) -> Option<()> {
    let plain = slopes.curves.is_empty() && slopes.logs.is_empty();
    // SAFETY: handed on from the caller.
    unsafe {
        if plain {
            with_classes!(planes.len(), write_of::<V, true>(planes, reference, slopes))
        } else {
            with_classes!(
                planes.len(),
                write_of::<V, false>(planes, reference, slopes)
            )
        }
    }
}

/// `PLAIN`: the loss depends on sums of probabilities only.
#[inline(always)]
unsafe fn write_of<V: Masked, const PLAIN: bool, const MAX: usize>(
    planes: &mut [&mut [f32]],
    reference: SoftmaxReference,
    slopes: &SoftmaxSlopes,
) -> Option<()> {
    let classes = unrolled::<MAX>(planes.len());
    let count = reference.len();
    let whole = count / V::LANES;
    let skips = reference.weights.is_some();
    // SAFETY: whole registers lie within planes and reference, whose lengths are
    // equal; the rest goes through buffers of the widest register.
    unsafe {
        for register in 0..whole {
            let at = register * V::LANES;
            let p = load_whole::<V, MAX>(classes, planes, at);
            let weight = reference.weight::<V, false>(at);
            let found = match reference.class {
                ReferenceClass::Labels(labels) => {
                    let labels = labels.as_ptr().add(at);
                    let lanes = first_lanes(V::LANES);
                    of_labels::<V, PLAIN, MAX>(classes, &p, labels, lanes, weight, skips, slopes)?
                }
                ReferenceClass::Shares(shares) => {
                    let shares = load_whole::<V, MAX>(classes, shares, at);
                    of_shares::<V, PLAIN, MAX>(classes, &p, &shares, weight, slopes)
                }
            };
            store_whole(classes, &found, planes, at);
        }
        let at = whole * V::LANES;
        if at < count {
            let p = load_part::<V, MAX>(planes, at);
            let weight = reference.weight::<V, true>(at);
            let found = match reference.class {
                ReferenceClass::Labels(labels) => {
                    let part = label_part(labels, at);
                    let (part, lanes) = (part.as_ptr(), first_lanes(count - at));
                    of_labels::<V, PLAIN, MAX>(classes, &p, part, lanes, weight, skips, slopes)?
                }
                ReferenceClass::Shares(shares) => {
                    let shares = load_part::<V, MAX>(shares, at);
                    of_shares::<V, PLAIN, MAX>(classes, &p, &shares, weight, slopes)
                }
            };
            store_part(&found, planes, at);
        }
    }
    Some(())
}

/// Gradients of the elements of one register that `lanes` selects.
#[inline(always)]
unsafe fn of_labels<V: Masked, const PLAIN: bool, const MAX: usize>(
    classes: usize,
    p: &[V; MAX],
    label_bytes: *const u8,
    lanes: u32,
    weight: V,
    skips: bool,
    slopes: &SoftmaxSlopes,
) -> Option<[V; MAX]> {
    // SAFETY: the caller gives `V::LANES` labels.
    unsafe {
        let labels = V::load_bytes(label_bytes);
        let mut gradient = [V::splat(0.0); MAX];
        let mut left = lanes;
        while left != 0 {
            let label = usize::from(*label_bytes.add(left.trailing_zeros() as usize));
            let here = labels.equals(V::splat(label as f32));
            left &= !V::bits(here);
            if label < classes {
                let share = weight.keep(here);
                add_gradients::<V, PLAIN, MAX>(classes, p, label, share, slopes, &mut gradient);
            } else if !skips {
                return None;
            }
        }
        Some(gradient)
    }
}

/// Gradients of the elements of one register, which have a share of every label.
#[inline(always)]
unsafe fn of_shares<V: Masked, const PLAIN: bool, const MAX: usize>(
    classes: usize,
    p: &[V; MAX],
    shares: &[V; MAX],
    weight: V,
    slopes: &SoftmaxSlopes,
) -> [V; MAX] {
    // SAFETY: labels below `classes`.
    unsafe {
        let mut gradient = [V::splat(0.0); MAX];
        for (label, share) in shares[..classes].iter().enumerate() {
            let share = share.mul(weight);
            add_gradients::<V, PLAIN, MAX>(classes, p, label, share, slopes, &mut gradient);
        }
        gradient
    }
}

/// Adds a share of the gradients that the elements had, were they of `label`.
#[inline(always)]
unsafe fn add_gradients<V: Masked, const PLAIN: bool, const MAX: usize>(
    classes: usize,
    p: &[V; MAX],
    label: usize,
    share: V,
    slopes: &SoftmaxSlopes,
    gradient: &mut [V; MAX],
) {
    // SAFETY: `slopes` has all of every label below `classes`.
    unsafe {
        let of_label = if PLAIN {
            plain_gradients(classes, p, label, slopes)
        } else {
            label_gradients(classes, p, label, slopes)
        };
        for class in 0..classes {
            gradient[class] = gradient[class].add_product(of_label[class], share);
        }
    }
}

/// [`label_gradients`] where only `a` is not 0.
#[inline(always)]
unsafe fn plain_gradients<V: Masked, const MAX: usize>(
    classes: usize,
    p: &[V; MAX],
    label: usize,
    slopes: &SoftmaxSlopes,
) -> [V; MAX] {
    // SAFETY: `slopes` has all of every label below `classes`.
    unsafe {
        let mut gradient = [V::splat(0.0); MAX];
        let differences = slopes.differences.as_ptr().add(label * classes * classes);
        for class in 0..classes {
            let row = differences.add(class * classes);
            let mut sum = V::splat(0.0);
            for k in (0..classes).filter(|&k| k != class) {
                sum = sum.add_product(p[k], V::splat(*row.add(k)));
            }
            gradient[class] = p[class].mul(sum);
        }
        gradient
    }
}

/// Gradients of elements with probabilities `p`, were they all of `label`.
#[inline(always)]
unsafe fn label_gradients<V: Masked, const MAX: usize>(
    classes: usize,
    p: &[V; MAX],
    label: usize,
    slopes: &SoftmaxSlopes,
) -> [V; MAX] {
    // SAFETY: `slopes` has all of every label below `classes`.
    unsafe {
        let zero = V::splat(0.0);
        let mut gradient = [zero; MAX];
        let differences = slopes.differences.as_ptr().add(label * classes * classes);
        let mut miss = zero;
        for k in (0..classes).filter(|&k| k != label) {
            miss = miss.add(p[k]);
        }
        // 2 b_k times the error of class k.
        let mut bend = [zero; MAX];
        if !slopes.curves.is_empty() {
            let curves = slopes.curves.as_ptr().add(label * classes);
            for k in 0..classes {
                let error = if k == label { zero.sub(miss) } else { p[k] };
                bend[k] = error.mul(V::splat(*curves.add(k)));
            }
        }
        let by_log = V::splat(slopes.logs.get(label).copied().unwrap_or(0.0));
        for class in 0..classes {
            let row = differences.add(class * classes);
            let mut sum = zero;
            for k in (0..classes).filter(|&k| k != class) {
                let difference = V::splat(*row.add(k)).add(bend[class].sub(bend[k]));
                sum = sum.add_product(p[k], difference);
            }
            let share = if class == label {
                miss
            } else {
                zero.sub(p[class])
            };
            gradient[class] = p[class].mul(sum).add_product(by_log, share);
        }
        gradient
    }
}
