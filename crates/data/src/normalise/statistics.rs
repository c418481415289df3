//! Shift and scale from the voxels of a region.

use lacuna_volume::Volume;

use super::{NormaliseError, Normalised};

/// Where statistics come from unless white matter is given.
pub(super) const REGION: &str = "the mask, or all but the background without one";

pub(super) fn values_in(image: &Volume<f32>, mask: &[bool]) -> Vec<f32> {
    image
        .data()
        .iter()
        .zip(mask)
        .filter(|(_, inside)| **inside)
        .map(|(v, _)| *v)
        .collect()
}

pub(super) fn sorted(mut values: Vec<f32>) -> Vec<f32> {
    values.sort_unstable_by(f32::total_cmp);
    values
}

pub(super) fn constant(values: &[f32], region: &'static str) -> NormaliseError {
    NormaliseError::Constant {
        region,
        voxels: values.len(),
        value: values.first().copied().unwrap_or(0.0),
    }
}

pub(super) fn mean_and_sd(
    values: &[f32],
    region: &'static str,
) -> Result<Normalised, NormaliseError> {
    let n = values.len() as f64;
    let shift = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let squares = values.iter().map(|&v| (f64::from(v) - shift).powi(2));
    let scale = (squares.sum::<f64>() / n).sqrt();
    if values.iter().all(|v| *v == values[0]) {
        return Err(constant(values, region));
    }
    Ok(Normalised { shift, scale })
}

pub(super) fn percentiles(sorted: &[f32]) -> Result<Normalised, NormaliseError> {
    let last = (sorted.len() - 1) as f64;
    // Between two ranks, linearly: numpy's default.
    let at = |share: f64| {
        let rank = share * last;
        let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
        f64::from(low) + rank.fract() * (f64::from(high) - f64::from(low))
    };
    let (low, high) = (at(0.005), at(0.995));
    if low == high {
        return Err(constant(sorted, REGION));
    }
    Ok(Normalised {
        shift: low,
        scale: high - low,
    })
}
