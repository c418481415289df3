//! What can be wrong with a subject's files.

use std::path::PathBuf;

use lacuna_volume::{Grid, SAME_GRID_VOXELS, VolumeError, corner_displacement_voxels};

use crate::manifest::ManifestError;
use crate::normalise::NormaliseError;

/// Why a subject cannot be made ready, or its result not be brought back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// A file cannot be read to tell whether it has changed.
    #[error(
        "subject {subject}: one of its files cannot be read: {source}; check its files with `lacuna check`"
    )]
    Unreadable {
        /// Id of the subject.
        subject: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file cannot be read, or does not hold what the manifest says.
    #[error("subject {subject}: {source}")]
    Manifest {
        /// Id of the subject.
        subject: String,
        /// What does not fit.
        source: Box<ManifestError>,
    },
    /// The subject lacks an image.
    #[error("subject {subject}: no image of {modality}; add it to the subject's images")]
    MissingModality {
        /// Id of the subject.
        subject: String,
        /// The modality.
        modality: String,
    },
    /// Two files of one subject do not show the same voxels.
    #[error(
        "subject {subject}: {file} has shape {:?} and {reference} has {:?}{}; \
         resample one onto the other's grid",
        found.shape,
        expected.shape,
        if found.shape == expected.shape {
            format!(
                ", but their corners lie {displacement_mm:.2} mm apart: {:.2} voxels, at most \
                 {SAME_GRID_VOXELS} expected",
                corner_displacement_voxels(expected, found)
            )
        } else {
            String::new()
        }
    )]
    Grid {
        /// Id of the subject.
        subject: String,
        /// The file that differs.
        file: String,
        /// Where its voxels lie.
        found: Box<Grid>,
        /// The subject's first image.
        reference: String,
        /// Where its voxels lie.
        expected: Box<Grid>,
        /// Largest distance between same-named corners; infinite when the shapes differ.
        displacement_mm: f64,
    },
    /// An image with voxels that are no numbers.
    #[error(
        "subject {subject}: {file} has {count} voxels that are NaN or infinite, the first at \
         {voxel:?}; replace them by finite values, or leave the subject out"
    )]
    NotFinite {
        /// Id of the subject.
        subject: String,
        /// The image.
        file: String,
        /// How many such voxels.
        count: usize,
        /// The first (x, y, z), in the file's axes.
        voxel: [usize; 3],
    },
    /// A mask without voxels.
    #[error(
        "subject {subject}: the {role} {} is 0 everywhere; correct it, or remove it from the \
         dataset", file.display()
    )]
    EmptyMask {
        /// Id of the subject.
        subject: String,
        /// `mask` or `white_matter`.
        role: &'static str,
        /// The file.
        file: PathBuf,
    },
    /// An image without usable contrast.
    #[error("subject {subject}: {modality} {file} cannot be normalised: {source}")]
    Normalise {
        /// Id of the subject.
        subject: String,
        /// The modality.
        modality: String,
        /// The image.
        file: String,
        /// What is wrong with its intensities.
        source: NormaliseError,
    },
    /// Grey matter is looked for in a T1-weighted image.
    #[error(
        "subject {subject}: normalise.method = \"grey-matter\" needs a T1-weighted image, a modality \
         whose name begins with T1, and there is none; add one, or choose \"white-matter\" or \
         \"z-score\""
    )]
    NoT1 {
        /// Id of the subject.
        subject: String,
    },
    /// Images without anything to see.
    #[error("subject {subject}: all of its images are 0 everywhere; replace them")]
    AllZero {
        /// Id of the subject.
        subject: String,
    },
    /// More or fewer images than the run has schemes of normalisation.
    #[error(
        "subject {subject}: {images} images, and nnunet.channels of the run has {schemes}; one is \
         expected for each, so import the model again"
    )]
    Schemes {
        /// Id of the subject.
        subject: String,
        /// Images of the subject.
        images: usize,
        /// Schemes of the run.
        schemes: usize,
    },
    /// The run's spacing is no spacing.
    #[error("spacing = {found:?} must be three positive numbers of millimetres; correct the run")]
    Spacing {
        /// What was given.
        found: [f64; 3],
    },
    /// The run's spacing makes a volume that cannot be held.
    #[error(
        "subject {subject}: at the spacing {spacing:?} mm its volume of {shape:?} voxels would \
         hold {voxels:.1e}, at most {most:.1e} are possible; choose a coarser spacing"
    )]
    TooFine {
        /// Id of the subject.
        subject: String,
        /// The run's spacing.
        spacing: [f64; 3],
        /// Voxels of the subject's own canonical grid.
        shape: [usize; 3],
        /// Voxels at the run's spacing.
        voxels: f64,
        /// Most voxels accepted.
        most: f64,
    },
    /// A volume cannot be turned or resampled.
    #[error(
        "subject {subject}: {file} cannot be placed in the patient: {source}; repair its header"
    )]
    Volume {
        /// Id of the subject.
        subject: String,
        /// The file.
        file: String,
        /// What does not fit.
        source: Box<VolumeError>,
    },
    /// A prediction that is not on the case's grid.
    #[error(
        "subject {subject}: the prediction has {found:?} voxels of {classes} volumes, expected \
         {expected:?} of at least 1 and at most 256; predict this subject again"
    )]
    Prediction {
        /// Id of the subject.
        subject: String,
        /// Its voxels, of the first class that does not fit.
        found: [usize; 3],
        /// Voxels of the case.
        expected: [usize; 3],
        /// Classes given.
        classes: usize,
    },
    /// Class indices that would have to be interpolated.
    #[error(
        "subject {subject}: class indices on a grid of {found:?} voxels, expected the subject's \
         own grid of {expected:?}; bring probabilities back instead"
    )]
    ClassIndices {
        /// Id of the subject.
        subject: String,
        /// Their voxels along x, y, z.
        found: [usize; 3],
        /// Voxels of the subject's own canonical grid.
        expected: [usize; 3],
    },
}
