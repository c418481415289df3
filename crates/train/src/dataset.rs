//! The dataset as a run sees it: manifest, split and loaded subjects.

use std::path::PathBuf;

use lacuna_data::cohort::{Cohort, Finish, Store};
use lacuna_data::manifest::{Manifest, Subject};
use lacuna_data::sampler::PatchGeometry;
use lacuna_data::subject::{Case, Preprocess, load_as_nnunet, load_case};
use lacuna_nets::{Architecture, NetError};
use lacuna_volume::{Orientation, Volume};

use crate::config::{ConfigError, RunConfig};
use crate::loss_maps;
use crate::outputs::Outputs;
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
        if config.nnunet.is_some() {
            return Err(ConfigError::Invalid {
                origin: "`nnunet`".to_owned(),
                message: "the run is a model of nnU-Net, which can be predicted with and not \
                          trained; leave the section out, and start from its weights with \
                          train.from"
                    .to_owned(),
            }
            .into());
        }
        let manifest = Manifest::read(&config.dataset)?;
        let facts = DatasetFacts {
            name: manifest.name.clone(),
            modalities: manifest.modalities.clone(),
            classes: manifest.classes.clone(),
            split: config.split.resolve(&manifest.labelled(), config.seed)?,
            spacing_mm: None,
            label_values: Some(manifest.label_values.clone()),
        };
        Ok(Self { manifest, facts })
    }

    /// Records the voxel edges of the training subjects.
    ///
    /// # Errors
    /// When a header cannot be read.
    pub fn record_spacing(&mut self) -> Result<(), RunError> {
        let mut range = [[f64::INFINITY; 3], [0.0f64; 3]];
        for id in &self.facts.split.train {
            let subject = self.manifest.subject(id)?;
            let Some(image) = subject.images.get(self.manifest.grid_modality()) else {
                continue;
            };
            let affine = *self.manifest.read_reference(subject, image)?.affine();
            // A volume of `()` has axes and takes no memory.
            let turned = Volume::new([1; 3], affine, vec![()])
                .and_then(|voxel| Orientation::of(&affine).to_canonical(&voxel));
            let Ok(turned) = turned else { continue };
            let spacing = turned.spacing().0;
            for axis in 0..3 {
                range[0][axis] = range[0][axis].min(spacing[axis]);
                range[1][axis] = range[1][axis].max(spacing[axis]);
            }
        }
        self.facts.spacing_mm = range[0].iter().all(|e| e.is_finite()).then_some(range);
        Ok(())
    }

    /// Loads one subject.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub fn case(&self, id: &str, config: &RunConfig) -> Result<Case, RunError> {
        let subject = self.manifest.subject(id)?;
        Ok(load_case(&self.manifest, subject, &preprocess(config))?)
    }

    /// Prepares the training subjects, with what the run's loss reads.
    ///
    /// # Errors
    /// Names every subject that cannot be prepared.
    pub fn training(
        &self,
        config: &RunConfig,
        outputs: &Outputs,
        store: &mut Store,
        note: &mut dyn FnMut(String),
    ) -> Result<Cohort, RunError> {
        let finish = Finish {
            key: loss_maps::key(config, outputs),
            apply: &|case| loss_maps::make(case, config, outputs),
        };
        self.cohort(&self.facts.split.train, config, &finish, store, note)
    }

    /// Prepares the validation subjects.
    ///
    /// # Errors
    /// As [`Self::training`].
    pub fn validation(
        &self,
        config: &RunConfig,
        store: &mut Store,
        note: &mut dyn FnMut(String),
    ) -> Result<Cohort, RunError> {
        let finish = Finish {
            key: "as they are".to_owned(),
            apply: &|_| Ok(()),
        };
        self.cohort(&self.facts.split.validation, config, &finish, store, note)
    }

    fn cohort(
        &self,
        ids: &[String],
        config: &RunConfig,
        finish: &Finish<'_, RunError>,
        store: &mut Store,
        note: &mut dyn FnMut(String),
    ) -> Result<Cohort, RunError> {
        let subjects: Vec<_> =
            (ids.iter().map(|id| self.manifest.subject(id))).collect::<Result<_, _>>()?;
        store
            .cohort(&self.manifest, &subjects, &preprocess(config), finish, note)
            .map_err(RunError::of_subjects)
    }
}

/// Loads a subject to be predicted; its label is not needed, and may not even be readable.
///
/// # Errors
/// When it cannot be loaded.
pub fn load_unlabelled(
    manifest: &Manifest,
    subject: &Subject,
    config: &RunConfig,
) -> Result<Case, RunError> {
    let unlabelled = Subject {
        label: None,
        ..subject.clone()
    };
    Ok(match &config.nnunet {
        Some(nnunet) => load_as_nnunet(manifest, &unlabelled, nnunet)?,
        None => load_case(manifest, &unlabelled, &preprocess(config))?,
    })
}

/// Where the subjects of a run are kept.
pub fn store(config: &RunConfig) -> Store {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = match config.train.cache.as_os_str().is_empty() {
        false => Some(config.train.cache.clone()),
        true => set("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")))
            .map(|cache| cache.join("lacuna")),
    };
    Store::new(config.train.memory.bytes(), folder)
}

/// The ids that arguments name, whether or not `manifest` has such subjects: each is one
/// id, or several with commas between them. An id that has a comma itself is an argument
/// of its own. Each stands once, however often it is named.
pub fn ids_named(manifest: &Manifest, arguments: &[String]) -> Vec<String> {
    let whole = |argument: &String| manifest.subjects.iter().any(|s| s.id == *argument);
    let ids = arguments.iter().flat_map(|argument| match whole(argument) {
        true => vec![argument.clone()],
        false => argument.split(',').map(str::to_owned).collect(),
    });
    let mut seen = std::collections::BTreeSet::new();
    ids.filter(|id| seen.insert(id.clone())).collect()
}

/// The patches that `config` trains its network on.
///
/// # Errors
/// When the network cannot take patches of that size.
pub fn patch_geometry(config: &RunConfig) -> Result<PatchGeometry, NetError> {
    let architecture = Architecture::of(&config.model)?;
    let [input, effective] = architecture.patch(config.patch.size)?;
    Ok(PatchGeometry {
        rank: architecture.rank(),
        input,
        effective,
    })
}

/// How `config` prepares a subject.
pub fn preprocess(config: &RunConfig) -> Preprocess {
    Preprocess {
        normalise: config.normalise,
        spacing: <[f64; 3]>::try_from(config.geometry.spacing.as_slice()).ok(),
        labels: config.geometry.labels,
    }
}
