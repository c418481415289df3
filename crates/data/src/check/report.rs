//! What the pre-flight check found, ready to be printed or written as JSON.
//!
//! Shares are fractions of 1, lengths mm, volumes mm³. Axes are x, y, z.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::lesions::LesionReport;
use crate::normalise::Background;

/// The findings on a dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckReport {
    /// Name of the dataset.
    pub name: String,
    /// The manifest checked.
    pub manifest: PathBuf,
    /// Modalities in channel order.
    pub modalities: Vec<String>,
    /// Classes by index, 0 the background.
    pub classes: Vec<String>,
    /// Subjects with a label file.
    pub labelled: usize,
    /// Lesions of all readable label maps together; absent without any.
    pub lesions: Option<LesionReport>,
    /// One entry for each subject, in the order of the manifest.
    pub subjects: Vec<SubjectReport>,
    /// All problems: those of the subjects in the order of the manifest, then
    /// those of the dataset as a whole.
    pub problems: Vec<Problem>,
}

impl CheckReport {
    /// False when a problem is an error.
    pub fn exit_ok(&self) -> bool {
        self.count(Severity::Error) == 0
    }

    /// Of each modality, the images without a mask in which `normalise.background = "auto"`
    /// finds a background of 0, and those in which it finds none.
    pub fn backgrounds(&self) -> Vec<(&str, [usize; 2])> {
        let count = |modality: &str, background: Background| {
            let maskless = self.subjects.iter().filter(|s| s.mask.is_none());
            let images = maskless.flat_map(|s| &s.images);
            images
                .filter(|i| i.modality == modality && i.background == Some(background))
                .count()
        };
        let counts = self.modalities.iter().map(|modality| {
            let counts = [Background::Zero, Background::None].map(|b| count(modality, b));
            (modality.as_str(), counts)
        });
        counts.filter(|(_, counts)| *counts != [0, 0]).collect()
    }

    /// Number of problems of that severity.
    pub fn count(&self, severity: Severity) -> usize {
        let same = |p: &&Problem| p.severity == severity;
        self.problems.iter().filter(same).count()
    }
}

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Training runs, but likely not on what was meant.
    Warning,
    /// Training or prediction would stop or be wrong.
    Error,
}

/// Something to mend, or to know.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// How much it matters.
    pub severity: Severity,
    /// The subject; absent when the dataset as a whole is meant.
    pub subject: Option<String>,
    /// The file, when one is to blame.
    pub file: Option<String>,
    /// What was found and what was expected.
    pub finding: String,
    /// What to do.
    pub remedy: String,
}

/// The findings on one subject. A file that cannot be read is absent here and
/// among the problems.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SubjectReport {
    /// The subject.
    pub id: String,
    /// Readable images in channel order. The first is the reference for the
    /// geometry of the subject's other files.
    pub images: Vec<ImageReport>,
    /// The label map.
    pub label: Option<LabelReport>,
    /// The mask.
    pub mask: Option<MaskReport>,
    /// The sampling-weight map.
    pub weight: Option<ImageReport>,
    /// The white-matter mask.
    pub white_matter: Option<MaskReport>,
}

/// Where the voxels of a file lie.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GridReport {
    /// Voxels along x, y, z.
    pub shape: [usize; 3],
    /// Voxel edge lengths in mm.
    pub spacing_mm: [f64; 3],
    /// The world directions the axes run towards, such as `LPS`.
    pub orientation: String,
    /// Largest distance in mm between corners of this grid and of the
    /// subject's first image; absent when their shapes differ.
    pub corner_displacement_mm: Option<f64>,
}

/// The findings on an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageReport {
    /// The modality, or `weight`.
    pub modality: String,
    /// The file, with `#volume` for a part of a 4-D file.
    pub file: String,
    /// Its grid.
    pub grid: GridReport,
    /// Voxels that are NaN or infinite.
    pub not_finite: usize,
    /// Smallest finite value; 0 when there is none.
    pub min: f32,
    /// Largest finite value; 0 when there is none.
    pub max: f32,
    /// What `normalise.background = "auto"` leaves out of the statistics of this image where
    /// the subject has no mask: "zero" or "none".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,
}

impl ImageReport {
    /// True when all finite voxels have the same value.
    pub fn is_constant(&self) -> bool {
        self.min == self.max
    }
}

/// The findings on a label map.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelReport {
    /// The file.
    pub file: PathBuf,
    /// Its grid.
    pub grid: GridReport,
    /// Voxels of each value found.
    pub values: BTreeMap<i32, usize>,
    /// Those of the values that the manifest lacks. They count as no class.
    pub unknown_values: Vec<i32>,
    /// Each class but the background, in the order of the manifest.
    pub foreground: Vec<ClassShare>,
    /// Share of foreground voxels, all classes together, in the volume.
    pub foreground_share: f64,
    /// Share of foreground voxels inside the mask among the mask's voxels;
    /// absent without a mask of the same shape or with an empty one.
    pub foreground_share_in_mask: Option<f64>,
    /// Share of the foreground voxels that lie outside the mask.
    pub foreground_outside_mask: Option<f64>,
    /// 26-connected components of the foreground, all classes together.
    pub lesions: LesionReport,
}

/// How much of a label map one class takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassShare {
    /// The class.
    pub class: String,
    /// Its voxels.
    pub voxels: usize,
    /// Its share of the volume.
    pub share: f64,
    /// Share of its voxels inside the mask among the mask's voxels.
    pub share_in_mask: Option<f64>,
}

/// The findings on a mask.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MaskReport {
    /// The file.
    pub file: PathBuf,
    /// Its grid.
    pub grid: GridReport,
    /// Voxels other than 0.
    pub voxels: usize,
    /// Their share of the volume.
    pub share: f64,
}
