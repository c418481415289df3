//! From the geometry fields of a header to the affine.
//!
//! Source: NIfTI-1 standard, "Orientation and location in space", methods 1
//! to 3. As in nibabel the sform is preferred, then the qform; a header with
//! neither gives only voxel sizes, and as in nibabel the volume is then centred
//! on the origin with x running to the left (the radiological convention).
//! Unlike nibabel, micrometres and metres (`xyzt_units`) become millimetres.

use lacuna_volume::Affine;

use super::layout::{Placement, Version};

/// What makes a placement unusable: form, value found, value expected.
pub(crate) type Unusable = (&'static str, String, &'static str);

impl Placement {
    /// Voxel index to world mm.
    pub fn affine(&self, shape: [usize; 3], version: Version) -> Result<Affine, Unusable> {
        let (form, mut affine) = if self.sform_code > 0 {
            ("sform", Affine(self.srow))
        } else if self.qform_code > 0 {
            ("qform", self.qform(shape, version)?)
        } else {
            ("pixdim", self.centred(shape)?)
        };
        let mm = self.unit_mm();
        for value in affine.0.as_flattened_mut() {
            *value *= mm;
        }
        if !affine.places_voxels() {
            let expected =
                "an invertible matrix whose voxels have lengths that are finite and above zero";
            return Err((form, format!("{:?}", affine.0), expected));
        }
        Ok(affine)
    }

    /// Millimetres per unit of length. No unit, or a reserved one, is read as mm.
    fn unit_mm(&self) -> f64 {
        match self.xyzt_units & 0x07 {
            1 => 1000.0,
            3 => 0.001,
            _ => 1.0,
        }
    }

    /// Voxel edges. An axis of length 1 without a size gets 1, as 2-D images
    /// often say nothing of their thickness.
    fn edges(&self, shape: [usize; 3], form: &'static str) -> Result<[f64; 3], Unusable> {
        let mut edges = [0.0; 3];
        for axis in 0..3 {
            let size = self.pixdim[axis + 1].abs();
            edges[axis] = if size == 0.0 && shape[axis] == 1 {
                1.0
            } else {
                size
            };
        }
        if edges.iter().all(|&e| e.is_finite() && e > 0.0) {
            Ok(edges)
        } else {
            let found = format!("pixdim {:?}", &self.pixdim[1..4]);
            Err((form, found, "voxel sizes above zero"))
        }
    }

    fn qform(&self, shape: [usize; 3], version: Version) -> Result<Affine, Unusable> {
        let edges = self.edges(shape, "qform")?;
        let [b, c, d] = self.quatern;
        let epsilon = match version {
            Version::Nifti1 => f64::from(f32::EPSILON),
            Version::Nifti2 => f64::EPSILON,
        };
        let rest = 1.0 - (b * b + c * c + d * d);
        // Half turns have a = 0; rounding of b, c and d must not make it
        // something else. Only clear nonsense is refused.
        if rest.is_nan() || rest < -1e-3 {
            let found = format!("quaternion b, c, d = {:?}", self.quatern);
            return Err(("qform", found, "b^2 + c^2 + d^2 of at most 1"));
        }
        let a = if rest < 3.0 * epsilon {
            0.0
        } else {
            rest.sqrt()
        };
        let rotation = rotation([a, b, c, d]);
        // The handedness of the voxel axes; 0 means +1.
        let qfac = if self.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
        let scale = [edges[0], edges[1], edges[2] * qfac];
        Ok(Affine(std::array::from_fn(|r| {
            let [x, y, z] = std::array::from_fn(|c| rotation[r][c] * scale[c]);
            [x, y, z, self.qoffset[r]]
        })))
    }

    fn centred(&self, shape: [usize; 3]) -> Result<Affine, Unusable> {
        let edges = self.edges(shape, "pixdim")?;
        let step = [-edges[0], edges[1], edges[2]];
        let mut m = [[0.0; 4]; 3];
        for axis in 0..3 {
            m[axis][axis] = step[axis];
            m[axis][3] = -step[axis] * (shape[axis] as f64 - 1.0) / 2.0;
        }
        Ok(Affine(m))
    }
}

/// The rotation matrix of a quaternion, which need not have unit length.
fn rotation([a, b, c, d]: [f64; 4]) -> [[f64; 3]; 3] {
    let s = 2.0 / (a * a + b * b + c * c + d * d);
    [
        [
            1.0 - s * (c * c + d * d),
            s * (b * c - a * d),
            s * (b * d + a * c),
        ],
        [
            s * (b * c + a * d),
            1.0 - s * (b * b + d * d),
            s * (c * d - a * b),
        ],
        [
            s * (b * d - a * c),
            s * (c * d + a * b),
            1.0 - s * (b * b + c * c),
        ],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quaternion_longer_than_1_by_rounding_is_still_a_rotation() {
        let placement = Placement {
            pixdim: [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0],
            xyzt_units: 2,
            qform_code: 1,
            sform_code: 0,
            quatern: [1.0002, 0.0, 0.0],
            qoffset: [5.0, 6.0, 7.0],
            srow: [[0.0; 4]; 3],
        };
        // Half a turn about x.
        let affine = placement.affine([9, 9, 9], Version::Nifti1).unwrap();
        assert_eq!(
            affine.0,
            [
                [2.0, 0.0, 0.0, 5.0],
                [0.0, -3.0, 0.0, 6.0],
                [0.0, 0.0, -4.0, 7.0]
            ]
        );
    }
}
