//! A dataset written as one of nnU-Net's raw folders, `DatasetNNN_NAME`.
//!
//! Source: nnU-Net v2, `documentation/dataset_format.md`. Images are written as 32-bit floating
//! point and label maps as class indices, which are consecutive as nnU-Net asks, with the ignore
//! label after them, all of a
//! subject on the grid of one of its images. [`crate::discover::described`] reads them back.

mod description;
mod error;

use std::path::Path;

use lacuna_io::atomic::{write_bytes, write_folder};
use lacuna_io::{Reference, write_image, write_labels};
use lacuna_volume::{IGNORED, Volume, corner_displacement_mm, resample_linear};
use serde::Serialize;
use serde_json::json;

use crate::manifest::{Manifest, Subject};
use crate::split::read_splits;

use description::Description;
pub use error::NnunetError;

const ENDING: &str = ".nii.gz";

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Subjects with a label, in `imagesTr` and `labelsTr`.
    pub labelled: usize,
    /// Subjects without, in `imagesTs`.
    pub unlabelled: usize,
    /// What of the dataset nnU-Net has no place for.
    pub notes: Vec<String>,
}

/// Writes the subjects of `manifest` as the folder `out`, which is not there yet; and the folds
/// of the file `splits` as its `splits_final.json`, which nnU-Net's planner takes for its own.
/// `on_subject` hears (subjects done, subjects in all).
///
/// The background is called so. Voxels outside a subject's mask become 0 in the images, nnU-Net's
/// own sign of "nothing here". The folder appears whole or not at all.
///
/// # Errors
/// When `out` is there or has another form of name, a class has a name that nnU-Net reserves,
/// the folds do not fit the dataset, a subject's files cannot be read or lie on different grids
/// and the manifest names none to bring them onto, or the folder cannot be written.
pub fn write_nnunet(
    manifest: &Manifest,
    out: &Path,
    splits: Option<&Path>,
    on_subject: &mut dyn FnMut(usize, usize),
) -> Result<Written, NnunetError> {
    check_name(out)?;
    check_classes(manifest)?;
    let folds = splits.map(|file| read_splits(file, &manifest.labelled()));
    let folds = folds.transpose()?;
    let labelled = manifest.labelled().len();
    let unlabelled = manifest.subjects.len() - labelled;
    let (description, lost) = Description::of(manifest, labelled);
    write_folder(out, |part| {
        for (folder, subjects) in [
            ("imagesTr", labelled),
            ("labelsTr", labelled),
            ("imagesTs", unlabelled),
        ] {
            let folder = part.join(folder);
            if subjects > 0 {
                std::fs::create_dir(&folder).map_err(NnunetError::writing(&folder))?;
            }
        }
        for (done, subject) in manifest.subjects.iter().enumerate() {
            on_subject(done, manifest.subjects.len());
            write_subject(manifest, subject, part)?;
        }
        write_json(&part.join("dataset.json"), &description)?;
        if let Some(folds) = &folds {
            let folds = folds.iter();
            let folds = folds.map(|fold| json!({ "train": fold.train, "val": fold.validation }));
            write_json(&part.join("splits_final.json"), &folds.collect::<Vec<_>>())?;
        }
        Ok::<_, NnunetError>(())
    })?;
    Ok(Written {
        labelled,
        unlabelled,
        notes: (lost.into_iter())
            .chain(notes(manifest, folds.is_some()))
            .collect(),
    })
}

/// `DatasetNNN_NAME`, of which nothing is there.
fn check_name(out: &Path) -> Result<(), NnunetError> {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let rest = name
        .strip_prefix("Dataset")
        .and_then(|r| r.split_at_checked(3));
    let formed = rest.is_some_and(|(number, name)| {
        number.bytes().all(|b| b.is_ascii_digit()) && name.starts_with('_') && name.len() > 1
    });
    let path = out.to_owned();
    match (formed, out.exists()) {
        (false, _) => Err(NnunetError::Name { path }),
        (true, true) => Err(NnunetError::Exists { path }),
        (true, false) => Ok(()),
    }
}

fn check_classes(manifest: &Manifest) -> Result<(), NnunetError> {
    let mut foreground = manifest.classes[1..].iter();
    match foreground.find(|class| ["background", "ignore"].contains(&class.as_str())) {
        None => Ok(()),
        Some(class) => Err(NnunetError::Class {
            manifest: manifest.path.clone(),
            class: class.clone(),
        }),
    }
}

fn write_subject(manifest: &Manifest, subject: &Subject, out: &Path) -> Result<(), NnunetError> {
    let first = &subject.images[manifest.grid_modality()];
    let reference = manifest.read_reference(subject, first)?;
    let onto = Onto {
        subject,
        first: &first.path,
        reference: &reference,
    };
    let mask = match &subject.mask {
        None => None,
        Some(file) => Some(onto.checked(file, manifest.read_labels(subject, file)?)?),
    };
    let images = match subject.label {
        Some(_) => "imagesTr",
        None => "imagesTs",
    };
    for (channel, modality) in manifest.modalities.iter().enumerate() {
        let image = &subject.images[modality];
        let volume = manifest.read_image(subject, image)?;
        let moves =
            manifest.grid.is_some() && !reference.grid().shows_the_voxels_of(&volume.grid());
        let mut volume = match moves {
            true => resample_linear(&volume, &reference.grid())?,
            false => onto.checked(&image.path, volume)?,
        };
        if let Some(mask) = &mask {
            let voxels = volume.data_mut().iter_mut().zip(mask.data());
            voxels
                .filter(|(_, inside)| **inside == 0)
                .for_each(|(v, _)| *v = 0.0);
        }
        let name = format!("{}_{channel:04}{ENDING}", subject.id);
        write_image(out.join(images).join(name), &volume, &reference)?;
    }
    if let Some(file) = &subject.label {
        let labels = manifest.map_labels(subject, &manifest.read_labels(subject, file)?)?;
        let labels = onto.checked(file, labels)?;
        // nnU-Net's ignore label is the highest.
        let ignore = manifest.classes.len() as u8;
        let labels = labels.map(|&label| if label == IGNORED { ignore } else { label });
        let name = format!("{}{ENDING}", subject.id);
        write_labels(out.join("labelsTr").join(name), &labels, &reference)?;
    }
    Ok(())
}

/// What the files of a subject must lie on.
struct Onto<'a> {
    subject: &'a Subject,
    first: &'a Path,
    reference: &'a Reference,
}

impl Onto<'_> {
    /// The volume of a file with the very place of the reference, on whose grid it must lie.
    fn checked<T>(&self, file: &Path, volume: Volume<T>) -> Result<Volume<T>, NnunetError> {
        let grid = self.reference.grid();
        if !grid.shows_the_voxels_of(&volume.grid()) {
            return Err(NnunetError::Grid {
                subject: self.subject.id.clone(),
                file: file.to_owned(),
                first: self.first.to_owned(),
                apart_mm: corner_displacement_mm(&grid, &volume.grid()),
            });
        }
        Ok(Volume::new(grid.shape, grid.affine, volume.into_data())?)
    }
}

/// What of the dataset is lost, and what follows.
fn notes(manifest: &Manifest, folds: bool) -> Vec<String> {
    let having = |has: fn(&Subject) -> bool| manifest.subjects.iter().filter(|s| has(s)).count();
    let mut notes = Vec::new();
    if having(|s| s.mask.is_some()) > 0 {
        notes
            .push("outside the masks the images are 0, which nnU-Net takes for nothing".to_owned());
    }
    if having(|s| s.weight.is_some() || s.white_matter.is_some()) > 0 {
        notes.push(
            "weight and white-matter maps are left out; nnU-Net has no place for them".to_owned(),
        );
    }
    if having(|s| s.group.is_some()) > 0 && !folds {
        notes.push(
            "nnU-Net does not know `group`, and its folds may part the visits of a patient; \
             give folds with --splits, such as those of `lacuna plan`"
                .to_owned(),
        );
    }
    notes
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), NnunetError> {
    let text = serde_json::to_string_pretty(value).expect("names and whole numbers");
    write_bytes(path, format!("{text}\n").as_bytes())?;
    Ok(())
}
