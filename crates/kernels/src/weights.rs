//! Weights as the forward pass and the data gradient see them.

use crate::geometry::{Convolution, volume};
use crate::precision::to_bf16_and_back;

/// Weights `[channels_out, channels_in, z, y, x]`, or the same transposed and
/// turned around: what the data gradient convolves with.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    values: &'a [f32],
    /// Values from one output channel to the next, and from one input channel.
    steps: [usize; 2],
    taps: usize,
    turned: bool,
    /// Whether factors are rounded to bfloat16.
    pub round: bool,
}

impl<'a> Weights<'a> {
    /// The weights of `c` as they are; `round` to bfloat16.
    pub fn of(c: &Convolution, values: &'a [f32], round: bool) -> Self {
        assert_eq!(values.len(), c.weight_len(), "weights");
        let taps = volume(c.kernel);
        Self {
            values,
            steps: [c.channels_in * taps, taps],
            taps,
            turned: false,
            round,
        }
    }

    /// With input and output exchanged and every axis reversed.
    pub fn turned(self) -> Self {
        Self {
            steps: [self.steps[1], self.steps[0]],
            turned: !self.turned,
            ..self
        }
    }

    /// The weight from input channel `from` to output channel `to`.
    #[inline(always)]
    pub fn at(&self, to: usize, from: usize, tap: usize) -> f32 {
        let tap = if self.turned {
            self.taps - 1 - tap
        } else {
            tap
        };
        let value = self.values[to * self.steps[0] + from * self.steps[1] + tap];
        if self.round {
            to_bf16_and_back(value)
        } else {
            value
        }
    }
}
