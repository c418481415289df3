//! One structure in reference and prediction, cropped to where it is.

use std::borrow::Cow;

use crate::MetricsError;
use lacuna_volume::{Affine, Grid, IGNORED, LabelMap, Volume};

/// The masks of one structure, cropped to the box around their union plus one
/// voxel where the image has one. A mask voxel thus lies on a face of the box
/// only where it lies on that face of the image: surfaces, distances between
/// them and components in the box are those in the whole image.
#[derive(Clone, Debug)]
pub struct MaskPair {
    reference: Volume<bool>,
    prediction: Volume<bool>,
    start: [usize; 3],
    image_shape: [usize; 3],
    affine: Affine,
}

impl MaskPair {
    /// The voxels whose label `is_inside`, with the affine of the reference.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn of_labels(
        reference: &LabelMap,
        prediction: &LabelMap,
        is_inside: impl Fn(u8) -> bool,
    ) -> Result<Self, MetricsError> {
        if reference.shape() != prediction.shape() {
            return Err(MetricsError::Shape {
                reference: reference.shape(),
                prediction: prediction.shape(),
            });
        }
        let (start, shape) = box_around(reference, prediction, &is_inside);
        let crop = |image: &LabelMap| {
            let mut data = Vec::with_capacity(shape.iter().product());
            for z in start[2]..start[2] + shape[2] {
                for y in start[1]..start[1] + shape[1] {
                    let first = image.index([start[0], y, z]);
                    let row = &image.data()[first..first + shape[0]];
                    data.extend(row.iter().map(|&label| is_inside(label)));
                }
            }
            // The affine stays that of the image: places go through `start`.
            Volume::new(shape, *reference.affine(), data)
                .expect("the data fill the shape and the affine is that of a volume")
        };
        Ok(Self {
            reference: crop(reference),
            prediction: crop(prediction),
            start,
            image_shape: reference.shape(),
            affine: *reference.affine(),
        })
    }

    /// The reference mask in the box.
    pub fn reference(&self) -> &Volume<bool> {
        &self.reference
    }

    /// The predicted mask in the box.
    pub fn prediction(&self) -> &Volume<bool> {
        &self.prediction
    }

    /// First voxel of the box in the image, x, y, z.
    pub fn start(&self) -> [usize; 3] {
        self.start
    }

    /// Voxel index of the image to world mm (RAS+), that of the reference.
    pub fn image_affine(&self) -> &Affine {
        &self.affine
    }

    /// Volume of a voxel in mm³.
    pub fn voxel_mm3(&self) -> f64 {
        self.affine.voxel_mm3()
    }

    /// Length of the whole image's diagonal in mm, from outer corner to outer
    /// corner: no two voxels are farther apart.
    pub fn image_diagonal_mm(&self) -> f64 {
        if self.affine.is_sheared() {
            let image = Grid {
                shape: self.image_shape,
                affine: self.affine,
            };
            let corners = image.corners();
            // Corner `c` is opposite to corner `7 - c`.
            let diagonals = (0..4).map(|c| {
                let (a, b) = (corners[c], corners[7 - c]);
                (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt()
            });
            return diagonals.fold(0.0, f64::max);
        }
        let edges = self.image_shape.iter().zip(self.affine.spacing().0);
        edges
            .map(|(&n, step)| (n as f64 * step).powi(2))
            .sum::<f64>()
            .sqrt()
    }
}

/// A prediction that is background where the reference is [`IGNORED`], so that nothing of it is
/// scored there.
pub fn without_ignored<'a>(reference: &LabelMap, prediction: &'a LabelMap) -> Cow<'a, LabelMap> {
    if !reference.data().contains(&IGNORED) || reference.shape() != prediction.shape() {
        return Cow::Borrowed(prediction);
    }
    let mut known = prediction.clone();
    for (label, of_reference) in known.data_mut().iter_mut().zip(reference.data()) {
        if *of_reference == IGNORED {
            *label = 0;
        }
    }
    Cow::Owned(known)
}

/// Start and shape of the box around both masks plus one voxel, inside the
/// image; shape 0 when both are empty.
fn box_around(
    reference: &LabelMap,
    prediction: &LabelMap,
    is_inside: &impl Fn(u8) -> bool,
) -> ([usize; 3], [usize; 3]) {
    let [nx, ny, nz] = reference.shape();
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    let mut row = 0;
    for z in 0..nz {
        for y in 0..ny {
            let labels = |image: &LabelMap| row..row + image.shape()[0];
            let r = &reference.data()[labels(reference)];
            let p = &prediction.data()[labels(prediction)];
            row += nx;
            let inside = |x: &usize| is_inside(r[*x]) || is_inside(p[*x]);
            let Some(first) = (0..nx).find(inside) else {
                continue;
            };
            let last = (0..nx).rev().find(inside).unwrap_or(first);
            for (axis, (a, b)) in [(first, last), (y, y), (z, z)].into_iter().enumerate() {
                low[axis] = low[axis].min(a);
                high[axis] = high[axis].max(b);
            }
        }
    }
    if low[0] == usize::MAX {
        return ([0; 3], [0; 3]);
    }
    let start = low.map(|l| l.saturating_sub(1));
    let shape = [0, 1, 2].map(|a| (high[a] + 2).min(reference.shape()[a]) - start[a]);
    (start, shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::Spacing;

    fn labels(shape: [usize; 3], at: &[([usize; 3], u8)]) -> LabelMap {
        let affine = Affine::from_spacing(Spacing([1.0, 2.0, 3.0]));
        let mut labels = Volume::filled(shape, affine, 0).unwrap();
        for &(voxel, label) in at {
            let here = labels.index(voxel);
            labels.data_mut()[here] = label;
        }
        labels
    }

    #[test]
    fn the_box_has_a_margin_of_one_voxel_inside_the_image() {
        let r = labels([9, 9, 9], &[([0, 4, 2], 1), ([7, 7, 7], 2)]);
        let p = labels([9, 9, 9], &[([3, 8, 2], 1)]);
        let pair = MaskPair::of_labels(&r, &p, |l| l == 1).unwrap();
        // x 0..=3 -> 0..=4, y 4..=8 -> 3..=8, z 2 -> 1..=3.
        assert_eq!(pair.reference().shape(), [5, 6, 3]);
        let at = |m: &Volume<bool>| m.data().iter().position(|&v| v);
        assert_eq!(
            at(pair.reference()),
            Some(pair.reference().index([0, 1, 1]))
        );
        assert_eq!(
            at(pair.prediction()),
            Some(pair.reference().index([3, 5, 1]))
        );
        assert_eq!(pair.image_diagonal_mm(), (81.0f64 + 324.0 + 729.0).sqrt());
    }

    #[test]
    fn nothing_makes_an_empty_box_and_shapes_must_agree() {
        let none = labels([4, 4, 4], &[]);
        let pair = MaskPair::of_labels(&none, &none, |l| l == 1).unwrap();
        assert!(pair.reference().is_empty());
        let other = labels([4, 4, 5], &[]);
        let error = MaskPair::of_labels(&none, &other, |l| l == 1).unwrap_err();
        assert!(error.to_string().contains("[4, 4, 5]"), "{error}");
    }
}
