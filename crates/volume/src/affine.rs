//! The affine map from voxel index to world coordinates.
//!
//! Source: NIfTI-1 standard, "Orientation and location in space": world axes
//! are +x right, +y anterior, +z superior (RAS+), in millimetres.

use std::fmt;

/// Axes whose cosine is larger than this share are not perpendicular. Headers
/// round angles by less, and distances of axes below it are wrong by half of it
/// at most.
const SHEAR_COSINE: f64 = 1e-3;

/// Voxel edge lengths in millimetres, one per voxel axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spacing(pub [f64; 3]);

impl fmt::Display for Spacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.0;
        write!(f, "{x:.3}x{y:.3}x{z:.3} mm")
    }
}

/// A 3x4 affine: row `r` gives world coordinate `r` (mm, RAS+) of a voxel
/// index `(i, j, k)` as `m[r][0] i + m[r][1] j + m[r][2] k + m[r][3]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine(pub [[f64; 4]; 3]);

impl Affine {
    /// Unit spacing, origin at voxel 0, axes R A S.
    pub fn identity() -> Self {
        Self::from_spacing(Spacing([1.0; 3]))
    }

    /// Axis-aligned with the given spacing and the origin at voxel 0.
    pub fn from_spacing(spacing: Spacing) -> Self {
        let mut m = [[0.0; 4]; 3];
        for (axis, row) in m.iter_mut().enumerate() {
            row[axis] = spacing.0[axis];
        }
        Self(m)
    }

    /// World position (mm) of a voxel index, which may be fractional.
    pub fn apply(&self, index: [f64; 3]) -> [f64; 3] {
        self.0
            .map(|r| r[0] * index[0] + r[1] * index[1] + r[2] * index[2] + r[3])
    }

    /// Length (mm) of each voxel axis: the column norms.
    pub fn spacing(&self) -> Spacing {
        Spacing([0, 1, 2].map(|c| self.0.iter().map(|row| row[c] * row[c]).sum::<f64>().sqrt()))
    }

    /// The largest angle (degrees) by which two voxel axes miss being
    /// perpendicular, as by the tilted gantry of a CT.
    pub fn shear_degrees(&self) -> f64 {
        self.largest_cosine().min(1.0).asin().to_degrees()
    }

    /// Whether the voxel axes are not perpendicular, so that volumes and
    /// distances do not follow from the spacing.
    pub fn is_sheared(&self) -> bool {
        self.largest_cosine() > SHEAR_COSINE
    }

    fn largest_cosine(&self) -> f64 {
        let edges = self.spacing().0;
        [(0, 1), (0, 2), (1, 2)]
            .map(|(a, b)| {
                let dot: f64 = self.0.iter().map(|row| row[a] * row[b]).sum();
                (dot / (edges[a] * edges[b])).abs()
            })
            .into_iter()
            .fold(0.0, f64::max)
    }

    /// Volume (mm³) of one voxel.
    pub fn voxel_mm3(&self) -> f64 {
        if self.is_sheared() {
            return self.determinant().abs();
        }
        self.spacing().0.iter().product()
    }

    /// Determinant of the 3x3 part; negative when the voxel axes are left-handed.
    pub fn determinant(&self) -> f64 {
        let m = &self.0;
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    }

    /// The map from world (mm) back to voxel index; `None` when singular or not finite.
    pub fn inverse(&self) -> Option<Self> {
        let m = &self.0;
        let det = self.determinant();
        if !det.is_finite() || det == 0.0 {
            return None;
        }
        let mut inv = [[0.0; 4]; 3];
        for (r, row) in inv.iter_mut().enumerate() {
            for (c, value) in row[..3].iter_mut().enumerate() {
                // Cyclic cofactor of element (c, r): the sign is built in.
                let (a, b) = ((c + 1) % 3, (c + 2) % 3);
                let (p, q) = ((r + 1) % 3, (r + 2) % 3);
                *value = (m[a][p] * m[b][q] - m[a][q] * m[b][p]) / det;
            }
        }
        for row in inv.iter_mut() {
            row[3] = -(row[0] * m[0][3] + row[1] * m[1][3] + row[2] * m[2][3]);
        }
        let inverse = Self(inv);
        inverse.is_finite().then_some(inverse)
    }

    /// Whether it places voxels: it can be inverted, and its voxels have lengths and a volume
    /// that are finite numbers above zero, which the squares of 1e300 or 1e-200 are not.
    pub fn places_voxels(&self) -> bool {
        let length = |mm: f64| mm.is_finite() && mm > 0.0;
        self.inverse().is_some()
            && self.spacing().0.into_iter().all(length)
            && length(self.voxel_mm3())
    }

    /// The map that applies `first`, then `self`.
    pub fn after(&self, first: &Self) -> Self {
        let mut out = [[0.0; 4]; 3];
        for (o, row) in out.iter_mut().zip(&self.0) {
            for (c, value) in o.iter_mut().enumerate() {
                *value = (0..3).map(|k| row[k] * first.0[k][c]).sum::<f64>();
            }
            o[3] += row[3];
        }
        Self(out)
    }

    /// True when no element is NaN or infinite.
    pub fn is_finite(&self) -> bool {
        self.0.iter().flatten().all(|v| v.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_undoes_an_oblique_affine() {
        let a = Affine([
            [0.9, -0.2, 0.1, -90.0],
            [0.3, 1.1, -0.4, 126.0],
            [-0.1, 0.2, 2.9, -72.0],
        ]);
        let identity = a.after(&a.inverse().unwrap());
        for (r, row) in identity.0.iter().enumerate() {
            for (c, v) in row.iter().enumerate() {
                let expected = if r == c { 1.0 } else { 0.0 };
                assert!((v - expected).abs() < 1e-12, "{r},{c}: {v}");
            }
        }
    }

    #[test]
    fn spacing_is_the_column_norm() {
        let a = Affine([
            [0.0, -3.0, 0.0, 1.0],
            [4.0, 0.0, 0.0, 2.0],
            [3.0, 0.0, 2.0, 3.0],
        ]);
        assert_eq!(a.spacing(), Spacing([5.0, 3.0, 2.0]));
        assert_eq!(a.apply([1.0, 1.0, 1.0]), [-2.0, 6.0, 8.0]);
    }

    #[test]
    fn a_sheared_voxel_is_smaller_than_its_edges_say() {
        // Slices tilted by 20 degrees: the parallelepiped has the base .45 x 5 mm
        // and the height .45 cos 20 mm.
        let (sin, cos) = 20f64.to_radians().sin_cos();
        let tilted = Affine([
            [-0.45, 0.0, 0.0, 9.0],
            [0.0, 0.45 * cos, 0.0, -10.0],
            [0.0, 0.45 * sin, 5.0, -25.0],
        ]);
        assert!(tilted.is_sheared());
        assert!((tilted.shear_degrees() - 20.0).abs() < 1e-9);
        assert!((tilted.voxel_mm3() - 0.45 * 0.45 * 5.0 * cos).abs() < 1e-12);
        // A turn is no shear.
        let turned = Affine([
            [0.0, -2.0 * sin, 3.0 * cos, 0.0],
            [1.0, 0.0, 0.0, 0.0],
            [0.0, 2.0 * cos, 3.0 * sin, 0.0],
        ]);
        assert!(!turned.is_sheared());
        assert!((turned.voxel_mm3() - 6.0).abs() < 1e-12);
    }

    #[test]
    fn singular_has_no_inverse() {
        assert!(Affine([[0.0; 4]; 3]).inverse().is_none());
    }
}
