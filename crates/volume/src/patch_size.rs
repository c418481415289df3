//! Sizes of patches and windows as people write them: one number for all axes,
//! or one number for each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::Zyx;

/// Voxels of a patch or window. Files hold a number, or a list where the axes
/// differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number of voxels, or a list of them: three along x, y and z, or \
                 two along the axes of a plane"
)]
pub enum PatchSize {
    /// The same along every axis.
    Edge(usize),
    /// Along the two axes of a plane in the order x, y, z: x and y of an axial
    /// slice, x and z of a coronal one, y and z of a sagittal one.
    Plane([usize; 2]),
    /// Along x, y and z.
    Cuboid([usize; 3]),
}

impl PatchSize {
    /// Of lengths along `rank` axes; the z of a 2-D image is left out.
    pub fn of(lengths: Zyx<usize>, rank: usize) -> Self {
        let [x, y, z] = lengths.to_xyz();
        match rank {
            2 => Self::Plane([x, y]).shortened(),
            _ => Self::Cuboid([x, y, z]).shortened(),
        }
    }

    /// Lengths along `rank` axes, one voxel along the z of a 2-D image. `None`
    /// where there are as many numbers as another rank has.
    pub fn along(self, rank: usize) -> Option<Zyx<usize>> {
        match (self, rank) {
            (Self::Edge(edge), 2) => Some(Zyx([1, edge, edge])),
            (Self::Edge(edge), 3) => Some(Zyx([edge; 3])),
            (Self::Plane([x, y]), 2) => Some(Zyx([1, y, x])),
            (Self::Cuboid(lengths), 3) => Some(Zyx::from_xyz(lengths)),
            _ => None,
        }
    }

    /// One number where all are equal.
    fn shortened(self) -> Self {
        match self {
            Self::Plane([x, y]) if x == y => Self::Edge(x),
            Self::Cuboid([x, y, z]) if x == y && y == z => Self::Edge(x),
            other => other,
        }
    }

    /// Edge of the square or cube of as many voxels.
    pub fn mean_edge(self) -> f64 {
        match self.shortened() {
            Self::Edge(edge) => edge as f64,
            Self::Plane([x, y]) => ((x * y) as f64).sqrt(),
            Self::Cuboid([x, y, z]) => ((x * y * z) as f64).cbrt(),
        }
    }
}

impl From<usize> for PatchSize {
    fn from(edge: usize) -> Self {
        Self::Edge(edge)
    }
}

impl fmt::Display for PatchSize {
    /// `64`, or `96 x 96 x 32` where the axes differ.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shortened() {
            Self::Edge(edge) => write!(f, "{edge}"),
            Self::Plane([x, y]) => write!(f, "{x} x {y}"),
            Self::Cuboid([x, y, z]) => write!(f, "{x} x {y} x {z}"),
        }
    }
}

impl Serialize for PatchSize {
    /// In the shortest form.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.shortened() {
            Self::Edge(edge) => edge.serialize(serializer),
            Self::Plane(lengths) => lengths.serialize(serializer),
            Self::Cuboid(lengths) => lengths.serialize(serializer),
        }
    }
}

impl FromStr for PatchSize {
    type Err = String;

    /// Reads `64`, `96,64` or `96,96,32`.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<usize>, _> = text.split(',').map(|n| n.trim().parse()).collect();
        match numbers.as_deref() {
            Ok(&[edge]) => Ok(Self::Edge(edge)),
            Ok(&[x, y]) => Ok(Self::Plane([x, y])),
            Ok(&[x, y, z]) => Ok(Self::Cuboid([x, y, z])),
            _ => Err(
                "expected a number of voxels such as 64, or one for each axis, x first, such as \
                 96,96,32"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_the_shortest_form() {
        let read = |text: &str| serde_json::from_str::<PatchSize>(text);
        let written = |size: &PatchSize| serde_json::to_string(size).unwrap();
        for (text, size, short) in [
            ("64", PatchSize::Edge(64), "64"),
            ("[96,64]", PatchSize::Plane([96, 64]), "[96,64]"),
            ("[64,64]", PatchSize::Plane([64, 64]), "64"),
            ("[96,80,32]", PatchSize::Cuboid([96, 80, 32]), "[96,80,32]"),
            ("[64,64,64]", PatchSize::Cuboid([64; 3]), "64"),
        ] {
            assert_eq!(read(text).unwrap(), size);
            assert_eq!(written(&size), short);
        }
        for wrong in ["[64]", "[1,2,3,4]", "-5", "\"64\"", "[64,2.5]"] {
            let message = read(wrong).unwrap_err().to_string();
            assert!(
                message.contains("a number of voxels, or a list"),
                "{message}"
            );
        }
    }

    #[test]
    fn numbers_are_of_x_first_and_tensors_of_x_last() {
        let size: PatchSize = "96,80,32".parse().unwrap();
        assert_eq!(size.along(3), Some(Zyx([32, 80, 96])));
        assert_eq!(size.along(2), None);
        assert_eq!(PatchSize::of(Zyx([32, 80, 96]), 3), size);
        let slice: PatchSize = "96, 80".parse().unwrap();
        assert_eq!(slice.along(2), Some(Zyx([1, 80, 96])));
        assert_eq!(slice.along(3), None);
        assert_eq!(PatchSize::of(Zyx([1, 80, 96]), 2), slice);
        let edge: PatchSize = "64".parse().unwrap();
        assert_eq!(edge.along(2), Some(Zyx([1, 64, 64])));
        assert_eq!(edge.along(3), Some(Zyx([64; 3])));
        assert_eq!(PatchSize::of(Zyx([64; 3]), 3), edge);
        for wrong in ["", "64,", "1,2,3,4", "a", "6.5"] {
            assert!(wrong.parse::<PatchSize>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_is_as_large_as_the_cube_of_its_voxels() {
        assert_eq!(PatchSize::Edge(63).mean_edge(), 63.0);
        assert_eq!(PatchSize::Plane([4, 9]).mean_edge(), 6.0);
        assert!((PatchSize::Cuboid([4, 6, 9]).mean_edge() - 6.0).abs() < 1e-12);
        assert_eq!(PatchSize::Cuboid([96, 96, 32]).to_string(), "96 x 96 x 32");
        assert_eq!(PatchSize::Plane([64, 64]).to_string(), "64");
    }
}
