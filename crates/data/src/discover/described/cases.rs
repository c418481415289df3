//! The cases of a described folder: which files belong to each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::Description;
use crate::discover::{DiscoverError, pattern};
use crate::manifest::{ImageRef, Subject};

/// A case of nnU-Net v2's `dataset`.
#[derive(Deserialize)]
pub(super) struct ListedCase {
    images: Vec<String>,
    label: String,
}

#[derive(Deserialize)]
pub(super) struct TrainingCase {
    image: String,
    label: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum TestCase {
    Path(String),
    Case { image: String },
}

/// The folder, its description's path and the modalities, as all readers need them.
pub(super) struct Source<'a> {
    pub folder: &'a Path,
    pub json: PathBuf,
    pub modalities: Vec<String>,
}

/// nnU-Net v2: the cases are the files in the folders.
pub(super) fn nnunet_subjects(
    source: &Source,
    about: &Description,
) -> Result<Vec<Subject>, DiscoverError> {
    let ending = file_ending(source, about)?;
    let mut subjects = Vec::new();
    for id in case_ids(source, "imagesTr", ending)? {
        let label = source.folder.join("labelsTr").join(format!("{id}{ending}"));
        subjects.push(Subject {
            images: source.channel_files("imagesTr", &id, ending)?,
            label: Some(source.existing(&id, label)?),
            id,
            ..Subject::default()
        });
    }
    subjects.extend(nnunet_test_subjects(source, ending)?);
    Ok(subjects)
}

fn nnunet_test_subjects(source: &Source, ending: &str) -> Result<Vec<Subject>, DiscoverError> {
    if !source.folder.join("imagesTs").is_dir() {
        return Ok(Vec::new());
    }
    let test_subject = |id: String| {
        Ok(Subject {
            images: source.channel_files("imagesTs", &id, ending)?,
            id,
            ..Subject::default()
        })
    };
    let ids = case_ids(source, "imagesTs", ending)?;
    ids.into_iter().map(test_subject).collect()
}

fn file_ending<'a>(source: &Source, about: &'a Description) -> Result<&'a str, DiscoverError> {
    match about.file_ending.as_deref() {
        None => Ok(".nii.gz"),
        Some(ending @ (".nii" | ".nii.gz" | ".mha" | ".nrrd" | ".mgz")) => Ok(ending),
        Some(other) => Err(source.entry(
            "file_ending",
            other,
            "\".nii.gz\", \".nii\", \".mha\", \".nrrd\" or \".mgz\"",
            "convert the images to NIfTI",
        )),
    }
}

/// The cases that have a file in `images`, `CASE_0000.nii.gz`.
fn case_ids(
    source: &Source,
    images: &str,
    ending: &str,
) -> Result<BTreeSet<String>, DiscoverError> {
    let mut ids = BTreeSet::new();
    for name in pattern::names(&source.folder.join(images))? {
        let Some(stem) = name.strip_suffix(ending).filter(|s| !s.starts_with('.')) else {
            continue;
        };
        let channel = stem.rsplit_once('_').and_then(|(id, channel)| {
            let digits = channel.len() == 4 && channel.bytes().all(|b| b.is_ascii_digit());
            Some((id, channel.parse::<usize>().ok().filter(|_| digits)?))
        });
        match channel {
            Some((id, channel)) if channel < source.modalities.len() => {
                ids.insert(id.to_owned());
            }
            _ => {
                return Err(source.entry(
                    "channel_names",
                    &format!(
                        "{} channels beside {images}/{name}",
                        source.modalities.len()
                    ),
                    "image files named CASE_0000 and so on up to the last channel",
                    "rename or remove the file, or name its channel",
                ));
            }
        }
    }
    Ok(ids)
}

/// nnU-Net v2 with the training files listed in the description.
pub(super) fn listed_subjects(
    source: &Source,
    about: &Description,
    cases: &BTreeMap<String, ListedCase>,
) -> Result<Vec<Subject>, DiscoverError> {
    let mut subjects = Vec::new();
    for (id, case) in cases {
        if case.images.len() != source.modalities.len() {
            return Err(source.entry(
                &format!("dataset.{id}.images"),
                &format!("{} files", case.images.len()),
                "one file for each of `channel_names`",
                "correct the list",
            ));
        }
        let mut images = BTreeMap::new();
        for (modality, file) in source.modalities.iter().zip(&case.images) {
            let file = source.existing(id, source.resolve(file))?;
            images.insert(modality.clone(), file.into());
        }
        subjects.push(Subject {
            id: id.clone(),
            images,
            label: Some(source.existing(id, source.resolve(&case.label))?),
            ..Subject::default()
        });
    }
    subjects.extend(nnunet_test_subjects(source, file_ending(source, about)?)?);
    Ok(subjects)
}

/// Decathlon and nnU-Net v1: the cases are listed.
pub(super) fn decathlon_subjects(
    source: &Source,
    training: &[TrainingCase],
    test: &[TestCase],
) -> Result<Vec<Subject>, DiscoverError> {
    let labelled = training.iter().map(|c| (&c.image, Some(&c.label)));
    let unlabelled = test.iter().map(|c| match c {
        TestCase::Path(image) | TestCase::Case { image } => (image, None),
    });
    let mut subjects = Vec::new();
    for (image, label) in labelled.chain(unlabelled) {
        let image = source.resolve(image);
        let name = image.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let ending = [".nii.gz", ".nii"].into_iter().find(|e| name.ends_with(e));
        let Some(ending) = ending else {
            return Err(source.entry(
                "training",
                &format!("the image {name:?}"),
                "files named .nii or .nii.gz",
                "convert the images to NIfTI",
            ));
        };
        let id = name[..name.len() - ending.len()].to_owned();
        let label = label.map(|l| source.existing(&id, source.resolve(l)));
        subjects.push(Subject {
            images: source.volumes_or_channels(&image, &id, ending)?,
            label: label.transpose()?,
            id,
            ..Subject::default()
        });
    }
    Ok(subjects)
}

impl Source<'_> {
    /// The refusal of an entry of the description.
    pub(super) fn entry(
        &self,
        key: &str,
        found: &str,
        expected: &'static str,
        remedy: &'static str,
    ) -> DiscoverError {
        DiscoverError::Entry {
            path: self.json.clone(),
            key: key.to_owned(),
            found: found.to_owned(),
            expected,
            remedy,
        }
    }

    /// A path of the description, which starts from its folder, often by `./`.
    fn resolve(&self, file: &str) -> PathBuf {
        let steps = Path::new(file).components();
        let steps: PathBuf = steps.filter(|c| *c != Component::CurDir).collect();
        self.folder.join(steps)
    }

    fn existing(&self, case: &str, file: PathBuf) -> Result<PathBuf, DiscoverError> {
        match file.is_file() {
            true => Ok(file),
            false => Err(DiscoverError::MissingFile {
                path: self.json.clone(),
                case: case.to_owned(),
                file,
            }),
        }
    }

    /// nnU-Net's one file per channel.
    fn channel_files(
        &self,
        images: &str,
        id: &str,
        ending: &str,
    ) -> Result<BTreeMap<String, ImageRef>, DiscoverError> {
        let mut files = BTreeMap::new();
        for (channel, modality) in self.modalities.iter().enumerate() {
            let name = format!("{id}_{channel:04}{ending}");
            let file = self.existing(id, self.folder.join(images).join(name))?;
            files.insert(modality.clone(), file.into());
        }
        Ok(files)
    }

    /// The Decathlon's volumes of the image listed, or nnU-Net v1's files beside it.
    fn volumes_or_channels(
        &self,
        image: &Path,
        id: &str,
        ending: &str,
    ) -> Result<BTreeMap<String, ImageRef>, DiscoverError> {
        let first_channel = image.with_file_name(format!("{id}_0000{ending}"));
        let split = !image.is_file() && first_channel.is_file();
        let mut images = BTreeMap::new();
        for (channel, modality) in self.modalities.iter().enumerate() {
            let file = match split {
                true => image.with_file_name(format!("{id}_{channel:04}{ending}")),
                false => image.to_owned(),
            };
            let in_4d = !split && self.modalities.len() > 1;
            let image = ImageRef {
                path: self.existing(id, file)?,
                volume: in_4d.then_some(channel),
            };
            images.insert(modality.clone(), image);
        }
        Ok(images)
    }
}
