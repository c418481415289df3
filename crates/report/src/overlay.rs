//! A picture of one subject: axial slices where they matter, with reference
//! and prediction.
//!
//! Volumes are canonical (RAS+, `x` fastest). Slices are shown as radiologists
//! view them: the patient's right, marked R, is on the left, anterior is up,
//! and pixels have the aspect of the voxels. The upper row shows whole slices,
//! the lower row the window framed in white above, enlarged. The reference is
//! an outline in [`REFERENCE`](crate::colour::REFERENCE); the prediction is a
//! translucent fill in [`PREDICTION`](crate::colour::PREDICTION), with an
//! outline where voxels are large. A key of the colours stands below, where there is room.

mod canvas;
mod choose;
mod key;
mod patches;

use lacuna_volume::{LabelMap, Volume};

use crate::ReportError;
use canvas::{Canvas, Window};
use choose::{Pick, choose, choose_lesions};
use key::Key;
pub use patches::{PatchPair, PatchView, patch_sheet};

/// How a picture is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverlayOptions {
    /// Aimed width and height of one slice. Voxels are enlarged by whole
    /// factors up to it; larger slices are reduced to it, labels so that no
    /// foreground voxel vanishes.
    pub panel_pixels: usize,
    /// Most slices shown.
    pub slices: usize,
    /// Smallest width and height of the enlarged window in mm.
    pub window_mm: f64,
    /// Opacity of the prediction's fill, 0 to 1; halfway from there to 1 where
    /// voxels are smaller than 4 pixels and the prediction has no outline.
    pub fill: f32,
}

impl Default for OverlayOptions {
    fn default() -> Self {
        Self {
            panel_pixels: 288,
            slices: 3,
            window_mm: 36.0,
            fill: 0.35,
        }
    }
}

/// A picture and what it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlay {
    /// RGB picture, PNG.
    pub png: Vec<u8>,
    /// Pixels across and down.
    pub size: [usize; 2],
    /// The slices from left to right, the window and the colours in words.
    pub caption: String,
}

/// Quantiles of the non-zero voxels that become black and white.
const BLACK: f64 = 0.01;
const WHITE: f64 = 0.995;
/// Pixels between panels.
const GAP: usize = 6;

/// Draws the slices with the largest reference area, the largest error and the
/// smallest lesion of the reference, as far as `options.slices` allows. Every
/// label above 0 is foreground.
///
/// # Errors
/// When the shapes differ, the image has no voxel, or the picture is too large
/// to encode.
pub fn overlay(
    image: &Volume<f32>,
    reference: Option<&LabelMap>,
    prediction: Option<&LabelMap>,
    options: &OverlayOptions,
) -> Result<Overlay, ReportError> {
    check(image, reference, prediction)?;
    let picks = choose(image, reference, prediction, options.slices.max(1));
    let window = grey_window(image);
    let panel = panel_size(image, options);
    let side = panel[0].max(panel[1]);
    let [width, height] = [picks.len() * (side + GAP) - GAP, panel[1] + GAP + side];
    let key = Key::of(reference.is_some(), prediction.is_some());
    let mut canvas = Canvas::new([width, height + key.height(width)]);
    key.draw(&mut canvas, height);
    for (column, pick) in picks.iter().enumerate() {
        let left = column * (side + GAP);
        let slice = canvas::Slice {
            image,
            reference,
            prediction,
            z: pick.z,
            grey: window,
            fill: options.fill,
        };
        let whole = Window::whole(image);
        let zoomed = Window::around(image, pick, options.window_mm);
        let at = [left + (side - panel[0]) / 2, 0];
        canvas.draw(&slice, &whole, at, panel);
        canvas.frame(&whole, &zoomed, at, panel);
        canvas.mark_sides(at, panel);
        canvas.draw(&slice, &zoomed, [left, panel[1] + GAP], [side, side]);
    }
    Ok(Overlay {
        caption: caption(&picks, reference.is_some(), prediction.is_some()),
        size: canvas.size(),
        png: canvas.encode()?,
    })
}

/// Draws views below each other that depend on the reference alone, so that the
/// columns of several predictions show the same ones: the whole slice with the
/// largest reference area, that area enlarged, then the smallest lesions enlarged,
/// as far as `options.slices` allows.
///
/// # Errors
/// As [`overlay`].
pub fn overlay_column(
    image: &Volume<f32>,
    reference: &LabelMap,
    prediction: &LabelMap,
    options: &OverlayOptions,
) -> Result<Overlay, ReportError> {
    check(image, Some(reference), Some(prediction))?;
    let picks = choose_lesions(image, reference, options.slices.max(1));
    let grey = grey_window(image);
    let panel = panel_size(image, options);
    let side = panel[0].max(panel[1]);
    let down = |row: usize| panel[1] + GAP + row * (side + GAP);
    let (key, height) = (Key::of(true, true), down(picks.len()) - GAP);
    let mut canvas = Canvas::new([side, height + key.height(side)]);
    key.draw(&mut canvas, height);
    for (row, pick) in picks.iter().enumerate() {
        let slice = canvas::Slice {
            image,
            reference: Some(reference),
            prediction: Some(prediction),
            z: pick.z,
            grey,
            fill: options.fill,
        };
        let zoomed = Window::around(image, pick, options.window_mm);
        if row == 0 {
            let whole = Window::whole(image);
            let at = [(side - panel[0]) / 2, 0];
            canvas.draw(&slice, &whole, at, panel);
            canvas.frame(&whole, &zoomed, at, panel);
            canvas.mark_sides(at, panel);
        }
        canvas.draw(&slice, &zoomed, [0, down(row)], [side, side]);
    }
    let places: Vec<String> = (picks.iter())
        .map(|pick| format!("{} (z = {})", pick.why, pick.z))
        .collect();
    Ok(Overlay {
        caption: format!(
            "From top to bottom: the whole slice of the first of these, then enlarged: {}. \
             Radiological view: the patient's right is on the left.",
            places.join("; ")
        ),
        size: canvas.size(),
        png: canvas.encode()?,
    })
}

/// Draws predictions of one subject side by side, in the order given, on the slice that
/// holds most of `seen`; below, the part of `seen` that is largest there, enlarged. The
/// middle slice where `seen` is empty. `why` says in the caption what `seen` is.
///
/// # Errors
/// As [`overlay`].
pub fn overlay_row(
    image: &Volume<f32>,
    reference: &LabelMap,
    predictions: &[LabelMap],
    seen: &Volume<bool>,
    why: &str,
    options: &OverlayOptions,
) -> Result<Overlay, ReportError> {
    for prediction in predictions {
        check(image, Some(reference), Some(prediction))?;
    }
    let pick = choose::largest_of(image, seen);
    let grey = grey_window(image);
    let panel = panel_size(image, options);
    let side = panel[0].max(panel[1]);
    let columns = predictions.len().max(1);
    let [width, height] = [columns * (side + GAP) - GAP, panel[1] + GAP + side];
    let key = Key::of(true, true);
    let mut canvas = Canvas::new([width, height + key.height(width)]);
    key.draw(&mut canvas, height);
    let whole = Window::whole(image);
    let zoomed = Window::around(image, &pick, options.window_mm);
    for (column, prediction) in predictions.iter().enumerate() {
        let left = column * (side + GAP);
        let slice = canvas::Slice {
            image,
            reference: Some(reference),
            prediction: Some(prediction),
            z: pick.z,
            grey,
            fill: options.fill,
        };
        let at = [left + (side - panel[0]) / 2, 0];
        canvas.draw(&slice, &whole, at, panel);
        canvas.frame(&whole, &zoomed, at, panel);
        canvas.mark_sides(at, panel);
        canvas.draw(&slice, &zoomed, [left, panel[1] + GAP], [side, side]);
    }
    Ok(Overlay {
        caption: format!(
            "{why} (z = {} in canonical axes). Below: the framed window enlarged. Radiological \
             view: the patient's right is on the left. Blue outline: reference. Orange: \
             prediction.",
            pick.z
        ),
        size: canvas.size(),
        png: canvas.encode()?,
    })
}

/// All on one grid, which has voxels.
fn check(
    image: &Volume<f32>,
    reference: Option<&LabelMap>,
    prediction: Option<&LabelMap>,
) -> Result<(), ReportError> {
    let expected = image.shape();
    for (what, labels) in [("reference", reference), ("prediction", prediction)] {
        if let Some(found) = labels.map(LabelMap::shape).filter(|s| *s != expected) {
            return Err(ReportError::Shape {
                what,
                found,
                expected,
            });
        }
    }
    match image.is_empty() {
        true => Err(ReportError::Empty { shape: expected }),
        false => Ok(()),
    }
}

/// Intensities shown black and white.
fn grey_window(image: &Volume<f32>) -> [f32; 2] {
    let finite = |zero: bool| {
        let keep = |v: &f32| v.is_finite() && (zero || *v != 0.0);
        image
            .data()
            .iter()
            .copied()
            .filter(keep)
            .collect::<Vec<_>>()
    };
    let mut values = finite(false);
    if values.is_empty() {
        values = finite(true);
    }
    if values.is_empty() {
        return [0.0, 1.0];
    }
    let last = values.len() - 1;
    let mut at = |share: f64| {
        let place = (share * last as f64).round() as usize;
        *values.select_nth_unstable_by(place, f32::total_cmp).1
    };
    [at(BLACK), at(WHITE)]
}

/// Pixels of one whole slice.
fn panel_size(image: &Volume<f32>, options: &OverlayOptions) -> [usize; 2] {
    let ([nx, ny, _], spacing) = (image.shape(), image.spacing().0);
    let finest = spacing[0].min(spacing[1]);
    let extent = [
        nx as f64 * spacing[0] / finest,
        ny as f64 * spacing[1] / finest,
    ];
    let factor = options.panel_pixels.max(16) as f64 / extent[0].max(extent[1]);
    let factor = if factor >= 1.0 {
        factor.floor()
    } else {
        factor
    };
    extent.map(|e| ((e * factor).round() as usize).max(1))
}

fn caption(picks: &[Pick], reference: bool, prediction: bool) -> String {
    let slices: Vec<String> = picks
        .iter()
        .map(|pick| format!("{} (z = {})", pick.why, pick.z))
        .collect();
    let mut text = format!(
        "From left to right: {}. Below: the framed window enlarged. Radiological view: the \
         patient's right is on the left.",
        slices.join("; ")
    );
    if reference {
        text.push_str(" Blue outline: reference.");
    }
    if prediction {
        text.push_str(" Orange fill and outline: prediction.");
    }
    text
}

#[cfg(test)]
mod tests;
