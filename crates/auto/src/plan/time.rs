//! What the parts of a plan take on this machine.

use burn::tensor::Device;
use lacuna_data::manifest::Manifest;
use lacuna_record::Fingerprint;
use lacuna_train::config::RunConfig;
use lacuna_train::pace::Pace;
use serde::{Deserialize, Serialize};

use super::folds::Training;
use crate::error::AutoError;

/// Windows overlap by a quarter along each axis: so many voxels are computed for each.
const OVERLAP: f64 = 2.0;
/// Whole-volume passes over the training subjects that the sampler of errors makes.
const PASSES: f64 = 4.0;
/// Seconds that tuning, scoring twice and drawing take for a million voxels of one class: .7 in
/// photographs with hundreds of components, .2 in BRATS, more where thousands are false.
const TUNING: f64 = 0.75;
/// A training step beside the threads that cut and transform patches takes so many times
/// as long as one by itself, on two cores.
const BESIDE_LOADING: f64 = 1.3;
/// Steps that are timed.
const TIMED: u32 = 3;
/// Seconds of what is done once: tables, report, card.
const ONCE: f64 = 5.0;

/// Seconds of the parts of the work, measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// One iteration.
    pub step: f64,
    /// The forward pass of what the network makes of a voxel of the median subject's own grid.
    pub voxel: f64,
    /// Reading and preparing a subject.
    pub reading: f64,
    /// Measured over expected time of the trainings so far.
    pub training_factor: f64,
    /// The same of predictions.
    pub predicting_factor: f64,
}

impl Speed {
    /// Of a run on this machine as it is now, where reading a subject takes `reading` seconds
    /// and the median subject has voxels of `spacing_mm`.
    ///
    /// # Errors
    /// When the network, the loss or the precision are refused.
    pub fn measure(
        config: &RunConfig,
        manifest: &Manifest,
        device: &Device,
        reading: f64,
        spacing_mm: [f64; 3],
    ) -> Result<Self, AutoError> {
        let modalities = manifest.modalities.len();
        let pace = Pace::measure(config, modalities, &manifest.classes, device, TIMED)?;
        let voxels = pace.effective.0.iter().product::<usize>() * config.train.batch;
        Ok(Self {
            step: BESIDE_LOADING * median(&pace.steps) * config.train.accumulate as f64,
            voxel: voxels_of_its_own(config, spacing_mm) * median(&pace.forward) / voxels as f64,
            reading,
            training_factor: 1.0,
            predicting_factor: 1.0,
        })
    }

    /// Seconds to predict these subjects.
    pub fn predicting(&self, fingerprint: &Fingerprint, ids: &[String]) -> f64 {
        let subjects = fingerprint.subjects.iter().filter(|s| ids.contains(&s.id));
        let of = |s: &lacuna_record::fingerprint::SubjectFingerprint| {
            self.reading + s.crop_voxels as f64 * OVERLAP * self.voxel
        };
        self.predicting_factor * subjects.map(of).sum::<f64>()
    }

    /// Seconds to train so many iterations.
    pub fn training(
        &self,
        config: &RunConfig,
        fingerprint: &Fingerprint,
        training: &Training,
        iterations: u64,
    ) -> f64 {
        self.training_factor
            * (self.before(config, fingerprint, training) + iterations as f64 * self.step)
    }

    /// Seconds of a training that are no iterations.
    fn before(&self, config: &RunConfig, fingerprint: &Fingerprint, training: &Training) -> f64 {
        let passes = self.passes(config, fingerprint, training);
        self.reading * training.train.len() as f64 + passes
    }

    /// Seconds that finding errors on whole training subjects takes.
    fn passes(&self, config: &RunConfig, fingerprint: &Fingerprint, training: &Training) -> f64 {
        let errors = (config.patch.sampler.parts().iter())
            .any(|part| part.kind == lacuna_data::sampler::SamplerKind::Errors);
        match errors {
            true => PASSES * self.predicting(fingerprint, &training.train),
            false => 0.0,
        }
    }

    /// The largest share of a training's time that finding errors takes, when `left` seconds
    /// are left for all.
    pub(super) fn share_of_passes(
        &self,
        config: &RunConfig,
        fingerprint: &Fingerprint,
        trainings: &[Training],
        left: f64,
    ) -> f64 {
        let all = left - self.afterwards(fingerprint, trainings, 0);
        let of = |t: &Training| self.passes(config, fingerprint, t) / (all * t.share).max(1e-3);
        trainings.iter().map(of).fold(0.0, f64::max)
    }

    /// Seconds of all that follows the trainings from `first` on: their out-of-fold
    /// predictions, tuning and the report.
    pub fn afterwards(
        &self,
        fingerprint: &Fingerprint,
        trainings: &[Training],
        first: usize,
    ) -> f64 {
        let predicted: f64 = (trainings[first..].iter())
            .map(|t| self.predicting(fingerprint, &t.held_out))
            .sum();
        let judged = |id: &String| trainings.iter().any(|t| t.held_out.contains(id));
        let voxels: f64 = (fingerprint.subjects.iter())
            .filter(|s| judged(&s.id))
            .map(|s| s.shape.iter().product::<usize>() as f64)
            .sum();
        let classes = fingerprint.foreground.len() as f64;
        ONCE + predicted + TUNING * 1e-6 * voxels * classes
    }

    /// Iterations of the training `next` when `left` seconds are left for it, the trainings
    /// after it and all that follows; no more than it may have.
    pub fn iterations(
        &self,
        config: &RunConfig,
        fingerprint: &Fingerprint,
        trainings: &[Training],
        left: f64,
        next: usize,
    ) -> u64 {
        let shares: f64 = trainings[next..].iter().map(|t| t.share).sum();
        let all = left - self.afterwards(fingerprint, trainings, next);
        let own = all * trainings[next].share / shares;
        let steps = own / self.training_factor - self.before(config, fingerprint, &trainings[next]);
        let most = trainings[next].most_iterations.unwrap_or(u64::MAX);
        ((steps / self.step).max(0.0) as u64).min(most)
    }

    /// Seconds of a whole plan of so many iterations in each training.
    pub(super) fn seconds(
        &self,
        config: &RunConfig,
        fingerprint: &Fingerprint,
        trainings: &[Training],
        iterations: u64,
    ) -> f64 {
        let least = (trainings.iter())
            .map(|t| t.share)
            .fold(f64::INFINITY, f64::min);
        let of = |t: &Training| {
            let own = (iterations as f64 * t.share / least) as u64;
            self.training(config, fingerprint, t, own)
        };
        self.afterwards(fingerprint, trainings, 0) + trainings.iter().map(of).sum::<f64>()
    }
}

/// Voxels of the run's grid for one of `spacing_mm`.
fn voxels_of_its_own(config: &RunConfig, spacing_mm: [f64; 3]) -> f64 {
    match config.geometry.spacing.is_empty() {
        true => 1.0,
        false => {
            spacing_mm.iter().product::<f64>() / config.geometry.spacing.iter().product::<f64>()
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut ascending = values.to_vec();
    ascending.sort_unstable_by(f64::total_cmp);
    ascending.get(ascending.len() / 2).copied().unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::phantoms;

    fn training(name: &str, train: &[&str], held_out: &[&str], share: f64) -> Training {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        Training {
            name: name.to_owned(),
            train: ids(train),
            held_out: ids(held_out),
            share,
            in_model: true,
            most_iterations: None,
        }
    }

    /// What is planned takes what there is, less at most an iteration of each training.
    #[test]
    fn the_parts_add_up_to_the_budget() {
        let (_folder, fingerprint) = phantoms(2);
        let trainings = [
            training("fold-0", &["sub-01"], &["sub-02"], 0.25),
            training("fold-1", &["sub-02"], &["sub-01"], 0.25),
            training("all", &["sub-01", "sub-02"], &[], 0.5),
        ];
        let config = RunConfig::default();
        for training_factor in [1.0, 1.7] {
            let speed = Speed {
                step: 0.5,
                voxel: 1e-5,
                reading: 0.2,
                training_factor,
                predicting_factor: 1.3,
            };
            let left = 300.0;
            let mut spent = 0.0;
            for next in 0..3 {
                let left = left - spent;
                let iterations = speed.iterations(&config, &fingerprint, &trainings, left, next);
                spent += speed.training(&config, &fingerprint, &trainings[next], iterations);
                spent += speed.predicting(&fingerprint, &trainings[next].held_out);
            }
            let total = spent + speed.afterwards(&fingerprint, &trainings, 3);
            assert!(total <= left, "{total}");
            assert!(total > left - 0.5 * training_factor, "{total}");
        }
    }

    #[test]
    fn a_coarse_grid_has_an_eighth_of_the_voxels() {
        let mut config = RunConfig::default();
        assert_eq!(voxels_of_its_own(&config, [1.0; 3]), 1.0);
        config.geometry.spacing = vec![2.0; 3];
        assert_eq!(voxels_of_its_own(&config, [1.0; 3]), 0.125);
    }

    #[test]
    fn too_little_time_is_no_iteration() {
        let (_folder, fingerprint) = phantoms(2);
        let speed = Speed {
            step: 0.5,
            voxel: 1e-5,
            reading: 0.2,
            training_factor: 1.0,
            predicting_factor: 1.0,
        };
        let trainings = [training("fold-0", &["sub-01"], &["sub-02"], 1.0)];
        let config = RunConfig::default();
        assert_eq!(
            speed.iterations(&config, &fingerprint, &trainings, 3.0, 0),
            0
        );
    }
}
