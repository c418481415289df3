//! Mean pooling over blocks.

use rayon::prelude::*;

use crate::geometry::volume;

/// The mean of each block of voxels that lie side by side; values are
/// `[batch, z, y, x, channel]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeanPool {
    /// Images.
    pub batch: usize,
    /// Voxels of the output along z, y and x.
    pub output: [usize; 3],
    /// Voxels of a block along z, y and x.
    pub block: [usize; 3],
    /// Channels.
    pub channels: usize,
}

impl MeanPool {
    /// The means, from an input of `block` times the output's voxels.
    ///
    /// # Panics
    /// If the length of `input` does not fit.
    pub fn forward(&self, input: &[f32]) -> Vec<f32> {
        let line = self.line();
        assert_eq!(
            input.len(),
            self.output_len() * volume(self.block),
            "values of the input"
        );
        let mut output = vec![0.0f32; self.output_len()];
        let scale = 1.0 / volume(self.block) as f32;
        output
            .par_chunks_mut(self.output[2] * self.channels)
            .enumerate()
            .for_each(|(row, output)| {
                for from in self.lines_of(row) {
                    let input = &input[from * line..][..line];
                    let voxels = input.chunks_exact(self.block[2] * self.channels);
                    for (sums, voxels) in output.chunks_exact_mut(self.channels).zip(voxels) {
                        for voxel in voxels.chunks_exact(self.channels) {
                            sums.iter_mut().zip(voxel).for_each(|(s, v)| *s += v);
                        }
                    }
                }
                output.iter_mut().for_each(|v| *v *= scale);
            });
        output
    }

    /// The gradient by the input, given that by the means.
    ///
    /// # Panics
    /// If the length of `upper` does not fit.
    pub fn backward(&self, upper: &[f32]) -> Vec<f32> {
        let line = self.line();
        assert_eq!(upper.len(), self.output_len(), "values of the gradient");
        let [by_z, by_y, by_x] = self.block;
        let [_, oy, ox] = self.output;
        let mut gradient = vec![0.0f32; upper.len() * volume(self.block)];
        let scale = 1.0 / volume(self.block) as f32;
        gradient
            .par_chunks_mut(line)
            .enumerate()
            .for_each(|(row, gradient)| {
                let (plane, y) = (row / (oy * by_y), row % (oy * by_y));
                let from = (plane / by_z * oy + y / by_y) * ox * self.channels;
                let upper = upper[from..][..ox * self.channels].chunks_exact(self.channels);
                let blocks = gradient.chunks_exact_mut(by_x * self.channels);
                for (block, upper) in blocks.zip(upper) {
                    for voxel in block.chunks_exact_mut(self.channels) {
                        let pairs = voxel.iter_mut().zip(upper);
                        pairs.for_each(|(to, from)| *to = from * scale);
                    }
                }
            });
        gradient
    }

    /// Values of a line of the input.
    fn line(&self) -> usize {
        self.output[2] * self.block[2] * self.channels
    }

    fn output_len(&self) -> usize {
        let values = self.batch * volume(self.output) * self.channels;
        assert!(
            values > 0 && volume(self.block) > 0,
            "means of nothing: {self:?}"
        );
        values
    }

    /// The lines of the input that a line of the output is the mean of.
    fn lines_of(&self, row: usize) -> impl Iterator<Item = usize> {
        let [by_z, by_y, _] = self.block;
        let (plane, y) = (row / self.output[1], row % self.output[1]);
        let lines = self.output[1] * by_y;
        (0..by_z * by_y).map(move |i| (plane * by_z + i / by_y) * lines + y * by_y + i % by_y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    #[test]
    fn hand_worked_means() {
        let pool = MeanPool {
            batch: 1,
            output: [1, 1, 2],
            block: [1, 2, 2],
            channels: 1,
        };
        let input = [1.0, 2.0, 5.0, 6.0, 3.0, 4.0, 7.0, 10.0];
        assert_eq!(pool.forward(&input), [2.5, 7.0]);
        let spread = [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0];
        assert_eq!(pool.backward(&[4.0, 8.0]), spread);
    }

    #[test]
    fn the_gradient_is_the_transpose() {
        for block in [[2, 2, 2], [1, 2, 3], [3, 1, 1]] {
            let pool = MeanPool {
                batch: 2,
                output: [2, 3, 2],
                block,
                channels: 5,
            };
            let input = noise(2 * 12 * 5 * volume(block), 1);
            let upper = noise(2 * 12 * 5, 2);
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                let pairs = a.iter().zip(b);
                pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let one = dot(&pool.forward(&input), &upper);
            let other = dot(&input, &pool.backward(&upper));
            assert!((one - other).abs() < 1e-4, "{block:?}: {one} {other}");
        }
    }
}
