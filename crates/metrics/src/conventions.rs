//! The names of the conventions behind every number.

use crate::SurfaceConvention;
use serde::Serialize;

/// What each metric means where definitions differ. Written with every result;
/// the names are stable, and a changed definition gets a new name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Conventions {
    /// DSC, sensitivity, precision.
    pub overlap: &'static str,
    /// Generalised Dice score.
    pub generalised_dice: &'static str,
    /// Signed volume difference.
    pub volume_difference: &'static str,
    /// Absolute volume difference.
    pub avd: &'static str,
    /// Surface of HD95 and NSD, see [`SurfaceConvention`].
    pub surface: &'static str,
    /// 95 % Hausdorff distance.
    pub hd95: &'static str,
    /// Normalised surface distance.
    pub nsd: &'static str,
    /// Tolerance of the normalised surface distance, mm.
    pub nsd_tolerance_mm: f64,
    /// Lesion-wise scores.
    pub lesion: &'static str,
}

impl Conventions {
    /// The conventions of this crate with the two that can be chosen.
    pub fn new(surface: SurfaceConvention, nsd_tolerance_mm: f64) -> Self {
        Self {
            overlap: "voxel; both-empty=1; one-empty=0",
            generalised_dice: "all-classes; square; absent-class=largest-present-weight",
            volume_difference: "prediction-minus-reference",
            avd: "percent-of-reference; empty-reference=one-voxel",
            surface: surface.name(),
            hd95: "largest-directed-95th; linear; both-empty=0; one-empty=image-diagonal",
            nsd: "both-surfaces; both-empty=1; one-empty=0",
            nsd_tolerance_mm,
            lesion: "wmh",
        }
    }
}
