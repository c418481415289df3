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
#[cfg(test)]
mod tests;

use lacuna_volume::Volume;
use serde::{Deserialize, Serialize};

use crate::grey_matter::find_grey_matter;
use crate::white_matter::{Peak, find_white_matter};

pub use background::Background;
use statistics::{REGION, constant, mean_and_sd, percentiles, sorted, values_in};

/// Share of the absolute intensity up to which negative voxels are traces of ringing.
const NEGATIVE: f64 = 0.01;

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
    /// 0: for `white-matter` and `grey-matter` the intensity of that tissue, for `z-score` the
    /// mean, for `percentile` the darkest. It is also what padded convolutions see outside.
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
    /// 4 (x / median - 1), the median that of grey matter, which is found in the subject's
    /// T1-weighted image, see [`crate::grey_matter`]: what is so many times as bright as grey
    /// matter is the same number on every scanner, however much fluid or lesion there is.
    GreyMatter,
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
    /// A T1-weighted image that does not show fluid, grey and white matter.
    #[error(
        "fluid, grey and white matter cannot be told apart in it; give an image of a whole brain, \
         extracted or with a mask, or set normalise.method = \"z-score\""
    )]
    NoGreyMatter,
    /// Intensities whose zero means nothing.
    #[error(
        "the median of grey matter is {median} and negative voxels hold {:.0} % of the absolute \
         intensity, as after an earlier normalisation, and intensities as the scanner gave them \
         are expected; give those, or set normalise.method = \"z-score\"", 100.0 * negative
    )]
    NoRatio {
        /// Median over grey matter.
        median: f64,
        /// Share of the absolute intensity that negative voxels inside hold.
        negative: f64,
    },
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
    /// Intensities that are no colours.
    #[error(
        "the intensities are {least} to {most}, and colours from 0 to 255 are expected; give the \
         picture that the model was trained on"
    )]
    NoColours {
        /// Least intensity.
        least: f32,
        /// Greatest intensity.
        most: f32,
    },
}

/// Normalises an image whose voxels are all finite. The masks are on its grid; that of the
/// tissue is of white matter where the method is `white-matter` and there is one, and of grey
/// matter, see [`grey_matter`], where it is `grey-matter`.
///
/// # Errors
/// When a mask is empty, all is background or the intensities that statistics come from are all
/// equal; for `grey-matter`, when they have no meaningful zero.
///
/// # Panics
/// For `grey-matter` without the tissue.
pub fn normalise(
    image: &mut Volume<f32>,
    modality: &str,
    mask: Option<&Volume<bool>>,
    tissue: Option<&Volume<bool>>,
    config: NormaliseConfig,
) -> Result<Normalised, NormaliseError> {
    let inside = || inside(image, mask, config.background);
    let method = config.method;
    let (inside, done) = match (method, tissue) {
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
        (NormaliseMethod::GreyMatter, tissue) => {
            let tissue = tissue.expect("grey matter was found before");
            let inside = inside()?;
            let done = ratio(image, &inside, tissue)?;
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

/// Where a T1-weighted image, whose voxels are all finite, shows grey matter.
///
/// # Errors
/// When a mask is empty, all is background, or three tissues cannot be told apart.
pub fn grey_matter(
    t1: &Volume<f32>,
    mask: Option<&Volume<bool>>,
    background: Background,
) -> Result<Volume<bool>, NormaliseError> {
    let inside = inside(t1, mask, background)?;
    let [low, high] =
        find_grey_matter(&sorted(values_in(t1, &inside))).ok_or(NormaliseError::NoGreyMatter)?;
    let mut grey = t1.map(|value| (low..=high).contains(value));
    for (grey, inside) in grey.data_mut().iter_mut().zip(inside) {
        *grey &= inside;
    }
    Ok(grey)
}

/// [`NormaliseMethod::GreyMatter`]: of what is grey matter and inside in this image too.
fn ratio(
    image: &Volume<f32>,
    inside: &[bool],
    tissue: &Volume<bool>,
) -> Result<Normalised, NormaliseError> {
    let both = inside.iter().zip(tissue.data()).map(|(a, b)| *a && *b);
    let grey = sorted(values_in(image, &both.collect::<Vec<_>>()));
    let median = grey.get(grey.len() / 2).map_or(0.0, |v| f64::from(*v));
    let (negative, positive) = signed_sums(&values_in(image, inside));
    let all = negative + positive;
    if median <= 0.0 || negative > NEGATIVE * all {
        let negative = if all > 0.0 { negative / all } else { 0.0 };
        return Err(NormaliseError::NoRatio { median, negative });
    }
    Ok(Normalised {
        shift: median,
        scale: median / 4.0,
    })
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
    let (negative, positive) = signed_sums(image.data());
    let only_positive = negative < NEGATIVE * (negative + positive);
    let keep = |&v: &f32| if only_positive { v > 0.0 } else { v != 0.0 };
    image.data().iter().map(keep).collect()
}

/// What negative and what positive values add up to, without sign.
fn signed_sums(values: &[f32]) -> (f64, f64) {
    let (mut negative, mut positive) = (0.0, 0.0);
    for &v in values {
        if v < 0.0 {
            negative -= f64::from(v);
        } else {
            positive += f64::from(v);
        }
    }
    (negative, positive)
}
