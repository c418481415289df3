//! Which subjects trained runs are applied to, and what should be known of them before.

use std::collections::BTreeSet;

use lacuna_data::manifest::Manifest;
use lacuna_data::split::Split;
use lacuna_record::{Ending, Summary, read_events};

use crate::apply::TrainedRun;
use crate::dataset::ids_named;
use crate::predictor::Predictor;
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

impl Part {
    /// The subjects of a part of `split`; `None` where it is no part of a split.
    fn of(self, split: &Split) -> Option<&Vec<String>> {
        match self {
            Self::Train => Some(&split.train),
            Self::Validation => Some(&split.validation),
            Self::Test => Some(&split.test),
            Self::Unlabelled => None,
        }
    }
}

impl Predictor {
    /// The ids of the subjects of that part, or else those that the arguments name (see
    /// [`ids_named`]), or else all of the manifest.
    ///
    /// # Errors
    /// [`RunError::NoSubjects`]; [`RunError::RunsUnlike`] for runs in which that part has
    /// other subjects.
    pub fn choose(
        &self,
        manifest: &Manifest,
        part: Option<Part>,
        named: &[String],
    ) -> Result<Vec<String>, RunError> {
        let subjects = manifest.subjects.iter();
        let ids = match part {
            Some(Part::Unlabelled) => subjects
                .filter(|s| s.label.is_none())
                .map(|s| s.id.clone())
                .collect(),
            Some(part) => self.of_part(part)?,
            None if named.is_empty() => subjects.map(|s| s.id.clone()).collect(),
            None => ids_named(manifest, named),
        };
        match ids.is_empty() {
            false => Ok(ids),
            true => Err(RunError::NoSubjects {
                run: self.first().path.clone(),
            }),
        }
    }

    /// The subjects of a part of the split. What one run held out, another may have been
    /// trained on: the part is asked for only where all runs agree in it.
    fn of_part(&self, part: Part) -> Result<Vec<String>, RunError> {
        let of_run = |run: &TrainedRun| -> Vec<String> {
            part.of(&run.facts.split).cloned().unwrap_or_default()
        };
        let set = |ids: &[String]| -> BTreeSet<String> { ids.iter().cloned().collect() };
        let first = of_run(self.first());
        for run in &self.runs[1..] {
            let other = of_run(run);
            if set(&other) != set(&first) {
                let found = format!(
                    "the subjects of --split are {first:?} and {other:?} (--subjects names some \
                     for all runs)"
                );
                return Err(RunError::unlike(self.first(), run, found));
            }
        }
        Ok(first)
    }

    /// The doubts of every run.
    pub fn doubts(&self) -> Vec<String> {
        self.runs.iter().flat_map(TrainedRun::doubts).collect()
    }
}

impl TrainedRun {
    /// What a user should know before predictions of this run are believed: that its
    /// training is not finished, was of another precision, or collapsed.
    pub fn doubts(&self) -> Vec<String> {
        let run = self.path.display();
        let mut doubts = Vec::new();
        // The path of a model's file is only what it is called.
        let folder = self.weights().ancestors().nth(2).unwrap_or(&self.path);
        let summary = Summary::read(folder).ok();
        if !summary.as_ref().is_some_and(|summary| summary.finished) {
            doubts.push(format!("{run}: the training is not finished"));
        }
        if let Some(trained) = self.lacking {
            doubts.push(format!(
                "{run}: trained in {trained}, and predicted in f32; probabilities differ by \
                 rounding"
            ));
        }
        // Predicting needs no events, and an exported model has none.
        let ending = match read_events(folder) {
            Ok(events) if !events.is_empty() => Some(Ending::of(&events)),
            _ => summary.and_then(|summary| summary.ending),
        };
        if let Some(collapse) = ending.and_then(Ending::collapse) {
            doubts.push(format!(
                "{run}: the training collapsed: in most of its last iterations {collapse}"
            ));
        }
        doubts
    }
}
