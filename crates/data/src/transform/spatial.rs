//! Rotation, scaling and elastic deformation in one resampling.
//!
//! Tissue moves in mm, so that anisotropic voxels shear nothing. The order of what a
//! voxel of the result reads is fixed: it is displaced, then scaled and turned about
//! the patch's centre. Images and weights are interpolated linearly; labels as the
//! interpolated indicators of each label, of which the largest wins, so that no label
//! appears between two others; a lesion that would lose its last voxel in this way
//! keeps one (see [`labels`]). Signed distances are those of the moved tissue: a turn
//! leaves them, a scale multiplies them.
//!
//! Beyond the patch the result draws on a margin just large enough for what is drawn.
//! A patch whose foreground would leave it altogether stays as it was cut.

mod elastic;
mod labels;
mod motion;
mod pull;

use lacuna_volume::{LabelMap, Volume};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::flip::check_axes;
use super::inside::constant_outside;
use super::span::check_share;
use super::{AnatomicalAxis, Frame, Setting, Span, Transform, TransformError};
use crate::sampler::Patch;
use crate::subject::LossMaps;
use elastic::MOST_PER_SPACING;
use labels::resample_labels;
use motion::Motion;
use pull::Pull;

/// Turns, scales and deforms patches; what is not drawn leaves a patch as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spatial {
    /// Share of the patches that are turned, 0 to 1.
    pub rotation_probability: f64,
    /// Degrees about each axis, drawn for each by itself; positive turns are
    /// anti-clockwise when the axis points at the viewer.
    pub rotation: Span,
    /// The axes to turn about; all when empty. Slices turn in their plane.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rotation_axes: Vec<AnatomicalAxis>,
    /// Share of the patches that are scaled, 0 to 1.
    pub scale_probability: f64,
    /// Size of what is shown as a multiple of its own, one for all axes; half and twice
    /// are equally likely.
    pub scale: Span,
    /// Share of the patches that are deformed, 0 to 1.
    pub elastic_probability: f64,
    /// The largest displacement of a control point along each axis in mm, drawn for
    /// each patch.
    pub elastic_mm: Span,
    /// Distance between control points in mm.
    pub elastic_spacing_mm: f64,
}

/// Rotation and scale are those of nnU-Net's `get_training_transforms`, whose scale is
/// that of the sampling grid, the inverse of this.
impl Default for Spatial {
    fn default() -> Self {
        Self {
            rotation_probability: 0.2,
            rotation: Span(-30.0, 30.0),
            rotation_axes: Vec::new(),
            scale_probability: 0.2,
            scale: Span(0.7, 1.4),
            elastic_probability: 0.0,
            elastic_mm: Span(0.0, 8.0),
            elastic_spacing_mm: 32.0,
        }
    }
}

const NAME: &str = "spatial";

impl Spatial {
    pub(super) fn check(&self, setting: &Setting) -> Result<(), TransformError> {
        let shares = [
            ("rotation_probability", self.rotation_probability),
            ("scale_probability", self.scale_probability),
            ("elastic_probability", self.elastic_probability),
        ];
        if shares.iter().all(|(_, share)| *share == 0.0) {
            return Err(TransformError::Idle {
                transform: NAME,
                why: "its three probabilities are 0; set one, or remove it",
            });
        }
        for (key, share) in shares.into_iter().filter(|(_, share)| *share != 0.0) {
            check_share(NAME, key, share)?;
        }
        self.rotation.check(NAME, "rotation", [-180.0, 180.0])?;
        self.scale.check(NAME, "scale", [0.25, 4.0])?;
        self.check_axes(setting)?;
        self.check_elastic(setting)
    }

    fn check_axes(&self, setting: &Setting) -> Result<(), TransformError> {
        check_axes(&self.rotation_axes, None).map_err(|source| TransformError::Axes {
            transform: NAME,
            key: "rotation_axes",
            source,
        })?;
        let Some(plane) = setting.slices() else {
            return Ok(());
        };
        let mut axes = self.rotation_axes.iter();
        match axes.find(|axis| axis.index() != plane.slice_axis()) {
            None => Ok(()),
            Some(&axis) => Err(TransformError::OutOfPlane { axis, plane }),
        }
    }

    fn check_elastic(&self, setting: &Setting) -> Result<(), TransformError> {
        let spacing_mm = self.elastic_spacing_mm;
        if !(spacing_mm.is_finite() && spacing_mm > 0.0) {
            return Err(TransformError::Number {
                transform: NAME,
                key: "elastic_spacing_mm",
                found: spacing_mm,
                expected: "a positive number of mm",
            });
        }
        let span = self.elastic_mm;
        span.check(NAME, "elastic_mm", [0.0, f64::MAX])?;
        if self.elastic_probability == 0.0 {
            return Ok(());
        }
        let most = MOST_PER_SPACING * spacing_mm;
        if span.1 > most {
            return Err(TransformError::Folds {
                found: span.1,
                spacing_mm,
                most,
            });
        }
        match setting.reads.distance {
            false => Ok(()),
            true => Err(TransformError::Stale {
                transform: NAME,
                map: "distances to boundaries",
                why: "an elastic deformation changes from place to place",
                remedy: "set elastic_probability = 0 (rotation and scale are exact), or choose \
                         another loss",
            }),
        }
    }
}

impl Transform for Spatial {
    fn margin(&self, frame: &Frame, rng: &mut ChaCha8Rng) -> [usize; 3] {
        Motion::draw(self, frame, rng).map_or([0; 3], |motion| motion.margin(frame))
    }

    fn apply(&self, patch: &mut Patch, rng: &mut ChaCha8Rng) {
        let frame = Frame::of(patch);
        let Some(motion) = Motion::draw(self, &frame, rng) else {
            return;
        };
        if !move_by(patch, &frame, &motion) {
            patch.trim();
        }
    }
}

/// Resamples all of a patch; false, and nothing done, where no foreground would be left
/// of some.
fn move_by(patch: &mut Patch, frame: &Frame, motion: &Motion) -> bool {
    let pull = Pull::new(motion, frame, patch.labels.shape(), frame.effective);
    let had = foreground_of(&patch.labels, patch.margin);
    let moved = resample_labels(&patch.labels, &pull);
    if had && moved.labels.iter().all(|label| *label == 0) {
        return false;
    }
    let (maps, margin) = (&patch.maps, patch.margin);
    let lesion = maps.lesion.as_ref().map(|lesion| {
        let mut ids = vec![0; moved.labels.len()];
        for (at, source) in &moved.foreground {
            ids[*at as usize] = lesion.data()[*source as usize];
        }
        placed(lesion, margin, ids)
    });
    let weight = maps
        .weight
        .as_ref()
        .map(|weight| placed(weight, margin, pull.linear(weight.data())));
    let magnification = motion.magnification as f32;
    let distance = maps.distance.iter().map(|map| {
        let mut values = pull.linear(map.data());
        values.iter_mut().for_each(|v| *v *= magnification);
        placed(map, margin, values)
    });
    let maps = LossMaps {
        distance: distance.collect(),
        lesion,
        weight,
    };
    let of_images = match frame.input == frame.effective {
        true => pull,
        false => Pull::new(motion, frame, patch.images[0].shape(), frame.input),
    };
    let (images, inside) = moved_images(patch, &of_images);
    *patch = Patch {
        place: patch.place.clone(),
        images,
        labels: placed(&patch.labels, margin, moved.labels),
        maps,
        inside,
        margin: [0; 3],
    };
    true
}

/// The channels, and what is inside.
fn moved_images(patch: &Patch, pull: &Pull) -> (Vec<Volume<f32>>, Option<Volume<bool>>) {
    let before = patch.inside.as_ref();
    let inside = before.map(|before| pull.nearest(before.data()));
    let image = |image: &Volume<f32>| {
        let mut values = pull.linear(image.data());
        if let (Some(before), Some(inside)) = (before, &inside)
            && let Some(outside) = constant_outside(image.data(), before.data())
        {
            // Interpolation blends the edge of the head with the constant around it.
            let pairs = values.iter_mut().zip(inside);
            for (value, _) in pairs.filter(|(_, inside)| !**inside) {
                *value = outside;
            }
        }
        placed(image, patch.margin, values)
    };
    let images = patch.images.iter().map(image).collect();
    let inside = before.zip(inside);
    (
        images,
        inside.map(|(before, inside)| placed(before, patch.margin, inside)),
    )
}

/// Whether a label but 0 lies within the margin.
fn foreground_of(labels: &LabelMap, margin: [usize; 3]) -> bool {
    let [nx, ny, nz] = labels.shape();
    let within = margin[0]..nx - margin[0];
    (margin[2]..nz - margin[2]).any(|z| {
        (margin[1]..ny - margin[1]).any(|y| {
            let row = &labels.data()[labels.index([0, y, z])..][..nx];
            row[within.clone()].iter().any(|label| *label > 0)
        })
    })
}

/// Values on the grid of `source` without its margin.
fn placed<S, T>(source: &Volume<S>, margin: [usize; 3], values: Vec<T>) -> Volume<T> {
    let size = [0, 1, 2].map(|a| source.shape()[a] - 2 * margin[a]);
    crate::cohort::part_of(&source.grid(), margin.map(|m| m as isize), size, values)
}

#[cfg(test)]
mod tests;
