//! Convolutions of stride 1 on the matrix tiles of x86-64 (AMX), which multiply
//! bfloat16 and add in f32.
//!
//! The tiles treat denormal factors, products and sums as 0. The f32 path of
//! [`crate::Convolution`] is elsewhere: three bfloat16 parts of each f32 and six
//! products would be no faster than Winograd's transform on the vectors.

mod buffer;
mod finish;
mod forward;
mod pack;
mod processor;
mod region;
mod unit;
mod weights;

#[cfg(test)]
mod emulator;
#[cfg(test)]
mod tests;

pub(crate) use processor::available;

use crate::geometry::Convolution;
use crate::precision::Precision;
use crate::source::Source;
use region::Region;

/// True where the functions of this module compute `c`.
pub(crate) fn takes(c: &Convolution) -> bool {
    c.stride == [1; 3]
}

/// [`Convolution::forward`] on tiles.
///
/// # Panics
/// If a length does not fit the geometry, or `precision` is f32.
pub(crate) fn forward(
    c: &Convolution,
    input: Source<'_>,
    weights: &[f32],
    bias: Option<&[f32]>,
    rectify: bool,
    precision: Precision,
) -> Vec<f32> {
    assert_eq!(weights.len(), c.weight_len(), "weights");
    let region = Region::of_input(c);
    let weights = forward::Weights {
        values: weights,
        along_out: c.channels_in * region.taps(),
        along_in: region.taps(),
        flipped: false,
    };
    forward::correlate(&region, input, &weights, bias, rectify, parts(precision))
}

/// [`Convolution::data_gradient`] on tiles.
///
/// # Panics
/// As [`forward`].
pub(crate) fn data_gradient(
    c: &Convolution,
    output_gradient: &[f32],
    weights: &[f32],
    precision: Precision,
) -> Vec<f32> {
    assert_eq!(weights.len(), c.weight_len(), "weights");
    let region = Region::of_output(c);
    let weights = forward::Weights {
        values: weights,
        along_out: region.taps(),
        along_in: c.channels_in * region.taps(),
        flipped: true,
    };
    let upper = Source::plain(output_gradient);
    forward::correlate(&region, upper, &weights, None, false, parts(precision))
}

/// [`Convolution::weight_gradient`] on tiles.
///
/// # Panics
/// As [`forward`].
pub(crate) fn weight_gradient(
    c: &Convolution,
    input: Source<'_>,
    output_gradient: &[f32],
    precision: Precision,
) -> Vec<f32> {
    weights::gradient(c, input, output_gradient, parts(precision))
}

/// How many bfloat16 values a factor is the sum of.
fn parts(precision: Precision) -> usize {
    match precision {
        Precision::Bf16 => 1,
        Precision::Bf16x3 => 2,
        Precision::F32 => panic!("the tiles multiply bfloat16"),
    }
}

/// The parts of A and of B that each product takes: all pairs but the smallest,
/// the large ones last.
fn products(parts: usize) -> &'static [(usize, usize)] {
    match parts {
        1 => &[(0, 0)],
        _ => &[(1, 0), (0, 1), (0, 0)],
    }
}
