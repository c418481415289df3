//! Maps of the reference: distances to the boundary of each class and the
//! numbers of the lesions.
//!
//! They depend on the reference alone, so a training makes them once per
//! subject, from the whole volume: a lesion that a patch cuts has the boundary
//! that it has in the subject, and its number in every patch. Where an
//! [`Input`](crate::Input) has no maps, they are made from its patches.

use crate::PatchGrid;
use lacuna_volume::{
    Affine, Connectivity, LabelMap, Spacing, Volume, euclidean_distance_mm, label_components,
};
use rayon::prelude::*;

/// Signed distance in mm of every voxel to the nearest voxel of the other side:
/// positive outside the mask, negative inside. A mask that is empty or full has
/// no boundary; its distances are the diagonal of the volume, with that sign.
///
/// Kervadec et al. (MIDL 2019) use this level set, in voxels and with the inside
/// shifted by one; here both sides are measured alike.
pub fn signed_distance(mask: &Volume<bool>) -> Volume<f32> {
    let spacing = mask.spacing();
    let far = diagonal(mask.shape(), spacing.0) as f32;
    let outside = euclidean_distance_mm(mask, spacing);
    let inside = euclidean_distance_mm(&mask.map(|&m| !m), spacing);
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
/// is not background, from 1; 0 is background.
pub fn lesions(labels: &LabelMap) -> Volume<u32> {
    label_components(&labels.map(|&label| label > 0), Connectivity::TwentySix).labels
}

/// Length of the diagonal, in mm.
pub(crate) fn diagonal(shape: [usize; 3], spacing: [f64; 3]) -> f64 {
    let edges = shape.iter().zip(spacing).map(|(&n, mm)| n as f64 * mm);
    edges.map(|edge| edge * edge).sum::<f64>().sqrt()
}

impl PatchGrid {
    /// A volume of this grid; the data have the slowest axis first, as a patch has.
    pub(crate) fn volume<T>(&self, data: Vec<T>) -> Volume<T> {
        let [slow, middle, fast] = self.shape;
        let [dz, dy, dx] = self.spacing;
        let affine = Affine::from_spacing(Spacing([dx, dy, dz]));
        Volume::new([fast, middle, slow], affine, data).expect("the grid has been checked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
