//! A 3-D array on a grid.

use crate::{Affine, Spacing};

/// What can be wrong with the parts of a volume.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// The data do not fill the shape.
    #[error("shape {shape:?} needs {expected} elements, found {found}")]
    Length {
        /// Requested shape.
        shape: [usize; 3],
        /// Elements that the shape holds.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// The product of the axes does not fit the address space.
    #[error("shape {shape:?} is too large to address")]
    TooLarge {
        /// Requested shape.
        shape: [usize; 3],
    },
    /// The affine cannot be inverted, so voxels have no place in the patient.
    #[error("the affine is singular or not finite: {affine:?}")]
    SingularAffine {
        /// The affine given.
        affine: Affine,
    },
    /// A spacing that no grid can have.
    #[error("the spacing {spacing} is unusable: give edges above zero and finite")]
    Spacing {
        /// The spacing asked for.
        spacing: Spacing,
    },
    /// A volume without voxels, which has no value to interpolate.
    #[error("a volume of shape {shape:?} has no voxel; every axis needs at least one")]
    Empty {
        /// Shape of the volume.
        shape: [usize; 3],
    },
}

/// A 3-D array with its place in the patient. `x` varies fastest in memory:
/// element `(x, y, z)` is at `x + shape[0] * (y + shape[1] * z)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume<T> {
    shape: [usize; 3],
    affine: Affine,
    data: Vec<T>,
}

/// Class index per voxel.
pub type LabelMap = Volume<u8>;

impl<T> Volume<T> {
    /// Takes data in x-fastest order.
    ///
    /// # Errors
    /// When the length does not match the shape, or the affine is singular.
    pub fn new(shape: [usize; 3], affine: Affine, data: Vec<T>) -> Result<Self, VolumeError> {
        let expected = element_count(shape)?;
        if data.len() != expected {
            return Err(VolumeError::Length {
                shape,
                expected,
                found: data.len(),
            });
        }
        if affine.inverse().is_none() {
            return Err(VolumeError::SingularAffine { affine });
        }
        Ok(Self {
            shape,
            affine,
            data,
        })
    }

    /// Voxels along x, y, z.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Voxel index to world mm.
    pub fn affine(&self) -> &Affine {
        &self.affine
    }

    /// Voxel edge lengths in mm.
    pub fn spacing(&self) -> Spacing {
        self.affine.spacing()
    }

    /// All elements, x fastest.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// All elements, x fastest.
    pub fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// The elements, x fastest, without the geometry.
    pub fn into_data(self) -> Vec<T> {
        self.data
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// True for a volume without voxels.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Position of voxel `(x, y, z)` in [`Self::data`].
    pub fn index(&self, [x, y, z]: [usize; 3]) -> usize {
        debug_assert!(x < self.shape[0] && y < self.shape[1] && z < self.shape[2]);
        x + self.shape[0] * (y + self.shape[1] * z)
    }

    /// A volume on the same grid with `f` applied to each element.
    pub fn map<U>(&self, f: impl FnMut(&T) -> U) -> Volume<U> {
        Volume {
            shape: self.shape,
            affine: self.affine,
            data: self.data.iter().map(f).collect(),
        }
    }
}

impl<T: Clone> Volume<T> {
    /// A constant volume.
    ///
    /// # Errors
    /// As [`Volume::new`].
    pub fn filled(shape: [usize; 3], affine: Affine, value: T) -> Result<Self, VolumeError> {
        Self::new(shape, affine, vec![value; element_count(shape)?])
    }
}

fn element_count(shape: [usize; 3]) -> Result<usize, VolumeError> {
    shape
        .iter()
        .try_fold(1usize, |n, &s| n.checked_mul(s))
        .filter(|&n| n <= isize::MAX as usize)
        .ok_or(VolumeError::TooLarge { shape })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x_varies_fastest() {
        let v = Volume::new([2, 3, 4], Affine::identity(), (0..24).collect()).unwrap();
        assert_eq!(v.data()[v.index([1, 2, 3])], 1 + 2 * (2 + 3 * 3));
    }

    #[test]
    fn a_wrong_length_is_refused() {
        let error = Volume::new([2, 2, 2], Affine::identity(), vec![0u8; 7]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "shape [2, 2, 2] needs 8 elements, found 7"
        );
    }
}
