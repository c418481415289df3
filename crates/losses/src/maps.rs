//! Maps of the reference: distances to the boundary of each class and the
//! numbers of the lesions.
//!
//! They depend on the reference alone, so a training makes them once per
//! subject, from the whole volume: a lesion that a patch cuts has the boundary
//! that it has in the subject, and its number in every patch. Where an
//! [`Input`](crate::Input) has no maps, they are made from its patches.

use crate::PatchGrid;
use lacuna_volume::{
    Affine, Connectivity, LabelMap, Spacing, Volume, euclidean_distance_mm, is_foreground,
    label_components,
};
use rayon::prelude::*;

/// Signed distance in mm of every voxel to the nearest voxel of the other side:
/// positive outside the mask, negative inside. A mask that is empty or full has
/// no boundary; its distances are the diagonal of the volume, with that sign.
///
/// Kervadec et al. (MIDL 2019) use this level set, in voxels and with the inside
/// shifted by one; here both sides are measured alike.
pub fn signed_distance(mask: &Volume<bool>) -> Volume<f32> {
    let far = diagonal(mask.shape(), mask.spacing().0) as f32;
    let outside = euclidean_distance_mm(mask);
    let inside = euclidean_distance_mm(&mask.map(|&m| !m));
    let mut signed = mask.map(|_| 0.0_f32);
    let pairs = outside.data().iter().zip(inside.data());
    for (signed, (&outside, &inside)) in signed.data_mut().iter_mut().zip(pairs) {
        *signed = match (outside.is_finite(), inside.is_finite()) {
            (true, true) => (outside - inside) as f32,
            (false, _) => far,
            (_, false) => -far,
        };
    }
    signed
}

/// [`signed_distance`] of each class of a label map, background first.
pub fn signed_distances(labels: &LabelMap, classes: usize) -> Vec<Volume<f32>> {
    (0..classes)
        .into_par_iter()
        .map(|class| signed_distance(&labels.map(|&label| usize::from(label) == class)))
        .collect()
}

/// Numbers of the lesions, the connected components (26 neighbours) of all that
/// is neither background nor ignored, from 1; 0 is these.
pub fn lesions(labels: &LabelMap) -> Volume<u32> {
    let foreground = labels.map(|&label| is_foreground(label));
    label_components(&foreground, Connectivity::TwentySix).labels
}

/// Length of the diagonal, in mm.
pub(crate) fn diagonal(shape: [usize; 3], spacing: [f64; 3]) -> f64 {
    let edges = shape.iter().zip(spacing).map(|(&n, mm)| n as f64 * mm);
    edges.map(|edge| edge * edge).sum::<f64>().sqrt()
}

impl PatchGrid {
    /// A volume of this grid; the data are in the order of memory, as a patch's.
    pub(crate) fn volume<T>(&self, data: Vec<T>) -> Volume<T> {
        let affine = Affine::from_spacing(Spacing(self.spacing.to_xyz()));
        Volume::new(self.shape.to_xyz(), affine, data).expect("the grid has been checked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::Zyx;

    /// A patch of 2 x 3 x 4 along z, y and x, the voxels 5, 3 and 1 mm apart: its
    /// last voxel is 5 + 6 + 3 mm off the first, axis by axis.
    #[test]
    fn a_grid_measures_each_axis_with_its_own_spacing() {
        let grid = PatchGrid {
            shape: Zyx([2, 3, 4]),
            spacing: Zyx([5.0, 3.0, 1.0]),
        };
        let mut mask = vec![false; 24];
        mask[0] = true;
        let distance = signed_distance(&grid.volume(mask));
        let at = |z: usize, y: usize, x: usize| distance.data()[(z * 3 + y) * 4 + x];
        assert_eq!([at(1, 0, 0), at(0, 2, 0), at(0, 0, 3)], [5.0, 6.0, 3.0]);
        // sqrt(25 + 36 + 9)
        assert!((at(1, 2, 3) - 70.0_f32.sqrt()).abs() < 1e-6);
    }

    /// Three voxels of a row, 2 mm apart, the middle one inside.
    #[test]
    fn distances_are_signed_and_in_mm() {
        let affine = Affine::from_spacing(Spacing([2.0, 1.0, 3.0]));
        let labels = Volume::new([4, 1, 1], affine, vec![0_u8, 1, 1, 0]).unwrap();
        let [background, lesion] = &signed_distances(&labels, 2)[..] else {
            panic!("two classes");
        };
        assert_eq!(lesion.data(), [2.0, -2.0, -2.0, 2.0]);
        assert_eq!(background.data(), [-2.0, 2.0, 2.0, -2.0]);
        let empty = signed_distance(&labels.map(|_| false));
        // sqrt(8^2 + 1 + 9)
        assert!(
            empty
                .data()
                .iter()
                .all(|d| (d - 74.0_f32.sqrt()).abs() < 1e-6)
        );
        let full = signed_distance(&labels.map(|_| true));
        assert!(full.data().iter().all(|d| *d == -empty.data()[0]));
        assert_eq!(lesions(&labels).data(), [0, 1, 1, 0]);
    }
}
