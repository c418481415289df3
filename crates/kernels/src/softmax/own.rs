//! The probability of each element's own label, and the gradient of a loss that
//! depends on nothing else.
//!
//! Such a loss has a slope `s_n = dL/d log p_ln` per element, and
//! `dL/dz_c = s_n ([c = l] - p_c)`. A term `u_n sum_c k_c (-log p_c)`, which all
//! classes share, adds `u_n (p_c sum_j k_j - k_c)`.

use super::sums::log_probability;
use super::{LANES_MAX, SoftmaxReference, others_of_largest, unrolled, with_classes};
use super::{check, exponentials, label_part, load_part, load_whole, store_part, store_whole};
use crate::Instructions;
use crate::exponential::log_1p;
use crate::masked::Masked;
use crate::vector::with_vector;

/// Writes the probabilities `probabilities[class]`, and of each element's label
/// the logarithm of the probability, at least `-2^100`, and what it misses,
/// `1 - p`. Where a label names no class they are 0 and 1. `spread` holds a factor
/// `k_c` per class, and is given `sum_c k_c log p_c` of each element.
///
/// # Panics
/// If there are fewer than 2 planes or too many, if lengths differ, or the
/// processor lacks the instructions.
pub fn softmax_own(
    instructions: Instructions,
    planes: &[&[f32]],
    labels: &[u8],
    probabilities: &mut [&mut [f32]],
    [log_own, rest]: [&mut [f32]; 2],
    spread: Option<(&[f32], &mut [f32])>,
) {
    check(instructions, planes, SoftmaxReference::labels(labels));
    check(
        instructions,
        probabilities,
        SoftmaxReference::labels(labels),
    );
    assert_eq!(planes.len(), probabilities.len(), "planes of probabilities");
    assert_eq!(log_own.len(), labels.len(), "logarithms and labels");
    assert_eq!(rest.len(), labels.len(), "rests and labels");
    let (factors, logs) = spread.unwrap_or((&[], &mut []));
    if !factors.is_empty() {
        assert_eq!(factors.len(), planes.len(), "factors and classes");
        assert_eq!(logs.len(), labels.len(), "logarithms and labels");
    }
    let out = probabilities;
    // SAFETY: lengths and instructions were checked.
    unsafe {
        with_vector!(
            instructions,
            own(
                planes: &[&[f32]],
                labels: &[u8],
                out: &mut [&mut [f32]],
                log_own: &mut [f32],
                rest: &mut [f32],
                factors: &[f32],
                logs: &mut [f32],
            )
        );
    }
}

#[inline(always)]
unsafe fn own<V: Masked>(
    planes: &[&[f32]],
    labels: &[u8],
    out: &mut [&mut [f32]],
    log_own: &mut [f32],
    rest: &mut [f32],
    factors: &[f32],
    logs: &mut [f32],
) {
    // SAFETY: handed on from the caller.
    unsafe {
        if factors.is_empty() {
            with_classes!(
                planes.len(),
                own_of::<V, true>(planes, labels, out, log_own, rest, factors, logs)
            );
        } else {
            with_classes!(
                planes.len(),
                own_of::<V, false>(planes, labels, out, log_own, rest, factors, logs)
            );
        }
    }
}

/// `PLAIN`: there are no factors.
#[inline(always)]
unsafe fn own_of<V: Masked, const PLAIN: bool, const MAX: usize>(
    planes: &[&[f32]],
    labels: &[u8],
    out: &mut [&mut [f32]],
    log_own: &mut [f32],
    rest: &mut [f32],
    factors: &[f32],
    logs: &mut [f32],
) {
    let classes = unrolled::<MAX>(planes.len());
    let whole = labels.len() / V::LANES;
    // SAFETY: whole registers lie within all slices, whose lengths are equal;
    // the rest goes through buffers of the widest register.
    unsafe {
        for register in 0..whole {
            let at = register * V::LANES;
            let z = load_whole::<V, MAX>(classes, planes, at);
            let found = V::load_bytes(labels.as_ptr().add(at));
            let own = own_register::<V, PLAIN, MAX>(classes, &z, found, factors);
            store_whole(classes, &own.p, out, at);
            own.log.store(log_own.as_mut_ptr().add(at));
            own.rest.store(rest.as_mut_ptr().add(at));
            if !PLAIN {
                own.spread.store(logs.as_mut_ptr().add(at));
            }
        }
        let at = whole * V::LANES;
        if at < labels.len() {
            let z = load_part::<V, MAX>(planes, at);
            let part = label_part(labels, at);
            let found = V::load_bytes(part.as_ptr());
            let own = own_register::<V, PLAIN, MAX>(classes, &z, found, factors);
            store_part(&own.p, out, at);
            store_rest(own.log, &mut log_own[at..]);
            store_rest(own.rest, &mut rest[at..]);
            if !PLAIN {
                store_rest(own.spread, &mut logs[at..]);
            }
        }
    }
}

#[inline(always)]
unsafe fn store_rest<V: Masked>(values: V, to: &mut [f32]) {
    let mut part = [0.0f32; LANES_MAX];
    // SAFETY: `part` holds the widest register.
    unsafe { values.store(part.as_mut_ptr()) };
    to.copy_from_slice(&part[..to.len()]);
}

/// A register of elements.
struct OwnRegister<V, const MAX: usize> {
    p: [V; MAX],
    /// Of the labels.
    log: V,
    rest: V,
    /// Of all classes, times their factors.
    spread: V,
}

#[inline(always)]
unsafe fn own_register<V: Masked, const PLAIN: bool, const MAX: usize>(
    classes: usize,
    z: &[V; MAX],
    labels: V,
    factors: &[f32],
) -> OwnRegister<V, MAX> {
    // SAFETY: arithmetic only, under the caller's instructions.
    unsafe {
        let x = exponentials(classes, z);
        let zero = V::splat(0.0);
        let inverse = V::splat(1.0).div(x.total);
        let mut p = x.each;
        let mut below = *z;
        let (mut own_below, mut others) = (zero, zero);
        for class in 0..classes {
            p[class] = p[class].mul(inverse);
            below[class] = z[class].sub(x.largest);
            let here = labels.equals(V::splat(class as f32));
            own_below = own_below.add(below[class].keep(here));
            others = others.add(zero.or_else(here, x.each[class]));
        }
        let log_total = log_1p(others_of_largest(classes, &x, &below));
        let log = log_probability(own_below, log_total);
        // A label that names no class has all others: nothing is its own.
        let named = V::splat(classes as f32).greater(labels);
        let mut spread = zero;
        if !PLAIN {
            for (below, factor) in below[..classes].iter().zip(factors) {
                let log = log_probability(*below, log_total);
                spread = spread.add_product(log, V::splat(*factor));
            }
        }
        OwnRegister {
            p,
            log: log.keep(named),
            rest: others.mul(inverse),
            spread,
        }
    }
}

/// What all classes share: per class `k_c`, and per element `u_n`.
#[derive(Clone, Copy, Debug)]
pub struct Spread<'a> {
    /// `k_c`.
    pub classes: &'a [f32],
    /// `u_n`.
    pub elements: &'a [f32],
}

/// Turns the probabilities `planes[class]` into the gradient by the logits;
/// `rest` is what [`softmax_own`] gave, `slopes` are the `s_n`.
///
/// # Panics
/// As [`softmax_own`].
pub fn own_gradient(
    instructions: Instructions,
    planes: &mut [&mut [f32]],
    labels: &[u8],
    rest: &[f32],
    slopes: &[f32],
    spread: Option<Spread>,
) {
    check(instructions, planes, SoftmaxReference::labels(labels));
    assert_eq!(rest.len(), labels.len(), "rests and labels");
    assert_eq!(slopes.len(), labels.len(), "slopes and labels");
    if let Some(spread) = spread {
        assert_eq!(spread.classes.len(), planes.len(), "constants and planes");
        assert_eq!(spread.elements.len(), labels.len(), "factors and labels");
    }
    // SAFETY: lengths and instructions were checked.
    unsafe {
        with_vector!(
            instructions,
            write(
                planes: &mut [&mut [f32]],
                labels: &[u8],
                rest: &[f32],
                slopes: &[f32],
                spread: Option<Spread<'_>>,
            )
        );
    }
}

#[inline(always)]
unsafe fn write<V: Masked>(
    planes: &mut [&mut [f32]],
    labels: &[u8],
    rest: &[f32],
    slopes: &[f32],
    spread: Option<Spread<'_>>,
) {
    let sum = spread.map_or(0.0, |s| s.classes.iter().sum::<f32>());
    let whole = labels.len() / V::LANES;
    for (class, plane) in planes.iter_mut().enumerate() {
        let constant = spread.map_or(0.0, |s| s.classes[class]);
        // SAFETY: whole registers lie within all slices, whose lengths are equal.
        unsafe {
            let wanted = V::splat(class as f32);
            let (sum, constant) = (V::splat(sum), V::splat(constant));
            for register in 0..whole {
                let at = register * V::LANES;
                let p = V::load(plane.as_ptr().add(at));
                let here = V::load_bytes(labels.as_ptr().add(at)).equals(wanted);
                let share = V::load(rest.as_ptr().add(at)).or_else(here, V::splat(0.0).sub(p));
                let mut slope = V::load(slopes.as_ptr().add(at)).mul(share);
                if let Some(spread) = spread {
                    let factor = V::load(spread.elements.as_ptr().add(at));
                    slope = slope.add_product(factor, p.mul(sum).sub(constant));
                }
                slope.store(plane.as_mut_ptr().add(at));
            }
        }
        for at in whole * V::LANES..labels.len() {
            let p = plane[at];
            let here = usize::from(labels[at]) == class;
            let mut slope = slopes[at] * if here { rest[at] } else { -p };
            if let Some(spread) = spread {
                slope += spread.elements[at] * (p * sum - constant);
            }
            plane[at] = slope;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against f64 arithmetic, element by element, on every path.
    #[test]
    fn own_probabilities_and_gradients_are_those_of_f64() {
        for instructions in Instructions::available() {
            for (classes, count) in [(2, 37), (3, 16), (5, 9), (16, 5)] {
                let wave = |i: usize| ((i * i) as f32 * 0.37).sin() * 6.0;
                let logits: Vec<Vec<f32>> = (0..classes)
                    .map(|c| (0..count).map(|i| wave(i + 31 * c)).collect())
                    .collect();
                // One label in seven names no class.
                let label = |i: usize| if i % 7 == 6 { 255 } else { (i % classes) as u8 };
                let labels: Vec<u8> = (0..count).map(label).collect();
                let planes: Vec<&[f32]> = logits.iter().map(Vec::as_slice).collect();
                let mut p = vec![vec![0.0; count]; classes];
                let (mut log, mut rest) = (vec![0.0; count], vec![0.0; count]);
                let mut out: Vec<&mut [f32]> = p.iter_mut().map(Vec::as_mut_slice).collect();
                let constants: Vec<f32> = (0..classes).map(|c| 0.1 + c as f32).collect();
                let mut all = vec![0.0; count];
                softmax_own(
                    instructions,
                    &planes,
                    &labels,
                    &mut out,
                    [&mut log, &mut rest],
                    Some((&constants, &mut all)),
                );
                let slopes: Vec<f32> = (0..count)
                    .map(|i| if labels[i] == 255 { 0.0 } else { wave(i) })
                    .collect();
                let factors = vec![0.5; count];
                let spread = Spread {
                    classes: &constants,
                    elements: &factors,
                };
                let mut out: Vec<&mut [f32]> = p.iter_mut().map(Vec::as_mut_slice).collect();
                own_gradient(
                    instructions,
                    &mut out,
                    &labels,
                    &rest,
                    &slopes,
                    Some(spread),
                );
                let sum: f64 = constants.iter().map(|k| f64::from(*k)).sum();
                for i in 0..count {
                    let e: Vec<f64> = logits.iter().map(|z| f64::from(z[i]).exp()).collect();
                    let total: f64 = e.iter().sum();
                    let own = usize::from(labels[i]);
                    let logs = e.iter().zip(&constants);
                    let expected: f64 = logs.map(|(e, k)| f64::from(*k) * (e / total).ln()).sum();
                    assert!((f64::from(all[i]) / expected - 1.0).abs() < 2e-6);
                    if own < classes {
                        let expected = (e[own] / total).ln();
                        assert!(
                            (f64::from(log[i]) - expected).abs() < 2e-6 * expected.abs() + 1e-9
                        );
                        let missed: f64 = 1.0 - e[own] / total;
                        assert!((f64::from(rest[i]) - missed).abs() < 1e-6);
                    }
                    for c in 0..classes {
                        let p_c = e[c] / total;
                        let hit = f64::from(u8::from(c == own));
                        let expected = f64::from(slopes[i]) * (hit - p_c)
                            + 0.5 * (p_c * sum - f64::from(constants[c]));
                        assert!((f64::from(p[c][i]) - expected).abs() < 2e-5, "{c} {i}");
                    }
                }
            }
        }
    }
}
