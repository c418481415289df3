//! Label maps that a person corrects in the page, saved into one folder.
//!
//! A label map is edited and saved voxel by voxel as the subject's image has them, the image
//! being that of the manifest's grid. What is read is never written: not by its name, nor
//! through a link.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lacuna_data::manifest::{Manifest, value_of_each};
use lacuna_evaluate::{in_axes_of, reference_of, shown};
use lacuna_io::{Classes, Reference, write_class_labels};
use lacuna_record::{
    CorrectedDataset, Correction, Inputs, Provenance, RecordError, SourceFile, Start, check_folder,
    check_no_run, unix_time,
};
use lacuna_volume::{IGNORED, LabelMap, Volume};
use serde::Serialize;

use crate::ViewError;
use crate::collection::{Collection, Entry};
use crate::opened::Opened;

/// The folder that corrections are saved into. It is made by the first save.
#[derive(Debug)]
pub struct Corrections {
    folder: PathBuf,
    /// What the viewer reads.
    inputs: Inputs,
    /// One save at a time.
    saving: Mutex<()>,
}

/// What a save made, for the page.
#[derive(Debug, Serialize)]
pub(crate) struct Saved {
    /// The label map.
    pub file: String,
    /// The manifest that names it.
    pub manifest: String,
    pub saves: u64,
    pub voxels_changed: Option<u64>,
}

/// What there is to correct of a subject, for the page.
#[derive(Debug, Serialize)]
pub(crate) struct Editable {
    /// Of the file that editing begins with; the first save's where there is one.
    started_from: Start,
    saves: u64,
    voxels_changed: Option<u64>,
    /// The modality whose voxels are edited.
    image: String,
}

/// Why something was not saved.
#[derive(Debug)]
pub(crate) enum NotSaved {
    /// The page is at fault, or older than the files.
    Refused(String),
    /// Another window has saved meanwhile.
    Overtaken,
    /// Reading or writing failed.
    Failed(Box<ViewError>),
}

impl<E: Into<ViewError>> From<E> for NotSaved {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error.into()))
    }
}

impl Corrections {
    /// Corrections of `collection` in `folder`, which is not there yet, is empty, or holds
    /// earlier corrections of the same dataset. Nothing is written.
    ///
    /// # Errors
    /// When the folder holds anything else, or cannot be written.
    pub fn open(folder: &Path, collection: &Collection) -> Result<Self, ViewError> {
        let unfit = |found: &str| ViewError::CorrectionsFolder {
            folder: folder.to_owned(),
            found: found.to_owned(),
        };
        check_folder(folder).map_err(|error| told(folder, error))?;
        check_no_run(folder).map_err(|error| told(folder, error))?;
        let manifest = &collection.manifest;
        let dataset = absolute(&manifest.path);
        if absolute(&folder.join("dataset.toml")) == dataset {
            return Err(unfit("its own dataset.toml is what is looked at"));
        }
        match CorrectedDataset::read(folder)? {
            Some(earlier) if earlier.dataset != dataset => {
                let found = format!("it holds corrections of {}", earlier.dataset.display());
                return Err(unfit(&found));
            }
            Some(_) => {}
            None => {
                let mut files = std::fs::read_dir(folder).into_iter().flatten();
                if files.next().is_some() {
                    return Err(unfit("it holds files that are no corrections"));
                }
            }
        }
        let shown = collection.entries.iter().flat_map(|entry| {
            let maps = [&entry.prediction, &entry.probabilities, &entry.spread];
            maps.into_iter().flatten().cloned()
        });
        Ok(Self {
            folder: folder.to_owned(),
            inputs: Inputs::of(manifest.files().into_iter().chain(shown)),
            saving: Mutex::default(),
        })
    }

    /// The folder, as it was named.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a subject has been corrected.
    pub(crate) fn has(&self, id: &str) -> bool {
        Correction::label_path(&self.folder, id).exists()
    }

    /// What the page should know before a subject is edited.
    pub(crate) fn editable(
        &self,
        manifest: &Manifest,
        entry: &Entry,
    ) -> Result<Editable, ViewError> {
        let earlier = Correction::read(&self.folder, &entry.subject.id)?;
        Ok(Editable {
            started_from: (earlier.as_ref()).map_or_else(|| start_of(entry).0, |e| e.started_from),
            saves: earlier.as_ref().map_or(0, |earlier| earlier.saves),
            voxels_changed: earlier.and_then(|earlier| earlier.voxels_changed),
            image: manifest.grid_modality().to_owned(),
        })
    }

    /// Number of voxels of the image whose label map is edited.
    pub(crate) fn voxels(&self, manifest: &Manifest, entry: &Entry) -> Result<u64, ViewError> {
        let shape = geometry_of(manifest, entry)?.shape();
        Ok(shape.iter().map(|&edge| edge as u64).product())
    }

    /// The class indices to go on from: what was saved, or what editing starts with.
    pub(crate) fn labels(
        &self,
        manifest: &Manifest,
        entry: &Entry,
        opened: &Opened,
    ) -> Result<LabelMap, ViewError> {
        let subject = &entry.subject;
        if !self.has(&subject.id) {
            return start(manifest, entry, opened);
        }
        let file = Correction::label_path(&self.folder, &subject.id);
        let values = manifest.read_labels(subject, &file)?;
        let labels = shown(&manifest.map_labels(subject, &values)?);
        on_image(&geometry_of(manifest, entry)?, labels, &file)
    }

    /// Saves class indices, a byte for each voxel of the image, x fastest. `known` is the
    /// number of saves that the page has seen.
    pub(crate) fn save(
        &self,
        manifest: &Manifest,
        entry: &Entry,
        opened: &Opened,
        classes: Vec<u8>,
        known: u64,
    ) -> Result<Saved, NotSaved> {
        // Whoever panicked left whole files.
        let _one = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let (folder, id) = (self.folder.as_path(), &entry.subject.id);
        let earlier = Correction::read(folder, id)?;
        let saves = earlier.as_ref().map_or(0, |earlier| earlier.saves);
        if saves != known {
            return Err(NotSaved::Overtaken);
        }
        let reference = geometry_of(manifest, entry)?;
        let labels = labels_of(manifest, &reference, classes)?;

        let (started_from, file) = start_of(entry);
        let source = file.map(SourceFile::of).transpose()?;
        let hash = |source: &Option<SourceFile>| source.as_ref().map(|file| file.sha256.clone());
        let same = (earlier.as_ref()).is_none_or(|e| hash(&e.source) == hash(&source));
        let voxels_changed = match same {
            true => Some(differences(&start(manifest, entry, opened)?, &labels)),
            false => None,
        };

        let path = Correction::label_path(folder, id);
        let values = value_of_each(&manifest.label_values, &manifest.classes);
        let mut values = values.expect("each class of a manifest has a value");
        // What the manifest leaves out is one class more in the file.
        values.extend(manifest.ignore.and_then(|value| u16::try_from(value).ok()));
        let labels = with_left_out(manifest, entry, &reference, labels)?;
        let classes = Classes {
            names: &manifest.classes,
            values: Some(&values),
        };
        let made = self.corrected(manifest, id)?;
        for output in [
            &path,
            &Correction::path(folder, id),
            &made.path,
            &folder.join("corrections.json"),
        ] {
            (self.inputs.spare(output)).map_err(|error| told(folder, error))?;
        }
        let labels_folder = folder.join("labels");
        std::fs::create_dir_all(&labels_folder).map_err(|source| ViewError::Io {
            path: labels_folder.clone(),
            source,
        })?;
        if CorrectedDataset::read(folder)?.is_none() {
            let dataset = CorrectedDataset {
                dataset: absolute(&manifest.path),
                provenance: Provenance::of_process(1),
            };
            dataset.write(folder)?;
        }
        write_class_labels(&path, &labels, classes, &reference)?;
        let correction = Correction {
            subject: id.clone(),
            sha256: lacuna_record::sha256_of(&path)?,
            started_from: (earlier.as_ref()).map_or(started_from, |e| e.started_from),
            source: earlier.as_ref().map_or(source, |e| e.source.clone()),
            voxels_changed,
            saves: saves + 1,
            begun: earlier.map_or_else(unix_time, |earlier| earlier.begun),
            provenance: Provenance::of_process(1),
        };
        correction.write(folder)?;
        made.write()?;
        Ok(Saved {
            file: path.display().to_string(),
            manifest: made.path.display().to_string(),
            saves: correction.saves,
            voxels_changed,
        })
    }

    /// The dataset with the labels of this folder, also that of `saved`, which is about to be
    /// there.
    fn corrected(&self, manifest: &Manifest, saved: &str) -> Result<Manifest, ViewError> {
        let mut subjects = manifest.subjects.clone();
        for subject in &mut subjects {
            if subject.id == saved || self.has(&subject.id) {
                subject.label = Some(Correction::label_path(&self.folder, &subject.id));
            }
        }
        Ok(manifest.with_subjects(&self.folder.join("dataset.toml"), subjects)?)
    }
}

/// Says of the folder of corrections what the record says of any output.
fn told(folder: &Path, error: RecordError) -> ViewError {
    let found = match error {
        RecordError::NotAFolder { found, .. } => format!("{} is no folder", found.display()),
        RecordError::NotWritable {
            nearest, source, ..
        } => format!("{} cannot be written ({source})", nearest.display()),
        RecordError::OutputIsRun { .. } => "it holds a run".to_owned(),
        RecordError::OutputIsInput { output, input } => format!(
            "{} is read as {}, and would be written over",
            output.display(),
            input.display()
        ),
        other => return other.into(),
    };
    ViewError::CorrectionsFolder {
        folder: folder.to_owned(),
        found,
    }
}

/// Known again from elsewhere, and through links.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// What editing a subject starts with, and its file.
fn start_of(entry: &Entry) -> (Start, Option<&Path>) {
    match (&entry.prediction, &entry.subject.label) {
        (Some(file), _) => (Start::Prediction, Some(file)),
        (None, Some(file)) => (Start::Reference, Some(file)),
        (None, None) => (Start::Nothing, None),
    }
}

/// The geometry of the image whose voxels are edited.
fn geometry_of(manifest: &Manifest, entry: &Entry) -> Result<Reference, ViewError> {
    let image = &entry.subject.images[manifest.grid_modality()];
    Ok(manifest.read_reference(&entry.subject, image)?)
}

fn start(manifest: &Manifest, entry: &Entry, opened: &Opened) -> Result<LabelMap, ViewError> {
    let reference = geometry_of(manifest, entry)?;
    let map = opened.prediction.as_ref().or(opened.reference.as_ref());
    match (map, start_of(entry).1) {
        (Some(map), Some(file)) => on_image(&reference, map.clone(), file),
        _ => {
            let grid = reference.grid();
            let empty = Volume::filled(grid.shape, grid.affine, 0);
            empty.map_err(|source| wrong_image(manifest, entry, source))
        }
    }
}

/// The labels in the order of the image's voxels.
fn on_image(reference: &Reference, labels: LabelMap, file: &Path) -> Result<LabelMap, ViewError> {
    let grid = reference.grid();
    let apart = || ViewError::CorrectionGrid {
        file: file.to_owned(),
        found: labels.shape(),
        expected: grid.shape,
    };
    let frame = Volume::filled(grid.shape, grid.affine, 0u8).map_err(|_| apart())?;
    let turned = in_axes_of(&frame, labels.clone())?;
    if !grid.shows_the_voxels_of(&turned.grid()) {
        return Err(apart());
    }
    Volume::new(grid.shape, grid.affine, turned.into_data()).map_err(|_| apart())
}

/// The label map that a page sent.
fn labels_of(
    manifest: &Manifest,
    reference: &Reference,
    classes: Vec<u8>,
) -> Result<LabelMap, NotSaved> {
    let grid = reference.grid();
    let voxels: usize = grid.shape.iter().product();
    if classes.len() != voxels {
        return Err(NotSaved::Refused(format!(
            "{} bytes came, and the image has {voxels} voxels; load the page again",
            classes.len()
        )));
    }
    let known = manifest.classes.len();
    if let Some(class) = (classes.iter()).find(|class| usize::from(**class) >= known) {
        let told = format!("there is no class {class}: the dataset has {known}, counted from 0");
        return Err(NotSaved::Refused(told));
    }
    let map = Volume::new(grid.shape, grid.affine, classes);
    map.map_err(|source| NotSaved::Refused(format!("the image has no place: {source}")))
}

/// One class more where the manifest leaves out voxels of the subject's label map that nobody
/// has marked: the page shows them as background.
fn with_left_out(
    manifest: &Manifest,
    entry: &Entry,
    reference: &Reference,
    mut labels: LabelMap,
) -> Result<LabelMap, ViewError> {
    let (Some(_), Some(file)) = (manifest.ignore, &entry.subject.label) else {
        return Ok(labels);
    };
    let left_out = on_image(reference, reference_of(manifest, &entry.subject)?, file)?;
    for (label, left_out) in labels.data_mut().iter_mut().zip(left_out.data()) {
        if *left_out == IGNORED && *label == 0 {
            *label = manifest.classes.len() as u8;
        }
    }
    Ok(labels)
}

fn differences(a: &LabelMap, b: &LabelMap) -> u64 {
    let pairs = a.data().iter().zip(b.data());
    pairs.filter(|(a, b)| a != b).count() as u64
}

fn wrong_image(
    manifest: &Manifest,
    entry: &Entry,
    source: lacuna_volume::VolumeError,
) -> ViewError {
    lacuna_io::ImageError::Volume {
        path: entry.subject.images[manifest.grid_modality()].path.clone(),
        source: Box::new(source),
    }
    .into()
}
