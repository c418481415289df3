//! Which patches a network is trained on.
//!
//! A sample is one subject, drawn uniformly among those that can be used, and
//! one place in it. The effective patch (the network's output) lies inside the
//! volume and touches the subject's mask when there is one; the input patch
//! reaches half the border further on each side and is filled by reflection
//! where it spills over the volume. Images are cut as input patches, labels as
//! effective patches. 2-D networks get slices of the volume.
//!
//! Along an axis on which the volume is shorter than the effective patch, the
//! patch starts with the volume, as a window of a prediction does, and is filled
//! by reflection beyond its end: images, labels and loss maps alike. Labels are
//! reflected rather than left out of the loss, because what the network sees there
//! is mirrored tissue of that label, and because every loss can take a label while
//! many know no weight of a voxel.
//!
//! `foreground` is the rule of Sudre et al. 2017: a training patch is kept when
//! its effective part holds at least one foreground element (any class but 0).

mod config;
mod error;
mod patch;
mod places;

use std::collections::BTreeMap;
use std::sync::Arc;

use lacuna_volume::Zyx;
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::cohort::{Cohort, CohortError, Held};
use crate::rng::{Domain, keyed_rng};
use crate::transform::{Frame, Transform};

pub use config::{PatchConfig, PatchGeometry, Plane, SamplerKind};
pub use error::SamplerError;
use patch::Extent;
pub use patch::{Batch, Patch, PatchMaps, PatchPlace, collate};
use places::Places;

/// Draws batches of patches; what it draws depends on the seed and the
/// iteration alone.
#[derive(Debug)]
pub struct Sampler {
    cohort: Arc<Cohort>,
    usable: Vec<Usable>,
    extent: Extent,
    transforms: Vec<Box<dyn Transform>>,
    seed: u64,
}

/// A subject that patches can be drawn from.
#[derive(Debug)]
struct Usable {
    case: usize,
    places: Places,
}

impl Sampler {
    /// Works out where patches may be cut. Beside the sampler come the warnings
    /// to show, which name the subjects that are skipped.
    ///
    /// # Errors
    /// When a case has no label, when no case has foreground, when the weighted
    /// sampler has no usable map, and when a subject on disk cannot be read.
    pub fn new(
        cohort: Arc<Cohort>,
        config: &PatchConfig,
        geometry: PatchGeometry,
        seed: u64,
    ) -> Result<(Self, Vec<String>), SamplerError> {
        check_geometry(config, geometry)?;
        let (input, effective) = geometry.sizes(config.plane);
        if cohort.is_empty() {
            return Err(SamplerError::NoSubjects);
        }
        // Collected before the errors are looked at, so that the first is always
        // that of the first subject.
        let found: Vec<Result<Found, CohortError>> = (cohort.held().par_iter())
            .map(|held| Found::of(held, config.sampler, effective))
            .collect();
        let found: Vec<Found> = found.into_iter().collect::<Result<_, _>>()?;
        check_cases(&cohort, &found, config.sampler)?;

        let mut skipped = Vec::new();
        let mut usable = Vec::new();
        for (case, found) in found.into_iter().enumerate() {
            match found.places? {
                Some(places) => usable.push(Usable { case, places }),
                None => skipped.push(cohort.id(case)),
            }
        }
        if usable.is_empty() {
            return Err(SamplerError::NoForeground {
                subjects: cohort.len(),
                lost: cohort.lost_lesions(),
            });
        }
        let mut warnings = Vec::new();
        if !skipped.is_empty() {
            warnings.push(format!(
                "the {} sampler skips {} of {} subjects, which hold nothing to draw: {}",
                config.sampler,
                skipped.len(),
                cohort.len(),
                skipped.join(", ")
            ));
        }
        let small: Vec<&str> = (cohort.held().iter())
            .filter(|held| (0..3).any(|a| held.grid().shape[a] < effective[a]))
            .map(Held::id)
            .collect();
        if !small.is_empty() {
            let [x, y, z] = effective;
            warnings.push(format!(
                "{} of {} subjects are smaller than the effective patch of {x} x {y} x {z} \
                 voxels and are filled by reflection, images and labels alike: {}",
                small.len(),
                cohort.len(),
                small.join(", ")
            ));
        }
        let sampler = Self {
            cohort,
            usable,
            extent: Extent {
                input,
                effective,
                margin: [0; 3],
            },
            transforms: Vec::new(),
            seed,
        };
        Ok((sampler, warnings))
    }

    /// Changes every patch by these, in their order.
    #[must_use]
    pub fn with_transforms(mut self, transforms: Vec<Box<dyn Transform>>) -> Self {
        self.transforms = transforms;
        self
    }

    /// The batch of this iteration.
    ///
    /// # Errors
    /// When a subject on disk can no longer be read.
    pub fn batch(&self, iteration: u64, batch_size: usize) -> Result<Batch, CohortError> {
        let samples = 0..batch_size as u64;
        let patches = samples.map(|sample| self.patch(iteration, sample));
        Ok(collate(patches.collect::<Result<_, _>>()?))
    }

    /// One patch of this iteration as it was cut, without a margin.
    ///
    /// # Errors
    /// When a subject on disk can no longer be read.
    pub fn untransformed(&self, iteration: u64, sample: u64) -> Result<Patch, CohortError> {
        let place = self.draw(iteration, sample)?;
        Patch::cut(&self.cohort.held()[place.index], place, self.extent)
    }

    /// One patch of this iteration: drawn, cut and transformed.
    ///
    /// # Errors
    /// When a subject on disk can no longer be read.
    pub fn patch(&self, iteration: u64, sample: u64) -> Result<Patch, CohortError> {
        if self.transforms.is_empty() {
            return self.untransformed(iteration, sample);
        }
        let place = self.draw(iteration, sample)?;
        let held = &self.cohort.held()[place.index];
        // Each transform has a stream of its own, whatever the others draw.
        let rng = |number: usize| {
            let mut rng = keyed_rng(self.seed, Domain::Transform, iteration, sample);
            rng.set_stream(number as u64);
            rng
        };
        let mut extent = self.extent;
        let frame = Frame {
            input: extent.input,
            effective: extent.effective,
            spacing: held.grid().spacing(),
        };
        for (number, transform) in self.transforms.iter().enumerate() {
            let asked = transform.margin(&frame, &mut rng(number));
            extent.margin = [0, 1, 2].map(|a| extent.margin[a].max(asked[a]));
        }
        let mut patch = Patch::cut(held, place, extent)?;
        patch.find_inside(held)?;
        for (number, transform) in self.transforms.iter().enumerate() {
            transform.apply(&mut patch, &mut rng(number));
        }
        Ok(patch)
    }

    fn draw(&self, iteration: u64, sample: u64) -> Result<PatchPlace, CohortError> {
        let mut rng = keyed_rng(self.seed, Domain::Sampling, iteration, sample);
        let chosen = &self.usable[rng.random_range(0..self.usable.len() as u64) as usize];
        let held = &self.cohort.held()[chosen.case];
        Ok(PatchPlace {
            subject: held.id().to_owned(),
            index: chosen.case,
            origin: (chosen.places).draw(held, self.extent.effective, &mut rng)?,
        })
    }
}

/// What is found in a subject when the sampler is made.
struct Found {
    labelled: bool,
    foreground: bool,
    weighted: bool,
    places: Result<Option<Places>, SamplerError>,
}

impl Found {
    fn of(held: &Held, kind: SamplerKind, effective: [usize; 3]) -> Result<Self, CohortError> {
        let subject = held.annotations()?;
        let classes = subject.label.iter().flat_map(|label| label.data());
        Ok(Self {
            labelled: subject.label.is_some(),
            foreground: classes.copied().any(|class| class > 0),
            weighted: subject.weight.is_some(),
            places: Places::of(held.id(), &subject, kind, effective),
        })
    }
}

fn check_geometry(config: &PatchConfig, geometry: PatchGeometry) -> Result<(), SamplerError> {
    let PatchGeometry {
        rank,
        input,
        effective,
    } = geometry;
    let (Zyx(input), Zyx(effective)) = (input, effective);
    let sound = |axis: usize| {
        let border = input[axis].checked_sub(effective[axis]);
        effective[axis] > 0 && border.is_some_and(|border| border % 2 == 0)
    };
    let plane = rank == 2 && input[0] == 1;
    if !(plane || rank == 3) || !(0..3).all(sound) {
        return Err(SamplerError::Geometry { geometry });
    }
    if rank == 3 && config.plane != Plane::default() {
        return Err(SamplerError::PlaneOf3d {
            plane: config.plane,
        });
    }
    Ok(())
}

fn check_cases(cohort: &Cohort, found: &[Found], kind: SamplerKind) -> Result<(), SamplerError> {
    let named = || (0..found.len()).map(|i| (&found[i], cohort.id(i)));
    if let Some((_, id)) = named().find(|(found, _)| !found.labelled) {
        return Err(SamplerError::NoLabel {
            subject: id.to_owned(),
        });
    }
    if !found.iter().any(|found| found.foreground) {
        return Err(SamplerError::NoForeground {
            subjects: found.len(),
            lost: cohort.lost_lesions(),
        });
    }
    let unweighted = named().filter(|(found, _)| !found.weighted);
    let subjects: Vec<String> = unweighted.map(|(_, id)| id.to_owned()).collect();
    match kind == SamplerKind::Weighted && !subjects.is_empty() {
        true => Err(SamplerError::NoWeight { subjects }),
        false => Ok(()),
    }
}

/// What a sampler really drew, summed over batches: how rare the structure
/// is for the network, whatever it is in the volumes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Realised {
    /// Patches drawn.
    pub patches: u64,
    /// Of these, patches whose effective part holds no foreground.
    pub empty: u64,
    /// Elements of all effective patches.
    pub elements: u64,
    /// Of these, foreground (any class but 0).
    pub foreground: u64,
    /// Patches drawn from each subject.
    pub per_subject: BTreeMap<String, u64>,
}

impl Realised {
    /// Counts one more batch.
    pub fn add(&mut self, batch: &Batch) {
        let per_patch = batch.labels.len() / batch.places.len().max(1);
        for (place, labels) in batch
            .places
            .iter()
            .zip(batch.labels.chunks_exact(per_patch.max(1)))
        {
            let foreground = labels.iter().filter(|&&class| class > 0).count() as u64;
            self.patches += 1;
            self.empty += u64::from(foreground == 0);
            self.elements += labels.len() as u64;
            self.foreground += foreground;
            *self.per_subject.entry(place.subject.clone()).or_default() += 1;
        }
    }

    /// Share of foreground among all elements drawn, 0 to 1; `None` before the
    /// first patch. The paper's Table 1 lists it.
    pub fn foreground_share(&self) -> Option<f64> {
        (self.elements > 0).then(|| self.foreground as f64 / self.elements as f64)
    }

    /// Share of patches without any foreground, 0 to 1; `None` before the first.
    pub fn empty_rate(&self) -> Option<f64> {
        (self.patches > 0).then(|| self.empty as f64 / self.patches as f64)
    }
}
