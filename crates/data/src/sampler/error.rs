//! What can be wrong with subjects, sizes and weight maps.

use crate::cohort::CohortError;

use super::{PatchGeometry, Plane};

/// Why no patches can be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// A subject on disk cannot be read.
    #[error(transparent)]
    Cohort(#[from] CohortError),
    /// There is no subject at all.
    #[error("there is no subject to draw patches from; check [split] train")]
    NoSubjects,
    /// The sizes cannot be those of a network.
    #[error(
        "a patch needs 2 or 3 axes and an even border of at least 0, found {} axes, input {:?}, \
         effective {:?} (x, y, z); choose another patch.size", geometry.rank,
        geometry.input.to_xyz(), geometry.effective.to_xyz()
    )]
    Geometry {
        /// The sizes given.
        geometry: PatchGeometry,
    },
    /// A plane was chosen for a network that sees all three axes.
    #[error("patch.plane = {plane:?} is for 2-D networks, and this one is 3-D; remove the key")]
    PlaneOf3d {
        /// The plane given.
        plane: Plane,
    },
    /// A subject cannot train.
    #[error(
        "subject {subject}: it has no label and cannot train; give it one in the dataset, or \
         leave it out of [split] train"
    )]
    NoLabel {
        /// Id of the subject.
        subject: String,
    },
    /// Nothing to learn.
    #[error(
        "none of the {subjects} subjects holds any foreground (inside its mask); {}", match lost {
            Some(lost) => lost.as_str(),
            None => "check the label files and label_values of the dataset with `lacuna check`",
        }
    )]
    NoForeground {
        /// Number of subjects looked at.
        subjects: usize,
        /// The lesions that resampling took from them, if any.
        lost: Option<String>,
    },
    /// The weighted sampler lacks its map.
    #[error(
        "no weight map for: {}; add `weight` to these subjects in the dataset, or choose \
         another patch.sampler", subjects.join(", ")
    )]
    NoWeight {
        /// Ids of the subjects.
        subjects: Vec<String>,
    },
    /// A weight map cannot be drawn from.
    #[error(
        "subject {subject}: its weight map holds {value} at voxel {voxel:?}; weights must be \
         finite and not negative"
    )]
    Weight {
        /// Id of the subject.
        subject: String,
        /// The weight.
        value: f32,
        /// Where it is, on the case's grid (x, y, z).
        voxel: [usize; 3],
    },
    /// A weight map without any weight.
    #[error(
        "subject {subject}: its weight map is zero everywhere (inside its mask); give some voxel \
         a positive weight"
    )]
    ZeroWeights {
        /// Id of the subject.
        subject: String,
    },
}
