//! From a tile of sums to the output: bias, ReLU and partial columns.

use super::unit::{SIDE, Shape};
use crate::instructions::Instructions;
use crate::vector::{Vector, with_vector};

/// What follows the sums.
pub(super) struct Finish<'a> {
    pub instructions: Instructions,
    pub bias: Option<&'a [f32]>,
    pub rectify: bool,
    pub channels: usize,
}

impl Finish<'_> {
    /// A tile of C to the output, whose channels from `first` on are at `to`.
    ///
    /// # Safety
    /// `sums` must hold the tile and `to` reach its voxels.
    pub(super) unsafe fn tile(&self, sums: *const f32, shape: Shape, first: usize, to: *mut f32) {
        let mut bias = [0.0f32; SIDE];
        let count = shape.columns.min(self.channels - first);
        if let Some(from) = self.bias {
            bias[..count].copy_from_slice(&from[first..][..count]);
        }
        let (bias, rectify, channels, rows) = (&bias, self.rectify, self.channels, shape.rows);
        let instructions = self.instructions;
        // SAFETY: the caller's promise; the instructions are the detected ones.
        unsafe {
            with_vector!(
                instructions,
                finish_rows(
                    sums: *const f32,
                    rows: usize,
                    count: usize,
                    bias: &[f32; SIDE],
                    rectify: bool,
                    channels: usize,
                    to: *mut f32,
                )
            )
        }
    }
}

#[inline(always)]
unsafe fn finish_rows<V: Vector>(
    sums: *const f32,
    rows: usize,
    count: usize,
    bias: &[f32; SIDE],
    rectify: bool,
    channels: usize,
    to: *mut f32,
) {
    for r in 0..rows {
        // SAFETY: the caller's promise.
        let (sums, to) = unsafe { (sums.add(r * SIDE), to.add(r * channels)) };
        let vectors = if count == SIDE { SIDE / V::LANES } else { 0 };
        for j in (0..vectors).map(|j| j * V::LANES) {
            // SAFETY: whole registers of a full row.
            unsafe {
                let mut value = V::load(sums.add(j)).add(V::load(bias.as_ptr().add(j)));
                if rectify {
                    // This order keeps what is not a number.
                    value = V::splat(0.0).max(value);
                }
                value.store(to.add(j));
            }
        }
        for (j, bias) in bias.iter().enumerate().take(count).skip(vectors * V::LANES) {
            // SAFETY: within the tile's columns.
            unsafe {
                let value = *sums.add(j) + bias;
                *to.add(j) = if rectify && value < 0.0 { 0.0 } else { value };
            }
        }
    }
}
