//! The dataset manifest `dataset.toml`: which files make up each subject and
//! which class each label value stands for.
//!
//! ```toml
//! name = "brats2015"
//! modalities = ["FLAIR", "T1c"]
//! classes = ["background", "tumour"]          # class 0 is the background
//! label_values = { 0 = "background", 1 = "tumour", 4 = "tumour" } # absent: 0, 1, ... in order
//! ignore = 255                                # optional: voxels of this value are left out
//! spacing = [0.1, 0.1]                        # optional, of the pixels of pictures, in mm
//! [[region]]                                  # optional: classes that are also scored as one
//! name = "whole tumour"
//! classes = ["oedema", "core"]
//! [[subject]]
//! id = "pat0003"
//! group = "patient-3"                         # optional: subjects of one patient share it
//! scanner = "A"                               # optional, for the fingerprint
//! spacing = [0.2, 0.2]                        # optional, goes before that of the dataset
//! images = { FLAIR = "pat0003/FLAIR.nii.gz", T1c = "pat0003/T1c.nii.gz" }
//! label = "pat0003/tumour.nii.gz"             # absent for subjects to predict
//! mask = "pat0003/brain_mask.nii.gz"          # optional
//! weight = "pat0003/weight.nii.gz"            # optional, for the weighted sampler
//! white_matter = "pat0003/wm.nii.gz"          # optional, for white-matter normalisation
//! ```
//!
//! Paths are relative to the manifest's folder. An image `"x.nii.gz#1"` is
//! volume 1 (counted from 0) of a 4-D file.

mod error;
mod image;
mod read;
mod regions;
mod rules;
mod toml_form;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lacuna_io::atomic::write_bytes;
use lacuna_io::files_of;
use lacuna_volume::{IGNORED, LabelMap, Region, Volume};

use crate::split::Member;

pub use error::ManifestError;
pub use image::ImageRef;

/// The largest label value: that of 16-bit label files.
pub const MAX_LABEL_VALUE: i32 = u16::MAX as i32;

/// A dataset: its subjects' files and the meaning of their label values.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Name of the dataset.
    pub name: String,
    /// Modality names in channel order.
    pub modalities: Vec<String>,
    /// Class names; the position is the class index, 0 the background.
    pub classes: Vec<String>,
    /// Class name of every label value that may occur in a label file.
    pub label_values: BTreeMap<i32, String>,
    /// The label value of voxels that are neither trained on nor scored.
    pub ignore: Option<i32>,
    /// Unions of classes that are scored as rows of their own; each has a name.
    pub regions: Vec<Region>,
    /// The modality onto whose grid the other images of a subject are brought; without one they
    /// must share a grid.
    pub grid: Option<String>,
    /// Edges (mm) of the pixels of PNG, JPEG and TIFF images along x and y, whose files do not tell;
    /// without them 1 mm. Images of other formats are refused beside it.
    pub spacing: Option<[f64; 2]>,
    /// The subjects in the order of the file.
    pub subjects: Vec<Subject>,
    /// Folder of the manifest.
    pub folder: PathBuf,
    /// The manifest itself.
    pub path: PathBuf,
    /// Class index by label value.
    class_table: Vec<Option<u8>>,
}

/// The files of one subject. All paths are ready to open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subject {
    /// Unique name, also that of the prediction's file.
    pub id: String,
    /// What no split may tear apart: the patient, of whom the subject is one visit.
    pub group: Option<String>,
    /// What it was imaged with, in any words.
    pub scanner: Option<String>,
    /// Edges (mm) of the pixels of its pictures, where they are not those of the dataset.
    pub spacing: Option<[f64; 2]>,
    /// One image for each modality of the manifest.
    pub images: BTreeMap<String, ImageRef>,
    /// Label file; absent for a subject to predict.
    pub label: Option<PathBuf>,
    /// Mask: patches must touch it, statistics come from inside it,
    /// predictions outside it are background.
    pub mask: Option<PathBuf>,
    /// Sampling-weight map for the weighted sampler.
    pub weight: Option<PathBuf>,
    /// White-matter mask; wins over the estimate in white-matter normalisation.
    pub white_matter: Option<PathBuf>,
}

impl Subject {
    /// Its files, images first; the file of a 4-D image once for each of its volumes, and of
    /// an image that consists of several files all of them.
    pub fn files(&self) -> Vec<PathBuf> {
        let others = [&self.label, &self.mask, &self.weight, &self.white_matter];
        let images = self.images.values().map(|image| &image.path);
        let all = images.chain(others.into_iter().flatten());
        // What cannot be read is told where it is read.
        let parts = |path: &PathBuf| files_of(path).unwrap_or_else(|_| vec![path.clone()]);
        all.flat_map(parts).collect()
    }
}

impl Manifest {
    /// Reads and checks `dataset.toml`. The files it names are not opened.
    ///
    /// # Errors
    /// An unreadable file, wrong TOML, an unknown key, or anything that
    /// [`Manifest::new`] refuses.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = lacuna_io::text::read_toml(path).map_err(|source| ManifestError::Read {
            path: path.to_owned(),
            source,
        })?;
        toml_form::parse(path, &text)
    }

    /// A manifest that lies, or will lie, at `path`; the subjects' paths must
    /// be ready to open, not relative to the manifest's folder.
    ///
    /// # Errors
    /// Fewer than 2 or more than 255 classes, no modality, no subject, a name
    /// that is empty or stands twice, a subject id that cannot be a file name,
    /// a subject lacking a modality or having an unknown one, a label value
    /// outside `0..=65535` or of an unknown class, a class without label value, a spacing that
    /// is not above 0.
    pub fn new(
        path: &Path,
        name: String,
        modalities: Vec<String>,
        classes: Vec<String>,
        label_values: BTreeMap<i32, String>,
        subjects: Vec<Subject>,
    ) -> Result<Self, ManifestError> {
        rules::check_names(path, "modalities", &modalities)?;
        rules::check_names(path, "classes", &classes)?;
        rules::check_counts(path, modalities.len(), classes.len(), subjects.len())?;
        let class_table = rules::class_table(path, &classes, &label_values)?;
        rules::check_subjects(path, &modalities, &subjects)?;
        Ok(Self {
            name,
            modalities,
            classes,
            label_values,
            ignore: None,
            regions: Vec::new(),
            grid: None,
            spacing: None,
            subjects,
            folder: folder_of(path),
            path: path.to_owned(),
            class_table,
        })
    }

    /// The same, with the other images of a subject brought onto the grid of `modality`.
    ///
    /// # Errors
    /// When there is no such modality.
    pub fn with_grid(self, modality: String) -> Result<Self, ManifestError> {
        if !self.modalities.contains(&modality) {
            return Err(ManifestError::Grid {
                path: self.path,
                found: modality,
                expected: self.modalities,
            });
        }
        Ok(Self {
            grid: Some(modality),
            ..self
        })
    }

    /// The same dataset with other subjects, or other files of them, to be written to `path`.
    ///
    /// # Errors
    /// As [`Self::new`], of the subjects.
    pub fn with_subjects(
        &self,
        path: &Path,
        subjects: Vec<Subject>,
    ) -> Result<Self, ManifestError> {
        let (modalities, classes) = (self.modalities.len(), self.classes.len());
        rules::check_counts(path, modalities, classes, subjects.len())?;
        rules::check_subjects(path, &self.modalities, &subjects)?;
        Ok(Self {
            folder: folder_of(path),
            path: path.to_owned(),
            subjects,
            ..self.clone()
        })
    }

    /// The same, with pixels of pictures that have these edges (mm) along x and y.
    ///
    /// # Errors
    /// When they are no finite numbers above 0.
    pub fn with_spacing(self, spacing: [f64; 2]) -> Result<Self, ManifestError> {
        rules::check_spacing(&self.path, "at the top level", Some(spacing))?;
        Ok(Self {
            spacing: Some(spacing),
            ..self
        })
    }

    /// The modality that the grid of a subject is that of.
    pub fn grid_modality(&self) -> &str {
        self.grid.as_ref().unwrap_or(&self.modalities[0])
    }

    /// The modality behind pictures: that of the grid where there is one, as the others may lie
    /// on another than the labels; else FLAIR, else the first.
    pub fn shown_modality(&self) -> &str {
        let flair = || (self.modalities.iter()).find(|m| m.eq_ignore_ascii_case("flair"));
        (self.grid.as_ref())
            .or_else(flair)
            .unwrap_or(&self.modalities[0])
    }

    /// The manifest as TOML. Paths are written relative to its folder, or
    /// absolute for files that share no folder with it.
    ///
    /// # Errors
    /// A path that is not UTF-8.
    pub fn to_toml(&self) -> Result<String, ManifestError> {
        toml_form::write(self)
    }

    /// Writes the manifest to its path, atomically.
    ///
    /// # Errors
    /// A path that is not UTF-8, or a folder that cannot be written to.
    pub fn write(&self) -> Result<(), ManifestError> {
        let text = self.to_toml()?;
        write_bytes(&self.path, text.as_bytes())?;
        Ok(())
    }

    /// Every file that the dataset is made of, the manifest itself first.
    pub fn files(&self) -> Vec<PathBuf> {
        let subjects = self.subjects.iter().flat_map(Subject::files);
        std::iter::once(self.path.clone()).chain(subjects).collect()
    }

    /// The subject of that id.
    ///
    /// # Errors
    /// When there is none.
    pub fn subject(&self, id: &str) -> Result<&Subject, ManifestError> {
        self.subjects
            .iter()
            .find(|s| s.id == id)
            .ok_or_else(|| ManifestError::UnknownSubject {
                path: self.path.clone(),
                id: id.to_owned(),
                suggestion: closest(id, self.subjects.iter().map(|s| s.id.as_str())),
                count: self.subjects.len(),
            })
    }

    /// The subjects of these ids in their order, each once however often it is named.
    ///
    /// # Errors
    /// When there is none of an id.
    pub fn named(&self, ids: &[String]) -> Result<Vec<&Subject>, ManifestError> {
        let mut seen = BTreeSet::new();
        let once = ids.iter().filter(|id| seen.insert(id.as_str()));
        once.map(|id| self.subject(id)).collect()
    }

    /// The subjects with a label, for a split to choose from.
    pub fn labelled(&self) -> Vec<Member> {
        let labelled = self.subjects.iter().filter(|s| s.label.is_some());
        labelled
            .map(|s| Member {
                id: s.id.clone(),
                group: s.group.clone(),
            })
            .collect()
    }

    /// Class index of a label value; `None` when `label_values` lacks it.
    pub fn class_of(&self, value: i32) -> Option<u8> {
        let position = usize::try_from(value).ok()?;
        *self.class_table.get(position)?
    }

    /// The label file's values as class indices, on the same grid; [`IGNORED`] where the value is
    /// [`Self::ignore`].
    ///
    /// # Errors
    /// A value that `label_values` lacks.
    pub fn map_labels(
        &self,
        subject: &Subject,
        values: &Volume<i32>,
    ) -> Result<LabelMap, ManifestError> {
        let mut unknown = None;
        let labels = values.map(|&value| match self.class_of(value) {
            Some(class) => class,
            None if self.ignore == Some(value) => IGNORED,
            None => {
                unknown.get_or_insert(value);
                0
            }
        });
        match unknown {
            None => Ok(labels),
            Some(value) => Err(self.unknown_label(subject, values, value)),
        }
    }

    fn unknown_label(&self, subject: &Subject, values: &Volume<i32>, value: i32) -> ManifestError {
        let [nx, ny, _] = values.shape();
        let mut places = values
            .data()
            .iter()
            .enumerate()
            .filter(|(_, v)| **v == value);
        let first = places.next().map_or(0, |(i, _)| i);
        ManifestError::LabelValue {
            // A caller may map labels that came from elsewhere than the manifest.
            file: subject.label.clone().unwrap_or_else(|| self.path.clone()),
            subject: subject.id.clone(),
            value,
            voxels: 1 + places.count(),
            voxel: [first % nx, first / nx % ny, first / (nx * ny)],
            known: self.known_values(),
        }
    }
}

/// The label value that stands for each of `classes`: the smallest, where several do.
///
/// # Errors
/// The name of a class without one.
pub fn value_of_each<'a>(
    label_values: &BTreeMap<i32, String>,
    classes: &'a [String],
) -> Result<Vec<u16>, &'a str> {
    let value = |class: &'a String| {
        let mut values = label_values.iter().filter(|(_, name)| *name == class);
        values
            .find_map(|(value, _)| u16::try_from(*value).ok())
            .ok_or(class.as_str())
    };
    classes.iter().map(value).collect()
}

/// The candidate that `word` is most likely a misspelling of: a few letters
/// changed or swapped (Damerau-Levenshtein), or much the same letters after a
/// common start (Jaro-Winkler).
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word = word.to_lowercase();
    let likeness = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let edits = strsim::normalized_damerau_levenshtein(&word, &candidate);
        let letters = strsim::jaro_winkler(&word, &candidate);
        (edits > 0.6 || letters > 0.75).then_some(edits + letters)
    };
    candidates
        .into_iter()
        .filter_map(|c| Some((likeness(c)?, c)))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c.to_owned())
}

pub(crate) fn folder_of(path: &Path) -> PathBuf {
    or_here(path.parent().unwrap_or(Path::new(""))).to_owned()
}

/// The parent of a bare file name is empty, which the system does not accept.
fn or_here(folder: &Path) -> &Path {
    match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    }
}
