//! The three products of a convolution: forward, and the gradients by what it
//! reads and by its weights.

use crate::geometry::{Convolution, volume};
use crate::precision::{Precision, to_bf16_and_back};
use crate::source::Source;

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
        let input = seen(input, self.channels_in, precision);
        let weights = rounded(weights, precision);
        let mut output = vec![0.0f32; self.output_len()];
        for (i, row) in output.chunks_exact_mut(self.channels_out).enumerate() {
            if let Some(bias) = bias {
                row.copy_from_slice(bias);
            }
            self.each_tap(i, |voxel, tap| {
                for (o, out) in row.iter_mut().enumerate() {
                    for c in 0..self.channels_in {
                        *out +=
                            input[voxel * self.channels_in + c] * weights[self.weight(o, c, tap)];
                    }
                }
            });
            if rectify {
                row.iter_mut()
                    .for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v });
            }
        }
        output
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
        let upper = rounded(output_gradient, precision);
        let weights = rounded(weights, precision);
        let mut gradient = vec![0.0f32; self.input_len()];
        for (i, row) in upper.chunks_exact(self.channels_out).enumerate() {
            self.each_tap(i, |voxel, tap| {
                for (o, up) in row.iter().enumerate() {
                    for c in 0..self.channels_in {
                        gradient[voxel * self.channels_in + c] +=
                            up * weights[self.weight(o, c, tap)];
                    }
                }
            });
        }
        gradient
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
        let input = seen(input, self.channels_in, precision);
        let upper = rounded(output_gradient, precision);
        let mut gradient = vec![0.0f32; self.weight_len()];
        for (i, row) in upper.chunks_exact(self.channels_out).enumerate() {
            self.each_tap(i, |voxel, tap| {
                for (o, up) in row.iter().enumerate() {
                    for c in 0..self.channels_in {
                        gradient[self.weight(o, c, tap)] +=
                            up * input[voxel * self.channels_in + c];
                    }
                }
            });
        }
        gradient
    }

    fn weight(&self, o: usize, c: usize, tap: usize) -> usize {
        (o * self.channels_in + c) * volume(self.kernel) + tap
    }

    /// Calls `f` with each input voxel that output voxel `i` reads, and the tap.
    fn each_tap(&self, i: usize, mut f: impl FnMut(usize, usize)) {
        let [oz, oy, ox] = self.output();
        let at = [i / (ox * oy) % oz, i / ox % oy, i % ox];
        let n = i / (ox * oy * oz);
        for tap in 0..volume(self.kernel) {
            let t = [
                tap / (self.kernel[1] * self.kernel[2]),
                tap / self.kernel[2] % self.kernel[1],
                tap % self.kernel[2],
            ];
            let place: [usize; 3] = std::array::from_fn(|a| {
                (at[a] * self.stride[a] + t[a] * self.dilation[a]).wrapping_sub(self.padding[a])
            });
            if (0..3).all(|a| place[a] < self.input[a]) {
                let voxel = ((n * self.input[0] + place[0]) * self.input[1] + place[1])
                    * self.input[2]
                    + place[2];
                f(voxel, tap);
            }
        }
    }
}

fn seen(source: Source<'_>, channels: usize, precision: Precision) -> Vec<f32> {
    let mut values = source.values.to_vec();
    if let Some(r) = source.rectified {
        for (i, v) in values.iter_mut().enumerate() {
            let c = i % channels;
            let u = r.scale[c] * *v + r.shift[c];
            *v = if u < 0.0 { r.slope[c] * u } else { u };
        }
    }
    rounded(&values, precision)
}

fn rounded(values: &[f32], precision: Precision) -> Vec<f32> {
    let round = |&v: &f32| match precision {
        Precision::Bf16 => to_bf16_and_back(v),
        Precision::F32 | Precision::Bf16x3 => v,
    };
    values.iter().map(round).collect()
}
