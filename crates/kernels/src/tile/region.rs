//! The box of voxels that a convolution of stride 1 reads, zeros around the
//! source included.

use crate::geometry::{Convolution, volume};

/// A convolution of stride 1 whose padding may be negative: a crop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub batch: usize,
    pub channels_in: usize,
    pub channels_out: usize,
    /// Voxels of the source.
    pub size: [usize; 3],
    /// Where the source's first voxel lies in the box; it may lie outside.
    pub at: [isize; 3],
    /// Voxels of the result.
    pub output: [usize; 3],
    pub kernel: [usize; 3],
    pub dilation: [usize; 3],
}

impl Region {
    /// What [`Convolution::forward`] reads.
    pub(super) fn of_input(c: &Convolution) -> Self {
        assert_eq!(c.stride, [1; 3], "a stride that tiles do not take: {c:?}");
        Self {
            batch: c.batch,
            channels_in: c.channels_in,
            channels_out: c.channels_out,
            size: c.input,
            at: c.padding.map(|p| p as isize),
            output: c.output(),
            kernel: c.kernel,
            dilation: c.dilation,
        }
    }

    /// What [`Convolution::data_gradient`] reads: with the order of the taps
    /// reversed, it is a convolution of the output's gradient, padded by what
    /// the kernel reaches beyond the padding.
    pub(super) fn of_output(c: &Convolution) -> Self {
        let reach = c.reach();
        Self {
            channels_in: c.channels_out,
            channels_out: c.channels_in,
            size: c.output(),
            at: std::array::from_fn(|i| reach[i] as isize - c.padding[i] as isize),
            output: c.input,
            ..Self::of_input(c)
        }
    }

    pub(super) fn taps(&self) -> usize {
        volume(self.kernel)
    }

    /// Voxels from the first tap to the last along each axis.
    pub(super) fn reach(&self) -> [usize; 3] {
        std::array::from_fn(|i| self.dilation[i] * (self.kernel[i] - 1))
    }

    /// Voxels of the box.
    pub(super) fn boxed(&self) -> [usize; 3] {
        std::array::from_fn(|i| self.output[i] + self.reach()[i])
    }

    /// Planes of the box, of all images.
    pub(super) fn planes(&self) -> usize {
        self.batch * self.boxed()[0]
    }

    /// The row of the source, in rows, that `row` of `plane` of the box holds.
    pub(super) fn source_row(&self, plane: usize, row: usize) -> Option<usize> {
        let depth = self.boxed()[0];
        let z = self.place(0, plane % depth)?;
        let y = self.place(1, row)?;
        Some((plane / depth * self.size[0] + z) * self.size[1] + y)
    }

    fn place(&self, axis: usize, place: usize) -> Option<usize> {
        let place = usize::try_from(place as isize - self.at[axis]).ok()?;
        (place < self.size[axis]).then_some(place)
    }

    /// Along x: the first voxel of the source in the box, its place there and
    /// how many voxels follow; all 0 where there is none.
    pub(super) fn span(&self) -> (usize, usize, usize) {
        let from = usize::try_from(-self.at[2]).unwrap_or(0);
        let to = usize::try_from(self.at[2]).unwrap_or(0);
        let left = self.size[2].saturating_sub(from);
        let room = self.boxed()[2].saturating_sub(to);
        match left.min(room) {
            0 => (0, 0, 0),
            count => (from, to, count),
        }
    }

    /// The tap with this number, in the weights' order, along z, y and x.
    pub(super) fn tap(&self, number: usize) -> [usize; 3] {
        let [_, y, x] = self.kernel;
        [number / (y * x), number / x % y, number % x]
    }
}

/// `length` in the fewest pieces of at most `limit`, as equal as can be: how
/// long a piece is, and where each starts; the last may overlap the one before.
pub(super) fn pieces(length: usize, limit: usize) -> (usize, Vec<usize>) {
    let count = length.div_ceil(limit);
    let piece = length.div_ceil(count);
    let starts = (0..count).map(|i| (i * piece).min(length - piece));
    (piece, starts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_length_and_none_exceeds_the_limit() {
        assert_eq!(pieces(51, 16), (13, vec![0, 13, 26, 38]));
        assert_eq!(pieces(16, 16), (16, vec![0]));
        assert_eq!(pieces(17, 16), (9, vec![0, 8]));
        assert_eq!(pieces(1, 16), (1, vec![0]));
        assert_eq!(pieces(40, 16), (14, vec![0, 14, 26]));
    }

    #[test]
    fn a_padding_beyond_the_reach_crops_the_gradient() {
        let c = Convolution {
            batch: 1,
            channels_in: 1,
            channels_out: 1,
            input: [1, 5, 3],
            kernel: [1, 3, 1],
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0, 1, 2],
        };
        let region = Region::of_output(&c);
        assert_eq!(region.size, [1, 5, 7]);
        assert_eq!(region.at, [0, 1, -2]);
        assert_eq!(region.boxed(), [1, 7, 3]);
        assert_eq!(region.span(), (2, 0, 3));
        assert_eq!(region.source_row(0, 0), None);
        assert_eq!(region.source_row(0, 5), Some(4));
        assert_eq!(region.source_row(0, 6), None);
    }
}
