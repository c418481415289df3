//! Pictures of the largest missed lesions and false components.

use lacuna_data::manifest::Manifest;
use lacuna_io::ENDINGS;
use lacuna_record::{Evaluation, Predictions, sha256_of};
use lacuna_report::{OverlayOptions, Picture};
use lacuna_volume::{Connectivity, LabelMap, Orientation, Volume, label_components};

use super::measure::{Placed, Side};
use crate::choose::{Coding, file_of};
use crate::compare::labels_of;
use crate::{EvaluateError, score};

/// Most pictures of each kind.
const MOST: usize = 4;

/// The pictures, largest first, and what a reader should know of those that are not there.
#[derive(Default)]
pub(super) struct Drawn {
    pub missed: Vec<Picture>,
    pub false_components: Vec<Picture>,
    pub notes: Vec<String>,
}

/// Draws the largest missed lesions and false components of the last row, the foreground or
/// the only class.
pub(super) fn draw(
    evaluation: &Evaluation,
    manifest: &Manifest,
    lesions: &[Placed],
) -> Result<Drawn, EvaluateError> {
    let mut drawn = Drawn::default();
    let Some(class) = last_class(evaluation) else {
        return Ok(drawn);
    };
    let Some(labels) = labels_of(manifest, class) else {
        drawn.notes.push(format!(
            "{} has no class {class}: no pictures",
            manifest.path.display()
        ));
        return Ok(drawn);
    };
    for side in [Side::Reference, Side::Prediction] {
        for lesion in largest(lesions, class, side).into_iter().take(MOST) {
            match picture(evaluation, manifest, &labels, lesion)? {
                Ok(picture) if side == Side::Reference => drawn.missed.push(picture),
                Ok(picture) => drawn.false_components.push(picture),
                Err(note) if drawn.notes.contains(&note) => {}
                Err(note) => drawn.notes.push(note),
            }
        }
    }
    Ok(drawn)
}

/// The row that pictures and rules are of.
pub(super) fn last_class(evaluation: &Evaluation) -> Option<&str> {
    let row = evaluation.subjects.first()?.classes.last()?;
    Some(&row.class)
}

/// The wrong ones of a class and side, largest first.
pub(super) fn largest<'a>(lesions: &'a [Placed], class: &str, side: Side) -> Vec<&'a Placed> {
    let wrong = |l: &&Placed| l.wrong && l.side == side && l.class == class;
    let mut wrong: Vec<&Placed> = lesions.iter().filter(wrong).collect();
    wrong.sort_by(|a, b| b.mm3.total_cmp(&a.mm3));
    wrong
}

/// Where a lesion lies, in words.
pub(super) fn told(lesion: &Placed) -> [String; 3] {
    let Some(place) = &lesion.place else {
        return [const { String::new() }; 3];
    };
    let [x, y, z] = place.inside;
    let [right, front, up] = place.inside_mm;
    [
        format!("({x}, {y}, {z})"),
        format!("({right:.1}, {front:.1}, {up:.1})"),
        (lesion.depth_mm).map_or_else(|| "–".to_owned(), |mm| format!("{mm:.1}")),
    ]
}

/// The picture of a lesion, or why there is none.
fn picture(
    evaluation: &Evaluation,
    manifest: &Manifest,
    labels: &[u8],
    lesion: &Placed,
) -> Result<Result<Picture, String>, EvaluateError> {
    let id = &lesion.subject;
    let subject = manifest.subject(id)?;
    let Some(place) = &lesion.place else {
        return Ok(Err("places were not recorded: no pictures".to_owned()));
    };
    let folder = &evaluation.predictions;
    let scored = (evaluation.subjects.iter())
        .find(|s| s.subject == *id)
        .and_then(|s| s.prediction.as_ref());
    let unchanged = match (file_of(folder, id, &ENDINGS)?, scored) {
        (Some(file), Some(scored)) => (sha256_of(&file)? == scored.sha256).then_some(file),
        (file, _) => file,
    };
    let Some(file) = unchanged else {
        return Ok(Err(format!(
            "{id}: its prediction in {} is gone or has changed: no pictures",
            folder.display()
        )));
    };
    let reference = score::reference_of(manifest, subject)?;
    let listed = Predictions::read(folder)?;
    let coding = Coding::of(folder, listed.as_ref(), evaluation.label_values)?;
    let prediction = score::prediction_on(manifest, subject, &reference, &file, &coding)?;
    let [reference, prediction] =
        [&reference, &prediction].map(|map| map.map(|label| u8::from(labels.contains(label))));
    let of = match lesion.side {
        Side::Reference => &reference,
        Side::Prediction => &prediction,
    };
    let Some(seen) = component_at(of, place.inside) else {
        return Ok(Err(format!(
            "{id}: the label or the prediction is not the one that was scored: no pictures"
        )));
    };
    let axes = Orientation::of(reference.affine());
    let modality = score::overlay_modality(manifest, None)?;
    let [voxel, mm, _] = told(lesion);
    let depth = lesion.depth_mm;
    let depth = depth.map_or_else(String::new, |depth| format!(", {depth:.1} mm deep"));
    let what = match lesion.side {
        Side::Reference => "Missed lesion",
        Side::Prediction => "False component",
    };
    let drawn = lacuna_report::overlay_row(
        &score::image_behind(manifest, subject, modality, &reference)?,
        &axes.to_canonical(&reference)?,
        &[axes.to_canonical(&prediction)?],
        &axes.to_canonical(&seen)?,
        &format!("{what} at voxel {voxel}, {mm} mm{depth}"),
        &OverlayOptions::default(),
    )?;
    Ok(Ok(Picture {
        title: format!("{id}: {:.1} mm³", lesion.mm3),
        caption: drawn.caption,
        png: drawn.png,
        size: drawn.size,
    }))
}

/// The component of a mask that holds a voxel, if it does.
pub(crate) fn component_at(mask: &LabelMap, voxel: [usize; 3]) -> Option<Volume<bool>> {
    let here = (0..3).all(|axis| voxel[axis] < mask.shape()[axis]);
    if !here || mask.data()[mask.index(voxel)] == 0 {
        return None;
    }
    let components = label_components(&mask.map(|&l| l > 0), Connectivity::TwentySix).labels;
    let label = components.data()[components.index(voxel)];
    Some(components.map(|&l| l == label))
}
