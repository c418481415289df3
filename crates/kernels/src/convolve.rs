//! The three products of a convolution: forward, and the gradients by what it
//! reads and by its weights; by whichever algorithm costs less.

use crate::direct::{self, Direct};
use crate::few_voxels;
use crate::geometry::Convolution;
use crate::instructions::Instructions;
use crate::phases;
use crate::precision::Precision;
use crate::source::Source;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use crate::tile;
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
        self.assert_fits(Some(input), Some(weights), None);
        if let Some(bias) = bias {
            assert_eq!(bias.len(), self.channels_out, "biases");
        }
        Algorithm::chosen(self, precision).forward(self, input, weights, bias, rectify)
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
        self.assert_fits(None, Some(weights), Some(output_gradient));
        Algorithm::chosen(self, precision).data_gradient(self, output_gradient, weights)
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
        self.assert_fits(Some(input), None, Some(output_gradient));
        Algorithm::chosen(self, precision).weight_gradient(self, input, output_gradient)
    }

    /// The algorithms address memory by these lengths.
    fn assert_fits(
        &self,
        input: Option<Source<'_>>,
        weights: Option<&[f32]>,
        output_gradient: Option<&[f32]>,
    ) {
        if let Some(Source { values, rectified }) = input {
            assert_eq!(values.len(), self.input_len(), "values of the input");
            if let Some(r) = rectified {
                for row in [r.scale, r.shift, r.slope] {
                    assert!(
                        [1, self.batch].contains(&(row.len() / self.channels_in))
                            && row.len().is_multiple_of(self.channels_in),
                        "channels of the rectifier"
                    );
                }
            }
        }
        if let Some(weights) = weights {
            assert_eq!(weights.len(), self.weight_len(), "weights");
        }
        if let Some(upper) = output_gradient {
            assert_eq!(upper.len(), self.output_len(), "values of the gradient");
        }
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

/// Whether this processor has matrix tiles that multiply bfloat16 (AMX) and the
/// system lets this process use them.
pub fn has_tiles() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        tile::available()
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    {
        false
    }
}

/// How products are computed.
#[derive(Clone, Copy, Debug)]
struct Algorithm {
    instructions: Instructions,
    kind: Kind,
    /// Whether factors are rounded to bfloat16.
    round: bool,
}

/// The order in which products are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Tap by tap.
    Direct,
    /// Tap by tap, the weights as they lie in memory.
    FewVoxels,
    /// In the domain of Winograd's transforms.
    Winograd,
    /// Tap by tap on matrix tiles, in this precision.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Tiles(Precision),
}

impl Algorithm {
    fn chosen(c: &Convolution, precision: Precision) -> Self {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if precision != Precision::F32 && has_tiles() && tile::takes(c) {
            return Self {
                instructions: Instructions::detected(),
                kind: Kind::Tiles(precision),
                round: false,
            };
        }
        let transforms = |c: &Convolution| winograd::takes(c) && winograd::relative_cost(c) < WORTH;
        let kind = match few_voxels::takes(c) {
            true => Kind::FewVoxels,
            false if transforms(c) => Kind::Winograd,
            false => Kind::Direct,
        };
        Self {
            instructions: Instructions::detected(),
            kind,
            round: precision == Precision::Bf16,
        }
    }

    fn forward(
        &self,
        c: &Convolution,
        input: Source<'_>,
        weights: &[f32],
        bias: Option<&[f32]>,
        rectify: bool,
    ) -> Vec<f32> {
        let packed = Weights::of(c, weights, self.round);
        match self.kind {
            Kind::Winograd => {
                winograd::forward(self.instructions, c, input, &packed, bias, rectify)
            }
            Kind::FewVoxels => {
                let round = self.round;
                few_voxels::forward(self.instructions, c, input, weights, bias, rectify, round)
            }
            Kind::Direct => {
                let direct = Direct::forward_of(c);
                direct::forward(self.instructions, &direct, input, &packed, bias, rectify)
            }
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Kind::Tiles(precision) => tile::forward(c, input, weights, bias, rectify, precision),
        }
    }

    fn data_gradient(&self, c: &Convolution, output_gradient: &[f32], weights: &[f32]) -> Vec<f32> {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if let Kind::Tiles(precision) = self.kind {
            return tile::data_gradient(c, output_gradient, weights, precision);
        }
        if self.kind == Kind::FewVoxels {
            let round = self.round;
            return few_voxels::data_gradient(
                self.instructions,
                c,
                output_gradient,
                weights,
                round,
            );
        }
        if phases::takes(c) {
            let round = self.round;
            return phases::data_gradient(self.instructions, c, output_gradient, weights, round);
        }
        let upper = Source::plain(output_gradient);
        let weights = Weights::of(c, weights, self.round).turned();
        if let (Kind::Winograd, Some(turned)) = (self.kind, c.turned()) {
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
        let gradient = match self.kind {
            Kind::Winograd => winograd::weight_gradient,
            Kind::FewVoxels => few_voxels::weight_gradient,
            Kind::Direct => direct::weight_gradient,
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Kind::Tiles(precision) => {
                return tile::weight_gradient(c, input, output_gradient, precision);
            }
        };
        gradient(self.instructions, c, input, output_gradient, self.round)
    }
}

#[cfg(test)]
mod tests;
