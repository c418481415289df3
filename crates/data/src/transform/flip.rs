//! Mirroring along anatomical axes.

use std::fmt;

use lacuna_volume::Volume;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::span::check_share;
use super::{AxesError, Transform, TransformError};
use crate::sampler::{Patch, Plane};

/// Mirrors a patch along each of `axes` with `probability`, independently.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flip {
    /// The axes.
    pub axes: Vec<AnatomicalAxis>,
    /// Share of the patches that are mirrored along an axis, above 0 and up to 1.
    #[serde(default = "half")]
    pub probability: f64,
}

fn half() -> f64 {
    0.5
}

/// An axis of the canonical volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnatomicalAxis {
    /// x
    LeftRight,
    /// y
    PosteriorAnterior,
    /// z
    InferiorSuperior,
}

impl AnatomicalAxis {
    /// Number of the volume's axis: 0 is x.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for AnatomicalAxis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeftRight => "\"left-right\"",
            Self::PosteriorAnterior => "\"posterior-anterior\"",
            Self::InferiorSuperior => "\"inferior-superior\"",
        })
    }
}

impl Flip {
    /// `slices` is the plane of a 2-D network's slices.
    pub(super) fn check(&self, slices: Option<Plane>) -> Result<(), TransformError> {
        if self.axes.is_empty() {
            return Err(TransformError::NoAxis);
        }
        check_axes(&self.axes, slices).map_err(|source| TransformError::Axes {
            transform: "flip",
            key: "axes",
            source,
        })?;
        check_share("flip", "probability", self.probability)
    }
}

/// Refuses axes of which one is named twice, or the slices of a 2-D network, which lie
/// in the plane `slices`, have one voxel.
///
/// # Errors
/// [`AxesError`]
pub fn check_axes(axes: &[AnatomicalAxis], slices: Option<Plane>) -> Result<(), AxesError> {
    for (i, &axis) in axes.iter().enumerate() {
        if axes[..i].contains(&axis) {
            return Err(AxesError::Twice { axis });
        }
        if let Some(plane) = slices.filter(|plane| plane.slice_axis() == axis.index()) {
            return Err(AxesError::AcrossSlices { axis, plane });
        }
    }
    Ok(())
}

impl Transform for Flip {
    fn apply(&self, patch: &mut Patch, rng: &mut ChaCha8Rng) {
        for axis in &self.axes {
            if rng.random::<f64>() >= self.probability {
                continue;
            }
            let axis = axis.index();
            let maps = &mut patch.maps;
            for volume in patch.images.iter_mut().chain(&mut maps.distance) {
                mirror_volume(volume, axis);
            }
            mirror_volume(&mut patch.labels, axis);
            (patch.inside.iter_mut()).for_each(|inside| mirror_volume(inside, axis));
            (maps.lesion.iter_mut()).for_each(|map| mirror_volume(map, axis));
            (maps.weight.iter_mut()).for_each(|map| mirror_volume(map, axis));
        }
    }
}

fn mirror_volume<T>(volume: &mut Volume<T>, axis: usize) {
    let shape = volume.shape();
    mirror(volume.data_mut(), shape, axis);
}

/// Reverses the order of the voxels along axis `axis` of x, y, z. `values` are volumes
/// behind each other, each of `shape` voxels along x, y, z, x fastest.
pub fn mirror<T>(values: &mut [T], shape: [usize; 3], axis: usize) {
    let stride: usize = shape[..axis].iter().product();
    let slab = stride * shape[axis];
    for block in values.chunks_exact_mut(slab.max(1)) {
        for low in 0..shape[axis] / 2 {
            let high = shape[axis] - 1 - low;
            let (front, back) = block.split_at_mut(high * stride);
            front[low * stride..][..stride].swap_with_slice(&mut back[..stride]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Domain, keyed_rng};
    use crate::sampler::{PatchPlace, SamplerKind};
    use crate::subject::LossMaps;
    use lacuna_volume::Affine;

    const AXES: [AnatomicalAxis; 3] = [
        AnatomicalAxis::LeftRight,
        AnatomicalAxis::PosteriorAnterior,
        AnatomicalAxis::InferiorSuperior,
    ];

    /// 3 x 2 x 2 voxels that hold 0 to 11; images are larger by 2 along x.
    fn patch() -> Patch {
        let numbered = |shape: [usize; 3]| {
            let values = (0..shape.iter().product::<usize>() as u32).collect();
            Volume::new(shape, Affine::identity(), values).unwrap()
        };
        let effective = numbered([3, 2, 2]);
        Patch {
            place: PatchPlace {
                subject: "a".to_owned(),
                index: 0,
                origin: [0; 3],
                drawn_by: SamplerKind::default(),
            },
            images: vec![numbered([5, 2, 2]).map(|v| *v as f32)],
            labels: effective.map(|v| *v as u8),
            maps: LossMaps {
                distance: vec![effective.map(|v| -(*v as f32))],
                weight: Some(effective.map(|v| *v as f32 / 2.0)),
                lesion: Some(effective),
            },
            inside: Some(numbered([5, 2, 2]).map(|v| *v == 4)),
            margin: [0; 3],
        }
    }

    fn flipped(axes: &[AnatomicalAxis], probability: f64, sample: u64) -> Patch {
        let flip = Flip {
            axes: axes.to_vec(),
            probability,
        };
        let mut patch = patch();
        flip.apply(&mut patch, &mut keyed_rng(0, Domain::Transform, 0, sample));
        patch
    }

    #[test]
    fn everything_is_mirrored_together_by_hand() {
        let x: [u8; 12] = [2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9];
        let y: [u8; 12] = [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8];
        let z: [u8; 12] = [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5];
        for (axis, expected) in AXES.into_iter().zip([x, y, z]) {
            let patch = flipped(&[axis], 1.0, 0);
            assert_eq!(patch.labels.data(), expected, "{axis}");
            let as_labels = |map: &Volume<f32>, factor: f32| map.map(|v| (v * factor) as u8);
            assert_eq!(as_labels(&patch.maps.distance[0], -1.0), patch.labels);
            let weight = patch.maps.weight.as_ref().unwrap();
            assert_eq!(as_labels(weight, 2.0), patch.labels);
            let lesion = patch.maps.lesion.as_ref().unwrap();
            assert_eq!(lesion.map(|v| *v as u8), patch.labels);
        }
        let Patch { images, inside, .. } = flipped(&AXES[..1], 1.0, 0);
        assert_eq!(images[0].data()[..6], [4., 3., 2., 1., 0., 9.]);
        assert_eq!(inside.unwrap(), images[0].map(|v| *v == 4.0));
        let all = flipped(&AXES, 1.0, 0);
        assert_eq!(all.labels.data(), [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    }

    #[test]
    fn values_are_mirrored_along_each_axis() {
        let values: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let mirrored = |axes: &[usize]| {
            let mut values = values.clone();
            axes.iter()
                .for_each(|axis| mirror(&mut values, [3, 2, 2], *axis));
            values
        };
        assert_eq!(mirrored(&[0])[..6], [2.0, 1.0, 0.0, 5.0, 4.0, 3.0]);
        assert_eq!(mirrored(&[1])[..6], [3.0, 4.0, 5.0, 0.0, 1.0, 2.0]);
        assert_eq!(mirrored(&[2])[..6], [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
        assert_eq!(mirrored(&[0, 1, 2, 0, 1, 2]), values);
    }

    #[test]
    fn each_axis_is_drawn_by_itself() {
        // Which of x and y were mirrored shows in the first voxel: 0, 2, 3 or 5.
        let mut seen = [0_u32; 6];
        for sample in 0..4000 {
            seen[usize::from(flipped(&AXES[..2], 0.25, sample).labels.data()[0])] += 1;
        }
        // 2250, 750, 750, 250 expected; SD at most 32.
        for (at, expected) in [(0, 2250), (2, 750), (3, 750), (5, 250)] {
            assert!(seen[at].abs_diff(expected) < 128, "{seen:?}");
        }
    }

    #[test]
    fn axes_that_no_patch_can_honour_are_refused() {
        let check = |axes: &[AnatomicalAxis], probability, slices| {
            let flip = Flip {
                axes: axes.to_vec(),
                probability,
            };
            flip.check(slices).map_err(|e| e.to_string())
        };
        assert_eq!(check(&AXES, 0.5, None), Ok(()));
        assert_eq!(check(&AXES[..2], 1.0, Some(Plane::Axial)), Ok(()));
        assert_eq!(check(&AXES[1..], 1.0, Some(Plane::Sagittal)), Ok(()));
        let error = check(&[], 0.5, None).unwrap_err();
        assert!(error.contains("`axes` is empty"), "{error}");
        let error = check(&[AXES[0], AXES[0]], 0.5, None).unwrap_err();
        assert!(error.contains("\"left-right\" twice"), "{error}");
        let error = check(&AXES, 0.5, Some(Plane::Axial)).unwrap_err();
        assert!(error.contains("names \"inferior-superior\""), "{error}");
        for bad in [0.0, -0.5, 1.5, f64::NAN] {
            let error = check(&AXES, bad, None).unwrap_err();
            assert!(error.contains("`probability`"), "{error}");
        }
    }
}
