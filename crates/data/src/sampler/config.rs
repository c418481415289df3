//! The `[patch]` section of a run, and patch sizes along a volume's axes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The `[patch]` section of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatchConfig {
    /// Edge of the input patch in voxels; the network decides which are legal.
    pub size: usize,
    /// How places are drawn.
    pub sampler: SamplerKind,
    /// The plane that a 2-D network sees.
    pub plane: Plane,
}

impl Default for PatchConfig {
    fn default() -> Self {
        Self {
            size: 64,
            sampler: SamplerKind::default(),
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
}

impl fmt::Display for SamplerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreground => "foreground",
            Self::Uniform => "uniform",
            Self::Balanced => "balanced",
            Self::Weighted => "weighted",
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
}

/// What a network takes and gives, along each of its axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchGeometry {
    /// 2 or 3.
    pub rank: usize,
    /// Edge of the input patch in voxels.
    pub input: usize,
    /// Edge of the effective patch in voxels, smaller by the border, which is even.
    pub effective: usize,
}

impl PatchGeometry {
    /// Sizes of the input and the effective patch along the volume's axes.
    pub fn sizes(self, plane: Plane) -> ([usize; 3], [usize; 3]) {
        let along = |edge: usize| {
            let mut size = [edge; 3];
            if self.rank == 2 {
                size[plane.slice_axis()] = 1;
            }
            size
        };
        (along(self.input), along(self.effective))
    }
}
