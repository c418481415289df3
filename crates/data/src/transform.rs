//! What is done to patches between cutting and collating: augmentation.
//!
//! A transform treats images, labels and loss maps together, so that they go on
//! showing the same voxels. Its random numbers come from a generator keyed by the
//! run's seed, the iteration and the sample, so that a resumed run and any number
//! of threads give the same patches.

mod flip;

use std::fmt;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::sampler::{Patch, PatchGeometry, Plane};

pub use flip::{AnatomicalAxis, Flip, check_axes, mirror};

/// A change of a patch.
pub trait Transform: fmt::Debug + Send + Sync {
    /// Voxels along x, y, z beyond each edge of a patch that the result draws on;
    /// patches are cut larger by the largest that any transform of a run asks for.
    fn margin(&self) -> [usize; 3] {
        [0; 3]
    }

    /// Changes a patch. Sizes and affines stay as they are.
    fn apply(&self, patch: &mut Patch, rng: &mut ChaCha8Rng);
}

/// One entry of a run's list `transform`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TransformConfig {
    /// Mirrors patches.
    Flip(Flip),
}

/// Why nothing is mirrored along some axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AxesError {
    /// An axis named twice would be mirrored twice.
    #[error("names {axis} twice; name it once")]
    Twice {
        /// The axis.
        axis: AnatomicalAxis,
    },
    /// A slice has one voxel along this axis.
    #[error(
        "names {axis}, across which the slices of a 2-D network lie (patch.plane = {plane:?}); \
         leave it out"
    )]
    AcrossSlices {
        /// The axis.
        axis: AnatomicalAxis,
        /// The plane of the slices.
        plane: Plane,
    },
}

/// Why a transform is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransformError {
    /// A transform without an axis does nothing.
    #[error("transform flip: `axes` is empty; name axes such as \"left-right\", or remove it")]
    NoAxis,
    /// Axes that nothing can be mirrored along.
    #[error("transform flip: `axes` {0}")]
    Axes(#[from] AxesError),
    /// Not a share of the patches.
    #[error("transform flip: `probability` is {found}, expected a number above 0 and up to 1")]
    Probability {
        /// The value.
        found: f64,
    },
}

impl TransformConfig {
    /// Refuses options that change no patch, or that no patch can honour.
    ///
    /// # Errors
    /// [`TransformError`]
    pub fn check(&self, geometry: PatchGeometry, plane: Plane) -> Result<(), TransformError> {
        match self {
            Self::Flip(flip) => flip.check((geometry.rank == 2).then_some(plane)),
        }
    }

    /// The transform.
    pub fn build(&self) -> Box<dyn Transform> {
        match self {
            Self::Flip(flip) => Box::new(flip.clone()),
        }
    }
}
