//! One subject: reference, prediction, scores and picture.

use std::path::Path;

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_metrics::{LesionConvention, Options, evaluate_pair, without_ignored};
use lacuna_record::{
    Overlay, PREDICTION_ENDING, Predictions, ScoredFile, SubjectScores, prediction_path,
};
use lacuna_report::OverlayOptions;
use lacuna_report::study::Example;
use lacuna_volume::{IGNORED, LabelMap, Orientation, Volume, corner_displacement_mm};

use crate::choose::Coding;
use crate::probabilities::OfClass;
use crate::{EvaluateError, Request, probabilities};

/// The modality behind the pictures.
pub(crate) fn overlay_modality<'a>(
    manifest: &'a Manifest,
    wanted: Option<&str>,
) -> Result<&'a str, EvaluateError> {
    let Some(wanted) = wanted else {
        return Ok(manifest.shown_modality());
    };
    let mut modalities = manifest.modalities.iter().map(String::as_str);
    let found = modalities.find(|modality| *modality == wanted);
    found.ok_or_else(|| EvaluateError::Overlay {
        wanted: wanted.to_owned(),
        manifest: manifest.path.clone(),
        expected: manifest.modalities.join(", "),
    })
}

/// What an evaluation needs of one subject.
pub(crate) struct Scored {
    pub scores: SubjectScores,
    /// PNG.
    pub picture: Vec<u8>,
    /// Of each foreground class, where there are probabilities.
    pub probabilities: Option<Vec<OfClass>>,
}

/// Scores one subject; `maps` is the file of its probabilities.
pub(crate) fn score(
    request: &Request,
    subject: &Subject,
    file: &ScoredFile,
    coding: &Coding,
    maps: Option<&Path>,
    modality: &str,
) -> Result<Scored, EvaluateError> {
    let manifest = request.manifest;
    let path = file.file.clone();
    let reference = reference_of(manifest, subject)?;
    let prediction = prediction_on(manifest, subject, &reference, &path, coding)?;
    let options = Options {
        lesion_conventions: LesionConvention::ALL.to_vec(),
        ..request.options.clone()
    };
    let classes =
        evaluate_pair(&reference, &prediction, &manifest.classes, &options).map_err(|source| {
            EvaluateError::Score {
                prediction: path,
                source,
            }
        })?;
    let probabilities = maps
        .map(|file| probabilities::of_subject(subject, &reference, file))
        .transpose()?;
    let (overlay, picture) = draw(manifest, subject, modality, &reference, &prediction)?;
    let scores = SubjectScores {
        subject: subject.id.clone(),
        prediction: Some(file.clone()),
        overlay,
        classes,
    };
    Ok(Scored {
        scores,
        picture,
        probabilities,
    })
}

/// Draws reference and prediction on an image of the subject.
fn draw(
    manifest: &Manifest,
    subject: &Subject,
    modality: &str,
    reference: &LabelMap,
    prediction: &LabelMap,
) -> Result<(Overlay, Vec<u8>), EvaluateError> {
    let seen = in_canonical_axes(manifest, subject, modality, reference, prediction)?;
    let drawn = lacuna_report::overlay(
        &seen.image,
        Some(&seen.reference),
        Some(&seen.prediction),
        &OverlayOptions::default(),
    )?;
    let overlay = Overlay {
        file: Path::new("overlays").join(format!("{}.png", subject.id)),
        caption: drawn.caption,
        size: drawn.size,
    };
    Ok((overlay, drawn.png))
}

/// What a picture of a prediction is drawn of. A manifest has an image for each of
/// its modalities in each subject.
fn in_canonical_axes(
    manifest: &Manifest,
    subject: &Subject,
    modality: &str,
    reference: &LabelMap,
    prediction: &LabelMap,
) -> Result<Example, EvaluateError> {
    let axes = Orientation::of(reference.affine());
    Ok(Example {
        image: image_behind(manifest, subject, modality, reference)?,
        reference: axes.to_canonical(&shown(reference))?,
        prediction: axes.to_canonical(prediction)?,
    })
}

/// The image behind a picture on the grid of the reference, in canonical axes.
pub(crate) fn image_behind(
    manifest: &Manifest,
    subject: &Subject,
    modality: &str,
    reference: &LabelMap,
) -> Result<Volume<f32>, EvaluateError> {
    let image = manifest.read_image(subject, &subject.images[modality])?;
    if !reference.grid().shows_the_voxels_of(&image.grid()) {
        return Err(EvaluateError::ImageGrid {
            subject: subject.id.clone(),
            modality: modality.to_owned(),
            apart_mm: corner_displacement_mm(&reference.grid(), &image.grid()),
        });
    }
    Ok(Orientation::of(reference.affine()).to_canonical(&image)?)
}

/// What a picture of the prediction of subject `id` in a folder is drawn of.
///
/// # Errors
/// When a file cannot be read, or they do not fit each other.
pub fn example(
    manifest: &Manifest,
    id: &str,
    predictions: &Path,
) -> Result<Example, EvaluateError> {
    let subject = manifest.subject(id)?;
    let modality = overlay_modality(manifest, None)?;
    let reference = reference_of(manifest, subject)?;
    let listed = Predictions::read(predictions)?;
    let ending = listed
        .as_ref()
        .map_or(PREDICTION_ENDING, Predictions::ending);
    let path = prediction_path(predictions, id, ending);
    let coding = Coding::of(predictions, listed.as_ref(), false)?;
    let prediction = prediction_on(manifest, subject, &reference, &path, &coding)?;
    in_canonical_axes(manifest, subject, modality, &reference, &prediction)
}

/// A reference with nothing where it is [`IGNORED`].
pub fn shown(reference: &LabelMap) -> LabelMap {
    reference.map(|&label| if label == IGNORED { 0 } else { label })
}

/// The classes of a labelled subject, on the grid of its label file; [`IGNORED`] where the
/// manifest leaves out the value.
///
/// # Errors
/// When the subject has no label, or the file cannot be read or holds a value
/// without a class.
pub fn reference_of(manifest: &Manifest, subject: &Subject) -> Result<LabelMap, EvaluateError> {
    let Some(label) = &subject.label else {
        return Err(EvaluateError::NoLabel {
            manifest: manifest.path.clone(),
            subject: subject.id.clone(),
        });
    };
    let values = manifest.read_labels(subject, label)?;
    Ok(manifest.map_labels(subject, &values)?)
}

/// The classes of the prediction `file` of a subject, which lies in the folder
/// `predictions`: voxel by voxel those of the reference, where there is one.
/// `label_values` as in [`Request`].
///
/// # Errors
/// When a file cannot be read, does not fit the reference or holds other values.
pub fn prediction_of(
    manifest: &Manifest,
    subject: &Subject,
    predictions: &Path,
    file: &Path,
    label_values: bool,
    reference: Option<&LabelMap>,
) -> Result<LabelMap, EvaluateError> {
    let listed = Predictions::read(predictions)?;
    let coding = Coding::of(predictions, listed.as_ref(), label_values)?;
    match reference {
        Some(reference) => prediction_on(manifest, subject, reference, file, &coding),
        None => read_prediction(manifest, file, &coding),
    }
}

/// The classes of a prediction, voxel by voxel those of the reference; background where that is
/// [`IGNORED`].
pub(crate) fn prediction_on(
    manifest: &Manifest,
    subject: &Subject,
    reference: &LabelMap,
    path: &Path,
    coding: &Coding,
) -> Result<LabelMap, EvaluateError> {
    let prediction = read_prediction(manifest, path, coding)?;
    let prediction = on_grid_of(subject, reference, prediction, path)?;
    Ok(without_ignored(reference, &prediction).into_owned())
}

/// What was read of `path`, voxel by voxel that of the reference.
pub(crate) fn on_grid_of<T: Clone>(
    subject: &Subject,
    reference: &LabelMap,
    read: Volume<T>,
    path: &Path,
) -> Result<Volume<T>, EvaluateError> {
    let volume = in_axes_of(reference, read)?;
    match reference.grid().shows_the_voxels_of(&volume.grid()) {
        true => Ok(volume),
        false => Err(EvaluateError::Grid {
            prediction: path.to_owned(),
            found: volume.shape(),
            reference: subject.label.clone().unwrap_or_default(),
            expected: reference.shape(),
            apart_mm: corner_displacement_mm(&reference.grid(), &volume.grid()),
        }),
    }
}

/// The classes of a prediction.
pub(crate) fn read_prediction(
    manifest: &Manifest,
    path: &Path,
    coding: &Coding,
) -> Result<LabelMap, EvaluateError> {
    let raw: Volume<i32> = lacuna_io::read_labels(path)?;
    let classes = manifest.classes.len();
    let class = |value: i32| match coding {
        Coding::Manifest => manifest.class_of(value),
        Coding::Listed(values) => {
            let class = values.iter().position(|v| i32::from(*v) == value)?;
            u8::try_from(class).ok()
        }
        Coding::Indices => u8::try_from(value)
            .ok()
            .filter(|v| usize::from(*v) < classes),
    };
    let mut outside = None;
    let labels = raw.map(|&value| {
        class(value).unwrap_or_else(|| {
            outside.get_or_insert(value);
            0
        })
    });
    let prediction = path.to_owned();
    let Some(value) = outside else {
        return Ok(labels);
    };
    let known: Vec<String> = match coding {
        Coding::Indices => {
            return Err(EvaluateError::Value {
                prediction,
                value,
                last: classes - 1,
            });
        }
        Coding::Manifest => manifest.label_values.keys().map(i32::to_string).collect(),
        Coding::Listed(values) => values.iter().map(u16::to_string).collect(),
    };
    Err(EvaluateError::LabelValue {
        prediction,
        value,
        known: known.join(", "),
    })
}

/// The same voxels with the axes in the order and direction of the reference's. Whether
/// the grids are one is for the caller to compare.
///
/// # Errors
/// When an affine has no axes.
pub fn in_axes_of<R, T: Clone>(
    reference: &Volume<R>,
    prediction: Volume<T>,
) -> Result<Volume<T>, EvaluateError> {
    let [wanted, found] = [reference.affine(), prediction.affine()].map(Orientation::of);
    if wanted == found {
        return Ok(prediction);
    }
    Ok(wanted.from_canonical(&found.to_canonical(&prediction)?)?)
}
