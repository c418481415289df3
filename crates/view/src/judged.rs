//! What is right and wrong with a prediction: voxel by voxel, and lesion by lesion.
//!
//! Lesions are 26-connected components, found by one shared voxel: convention "wmh" of
//! [`lacuna_metrics`], whose counts and volumes these are.

use std::cmp::Reverse;

use lacuna_metrics::{Lesion, LesionPlace, Lesions, MaskPair, MetricsError};
use lacuna_volume::{Components, Connectivity, LabelMap, label_components};
use serde::Serialize;

/// What a voxel of either mask is; the number is its value in the map of [`faults`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// In both masks.
    Hit = 1,
    /// Predicted only, in a lesion that meets the reference.
    Surplus = 2,
    /// In the reference only, in a lesion that was found.
    Lacking = 3,
    /// In a lesion of the reference that was missed altogether.
    Missed = 4,
    /// In a predicted lesion that meets no reference.
    False = 5,
}

/// The [`Fault`] of each voxel whose label `is_inside` in either map, 0 elsewhere, on the
/// grid of the reference.
///
/// # Errors
/// When the shapes differ.
pub fn faults(
    reference: &LabelMap,
    prediction: &LabelMap,
    is_inside: impl Fn(u8) -> bool,
) -> Result<LabelMap, MetricsError> {
    let pair = MaskPair::of_labels(reference, prediction, is_inside)?;
    let [r, p] = [pair.reference(), pair.prediction()]
        .map(|mask| label_components(mask, Connectivity::TwentySix));
    let [found, matched] = meeting(&r, &p);
    let mut map = reference.map(|_| 0u8);
    let ([nx, ny, _], start) = (r.labels.shape(), pair.start());
    for (i, (&r, &p)) in r.labels.data().iter().zip(p.labels.data()).enumerate() {
        let fault = match (r as usize, p as usize) {
            (0, 0) => continue,
            (0, p) if matched[p] => Fault::Surplus,
            (0, _) => Fault::False,
            (r, 0) if found[r] => Fault::Lacking,
            (_, 0) => Fault::Missed,
            _ => Fault::Hit,
        };
        let at = [i % nx, i / nx % ny, i / nx / ny];
        let here = map.index([0, 1, 2].map(|axis| at[axis] + start[axis]));
        map.data_mut()[here] = fault as u8;
    }
    Ok(map)
}

/// Whether each component of either mask shares a voxel with the other mask, by its number.
fn meeting(r: &Components, p: &Components) -> [Vec<bool>; 2] {
    let mut meet = [vec![false; r.count + 1], vec![false; p.count + 1]];
    for (&r, &p) in r.labels.data().iter().zip(p.labels.data()) {
        if r > 0 && p > 0 {
            meet[0][r as usize] = true;
            meet[1][p as usize] = true;
        }
    }
    meet
}

/// What became of a lesion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Of the reference, and no voxel of it was predicted.
    Missed,
    /// Predicted, and no voxel of it is in the reference.
    False,
    /// Of the reference, and at least one voxel was predicted.
    Found,
    /// There is nothing to judge it by.
    Unjudged,
}

/// A lesion with its verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JudgedLesion {
    /// What became of it.
    pub verdict: Verdict,
    /// Size in mm³.
    pub mm3: f64,
    /// Size in voxels.
    pub voxels: usize,
    /// Share of its voxels in the other mask.
    pub covered: f64,
    /// DSC with the lesions of the other mask that share a voxel with it.
    pub dsc: f64,
    /// A voxel of it in world mm, the nearest to its centre.
    pub at_mm: [f64; 3],
}

/// The lesions to look at, what was missed first: missed and false lesions, the largest
/// first, then those that were found, the largest missing volume first.
pub fn judge(lesions: &Lesions) -> Vec<JudgedLesion> {
    let reference = lesions.reference.iter().map(|lesion| {
        let verdict = match lesion.detected {
            true => Verdict::Found,
            false => Verdict::Missed,
        };
        (verdict, lesion)
    });
    let prediction = lesions.prediction.iter().filter(|lesion| !lesion.detected);
    let prediction = prediction.map(|lesion| (Verdict::False, lesion));
    in_order(reference.chain(prediction))
}

/// The lesions of the one mask that there is, the largest first.
pub(crate) fn unjudged(map: &LabelMap, is_inside: impl Fn(u8) -> bool) -> Vec<JudgedLesion> {
    let nothing = map.map(|_| 0);
    let pair = MaskPair::of_labels(map, &nothing, is_inside);
    let lesions = Lesions::find(&pair.expect("both maps have one shape"));
    in_order(
        lesions
            .reference
            .iter()
            .map(|lesion| (Verdict::Unjudged, lesion)),
    )
}

fn in_order<'a>(lesions: impl Iterator<Item = (Verdict, &'a Lesion)>) -> Vec<JudgedLesion> {
    let mut lesions: Vec<_> = lesions.collect();
    lesions.sort_by_key(|(verdict, lesion)| {
        let missing = lesion.voxels - lesion.overlap_voxels;
        (*verdict as u8, Reverse(missing), Reverse(lesion.voxels))
    });
    let judged = lesions.into_iter().map(|(verdict, lesion)| JudgedLesion {
        verdict,
        mm3: lesion.mm3,
        voxels: lesion.voxels,
        covered: lesion.overlap_voxels as f64 / lesion.voxels as f64,
        dsc: lesion.dsc(),
        at_mm: at(lesion.place),
    });
    judged.collect()
}

/// [`Lesions::find`] records every place.
fn at(place: Option<LesionPlace>) -> [f64; 3] {
    place.map_or([0.0; 3], |place| place.inside_mm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::{Affine, Spacing, Volume};

    /// A row of voxels of 1 x 2 x 3 mm, lifted off the corner of a larger image.
    fn row(line: &[u8]) -> LabelMap {
        let affine = Affine::from_spacing(Spacing([1.0, 2.0, 3.0]));
        let mut image = Volume::filled([line.len() + 4, 5, 3], affine, 0).unwrap();
        for (x, &label) in line.iter().enumerate() {
            let here = image.index([x + 2, 3, 1]);
            image.data_mut()[here] = label;
        }
        image
    }

    /// One lesion half found, one missed, one found whole, a false one, and one voxel of
    /// another class.
    const REFERENCE: [u8; 14] = [1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 2];
    const PREDICTION: [u8; 14] = [0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 2];

    #[test]
    fn voxels_by_hand() {
        let found = faults(&row(&REFERENCE), &row(&PREDICTION), |l| l == 1).unwrap();
        let expected = row(&[3, 1, 1, 2, 0, 4, 4, 0, 0, 1, 0, 5, 0, 0]);
        assert_eq!(found, expected);
    }

    #[test]
    fn all_foreground_joins_classes() {
        // The false voxel at 11 and the class 2 at 13 stay apart; 13 is now a hit.
        let found = faults(&row(&REFERENCE), &row(&PREDICTION), |l| l > 0).unwrap();
        let expected = row(&[3, 1, 1, 2, 0, 4, 4, 0, 0, 1, 0, 5, 0, 1]);
        assert_eq!(found, expected);
    }

    #[test]
    fn nothing_is_no_fault() {
        let none = row(&[0; 5]);
        assert_eq!(faults(&none, &none, |l| l > 0).unwrap(), none);
        let missed = faults(&row(&[0, 1, 0]), &row(&[0; 3]), |l| l > 0).unwrap();
        assert_eq!(missed, row(&[0, 4, 0]));
        assert!(faults(&none, &row(&[0; 6]), |l| l > 0).is_err());
    }

    #[test]
    fn the_largest_miss_is_first() {
        let (r, p) = (row(&REFERENCE), row(&PREDICTION));
        let pair = MaskPair::of_labels(&r, &p, |l| l == 1).unwrap();
        let judged = judge(&Lesions::find(&pair));
        let seen: Vec<_> = (judged.iter())
            .map(|l| (l.verdict, l.voxels, l.covered))
            .collect();
        let expected = [
            (Verdict::Missed, 2, 0.0),
            (Verdict::False, 1, 0.0),
            (Verdict::Found, 3, 2.0 / 3.0),
            (Verdict::Found, 1, 1.0),
        ];
        assert_eq!(seen, expected);
        // Two voxels of 6 mm³ at x = 7 and 8, y = 3, z = 1: both as near, the first is taken.
        assert_eq!(judged[0].mm3, 12.0);
        assert_eq!(judged[0].at_mm, [7.0, 6.0, 3.0]);
        // 3 + 3 voxels share 2.
        assert_eq!(judged[2].dsc, 2.0 / 3.0);
    }

    #[test]
    fn without_a_reference_the_largest_is_first() {
        let found = unjudged(&row(&PREDICTION), |l| l > 0);
        let seen: Vec<_> = found.iter().map(|l| (l.verdict, l.mm3)).collect();
        let u = Verdict::Unjudged;
        assert_eq!(seen, [(u, 18.0), (u, 6.0), (u, 6.0), (u, 6.0)]);
    }
}
