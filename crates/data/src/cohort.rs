//! Prepared subjects: in memory as far as it reaches, beyond that in files of a
//! cache from which patches are read.
//!
//! Which subjects stay in memory is decided once, in the order of the cohort.
//! Patches come from subjects at random, so that no subject is worth more than
//! another, and exchanging them would only cost reading. What is read is what was
//! prepared, to the last bit.

mod cached;
mod elements;
mod key;
mod store;

use std::borrow::Cow;
use std::path::PathBuf;

use lacuna_io::atomic::WriteError;
use lacuna_volume::{Grid, IGNORED, LabelMap, Spacing, Volume};

use crate::subject::{Case, LossMaps, LostLesions};
use crate::window::append_window;
use cached::{Cached, Role};

pub use store::{Finish, Store};

/// Why a prepared subject cannot be kept on disk or taken from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CohortError {
    /// No place for the cache is known.
    #[error(
        "the subjects do not fit into train.memory, and there is no home folder for a cache on \
         disk: set train.cache to a folder, or raise train.memory"
    )]
    NoFolder,
    /// The cache cannot be written.
    #[error(
        "subject {subject} cannot be kept in the cache folder {folder}: {source}; set train.cache \
         to a folder with room, or raise train.memory"
    )]
    Write {
        /// Id of the subject.
        subject: String,
        /// The cache.
        folder: PathBuf,
        /// What is wrong.
        source: WriteError,
    },
    /// The folder of the cache cannot be made.
    #[error(
        "the cache folder {folder} cannot be made: {source}; set train.cache to another folder, \
         or raise train.memory"
    )]
    Folder {
        /// The cache.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the cache that was good when the run began.
    #[error(
        "the prepared subject {subject} can no longer be read from {path}: {source}; start again \
         (--resume goes on from the last checkpoint), which makes the file anew"
    )]
    Read {
        /// Id of the subject.
        subject: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
}

/// Subjects on which a network is trained or validated.
#[derive(Debug, Default)]
pub struct Cohort {
    subjects: Vec<Held>,
}

/// A prepared subject.
#[derive(Debug)]
pub(crate) enum Held {
    Memory(Box<Case>),
    Disk(Box<Cached>),
}

impl From<Vec<Case>> for Cohort {
    fn from(cases: Vec<Case>) -> Self {
        let held = cases.into_iter().map(|case| Held::Memory(Box::new(case)));
        Self {
            subjects: held.collect(),
        }
    }
}

impl Cohort {
    /// Number of subjects.
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// True without subjects.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Subjects that lie on disk.
    pub fn on_disk(&self) -> usize {
        let disk = |held: &&Held| matches!(held, Held::Disk(_));
        self.subjects.iter().filter(disk).count()
    }

    /// Id of a subject.
    pub fn id(&self, subject: usize) -> &str {
        self.subjects[subject].id()
    }

    /// Voxel edges of a subject in mm.
    pub fn spacing(&self, subject: usize) -> Spacing {
        self.subjects[subject].grid().spacing()
    }

    /// What resampling took from the label of a subject.
    pub fn lost(&self, subject: usize) -> LostLesions {
        match &self.subjects[subject] {
            Held::Memory(case) => case.lost,
            Held::Disk(cached) => cached.lost,
        }
    }

    /// The subjects that lost lesions to resampling, with how many of how many.
    pub fn lost_lesions(&self) -> Option<String> {
        let subjects = (0..self.len()).map(|subject| (self.id(subject), self.lost(subject)));
        let told: Vec<String> = (subjects.filter(|(_, lost)| lost.lesions > 0))
            .map(|(id, lost)| format!("{id} {lost}"))
            .collect();
        (!told.is_empty()).then(|| {
            format!(
                "lesions have no voxel at geometry.spacing: {}; a finer spacing, or \
                 geometry.labels = \"keep-lesions\", keeps them",
                told.join(", ")
            )
        })
    }

    /// A whole subject.
    ///
    /// # Errors
    /// [`CohortError::Read`]
    pub fn case(&self, subject: usize) -> Result<Cow<'_, Case>, CohortError> {
        match &self.subjects[subject] {
            Held::Memory(case) => Ok(Cow::Borrowed(case)),
            Held::Disk(cached) => cached.case().map(Cow::Owned),
        }
    }

    pub(crate) fn held(&self) -> &[Held] {
        &self.subjects
    }
}

/// What decides where patches may be cut in a subject.
pub(crate) struct Annotations<'a> {
    pub(crate) shape: [usize; 3],
    pub(crate) label: Option<Cow<'a, LabelMap>>,
    pub(crate) mask: Option<Cow<'a, Volume<bool>>>,
    pub(crate) weight: Option<Cow<'a, Volume<f32>>>,
}

impl Annotations<'_> {
    /// Whether the voxel at this place in memory may be drawn: inside the mask, and of a class
    /// that is known.
    pub(crate) fn in_mask(&self, index: usize) -> bool {
        self.mask.as_ref().is_none_or(|mask| mask.data()[index])
            && (self.label.as_ref()).is_none_or(|label| label.data()[index] != IGNORED)
    }
}

/// First voxel and size of a box along x, y, z; it may reach beyond the volume.
pub(crate) type Window = ([isize; 3], [usize; 3]);

impl Held {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Memory(case) => &case.id,
            Self::Disk(cached) => &cached.id,
        }
    }

    pub(crate) fn grid(&self) -> Grid {
        match self {
            Self::Memory(case) => case.channels[0].grid(),
            Self::Disk(cached) => cached.grid,
        }
    }

    pub(crate) fn annotations(&self) -> Result<Annotations<'_>, CohortError> {
        let shape = self.grid().shape;
        match self {
            Self::Memory(case) => Ok(Annotations {
                shape,
                label: case.label.as_ref().map(Cow::Borrowed),
                mask: case.mask.as_ref().map(Cow::Borrowed),
                weight: case.weight.as_ref().map(Cow::Borrowed),
            }),
            Self::Disk(cached) => cached.reading(|reader| {
                Ok(Annotations {
                    shape,
                    label: reader.volumes(Role::Label)?.pop().map(Cow::Owned),
                    mask: reader.volumes(Role::Mask)?.pop().map(Cow::Owned),
                    weight: reader.volumes(Role::Weight)?.pop().map(Cow::Owned),
                })
            }),
        }
    }

    /// A box of each channel.
    pub(crate) fn images(&self, window: Window) -> Result<Vec<Volume<f32>>, CohortError> {
        match self {
            Self::Memory(case) => Ok(case.channels.iter().map(|v| cut(v, window)).collect()),
            Self::Disk(cached) => cached.reading(|r| r.windows(Role::Channel, window)),
        }
    }

    /// A box of the label, and of what the loss reads.
    ///
    /// # Panics
    /// For a subject without a label.
    pub(crate) fn references(&self, window: Window) -> Result<(LabelMap, LossMaps), CohortError> {
        let (label, maps) = match self {
            Self::Memory(case) => {
                let maps = &case.maps;
                let maps = LossMaps {
                    distance: maps.distance.iter().map(|v| cut(v, window)).collect(),
                    lesion: maps.lesion.as_ref().map(|v| cut(v, window)),
                    weight: maps.weight.as_ref().map(|v| cut(v, window)),
                };
                (case.label.as_ref().map(|v| cut(v, window)), maps)
            }
            Self::Disk(cached) => cached.reading(|reader| {
                let maps = LossMaps {
                    distance: reader.windows(Role::Distance, window)?,
                    lesion: reader.windows(Role::Lesion, window)?.pop(),
                    weight: reader.windows(Role::LossWeight, window)?.pop(),
                };
                Ok((reader.windows(Role::Label, window)?.pop(), maps))
            })?,
        };
        Ok((
            label.expect("a sampler refuses subjects without labels"),
            maps,
        ))
    }

    /// A box of where images show something, see [`inside_of`]; `images` is the same box
    /// of each channel.
    pub(crate) fn inside(
        &self,
        window: Window,
        images: &[Volume<f32>],
    ) -> Result<Option<Volume<bool>>, CohortError> {
        let mask = match self {
            Self::Memory(case) => case.mask.as_ref().map(|mask| cut(mask, window)),
            Self::Disk(cached) => cached.reading(|r| r.windows(Role::Mask, window))?.pop(),
        };
        Ok(inside_of(mask, images))
    }

    /// The weights of one row along x, numbered in memory order; 0 where no voxel may be drawn,
    /// see [`Annotations::in_mask`].
    pub(crate) fn weight_row(&self, row: usize) -> Result<Vec<f32>, CohortError> {
        let [width, height, _] = self.grid().shape;
        let masked = |mut weights: Vec<f32>, mask: Option<&[bool]>, label: Option<&[u8]>| {
            for (weight, inside) in weights.iter_mut().zip(mask.into_iter().flatten()) {
                *weight = if *inside { *weight } else { 0.0 };
            }
            for (weight, label) in weights.iter_mut().zip(label.into_iter().flatten()) {
                *weight = if *label == IGNORED { 0.0 } else { *weight };
            }
            weights
        };
        match self {
            Self::Memory(case) => {
                let places = row * width..(row + 1) * width;
                let weight = case.weight.as_ref().expect("places come from weights");
                let mask = case.mask.as_ref().map(|mask| &mask.data()[places.clone()]);
                let label = case
                    .label
                    .as_ref()
                    .map(|label| &label.data()[places.clone()]);
                Ok(masked(weight.data()[places].to_vec(), mask, label))
            }
            Self::Disk(cached) => cached.reading(|reader| {
                let first = [0, row % height, row / height].map(|i| i as isize);
                let window = (first, [width, 1, 1]);
                let weights = reader.windows(Role::Weight, window)?.pop();
                let mask = reader.windows::<bool>(Role::Mask, window)?.pop();
                let label = reader.windows::<u8>(Role::Label, window)?.pop();
                let weights = weights.expect("places come from weights").into_data();
                let mask = mask.as_ref().map(Volume::data);
                Ok(masked(weights, mask, label.as_ref().map(Volume::data)))
            }),
        }
    }
}

/// The mask, or without one all but the voxels that in every image, which lie on one
/// grid, hold 0 or its least value: what prepared images have outside.
pub(crate) fn inside_of(
    mask: Option<Volume<bool>>,
    images: &[Volume<f32>],
) -> Option<Volume<bool>> {
    mask.or_else(|| {
        let mut inside = images.first()?.map(|_| [false; 2]);
        for image in images {
            let least = image.data().iter().copied().fold(f32::INFINITY, f32::min);
            let pairs = inside.data_mut().iter_mut().zip(image.data());
            for ([not_zero, not_least], value) in pairs {
                *not_zero |= *value != 0.0;
                *not_least |= *value != least;
            }
        }
        Some(inside.map(|[not_zero, not_least]| *not_zero && *not_least))
    })
}

pub(crate) fn cut<T: Copy>(volume: &Volume<T>, (origin, size): Window) -> Volume<T> {
    let mut data = Vec::new();
    append_window(&mut data, volume, origin, size);
    part_of(&volume.grid(), origin, size, data)
}

/// A box of a grid as a volume, in its place.
pub(crate) fn part_of<T>(
    grid: &Grid,
    origin: [isize; 3],
    size: [usize; 3],
    data: Vec<T>,
) -> Volume<T> {
    let Grid { shape, affine } = grid.part(origin, size);
    Volume::new(shape, affine, data).expect("as large as its size, axes of a volume")
}
