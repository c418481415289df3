//! The dataset as a run sees it: manifest, split and loaded subjects.

use lacuna_data::manifest::Manifest;
use lacuna_data::subject::{Case, Preprocess, load_case};
use rayon::prelude::*;

use crate::config::RunConfig;
use crate::run::{DatasetFacts, RunError};

/// A manifest with the split that a configuration draws from it.
pub struct Dataset {
    /// The manifest.
    pub manifest: Manifest,
    /// What a trained network remembers of it.
    pub facts: DatasetFacts,
}

impl Dataset {
    /// Reads the manifest of `config` and resolves its split.
    ///
    /// # Errors
    /// When either is refused.
    pub fn open(config: &RunConfig) -> Result<Self, RunError> {
        let manifest = Manifest::read(&config.dataset)?;
        let labelled: Vec<String> = manifest
            .subjects
            .iter()
            .filter(|s| s.label.is_some())
            .map(|s| s.id.clone())
            .collect();
        let facts = DatasetFacts {
            name: manifest.name.clone(),
            modalities: manifest.modalities.clone(),
            classes: manifest.classes.clone(),
            split: config.split.resolve(&labelled, config.seed)?,
        };
        Ok(Self { manifest, facts })
    }

    /// Loads the subjects named, in that order, in parallel.
    ///
    /// # Errors
    /// The error of the first subject that cannot be loaded.
    pub fn load(&self, ids: &[String], config: &RunConfig) -> Result<Vec<Case>, RunError> {
        let preprocess = preprocess(config);
        ids.par_iter()
            .map(|id| {
                let subject = self.manifest.subject(id)?;
                Ok(load_case(&self.manifest, subject, &preprocess)?)
            })
            .collect()
    }
}

/// How `config` prepares a subject.
pub fn preprocess(config: &RunConfig) -> Preprocess {
    Preprocess {
        normalise: config.normalise,
        spacing: <[f64; 3]>::try_from(config.geometry.spacing.as_slice()).ok(),
    }
}
