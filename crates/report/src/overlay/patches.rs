//! Training patches before and after they were changed.

use lacuna_volume::{Affine, IGNORED, LabelMap, Spacing, Volume};

use super::canvas::{Canvas, Slice, Window};
use super::choose::Pick;
use super::{GAP, Overlay, OverlayOptions, check, choose, grey_window, panel_size};
use crate::ReportError;

/// A patch: its channels, and the label around the same centre, which may be smaller by
/// the border of a network.
#[derive(Clone, Copy, Debug)]
pub struct PatchView<'a> {
    /// On one grid.
    pub images: &'a [Volume<f32>],
    /// Class of each voxel.
    pub labels: &'a LabelMap,
}

/// The same patch twice.
#[derive(Clone, Copy, Debug)]
pub struct PatchPair<'a> {
    /// As it was cut.
    pub before: PatchView<'a>,
    /// As it was changed.
    pub after: PatchView<'a>,
}

/// Draws each pair in a row: the channels before, a wider gap, the channels after. Each
/// patch shows its slice with the largest foreground (its middle one without any), the
/// label as an outline; both have the grey levels of the patch before. The patches of a
/// 2-D network lie flat, whatever their plane.
///
/// # Errors
/// When a label does not fit its image, there is nothing to draw, or the picture is too
/// large to encode.
pub fn patch_sheet(pairs: &[PatchPair<'_>], panel_pixels: usize) -> Result<Overlay, ReportError> {
    let shown: Vec<[Shown; 2]> = pairs
        .iter()
        .map(|pair| Ok([Shown::of(&pair.before)?, Shown::of(&pair.after)?]))
        .collect::<Result<_, ReportError>>()?;
    let channels = shown.first().map_or(0, |[before, _]| before.images.len());
    if channels == 0 {
        return Err(ReportError::Empty { shape: [0; 3] });
    }
    let options = OverlayOptions {
        panel_pixels,
        ..OverlayOptions::default()
    };
    let sizes = |pair: &[Shown; 2]| panel_size(&pair[0].images[0], &options);
    let [wide, high] = [0, 1].map(|axis| {
        let along = shown.iter().map(|pair| sizes(pair)[axis]);
        along.max().unwrap_or(1)
    });
    let between = 4 * GAP;
    let left = |side: usize, channel: usize| {
        (side * channels + channel) * (wide + GAP) + side * (between - GAP)
    };
    let width = left(1, channels - 1) + wide;
    let mut canvas = Canvas::new([width, shown.len() * (high + GAP) - GAP]);
    for (row, pair) in shown.iter().enumerate() {
        let panel = sizes(pair);
        for channel in 0..channels {
            let grey = grey_window(&pair[0].images[channel]);
            for (side, patch) in pair.iter().enumerate() {
                let Some(image) = patch.images.get(channel) else {
                    continue;
                };
                let slice = Slice {
                    image,
                    reference: Some(&patch.labels),
                    prediction: None,
                    z: patch.pick.z,
                    grey,
                    fill: options.fill,
                };
                let at = [left(side, channel), row * (high + GAP)];
                canvas.draw(&slice, &Window::whole(image), at, panel);
            }
        }
    }
    Ok(Overlay {
        caption: format!(
            "{} training patches, one below the other: left as cut, right as the network gets \
             them, {channels} channel(s) side by side. Blue outline: label.",
            pairs.len()
        ),
        size: canvas.size(),
        png: canvas.encode()?,
    })
}

/// A patch as it is drawn.
struct Shown {
    images: Vec<Volume<f32>>,
    labels: LabelMap,
    pick: Pick,
}

impl Shown {
    fn of(patch: &PatchView<'_>) -> Result<Self, ReportError> {
        let Some(first) = patch.images.first() else {
            return Err(ReportError::Empty { shape: [0; 3] });
        };
        let known = |label: &u8| if *label == IGNORED { 0 } else { *label };
        let labels = widened(&patch.labels.map(known), first)?;
        for image in patch.images {
            check(image, Some(&labels), None)?;
        }
        let labels = laid_flat(&labels);
        let images: Vec<_> = patch.images.iter().map(laid_flat).collect();
        let pick = choose(&images[0], Some(&labels), None, 1).remove(0);
        Ok(Self {
            images,
            labels,
            pick,
        })
    }
}

/// A label on the grid of the image around it; 0 on the border.
fn widened(labels: &LabelMap, image: &Volume<f32>) -> Result<LabelMap, ReportError> {
    let (inner, outer) = (labels.shape(), image.shape());
    if (0..3).any(|a| inner[a] > outer[a]) {
        return Err(ReportError::Shape {
            what: "reference",
            found: inner,
            expected: outer,
        });
    }
    let border = [0, 1, 2].map(|a| (outer[a] - inner[a]) / 2);
    let mut wide = image.map(|_| 0);
    for z in 0..inner[2] {
        for y in 0..inner[1] {
            let from = labels.index([0, y, z]);
            let to = wide.index([border[0], y + border[1], z + border[2]]);
            wide.data_mut()[to..][..inner[0]].copy_from_slice(&labels.data()[from..][..inner[0]]);
        }
    }
    Ok(wide)
}

/// A slice of another plane as an axial one: its axis of one voxel becomes the last.
fn laid_flat<T: Clone>(volume: &Volume<T>) -> Volume<T> {
    let shape = volume.shape();
    let across = shape.iter().position(|n| *n == 1).unwrap_or(2);
    let axes = match across {
        0 => [1, 2, 0],
        1 => [0, 2, 1],
        _ => [0, 1, 2],
    };
    // Leaving an axis of one voxel out changes no order in memory.
    let spacing = axes.map(|a| volume.spacing().0[a]);
    let affine = Affine::from_spacing(Spacing(spacing));
    Volume::new(axes.map(|a| shape[a]), affine, volume.data().to_vec())
        .expect("as many voxels, positive spacing")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, pixel};
    use super::*;
    use crate::colour;

    fn volume<T>(shape: [usize; 3], value: impl Fn([usize; 3]) -> T) -> Volume<T> {
        let [nx, ny, nz] = shape;
        let at = |i: usize| [i % nx, i / nx % ny, i / (nx * ny)];
        let data = (0..nx * ny * nz).map(|i| value(at(i))).collect();
        Volume::new(shape, Affine::identity(), data).unwrap()
    }

    /// Patches of 8 x 6 x 4 with labels smaller by 2 on each side along x and y: panels
    /// of 80 x 60 pixels, 10 for each voxel.
    #[test]
    fn channels_and_pairs_have_their_places() {
        let dark = volume([8, 6, 4], |[x, _, _]| 1.0 + (x % 2) as f32);
        let bright = dark.map(|v| v + 10.0);
        let labels = |at: [usize; 3]| volume([4, 2, 4], move |found| u8::from(found == at));
        // At x = 2 + 1 of 8, y = 2 + 0 of 6: high x is left, high y is up.
        let (before, after) = (labels([1, 0, 3]), labels([3, 1, 1]));
        let images = [dark.clone(), dark.clone()];
        let changed = [bright, dark];
        let pair = PatchPair {
            before: PatchView {
                images: &images,
                labels: &before,
            },
            after: PatchView {
                images: &changed,
                labels: &after,
            },
        };
        let sheet = patch_sheet(&[pair, pair], 80).unwrap();
        let wide = 4 * 80 + 2 * GAP + 4 * GAP;
        assert_eq!(sheet.size, [wide, 2 * 60 + GAP]);
        let picture = decode(&sheet);
        let edge = |voxel: [usize; 2], panel: usize, row: usize| {
            let left = panel * (80 + GAP) + if panel > 1 { 3 * GAP } else { 0 };
            let x = left + (7 - voxel[0]) * 10;
            pixel(&picture, x, row * (60 + GAP) + (5 - voxel[1]) * 10)
        };
        for row in 0..2 {
            for panel in 0..4 {
                let found =
                    [[3, 2], [5, 3]].map(|voxel| edge(voxel, panel, row) == colour::REFERENCE);
                assert_eq!(found, [panel < 2, panel > 1], "{panel}");
            }
            // What became brighter than the patch before is white.
            assert_eq!(edge([0, 0], 2, row), [255; 3]);
            assert_ne!(edge([0, 0], 3, row), [255; 3]);
        }
        assert!(
            sheet.caption.starts_with("2 training patches"),
            "{}",
            sheet.caption
        );
    }

    #[test]
    fn slices_of_any_plane_lie_flat() {
        let coronal = volume([4, 1, 3], |[x, _, z]| x + 10 * z);
        let flat = laid_flat(&coronal);
        assert_eq!(flat.shape(), [4, 3, 1]);
        assert_eq!(flat.data()[flat.index([2, 1, 0])], 12);
        let sagittal = volume([1, 4, 3], |[_, y, z]| y + 10 * z);
        let flat = laid_flat(&sagittal);
        assert_eq!(flat.data()[flat.index([3, 2, 0])], 23);
        assert_eq!(laid_flat(&flat), flat);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let images = [volume([3, 3, 1], |_| 1.0)];
        let labels = volume([4, 3, 1], |_| 1);
        let view = PatchView {
            images: &images,
            labels: &labels,
        };
        let pair = PatchPair {
            before: view,
            after: view,
        };
        let error = patch_sheet(&[pair], 80).unwrap_err().to_string();
        assert!(error.contains("[4, 3, 1]"), "{error}");
        assert!(patch_sheet(&[], 80).is_err());
    }
}
