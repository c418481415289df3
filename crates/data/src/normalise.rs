//! Intensities to comparable numbers, each image by itself.
//!
//! Statistics come from the voxels *inside*: those of the mask, or without one
//! those that are not background, see [`Background`]. Where 0 is background, some
//! pipelines leave traces of negative ringing around an extracted brain: when all
//! negative voxels together hold less than 1 % of the absolute intensity, only
//! positive voxels are inside.
//!
//! After normalisation every voxel that is not inside holds the value that
//! [`Outside`] chooses.

mod background;
mod statistics;

use lacuna_volume::Volume;
use serde::{Deserialize, Serialize};

use crate::white_matter::{Peak, find_white_matter};

pub use background::Background;
use statistics::{REGION, constant, mean_and_sd, percentiles, sorted, values_in};

/// The `[normalise]` section of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NormaliseConfig {
    /// How intensities are made comparable.
    pub method: NormaliseMethod,
    /// What statistics leave out of an image without a mask.
    pub background: Background,
    /// What voxels hold that are not inside.
    pub outside: Outside,
}

/// What voxels hold, after normalisation, that are not inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outside {
    /// 0: for `white-matter` the intensity of white matter, for `z-score` the mean, for
    /// `percentile` the darkest. It is also what padded convolutions see outside.
    #[default]
    Zero,
    /// The least value inside, so that the outside is as dark as the darkest tissue.
    Minimum,
}

/// How intensities are made comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormaliseMethod {
    /// (x - white-matter mode) / spread of its peak, see [`crate::white_matter`];
    /// with a white-matter mask, (x - mean) / SD of the voxels in it.
    #[default]
    WhiteMatter,
    /// (x - mean) / SD of the voxels inside.
    ZScore,
    /// From the 0.5th to the 99.5th percentile of the voxels inside, clipped
    /// there, onto 0 to 1.
    Percentile,
    /// Intensities as they are, outside as well.
    None,
}

/// What was done to an image: `(x - shift) / scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalised {
    /// Subtracted, in the image's unit.
    pub shift: f64,
    /// Divided by, in the image's unit; positive.
    pub scale: f64,
}

/// Why an image cannot be normalised.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NormaliseError {
    /// A mask without voxels.
    #[error("the mask is empty; give one that covers the brain, or none")]
    EmptyMask,
    /// A white-matter mask without voxels.
    #[error("the white-matter mask is empty; give one that covers white matter, or none")]
    EmptyWhiteMatter,
    /// An image without anything to see.
    #[error("every voxel is background; replace the image, or set normalise.background")]
    OnlyBackground,
    /// An image without contrast.
    #[error(
        "the {voxels} voxels that statistics come from ({region}) all hold {value}; replace the \
         image, or set normalise.method = \"none\""
    )]
    Constant {
        /// Where the voxels are.
        region: &'static str,
        /// Voxels there.
        voxels: usize,
        /// Their common value.
        value: f32,
    },
}

/// Normalises an image whose voxels are all finite. The masks are on its grid.
///
/// # Errors
/// When a mask is empty, all is background or the intensities that statistics come from are all
/// equal.
pub fn normalise(
    image: &mut Volume<f32>,
    modality: &str,
    mask: Option<&Volume<bool>>,
    white_matter: Option<&Volume<bool>>,
    config: NormaliseConfig,
) -> Result<Normalised, NormaliseError> {
    let inside = || inside(image, mask, config.background);
    let method = config.method;
    let (inside, done) = match (method, white_matter) {
        (NormaliseMethod::None, _) => {
            return Ok(Normalised {
                shift: 0.0,
                scale: 1.0,
            });
        }
        (NormaliseMethod::WhiteMatter, Some(white_matter)) => {
            let values = values_in(image, white_matter.data());
            if values.is_empty() {
                return Err(NormaliseError::EmptyWhiteMatter);
            }
            (inside()?, mean_and_sd(&values, "the white-matter mask")?)
        }
        (NormaliseMethod::WhiteMatter, None) => {
            let inside = inside()?;
            let sorted = sorted(values_in(image, &inside));
            let found = find_white_matter(&sorted, Peak::of_modality(modality))
                .ok_or_else(|| constant(&sorted, REGION))?;
            let done = Normalised {
                shift: found.mode,
                scale: found.spread,
            };
            (inside, done)
        }
        (NormaliseMethod::ZScore, _) => {
            let inside = inside()?;
            let done = mean_and_sd(&values_in(image, &inside), REGION)?;
            (inside, done)
        }
        (NormaliseMethod::Percentile, _) => {
            let inside = inside()?;
            let done = percentiles(&sorted(values_in(image, &inside)))?;
            (inside, done)
        }
    };
    let clip = method == NormaliseMethod::Percentile;
    let scaled = |value: f32| {
        let scaled = ((f64::from(value) - done.shift) / done.scale) as f32;
        if clip { scaled.clamp(0.0, 1.0) } else { scaled }
    };
    let outside = match config.outside {
        Outside::Zero => 0.0,
        // Scaling keeps the order, so that the least is the least before.
        Outside::Minimum => scaled(least(image, &inside)),
    };
    for (value, inside) in image.data_mut().iter_mut().zip(inside) {
        *value = if inside { scaled(*value) } else { outside };
    }
    Ok(done)
}

/// The least value of the voxels inside, of which there are some.
fn least(image: &Volume<f32>, inside: &[bool]) -> f32 {
    let values = image.data().iter().zip(inside);
    values
        .filter(|(_, inside)| **inside)
        .fold(f32::INFINITY, |least, (value, _)| least.min(*value))
}

/// For each voxel: do statistics count it?
fn inside(
    image: &Volume<f32>,
    mask: Option<&Volume<bool>>,
    background: Background,
) -> Result<Vec<bool>, NormaliseError> {
    if let Some(mask) = mask {
        return match mask.data().iter().any(|&m| m) {
            true => Ok(mask.data().to_vec()),
            false => Err(NormaliseError::EmptyMask),
        };
    }
    let inside: Vec<bool> = match background.of(image) {
        Background::Auto | Background::None => vec![true; image.len()],
        Background::Value(value) => image.data().iter().map(|v| *v != value).collect(),
        Background::Zero => not_zero(image),
    };
    match inside.contains(&true) {
        true => Ok(inside),
        false => Err(NormaliseError::OnlyBackground),
    }
}

/// Where 0 and traces of negative ringing are background.
fn not_zero(image: &Volume<f32>) -> Vec<bool> {
    let (mut negative, mut positive) = (0.0, 0.0);
    for &v in image.data() {
        if v < 0.0 {
            negative -= f64::from(v);
        } else {
            positive += f64::from(v);
        }
    }
    let only_positive = negative < 0.01 * (negative + positive);
    let keep = |&v: &f32| if only_positive { v > 0.0 } else { v != 0.0 };
    image.data().iter().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::Affine;

    fn row<T>(values: Vec<T>) -> Volume<T> {
        Volume::new([values.len(), 1, 1], Affine::identity(), values).unwrap()
    }

    fn run(
        values: &[f32],
        mask: Option<&[bool]>,
        white_matter: Option<&[bool]>,
        method: NormaliseMethod,
    ) -> Result<(Vec<f32>, Normalised), NormaliseError> {
        let mut image = row(values.to_vec());
        let mask = mask.map(|m| row(m.to_vec()));
        let white_matter = white_matter.map(|m| row(m.to_vec()));
        normalise(
            &mut image,
            "T1",
            mask.as_ref(),
            white_matter.as_ref(),
            NormaliseConfig {
                method,
                ..NormaliseConfig::default()
            },
        )
        .map(|done| (image.into_data(), done))
    }

    #[test]
    fn the_outside_may_be_as_dark_as_the_darkest_inside() {
        let mut image = row(vec![1., 3., 5., 7., 99.]);
        let mask = row(vec![true, true, true, true, false]);
        let config = NormaliseConfig {
            method: NormaliseMethod::ZScore,
            outside: Outside::Minimum,
            ..NormaliseConfig::default()
        };
        normalise(&mut image, "T1", Some(&mask), None, config).unwrap();
        // Mean 4, variance (9 + 1 + 1 + 9) / 4 = 5: (1 - 4) / sqrt(5) is the least.
        assert!((image.data()[4] + 3.0 / 5f32.sqrt()).abs() < 1e-6);
        assert_eq!(image.data()[4], image.data()[0]);
    }

    #[test]
    fn z_score_counts_the_mask_and_clears_the_rest() {
        let mask = [true, true, true, true, false];
        let (z, done) = run(
            &[1., 3., 5., 7., 99.],
            Some(&mask),
            None,
            NormaliseMethod::ZScore,
        )
        .unwrap();
        // Mean 4, variance (9 + 1 + 1 + 9) / 4 = 5.
        let sd = 5f64.sqrt();
        assert_eq!(
            done,
            Normalised {
                shift: 4.0,
                scale: sd
            }
        );
        let expected = [-3.0 / sd, -1.0 / sd, 1.0 / sd, 3.0 / sd, 0.0].map(|v| v as f32);
        assert_eq!(z, expected);
    }

    #[test]
    fn without_a_mask_zeros_and_traces_of_negative_ringing_stay_out() {
        // The negative voxel holds 0.5 of 100.5.
        let (z, done) = run(&[0., -0.5, 40., 60.], None, None, NormaliseMethod::ZScore).unwrap();
        assert_eq!(
            done,
            Normalised {
                shift: 50.0,
                scale: 10.0
            }
        );
        assert_eq!(z, [0.0, 0.0, -1.0, 1.0]);
        // An image that was z-scored before keeps its negative half.
        let (z, done) = run(&[0., -2., 2., 0.], None, None, NormaliseMethod::ZScore).unwrap();
        assert_eq!(
            done,
            Normalised {
                shift: 0.0,
                scale: 2.0
            }
        );
        assert_eq!(z, [0.0, -1.0, 1.0, 0.0]);
    }

    /// A cube of CT: air of -1024 around tissue, some of it of exactly 0.
    #[test]
    fn tissue_of_0_is_not_background() {
        let scan = |shift: f32| {
            let mut scan = Volume::filled([5; 3], Affine::identity(), -1024.0 + shift).unwrap();
            for i in 0..27 {
                let at = scan.index([1 + i % 3, 1 + i / 3 % 3, 1 + i / 9]);
                scan.data_mut()[at] = (i % 4) as f32 * 10.0 + shift;
            }
            scan
        };
        let normalised = |shift: f32, background: Background| {
            let mut scan = scan(shift);
            let config = NormaliseConfig {
                method: NormaliseMethod::ZScore,
                background,
                ..NormaliseConfig::default()
            };
            normalise(&mut scan, "CT", None, None, config).map(|done| (scan, done))
        };
        let (plain, done) = normalised(0.0, Background::Auto).unwrap();
        let (brighter, _) = normalised(0.5, Background::Auto).unwrap();
        assert_eq!(plain, brighter);
        // 98 voxels of air; 7, 7, 7 and 6 of 0, 10, 20 and 30.
        assert_eq!(done.shift, (98.0 * -1024.0 + 70.0 + 140.0 + 180.0) / 125.0);
        // With the air left out, its voxels hold 0 and tissue has its own mean.
        let (plain, done) = normalised(0.0, Background::Value(-1024.0)).unwrap();
        assert_eq!(done.shift, 390.0 / 27.0);
        let (brighter, _) = normalised(0.5, Background::Value(-1023.5)).unwrap();
        assert_eq!(plain, brighter);
        assert_eq!(plain.data()[0], 0.0);
        // As asked for: 0 is left out.
        let (_, done) = normalised(0.0, Background::Zero).unwrap();
        assert_eq!(done.shift, (98.0 * -1024.0 + 390.0) / 118.0);
    }

    #[test]
    fn percentiles_are_numpys_and_clip() {
        // numpy.percentile(arange(1, 202), [0.5, 99.5]) = [2, 200].
        let values: Vec<f32> = (1..=201).map(|v| v as f32).collect();
        let (z, done) = run(&values, None, None, NormaliseMethod::Percentile).unwrap();
        assert_eq!(
            done,
            Normalised {
                shift: 2.0,
                scale: 198.0
            }
        );
        assert_eq!(
            (z[0], z[1], z[100], z[199], z[200]),
            (0.0, 0.0, 0.5, 1.0, 1.0)
        );
    }

    #[test]
    fn a_white_matter_mask_wins() {
        let white = [false, true, true, false];
        let (z, done) = run(
            &[10., 18., 22., 30.],
            None,
            Some(&white),
            NormaliseMethod::WhiteMatter,
        )
        .unwrap();
        assert_eq!(
            done,
            Normalised {
                shift: 20.0,
                scale: 2.0
            }
        );
        assert_eq!(z, [-5.0, -1.0, 1.0, 5.0]);
    }

    #[test]
    fn none_leaves_everything_even_outside_the_mask() {
        let (z, _) = run(&[0., 0.], Some(&[false, true]), None, NormaliseMethod::None).unwrap();
        assert_eq!(z, [0.0, 0.0]);
        let (z, _) = run(&[5., 6.], Some(&[false, true]), None, NormaliseMethod::None).unwrap();
        assert_eq!(z, [5.0, 6.0]);
    }

    #[test]
    fn images_without_contrast_are_refused() {
        let flat = |mask: Option<&[bool]>, white: Option<&[bool]>, method| {
            run(&[0., 7., 7., 9.], mask, white, method).unwrap_err()
        };
        let mask = [false, true, true, false];
        for method in [
            NormaliseMethod::WhiteMatter,
            NormaliseMethod::ZScore,
            NormaliseMethod::Percentile,
        ] {
            let error = flat(Some(&mask), None, method);
            assert!(
                matches!(
                    error,
                    NormaliseError::Constant {
                        voxels: 2,
                        value: 7.0,
                        ..
                    }
                ),
                "{error}"
            );
            assert_eq!(
                flat(Some(&[false; 4]), None, method),
                NormaliseError::EmptyMask
            );
            let zero = run(&[0.; 4], None, None, method).unwrap_err();
            assert_eq!(zero, NormaliseError::OnlyBackground);
        }
        let white = NormaliseMethod::WhiteMatter;
        assert!(matches!(
            flat(None, Some(&mask), white),
            NormaliseError::Constant { .. }
        ));
        assert_eq!(
            flat(None, Some(&[false; 4]), white),
            NormaliseError::EmptyWhiteMatter
        );
    }
}
