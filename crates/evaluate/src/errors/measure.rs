//! Every lesion of an evaluation, with how deep it lies.

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_metrics::{Lesion, LesionPlace};
use lacuna_record::Evaluation;
use lacuna_volume::{LabelMap, Volume, euclidean_distance_mm, fill_holes};

use crate::EvaluateError;
use crate::score::{self, in_axes_of, reference_of};

/// Which mask a lesion is a component of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Reference,
    Prediction,
}

/// A lesion of the reference, or a component of the prediction.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub subject: String,
    pub class: String,
    pub side: Side,
    /// Missed, or false.
    pub wrong: bool,
    pub mm3: f64,
    /// Where it lies; evaluations of version 0.1.0 did not record it.
    pub place: Option<LesionPlace>,
    /// From the voxel near its centre to the nearest voxel outside the mask, mm.
    pub depth_mm: Option<f64>,
}

/// All lesions, and what a reader should know of the depths.
pub(super) struct Measured {
    pub lesions: Vec<Placed>,
    /// The edge that depths are measured from, in words; none where none was measured.
    pub edge: Option<&'static str>,
    pub notes: Vec<String>,
}

/// What is inside a subject.
struct Inside {
    /// As the reference file has its voxels.
    mask: Volume<bool>,
    /// Whether the dataset has the mask.
    given: bool,
}

pub(super) fn of(
    evaluation: &Evaluation,
    manifest: Option<&Manifest>,
    on_subject: &mut dyn FnMut(usize, usize),
) -> Result<Measured, EvaluateError> {
    let mut lesions = Vec::new();
    let mut notes = Vec::new();
    let (mut given, mut found) = (0, 0);
    let total = evaluation.subjects.len();
    for (done, scores) in evaluation.subjects.iter().enumerate() {
        let inside = match manifest {
            Some(manifest) => inside(manifest, manifest.subject(&scores.subject)?)?,
            None => None,
        };
        match &inside {
            Some(Inside { given: true, .. }) => given += 1,
            Some(_) => found += 1,
            None if manifest.is_some() => notes.push(format!(
                "{}: no mask, and its image is nowhere 0 up to its border: no depths",
                scores.subject
            )),
            None => {}
        }
        let depth = inside.map(|inside| euclidean_distance_mm(&inside.mask.map(|inside| !inside)));
        for row in &scores.classes {
            let sides = [
                (Side::Reference, &row.lesions.reference),
                (Side::Prediction, &row.lesions.prediction),
            ];
            for (side, of_side) in sides {
                lesions.extend(of_side.iter().map(|lesion| Placed {
                    subject: scores.subject.clone(),
                    class: row.class.clone(),
                    side,
                    wrong: !lesion.detected,
                    mm3: lesion.mm3,
                    place: lesion.place,
                    depth_mm: depth.as_ref().and_then(|depth| depth_of(depth, lesion)),
                }));
            }
        }
        on_subject(done + 1, total);
    }
    let edge = match (given, found) {
        (0, 0) => None,
        (_, 0) => Some("the edge of the mask"),
        (0, _) => Some("the edge of what is not 0, as the dataset has no mask"),
        _ => Some("the edge of the mask, or of what is not 0 where there is none"),
    };
    Ok(Measured {
        lesions,
        edge,
        notes,
    })
}

/// Depth of the voxel near the centre of a lesion.
fn depth_of(depth: &Volume<f64>, lesion: &Lesion) -> Option<f64> {
    let inside = lesion.place?.inside;
    let here = (0..3).all(|axis| inside[axis] < depth.shape()[axis]);
    here.then(|| depth.data()[depth.index(inside)])
        .filter(|mm| mm.is_finite())
}

/// The mask of a subject, or without one what is not 0 in the image of its pictures and
/// what that encloses; `None` where nothing is outside.
fn inside(manifest: &Manifest, subject: &Subject) -> Result<Option<Inside>, EvaluateError> {
    let reference = reference_of(manifest, subject)?;
    if let Some(path) = &subject.mask {
        let mask = manifest
            .read_labels(subject, path)?
            .map(|&value| value != 0);
        let mask = on_grid_of(&reference, mask)?;
        return Ok(mask.map(|mask| Inside { mask, given: true }));
    }
    let modality = score::overlay_modality(manifest, None)?;
    let image = manifest.read_image(subject, &subject.images[modality])?;
    let Some(zero) = on_grid_of(&reference, image.map(|value| *value == 0.0))? else {
        return Ok(None);
    };
    let outside = touching_border(&zero);
    Ok(outside.data().contains(&true).then(|| Inside {
        mask: outside.map(|outside| !outside),
        given: false,
    }))
}

/// The voxels in the reference's order; `None` where they lie elsewhere.
fn on_grid_of(
    reference: &LabelMap,
    volume: Volume<bool>,
) -> Result<Option<Volume<bool>>, EvaluateError> {
    let volume = in_axes_of(reference, volume)?;
    let same = reference.grid().shows_the_voxels_of(&volume.grid());
    Ok(same.then_some(volume))
}

/// The parts of a mask that reach a face of the volume, face by face.
fn touching_border(mask: &Volume<bool>) -> Volume<bool> {
    // A single slice has no faces above and below.
    let out = mask.shape().map(|n| n > 1);
    fill_holes(&mask.map(|inside| !inside), out).map(|filled| !filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::Affine;

    #[test]
    fn holes_are_inside() {
        // A ring of tissue around a hole, in one slice: the hole reaches no border.
        let zero = [
            1, 1, 1, 1, 1, //
            1, 0, 0, 0, 1, //
            1, 0, 1, 0, 1, //
            1, 0, 0, 0, 1, //
            1, 1, 1, 1, 1,
        ];
        let zero: Vec<bool> = zero.iter().map(|v| *v == 1).collect();
        let zero = Volume::new([5, 5, 1], Affine::identity(), zero).unwrap();
        let outside = touching_border(&zero);
        assert_eq!(outside.data().iter().filter(|o| **o).count(), 16);
        assert!(!outside.data()[12]);
        let nowhere = zero.map(|_| false);
        assert!(!touching_border(&nowhere).data().contains(&true));
    }
}
