//! Slices in order, and where they lie.

use std::collections::BTreeMap;
use std::path::Path;

use lacuna_volume::Affine;

use super::FORMAT;
use super::slice::Slice;
use crate::ImageError;
use crate::lps::{cross, from_lps};

/// How far (mm) numbers that are written in decimals may be from what they mean.
const ROUNDING_MM: f64 = 0.01;
/// The same for cosines.
const ROUNDING_COSINE: f64 = 1e-4;
/// Share of the distance of slices by which one may differ.
const UNEVEN: f64 = 0.02;
/// Cosine of the angle between the way from slice to slice and their normal, at least.
const STRAIGHT: f64 = 0.99999;

/// Sorts the slices of one series along their normal, and gives its affine.
pub(super) fn sorted(
    folder: &Path,
    mut slices: Vec<Slice>,
) -> Result<(Vec<Slice>, Affine), ImageError> {
    let not_read = |what: String, remedy| ImageError::not_read(folder, FORMAT, what, remedy);
    let Some(first) = slices.first().cloned() else {
        return Err(not_read(
            "no image in it".to_owned(),
            "give the folder of a series",
        ));
    };
    let mut series: BTreeMap<&(String, String), usize> = BTreeMap::new();
    for slice in &slices {
        *series.entry(&slice.series).or_default() += 1;
    }
    if series.len() > 1 {
        let text = |((uid, name), count): (&&(String, String), &usize)| {
            let name = if name.is_empty() { uid } else { name };
            format!("{name:?} of {count} slices")
        };
        let told: Vec<String> = series.iter().map(text).collect();
        let what = format!("{} series in one folder: {}", series.len(), told.join(", "));
        return Err(not_read(what, "give each a folder of its own"));
    }
    if let Some(other) = slices.iter().find(|slice| !alike(&first, slice)) {
        let what = format!(
            "slices that differ in size, spacing or direction ({} and {})",
            name(&first),
            name(other)
        );
        return Err(not_read(
            what,
            "keep the slices of one orientation, localizers apart",
        ));
    }

    let [x, y] = first.directions;
    let normal = cross(x, y);
    let along = |slice: &Slice| dot(slice.position, normal);
    slices.sort_by(|a, b| along(a).total_cmp(&along(b)));
    let gaps: Vec<f64> = slices
        .windows(2)
        .map(|w| along(&w[1]) - along(&w[0]))
        .collect();
    let step = match gaps.len() {
        0 => normal.map(|n| n * first.apart.unwrap_or(1.0)),
        count => {
            let mut ordered = gaps.clone();
            ordered.sort_by(f64::total_cmp);
            let usual = ordered[count / 2];
            let odd = gaps
                .iter()
                .position(|gap| (gap - usual).abs() > ROUNDING_MM.max(UNEVEN * usual));
            if let Some(at) = gaps.iter().position(|gap| *gap < ROUNDING_MM) {
                let what = format!(
                    "two slices in one place ({} and {})",
                    name(&slices[at]),
                    name(&slices[at + 1])
                );
                return Err(not_read(what, "keep one echo, time or copy of each slice"));
            }
            if let Some(at) = odd {
                let what = format!(
                    "{:.3} mm between {} and {}, where others are {usual:.3} mm apart",
                    gaps[at],
                    name(&slices[at]),
                    name(&slices[at + 1])
                );
                return Err(not_read(what, "find the slices that are missing"));
            }
            let (from, to) = (slices[0].position, slices[count].position);
            [0, 1, 2].map(|w| (to[w] - from[w]) / count as f64)
        }
    };
    let length = dot(step, step).sqrt();
    if dot(step, normal) < STRAIGHT * length {
        let degrees = (dot(step, normal) / length)
            .clamp(-1.0, 1.0)
            .acos()
            .to_degrees();
        let what = format!(
            "slices that are shifted along themselves by {degrees:.1} degrees (a tilted gantry)"
        );
        return Err(not_read(what, "resample it, for example with dcm2niix"));
    }
    let columns = [
        x.map(|d| d * first.spacing[0]),
        y.map(|d| d * first.spacing[1]),
        step,
    ];
    let affine = from_lps(columns, slices[0].position);
    match affine.places_voxels() {
        true => Ok((slices, affine)),
        false => Err(ImageError::header(
            &first.path,
            FORMAT,
            "ImageOrientationPatient, PixelSpacing",
            format!("{columns:?}"),
            "finite numbers, and axes in three directions",
        )),
    }
}

fn alike(a: &Slice, b: &Slice) -> bool {
    let near =
        |a: &[f64], b: &[f64], most: f64| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= most);
    a.size == b.size
        && near(&a.spacing, &b.spacing, ROUNDING_MM)
        && near(
            a.directions.as_flattened(),
            b.directions.as_flattened(),
            ROUNDING_COSINE,
        )
}

fn name(slice: &Slice) -> String {
    let name = slice.path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
