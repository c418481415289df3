//! Subjects as nnU-Net prepares them for its networks (version 2.8; Isensee et al. 2021).
//!
//! Axes are those of the file, or canonical ones, and may be reordered. Images are cut to the
//! box of what is not 0 in all of them, normalised there, and only then resampled. Where an
//! axis is much coarser than the others, slices across it are resampled by themselves.

use lacuna_volume::{Grid, Orientation, Spline, Volume, VolumeError, box_of, fill_holes, resize};
use serde::{Deserialize, Serialize};

use super::loader::Loader;
use super::{Case, CaseError, LossMaps, LostLesions, Source, images_of};
use crate::cohort::cut;
use crate::manifest::{Manifest, Subject};
use crate::normalise::NormaliseError;

/// An axis is coarse whose voxels are longer than the shortest edge by more than this.
const COARSE: f64 = 3.0;

/// Least standard deviation that is divided by.
const LEAST_SD: f32 = 1e-8;

/// The `[nnunet]` section of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NnunetConfig {
    /// Turn images to canonical axes (RAS+); else they keep those of the file.
    pub reorient: bool,
    /// Which of these axes are x, y and z to the network, 0 for the first.
    pub axes: [usize; 3],
    /// Voxel edges in mm along the network's x, y and z. With two, z keeps its own.
    pub spacing: Vec<f64>,
    /// What is done to the intensities of each modality.
    pub channels: Vec<Scheme>,
    /// How images are brought to that spacing.
    pub images: Resampling,
    /// How what the network gives is brought back.
    pub outputs: Resampling,
}

/// What is done to the intensities of a modality.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "scheme",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum Scheme {
    /// (x - mean) / SD of the box; with `masked` of what is not 0 in all images, without
    /// holes, and 0 elsewhere.
    ZScore {
        /// Leave out the voxels that are 0 in all images.
        masked: bool,
    },
    /// Clipped, then (x - mean) / SD, by numbers of the training.
    Ct {
        /// Least intensity.
        lower: f32,
        /// Greatest intensity.
        upper: f32,
        /// Subtracted.
        mean: f32,
        /// Divided by.
        sd: f32,
    },
    /// From the least to the greatest intensity onto 0 to 1.
    Range {},
    /// Divided by 255; other intensities than 0 to 255 are refused.
    Rgb {},
    /// As they are.
    None {},
}

/// How a volume is brought to another spacing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resampling {
    /// The spline.
    pub spline: Spline,
    /// Across slices that are resampled by themselves.
    pub across: Spline,
    /// Whether slices across the coarsest axis are.
    pub slices: Slices,
}

/// Whether slices across the coarsest axis are resampled by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slices {
    /// Where its voxels are more than three times as long as the shortest edge.
    Auto,
    /// Where one axis is the coarsest.
    Always,
    /// Never.
    Never,
}

impl Resampling {
    /// The axis whose slices are resampled by themselves, and the spline across them, from
    /// one spacing to another.
    pub fn apart(self, from: [f64; 3], to: [f64; 3]) -> Option<(usize, Spline)> {
        let greatest = |s: [f64; 3]| s.into_iter().fold(0.0, f64::max);
        let coarse = |s: [f64; 3]| greatest(s) / s.into_iter().fold(f64::INFINITY, f64::min);
        let spacing = match self.slices {
            Slices::Never => return None,
            Slices::Always => from,
            Slices::Auto => [from, to].into_iter().find(|s| coarse(*s) > COARSE)?,
        };
        let mut coarsest = (0..3).filter(|axis| spacing[*axis] == greatest(spacing));
        match (coarsest.next(), coarsest.next()) {
            (Some(axis), None) => Some((axis, self.across)),
            _ => None,
        }
    }

    /// `image` with voxels of other edges: `shape` of them over its field of view.
    ///
    /// # Errors
    /// As [`resize`].
    pub fn apply(
        self,
        image: &Volume<f32>,
        shape: [usize; 3],
        from: [f64; 3],
        to: [f64; 3],
    ) -> Result<Volume<f32>, VolumeError> {
        resize(image, shape, self.spline, self.apart(from, to))
    }
}

/// The part of its first image that a case shows, and the way back there.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The part's own grid.
    pub grid: Grid,
    /// Its first voxel in the whole image.
    pub(super) low: [usize; 3],
    /// Voxel edges of the case in mm.
    spacing: [f64; 3],
    outputs: Resampling,
}

impl Shown {
    /// What was predicted on the case, on the part's own grid.
    pub(super) fn back(&self, predicted: &Volume<f32>) -> Result<Volume<f32>, VolumeError> {
        let own = self.grid.spacing().0;
        let back = (self.outputs).apply(predicted, self.grid.shape, self.spacing, own)?;
        Volume::new(self.grid.shape, self.grid.affine, back.into_data())
    }
}

/// Reads a subject to be predicted as nnU-Net does. Its label is not read.
///
/// # Errors
/// When a file cannot be read, lies on another grid than the first image or holds NaN; when
/// all images are 0 everywhere; when intensities are not what their scheme expects.
pub fn load_as_nnunet(
    manifest: &Manifest,
    subject: &Subject,
    config: &NnunetConfig,
) -> Result<Case, CaseError> {
    let images = images_of(manifest, subject)?;
    if images.len() != config.channels.len() {
        return Err(CaseError::Schemes {
            subject: subject.id.clone(),
            images: images.len(),
            schemes: config.channels.len(),
        });
    }
    let mut loader = Loader::new(manifest, subject, &images, None)?;
    let affine = loader.reference.affine();
    let orientation = match config.reorient {
        true => Orientation::of(affine),
        false => Orientation::as_stored(affine),
    };
    loader.turn(orientation.reordered(config.axes));
    let mask = loader.mask("mask", subject.mask.as_deref())?;
    let whole = images.iter().map(|(_, image)| loader.image(image));
    let whole = whole.collect::<Result<Vec<_>, _>>()?;

    let wrong = |e| loader.volume_error("its images", e);
    let foreground = fill_holes(&not_zero(&whole), [true; 3]);
    let Some((low, high)) = box_of(&foreground) else {
        return Err(CaseError::AllZero {
            subject: subject.id.clone(),
        });
    };
    let size = [0, 1, 2].map(|axis| high[axis] - low[axis]);
    let window = (low.map(|index| index as isize), size);
    let foreground = cut(&foreground, window);
    let grid = foreground.grid();
    let from = grid.spacing().0;
    let to: [f64; 3] =
        std::array::from_fn(|axis| config.spacing.get(axis).copied().unwrap_or(from[axis]));
    let shape = shape_at(grid.shape, from, to);
    loader.check_voxels(to, grid.shape, shape.map(|n| n as f64))?;
    let mut channels = Vec::with_capacity(whole.len());
    for (((modality, image), volume), scheme) in images.iter().zip(whole).zip(&config.channels) {
        let mut part = cut(&volume, window);
        drop(volume);
        let done = scheme.apply(part.data_mut(), foreground.data());
        done.map_err(|source| CaseError::Normalise {
            subject: subject.id.clone(),
            modality: (*modality).clone(),
            file: image.to_string(),
            source,
        })?;
        channels.push((config.images.apply(&part, shape, from, to)).map_err(wrong)?);
    }
    Ok(Case {
        id: subject.id.clone(),
        channels,
        label: None,
        mask: None,
        weight: None,
        lost: LostLesions::default(),
        maps: LossMaps::default(),
        source: Source {
            orientation: loader.orientation,
            grid: loader.own_grid,
            mask,
            shown: Some(Shown {
                grid,
                low,
                spacing: to,
                outputs: config.outputs,
            }),
            reference: loader.reference,
        },
    })
}

/// Voxels of another spacing over the same field of view, of which half ones are rounded to
/// an even number.
fn shape_at(shape: [usize; 3], from: [f64; 3], to: [f64; 3]) -> [usize; 3] {
    std::array::from_fn(|axis| {
        let exact = from[axis] / to[axis] * shape[axis] as f64;
        // The cast saturates; what cannot be held is refused.
        exact.round_ties_even().max(1.0) as usize
    })
}

/// Where some image is not 0.
fn not_zero(images: &[Volume<f32>]) -> Volume<bool> {
    let mut found = images[0].map(|v| *v != 0.0);
    for image in &images[1..] {
        for (found, value) in found.data_mut().iter_mut().zip(image.data()) {
            *found |= *value != 0.0;
        }
    }
    found
}

impl Scheme {
    /// Normalises the voxels of the box, of which some are not 0 in all images.
    fn apply(self, values: &mut [f32], foreground: &[bool]) -> Result<(), NormaliseError> {
        match self {
            Self::ZScore { masked } => z_score(values, |at| !masked || foreground[at]),
            Self::Ct {
                lower,
                upper,
                mean,
                sd,
            } => {
                for value in values {
                    *value = (value.clamp(lower, upper) - mean) / sd.max(LEAST_SD);
                }
            }
            Self::Range {} => {
                let [least, most] = range(values);
                let length = (most - least).max(LEAST_SD);
                values.iter_mut().for_each(|v| *v = (*v - least) / length);
            }
            Self::Rgb {} => {
                let [least, most] = range(values);
                if least < 0.0 || most > 255.0 {
                    return Err(NormaliseError::NoColours { least, most });
                }
                values.iter_mut().for_each(|v| *v /= 255.0);
            }
            Self::None {} => {}
        }
        Ok(())
    }
}

fn range(values: &[f32]) -> [f32; 2] {
    (values.iter()).fold([f32::INFINITY, f32::NEG_INFINITY], |[least, most], v| {
        [least.min(*v), most.max(*v)]
    })
}

fn z_score(values: &mut [f32], inside: impl Fn(usize) -> bool) {
    let counted = || (values.iter().enumerate()).filter(|(at, _)| inside(*at));
    let count = counted().count() as f64;
    let mean = counted().map(|(_, v)| f64::from(*v)).sum::<f64>() / count;
    let square = |v: &f32| (f64::from(*v) - mean).powi(2);
    let sd = (counted().map(|(_, v)| square(v)).sum::<f64>() / count).sqrt();
    let (mean, sd) = (mean as f32, (sd as f32).max(LEAST_SD));
    for (at, value) in values.iter_mut().enumerate() {
        if inside(at) {
            *value = (*value - mean) / sd;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUBIC: Resampling = Resampling {
        spline: Spline::Cubic,
        across: Spline::Nearest,
        slices: Slices::Auto,
    };

    #[test]
    fn slices_of_a_coarse_axis_are_resampled_by_themselves() {
        let fine = [1.0; 3];
        let apart = |from, to| CUBIC.apart(from, to).map(|(axis, _)| axis);
        assert_eq!(apart([1.0, 1.0, 4.0], fine), Some(2));
        assert_eq!(apart(fine, [4.0, 1.0, 1.0]), Some(0));
        assert_eq!(apart([1.0, 1.0, 3.0], fine), None);
        // Two coarse axes are none; and the spacing before decides when both are coarse.
        assert_eq!(apart([4.0, 4.0, 1.0], fine), None);
        assert_eq!(apart([5.0, 1.0, 1.0], [1.0, 1.0, 9.0]), Some(0));
        let never = Resampling {
            slices: Slices::Never,
            ..CUBIC
        };
        assert_eq!(never.apart([1.0, 1.0, 9.0], fine), None);
        let always = Resampling {
            slices: Slices::Always,
            ..CUBIC
        };
        assert_eq!(always.apart([1.0, 1.0, 1.1], fine).unwrap().0, 2);
        assert_eq!(always.apart(fine, [1.0, 1.0, 9.0]), None);
    }

    #[test]
    fn half_voxels_are_rounded_to_even() {
        assert_eq!(shape_at([5, 7, 1], [0.5; 3], [1.0; 3]), [2, 4, 1]);
    }

    #[test]
    fn intensities_by_hand() {
        let foreground = [false, true, true, true];
        let apply = |scheme: Scheme| {
            let mut values = [0.0, 1.0, 3.0, 5.0];
            scheme.apply(&mut values, &foreground).map(|()| values)
        };
        // Mean 3, SD sqrt(8/3).
        let sd = (8.0_f32 / 3.0).sqrt();
        let masked = apply(Scheme::ZScore { masked: true }).unwrap();
        assert_eq!(masked, [0.0, -2.0 / sd, 0.0, 2.0 / sd]);
        // Mean 9/4, variance (81 + 25 + 9 + 121) / 16 / 4.
        let sd = (236.0_f32 / 64.0).sqrt();
        let all = apply(Scheme::ZScore { masked: false }).unwrap();
        assert!((all[0] + 2.25 / sd).abs() < 1e-6);
        let ct = Scheme::Ct {
            lower: 1.0,
            upper: 4.0,
            mean: 2.0,
            sd: 0.5,
        };
        assert_eq!(apply(ct).unwrap(), [-2.0, -2.0, 2.0, 4.0]);
        assert_eq!(apply(Scheme::Range {}).unwrap(), [0.0, 0.2, 0.6, 1.0]);
        assert_eq!(apply(Scheme::Rgb {}).unwrap()[3], 5.0 / 255.0);
        assert_eq!(apply(Scheme::None {}).unwrap(), [0.0, 1.0, 3.0, 5.0]);
        let refused = Scheme::Rgb {}.apply(&mut [256.0], &[true]).unwrap_err();
        assert!(refused.to_string().contains("256"), "{refused}");
    }
}
