//! The two orders in which the axes of a volume are written.
//!
//! A plain `[T; 3]` is always (x, y, z), as in an affine and in a NIfTI header.
//! What is in the order of memory (C order, x fastest), as tensors, networks and
//! losses have it, wears [`Zyx`], so that one cannot be taken for the other.

/// Three values in the order of memory: along z, y and x. A 2-D image is one
/// voxel along z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Zyx<T>(pub [T; 3]);

impl<T> Zyx<T> {
    /// Of values along x, y and z.
    pub fn from_xyz([x, y, z]: [T; 3]) -> Self {
        Self([z, y, x])
    }

    /// As values along x, y and z.
    pub fn to_xyz(self) -> [T; 3] {
        let [z, y, x] = self.0;
        [x, y, z]
    }

    /// `change` of each value.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Zyx<U> {
        Zyx(self.0.map(change))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_axis_is_x() {
        let zyx = Zyx::from_xyz([1, 2, 3]);
        assert_eq!(zyx, Zyx([3, 2, 1]));
        assert_eq!(zyx.map(|v| 2 * v).to_xyz(), [2, 4, 6]);
    }
}
