//! The label maps of one subject, and how they were judged.

use lacuna_data::manifest::Manifest;
use lacuna_evaluate::{labels_of, prediction_of, reference_of, shown};
use lacuna_metrics::{ClassScores, FOREGROUND, Options, evaluate_pair};
use lacuna_volume::LabelMap;
use serde::Serialize;

use crate::collection::{Collection, Entry};
use crate::judged::{JudgedLesion, judge, unjudged};
use crate::{ViewError, faults};

/// A subject whose label maps were read.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub reference: Option<LabelMap>,
    /// Voxel by voxel those of the reference, where there is one.
    pub prediction: Option<LabelMap>,
    /// Each class, the regions, and the union of all classes last if there are several.
    pub rows: Vec<Row>,
}

/// A class, or several that are taken as one.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub name: String,
    /// Which class indices belong to it.
    #[serde(skip)]
    pub classes: Vec<u8>,
    /// Where there are reference and prediction.
    pub scores: Option<Scores>,
    pub lesions: Vec<JudgedLesion>,
}

/// What the page tells of a subject.
#[derive(Debug, Serialize)]
pub(crate) struct Scores {
    dsc: f64,
    hd95_mm: f64,
    nsd: f64,
    sensitivity: f64,
    precision: f64,
    lesion_recall: f64,
    lesion_precision: f64,
    lesion_f1: f64,
    reference_mm3: f64,
    prediction_mm3: f64,
    /// Lesions of the prediction; those of the reference are in the table.
    predicted_lesions: usize,
}

impl From<&ClassScores> for Scores {
    fn from(row: &ClassScores) -> Self {
        Self {
            dsc: row.dsc,
            hd95_mm: row.hd95_mm,
            nsd: row.nsd,
            sensitivity: row.sensitivity,
            precision: row.precision,
            lesion_recall: row.lesion_recall,
            lesion_precision: row.lesion_precision,
            lesion_f1: row.lesion_f1,
            reference_mm3: row.reference_mm3,
            prediction_mm3: row.prediction_mm3,
            predicted_lesions: row.lesions.prediction.len(),
        }
    }
}

impl Opened {
    /// Reads what there is of `entry`.
    ///
    /// # Errors
    /// When a file cannot be read, or prediction and reference do not fit each other.
    pub fn read(collection: &Collection, entry: &Entry) -> Result<Self, ViewError> {
        let (manifest, subject) = (&collection.manifest, &entry.subject);
        let reference = match &subject.label {
            Some(_) => Some(reference_of(manifest, subject)?),
            None => None,
        };
        let prediction = match (&entry.prediction, &collection.predictions) {
            (Some(file), Some(folder)) => Some(prediction_of(
                manifest,
                subject,
                folder,
                file,
                collection.label_values,
                reference.as_ref(),
            )?),
            _ => None,
        };
        let rows = rows(collection, reference.as_ref(), prediction.as_ref())?;
        Ok(Self {
            reference: reference.as_ref().map(shown),
            prediction,
            rows,
        })
    }

    /// What is right and wrong in the voxels of a row; `None` where there is nothing to
    /// compare, or no such row.
    pub fn faults(&self, row: usize) -> Result<Option<LabelMap>, ViewError> {
        let (Some(reference), Some(prediction)) = (&self.reference, &self.prediction) else {
            return Ok(None);
        };
        let Some(row) = self.rows.get(row) else {
            return Ok(None);
        };
        let found = faults(reference, prediction, |l| row.classes.contains(&l))?;
        Ok(Some(found))
    }
}

fn rows(
    collection: &Collection,
    reference: Option<&LabelMap>,
    prediction: Option<&LabelMap>,
) -> Result<Vec<Row>, ViewError> {
    let classes = &collection.manifest.classes;
    if let (Some(reference), Some(prediction)) = (reference, prediction) {
        let options = Options {
            regions: collection.regions.clone(),
            ..Options::default()
        };
        let scores = evaluate_pair(reference, prediction, classes, &options)?;
        let rows = scores.iter().map(|row| Row {
            name: row.class.clone(),
            classes: classes_of(&row.class, &collection.manifest),
            scores: Some(row.into()),
            lesions: judge(&row.lesions),
        });
        return Ok(rows.collect());
    }
    let Some(map) = reference.or(prediction) else {
        return Ok(Vec::new());
    };
    let several = (classes.len() > 2).then_some(FOREGROUND);
    let regions = collection.manifest.regions.iter();
    let regions = regions.filter_map(|region| region.name.as_deref());
    let regions = regions.filter(|name| !classes.iter().any(|class| class == name));
    let names = classes.iter().skip(1).map(String::as_str);
    let rows = names.chain(regions).chain(several).map(|name| {
        let indices = classes_of(name, &collection.manifest);
        Row {
            name: name.to_owned(),
            lesions: unjudged(map, |l| indices.contains(&l)),
            classes: indices,
            scores: None,
        }
    });
    Ok(rows.collect())
}

/// The class indices of a row of [`evaluate_pair`] by its name.
fn classes_of(name: &str, manifest: &Manifest) -> Vec<u8> {
    labels_of(manifest, name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sets_of_classes() {
        let text = r#"
            name = "x"
            modalities = ["FLAIR"]
            classes = ["background", "oedema", "core", "a+b"]
            [[region]]
            name = "whole tumour"
            classes = ["core", "oedema"]
            [[subject]]
            id = "a"
            images = { FLAIR = "a.nii.gz" }
        "#;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dataset.toml");
        std::fs::write(&path, text).unwrap();
        let manifest = Manifest::read(&path).unwrap();
        for (name, expected) in [
            ("core", vec![2]),
            ("a+b", vec![3]),
            ("oedema+core", vec![1, 2]),
            ("whole tumour", vec![2, 1]),
            ("foreground", vec![1, 2, 3]),
        ] {
            assert_eq!(classes_of(name, &manifest), expected, "{name}");
        }
    }
}
