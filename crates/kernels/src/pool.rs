//! Max pooling over two axes.

use std::ops::Range;

use rayon::prelude::*;

/// Input rows whose gradient is one parallel task.
const BAND: usize = 16;
/// Channels of a window that are held in registers.
const BLOCK: usize = 16;

/// Max pooling over the last two spatial axes, without padding; values are
/// `[batch, y, x, channel]`, where other spatial axes count as batch. A window
/// that does not fit in the input has no output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Images, or planes of them.
    pub batch: usize,
    /// Pixels of the input along y and x.
    pub input: [usize; 2],
    /// Channels.
    pub channels: usize,
    /// Pixels of a window along y and x.
    pub window: [usize; 2],
    /// Pixels from one window to the next.
    pub stride: [usize; 2],
}

impl MaxPool {
    /// Pixels of the output along y and x.
    ///
    /// # Panics
    /// If a window or a stride is 0 or the window exceeds the input.
    pub fn output(&self) -> [usize; 2] {
        std::array::from_fn(|i| {
            assert!(
                self.stride[i] > 0 && (1..=self.input[i]).contains(&self.window[i]),
                "a window must fit in the input: {self:?}"
            );
            (self.input[i] - self.window[i]) / self.stride[i] + 1
        })
    }

    /// Values of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.input[0] * self.input[1] * self.channels
    }

    /// Values of the output.
    pub fn output_len(&self) -> usize {
        let [y, x] = self.output();
        self.batch * y * x * self.channels
    }

    /// The largest value of each window, `[batch, y, x, channel]`; not a number
    /// where one of them is not.
    ///
    /// # Panics
    /// If the length of `input` does not fit.
    pub fn forward(&self, input: &[f32]) -> Vec<f32> {
        assert_eq!(input.len(), self.input_len(), "values of the input");
        let [rows, columns] = self.output();
        let taps = self.taps();
        let mut output = vec![0.0f32; self.output_len()];
        output
            .par_chunks_mut(columns * self.channels)
            .enumerate()
            .for_each(|(row, output)| {
                let (plane, y) = (row / rows, row % rows);
                for (x, output) in output.chunks_exact_mut(self.channels).enumerate() {
                    let window = &input[self.start(plane, y, x)..];
                    let whole = self.channels / BLOCK * BLOCK;
                    for c in (0..whole).step_by(BLOCK) {
                        let block: [f32; BLOCK] = largest(&taps, &window[c..]);
                        output[c..c + BLOCK].copy_from_slice(&block);
                    }
                    for c in whole..self.channels {
                        [output[c]] = largest(&taps, &window[c..]);
                    }
                }
            });
        output
    }

    /// The gradient by the input, given what [`Self::forward`] read and gave and
    /// the gradient by it: each window's goes to the first of its largest values,
    /// row by row as in PyTorch, and to none where the largest is not a number.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn backward(&self, input: &[f32], output: &[f32], upstream: &[f32]) -> Vec<f32> {
        assert_eq!(input.len(), self.input_len(), "values of the input");
        assert_eq!(output.len(), self.output_len(), "values of the output");
        assert_eq!(upstream.len(), output.len(), "gradient by the output");
        let row = self.input[1] * self.channels;
        // Bands start at a multiple of the stride, so that windows which do not
        // overlap lie in one band.
        let band = BAND.next_multiple_of(self.stride[0]);
        let mut gradient = vec![0.0f32; input.len()];
        gradient
            .par_chunks_mut(self.input[0] * row)
            .enumerate()
            .flat_map(|(plane, gradient)| {
                let bands = gradient.par_chunks_mut(band * row).enumerate();
                bands.map(move |(i, gradient)| (plane, i * band, gradient))
            })
            .for_each(|(plane, first, gradient)| {
                self.band_gradient(plane, first, input, output, upstream, gradient);
            });
        gradient
    }

    /// The gradient by the rows of `plane` from `first` on that `gradient` holds.
    fn band_gradient(
        &self,
        plane: usize,
        first: usize,
        input: &[f32],
        output: &[f32],
        upstream: &[f32],
        gradient: &mut [f32],
    ) {
        let [rows, columns] = self.output();
        let taps = self.taps();
        let start = self.pixel(plane, first, 0);
        let behind = first + gradient.len() / (self.input[1] * self.channels);
        let reaching = (first + 1).saturating_sub(self.window[0]);
        for y in reaching.div_ceil(self.stride[0])..rows.min(behind.div_ceil(self.stride[0])) {
            let top = y * self.stride[0];
            for x in 0..columns {
                let to = ((plane * rows + y) * columns + x) * self.channels;
                let from = self.start(plane, y, x);
                let whole = self.channels / BLOCK * BLOCK;
                let mut window = Window {
                    taps: &taps,
                    inside: first.saturating_sub(top)..behind - top,
                    input,
                    start,
                    gradient,
                };
                for c in (0..whole).step_by(BLOCK) {
                    window.give::<BLOCK>(from + c, &output[to + c..], &upstream[to + c..]);
                }
                for c in whole..self.channels {
                    window.give::<1>(from + c, &output[to + c..], &upstream[to + c..]);
                }
            }
        }
    }

    /// Where a pixel of the input starts.
    fn pixel(&self, plane: usize, y: usize, x: usize) -> usize {
        ((plane * self.input[0] + y) * self.input[1] + x) * self.channels
    }

    /// Where the window of a pixel of the output starts in the input.
    fn start(&self, plane: usize, y: usize, x: usize) -> usize {
        self.pixel(plane, y * self.stride[0], x * self.stride[1])
    }

    /// The pixels of a window, row by row.
    fn taps(&self) -> Vec<Tap> {
        let row = |row| {
            (0..self.window[1]).map(move |x| Tap {
                row,
                offset: self.pixel(0, row, x),
            })
        };
        (0..self.window[0]).flat_map(row).collect()
    }
}

/// A pixel of a window.
#[derive(Clone, Copy)]
struct Tap {
    row: usize,
    /// From the window's first value to the pixel's.
    offset: usize,
}

/// The largest of each of `N` channels over the `taps` of a window.
fn largest<const N: usize>(taps: &[Tap], window: &[f32]) -> [f32; N] {
    taps.iter().fold([f32::NEG_INFINITY; N], |largest, tap| {
        let values: [f32; N] = channels(&window[tap.offset..]);
        std::array::from_fn(|i| {
            let take = (values[i] > largest[i]) | values[i].is_nan();
            if take { values[i] } else { largest[i] }
        })
    })
}

/// A window whose gradient is handed out.
struct Window<'a> {
    taps: &'a [Tap],
    /// The rows of the window that `gradient` holds.
    inside: Range<usize>,
    input: &'a [f32],
    /// Where in the input `gradient` starts.
    start: usize,
    gradient: &'a mut [f32],
}

impl Window<'_> {
    /// Adds `upstream` of `N` channels, whose values start at `from`, to the
    /// gradient of the first tap that equals `output`, where it is inside.
    fn give<const N: usize>(&mut self, from: usize, output: &[f32], upstream: &[f32]) {
        let output: [f32; N] = channels(output);
        let mut left: [f32; N] = channels(upstream);
        for tap in self.taps {
            let at = from + tap.offset;
            let values: [f32; N] = channels(&self.input[at..]);
            if self.inside.contains(&tap.row) {
                let gradient = &mut self.gradient[at - self.start..][..N];
                for i in 0..N {
                    gradient[i] += if values[i] == output[i] { left[i] } else { 0.0 };
                }
            }
            left = std::array::from_fn(|i| if values[i] == output[i] { 0.0 } else { left[i] });
        }
    }
}

fn channels<const N: usize>(values: &[f32]) -> [f32; N] {
    *values.first_chunk().expect("a pixel has its channels")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    /// Values and gradient, window by window and channel by channel in f64.
    fn reference(pool: &MaxPool, input: &[f32], upstream: &[f32]) -> (Vec<f32>, Vec<f64>) {
        let [rows, columns] = pool.output();
        let mut output = Vec::new();
        let mut gradient = vec![0.0f64; input.len()];
        for (i, &upstream) in upstream.iter().enumerate() {
            let (c, pixel) = (i % pool.channels, i / pool.channels);
            let (x, y, n) = (
                pixel % columns,
                pixel / columns % rows,
                pixel / (columns * rows),
            );
            let mut winner = None;
            for dy in 0..pool.window[0] {
                for dx in 0..pool.window[1] {
                    let (py, px) = (y * pool.stride[0] + dy, x * pool.stride[1] + dx);
                    let at = ((n * pool.input[0] + py) * pool.input[1] + px) * pool.channels + c;
                    if winner.is_none_or(|w: usize| input[at] > input[w]) {
                        winner = Some(at);
                    }
                }
            }
            let winner = winner.expect("a window has pixels");
            output.push(input[winner]);
            gradient[winner] += f64::from(upstream);
        }
        (output, gradient)
    }

    #[test]
    fn values_and_gradients_match_a_search_through_each_window() {
        for (window, stride) in [(2, 2), (4, 1), (2, 1), (3, 2), (2, 3)] {
            for (batch, input, channels) in [(3, [37, 11], 5), (1, [4, 4], 1), (2, [50, 21], 30)] {
                let pool = MaxPool {
                    batch,
                    input,
                    channels,
                    window: [window; 2],
                    stride: [stride; 2],
                };
                // Few distinct values, so that windows have ties.
                let values: Vec<_> = noise(pool.input_len(), 1)
                    .iter()
                    .map(|v| (v * 2.0).round())
                    .collect();
                let upstream = noise(pool.output_len(), 2);
                let (output, gradient) = reference(&pool, &values, &upstream);
                assert_eq!(pool.forward(&values), output, "{pool:?}");
                let found = pool.backward(&values, &output, &upstream);
                for (found, expected) in found.iter().zip(&gradient) {
                    let apart = (f64::from(*found) - expected).abs();
                    assert!(apart < 1e-5, "{pool:?}: {found} for {expected}");
                }
            }
        }
    }

    #[test]
    fn hand_worked_window() {
        let pool = MaxPool {
            batch: 1,
            input: [2, 3],
            channels: 1,
            window: [2, 2],
            stride: [1, 1],
        };
        let input = [1.0, 3.0, 2.0, 3.0, 0.0, 4.0];
        assert_eq!(pool.forward(&input), [3.0, 4.0]);
        let gradient = pool.backward(&input, &[3.0, 4.0], &[5.0, 7.0]);
        assert_eq!(gradient, [0.0, 5.0, 0.0, 0.0, 0.0, 7.0]);
        let output = pool.forward(&[1.0, f32::NAN, 2.0, 3.0, 0.0, 4.0]);
        assert!(output.iter().all(|v| v.is_nan()));
    }
}
