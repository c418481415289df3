//! The voxels that transforms of intensity change, and what is known of them.

use lacuna_volume::Volume;

/// What the voxels of a channel hold, as far as they are inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Values {
    pub(super) mean: f64,
    /// Of the population.
    pub(super) sd: f64,
    pub(super) low: f32,
    pub(super) high: f32,
}

impl Values {
    /// `None` where nothing is inside.
    pub(super) fn of(channel: &[f32], inside: Option<&[bool]>) -> Option<Self> {
        let (mut count, mut sum, mut squares) = (0_usize, 0.0, 0.0);
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        each(channel, inside, |v| {
            count += 1;
            sum += f64::from(v);
            squares += f64::from(v) * f64::from(v);
            (low, high) = (low.min(v), high.max(v));
        });
        let n = count as f64;
        (count > 0).then(|| Self {
            mean: sum / n,
            sd: (squares / n - (sum / n).powi(2)).max(0.0).sqrt(),
            low,
            high,
        })
    }
}

/// Calls `look` with each value inside.
fn each(channel: &[f32], inside: Option<&[bool]>, mut look: impl FnMut(f32)) {
    match inside {
        None => channel.iter().for_each(|v| look(*v)),
        Some(inside) => {
            let pairs = channel.iter().zip(inside).filter(|(_, inside)| **inside);
            pairs.for_each(|(v, _)| look(*v));
        }
    }
}

/// Replaces each value inside.
pub(super) fn change(
    channel: &mut [f32],
    inside: Option<&[bool]>,
    mut change: impl FnMut(f32) -> f32,
) {
    match inside {
        None => channel.iter_mut().for_each(|v| *v = change(*v)),
        Some(inside) => {
            let pairs = channel.iter_mut().zip(inside);
            for (v, _) in pairs.filter(|(_, inside)| **inside) {
                *v = change(*v);
            }
        }
    }
}

/// Replaces the values inside by those of `by`, which are as many as there are voxels.
pub(super) fn replace(channel: &mut [f32], inside: Option<&[bool]>, by: &[f32]) {
    match inside {
        None => channel.copy_from_slice(by),
        Some(inside) => {
            for ((v, inside), by) in channel.iter_mut().zip(inside).zip(by) {
                *v = if *inside { *by } else { *v };
            }
        }
    }
}

/// The value of all voxels of a channel that are not inside, if there is one.
pub(super) fn constant_outside(channel: &[f32], inside: &[bool]) -> Option<f32> {
    let mut outside = channel.iter().zip(inside).filter(|(_, inside)| !**inside);
    let (&first, _) = outside.next()?;
    outside.all(|(v, _)| *v == first).then_some(first)
}

/// What is inside, as [`Values`] and [`change`] take it.
pub(super) fn voxels(inside: &Option<Volume<bool>>) -> Option<&[bool]> {
    inside.as_ref().map(Volume::data)
}
