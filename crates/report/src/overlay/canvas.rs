//! Pixels of an overlay picture.

use std::ops::Range;

use lacuna_volume::{LabelMap, Volume};

use super::choose::Pick;
use super::key;
use crate::ReportError;
use crate::colour::{self, Rgb};

/// One slice to draw.
pub(super) struct Slice<'a> {
    pub image: &'a Volume<f32>,
    pub reference: Option<&'a LabelMap>,
    pub prediction: Option<&'a LabelMap>,
    pub z: usize,
    /// Intensities that become black and white.
    pub grey: [f32; 2],
    /// Opacity of the prediction's fill.
    pub fill: f32,
}

/// A rectangle of a slice in voxels, from the low to the high edge of each
/// axis; voxel `i` spans `i` to `i + 1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub x: [f64; 2],
    pub y: [f64; 2],
}

impl Window {
    pub(super) fn whole(image: &Volume<f32>) -> Self {
        let [nx, ny, _] = image.shape();
        Self {
            x: [0.0, nx as f64],
            y: [0.0, ny as f64],
        }
    }

    /// A square in mm around a pick, half as wide again as what is to be seen,
    /// yet at most half the slice and at least `least_mm`; moved inside the
    /// slice where it fits.
    pub(super) fn around(image: &Volume<f32>, pick: &Pick, least_mm: f64) -> Self {
        let spacing = image.spacing().0;
        let extent = |axis: usize, [low, high]: [usize; 2]| (high + 1 - low) as f64 * spacing[axis];
        let seen = extent(0, pick.box_x).max(extent(1, pick.box_y));
        let [nx, ny, _] = image.shape();
        let half = 0.5 * (nx as f64 * spacing[0]).max(ny as f64 * spacing[1]);
        let side = (1.5 * seen).min(half).max(least_mm);
        let span = |axis: usize, [low, high]: [usize; 2]| {
            let n = image.shape()[axis] as f64;
            let width = side / spacing[axis];
            let start = 0.5 * (low + high + 1) as f64 - 0.5 * width;
            let start = match width < n {
                true => start.clamp(0.0, n - width),
                false => 0.5 * (n - width),
            };
            [start, start + width]
        };
        Self {
            x: span(0, pick.box_x),
            y: span(1, pick.box_y),
        }
    }

    /// Low and high edge, in voxels, of pixel `p` of `n` along x. The
    /// patient's right, the high end, is on the left.
    fn across(&self, p: usize, n: usize) -> [f64; 2] {
        let width = (self.x[1] - self.x[0]) / n as f64;
        let high = self.x[1] - p as f64 * width;
        [high - width, high]
    }

    /// As [`Self::across`] along y; anterior, the high end, is at the top.
    fn down(&self, p: usize, n: usize) -> [f64; 2] {
        let height = (self.y[1] - self.y[0]) / n as f64;
        let high = self.y[1] - p as f64 * height;
        [high - height, high]
    }
}

/// The voxels of `n` that a pixel stands for: those it covers when it is
/// larger than a voxel, else the one at its middle. Empty outside the image.
fn covered([low, high]: [f64; 2], n: usize) -> Range<usize> {
    let middle = (0.5 * (low + high)).floor();
    if middle < 0.0 || middle >= n as f64 {
        return 0..0;
    }
    let middle = middle as usize;
    if high - low <= 1.0 + 1e-9 {
        return middle..middle + 1;
    }
    let first = (low.round().max(0.0) as usize).min(middle);
    let last = (high.round().max(0.0) as usize).clamp(middle + 1, n);
    first..last
}

pub(super) struct Canvas {
    size: [usize; 2],
    pixels: Vec<Rgb>,
}

impl Canvas {
    pub(super) fn new(size: [usize; 2]) -> Self {
        Self {
            size,
            pixels: vec![[0; 3]; size[0] * size[1]],
        }
    }

    pub(super) fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Draws a window of a slice into the rectangle of `extent` pixels at `at`.
    pub(super) fn draw(
        &mut self,
        slice: &Slice,
        window: &Window,
        at: [usize; 2],
        extent: [usize; 2],
    ) {
        let [nx, ny, _] = slice.image.shape();
        let columns: Vec<Range<usize>> = (0..extent[0])
            .map(|p| covered(window.across(p, extent[0]), nx))
            .collect();
        let rows: Vec<Range<usize>> = (0..extent[1])
            .map(|p| covered(window.down(p, extent[1]), ny))
            .collect();
        let any = |labels: &LabelMap, px: usize, py: usize| {
            let (x, y) = (columns[px].clone(), rows[py].clone());
            let row = |y| &labels.data()[labels.index([0, y, slice.z])..][..nx];
            y.into_iter()
                .any(|y| row(y)[x.clone()].iter().any(|&l| l > 0))
        };
        let mask = |labels: Option<&LabelMap>| -> Option<Vec<bool>> {
            let labels = labels?;
            let pixels = (0..extent[1]).flat_map(|py| (0..extent[0]).map(move |px| (px, py)));
            Some(pixels.map(|(px, py)| any(labels, px, py)).collect())
        };
        let (reference, prediction) = (mask(slice.reference), mask(slice.prediction));
        // Outlines are two pixels wide where voxels are large enough to stay
        // open. Where they are small, the prediction is a denser fill without
        // outline, which would cover too much.
        let pixels_per_voxel = extent[0] as f64 / (window.x[1] - window.x[0]);
        let thickness = if pixels_per_voxel >= 6.0 { 2 } else { 1 };
        let [inside, edge] = match pixels_per_voxel >= 4.0 {
            true => [slice.fill, 1.0],
            false => [0.5 * (1.0 + slice.fill); 2],
        };
        for py in 0..extent[1] {
            for px in 0..extent[0] {
                let mut pixel = grey(slice, &columns[px], &rows[py]);
                if let Some(mask) = &prediction
                    && mask[px + extent[0] * py]
                {
                    let at_edge = on_edge(mask, extent, [px, py], 1);
                    let opacity = if at_edge { edge } else { inside };
                    pixel = blend(pixel, colour::PREDICTION, opacity);
                }
                if let Some(mask) = &reference
                    && on_edge(mask, extent, [px, py], thickness)
                {
                    pixel = colour::REFERENCE;
                }
                self.set([at[0] + px, at[1] + py], pixel);
            }
        }
    }

    /// A white frame, in a panel that shows `whole`, around `zoomed`.
    pub(super) fn frame(
        &mut self,
        whole: &Window,
        zoomed: &Window,
        at: [usize; 2],
        extent: [usize; 2],
    ) {
        let place = |from_high: f64, span: [f64; 2], n: usize| {
            let share = (span[1] - from_high) / (span[1] - span[0]);
            ((share * n as f64).round().max(0.0) as usize).min(n - 1)
        };
        let (left, right) = (
            place(zoomed.x[1], whole.x, extent[0]),
            place(zoomed.x[0], whole.x, extent[0]),
        );
        let (top, bottom) = (
            place(zoomed.y[1], whole.y, extent[1]),
            place(zoomed.y[0], whole.y, extent[1]),
        );
        for px in left..=right {
            self.set([at[0] + px, at[1] + top], [255; 3]);
            self.set([at[0] + px, at[1] + bottom], [255; 3]);
        }
        for py in top..=bottom {
            self.set([at[0] + left, at[1] + py], [255; 3]);
            self.set([at[0] + right, at[1] + py], [255; 3]);
        }
    }

    /// R and L on the patient's right and left, where the panel has room.
    pub(super) fn mark_sides(&mut self, at: [usize; 2], extent: [usize; 2]) {
        if extent[0] < 64 || extent[1] < 32 {
            return;
        }
        for (letter, left) in [('R', 4), ('L', extent[0] - 9)] {
            key::write(self, letter, [at[0] + left, at[1] + 4], 1);
        }
    }

    pub(super) fn set(&mut self, [x, y]: [usize; 2], colour: Rgb) {
        self.pixels[x + self.size[0] * y] = colour;
    }

    /// The picture as PNG.
    pub(super) fn encode(&self) -> Result<Vec<u8>, ReportError> {
        let [width, height] = self.size;
        let failed = |source| ReportError::Png {
            width,
            height,
            source,
        };
        let mut bytes = Vec::new();
        let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut encoder = png::Encoder::new(&mut bytes, side(width), side(height));
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer
            .write_image_data(self.pixels.as_flattened())
            .map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(bytes)
    }
}

/// Mean intensity of the voxels, as a grey level; black outside the image.
fn grey(slice: &Slice, x: &Range<usize>, y: &Range<usize>) -> Rgb {
    let (mut sum, mut n) = (0.0f64, 0.0f64);
    for y in y.clone() {
        let row = slice.image.index([0, y, slice.z]);
        for &value in &slice.image.data()[row..][x.clone()] {
            if value.is_finite() {
                sum += f64::from(value);
                n += 1.0;
            }
        }
    }
    if n == 0.0 {
        return [0; 3];
    }
    let [black, white] = slice.grey.map(f64::from);
    let share = match white > black {
        true => ((sum / n - black) / (white - black)).clamp(0.0, 1.0),
        false => 0.5,
    };
    [(share * 255.0).round() as u8; 3]
}

/// True for foreground with background, or the panel's end, within `thickness`.
fn on_edge(mask: &[bool], [w, h]: [usize; 2], [px, py]: [usize; 2], thickness: usize) -> bool {
    if !mask[px + w * py] {
        return false;
    }
    if px < thickness || py < thickness || px + thickness >= w || py + thickness >= h {
        return true;
    }
    let at = |x: usize, y: usize| mask[x + w * y];
    (1..=thickness).any(|t| !(at(px - t, py) && at(px + t, py) && at(px, py - t) && at(px, py + t)))
}

fn blend(under: Rgb, over: Rgb, opacity: f32) -> Rgb {
    let mix =
        |u: u8, o: u8| (f32::from(u) * (1.0 - opacity) + f32::from(o) * opacity).round() as u8;
    [0, 1, 2].map(|c| mix(under[c], over[c]))
}
