//! What is done to patches between cutting and collating: augmentation.
//!
//! A transform treats images, labels and loss maps together, so that they go on
//! showing the same voxels. Its random numbers come from a generator keyed by the
//! run's seed, the iteration, the sample and the transform's place in the list, so
//! that a resumed run and any number of threads give the same patches, and what one
//! transform draws depends on no other.
//!
//! Transforms of intensity change what is [inside](Patch::inside) only: outside, a
//! prepared image holds one constant, which the network sees in every patch.

mod bias_field;
mod blur;
mod brightness;
mod channel_dropout;
mod contrast;
mod error;
mod flip;
mod gamma;
mod inside;
mod low_resolution;
mod noise;
mod paste;
mod separable;
mod span;
mod spatial;

use std::fmt;

use lacuna_volume::Spacing;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::cohort::Cohort;
use crate::sampler::{Patch, PatchGeometry, Plane};

pub use bias_field::BiasField;
pub use blur::Blur;
pub use brightness::Brightness;
pub use channel_dropout::ChannelDropout;
pub use contrast::Contrast;
pub use error::{AxesError, TransformError};
pub use flip::{AnatomicalAxis, Flip, check_axes, mirror};
pub use gamma::Gamma;
pub use low_resolution::LowResolution;
pub use noise::Noise;
pub use paste::Paste;
pub use span::Span;
pub use spatial::Spatial;

/// A change of a patch.
pub trait Transform: fmt::Debug + Send + Sync {
    /// Voxels along x, y, z beyond each edge of a patch that the result draws on, where
    /// `rng` draws what it will draw in [`Self::apply`]. A patch is cut larger by the
    /// largest that any transform of a run asks for.
    fn margin(&self, _frame: &Frame, _rng: &mut ChaCha8Rng) -> [usize; 3] {
        [0; 3]
    }

    /// Changes a patch. Sizes and affines stay as they are, but for the margin, which a
    /// transform that has drawn on it may take off.
    fn apply(&self, patch: &mut Patch, rng: &mut ChaCha8Rng);
}

/// Sizes and spacing of a patch without its margin, along x, y, z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Voxels of the images.
    pub input: [usize; 3],
    /// Voxels of labels and maps, around the same centre.
    pub effective: [usize; 3],
    /// Voxel edges in mm.
    pub spacing: Spacing,
}

impl Frame {
    /// That of a patch.
    pub fn of(patch: &Patch) -> Self {
        let without = |shape: [usize; 3]| [0, 1, 2].map(|a| shape[a] - 2 * patch.margin[a]);
        let labels = &patch.labels;
        let images = patch.images.first().map_or(labels.shape(), |i| i.shape());
        Self {
            input: without(images),
            effective: without(labels.shape()),
            spacing: labels.spacing(),
        }
    }
}

/// What a run's transforms work in.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The patches.
    pub geometry: PatchGeometry,
    /// The plane of the slices of a 2-D network.
    pub plane: Plane,
    /// Images of each subject.
    pub channels: usize,
    /// What the loss reads beside the labels.
    pub reads: MapsRead,
}

/// Which of the [`LossMaps`](crate::subject::LossMaps) a loss reads, of those that
/// follow from a subject's labels or were made for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapsRead {
    /// Distances to boundaries.
    pub distance: bool,
    /// Numbers of lesions.
    pub lesion: bool,
    /// A map of weights.
    pub weight: bool,
}

impl Setting {
    /// The plane of the slices, where patches are slices.
    fn slices(&self) -> Option<Plane> {
        (self.geometry.rank == 2).then_some(self.plane)
    }
}

/// One entry of a run's list `transform`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TransformConfig {
    /// Mirrors patches.
    Flip(Flip),
    /// Turns, scales and deforms patches.
    Spatial(Spatial),
    /// Pastes lesions of other subjects.
    Paste(Paste),
    /// Bends intensities.
    Gamma(Gamma),
    /// Brighter and darker.
    Brightness(Brightness),
    /// More and less contrast.
    Contrast(Contrast),
    /// Intensities that change across the patch.
    BiasField(BiasField),
    /// Adds noise.
    Noise(Noise),
    /// Smooths.
    Blur(Blur),
    /// Coarser voxels.
    LowResolution(LowResolution),
    /// Channels without content.
    ChannelDropout(ChannelDropout),
}

impl TransformConfig {
    /// What entries are called, in the order of the variants.
    pub const NAMES: [&str; 11] = [
        "flip",
        "spatial",
        "paste",
        "gamma",
        "brightness",
        "contrast",
        "bias-field",
        "noise",
        "blur",
        "low-resolution",
        "channel-dropout",
    ];

    /// Refuses options that change no patch, or that no patch can honour.
    ///
    /// # Errors
    /// [`TransformError`]
    pub fn check(&self, setting: &Setting) -> Result<(), TransformError> {
        match self {
            Self::Flip(flip) => flip.check(setting.slices()),
            Self::Spatial(spatial) => spatial.check(setting),
            Self::Paste(paste) => paste.check(setting),
            Self::Gamma(gamma) => gamma.check(),
            Self::Brightness(brightness) => brightness.check(),
            Self::Contrast(contrast) => contrast.check(),
            Self::BiasField(field) => field.check(),
            Self::Noise(noise) => noise.check(),
            Self::Blur(blur) => blur.check(),
            Self::LowResolution(low) => low.check(setting),
            Self::ChannelDropout(dropout) => dropout.check(setting),
        }
    }

    /// The transform, of which some take something from the training subjects.
    ///
    /// # Errors
    /// When the subjects do not have what it takes, or one cannot be read.
    pub fn build(
        &self,
        setting: &Setting,
        cohort: &Cohort,
    ) -> Result<Box<dyn Transform>, TransformError> {
        let transform: Box<dyn Transform> = match self {
            Self::Flip(flip) => Box::new(flip.clone()),
            Self::Spatial(spatial) => Box::new(spatial.clone()),
            Self::Paste(paste) => Box::new(paste.build(setting, cohort)?),
            Self::Gamma(gamma) => Box::new(gamma.clone()),
            Self::Brightness(brightness) => Box::new(brightness.clone()),
            Self::Contrast(contrast) => Box::new(contrast.clone()),
            Self::BiasField(field) => Box::new(field.clone()),
            Self::Noise(noise) => Box::new(noise.clone()),
            Self::Blur(blur) => Box::new(blur.clone()),
            Self::LowResolution(low) => Box::new(low.clone()),
            Self::ChannelDropout(dropout) => Box::new(dropout.clone()),
        };
        Ok(transform)
    }
}

/// Refuses a list in which one entry cannot be honoured, or that resamples twice.
///
/// # Errors
/// [`TransformError`]
pub fn check(transforms: &[TransformConfig], setting: &Setting) -> Result<(), TransformError> {
    transforms.iter().try_for_each(|t| t.check(setting))?;
    let spatial = |t: &&TransformConfig| matches!(t, TransformConfig::Spatial(_));
    match transforms.iter().filter(spatial).count() {
        0 | 1 => Ok(()),
        found => Err(TransformError::SpatialTwice { found }),
    }
}

#[cfg(test)]
mod tests;
