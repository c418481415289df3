//! A phantom cohort as files: NIfTI images and a dataset manifest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lacuna_io::{Reference, write_image, write_labels};
use rayon::prelude::*;

use super::mask_shapes::MaskShapes;
use super::{CLASSES, MODALITIES, PhantomConfig, PhantomError, PhantomSubject, with_shapes};
use crate::manifest::{ImageRef, Manifest, Subject};

/// Makes all subjects and writes `sub-01/T1.nii.gz`, `T2.nii.gz`,
/// `FLAIR.nii.gz`, `lesion.nii.gz`, `brain_mask.nii.gz`, with
/// [`PhantomConfig::white_matter_mask`] also `white_matter.nii.gz`, with
/// [`PhantomConfig::lesion_masks`] also `lesions.json`, a list of
/// [`MaskLesion`](super::MaskLesion), and so on below `folder`, which is created, then `dataset.toml`, whose path is returned.
/// Files of the same name are replaced.
///
/// # Errors
/// As [`phantom`](super::phantom); a folder or file that cannot be written.
pub fn write_cohort(config: &PhantomConfig, folder: &Path) -> Result<PathBuf, PhantomError> {
    config.check()?;
    let shapes = MaskShapes::of(config)?;
    let subjects = (0..config.subjects)
        .into_par_iter()
        .map(|index| {
            let id = subject_id(config, index);
            let phantom = with_shapes(config, shapes.as_ref(), index)?;
            write_subject(config, &phantom, &id, &folder.join(&id))
        })
        .collect::<Result<Vec<_>, _>>()?;

    let classes = CLASSES.map(str::to_owned);
    let manifest = Manifest::new(
        &folder.join("dataset.toml"),
        "phantom".to_owned(),
        MODALITIES.map(str::to_owned).to_vec(),
        classes.to_vec(),
        (0..).zip(classes).collect(),
        subjects,
    )?;
    manifest.write()?;
    Ok(manifest.path)
}

/// The ids of the subjects that [`write_cohort`] writes.
pub fn subject_ids(config: &PhantomConfig) -> impl Iterator<Item = String> {
    (0..config.subjects).map(|index| subject_id(config, index))
}

/// `sub-01`, with as many digits as the last subject needs.
fn subject_id(config: &PhantomConfig, index: usize) -> String {
    let digits = config.subjects.to_string().len().max(2);
    format!("sub-{:0digits$}", index + 1)
}

fn write_subject(
    config: &PhantomConfig,
    phantom: &PhantomSubject,
    id: &str,
    folder: &Path,
) -> Result<Subject, PhantomError> {
    std::fs::create_dir_all(folder).map_err(|source| PhantomError::Folder {
        path: folder.to_owned(),
        source,
    })?;
    let reference = Reference::from_grid(&phantom.label.grid());
    let mut images = BTreeMap::new();
    for (modality, image) in MODALITIES.iter().zip(&phantom.images) {
        let path = folder.join(format!("{modality}.nii.gz"));
        write_image(&path, image, &reference)?;
        images.insert((*modality).to_owned(), ImageRef::from(path));
    }
    let label = folder.join("lesion.nii.gz");
    write_labels(&label, &phantom.label, &reference)?;
    let mask = folder.join("brain_mask.nii.gz");
    write_labels(&mask, &phantom.mask, &reference)?;
    if config.lesion_masks.is_some() {
        lacuna_record::write_json(&folder.join("lesions.json"), &phantom.mask_lesions)?;
    }
    let white_matter = match config.white_matter_mask {
        true => {
            let path = folder.join("white_matter.nii.gz");
            write_labels(&path, &phantom.healthy_white_matter(), &reference)?;
            Some(path)
        }
        false => None,
    };
    Ok(Subject {
        id: id.to_owned(),
        images,
        label: Some(label),
        mask: Some(mask),
        white_matter,
        ..Subject::default()
    })
}
