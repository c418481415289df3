//! Why a transform is refused.

use super::{AnatomicalAxis, Span};
use crate::cohort::CohortError;
use crate::sampler::Plane;

/// Why nothing is done along some axes.
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
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransformError {
    /// A transform without an axis does nothing.
    #[error("transform flip: `axes` is empty; name axes such as \"left-right\", or remove it")]
    NoAxis,
    /// Axes that the transform cannot use.
    #[error("transform {transform}: `{key}` {source}")]
    Axes {
        /// The transform.
        transform: &'static str,
        /// The option.
        key: &'static str,
        /// What is wrong.
        source: AxesError,
    },
    /// A slice can be turned in its plane only.
    #[error(
        "transform spatial: `rotation_axes` names {axis}, but a slice of a 2-D network \
         (patch.plane = {plane:?}) turns in its plane only; leave `rotation_axes` out"
    )]
    OutOfPlane {
        /// The axis.
        axis: AnatomicalAxis,
        /// The plane of the slices.
        plane: Plane,
    },
    /// A number out of range.
    #[error("transform {transform}: `{key}` is {found}, expected {expected}")]
    Number {
        /// The transform.
        transform: &'static str,
        /// The option.
        key: &'static str,
        /// The value.
        found: f64,
        /// The legal values.
        expected: &'static str,
    },
    /// Not a range, or one beyond the legal values.
    #[error("transform {transform}: `{key}` is {found}, expected {expected}")]
    Span {
        /// The transform.
        transform: &'static str,
        /// The option.
        key: &'static str,
        /// The value.
        found: Span,
        /// The legal values.
        expected: String,
    },
    /// Nothing would ever happen.
    #[error("transform {transform} never changes a patch: {why}")]
    Idle {
        /// The transform.
        transform: &'static str,
        /// What to set.
        why: &'static str,
    },
    /// Control points pass each other.
    #[error(
        "transform spatial: `elastic_mm` goes up to {found} mm, which folds tissue where control \
         points are {spacing_mm} mm apart; expected at most {most:.2} mm, or a larger \
         `elastic_spacing_mm`"
    )]
    Folds {
        /// The largest displacement in mm.
        found: f64,
        /// Distance of the control points in mm.
        spacing_mm: f64,
        /// The largest displacement that folds nothing.
        most: f64,
    },
    /// Every resampling blurs.
    #[error(
        "`transform` has {found} entries of \"spatial\", each of which would resample the patches; \
         put rotation, scale and elastic into one"
    )]
    SpatialTwice {
        /// Number of entries.
        found: usize,
    },
    /// There is nothing to paste.
    #[error(
        "transform paste: no lesion of the {subjects} training subjects fits into an effective \
         patch of {} x {} x {} voxels ({too_large} too large); choose a larger patch.size, or \
         remove it",
        effective[0], effective[1], effective[2]
    )]
    NoLesions {
        /// Training subjects.
        subjects: usize,
        /// Lesions that do not fit.
        too_large: usize,
        /// Voxels of the effective patch along x, y, z.
        effective: [usize; 3],
    },
    /// A lesion keeps its voxels.
    #[error(
        "transform paste: subject {} has a spacing of {:?} mm and {} one of {:?}, so that pasted \
         lesions would change their size: set geometry.spacing, so that all are resampled to one",
        subjects[0], spacings[0], subjects[1], spacings[1]
    )]
    UnlikeSpacings {
        /// Two subjects.
        subjects: [String; 2],
        /// Their spacings along x, y, z.
        spacings: [[f64; 3]; 2],
    },
    /// A subject on disk cannot be read.
    #[error(transparent)]
    Cohort(#[from] CohortError),
    /// The loss reads what the transform would make wrong.
    #[error("transform {transform}: the loss reads {map}, which {why}; {remedy}")]
    Stale {
        /// The transform.
        transform: &'static str,
        /// What is read.
        map: &'static str,
        /// Why it would be wrong.
        why: &'static str,
        /// What to change.
        remedy: &'static str,
    },
}
