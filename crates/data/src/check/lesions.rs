//! How many lesions there are and how large: connected components of the
//! foreground that touch by face, edge or corner.

use lacuna_volume::{Connectivity, Volume, label_components};
use serde::Serialize;

/// Bins of lesion sizes in voxels: name and largest size.
const BINS: [(&str, usize); 7] = [
    ("1", 1),
    ("2-5", 5),
    ("6-10", 10),
    ("11-50", 50),
    ("51-200", 200),
    ("201-1000", 1000),
    (">1000", usize::MAX),
];

/// Number and sizes of lesions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LesionReport {
    /// Number of lesions.
    pub count: usize,
    /// Lesions by size in voxels.
    pub histogram: Vec<LesionBin>,
    /// Volume in mm³; absent without lesions.
    pub volume_mm3: Option<LesionVolume>,
}

/// Lesions of some range of sizes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LesionBin {
    /// The range in voxels, such as `2-5`.
    pub voxels: &'static str,
    /// How many there are.
    pub lesions: usize,
}

/// Volumes of lesions in mm³.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LesionVolume {
    /// The smallest.
    pub min: f64,
    /// The median, the mean of the middle two of an even number.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

/// The size of one lesion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LesionSize {
    pub voxels: usize,
    pub mm3: f64,
}

/// The size of every lesion.
pub(super) fn sizes(foreground: &Volume<bool>) -> Vec<LesionSize> {
    let voxel_mm3 = foreground.affine().voxel_mm3();
    let lesions = label_components(foreground, Connectivity::TwentySix);
    let size = |&voxels: &usize| LesionSize {
        voxels,
        mm3: voxels as f64 * voxel_mm3,
    };
    lesions.sizes.iter().map(size).collect()
}

impl LesionReport {
    pub(super) fn of(sizes: &[LesionSize]) -> Self {
        let mut histogram = BINS.map(|(voxels, _)| LesionBin { voxels, lesions: 0 });
        for size in sizes {
            let bin = BINS.partition_point(|(_, largest)| *largest < size.voxels);
            histogram[bin].lesions += 1;
        }
        let mut volumes: Vec<f64> = sizes.iter().map(|s| s.mm3).collect();
        volumes.sort_by(f64::total_cmp);
        let half = volumes.len() / 2;
        let volume_mm3 = match volumes.as_slice() {
            [] => None,
            [min, .., max] if volumes.len().is_multiple_of(2) => Some(LesionVolume {
                min: *min,
                median: (volumes[half - 1] + volumes[half]) / 2.0,
                max: *max,
            }),
            all => Some(LesionVolume {
                min: all[0],
                median: all[half],
                max: all[all.len() - 1],
            }),
        };
        Self {
            count: sizes.len(),
            histogram: histogram.into(),
            volume_mm3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fall_into_their_bins() {
        let voxels = [1, 2, 5, 6, 10, 11, 50, 51, 200, 201, 1000, 1001];
        let sizes = voxels.map(|voxels| LesionSize {
            voxels,
            mm3: voxels as f64 * 0.5,
        });
        let report = LesionReport::of(&sizes);
        let lesions: Vec<usize> = report.histogram.iter().map(|b| b.lesions).collect();
        assert_eq!(lesions, [1, 2, 2, 2, 2, 2, 1]);
        let volume = report.volume_mm3.unwrap();
        // The middle two of the twelve are 11 and 50 voxels of 0.5 mm³.
        assert_eq!((volume.min, volume.median, volume.max), (0.5, 15.25, 500.5));
        assert_eq!(
            LesionReport::of(&sizes[..3]).volume_mm3.unwrap().median,
            1.0
        );
        assert_eq!(LesionReport::of(&[]).volume_mm3, None);
    }
}
