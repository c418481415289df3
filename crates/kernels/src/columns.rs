//! Channels-last values as one flat row of registers.
//!
//! Few channel counts fill whole registers (30, 50 and 150 do not), so kernels
//! go over the flat values rather than voxel by voxel. What is one value per
//! channel is repeated over a period: the shortest row in which whole voxels
//! and whole registers end together, and long enough that sums of neighbouring
//! registers do not wait for each other.

use crate::vector::Vector;

/// The most values in a register, so that all instruction sets share the splits.
const LANES_MAX: usize = 16;
/// The fewest values in a period.
const PERIOD_MIN: usize = 64;
/// About as many values as stay in a core's cache for a second look.
const RUN: usize = 1 << 14;
/// The most periods in a run: the most values that are added up in f32.
const PERIODS: usize = 64;
/// About as many values as a thread takes at a time.
const TASK: usize = 1 << 16;

/// How flat channels-last values are cut; a function of the channels alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub channels: usize,
    /// Values until whole voxels and whole registers end together.
    pub period: usize,
    /// Values whose sums are held in f32 before they go to f64; whole periods.
    pub run: usize,
    /// Values of one parallel task; whole runs.
    pub task: usize,
}

impl Columns {
    pub fn new(channels: usize) -> Self {
        assert!(channels > 0, "values without channels");
        let voxels = LANES_MAX >> channels.trailing_zeros().min(LANES_MAX.ilog2());
        let shortest = channels * voxels;
        let period = shortest * PERIOD_MIN.div_ceil(shortest);
        let run = period * (RUN / period).clamp(1, PERIODS);
        let task = run * (TASK / run).max(1);
        Self {
            channels,
            period,
            run,
            task,
        }
    }

    /// One value per channel, repeated over a period.
    pub fn spread(&self, row: &[f32]) -> Vec<f32> {
        assert_eq!(row.len(), self.channels, "one value per channel");
        row.repeat(self.period / self.channels)
    }

    /// Adds the sums of a period to those of each channel, and clears them.
    pub fn fold(&self, sums: &mut [f32], totals: &mut [f64]) {
        for voxel in sums.chunks_exact_mut(self.channels) {
            for (sum, total) in voxel.iter_mut().zip(&mut *totals) {
                *total += f64::from(std::mem::take(sum));
            }
        }
    }

    /// Voxels in `values`.
    pub fn voxels(&self, values: &[f32]) -> usize {
        assert_eq!(values.len() % self.channels, 0, "whole voxels");
        values.len() / self.channels
    }
}

/// The sums of tasks added in their order.
pub(crate) fn total(tasks: &[Vec<f64>], length: usize) -> Vec<f64> {
    let mut total = vec![0.0; length];
    for task in tasks {
        for (total, part) in total.iter_mut().zip(task) {
            *total += part;
        }
    }
    total
}

/// What is done with one register of values; holds pointers, so that the
/// compiler keeps it in registers.
pub(crate) trait Lanewise: Copy {
    /// Works on the register at `value` of the values, `place` of the period.
    unsafe fn at<V: Vector>(self, value: usize, place: usize);
}

/// Does `work` on `length` values whose first lies at the start of a period;
/// those that do not fill a register go one by one.
#[inline(always)]
pub(crate) unsafe fn walk<V: Vector, W: Lanewise>(length: usize, period: usize, work: W) {
    let mut start = 0;
    while start < length {
        let end = length.min(start + period);
        let mut at = start;
        while at + V::LANES <= end {
            // SAFETY: the caller's promise about `length` values and a period.
            unsafe { work.at::<V>(at, at - start) };
            at += V::LANES;
        }
        while at < end {
            // SAFETY: as above.
            unsafe { work.at::<One>(at, at - start) };
            at += 1;
        }
        start = end;
    }
}

/// [`walk`] with the vector of `$instructions`.
macro_rules! walk_with {
    ($instructions:expr, $Work:ty, $length:expr, $period:expr, $work:expr) => {{
        #[inline(always)]
        unsafe fn walk_all<V: $crate::vector::Vector>(length: usize, period: usize, work: $Work) {
            // SAFETY: handed on from the caller.
            unsafe { $crate::columns::walk::<V, $Work>(length, period, work) }
        }
        let (length, period, work) = ($length, $period, $work);
        $crate::vector::with_vector!(
            $instructions,
            walk_all(length: usize, period: usize, work: $Work)
        )
    }};
}
pub(crate) use walk_with;

/// A register of one value.
#[derive(Clone, Copy)]
pub(crate) struct One(f32);

impl Vector for One {
    const LANES: usize = 1;
    const SUMS: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(value)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives a readable value.
        Self(unsafe { *from })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller gives room for a value.
        unsafe { *to = self.0 }
    }
    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        Self(self.0 + a.0 * b.0)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Self(self.0 / other.0)
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(self.0.sqrt())
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(if self.0 > other.0 { self.0 } else { other.0 })
    }
    #[inline(always)]
    unsafe fn where_positive(self, gate: Self) -> Self {
        Self(if gate.0 > 0.0 { self.0 } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn round_to_bf16(self) -> Self {
        Self(crate::precision::to_bf16_and_back(self.0))
    }
}
