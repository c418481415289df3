//! What a phantom cohort is made from, and what can be wrong with it.

use std::path::PathBuf;

use lacuna_io::ImageError;
use lacuna_record::RecordError;
use lacuna_volume::VolumeError;
use serde::{Deserialize, Serialize};

use crate::discover::DiscoverError;
use crate::manifest::ManifestError;

/// Description of a cohort. Every subject has exactly the same foreground share,
/// or with lesions of real shape nearly the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhantomConfig {
    /// Number of subjects.
    pub subjects: usize,
    /// Voxels along R, A, S. The brain fills the grid; 1 along S makes the
    /// axial slice through the basal ganglia.
    pub shape: [usize; 3],
    /// Voxel edge lengths in mm.
    pub spacing: [f64; 3],
    /// Lesion voxels as a share of all voxels of the grid, met to the nearest
    /// voxel by every subject; any share above 0 gives at least one voxel. With
    /// `lesion_masks`, whose shapes are not altered, it is met to a twentieth of
    /// those voxels or half the smallest lesion, whichever is more; any share above
    /// 0 gives at least one lesion.
    pub foreground_share: f64,
    /// Smallest and largest volume of a lesion in mm³. Volumes are drawn
    /// log-uniformly between them; the last lesion takes what is left of the
    /// share. In a crowded white matter lesions flow together.
    pub lesion_volume_mm3: [f64; 2],
    /// Label files of real lesions, whose shapes take the place of drawn ones and of
    /// `lesion_volume_mm3`: a folder (all `.nii.gz` and `.nii` files below it), a
    /// pattern such as `masks/*_lesion.nii.gz`, or a file. In a study file the path
    /// starts where that file lies, else in the working directory.
    ///
    /// The lesions are the 26-connected components of all labels above 0. Each is
    /// mirrored and its axes exchanged at random, as far as their spacings are equal,
    /// and brought to the phantom's spacing with its volume to the nearest voxel, one
    /// at least; at equal spacing the shape is exact. Components are drawn at random
    /// until the share is reached; the last one is that whose size comes nearest to
    /// what is left; so where the share is about as large as single lesions, many
    /// subjects hold the same one, turned. Lesions lie in the white matter, a voxel apart. One that fits
    /// nowhere there (large ones seldom do) lies where most of it is in the brain,
    /// whose edge cuts it, and takes the place of other tissue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lesion_masks: Option<PathBuf>,
    /// How far lesions stand out: 1 is the contrast of real lesions, 0 none.
    pub contrast: f64,
    /// Standard deviation of the noise (Rician) over white-matter intensity.
    pub noise: f64,
    /// Bias field: over the brain it spans `1 - bias` to `1 + bias`.
    pub bias: f64,
    /// Also write each subject's healthy white matter, `white_matter.nii.gz`,
    /// for white-matter normalisation. Above a share of about 1/30 lesions move
    /// the peak that is otherwise estimated from the histogram, so that a study
    /// of the share alone needs the mask.
    pub white_matter_mask: bool,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl Default for PhantomConfig {
    fn default() -> Self {
        Self {
            subjects: 6,
            shape: [96, 112, 96],
            spacing: [1.5; 3],
            foreground_share: 2e-3,
            lesion_volume_mm3: [20.0, 1500.0],
            lesion_masks: None,
            contrast: 1.0,
            noise: 0.04,
            bias: 0.15,
            white_matter_mask: false,
            seed: 0,
        }
    }
}

/// Why a phantom cannot be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhantomError {
    /// A value outside its range.
    #[error("phantom: `{key}` is {found}, expected {expected}; correct it")]
    Range {
        /// The key.
        key: &'static str,
        /// The value.
        found: String,
        /// The values allowed.
        expected: &'static str,
    },
    /// More lesion than white matter.
    #[error(
        "phantom: a foreground share of {share} needs {needed} lesion voxels, but the white \
         matter holds only {available}; lower `foreground_share`"
    )]
    ShareTooLarge {
        /// The share asked for.
        share: f64,
        /// Lesion voxels it needs.
        needed: usize,
        /// White-matter voxels that can carry lesions.
        available: usize,
    },
    /// Nothing to take shapes from.
    #[error(
        "{}: `lesion_masks` finds {files} NIfTI file(s) there and no label above 0 in them; name a \
         folder of lesion masks, or a pattern such as 'masks/*_lesion.nii.gz'", path.display()
    )]
    NoMask {
        /// What `lesion_masks` names.
        path: PathBuf,
        /// Files found.
        files: usize,
    },
    /// No lesion of the masks fits any more.
    #[error(
        "phantom: {placed} of {needed} lesion voxels are placed, and no lesion of `lesion_masks` \
         finds room for more; lower `foreground_share`, enlarge `shape`, or give smaller lesions"
    )]
    NoRoom {
        /// Lesion voxels of the share.
        needed: usize,
        /// Those placed before.
        placed: usize,
    },
    /// The lesion masks cannot be listed.
    #[error(transparent)]
    Discover(#[from] Box<DiscoverError>),
    /// A record cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No grid can be made.
    #[error("phantom: {0}; change `shape` and `spacing`")]
    Grid(#[from] VolumeError),
    /// A folder cannot be made.
    #[error("{}: cannot create the folder: {source}; give a folder that can be written", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An image or label map cannot be read or written.
    #[error(transparent)]
    Nifti(#[from] ImageError),
    /// The dataset manifest cannot be written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Largest number of voxels along an axis and in all; making a subject takes
/// some 40 bytes per voxel.
const MAX_AXIS: usize = 1024;
const MAX_VOXELS: usize = 1 << 26;

impl PhantomConfig {
    /// Refuses values outside their range.
    ///
    /// # Errors
    /// [`PhantomError::Range`] naming the key.
    pub fn check(&self) -> Result<(), PhantomError> {
        let range = |ok: bool, key, found: String, expected| match ok {
            true => Ok(()),
            false => Err(PhantomError::Range {
                key,
                found,
                expected,
            }),
        };
        let within = |v: f64, low: f64, high: f64| v >= low && v <= high;
        let [nx, ny, nz] = self.shape;
        range(
            (1..=9999).contains(&self.subjects),
            "subjects",
            self.subjects.to_string(),
            "1 to 9999",
        )?;
        range(
            [nx, ny, nz].iter().all(|n| (1..=MAX_AXIS).contains(n))
                && nx >= 16
                && ny >= 16
                && nx * ny * nz <= MAX_VOXELS,
            "shape",
            format!("{:?}", self.shape),
            "16 to 1024 voxels along the first two axes, 1 to 1024 along the third, at most 2^26 in all",
        )?;
        range(
            self.lesion_masks.is_none() || nz > 1,
            "shape",
            format!("{:?}", self.shape),
            "several slices, as lesions of `lesion_masks` are solid",
        )?;
        range(
            self.spacing.iter().all(|&s| within(s, 0.01, 100.0)),
            "spacing",
            format!("{:?}", self.spacing),
            "0.01 to 100 mm",
        )?;
        range(
            within(self.foreground_share, 0.0, 1.0),
            "foreground_share",
            self.foreground_share.to_string(),
            "a share of the grid from 0 to 1",
        )?;
        let [low, high] = self.lesion_volume_mm3;
        range(
            within(low, 1e-6, 1e9) && within(high, low, 1e9),
            "lesion_volume_mm3",
            format!("{:?}", self.lesion_volume_mm3),
            "two volumes above 0, the smaller one first",
        )?;
        range(
            within(self.contrast, 0.0, 4.0),
            "contrast",
            self.contrast.to_string(),
            "0 to 4",
        )?;
        range(
            within(self.noise, 0.0, 1.0),
            "noise",
            self.noise.to_string(),
            "0 to 1",
        )?;
        range(
            within(self.bias, 0.0, 0.9),
            "bias",
            self.bias.to_string(),
            "0 to 0.9",
        )
    }

    /// Lesion voxels of every subject.
    pub fn lesion_voxels(&self) -> usize {
        let voxels: usize = self.shape.iter().product();
        let nearest = (self.foreground_share * voxels as f64).round() as usize;
        nearest.max(usize::from(self.foreground_share > 0.0))
    }
}
