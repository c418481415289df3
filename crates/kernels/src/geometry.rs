//! What a convolution does to the shape of its input.

/// A convolution over three spatial axes; a 2-D one has length, kernel, stride
/// and dilation 1 and padding 0 along z.
///
/// Values are channels-last: the input is `[batch, z, y, x, channels_in]`, the
/// output `[batch, z, y, x, channels_out]`; weights are in PyTorch's order
/// `[channels_out, channels_in, z, y, x]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Images.
    pub batch: usize,
    /// Channels of the input.
    pub channels_in: usize,
    /// Channels of the output.
    pub channels_out: usize,
    /// Voxels of the input along z, y and x.
    pub input: [usize; 3],
    /// Taps along each axis.
    pub kernel: [usize; 3],
    /// Input voxels from one output voxel to the next.
    pub stride: [usize; 3],
    /// Input voxels from one tap to the next.
    pub dilation: [usize; 3],
    /// Voxels of zeros at both ends of each axis.
    pub padding: [usize; 3],
}

impl Convolution {
    /// Voxels of the output along z, y and x.
    ///
    /// # Panics
    /// If a length, channel number, stride or dilation is 0, or the kernel does
    /// not fit in the padded input.
    pub fn output(&self) -> [usize; 3] {
        assert!(
            self.batch > 0 && self.channels_in > 0 && self.channels_out > 0,
            "a convolution of nothing: {self:?}"
        );
        std::array::from_fn(|i| {
            assert!(
                self.input[i] > 0
                    && self.kernel[i] > 0
                    && self.stride[i] > 0
                    && self.dilation[i] > 0,
                "an axis of length 0: {self:?}"
            );
            let padded = self.input[i] + 2 * self.padding[i];
            let reach = self.reach()[i];
            assert!(padded > reach, "the kernel exceeds the input: {self:?}");
            (padded - reach - 1) / self.stride[i] + 1
        })
    }

    /// Values of the input.
    pub fn input_len(&self) -> usize {
        self.batch * volume(self.input) * self.channels_in
    }

    /// Values of the output.
    pub fn output_len(&self) -> usize {
        self.batch * volume(self.output()) * self.channels_out
    }

    /// Weights.
    pub fn weight_len(&self) -> usize {
        self.channels_out * self.channels_in * volume(self.kernel)
    }

    /// Voxels from the first tap to the last along each axis.
    pub(crate) fn reach(&self) -> [usize; 3] {
        std::array::from_fn(|i| self.dilation[i] * (self.kernel[i] - 1))
    }
}

/// Voxels of a box.
pub(crate) fn volume(lengths: [usize; 3]) -> usize {
    lengths.iter().product()
}
