//! The slow change of intensity across MR images that receive coils leave.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::inside::{Values, change, voxels};
use super::span::{check_share, happens};
use super::{Span, Transform, TransformError};
use crate::sampler::Patch;

/// The highest power of a coordinate, and of a product of them.
const ORDER: usize = 3;

/// Multiplies each channel by exp(p), p a polynomial of order 3 of the place in the
/// patch, -1 to 1 along each axis (Van Leemput et al., IEEE Trans Med Imaging 18, 1999),
/// whose mean inside is 0. A coil multiplies signal, and prepared images have lost its
/// zero: the darkest voxel inside stands for it and keeps its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BiasField {
    /// Share of the patches, above 0 and up to 1.
    pub probability: f64,
    /// The largest coefficient, drawn for each channel; each of the 19 is uniform up to
    /// it, with either sign.
    pub strength: Span,
}

impl Default for BiasField {
    fn default() -> Self {
        Self {
            probability: 0.15,
            strength: Span(0.0, 0.3),
        }
    }
}

impl BiasField {
    pub(super) fn check(&self) -> Result<(), TransformError> {
        check_share("bias-field", "probability", self.probability)?;
        self.strength.check("bias-field", "strength", [0.0, 2.0])
    }
}

impl Transform for BiasField {
    fn apply(&self, patch: &mut Patch, rng: &mut ChaCha8Rng) {
        if !happens(self.probability, rng) {
            return;
        }
        let inside = voxels(&patch.inside);
        for image in &mut patch.images {
            let most = self.strength.draw(rng);
            let mut logarithm = polynomial(image.shape(), || Span(-most, most).draw(rng));
            let (Some(found), Some(field)) = (
                Values::of(image.data(), inside),
                Values::of(&logarithm, inside),
            ) else {
                continue;
            };
            let (low, mean) = (found.low, field.mean as f32);
            logarithm.iter_mut().for_each(|v| *v = (*v - mean).exp());
            let mut of_voxel = inside_of(&logarithm, inside);
            change(image.data_mut(), inside, |v| {
                (v - low) * of_voxel.next().unwrap_or(1.0) + low
            });
        }
    }
}

/// The values inside, in the order in which [`change`] comes to them.
fn inside_of<'a>(values: &'a [f32], inside: Option<&'a [bool]>) -> impl Iterator<Item = f32> + 'a {
    let is = move |i: usize| inside.is_none_or(|inside| inside[i]);
    let counted = values.iter().copied().enumerate();
    counted.filter(move |(i, _)| is(*i)).map(|(_, v)| v)
}

/// A polynomial without a constant on a grid, x fastest.
fn polynomial(shape: [usize; 3], mut coefficient: impl FnMut() -> f64) -> Vec<f32> {
    let mut terms = Vec::new();
    for i in 0..=ORDER {
        for j in 0..=ORDER - i {
            for k in 0..=ORDER - i - j {
                if i + j + k > 0 {
                    terms.push(([i, j, k], coefficient()));
                }
            }
        }
    }
    let place = |i: usize, n: usize| match n {
        1 => 0.0,
        _ => 2.0 * i as f64 / (n - 1) as f64 - 1.0,
    };
    let [nx, ny, nz] = shape;
    let mut values = Vec::with_capacity(nx * ny * nz);
    for z in 0..nz {
        for y in 0..ny {
            // The polynomial of x at this row.
            let mut of_x = [0.0; ORDER + 1];
            for ([i, j, k], c) in &terms {
                of_x[*i] += c * place(y, ny).powi(*j as i32) * place(z, nz).powi(*k as i32);
            }
            let at = |x: f64| of_x.iter().rev().fold(0.0, |sum, c| sum * x + c);
            values.extend((0..nx).map(|x| at(place(x, nx)) as f32));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_by_hand() {
        // The coefficient of x^i y^j z^k is 1 for y z^2 only: in order, z z^2 z^3 y yz yz^2.
        let mut number = 0;
        let values = polynomial([2, 3, 3], || {
            number += 1;
            f64::from(u8::from(number == 6))
        });
        assert_eq!(number, 19);
        let row = [-1.0, 0.0, 1.0];
        for (i, value) in values.iter().enumerate() {
            let (y, z): (f32, f32) = (row[i / 2 % 3], row[i / 6]);
            assert_eq!(*value, y * z * z);
        }
        // A single slice lies at z = 0.
        assert!(polynomial([4, 4, 1], || 1.0)[0].is_finite());
        let mut number = 0;
        let flat = polynomial([4, 4, 1], || {
            number += 1;
            f64::from(u8::from(number <= 3))
        });
        assert!(flat.iter().all(|v| *v == 0.0));
    }
}
