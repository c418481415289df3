//! One subject, read from its files and made ready for patches, and its
//! prediction brought back.
//!
//! In order: every modality is read and checked, brought onto the grid of one where the
//! manifest says so, turned to canonical axes
//! (RAS+: x right, y anterior, z superior), resampled to the run's spacing when
//! there is one (images and weights linearly, labels and masks by class), and
//! normalised. [`Case::restore_probabilities`] goes the same way back to the grid of
//! the subject's first image, or of the one whose grid the manifest names.

mod error;
mod lesions;
mod loader;
mod nnunet;
mod restore;

use std::borrow::Cow;

use lacuna_io::Reference;
use lacuna_volume::{Grid, LabelMap, Orientation, Volume, fill_holes};
use serde::{Deserialize, Serialize};

use crate::manifest::{ImageRef, Manifest, Subject};
use crate::normalise::{NormaliseConfig, NormaliseMethod, grey_matter, normalise};
use crate::white_matter::is_t1;

pub use error::CaseError;
pub use lesions::LostLesions;
use loader::Loader;
pub use nnunet::{NnunetConfig, Resampling, Scheme, Shown, Slices, load_as_nnunet};

/// Share of the voxels that must show nothing, where a subject has no mask, to be left out.
const LEAST_OUTSIDE: f64 = 0.01;

/// What is done to every subject of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Preprocess {
    /// How intensities are made comparable.
    pub normalise: NormaliseConfig,
    /// Voxel edges in mm along the canonical axes; `None` keeps each subject's own.
    pub spacing: Option<[f64; 3]>,
    /// How labels are brought to that spacing.
    pub labels: LabelResampling,
}

/// How labels are brought to the run's spacing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelResampling {
    /// Each voxel gets the class that has most of it; small lesions may vanish.
    #[default]
    Majority,
    /// The same, and each lesion of one class that has no voxel then gets one.
    KeepLesions,
}

/// A subject in memory. All volumes share one grid: canonical axes (RAS+), unless
/// [`load_as_nnunet`] was told otherwise, at the run's spacing.
#[derive(Clone, Debug)]
pub struct Case {
    /// Id of the subject.
    pub id: String,
    /// Normalised images, in the manifest's order of modalities.
    pub channels: Vec<Volume<f32>>,
    /// Class of each voxel; `None` for a subject to predict.
    pub label: Option<LabelMap>,
    /// Where patches and predictions may be; `None` means everywhere.
    pub mask: Option<Volume<bool>>,
    /// Weights of the voxels, for the weighted sampler and for the loss.
    pub weight: Option<Volume<f32>>,
    /// What resampling took from the label.
    pub lost: LostLesions,
    /// What a loss reads beside the label, cut into patches with it.
    pub maps: LossMaps,
    /// Where the subject comes from.
    pub source: Source,
}

/// What a loss reads of a subject beside its label; empty unless one does.
#[derive(Clone, Debug, Default)]
pub struct LossMaps {
    /// One per class, such as distances to its boundary; or none.
    pub distance: Vec<Volume<f32>>,
    /// Number of the lesion that a voxel belongs to, 0 outside.
    pub lesion: Option<Volume<u32>>,
    /// What the loss of a voxel is multiplied by.
    pub weight: Option<Volume<f32>>,
}

/// The way back from a [`Case`] to the subject's files.
#[derive(Clone, Debug)]
pub struct Source {
    /// The first image, which results are written onto.
    pub reference: Reference,
    /// Axes of that image.
    pub orientation: Orientation,
    /// That image's grid in canonical axes.
    pub grid: Grid,
    /// The mask on `grid`; only there when the case was resampled, or is a part.
    pub mask: Option<Volume<bool>>,
    /// The part of `grid` that the case shows, where it is not all.
    pub shown: Option<Shown>,
}

impl Source {
    /// The grid of the voxels that the case shows, at the subject's own spacing.
    fn own_grid(&self) -> &Grid {
        self.shown.as_ref().map_or(&self.grid, |shown| &shown.grid)
    }
}

/// Reads a subject. A label that the subject names is read too: clear
/// [`Subject::label`] first when only a prediction is wanted.
///
/// # Errors
/// When a file cannot be read, lies on another grid than the first image
/// (corners more than a tenth of a voxel apart; but for images where [`Manifest::grid`] says
/// onto which they are brought), holds NaN, an unknown label value or an
/// empty mask; when an image has no contrast; and when the spacing is unusable.
pub fn load_case(
    manifest: &Manifest,
    subject: &Subject,
    preprocess: &Preprocess,
) -> Result<Case, CaseError> {
    let images = images_of(manifest, subject)?;
    let loader = Loader::new(manifest, subject, &images, preprocess.spacing)?;

    let own_mask = loader.mask("mask", subject.mask.as_deref())?;
    let mask = own_mask
        .as_ref()
        .map(|m| loader.resample_mask(m))
        .transpose()?;
    let mut channels = images
        .iter()
        .map(|(_, image)| loader.image(image))
        .collect::<Result<Vec<_>, _>>()?;
    let refused = |channel: usize, source| {
        let (modality, image) = images[channel];
        CaseError::Normalise {
            subject: subject.id.clone(),
            modality: modality.clone(),
            file: image.to_string(),
            source,
        }
    };
    let tissue = match preprocess.normalise.method {
        NormaliseMethod::WhiteMatter => loader
            .mask("white_matter", subject.white_matter.as_deref())?
            .map(|white| loader.resample_mask(&white))
            .transpose()?,
        NormaliseMethod::GreyMatter => {
            let t1 = images.iter().position(|(modality, _)| is_t1(modality));
            let t1 = t1.ok_or_else(|| CaseError::NoT1 {
                subject: subject.id.clone(),
            })?;
            let background = preprocess.normalise.background;
            let grey = grey_matter(&channels[t1], mask.as_ref(), background);
            Some(grey.map_err(|source| refused(t1, source))?)
        }
        _ => None,
    };
    for (number, (channel, (modality, _))) in channels.iter_mut().zip(&images).enumerate() {
        normalise(
            channel,
            modality,
            mask.as_ref(),
            tissue.as_ref(),
            preprocess.normalise,
        )
        .map_err(|source| refused(number, source))?;
    }
    let label = subject.label.as_deref();
    let label = label.map(|path| loader.label(path, preprocess.labels));
    let (label, lost) = label.transpose()?.unzip();
    let weight = subject.weight.clone().map(ImageRef::from);
    let weight = weight.map(|image| loader.weight(&image)).transpose()?;
    Ok(Case {
        id: subject.id.clone(),
        channels,
        label,
        mask,
        weight,
        lost: lost.unwrap_or_default(),
        maps: LossMaps::default(),
        source: Source {
            reference: loader.reference,
            orientation: loader.orientation,
            grid: loader.own_grid,
            mask: own_mask.filter(|_| loader.run_grid != loader.own_grid),
            shown: None,
        },
    })
}

/// Where a subject's first image lies, without reading voxels: the source of its
/// case, but for the mask.
///
/// # Errors
/// When the header cannot be read, or the spacing is unusable.
pub(crate) fn locate(
    manifest: &Manifest,
    subject: &Subject,
    preprocess: &Preprocess,
) -> Result<Source, CaseError> {
    let images = images_of(manifest, subject)?;
    let loader = Loader::new(manifest, subject, &images, preprocess.spacing)?;
    Ok(Source {
        reference: loader.reference,
        orientation: loader.orientation,
        grid: loader.own_grid,
        mask: None,
        shown: None,
    })
}

/// The lesions of a subject that have no voxel when its label is resampled to
/// `spacing`; `None` without a label.
///
/// # Errors
/// When the label or the header of the first image cannot be used.
pub fn lost_lesions(
    manifest: &Manifest,
    subject: &Subject,
    spacing: [f64; 3],
) -> Result<Option<LostLesions>, CaseError> {
    let images = images_of(manifest, subject)?;
    let loader = Loader::new(manifest, subject, &images, Some(spacing))?;
    let label = subject.label.as_deref();
    let label = label.map(|path| loader.label(path, LabelResampling::Majority));
    Ok(label.transpose()?.map(|(_, lost)| lost))
}

/// The images in the manifest's order of modalities, at least one.
fn images_of<'a>(
    manifest: &'a Manifest,
    subject: &'a Subject,
) -> Result<Vec<(&'a String, &'a ImageRef)>, CaseError> {
    let images = manifest
        .modalities
        .iter()
        .map(|modality| {
            let image = subject.images.get(modality);
            let missing = || CaseError::MissingModality {
                subject: subject.id.clone(),
                modality: modality.clone(),
            };
            image.map(|i| (modality, i)).ok_or_else(missing)
        })
        .collect::<Result<Vec<_>, _>>()?;
    if images.is_empty() {
        return Err(CaseError::MissingModality {
            subject: subject.id.clone(),
            modality: "any modality".to_owned(),
        });
    }
    Ok(images)
}

impl Case {
    /// Images that lie in memory on one grid, with nothing beside them.
    ///
    /// # Panics
    /// Without an image.
    pub fn of_images(id: &str, channels: Vec<Volume<f32>>) -> Self {
        let grid = channels.first().expect("a case has an image").grid();
        Self {
            id: id.to_owned(),
            label: None,
            mask: None,
            weight: None,
            lost: LostLesions::default(),
            maps: LossMaps::default(),
            source: Source {
                reference: Reference::from_grid(&grid),
                orientation: Orientation::of(&grid.affine),
                grid,
                mask: None,
                shown: None,
            },
            channels,
        }
    }

    /// Voxels along x, y, z.
    pub fn shape(&self) -> [usize; 3] {
        self.channels.first().map_or([0; 3], Volume::shape)
    }

    /// Does it have other voxels than the image that it comes from?
    pub fn is_resampled(&self) -> bool {
        self.channels[0].grid() != *self.source.own_grid()
    }

    /// Where the images show something: the mask, or without one [`tissue`] without its holes.
    /// `None` where that is about everything, or where the images were cut to it already.
    pub fn inside(&self) -> Option<Cow<'_, Volume<bool>>> {
        match (&self.mask, &self.source.shown) {
            (Some(mask), _) => Some(Cow::Borrowed(mask)),
            (None, Some(_)) => None,
            (None, None) => {
                let found = fill_holes(&tissue(&self.channels), [true; 3]);
                let outside = found.data().iter().filter(|inside| !**inside).count();
                // A few voxels of an image that fills its grid are dark by chance, and in a
                // single slice nothing is enclosed.
                let surrounds = outside as f64 > LEAST_OUTSIDE * found.len() as f64
                    && !found.shape().contains(&1);
                surrounds.then_some(Cow::Owned(found))
            }
        }
    }

    /// Is the voxel at this place in memory (x fastest) inside the mask?
    pub fn in_mask(&self, index: usize) -> bool {
        self.mask.as_ref().is_none_or(|mask| mask.data()[index])
    }
}

/// What stands for the mask of a subject without one: the voxels at which some channel
/// holds neither 0 nor its least value, which normalisation gives to the outside; all
/// voxels where there is none. At least one channel.
pub fn tissue(channels: &[Volume<f32>]) -> Volume<bool> {
    let mut inside = channels[0].map(|_| false);
    for channel in channels {
        let least = channel.data().iter().copied().fold(f32::INFINITY, f32::min);
        for (inside, value) in inside.data_mut().iter_mut().zip(channel.data()) {
            *inside |= *value != 0.0 && *value != least;
        }
    }
    if !inside.data().contains(&true) {
        inside.data_mut().fill(true);
    }
    inside
}
