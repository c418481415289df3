//! Which patches a network is trained on.
//!
//! A sample is one subject, drawn uniformly among those that can be used, and
//! one place in it. The effective patch (the network's output) lies inside the
//! volume and touches the subject's mask when there is one; the input patch
//! reaches half the border further on each side and is filled by reflection
//! where it spills over the volume. Images are cut as input patches, labels as
//! effective patches. 2-D networks get slices of the volume.
//!
//! `foreground` is the rule of Sudre et al. 2017: a training patch is kept when
//! its effective part holds at least one foreground element (any class but 0).

mod config;
mod error;
mod places;

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::rng::{Domain, keyed_rng};
use crate::subject::Case;
use crate::window::append_window;

pub use config::{PatchConfig, PatchGeometry, Plane, SamplerKind};
pub use error::SamplerError;
use places::Places;

/// Where a patch was cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchPlace {
    /// Id of the subject.
    pub subject: String,
    /// Its place in the sampler's list of cases.
    pub index: usize,
    /// First voxel (x, y, z) of the effective patch in the case's volume.
    pub origin: [usize; 3],
}

/// What a network is trained on in one iteration. B patches of C channels, each
/// in C order with x fastest (the faster in-plane axis for 2-D networks).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `[B, C, D, H, W]`, or `[B, C, H, W]` for 2-D networks: input patches.
    pub images: Vec<f32>,
    /// `[B, D, H, W]` or `[B, H, W]`: class of each voxel of the effective patches.
    pub labels: Vec<u8>,
    /// What the loss reads beside the labels; empty where the cases have none.
    pub maps: PatchMaps,
    /// Where each of the B patches was cut.
    pub places: Vec<PatchPlace>,
}

/// The [`LossMaps`](crate::subject::LossMaps) of the effective patches, each
/// patch in the order of its labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatchMaps {
    /// `[B, classes, D, H, W]`.
    pub distance: Vec<f32>,
    /// `[B, D, H, W]`.
    pub lesion: Vec<u32>,
    /// `[B, D, H, W]`.
    pub weight: Vec<f32>,
}

/// Draws batches of patches; what it draws depends on the seed and the
/// iteration alone.
#[derive(Debug)]
pub struct Sampler {
    cases: Arc<Vec<Case>>,
    usable: Vec<Usable>,
    input: [usize; 3],
    effective: [usize; 3],
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
    /// When a case has no label or is smaller than the effective patch, when no
    /// case has foreground, and when the weighted sampler has no usable map.
    pub fn new(
        cases: Arc<Vec<Case>>,
        config: &PatchConfig,
        geometry: PatchGeometry,
        seed: u64,
    ) -> Result<(Self, Vec<String>), SamplerError> {
        check_geometry(config, geometry)?;
        let (input, effective) = geometry.sizes(config.plane);
        check_cases(&cases, geometry, effective)?;
        if config.sampler == SamplerKind::Weighted {
            check_weights(&cases)?;
        }
        // Collected before the errors are looked at, so that the first is always
        // that of the first subject.
        let found: Vec<Result<Option<Places>, SamplerError>> = cases
            .par_iter()
            .map(|case| Places::of(case, config.sampler, effective))
            .collect();

        let mut skipped = Vec::new();
        let mut usable = Vec::new();
        for (case, places) in found.into_iter().enumerate() {
            match places? {
                Some(places) => usable.push(Usable { case, places }),
                None => skipped.push(cases[case].id.as_str()),
            }
        }
        if usable.is_empty() {
            return Err(SamplerError::NoForeground {
                subjects: cases.len(),
            });
        }
        let mut warnings = Vec::new();
        if !skipped.is_empty() {
            warnings.push(format!(
                "the {} sampler skips {} of {} subjects, which hold nothing to draw: {}",
                config.sampler,
                skipped.len(),
                cases.len(),
                skipped.join(", ")
            ));
        }
        let sampler = Self {
            cases,
            usable,
            input,
            effective,
            seed,
        };
        Ok((sampler, warnings))
    }

    /// The batch of this iteration.
    pub fn batch(&self, iteration: u64, batch_size: usize) -> Batch {
        let mut batch = Batch::default();
        for sample in 0..batch_size as u64 {
            let mut rng = keyed_rng(self.seed, Domain::Sampling, iteration, sample);
            let chosen = &self.usable[rng.random_range(0..self.usable.len() as u64) as usize];
            let case = &self.cases[chosen.case];
            let origin = chosen
                .places
                .draw(case, self.effective, &mut rng)
                .expect("subjects without places are left out when the sampler is made");
            self.cut(&mut batch, case, origin);
            batch.places.push(PatchPlace {
                subject: case.id.clone(),
                index: chosen.case,
                origin,
            });
        }
        batch
    }

    fn cut(&self, batch: &mut Batch, case: &Case, origin: [usize; 3]) {
        let first = [0, 1, 2].map(|axis| {
            let border = (self.input[axis] - self.effective[axis]) / 2;
            origin[axis] as isize - border as isize
        });
        for channel in &case.channels {
            append_window(&mut batch.images, channel, first, self.input);
        }
        let origin = origin.map(|o| o as isize);
        if let Some(label) = &case.label {
            append_window(&mut batch.labels, label, origin, self.effective);
        }
        let (from, to) = (&case.maps, &mut batch.maps);
        for distance in &from.distance {
            append_window(&mut to.distance, distance, origin, self.effective);
        }
        if let Some(lesion) = &from.lesion {
            append_window(&mut to.lesion, lesion, origin, self.effective);
        }
        if let Some(weight) = &from.weight {
            append_window(&mut to.weight, weight, origin, self.effective);
        }
    }
}

fn check_geometry(config: &PatchConfig, geometry: PatchGeometry) -> Result<(), SamplerError> {
    let PatchGeometry {
        rank,
        input,
        effective,
    } = geometry;
    let even_border = input
        .checked_sub(effective)
        .is_some_and(|border| border % 2 == 0);
    if !(2..=3).contains(&rank) || effective == 0 || !even_border {
        return Err(SamplerError::Geometry { geometry });
    }
    if rank == 3 && config.plane != Plane::default() {
        return Err(SamplerError::PlaneOf3d {
            plane: config.plane,
        });
    }
    Ok(())
}

fn check_cases(
    cases: &[Case],
    geometry: PatchGeometry,
    effective: [usize; 3],
) -> Result<(), SamplerError> {
    if cases.is_empty() {
        return Err(SamplerError::NoSubjects);
    }
    let mut foreground = false;
    for case in cases {
        let Some(label) = &case.label else {
            return Err(SamplerError::NoLabel {
                subject: case.id.clone(),
            });
        };
        let shape = case.shape();
        let patch_axes = || (0..3).filter(|&axis| geometry.rank == 3 || effective[axis] != 1);
        if (0..3).any(|axis| shape[axis] < effective[axis]) {
            let smallest = patch_axes().map(|axis| shape[axis]).min().unwrap_or(0);
            return Err(SamplerError::TooLarge {
                subject: case.id.clone(),
                shape,
                input: geometry.input,
                effective,
                largest: smallest + geometry.input - geometry.effective,
            });
        }
        foreground = foreground || label.data().iter().any(|&class| class > 0);
    }
    if !foreground {
        return Err(SamplerError::NoForeground {
            subjects: cases.len(),
        });
    }
    Ok(())
}

fn check_weights(cases: &[Case]) -> Result<(), SamplerError> {
    let subjects: Vec<String> = cases
        .iter()
        .filter(|case| case.weight.is_none())
        .map(|case| case.id.clone())
        .collect();
    match subjects.is_empty() {
        true => Ok(()),
        false => Err(SamplerError::NoWeight { subjects }),
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
