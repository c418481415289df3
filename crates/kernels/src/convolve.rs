//! The three products of a convolution: forward, and the gradients by what it
//! reads and by its weights; by whichever algorithm costs less.

use crate::direct::{self, Direct};
use crate::geometry::Convolution;
use crate::instructions::Instructions;
use crate::precision::Precision;
use crate::source::Source;
use crate::weights::Weights;
use crate::winograd;

/// Winograd's algorithm is used where its work is below this share of the
/// plain sum's.
const WORTH: f64 = 0.85;

impl Convolution {
    /// The output, `[batch, z, y, x, channels_out]`: the convolution of `input`
    /// with `weights`, plus `bias` of length `channels_out`; where `rectify`,
    /// negative results become 0.
    ///
    /// # Panics
    /// If a length does not fit the geometry.
    pub fn forward(
        &self,
        input: Source<'_>,
        weights: &[f32],
        bias: Option<&[f32]>,
        rectify: bool,
        precision: Precision,
    ) -> Vec<f32> {
        let by = Algorithm::chosen(precision);
        let weights = Weights::of(self, weights, by.round);
        by.forward(self, input, &weights, bias, rectify)
    }

    /// The gradient by the values that the convolution reads (after a
    /// rectifier in [`Source`]), `[batch, z, y, x, channels_in]`.
    ///
    /// # Panics
    /// If a length does not fit the geometry.
    pub fn data_gradient(
        &self,
        output_gradient: &[f32],
        weights: &[f32],
        precision: Precision,
    ) -> Vec<f32> {
        let by = Algorithm::chosen(precision);
        by.data_gradient(self, output_gradient, &Weights::of(self, weights, by.round))
    }

    /// The gradient by the weights, in their order.
    ///
    /// # Panics
    /// If a length does not fit the geometry.
    pub fn weight_gradient(
        &self,
        input: Source<'_>,
        output_gradient: &[f32],
        precision: Precision,
    ) -> Vec<f32> {
        Algorithm::chosen(precision).weight_gradient(self, input, output_gradient)
    }

    /// The convolution of the gradient by the output that gives the gradient by
    /// the input, where there is one without strides or cropping.
    fn turned(&self) -> Option<Self> {
        let reach = self.reach();
        let fits = self.stride == [1; 3] && (0..3).all(|a| self.padding[a] <= reach[a]);
        fits.then(|| Self {
            channels_in: self.channels_out,
            channels_out: self.channels_in,
            input: self.output(),
            padding: std::array::from_fn(|a| reach[a] - self.padding[a]),
            ..*self
        })
    }
}

/// How products are computed.
#[derive(Clone, Copy, Debug)]
struct Algorithm {
    instructions: Instructions,
    /// Whether by Winograd's transforms; where `None`, if that is less work.
    transform: Option<bool>,
    /// Whether factors are rounded to bfloat16.
    round: bool,
}

impl Algorithm {
    fn chosen(precision: Precision) -> Self {
        Self {
            instructions: Instructions::detected(),
            transform: None,
            round: precision == Precision::Bf16,
        }
    }

    fn transforms(&self, c: &Convolution) -> bool {
        let worth = || winograd::relative_cost(c) < WORTH;
        winograd::takes(c) && self.transform.unwrap_or_else(worth)
    }

    fn forward(
        &self,
        c: &Convolution,
        input: Source<'_>,
        weights: &Weights<'_>,
        bias: Option<&[f32]>,
        rectify: bool,
    ) -> Vec<f32> {
        if self.transforms(c) {
            return winograd::forward(self.instructions, c, input, weights, bias, rectify);
        }
        let direct = Direct::forward_of(c);
        direct::forward(self.instructions, &direct, input, weights, bias, rectify)
    }

    fn data_gradient(
        &self,
        c: &Convolution,
        output_gradient: &[f32],
        weights: &Weights<'_>,
    ) -> Vec<f32> {
        let (upper, weights) = (Source::plain(output_gradient), weights.turned());
        if let Some(turned) = c.turned()
            && self.transforms(&turned)
        {
            return winograd::forward(self.instructions, &turned, upper, &weights, None, false);
        }
        let direct = Direct::data_gradient_of(c);
        direct::forward(self.instructions, &direct, upper, &weights, None, false)
    }

    fn weight_gradient(
        &self,
        c: &Convolution,
        input: Source<'_>,
        output_gradient: &[f32],
    ) -> Vec<f32> {
        let gradient = match self.transforms(c) {
            true => winograd::weight_gradient,
            false => direct::weight_gradient,
        };
        gradient(self.instructions, c, input, output_gradient, self.round)
    }
}

#[cfg(test)]
mod tests;
