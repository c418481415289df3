//! Pictures of the subjects that differ most, all predictions side by side.

use lacuna_record::{ComparedPair, DisputeKind, DisputedLesion, Overlay};
use lacuna_report::OverlayOptions;
use lacuna_volume::{LabelMap, Orientation, Volume};

use super::measure::{Measured, labels_of, maps};
use super::sources::Source;
use super::{CompareRequest, each_two, place};
use crate::errors::component_at;
use crate::{EvaluateError, score};

/// A subject, and the two predictions that differ most in it.
struct Wanted<'a> {
    measured: &'a Measured,
    pair: usize,
    difference: f64,
}

/// Draws the subjects in which the DSC or the lesion F1 of the last row, the foreground or
/// the only class, differ most between two predictions whose label maps are there. The
/// slice is that of the largest reference lesion that only one of them finds, else the one
/// in which they differ most.
pub(super) fn draw(
    request: &CompareRequest,
    sources: &[Source],
    measured: &[Measured],
    pairs: &[ComparedPair],
    modality: &str,
) -> Result<Vec<(Overlay, Vec<u8>)>, EvaluateError> {
    let mut wanted: Vec<Wanted> = measured.iter().filter_map(largest_difference).collect();
    wanted.sort_by(|a, b| b.difference.total_cmp(&a.difference));
    wanted.truncate(request.pictures);
    (wanted.iter())
        .map(|wanted| draw_one(request, sources, wanted, &pairs[wanted.pair], modality))
        .filter_map(Result::transpose)
        .collect()
}

fn largest_difference(measured: &Measured) -> Option<Wanted<'_>> {
    let last: Vec<[f64; 2]> = (measured.scores.iter())
        .map(|rows| rows.last().map_or([0.0; 2], |row| [row.dsc, row.lesion_f1]))
        .collect();
    let of = |[a, b]: [usize; 2]| {
        let [dsc, f1] = [0, 1].map(|metric| (last[a][metric] - last[b][metric]).abs());
        dsc.max(f1)
    };
    (each_two(last.len()).enumerate())
        .filter(|(pair, _)| measured.apart[*pair].is_some())
        .map(|(pair, two)| Wanted {
            measured,
            pair,
            difference: of(two),
        })
        .filter(|wanted| wanted.difference > 0.0)
        .max_by(|a, b| a.difference.total_cmp(&b.difference))
}

fn draw_one(
    request: &CompareRequest,
    sources: &[Source],
    wanted: &Wanted,
    pair: &ComparedPair,
    modality: &str,
) -> Result<Option<(Overlay, Vec<u8>)>, EvaluateError> {
    let manifest = request.manifest;
    let id = &wanted.measured.subject;
    let subject = manifest.subject(id)?;
    let Some(maps) = maps(manifest, sources, subject)? else {
        return Ok(None);
    };
    let lesion = largest_disputed(wanted.measured, pair);
    let last = wanted.measured.scores[0].last();
    let row = lesion
        .map(|l| l.class.as_str())
        .or(last.map(|row| row.class.as_str()));
    let Some((row, labels)) = row.and_then(|row| Some((row, labels_of(manifest, row)?))) else {
        return Ok(None);
    };
    let mask = |map: &LabelMap| map.map(|l| u8::from(labels.contains(l)));
    let reference = mask(&maps.reference);
    let mut shown = Vec::new();
    let mut names = Vec::new();
    let mut two = Vec::new();
    for (source, map) in sources.iter().zip(&maps.predictions) {
        let Some(map) = map.as_ref().map(mask) else {
            continue;
        };
        if source.name == pair.first || source.name == pair.second {
            two.push(map.clone());
        }
        names.push(source.name.as_str());
        shown.push(map);
    }
    let [first, second] = &two[..] else {
        return Ok(None);
    };
    let (seen, why) = match lesion {
        Some(lesion) => {
            let inside = lesion.place.map_or([0; 3], |place| place.inside);
            let seen = component_at(&reference, inside);
            (
                seen.unwrap_or_else(|| reference.map(|_| false)),
                told(lesion),
            )
        }
        None => (
            differing(first, second),
            "The slice in which they differ most".to_owned(),
        ),
    };
    let axes = Orientation::of(reference.affine());
    let image = score::image_behind(manifest, subject, modality, &reference)?;
    let shown: Result<Vec<LabelMap>, _> = shown.iter().map(|map| axes.to_canonical(map)).collect();
    let drawn = lacuna_report::overlay_row(
        &image,
        &axes.to_canonical(&reference)?,
        &shown?,
        &axes.to_canonical(&seen)?,
        &format!("{row}; from left to right {}. {why}", names.join(", ")),
        &OverlayOptions::default(),
    )?;
    let overlay = Overlay {
        file: place::picture(id),
        caption: drawn.caption,
        size: drawn.size,
    };
    Ok(Some((overlay, drawn.png)))
}

/// The largest reference lesion of the subject that only one of the two finds: of the last
/// row if it has one, else of any.
fn largest_disputed<'a>(one: &Measured, pair: &'a ComparedPair) -> Option<&'a DisputedLesion> {
    let last = one.scores[0].last()?;
    let lesions = (pair.lesions.iter())
        .filter(|l| l.subject == one.subject && l.kind == DisputeKind::ReferenceLesion)
        .filter(|l| l.place.is_some());
    lesions.max_by_key(|l| (l.class == last.class, l.voxels))
}

fn told(lesion: &DisputedLesion) -> String {
    let at = lesion.place.map_or_else(String::new, |place| {
        let [x, y, z] = place.inside;
        let [right, front, up] = place.inside_mm;
        format!(" at voxel ({x}, {y}, {z}), ({right:.1}, {front:.1}, {up:.1}) mm")
    });
    format!(
        "The slice through the largest lesion that only {} finds, of {:.1} mm³{at}",
        lesion.only, lesion.mm3
    )
}

fn differing(a: &LabelMap, b: &LabelMap) -> Volume<bool> {
    let mut other = b.data().iter();
    a.map(|l| other.next().is_some_and(|o| o != l))
}
