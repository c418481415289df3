//! What a dataset looks like, measured before any training, as `lacuna fingerprint`
//! writes it:
//!
//! ```text
//! OUT/fingerprint.json    everything, read back by planners
//! OUT/fingerprint.csv     one row per subject and class
//! OUT/components.csv      one row per component
//! ```
//!
//! Axes are the canonical ones: x to the right, y to the front, z to the top. A subject's
//! *inside* is its mask or, without one, where any of its images is not 0. Components
//! are voxels of one class that touch by face, edge or corner. Quantiles interpolate
//! linearly between order statistics.
//!
//! The idea, spacings, shapes and foreground intensities are those of Isensee et al.,
//! "nnU-Net", Nature Methods 18 (2021); what it says of rarity is not in theirs.

mod tables;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::RecordError;
use crate::files::{read_optional, write_json};

/// The file in a fingerprint's folder that holds all of it.
const FILE: &str = "fingerprint.json";

/// What a dataset looks like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Name of the dataset.
    pub name: String,
    /// Modality names in channel order.
    pub modalities: Vec<String>,
    /// Class names, the background first.
    pub classes: Vec<String>,
    /// Voxel edges in mm over the subjects.
    pub spacing_mm: AxisRange,
    /// Voxels along the axes over the subjects.
    pub shape: AxisRange,
    /// Voxels along the axes of the subjects' boxes around their inside.
    pub crop_shape: AxisRange,
    /// Share of subjects whose spacing differs from the median by more than 20 % on some axis.
    pub off_median_spacing: f64,
    /// The largest median spacing over the smallest.
    pub anisotropy: f64,
    /// Intensities of each modality.
    pub intensities: Vec<ModalityIntensities>,
    /// Each foreground class over the subjects.
    pub foreground: Vec<ClassSpread>,
    /// Ids of the subjects without any foreground.
    pub empty_subjects: Vec<String>,
    /// Subjects of each group, as the visits of a patient; those of no group are not counted.
    pub groups: BTreeMap<String, usize>,
    /// Subjects of each scanner; those of which none is known are not counted.
    pub scanners: BTreeMap<String, usize>,
    /// Subjects that were asked for and could not be used: nothing above or below counts them.
    pub faults: Vec<SubjectFault>,
    /// Each subject, in the order of the dataset.
    pub subjects: Vec<SubjectFingerprint>,
}

/// A subject that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectFault {
    /// Its id.
    pub id: String,
    /// What is wrong, and with which file.
    pub message: String,
}

/// A quantity along x, y, z over subjects.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AxisRange {
    /// Median of each axis.
    pub median: [f64; 3],
    /// Least of each axis.
    pub min: [f64; 3],
    /// Greatest of each axis.
    pub max: [f64; 3],
}

/// Quantiles of a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Quantiles {
    pub min: f64,
    pub p5: f64,
    pub p25: f64,
    pub p50: f64,
    pub p75: f64,
    pub p95: f64,
    pub max: f64,
}

impl Quantiles {
    /// Of values in any order; `None` without any.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut ascending: Vec<f64> = values.into_iter().collect();
        ascending.sort_unstable_by(f64::total_cmp);
        let at = |q| lacuna_metrics::quantile(&ascending, q);
        (!ascending.is_empty()).then(|| Self {
            min: at(0.0),
            p5: at(0.05),
            p25: at(0.25),
            p50: at(0.5),
            p75: at(0.75),
            p95: at(0.95),
            max: at(1.0),
        })
    }
}

/// Intensities of one modality, in the unit of the images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModalityIntensities {
    /// Name of the modality.
    pub modality: String,
    /// Of the foreground voxels of all subjects together; `None` without any.
    pub foreground: Option<Intensities>,
    /// Of the voxels inside of all subjects together.
    pub inside: Option<Intensities>,
    /// How alike foreground is from subject to subject; `None` where fewer than two have any.
    pub contrast: Option<Contrast>,
}

/// Foreground of each subject on the scale on which its inside has mean 0 and SD 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// SD over subjects of their means, dividing by one less than their number.
    pub between_subjects: f64,
    /// Mean over subjects of the SD in each.
    pub within_subjects: f64,
}

/// Intensities of some voxels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intensities {
    /// Number of voxels.
    pub voxels: u64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, dividing by their number.
    pub sd: f64,
    /// The least.
    pub min: f64,
    /// 0.5th percentile.
    pub p0_5: f64,
    /// Median.
    pub p50: f64,
    /// 99.5th percentile.
    pub p99_5: f64,
    /// The greatest.
    pub max: f64,
}

/// One foreground class over the subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassSpread {
    /// Name of the class.
    pub class: String,
    /// Number of subjects without a voxel of it.
    pub empty: usize,
    /// Share of the grid that it takes, one value a subject, empty ones included.
    pub share_of_grid: Quantiles,
    /// Share of the inside that it takes, likewise.
    pub share_inside: Quantiles,
    /// Components of a subject, likewise.
    pub components_per_subject: Quantiles,
    /// Components of all subjects.
    pub components: usize,
    /// Volumes of all components in mm³; `None` without any, as what follows.
    pub component_mm3: Option<Quantiles>,
    /// Shares of the components that are smaller than some volumes.
    pub smaller: Vec<SmallerShare>,
    /// Lengths of all components.
    pub extents: Option<Extents>,
}

/// How many components are smaller than some volume.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SmallerShare {
    /// The volume.
    pub mm3: f64,
    /// Share of the components that are smaller than it.
    pub share: f64,
}

/// Lengths of components along x, y, z: of their bounding boxes, voxel borders included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extents {
    /// Median in mm.
    pub p50_mm: [f64; 3],
    /// 95th percentile in mm.
    pub p95_mm: [f64; 3],
    /// Median in voxels of each subject's own grid.
    pub p50_voxels: [f64; 3],
    /// 95th percentile in voxels.
    pub p95_voxels: [f64; 3],
}

/// One subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectFingerprint {
    /// Its id.
    pub id: String,
    /// The patient of whom it is one visit.
    pub group: Option<String>,
    /// What it was imaged with.
    pub scanner: Option<String>,
    /// Voxels along x, y, z.
    pub shape: [usize; 3],
    /// Voxel edges in mm along x, y, z.
    pub spacing_mm: [f64; 3],
    /// Volume of a voxel.
    pub voxel_mm3: f64,
    /// Where the axes of the file point, such as `LPS`.
    pub orientation: String,
    /// Voxels of the mask; `None` without one.
    pub mask_voxels: Option<usize>,
    /// Voxels inside.
    pub inside_voxels: usize,
    /// Share of the grid that the box around all voxels takes that are not 0 in every image.
    pub nonzero_box_share: f64,
    /// Voxels along x, y, z of the box around the inside.
    pub crop_shape: [usize; 3],
    /// Voxels of that box.
    pub crop_voxels: usize,
    /// Bytes that its images take in memory: 4 a voxel and modality.
    pub bytes: u64,
    /// Each foreground class, in the order of the classes.
    pub foreground: Vec<ClassFingerprint>,
}

impl SubjectFingerprint {
    /// Has it no foreground?
    pub fn is_empty(&self) -> bool {
        self.foreground.iter().all(|class| class.voxels == 0)
    }

    /// Whose visit it is: its group, or itself; whether it is a group, as one may have the name
    /// of a subject that is not in it.
    pub fn patient(&self) -> (&str, bool) {
        match &self.group {
            Some(group) => (group, true),
            None => (&self.id, false),
        }
    }

    /// Volume of its foreground in mm³, all classes together.
    pub fn foreground_mm3(&self) -> f64 {
        let voxels: usize = self.foreground.iter().map(|class| class.voxels).sum();
        voxels as f64 * self.voxel_mm3
    }
}

/// One foreground class of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassFingerprint {
    /// Name of the class.
    pub class: String,
    /// Its voxels; 0 where the subject has none.
    pub voxels: usize,
    /// Share of the grid that it takes.
    pub share_of_grid: f64,
    /// Share of the inside that it takes; its voxels outside do not count.
    pub share_inside: f64,
    /// Distance of its voxels to the edge of the mask; `None` without voxels, without a
    /// mask and where the mask is everywhere.
    pub edge: Option<EdgeDistance>,
    /// Its components, in the order of their first voxels.
    pub components: Vec<Component>,
}

/// Distances in mm from voxel centres to the nearest voxel centre outside the mask, 0 for
/// voxels that lie outside themselves. What is beyond the image does not count as outside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeDistance {
    /// The least.
    pub min_mm: f64,
    /// The median.
    pub median_mm: f64,
}

/// One component.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Its voxels.
    pub voxels: usize,
    /// Its volume in mm³.
    pub mm3: f64,
    /// Voxels along x, y, z of its bounding box.
    pub extent_voxels: [usize; 3],
    /// Lengths of that box in mm.
    pub extent_mm: [f64; 3],
}

impl Fingerprint {
    /// Writes `fingerprint.json`, `fingerprint.csv` and `components.csv` into a folder,
    /// each atomically.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), RecordError> {
        write_json(&folder.join(FILE), self)?;
        tables::write_subjects(self, &folder.join(Self::FILES[1]))?;
        tables::write_components(self, &folder.join(Self::FILES[2]))
    }

    /// The files that [`Fingerprint::write`] writes.
    pub const FILES: [&str; 3] = [FILE, "fingerprint.csv", "components.csv"];

    /// Reads a `fingerprint.json`; `None` when there is no such file.
    ///
    /// # Errors
    /// When it cannot be read, or [`RecordError::Corrupt`] when it is something else.
    pub fn read(path: &Path) -> Result<Option<Self>, RecordError> {
        read_optional(path)
    }
}

#[cfg(test)]
mod tests;
