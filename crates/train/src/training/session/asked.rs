//! The network asked about whole subjects while it trains: those it is validated with,
//! and those it is trained on, to find what it gets wrong.

use std::sync::atomic::AtomicBool;

use burn::module::Module;
use lacuna_data::sampler::{SamplerKind, SubjectComponents};
use lacuna_nets::Network;
use lacuna_record::unix_time;
use lacuna_volume::IGNORED;

use super::{Session, prefetch, sampler};
use crate::checkpoint;
use crate::predict::{Session as Prediction, SingleNetwork, predict_case};
use crate::run::RunError;
use crate::training::Progress;
use crate::validation::{self, Validation};

/// Times that a training asks what its network gets wrong, evenly over its iterations.
pub(super) const PASSES: u64 = 4;
/// Wrong components kept of a subject: the largest.
const KEPT: usize = 4096;

impl Session {
    /// What predicts: the average of the weights where there is one.
    fn predicting(&self) -> Network {
        let average = self.average.clone();
        average.unwrap_or_else(|| self.network.valid())
    }

    /// [`Self::predicting`] as it is asked about windows.
    pub(super) fn predictor(&self) -> SingleNetwork {
        SingleNetwork::new(
            self.predicting(),
            self.preflight.compute.clone(),
            self.preflight.outputs.clone(),
            self.preflight.config.patch.plane,
        )
    }

    /// At the end, and at every multiple of `train.validate_every`.
    pub(in crate::training) fn validation_is_due(&self) -> bool {
        let (every, done) = (self.preflight.config.train.validate_every, self.done());
        let due = self.is_complete() || every > 0 && done.is_multiple_of(every);
        let last = self.validated.map_or(0, |v| v.iteration);
        due && done > last && !self.preflight.validation.is_empty()
    }

    /// Predicts and scores the validation subjects; the best weights so far are kept.
    ///
    /// # Errors
    /// [`RunError::Stopped`] when `stop` is set; nothing is then recorded.
    pub(in crate::training) fn validate(
        &mut self,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Validation, RunError> {
        let (run, done) = (self.run(), self.done());
        let model = self.predictor();
        let prepared = &self.preflight;
        let total = prepared.validation.len();
        let mut begun = |subject: usize| {
            progress(Progress::Subject {
                purpose: "validating",
                number: subject + 1,
                total,
            });
        };
        let modality = prepared.dataset.manifest.shown_modality();
        let mut modalities = prepared.dataset.facts.modalities.iter();
        let shown = modalities.position(|m| m == modality).unwrap_or(0);
        let cohort = (&prepared.validation, shown);
        let scored = validation::score(&run, done, &model, cohort, stop, &mut begun)
            .map_err(|e| e.naming(&prepared.dataset.manifest, &run))?;
        self.log.validation(&run, &scored, unix_time())?;
        self.validated = Some(scored);
        if let Some(score) = scored.score
            && self.state.score.is_none_or(|best| score > best)
        {
            self.state.score = Some(score);
            checkpoint::save_best(&run, &self.state, &self.predicting())?;
        }
        Ok(scored)
    }

    /// After each fifth of the iterations but the last, where a part of the sampler draws
    /// around errors.
    pub(in crate::training) fn errors_are_due(&self) -> bool {
        let (Some(length), done) = (self.length(), self.done()) else {
            return false;
        };
        let due = |pass: u64| done == length * pass / (PASSES + 1);
        done > 0
            && self.preflight.config.patch.sampler.has(SamplerKind::Errors)
            && (1..=PASSES).any(due)
    }

    /// Predicts the training subjects and draws patches around what is wrong from here on;
    /// tells how much there is.
    ///
    /// # Errors
    /// [`RunError::Stopped`] when `stop` is set; patches are then drawn as before.
    pub(in crate::training) fn find_errors(
        &mut self,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<String, RunError> {
        let model = self.predictor();
        let cohort = self.sampler.cohort();
        let mut wrong = Vec::new();
        for subject in 0..cohort.len() {
            progress(Progress::Subject {
                purpose: "finding errors",
                number: subject + 1,
                total: cohort.len(),
            });
            let case = cohort.case(subject)?;
            let found = predict_case(&model, &case, Prediction::new(stop), &mut |_, _| {})
                .map_err(|e| e.naming(&self.preflight.dataset.manifest, &self.folder.path))?;
            let label = case.label.as_ref().expect("training subjects have labels");
            let mut mask = label.map(|_| false);
            let both = label.data().iter().zip(found.labels.data());
            for (wrong, (label, found)) in mask.data_mut().iter_mut().zip(both) {
                *wrong = label != found && *label != IGNORED;
            }
            let mut components = SubjectComponents::of(&mask, &|i| case.in_mask(i));
            components
                .components
                .sort_by_key(|(size, _)| std::cmp::Reverse(*size));
            components.components.truncate(KEPT);
            wrong.push(components);
        }
        let parts = || wrong.iter().flat_map(|subject| &subject.components);
        let voxels: u64 = parts().map(|(size, _)| size).sum();
        let told = format!(
            "after {} iterations {} voxels in {} places of the training subjects are wrong",
            self.done(),
            voxels,
            parts().count()
        );
        self.sampler = sampler(&self.preflight, &self.state, Some(&wrong));
        self.errors = Some(wrong);
        self.prefetch = prefetch(&self.preflight.config, &self.sampler, &self.state)?;
        Ok(told)
    }
}
