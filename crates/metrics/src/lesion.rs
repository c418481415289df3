//! Lesion-wise scores, convention "wmh".
//!
//! WMH challenge (Kuijf et al., IEEE TMI 38, 2019): lesions are 26-connected
//! components of either mask. Recall = reference lesions that share at least
//! one voxel with the prediction / all, precision = predicted lesions that
//! share at least one with the reference / all; each is 1 if there are none. F1
//! is their harmonic mean, 0 if both are 0.
//!
//! Beside it, convention "one-to-one": a lesion counts for at most one of the other
//! mask, see [`Lesions::one_to_one`].

use crate::MaskPair;
use crate::matching::most_pairs;
use lacuna_volume::{Components, Connectivity, label_components};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One connected component of a mask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesion {
    /// Size in voxels.
    pub voxels: usize,
    /// Size in mm^3.
    pub mm3: f64,
    /// Voxels that the other mask holds too.
    pub overlap_voxels: usize,
    /// Voxels, in all, of the other mask's lesions that share one with this.
    pub touching_voxels: usize,
    /// At least one voxel is in the other mask: a reference lesion is detected,
    /// a predicted one is not false.
    pub detected: bool,
    /// Where it lies; evaluations of version 0.1.0 did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<LesionPlace>,
}

/// Where a lesion lies, as voxel indices of the reference image (counted from 0) and
/// in world mm (x to the right, y to the front, z up), as a viewer shows them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LesionPlace {
    /// Centre of mass; between voxels, and outside of a lesion that is bent.
    pub centre: [f64; 3],
    /// The same in mm.
    pub centre_mm: [f64; 3],
    /// The voxel of the lesion nearest to its centre in mm, the first in memory of
    /// those that are as near.
    pub inside: [usize; 3],
    /// The centre of that voxel in mm.
    pub inside_mm: [f64; 3],
}

impl Lesion {
    /// DSC of this lesion and the lesions of the other mask that share a voxel
    /// with it, as one; 0 if there are none.
    pub fn dsc(&self) -> f64 {
        2.0 * self.overlap_voxels as f64 / (self.voxels + self.touching_voxels) as f64
    }
}

/// The lesions of both masks, in the order of their first voxel in memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesions {
    /// Lesions of the reference.
    pub reference: Vec<Lesion>,
    /// Lesions of the prediction.
    pub prediction: Vec<Lesion>,
    /// Pairs of one lesion of each mask that share a voxel, no lesion in two pairs, as
    /// many as there can be; evaluations of version 0.1.0 did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<usize>,
}

/// Recall, precision and F1 of lesions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LesionShares {
    /// Share of the reference lesions that were found; 1 if there are none.
    pub recall: f64,
    /// Share of the predicted lesions that are not false; 1 if there are none.
    pub precision: f64,
    /// Harmonic mean of the two; 0 if both are 0.
    pub f1: f64,
}

impl LesionShares {
    /// The shares of two counts of lesions: (found, all) of the reference, (not false,
    /// all) of the prediction.
    pub fn of(reference: [usize; 2], prediction: [usize; 2]) -> Self {
        let share = |[part, all]: [usize; 2]| match all {
            0 => 1.0,
            all => part as f64 / all as f64,
        };
        let (recall, precision) = (share(reference), share(prediction));
        let f1 = match recall + precision == 0.0 {
            true => 0.0,
            false => 2.0 * recall * precision / (recall + precision),
        };
        Self {
            recall,
            precision,
            f1,
        }
    }
}

impl Lesions {
    /// Finds the lesions of both masks and matches them.
    pub fn find(pair: &MaskPair) -> Self {
        let mm3 = pair.voxel_mm3();
        let [reference, prediction] = [pair.reference(), pair.prediction()]
            .map(|mask| label_components(mask, Connectivity::TwentySix));
        let overlaps = overlaps(&reference, &prediction);
        let turned: BTreeMap<_, _> = (overlaps.iter())
            .map(|(&[r, p], &voxels)| ([p, r], voxels))
            .collect();
        Self {
            reference: table(
                &reference,
                &prediction,
                &overlaps,
                &places(&reference, pair),
                mm3,
            ),
            prediction: table(
                &prediction,
                &reference,
                &turned,
                &places(&prediction, pair),
                mm3,
            ),
            pairs: Some(most_pairs(
                reference.count,
                prediction.count,
                overlaps.keys().copied(),
            )),
        }
    }

    /// Convention "wmh": a lesion is found when any voxel of it is, so that one
    /// prediction can find several and several can find one.
    pub fn wmh(&self) -> LesionShares {
        let detected = |lesions: &[Lesion]| {
            let detected = lesions.iter().filter(|l| l.detected).count();
            [detected, lesions.len()]
        };
        LesionShares::of(detected(&self.reference), detected(&self.prediction))
    }

    /// Convention "one-to-one": reference and predicted lesions that share a voxel are
    /// paired, each at most once, in as many pairs as there can be; recall and
    /// precision are the shares of the lesions in pairs. `None` where the pairs were not
    /// recorded.
    pub fn one_to_one(&self) -> Option<LesionShares> {
        let pairs = self.pairs?;
        Some(LesionShares::of(
            [pairs, self.reference.len()],
            [pairs, self.prediction.len()],
        ))
    }
}

/// Voxels that each pair of lesions, counted from 0, shares.
pub(crate) fn overlaps(
    reference: &Components,
    prediction: &Components,
) -> BTreeMap<[usize; 2], usize> {
    let mut shared = BTreeMap::new();
    for (&r, &p) in reference.labels.data().iter().zip(prediction.labels.data()) {
        if r > 0 && p > 0 {
            *shared.entry([r as usize - 1, p as usize - 1]).or_default() += 1;
        }
    }
    shared
}

/// The lesions `of` one mask, matched with those of the other; a voxel has `mm3`.
fn table(
    of: &Components,
    other: &Components,
    overlaps: &BTreeMap<[usize; 2], usize>,
    places: &[LesionPlace],
    mm3: f64,
) -> Vec<Lesion> {
    let mut overlap = vec![0; of.count];
    let mut touching = vec![0; of.count];
    for (&[own, others], voxels) in overlaps {
        overlap[own] += voxels;
        touching[own] += other.sizes[others];
    }
    let lesions = of.sizes.iter().zip(overlap).zip(touching).zip(places);
    lesions
        .map(
            |(((&voxels, overlap_voxels), touching_voxels), &place)| Lesion {
                voxels,
                mm3: voxels as f64 * mm3,
                overlap_voxels,
                touching_voxels,
                detected: overlap_voxels > 0,
                place: Some(place),
            },
        )
        .collect()
}

/// Where each lesion lies.
fn places(of: &Components, pair: &MaskPair) -> Vec<LesionPlace> {
    let [nx, ny, _] = of.labels.shape();
    let start = pair.start();
    let affine = pair.image_affine();
    let voxels = || {
        let inside = of.labels.data().iter().enumerate().filter(|l| *l.1 > 0);
        inside.map(|(i, &label)| {
            let at = [i % nx, i / nx % ny, i / nx / ny];
            let voxel: [usize; 3] = std::array::from_fn(|a| at[a] + start[a]);
            (label as usize - 1, voxel)
        })
    };
    let mut sums = vec![[0u64; 3]; of.count];
    for (lesion, voxel) in voxels() {
        for (sum, index) in sums[lesion].iter_mut().zip(voxel) {
            *sum += index as u64;
        }
    }
    let mut places: Vec<LesionPlace> = (sums.iter().zip(&of.sizes))
        .map(|(sum, &voxels)| {
            let centre = sum.map(|sum| sum as f64 / voxels as f64);
            LesionPlace {
                centre,
                centre_mm: affine.apply(centre),
                inside: [0; 3],
                inside_mm: [0.0; 3],
            }
        })
        .collect();
    let mut nearest = vec![f64::INFINITY; of.count];
    for (lesion, voxel) in voxels() {
        let place = &mut places[lesion];
        let mm = affine.apply(voxel.map(|index| index as f64));
        let apart: f64 = (mm.iter().zip(place.centre_mm))
            .map(|(a, b)| (a - b).powi(2))
            .sum();
        if apart < nearest[lesion] {
            nearest[lesion] = apart;
            (place.inside, place.inside_mm) = (voxel, mm);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::{Affine, Spacing, Volume};

    fn find(reference: &[u8], prediction: &[u8]) -> Lesions {
        let affine = Affine::from_spacing(Spacing([1.0, 0.5, 3.0]));
        let [r, p] = [reference, prediction]
            .map(|line| Volume::new([line.len(), 1, 1], affine, line.to_vec()).unwrap());
        Lesions::find(&MaskPair::of_labels(&r, &p, |l| l > 0).unwrap())
    }

    #[test]
    fn by_hand() {
        // Three reference lesions, one found twice over; three predicted, one false.
        let found = find(
            &[1, 1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0],
            &[1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1],
        );
        let row = |voxels, overlap_voxels, touching_voxels| Lesion {
            voxels,
            mm3: voxels as f64 * 1.5,
            overlap_voxels,
            touching_voxels,
            detected: overlap_voxels > 0,
            place: None,
        };
        let without_place = |lesions: &[Lesion]| -> Vec<Lesion> {
            let mut lesions = lesions.to_vec();
            lesions.iter_mut().for_each(|l| l.place = None);
            lesions
        };
        assert_eq!(
            without_place(&found.reference),
            [row(3, 2, 2), row(1, 0, 0), row(2, 0, 0)]
        );
        assert_eq!(
            without_place(&found.prediction),
            [row(1, 1, 3), row(1, 1, 3), row(2, 0, 0)]
        );
        // 2 x 2 / (3 + 2) and 2 x 1 / (1 + 3).
        let dsc = |lesions: &[Lesion]| lesions.iter().map(Lesion::dsc).collect::<Vec<_>>();
        assert_eq!(dsc(&found.reference), [0.8, 0.0, 0.0]);
        assert_eq!(dsc(&found.prediction), [0.5, 0.5, 0.0]);
        let wmh = found.wmh();
        assert_eq!((wmh.recall, wmh.precision), (1.0 / 3.0, 2.0 / 3.0));
        assert!((wmh.f1 - 4.0 / 9.0).abs() < 1e-15);
        // The two predictions in one lesion make one pair: 1 of 3 on either side.
        let one = found.one_to_one().unwrap();
        assert!((one.f1 - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn empty_cases_as_the_challenge() {
        let scores = |l: Lesions| {
            assert_eq!(l.one_to_one(), Some(l.wmh()));
            let LesionShares {
                recall,
                precision,
                f1,
            } = l.wmh();
            [recall, precision, f1]
        };
        assert_eq!(scores(find(&[0; 5], &[0; 5])), [1.0, 1.0, 1.0]);
        assert_eq!(scores(find(&[0; 5], &[0, 1, 0, 1, 0])), [1.0, 0.0, 0.0]);
        assert_eq!(scores(find(&[0, 1, 0, 1, 0], &[0; 5])), [0.0, 1.0, 0.0]);
        assert_eq!(scores(find(&[0, 1, 0, 0, 0], &[0, 0, 0, 1, 0])), [0.0; 3]);
    }

    /// The user's case: a bridge over two lesions, three predictions in one, a lesion
    /// missed and a false one. WMH: 3 of 4 found, 4 of 5 not false. One to one: two
    /// pairs, so 2 of 4 and 2 of 5, F1 = 2 x 2 / (4 + 5).
    #[test]
    fn many_to_one() {
        let found = find(
            &[1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 0],
            &[0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1],
        );
        let (wmh, one) = (found.wmh(), found.one_to_one().unwrap());
        assert_eq!((wmh.recall, wmh.precision), (0.75, 0.8));
        assert!((wmh.f1 - 2.0 * 0.75 * 0.8 / 1.55).abs() < 1e-15);
        assert_eq!((one.recall, one.precision), (0.5, 0.4));
        assert!((one.f1 - 4.0 / 9.0).abs() < 1e-15);
    }

    #[test]
    fn lesions_are_found_again_by_their_place() {
        // An L of three voxels at (3, 2, 1), (4, 2, 1), (3, 3, 1) of an image whose x
        // runs to the left: centre (10/3, 7/3, 1), and (3, 2, 1) is the nearest to it.
        let affine = Affine([
            [-1.0, 0.0, 0.0, 50.0],
            [0.0, 0.5, 0.0, -20.0],
            [0.0, 0.0, 3.0, 7.0],
        ]);
        let mut image = Volume::filled([8, 9, 4], affine, 0u8).unwrap();
        for voxel in [[3, 2, 1], [4, 2, 1], [3, 3, 1]] {
            let at = image.index(voxel);
            image.data_mut()[at] = 1;
        }
        let none = image.map(|_| 0);
        let pair = MaskPair::of_labels(&none, &image, |l| l > 0).unwrap();
        let false_lesion = Lesions::find(&pair).prediction[0].place.unwrap();
        let near = |a: [f64; 3], b: [f64; 3]| (0..3).all(|i| (a[i] - b[i]).abs() < 1e-12);
        assert!(near(false_lesion.centre, [10.0 / 3.0, 7.0 / 3.0, 1.0]));
        assert!(near(
            false_lesion.centre_mm,
            [50.0 - 10.0 / 3.0, -20.0 + 3.5 / 3.0, 10.0]
        ));
        assert_eq!(false_lesion.inside, [3, 2, 1]);
        assert_eq!(false_lesion.inside_mm, [47.0, -19.0, 10.0]);
    }
}
