//! Lesions found, and false ones, in strata of their volume.

use serde::{Deserialize, Serialize};

use crate::Lesions;
use crate::detection::VOLUME_SLACK;

/// Lesions of one range of volumes by convention "wmh" (26-connected; any shared voxel
/// finds): those of the reference by their own volume, those of the prediction by theirs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LesionStratum {
    /// Least volume, mm³.
    pub from_mm3: f64,
    /// Volumes are below this, mm³; absent in the last stratum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below_mm3: Option<f64>,
    /// Lesions of the reference.
    pub reference: usize,
    /// Those that are found.
    pub found: usize,
    /// Lesions of the prediction.
    pub predicted: usize,
    /// Those that are false.
    pub false_positives: usize,
}

impl LesionStratum {
    /// Where one stratum ends and the next begins, mm³: spheres of 2.1, 3.1, 4.6 and
    /// 6.6 mm.
    pub const EDGES_MM3: [f64; 4] = [5.0, 15.0, 50.0, 150.0];

    /// The strata of the lesions of one subject, or of several together, from small to
    /// large.
    pub fn of<'a>(subjects: impl IntoIterator<Item = &'a Lesions>) -> [Self; 5] {
        let edges = Self::EDGES_MM3;
        let mut strata = [0, 1, 2, 3, 4].map(|i: usize| Self {
            from_mm3: i.checked_sub(1).map_or(0.0, |i| edges[i]),
            below_mm3: edges.get(i).copied(),
            reference: 0,
            found: 0,
            predicted: 0,
            false_positives: 0,
        });
        let of_volume =
            |mm3: f64| edges.partition_point(|&edge| mm3 * (1.0 + VOLUME_SLACK) >= edge);
        for lesions in subjects {
            for lesion in &lesions.reference {
                let stratum = &mut strata[of_volume(lesion.mm3)];
                stratum.reference += 1;
                stratum.found += usize::from(lesion.detected);
            }
            for lesion in &lesions.prediction {
                let stratum = &mut strata[of_volume(lesion.mm3)];
                stratum.predicted += 1;
                stratum.false_positives += usize::from(!lesion.detected);
            }
        }
        strata
    }

    /// Share of the reference lesions that are found; `None` if there are none.
    pub fn sensitivity(&self) -> Option<f64> {
        (self.reference > 0).then(|| self.found as f64 / self.reference as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lesion;

    #[test]
    fn a_lesion_of_an_edge_is_of_the_stratum_above() {
        let lesion = |mm3, detected| Lesion {
            voxels: 1,
            mm3,
            overlap_voxels: usize::from(detected),
            touching_voxels: 1,
            detected,
            place: None,
        };
        let lesions = Lesions {
            reference: [
                (4.9, true),
                (5.0, false),
                (49.9, true),
                (150.0, true),
                (9e3, false),
            ]
            .map(|(mm3, detected)| lesion(mm3, detected))
            .to_vec(),
            prediction: [(14.99, false), (15.0, true), (4.999_999_9, false)]
                .map(|(mm3, detected)| lesion(mm3, detected))
                .to_vec(),
            pairs: None,
        };
        let counts = |subjects: &[&Lesions]| {
            LesionStratum::of(subjects.iter().copied())
                .map(|s| [s.reference, s.found, s.predicted, s.false_positives])
        };
        let once = [
            [1, 1, 0, 0],
            [1, 0, 2, 2],
            [1, 1, 1, 0],
            [0; 4],
            [2, 1, 0, 0],
        ];
        assert_eq!(counts(&[&lesions]), once);
        let twice = once.map(|row| row.map(|n| 2 * n));
        assert_eq!(counts(&[&lesions, &lesions]), twice);
        let strata = LesionStratum::of([&lesions]);
        assert_eq!(strata[3].sensitivity(), None);
        assert_eq!(strata[4].sensitivity(), Some(0.5));
        assert_eq!((strata[4].from_mm3, strata[4].below_mm3), (150.0, None));
    }
}
