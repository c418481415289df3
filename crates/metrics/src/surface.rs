//! Distances between the surfaces of a reference and a predicted mask.
//!
//! The surfaces and the distances in both directions are computed once; HD95
//! and NSD follow from that record:
//! - HD95 = the larger of the two directed 95th percentiles, each with linear
//!   interpolation, in mm (as the WMH challenge and MONAI).
//! - NSD at tolerance t = share of all surface voxels of both masks that are
//!   within t mm of the other surface (Nikolov et al. 2018; Metrics Reloaded).
//!
//! Distances are between voxel centres. Tools differ by more than 100 mm on
//! the same masks (Podobnik and Vrtovec, arXiv 2410.02630), hence the named
//! [`SurfaceConvention`].

use crate::{MaskPair, quantile};
use lacuna_volume::{Points, Volume, euclidean_distance_mm};

/// Header geometry is single precision: a distance that exceeds the tolerance
/// by this share is the same distance.
const TOLERANCE_SLACK: f64 = 1e-5;

/// Which voxels of a mask form its surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SurfaceConvention {
    /// Mask voxels with a face neighbour outside the mask; beyond the image is
    /// outside the mask. An axis of length 1 has no neighbours, so that the
    /// surface of a 2-D image is its outline.
    #[default]
    VoxelSurface3d,
    /// WMH challenge: mask voxels with one of the eight in-plane neighbours
    /// outside the mask; beyond the image counts as inside. The plane is that
    /// of the first two voxel axes.
    WmhInPlane,
}

impl SurfaceConvention {
    /// The name written into results.
    pub fn name(self) -> &'static str {
        match self {
            Self::VoxelSurface3d => "voxel-surface-3d",
            Self::WmhInPlane => "wmh-in-plane",
        }
    }
}

/// Distances in mm from each surface voxel of one mask to the surface of the other.
#[derive(Clone, Debug)]
pub struct SurfaceDistances {
    /// Ascending. Infinite when the prediction has no surface.
    from_reference: Vec<f64>,
    /// Ascending. Infinite when the reference has no surface.
    from_prediction: Vec<f64>,
    /// The masks are the same, perhaps both empty.
    identical: bool,
    image_diagonal_mm: f64,
}

impl SurfaceDistances {
    /// Finds both surfaces and measures between them.
    pub fn measure(pair: &MaskPair, convention: SurfaceConvention) -> Self {
        let reference = surface(pair.reference(), convention);
        let prediction = surface(pair.prediction(), convention);
        let directed = |from: &Volume<bool>, to: &Volume<bool>| {
            let distance = euclidean_distance_mm(to);
            let on_surface = from.data().iter().zip(distance.data());
            let mut found: Vec<f64> = on_surface.filter(|(f, _)| **f).map(|(_, d)| *d).collect();
            found.sort_unstable_by(f64::total_cmp);
            found
        };
        Self {
            from_reference: directed(&reference, &prediction),
            from_prediction: directed(&prediction, &reference),
            identical: pair.reference().data() == pair.prediction().data(),
            image_diagonal_mm: pair.image_diagonal_mm(),
        }
    }

    /// The same of the places (mm) of the surface voxels of both, which are not empty. `nearest`
    /// holds those of the prediction.
    pub(crate) fn between(
        reference: &[[f64; 3]],
        prediction: &[[f64; 3]],
        nearest: &Points,
    ) -> Self {
        let sorted = |from: &[[f64; 3]], to: &Points| {
            let mut distances: Vec<f64> = from.iter().map(|at| to.distance(*at)).collect();
            distances.sort_unstable_by(f64::total_cmp);
            distances
        };
        Self {
            from_reference: sorted(reference, nearest),
            from_prediction: sorted(prediction, &Points::new(reference.to_vec())),
            identical: false,
            image_diagonal_mm: f64::INFINITY,
        }
    }

    /// 95 % Hausdorff distance in mm. Where there is no distance because a mask
    /// is empty: 0 if both are, the image diagonal if one is.
    ///
    /// In-plane surfaces can be absent from a mask that fills its planes; then
    /// too, identical masks give 0 and others the diagonal.
    pub fn hd95_mm(&self) -> f64 {
        if self.identical {
            return 0.0;
        }
        if self.from_reference.is_empty() || self.from_prediction.is_empty() {
            return self.image_diagonal_mm;
        }
        f64::max(
            quantile(&self.from_reference, 0.95),
            quantile(&self.from_prediction, 0.95),
        )
    }

    /// Normalised surface distance (surface Dice) at a tolerance in mm, 0 to 1.
    /// Both masks empty gives 1, exactly one empty 0.
    pub fn nsd(&self, tolerance_mm: f64) -> f64 {
        if self.identical {
            return 1.0;
        }
        let total = self.from_reference.len() + self.from_prediction.len();
        if total == 0 {
            return 0.0;
        }
        let limit = tolerance_mm * (1.0 + TOLERANCE_SLACK);
        let within = |distances: &[f64]| distances.partition_point(|&d| d <= limit);
        (within(&self.from_reference) + within(&self.from_prediction)) as f64 / total as f64
    }
}

/// The surface voxels of a mask that is a whole image or has a margin as in [`MaskPair`].
pub(crate) fn surface(mask: &Volume<bool>, convention: SurfaceConvention) -> Volume<bool> {
    let shape = mask.shape();
    let inside = mask.data();
    let stride = [1, shape[0], shape[0] * shape[1]];
    // The next voxel along an axis, where the image has one.
    let next = |voxel: [usize; 3], at: usize, axis: usize, up: bool| -> Option<usize> {
        match up {
            true => (voxel[axis] + 1 < shape[axis]).then(|| at + stride[axis]),
            false => (voxel[axis] > 0).then(|| at - stride[axis]),
        }
    };
    let is_surface = |voxel: [usize; 3], at: usize| match convention {
        SurfaceConvention::VoxelSurface3d => (0..3).filter(|&axis| shape[axis] > 1).any(|axis| {
            [false, true]
                .into_iter()
                .any(|up| next(voxel, at, axis, up).is_none_or(|n| !inside[n]))
        }),
        SurfaceConvention::WmhInPlane => {
            let along_x = |at| {
                [
                    next(voxel, at, 0, false),
                    Some(at),
                    next(voxel, at, 0, true),
                ]
            };
            [
                next(voxel, at, 1, false),
                Some(at),
                next(voxel, at, 1, true),
            ]
            .into_iter()
            .flatten()
            .flat_map(along_x)
            .flatten()
            .any(|n| !inside[n])
        }
    };
    let mut surface = mask.map(|_| false);
    let mut at = 0;
    for z in 0..shape[2] {
        for y in 0..shape[1] {
            for x in 0..shape[0] {
                surface.data_mut()[at] = inside[at] && is_surface([x, y, z], at);
                at += 1;
            }
        }
    }
    surface
}

#[cfg(test)]
mod tests {
    use super::*;
    use SurfaceConvention::{VoxelSurface3d, WmhInPlane};
    use lacuna_volume::{Affine, Spacing};

    fn image(shape: [usize; 3], inside: impl Fn([usize; 3]) -> bool) -> Volume<u8> {
        let affine = Affine::from_spacing(Spacing([1.0, 1.0, 3.0]));
        let [nx, ny, nz] = shape;
        let data = (0..nx * ny * nz)
            .map(|i| u8::from(inside([i % nx, i / nx % ny, i / nx / ny])))
            .collect();
        Volume::new(shape, affine, data).unwrap()
    }

    fn surface_voxels(image: &Volume<u8>, convention: SurfaceConvention) -> usize {
        let found = surface(&image.map(|&v| v > 0), convention);
        found.data().iter().filter(|&&v| v).count()
    }

    fn distances(r: &Volume<u8>, p: &Volume<u8>, c: SurfaceConvention) -> SurfaceDistances {
        SurfaceDistances::measure(&MaskPair::of_labels(r, p, |l| l > 0).unwrap(), c)
    }

    #[test]
    fn surfaces_of_a_cube() {
        let cube = image([9; 3], |v| v.iter().all(|&i| (2..7).contains(&i)));
        assert_eq!(surface_voxels(&cube, VoxelSurface3d), 125 - 27);
        assert_eq!(surface_voxels(&cube, WmhInPlane), 5 * (25 - 9));
    }

    #[test]
    fn in_plane_a_missing_corner_makes_a_surface() {
        // The centre of a 3x3 square without one corner.
        let square = image([5, 5, 2], |[x, y, z]| {
            z == 0 && (1..4).contains(&x) && (1..4).contains(&y) && (x, y) != (1, 1)
        });
        assert_eq!(surface_voxels(&square, WmhInPlane), 8);
        assert_eq!(surface_voxels(&square, VoxelSurface3d), 8);
        let plane = image([5, 5, 1], |[x, y, _]| {
            (1..4).contains(&x) && (1..4).contains(&y) && (x, y) != (1, 1)
        });
        // With faces only, the centre is inside: the surface is an outline in 2-D.
        assert_eq!(surface_voxels(&plane, VoxelSurface3d), 7);
    }

    #[test]
    fn the_edge_of_the_image_is_a_surface_in_3d_only() {
        let all = image([4, 4, 4], |_| true);
        assert_eq!(surface_voxels(&all, VoxelSurface3d), 64 - 8);
        assert_eq!(surface_voxels(&all, WmhInPlane), 0);
    }

    #[test]
    fn two_planes_by_hand() {
        let r = image([5, 5, 9], |[_, _, z]| z == 1);
        let p = image([5, 5, 9], |[_, _, z]| z == 4);
        let d = distances(&r, &p, VoxelSurface3d);
        assert_eq!(d.hd95_mm(), 9.0);
        assert_eq!((d.nsd(8.9), d.nsd(9.0)), (0.0, 1.0));
        // Spacing from a single-precision header.
        assert_eq!(d.nsd(9.0 - 1e-6), 1.0);
    }

    #[test]
    fn distances_of_sheared_voxels_go_through_the_affine() {
        // A gantry tilt of 20 degrees. 20 voxels along y and 2 along z are
        // (0, 9 cos 20, 9 sin 20 + 10) mm: 15.574 mm, and not hypot(9, 10).
        let (sin, cos) = 20f64.to_radians().sin_cos();
        let tilted = Affine([
            [-0.45, 0.0, 0.0, 9.0],
            [0.0, 0.45 * cos, 0.0, -10.0],
            [0.0, 0.45 * sin, 5.0, -25.0],
        ]);
        let one = |voxel| {
            let mut image = Volume::filled([30, 40, 10], tilted, 0u8).unwrap();
            let at = image.index(voxel);
            image.data_mut()[at] = 1;
            image
        };
        let (r, p) = (one([20, 10, 3]), one([20, 30, 5]));
        let d = distances(&r, &p, VoxelSurface3d);
        assert!((d.hd95_mm() - 15.574_5).abs() < 1e-3, "{}", d.hd95_mm());
        assert_eq!((d.nsd(15.57), d.nsd(15.58)), (0.0, 1.0));
        let pair = MaskPair::of_labels(&r, &p, |l| l > 0).unwrap();
        // 100 voxels are 95.14 mm3.
        assert!((100.0 * pair.voxel_mm3() - 95.144).abs() < 1e-3);
    }

    #[test]
    fn empty_cases() {
        let none = image([3, 4, 4], |_| false);
        let one = image([3, 4, 4], |v| v == [1, 1, 1]);
        for convention in [VoxelSurface3d, WmhInPlane] {
            let both = distances(&none, &none, convention);
            assert_eq!((both.hd95_mm(), both.nsd(1.0)), (0.0, 1.0));
            for (r, p) in [(&none, &one), (&one, &none)] {
                let d = distances(r, p, convention);
                // Extent 3 x 4 x 12 mm.
                assert_eq!((d.hd95_mm(), d.nsd(1e9)), (13.0, 0.0));
            }
        }
    }

    #[test]
    fn masks_without_in_plane_surface_agree_only_if_identical() {
        let r = image([3, 4, 4], |[_, _, z]| z == 0);
        let p = image([3, 4, 4], |[_, _, z]| z == 2);
        let same = distances(&r, &r, WmhInPlane);
        assert_eq!((same.hd95_mm(), same.nsd(0.0)), (0.0, 1.0));
        let other = distances(&r, &p, WmhInPlane);
        assert_eq!((other.hd95_mm(), other.nsd(9.0)), (13.0, 0.0));
    }
}
