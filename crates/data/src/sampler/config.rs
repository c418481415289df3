//! The `[patch]` section of a run, and patch sizes along a volume's axes.

use std::fmt;

use lacuna_volume::{PatchSize, Zyx};
use serde::{Deserialize, Serialize};

use super::Mixture;

/// The `[patch]` section of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatchConfig {
    /// Size of the input patch in voxels; the network decides which are legal.
    pub size: PatchSize,
    /// How places are drawn.
    pub sampler: Mixture,
    /// The plane that a 2-D network sees.
    pub plane: Plane,
}

impl Default for PatchConfig {
    fn default() -> Self {
        Self {
            size: PatchSize::Edge(64),
            sampler: Mixture::default(),
            plane: Plane::default(),
        }
    }
}

/// How a place is drawn in a subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SamplerKind {
    /// Uniform over the effective patches that hold at least one foreground
    /// element; subjects without any are skipped.
    #[default]
    Foreground,
    /// Uniform over all effective patches.
    Uniform,
    /// The centre's class is drawn equally among those present in the subject,
    /// then a voxel of that class uniformly. Near the volume's edge the patch
    /// is moved inside.
    Balanced,
    /// The centre is drawn in proportion to the subject's weight map. Near the
    /// volume's edge the patch is moved inside.
    Weighted,
    /// A connected component of the foreground is drawn, uniformly over those of all
    /// subjects unless an exponent says otherwise, then one of its voxels, then a patch
    /// anywhere around it.
    Components,
    /// The same for the components of what the network got wrong on the training
    /// subjects when it was last asked; as [`Self::Mask`] before.
    Errors,
    /// A voxel of the subject's mask (without one, of what is not background in some
    /// channel) is drawn uniformly, then a patch anywhere around it: [`Self::Uniform`] in proportion to the mask that a patch
    /// holds, so that few patches lie at its rim.
    Mask,
}

impl SamplerKind {
    pub(super) const ALL: [Self; 7] = [
        Self::Foreground,
        Self::Uniform,
        Self::Balanced,
        Self::Weighted,
        Self::Components,
        Self::Errors,
        Self::Mask,
    ];
}

impl fmt::Display for SamplerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreground => "foreground",
            Self::Uniform => "uniform",
            Self::Balanced => "balanced",
            Self::Weighted => "weighted",
            Self::Components => "components",
            Self::Errors => "errors",
            Self::Mask => "mask",
        })
    }
}

/// The slices that a 2-D network sees, in the canonical (RAS+) volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plane {
    /// H is y, W is x.
    #[default]
    Axial,
    /// H is z, W is x.
    Coronal,
    /// H is z, W is y.
    Sagittal,
}

impl Plane {
    /// The volume axis that numbers the slices.
    pub fn slice_axis(self) -> usize {
        match self {
            Self::Axial => 2,
            Self::Coronal => 1,
            Self::Sagittal => 0,
        }
    }

    /// The volume's axes that are x, y and z to a 2-D network: W, H and the one
    /// that numbers the slices.
    pub fn axes(self) -> [usize; 3] {
        match self {
            Self::Axial => [0, 1, 2],
            Self::Coronal => [0, 2, 1],
            Self::Sagittal => [1, 2, 0],
        }
    }
}

/// What a network takes and gives, along its own axes: those of a 2-D network
/// lie in a plane, with one voxel along its z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchGeometry {
    /// 2 or 3.
    pub rank: usize,
    /// Voxels of the input patch.
    pub input: Zyx<usize>,
    /// Voxels of the effective patch, fewer by the border, which is even.
    pub effective: Zyx<usize>,
}

impl PatchGeometry {
    /// Sizes of the input and the effective patch along the volume's x, y and z.
    pub fn sizes(self, plane: Plane) -> ([usize; 3], [usize; 3]) {
        let axes = match self.rank {
            2 => plane.axes(),
            _ => [0, 1, 2],
        };
        let along = |lengths: Zyx<usize>| {
            let mut size = [0; 3];
            for (axis, length) in axes.into_iter().zip(lengths.to_xyz()) {
                size[axis] = length;
            }
            size
        };
        (along(self.input), along(self.effective))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_lays_width_and_height_on_the_axes_it_has() {
        let geometry = PatchGeometry {
            rank: 2,
            input: Zyx([1, 48, 64]),
            effective: Zyx([1, 8, 24]),
        };
        let expected = [
            (Plane::Axial, [64, 48, 1], [24, 8, 1]),
            (Plane::Coronal, [64, 1, 48], [24, 1, 8]),
            (Plane::Sagittal, [1, 64, 48], [1, 24, 8]),
        ];
        for (plane, input, effective) in expected {
            assert_eq!(geometry.sizes(plane), (input, effective));
            assert_eq!(plane.axes()[2], plane.slice_axis());
        }
        let cuboid = PatchGeometry {
            rank: 3,
            input: Zyx([51, 57, 63]),
            effective: Zyx([3, 9, 15]),
        };
        let sizes = cuboid.sizes(Plane::default());
        assert_eq!(sizes, ([63, 57, 51], [15, 9, 3]));
    }
}
