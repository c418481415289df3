//! Generalised Dice loss (Sudre et al. 2017, section 2.1; the score is of Crum
//! et al., IEEE TMI 2006):
//!
//! `GDL = 1 - 2 sum_l w_l sum_n r_ln p_ln / sum_l w_l sum_n (r_ln + p_ln)`
//!
//! evaluated as `E / B` with `E = sum_l w_l m_l`, `B = sum_l w_l (V_l + P_l)` and
//! `m_l = V_l + P_l - 2 sum_n r_ln p_ln` ([`Statistics::mismatch`]). It is 0 at a
//! perfect prediction and 1 where no element of a weighted class is right.
//!
//! The weights matter up to a common factor only. They are taken relative to
//! the largest, `w_l = (s / S_l)^k` with `S_l` the size that the weighting
//! divides by and `s` the smallest of them, so one voxel in 256^3 neither
//! overflows nor drowns, and no additive epsilon is needed: `B > 0` always.
//!
//! # A class without any element
//! `1/V_l` does not exist then. [`EmptyClass`] says what is done instead. For a
//! lesion-free patch of N elements of which the prediction claims F:
//!
//! | policy | loss | all lesion | 1 % false | dL/dF at F = 0 and at F = N |
//! |---|---|---|---|---|
//! | `max` | F/N | 1 | .01 | 1/N and 1/N |
//! | `zero` | F/(2N - F) | 1 | .005 | 1/2N and 2/N |
//! | `one-voxel` | about F/(F + 2/N) | 1 | 1 | N/2 and 2/N^3 |
//!
//! `max` is the default: every false voxel costs the same, whatever has been
//! claimed already. `one-voxel` is saturated by a fraction 1/N of one voxel, so
//! the softmax's own floor leaves it without a useful slope. MONAI 1.5 has the
//! rule of `max` but adds 1e-5 after weighting, which is large beside 1/V: at
//! N = 96^3 all lesion costs .184 there and 1 here, 1 % false .0018 and .01.
//!
//! # Gradient
//! The paper's closed form for two classes, weights held constant, has the
//! wrong sign as printed. Right, and tested here, is
//!
//! `dGDL/dp_i = +2 { (w1^2 - w2^2) [sum p r - r_i sum (p + r)] + N w2 (w1 + w2)
//! (1 - 2 r_i) } / [(w1 - w2) sum (p + r) + 2 N w2]^2`

mod peers;

use crate::loss::{Form, Honours, Loss, Needs, StatisticsLoss};
use crate::options::ClassSubset;
use crate::{ClassSums, Compatibility, LossError, Statistics, StatisticsGradient};
use serde::{Deserialize, Serialize};

/// What a class is weighted by; `V` is its number of elements in the labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeight {
    /// `1/V^2`, the paper's `GDL_v`.
    #[default]
    Square,
    /// `1/V`.
    Simple,
    /// 1.
    Uniform,
    /// `1/(V + P)` with `P` the predicted volume, as one printing of the paper
    /// has it. Where every class is present, the value is that of the soft Dice
    /// loss averaged over the classes.
    VolumeSum,
}

/// What weight a class gets that no label has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmptyClass {
    /// The largest weight among the classes present, as in NiftyNet.
    #[default]
    Max,
    /// None: what is falsely claimed for it costs only the overlap that the
    /// classes present lose.
    Zero,
    /// That of a class of one element (`V = 1`).
    OneVoxel,
}

/// The generalised Dice loss; see [the module](self) for equation and policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeneralisedDice {
    /// Over which classes the sums run.
    pub classes: ClassSubset,
    /// What a class is weighted by.
    pub weight: ClassWeight,
    /// What a class without elements is weighted by.
    pub empty_class: EmptyClass,
    /// Whether the gradient includes the weights' dependence on the prediction.
    /// Only with [`ClassWeight::VolumeSum`]: the others have none.
    pub differentiate_weight: bool,
}

/// The size a class is weighted by, and the class whose volumes it comes from.
#[derive(Clone, Copy)]
struct Size {
    value: f64,
    source: usize,
}

impl GeneralisedDice {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "generalised-dice";

    /// Size to weight class `l` by, were its volume in the labels `volume`.
    fn size(&self, statistics: &Statistics, l: usize, volume: f64) -> Size {
        let value = match self.weight {
            ClassWeight::Square | ClassWeight::Simple => volume,
            ClassWeight::Uniform => 1.0,
            ClassWeight::VolumeSum => volume + statistics.predicted(l),
        };
        Size { value, source: l }
    }

    /// Size per class of the subset, above 0; `None` for a class of weight zero.
    fn sizes(&self, statistics: &Statistics, classes: &[usize]) -> Vec<Option<Size>> {
        let present = |l: &usize| statistics.volume(*l) > 0.0;
        let smallest_present = classes
            .iter()
            .copied()
            .filter(present)
            .map(|l| self.size(statistics, l, statistics.volume(l)))
            .min_by(|a, b| a.value.total_cmp(&b.value));
        classes
            .iter()
            .map(|&l| {
                if present(&l) {
                    return Some(self.size(statistics, l, statistics.volume(l)));
                }
                match self.empty_class {
                    EmptyClass::Max => smallest_present,
                    EmptyClass::Zero => None,
                    EmptyClass::OneVoxel => Some(self.size(statistics, l, 1.0)),
                }
            })
            .collect()
    }

    /// Weight of a class of this size beside the smallest.
    fn weight(&self, size: Size, smallest: f64) -> f64 {
        let ratio = smallest / size.value;
        match self.weight {
            ClassWeight::Square => ratio * ratio,
            ClassWeight::Simple | ClassWeight::Uniform | ClassWeight::VolumeSum => ratio,
        }
    }
}

impl Loss for GeneralisedDice {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        self.classes.check(Self::NAME, classes)?;
        if self.differentiate_weight && self.weight != ClassWeight::VolumeSum {
            return Err(LossError::OptionValue {
                loss: Self::NAME,
                option: "differentiate_weight",
                found: "true".into(),
                expected: "weight = \"volume-sum\" with it (the other weights do not depend on \
                           the prediction), or false"
                    .into(),
            });
        }
        Ok(())
    }

    fn honours(&self) -> Honours {
        let peers = self.weight != ClassWeight::VolumeSum && self.empty_class == EmptyClass::Max;
        Honours {
            monai: peers,
            niftynet: peers,
            ..Honours::ALL
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Statistics(self)
    }
}

impl StatisticsLoss for GeneralisedDice {
    fn needs(&self) -> Needs {
        Needs::PROBABILITIES
    }

    fn evaluate(
        &self,
        statistics: &Statistics,
        compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient) {
        if let Some(tool) = compatibility {
            return self.peer(statistics, tool);
        }
        let overlapping = statistics.is_overlapping();
        let classes = self.classes.members(statistics.classes(), overlapping);
        let sizes = self.sizes(statistics, &classes);
        let smallest = sizes
            .iter()
            .flatten()
            .map(|size| size.value)
            .fold(f64::INFINITY, f64::min);
        if smallest.is_infinite() {
            return nothing_present(statistics, &classes);
        }
        let weights: Vec<f64> = sizes
            .iter()
            .map(|size| size.map_or(0.0, |size| self.weight(size, smallest)))
            .collect();
        let mismatch: Vec<f64> = classes.iter().map(|&l| statistics.mismatch(l)).collect();
        let volumes: Vec<f64> = classes
            .iter()
            .map(|&l| statistics.volume(l) + statistics.predicted(l))
            .collect();

        let weighted =
            |terms: &[f64]| -> f64 { weights.iter().zip(terms).map(|(w, term)| w * term).sum() };
        // Regions that are all empty leave no volume while nothing is claimed.
        let denominator = weighted(&volumes).max(f64::MIN_POSITIVE);
        let value = weighted(&mismatch) / denominator;

        let mut gradient = StatisticsGradient::zeros(statistics);
        for (&l, weight) in classes.iter().zip(&weights) {
            let by_class = ClassSums {
                hit: weight * (-1.0 - value) / denominator,
                false_alarm: weight * (1.0 - value) / denominator,
                ..ClassSums::default()
            };
            gradient.add_class(l, &by_class);
        }
        if self.differentiate_weight && self.weight == ClassWeight::VolumeSum {
            // dw/dP = -w/S for the class that the size comes from; the common
            // factor of all weights cancels in the loss.
            for (i, size) in sizes.iter().enumerate() {
                let Some(Size {
                    value: size,
                    source,
                }) = *size
                else {
                    continue;
                };
                let by_weight = (mismatch[i] - value * volumes[i]) / denominator;
                let by_predicted = -by_weight * weights[i] / size;
                let by_class = ClassSums {
                    hit: by_predicted,
                    false_alarm: by_predicted,
                    ..ClassSums::default()
                };
                gradient.add_class(source, &by_class);
            }
        }
        (value, gradient)
    }
}

/// The loss where the reference has none of the classes, so that there is no
/// weight to go by: the share of the elements that is falsely claimed, mean of
/// the classes. For two exclusive classes that is what `max` gives.
fn nothing_present(statistics: &Statistics, classes: &[usize]) -> (f64, StatisticsGradient) {
    let mut gradient = StatisticsGradient::zeros(statistics);
    let slope = 1.0 / (classes.len() as f64 * statistics.elements().max(f64::MIN_POSITIVE));
    let mut value = 0.0;
    for &l in classes {
        value += slope * statistics.predicted(l);
        let by_class = ClassSums {
            hit: slope,
            false_alarm: slope,
            ..ClassSums::default()
        };
        gradient.add_class(l, &by_class);
    }
    (value, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Input, Layout, Options, value_and_gradient};

    /// A lesion-free patch of `n` elements, `f` of which are claimed as lesion:
    /// loss, and its derivative by `f`.
    fn lesion_free(empty_class: EmptyClass, n: u64, f: f64) -> (f64, f64) {
        let loss = GeneralisedDice {
            empty_class,
            ..GeneralisedDice::default()
        };
        let statistics = Statistics::by_hand(&[n, 0], [n as f64 - f, f, 0.0, 0.0]);
        let (value, gradient) = loss.evaluate(&statistics, None);
        let by_p = &gradient.matrices().sum_p;
        (value, by_p[1] - by_p[0])
    }

    fn close(value: f64, expected: f64) {
        assert!(
            (value - expected).abs() <= 1e-12 * expected.abs(),
            "{value} for {expected}"
        );
    }

    #[test]
    fn a_lesion_free_patch_costs_what_the_table_says() {
        let (n, size) = (96 * 96 * 96, 884_736.0);
        for (f, share) in [(0.0, 0.0), (0.01 * size, 0.01), (size, 1.0)] {
            let (value, slope) = lesion_free(EmptyClass::Max, n, f);
            close(value, share);
            close(slope, 1.0 / size);

            let (value, slope) = lesion_free(EmptyClass::Zero, n, f);
            close(value, share / (2.0 - share));
            close(slope, 2.0 / size / (2.0 - share) / (2.0 - share));
        }
        assert_eq!(lesion_free(EmptyClass::OneVoxel, n, 0.0).0, 0.0);
        assert!(lesion_free(EmptyClass::OneVoxel, n, 0.01 * size).0 > 0.999);
        let slope = |f| lesion_free(EmptyClass::OneVoxel, n, f).1;
        assert!((slope(0.0) / (size / 2.0) - 1.0).abs() < 1e-6);
        assert!((slope(size) / (2.0 / size.powi(3)) - 1.0).abs() < 1e-3);
    }

    /// One lesion voxel in 256^3, missed: E = 1 + v, B = 1 + v (2 V_0 + 1) with
    /// v = 1/V_0^2. Found as well as 1e6 others: almost all is wrong.
    #[test]
    fn one_voxel_among_many_keeps_its_weight() {
        let background = 256.0 * 256.0 * 256.0 - 1.0;
        let count = [(1 << 24) - 1, 1];
        let statistics = Statistics::by_hand(&count, [background, 0.0, 1.0, 0.0]);
        let (value, gradient) = GeneralisedDice::default().evaluate(&statistics, None);
        let v = 1.0 / (background * background);
        close(value, (1.0 + v) / (1.0 + v * (2.0 * background + 1.0)));
        // dL/dT of the voxel: -2/B and the (1 - L) that its mass adds to B.
        let by_p = &gradient.matrices().sum_p;
        let by_hit = by_p[3] - by_p[2];
        assert!((by_hit + 2.0).abs() < 1e-6, "{by_hit}");

        let statistics = Statistics::by_hand(&count, [background - 1e6, 1e6, 0.0, 1.0]);
        let (value, _) = GeneralisedDice::default().evaluate(&statistics, None);
        assert!((value - 1.0).abs() < 3e-6, "{value}");
    }

    #[test]
    fn volume_sum_is_the_mean_dice_where_every_class_is_present() {
        let statistics =
            Statistics::by_hand(&[5, 3, 1], [4.0, 0.5, 0.5, 1.0, 1.5, 0.5, 0.25, 0.25, 0.5]);
        let loss = GeneralisedDice {
            weight: ClassWeight::VolumeSum,
            ..GeneralisedDice::default()
        };
        let dice = 2.0 * (4.0 / 10.25 + 1.5 / 5.25 + 0.5 / 2.5) / 3.0;
        close(loss.evaluate(&statistics, None).0, 1.0 - dice);
    }

    /// The paper's closed form with its sign put right, on six elements.
    #[test]
    fn two_class_gradient_is_the_corrected_closed_form() {
        let labels = [0, 1, 0, 0, 1, 0];
        let rise = [-2.0, 1.5, 0.25, -1.0, -0.5, 3.0_f64];
        let mut logits = vec![0.0; 6];
        logits.extend(rise);
        let mut gradient = vec![0.0; 12];
        let layout = Layout {
            batch: 1,
            classes: 2,
            elements: 6,
        };
        let input = Input::new(layout, &logits, &labels);
        let loss = GeneralisedDice::default();
        value_and_gradient(&loss, &Options::default(), &input, &mut gradient).unwrap();

        let p = rise.map(|z| 1.0 / (1.0 + (-z).exp()));
        let r = labels.map(f64::from);
        let n = 6.0;
        let (w1, w2) = (1.0 / 4.0, 1.0 / 16.0);
        let overlap: f64 = p.iter().zip(&r).map(|(p, r)| p * r).sum();
        let both: f64 = p.iter().sum::<f64>() + r.iter().sum::<f64>();
        let denominator = (w1 - w2) * both + 2.0 * n * w2;
        for i in 0..6 {
            let by_p = 2.0
                * ((w1 * w1 - w2 * w2) * (overlap - r[i] * both)
                    + n * w2 * (w1 + w2) * (1.0 - 2.0 * r[i]))
                / (denominator * denominator);
            let by_rise = by_p * p[i] * (1.0 - p[i]);
            assert!((gradient[6 + i] - by_rise).abs() < 1e-15, "{i}");
            assert!((gradient[i] + gradient[6 + i]).abs() < 1e-16);
            // More probability on a lesion element lowers the loss.
            assert_eq!(gradient[6 + i] < 0.0, r[i] == 1.0);
        }
    }
}
