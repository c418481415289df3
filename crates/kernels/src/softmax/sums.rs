//! From logits and labels to sums by label and class.

mod columns;

pub use columns::{SoftmaxSums, SumsWanted};

use super::{
    Exponentials, LOG_FLOOR, NO_LABEL, RUN, ReferenceClass, SOFTMAX_CLASSES_MAX, SoftmaxReference,
    check,
};
use super::{exponentials, first_lanes, label_part, others_of_largest};
use super::{load_part, load_whole, store_part, store_whole, unrolled, with_classes};
use crate::Instructions;
use crate::exponential::log_1p;
use crate::masked::Masked;
use crate::vector::with_vector;
use columns::Columns;

const _: () = assert!(NO_LABEL as usize >= SOFTMAX_CLASSES_MAX);

/// The sums over elements with logits `planes[class]` and their reference; writes
/// the probabilities to `probabilities[class]`. `None` where a label is not below
/// the number of planes or a logit is not finite: then they mean nothing.
///
/// # Panics
/// If there are fewer than 2 planes of either or more than
/// [`SOFTMAX_CLASSES_MAX`], if one is not as long as the reference, or the
/// processor lacks the instructions.
pub fn softmax_sums(
    instructions: Instructions,
    planes: &[&[f32]],
    reference: SoftmaxReference,
    wanted: SumsWanted,
    probabilities: &mut [&mut [f32]],
) -> Option<SoftmaxSums> {
    check(instructions, planes, reference);
    check(instructions, probabilities, reference);
    assert_eq!(planes.len(), probabilities.len(), "planes of probabilities");
    let columns = Columns::new(planes.len(), reference, wanted);
    let out = probabilities;
    // SAFETY: lengths and instructions were checked.
    let totals = unsafe {
        with_vector!(
            instructions,
            sums(
                planes: &[&[f32]],
                reference: SoftmaxReference,
                columns: Columns,
                out: &mut [&mut [f32]],
            ) -> Option<Vec<f64>>
        )
    }?;
    Some(columns.split(&totals))
}

#[inline(always)]
unsafe fn sums<V: Masked>(
    planes: &[&[f32]],
    reference: SoftmaxReference,
    columns: Columns,
    out: &mut [&mut [f32]],
) -> Option<Vec<f64>> {
    let wanted = columns.wanted;
    // SAFETY: handed on from the caller.
    unsafe {
        if wanted.log_probability || wanted.squared_error {
            with_classes!(
                planes.len(),
                sums_of::<V, false>(planes, reference, columns, out)
            )
        } else {
            with_classes!(
                planes.len(),
                sums_of::<V, true>(planes, reference, columns, out)
            )
        }
    }
}

/// `PLAIN`: only the sums that are always computed are wanted.
#[inline(always)]
unsafe fn sums_of<V: Masked, const PLAIN: bool, const MAX: usize>(
    planes: &[&[f32]],
    reference: SoftmaxReference,
    columns: Columns,
    out: &mut [&mut [f32]],
) -> Option<Vec<f64>> {
    let classes = unrolled::<MAX>(planes.len());
    let count = reference.len();
    let whole = count / V::LANES;
    // SAFETY: whole registers lie within planes and reference, whose lengths are
    // equal; the rest goes through buffers of the widest register.
    unsafe {
        let zero = V::splat(0.0);
        let mut run = Run::<V>::new(columns);
        let mut not_finite = zero;
        for first in (0..whole).step_by(RUN) {
            for register in first..whole.min(first + RUN) {
                let at = register * V::LANES;
                let z = load_whole::<V, MAX>(classes, planes, at);
                for z in &z[..classes] {
                    not_finite = not_finite.add_product(*z, zero);
                }
                let weight = reference.weight::<V, false>(at);
                let element = Probabilities::new(columns, classes, &z, weight);
                match reference.class {
                    ReferenceClass::Labels(labels) => {
                        let labels = labels.as_ptr().add(at);
                        let lanes = first_lanes(V::LANES);
                        let skips = reference.weights.is_some();
                        run.add_labels::<PLAIN, MAX>(classes, &element, labels, lanes, skips)?;
                    }
                    ReferenceClass::Shares(shares) => {
                        let shares = load_whole::<V, MAX>(classes, shares, at);
                        run.add_shares::<PLAIN, MAX>(classes, &element, &shares);
                    }
                }
                store_whole(classes, &element.p, out, at);
            }
            run.finish();
        }
        let at = whole * V::LANES;
        if at < count {
            let z = load_part::<V, MAX>(planes, at);
            for z in &z[..classes] {
                not_finite = not_finite.add_product(*z, zero);
            }
            let weight = reference.weight::<V, true>(at);
            let element = Probabilities::new(columns, classes, &z, weight);
            match reference.class {
                ReferenceClass::Labels(labels) => {
                    let part = label_part(labels, at);
                    let (part, lanes) = (part.as_ptr(), first_lanes(count - at));
                    let skips = reference.weights.is_some();
                    run.add_labels::<PLAIN, MAX>(classes, &element, part, lanes, skips)?;
                }
                ReferenceClass::Shares(shares) => {
                    let shares = load_part::<V, MAX>(shares, at);
                    run.add_shares::<PLAIN, MAX>(classes, &element, &shares);
                }
            }
            store_part(&element.p, out, at);
            run.finish();
        }
        let finite = V::bits(not_finite.equals(zero)) == first_lanes(V::LANES);
        finite.then_some(run.totals)
    }
}

/// One register of elements, before it is known what they are.
struct Probabilities<V, const MAX: usize> {
    x: Exponentials<V, MAX>,
    p: [V; MAX],
    inverse: V,
    /// `z` less the largest.
    below: [V; MAX],
    /// Logarithm of the sum of the exponentials, if it is wanted.
    log_total: V,
    /// 1 where another class than the first has the largest logit.
    foreground: V,
    /// How much each element counts.
    weight: V,
}

impl<V: Masked, const MAX: usize> Probabilities<V, MAX> {
    #[inline(always)]
    unsafe fn new(columns: Columns, classes: usize, z: &[V; MAX], weight: V) -> Self {
        // SAFETY: arithmetic only, under the caller's instructions.
        unsafe {
            let x = exponentials(classes, z);
            let one = V::splat(1.0);
            let inverse = one.div(x.total);
            let mut p = x.each;
            let mut below = *z;
            for class in 0..classes {
                p[class] = p[class].mul(inverse);
                below[class] = z[class].sub(x.largest);
            }
            let log_total = match columns.wanted.log_probability {
                true => log_1p(others_of_largest(classes, &x, &below)),
                false => one,
            };
            Self {
                foreground: one.keep(x.largest.greater(z[0])),
                x,
                p,
                inverse,
                below,
                log_total,
                weight,
            }
        }
    }
}

/// Sums of a run of registers, and of the runs before it.
struct Run<V> {
    columns: Columns,
    /// Of the run, `[label, column]`.
    part: Vec<V>,
    /// Labels of the run, by bit.
    labels: u32,
    /// Of all runs before, `[label, column]`.
    totals: Vec<f64>,
}

impl<V: Masked> Run<V> {
    #[inline(always)]
    unsafe fn new(columns: Columns) -> Self {
        let sums = columns.classes * columns.count;
        Self {
            columns,
            // SAFETY: arithmetic only, under the caller's instructions.
            part: vec![unsafe { V::splat(0.0) }; sums],
            labels: 0,
            totals: vec![0.0; sums],
        }
    }

    /// Adds the elements of one register that `lanes` selects; `None` if a label
    /// names no class and is not skipped.
    #[inline(always)]
    unsafe fn add_labels<const PLAIN: bool, const MAX: usize>(
        &mut self,
        classes: usize,
        element: &Probabilities<V, MAX>,
        label_bytes: *const u8,
        lanes: u32,
        skips: bool,
    ) -> Option<()> {
        // SAFETY: the caller gives `V::LANES` labels.
        unsafe {
            let labels = V::load_bytes(label_bytes);
            // Label by label: nearly always the elements of a register share one.
            let mut left = lanes;
            while left != 0 {
                let label = usize::from(*label_bytes.add(left.trailing_zeros() as usize));
                let here = labels.equals(V::splat(label as f32));
                left &= !V::bits(here);
                if label < classes {
                    let share = element.weight.keep(here);
                    self.add_label::<PLAIN, MAX>(classes, element, label, share);
                } else if !skips {
                    return None;
                }
            }
            Some(())
        }
    }

    /// Adds the elements of one register, which have a share of every label.
    #[inline(always)]
    unsafe fn add_shares<const PLAIN: bool, const MAX: usize>(
        &mut self,
        classes: usize,
        element: &Probabilities<V, MAX>,
        shares: &[V; MAX],
    ) {
        for (label, share) in shares[..classes].iter().enumerate() {
            // SAFETY: a label below `classes`, whose last column is that of squares.
            unsafe {
                let weighted = share.mul(element.weight);
                self.add_label::<PLAIN, MAX>(classes, element, label, weighted);
                let last = (label + 1) * self.columns.count - 1;
                add_to(self.part.as_mut_ptr().add(last), *share, weighted);
            }
        }
    }

    /// Adds a share of each element of a register to the sums of a label.
    #[inline(always)]
    unsafe fn add_label<const PLAIN: bool, const MAX: usize>(
        &mut self,
        classes: usize,
        element: &Probabilities<V, MAX>,
        label: usize,
        share: V,
    ) {
        self.labels |= 1 << label;
        // SAFETY: `part` has a row of `columns.count` for every label below `classes`.
        unsafe {
            let row = self.part.as_mut_ptr().add(label * self.columns.count);
            for (class, p) in element.p[..classes].iter().enumerate() {
                add_to(row.add(class), *p, share);
            }
            add_to(row.add(classes), V::splat(1.0), share);
            add_to(row.add(classes + 1), element.foreground, share);

            if PLAIN {
                return;
            }
            let wanted = self.columns.wanted;
            let mut to = row.add(classes + 2);
            if wanted.log_probability {
                let log = log_probability(element.below[label], element.log_total);
                add_to(to, log, share);
                to = to.add(1);
            }
            if wanted.squared_error {
                let mut others = V::splat(0.0);
                for (_, e) in (element.x.each[..classes].iter().enumerate())
                    .filter(|(class, _)| *class != label)
                {
                    others = others.add(*e);
                }
                for (class, p) in element.p[..classes].iter().enumerate() {
                    let error = if class == label {
                        others.mul(element.inverse)
                    } else {
                        *p
                    };
                    add_to(to.add(class), error.mul(error), share);
                }
            }
        }
    }

    /// Takes the run's sums to f64, lanes in order, and starts another.
    #[inline(always)]
    unsafe fn finish(&mut self) {
        let width = self.columns.count;
        while self.labels != 0 {
            let first = self.labels.trailing_zeros() as usize * width;
            self.labels &= self.labels - 1;
            let row = first..first + width;
            for (part, total) in self.part[row.clone()].iter_mut().zip(&mut self.totals[row]) {
                let mut lanes = [0.0f32; super::LANES_MAX];
                // SAFETY: `lanes` holds the widest register.
                unsafe {
                    part.store(lanes.as_mut_ptr());
                    *part = V::splat(0.0);
                }
                *total += lanes[..V::LANES]
                    .iter()
                    .map(|&lane| f64::from(lane))
                    .sum::<f64>();
            }
        }
    }
}

#[inline(always)]
unsafe fn add_to<V: Masked>(to: *mut V, value: V, share: V) {
    // SAFETY: the caller gives a valid sum.
    unsafe { *to = (*to).add_product(value, share) }
}

/// Logarithm of the label's probability, whose logit lies `below` the largest.
#[inline(always)]
pub(super) unsafe fn log_probability<V: Masked>(below: V, log_total: V) -> V {
    // SAFETY: arithmetic only, under the caller's instructions.
    unsafe {
        let floor = V::splat(LOG_FLOOR);
        below.max(floor).sub(log_total).max(floor)
    }
}
