//! Which subjects a trained run is applied to, and what should be known of it before.

use lacuna_data::manifest::Manifest;
use lacuna_record::{Ending, Summary, read_events};

use crate::apply::TrainedRun;
use crate::dataset::ids_named;
use crate::run::RunError;

/// A part of a dataset, as a run sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The subjects that were trained on.
    Train,
    /// Those that were validated with.
    Validation,
    /// Those that were held out.
    Test,
    /// Those of the manifest that have no label.
    Unlabelled,
}

impl TrainedRun {
    /// The ids of the subjects of that part, or else those that the arguments name (see
    /// [`ids_named`]), or else all of the manifest.
    ///
    /// # Errors
    /// [`RunError::NoSubjects`]
    pub fn choose(
        &self,
        manifest: &Manifest,
        part: Option<Part>,
        named: &[String],
    ) -> Result<Vec<String>, RunError> {
        let split = &self.facts.split;
        let subjects = manifest.subjects.iter();
        let ids = match part {
            Some(Part::Train) => split.train.clone(),
            Some(Part::Validation) => split.validation.clone(),
            Some(Part::Test) => split.test.clone(),
            Some(Part::Unlabelled) => subjects
                .filter(|s| s.label.is_none())
                .map(|s| s.id.clone())
                .collect(),
            None if named.is_empty() => subjects.map(|s| s.id.clone()).collect(),
            None => ids_named(manifest, named),
        };
        match ids.is_empty() {
            false => Ok(ids),
            true => Err(RunError::NoSubjects {
                run: self.path.clone(),
            }),
        }
    }

    /// What a user should know before predictions of this run are believed: that its
    /// training is not finished, or that it collapsed.
    pub fn doubts(&self) -> Vec<String> {
        let run = self.path.display();
        let mut doubts = Vec::new();
        if !Summary::read(&self.path).is_ok_and(|summary| summary.finished) {
            doubts.push(format!(
                "{run}: the training is not finished; its newest checkpoint is used"
            ));
        }
        // Predicting needs no events.
        let ending = Ending::of(&read_events(&self.path).unwrap_or_default());
        if let Some(collapse) = ending.collapse() {
            doubts.push(format!(
                "{run}: the training collapsed: in most of its last iterations {collapse}"
            ));
        }
        doubts
    }
}
