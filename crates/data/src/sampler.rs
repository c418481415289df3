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

mod components;
mod config;
mod error;
mod found;
mod mixture;
mod patch;
mod places;
mod realised;

use std::sync::Arc;

use lacuna_volume::Zyx;
use rand::RngExt;
use rayon::prelude::*;

use crate::cohort::{Cohort, CohortError, Held};
use crate::rng::{Domain, keyed_rng};
use crate::transform::{Frame, Transform};

pub use components::SubjectComponents;
use components::{ComponentPlaces, around};
pub use config::{PatchConfig, PatchGeometry, Plane, SamplerKind};
pub use error::SamplerError;
use found::{Found, gather};
pub use mixture::{Mixture, MixtureError, MixturePart};
use patch::Extent;
pub use patch::{Batch, Patch, PatchMaps, PatchPlace, collate};
use places::Places;
pub use realised::{DrawnPart, Realised};

/// Draws batches of patches; what it draws depends on the seed, the iteration and the
/// places of errors that it was given alone.
#[derive(Clone, Debug)]
pub struct Sampler {
    cohort: Arc<Cohort>,
    mixture: Mixture,
    /// Where each part of the mixture draws.
    parts: Vec<Arc<Source>>,
    extent: Extent,
    transforms: Arc<Vec<Box<dyn Transform>>>,
    seed: u64,
}

/// Where a part of the mixture draws its places; never empty.
#[derive(Debug)]
enum Source {
    /// In a subject that is drawn first.
    Subjects(Vec<Usable>),
    /// Around a component that is drawn over all subjects.
    Components(ComponentPlaces),
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
        let mixture = config.sampler.clone();
        // Collected before the errors are looked at, so that the first is always
        // that of the first subject.
        let found: Vec<Result<Found, CohortError>> = (cohort.held().par_iter())
            .map(|held| Found::of(held, &mixture, effective))
            .collect();
        let found: Vec<Found> = found.into_iter().collect::<Result<_, _>>()?;
        check_cases(&cohort, &found, &mixture)?;

        let mut warnings = Vec::new();
        let mut parts = Vec::new();
        let mut places: Vec<_> = (found.into_iter())
            .map(|found| found.places.map(Vec::into_iter))
            .collect::<Result<_, _>>()?;
        for part in mixture.parts() {
            let of_part = places.iter_mut().map(|places| places.next());
            let of_part = of_part.collect::<Option<Vec<_>>>().expect(PLACES_BY_PART);
            let (source, skipped) =
                gather(part, of_part).ok_or_else(|| SamplerError::NoForeground {
                    subjects: cohort.len(),
                    lost: cohort.lost_lesions(),
                })?;
            if !skipped.is_empty() {
                let ids: Vec<&str> = skipped.iter().map(|case| cohort.id(*case)).collect();
                warnings.push(format!(
                    "the {} sampler skips {} of {} subjects, which hold nothing to draw: {}",
                    part.kind,
                    ids.len(),
                    cohort.len(),
                    ids.join(", ")
                ));
            }
            parts.push(Arc::new(source));
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
            mixture,
            parts,
            extent: Extent {
                input,
                effective,
                margin: [0; 3],
            },
            transforms: Arc::default(),
            seed,
        };
        Ok((sampler, warnings))
    }

    /// Draws the part "errors" of the mixture from these components, one entry for each
    /// subject of the cohort. Where the network was wrong nowhere, it stays as it is.
    #[must_use]
    pub fn with_errors(mut self, subjects: Vec<SubjectComponents>) -> Self {
        for (part, source) in self.mixture.parts().iter().zip(&mut self.parts) {
            if part.kind == SamplerKind::Errors {
                let places = ComponentPlaces::new(subjects, part.exponent);
                if !places.is_empty() {
                    *source = Arc::new(Source::Components(places));
                }
                break;
            }
        }
        self
    }

    /// The same with the random numbers of another seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The subjects.
    pub fn cohort(&self) -> &Cohort {
        &self.cohort
    }

    /// Changes every patch by these, in their order.
    #[must_use]
    pub fn with_transforms(mut self, transforms: Vec<Box<dyn Transform>>) -> Self {
        self.transforms = Arc::new(transforms);
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
        let number = match self.parts.len() {
            1 => 0,
            _ => self.mixture.part_at(rng.random()),
        };
        let effective = self.extent.effective;
        let (case, origin) = match &*self.parts[number] {
            Source::Subjects(usable) => {
                let chosen = &usable[rng.random_range(0..usable.len() as u64) as usize];
                let held = &self.cohort.held()[chosen.case];
                let origin = (chosen.places).draw(held, effective, &mut rng)?;
                (chosen.case, origin)
            }
            Source::Components(places) => {
                let (case, at) = places.draw(&mut rng);
                let shape @ [nx, ny, _] = self.cohort.held()[case].grid().shape;
                let voxel = [at % nx, at / nx % ny, at / (nx * ny)];
                (case, around(voxel, effective, shape, &mut rng))
            }
        };
        Ok(PatchPlace {
            subject: self.cohort.id(case).to_owned(),
            index: case,
            origin,
            drawn_by: self.mixture.parts()[number].kind,
        })
    }
}

const PLACES_BY_PART: &str = "every subject has an entry for every part of the mixture";

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

fn check_cases(cohort: &Cohort, found: &[Found], mixture: &Mixture) -> Result<(), SamplerError> {
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
    match mixture.has(SamplerKind::Weighted) && !subjects.is_empty() {
        true => Err(SamplerError::NoWeight { subjects }),
        false => Ok(()),
    }
}
