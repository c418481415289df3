//! From logits and labels to sums by label and class.

use super::{NO_LABEL, SOFTMAX_CLASSES_MAX, check, exponentials, first_lanes, label_part};
use super::{load_part, load_whole, store_part, store_whole, unrolled, with_classes};
use crate::Instructions;
use crate::exponential::log_1p;
use crate::masked::Masked;
use crate::vector::with_vector;

/// Registers whose terms are added in f32 before the sum goes to f64. A sum of
/// this many positive terms is off by 16 units in the last place at the most.
const RUN: usize = 32;

/// Floor of a log-probability, so that sums over a run stay in the range of
/// f32: `-2^100`. Only logits that differ by more reach it.
const LOG_FLOOR: f32 = -1.267_650_6e30;

const _: () = assert!(NO_LABEL as usize >= SOFTMAX_CLASSES_MAX);

/// The sums that are not always computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumsWanted {
    /// [`SoftmaxSums::squared_error`].
    pub squared_error: bool,
    /// [`SoftmaxSums::log_probability`].
    pub log_probability: bool,
}

/// Sums over elements, by label; `[label, class]` where by class too.
///
/// Every sum has its own terms, none is a difference of two others, so a rare
/// label keeps its relative accuracy beside frequent ones.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxSums {
    /// Elements.
    pub count: Vec<u64>,
    /// Elements of which another class than the first has the largest logit; of
    /// equal ones the first counts.
    pub foreground: Vec<u64>,
    /// Probability of the class.
    pub probability: Vec<f64>,
    /// Square of 1 less the probability for the label's class, of the
    /// probability for others. 0 unless wanted.
    pub squared_error: Vec<f64>,
    /// Logarithm of the probability of the label's class, each at least
    /// `-2^100`. 0 unless wanted.
    pub log_probability: Vec<f64>,
}

/// The sums over elements with logits `planes[class]` and `labels`; writes the
/// probabilities to `probabilities[class]`. `None` where a label is not below the
/// number of planes or a logit is not finite: then they mean nothing.
///
/// # Panics
/// If there are fewer than 2 planes of either or more than
/// [`SOFTMAX_CLASSES_MAX`], if one is not as long as the labels, or the
/// processor lacks the instructions.
pub fn softmax_sums(
    instructions: Instructions,
    planes: &[&[f32]],
    labels: &[u8],
    wanted: SumsWanted,
    probabilities: &mut [&mut [f32]],
) -> Option<SoftmaxSums> {
    check(instructions, planes, labels);
    check(instructions, probabilities, labels);
    assert_eq!(planes.len(), probabilities.len(), "planes of probabilities");
    let columns = Columns::new(planes.len(), wanted);
    let out = probabilities;
    // SAFETY: lengths and instructions were checked.
    let totals = unsafe {
        with_vector!(
            instructions,
            sums(planes: &[&[f32]], labels: &[u8], columns: Columns, out: &mut [&mut [f32]]) -> Option<Vec<f64>>
        )
    }?;
    Some(columns.split(&totals))
}

/// Order of the sums of one label: probabilities, elements, elements found to
/// be foreground, then those wanted: logarithms, squared errors.
#[derive(Clone, Copy)]
struct Columns {
    classes: usize,
    count: usize,
    wanted: SumsWanted,
}

impl Columns {
    fn new(classes: usize, wanted: SumsWanted) -> Self {
        let squares = if wanted.squared_error { classes } else { 0 };
        Self {
            classes,
            count: classes + 2 + usize::from(wanted.log_probability) + squares,
            wanted,
        }
    }

    fn split(self, totals: &[f64]) -> SoftmaxSums {
        let classes = self.classes;
        let mut sums = SoftmaxSums {
            count: vec![0; classes],
            foreground: vec![0; classes],
            probability: vec![0.0; classes * classes],
            squared_error: vec![0.0; classes * classes],
            log_probability: vec![0.0; classes],
        };
        for (label, row) in totals.chunks_exact(self.count).enumerate() {
            let by_class = label * classes..(label + 1) * classes;
            sums.probability[by_class.clone()].copy_from_slice(&row[..classes]);
            sums.count[label] = row[classes] as u64;
            sums.foreground[label] = row[classes + 1] as u64;
            let mut rest = &row[classes + 2..];
            if self.wanted.log_probability {
                sums.log_probability[label] = rest[0];
                rest = &rest[1..];
            }
            if self.wanted.squared_error {
                sums.squared_error[by_class].copy_from_slice(rest);
            }
        }
        sums
    }
}

#[inline(always)]
unsafe fn sums<V: Masked>(
    planes: &[&[f32]],
    labels: &[u8],
    columns: Columns,
    out: &mut [&mut [f32]],
) -> Option<Vec<f64>> {
    let wanted = columns.wanted;
    // SAFETY: handed on from the caller.
    unsafe {
        if wanted.log_probability || wanted.squared_error {
            with_classes!(
                planes.len(),
                sums_of::<V, false>(planes, labels, columns, out)
            )
        } else {
            with_classes!(
                planes.len(),
                sums_of::<V, true>(planes, labels, columns, out)
            )
        }
    }
}

/// `PLAIN`: only the sums that are always computed are wanted.
#[inline(always)]
unsafe fn sums_of<V: Masked, const PLAIN: bool, const MAX: usize>(
    planes: &[&[f32]],
    labels: &[u8],
    columns: Columns,
    out: &mut [&mut [f32]],
) -> Option<Vec<f64>> {
    let classes = unrolled::<MAX>(planes.len());
    let whole = labels.len() / V::LANES;
    // SAFETY: whole registers lie within planes and labels, whose lengths are
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
                let labels = labels.as_ptr().add(at);
                let p = run.add::<PLAIN, MAX>(classes, &z, labels, first_lanes(V::LANES))?;
                store_whole(classes, &p, out, at);
            }
            run.finish();
        }
        let at = whole * V::LANES;
        if at < labels.len() {
            let z = load_part::<V, MAX>(planes, at);
            for z in &z[..classes] {
                not_finite = not_finite.add_product(*z, zero);
            }
            let part = label_part(labels, at);
            let lanes = first_lanes(labels.len() - at);
            let p = run.add::<PLAIN, MAX>(classes, &z, part.as_ptr(), lanes)?;
            store_part(&p, out, at);
            run.finish();
        }
        let finite = V::bits(not_finite.equals(zero)) == first_lanes(V::LANES);
        finite.then_some(run.totals)
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

    /// Adds the elements of one register that `lanes` selects and gives their
    /// probabilities; `None` if a label names no class.
    #[inline(always)]
    unsafe fn add<const PLAIN: bool, const MAX: usize>(
        &mut self,
        classes: usize,
        z: &[V; MAX],
        label_bytes: *const u8,
        lanes: u32,
    ) -> Option<[V; MAX]> {
        // SAFETY: the caller gives `V::LANES` labels; `part` has a row of
        // `columns.count` for every label below `classes`.
        unsafe {
            let x = exponentials(classes, z);
            let one = V::splat(1.0);
            let inverse = one.div(x.total);
            let mut p = x.each;
            for p in &mut p[..classes] {
                *p = p.mul(inverse);
            }
            let foreground = one.keep(x.largest.greater(z[0]));
            let labels = V::load_bytes(label_bytes);

            // Label by label: nearly always the elements of a register share one.
            let mut left = lanes;
            while left != 0 {
                let label = usize::from(*label_bytes.add(left.trailing_zeros() as usize));
                if label >= classes {
                    return None;
                }
                let here = labels.equals(V::splat(label as f32));
                left &= !V::bits(here);
                self.labels |= 1 << label;
                let row = self.part.as_mut_ptr().add(label * self.columns.count);
                for (class, p) in p[..classes].iter().enumerate() {
                    add_to(row.add(class), p.keep(here));
                }
                add_to(row.add(classes), one.keep(here));
                add_to(row.add(classes + 1), foreground.keep(here));

                if PLAIN {
                    continue;
                }
                let wanted = self.columns.wanted;
                let mut others = V::splat(0.0);
                let mut below = V::splat(0.0);
                for (class, (z, e)) in z.iter().zip(&x.each).take(classes).enumerate() {
                    if class == label {
                        below = z.sub(x.largest);
                    } else {
                        others = others.add(*e);
                    }
                }
                let mut to = row.add(classes + 2);
                if wanted.log_probability {
                    let log = log_probability(below, others, x.total);
                    add_to(to, log.keep(here));
                    to = to.add(1);
                }
                if wanted.squared_error {
                    for (class, p) in p[..classes].iter().enumerate() {
                        let error = if class == label {
                            others.mul(inverse)
                        } else {
                            *p
                        };
                        add_to(to.add(class), error.mul(error).keep(here));
                    }
                }
            }
            Some(p)
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
unsafe fn add_to<V: Masked>(to: *mut V, value: V) {
    // SAFETY: the caller gives a valid sum.
    unsafe { *to = (*to).add(value) }
}

/// Logarithm of the label's probability, whose logit lies `below` the largest.
#[inline(always)]
pub(super) unsafe fn log_probability<V: Masked>(below: V, others: V, total: V) -> V {
    // SAFETY: arithmetic only, under the caller's instructions.
    unsafe {
        // `total - 1` is the others' share only roughly; where the label's class
        // is not the largest, `below` or ln 2 drowns that.
        let is_largest = below.equals(V::splat(0.0));
        let rest = others.or_else(is_largest, total.sub(V::splat(1.0)));
        let floor = V::splat(LOG_FLOOR);
        below.max(floor).sub(log_1p(rest)).max(floor)
    }
}
