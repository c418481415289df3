//! The names of the conventions behind every number.

use std::borrow::Cow;

use crate::SurfaceConvention;
use serde::{Deserialize, Serialize};

/// What each metric means where definitions differ. Written with every result;
/// the names are stable, and a changed definition gets a new name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conventions {
    /// DSC, sensitivity, precision.
    pub overlap: Cow<'static, str>,
    /// Generalised Dice score.
    pub generalised_dice: Cow<'static, str>,
    /// Signed volume difference.
    pub volume_difference: Cow<'static, str>,
    /// Absolute volume difference.
    pub avd: Cow<'static, str>,
    /// Surface of HD95 and NSD, see [`SurfaceConvention`].
    pub surface: Cow<'static, str>,
    /// 95 % Hausdorff distance.
    pub hd95: Cow<'static, str>,
    /// Normalised surface distance.
    pub nsd: Cow<'static, str>,
    /// Tolerance of the normalised surface distance, mm.
    pub nsd_tolerance_mm: f64,
    /// Lesion-wise scores.
    pub lesion: Cow<'static, str>,
    /// The same with each lesion paired at most once; empty in evaluations of version
    /// 0.1.0.
    #[serde(default)]
    pub lesion_one_to_one: Cow<'static, str>,
}

impl Conventions {
    /// The conventions of this crate with the two that can be chosen.
    pub fn new(surface: SurfaceConvention, nsd_tolerance_mm: f64) -> Self {
        Self {
            overlap: "voxel; both-empty=1; one-empty=0".into(),
            generalised_dice: "all-classes; square; absent-class=largest-present-weight".into(),
            volume_difference: "prediction-minus-reference".into(),
            avd: "percent-of-reference; empty-reference=one-voxel".into(),
            surface: surface.name().into(),
            hd95: "largest-directed-95th; linear; both-empty=0; one-empty=image-diagonal".into(),
            nsd: "both-surfaces; both-empty=1; one-empty=0".into(),
            nsd_tolerance_mm,
            lesion: "wmh".into(),
            lesion_one_to_one: "one-to-one; any-overlap; most-pairs; none=1".into(),
        }
    }
}
