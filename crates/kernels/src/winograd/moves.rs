//! Tiles of voxels to and from the domain of the products.
//!
//! Each function handles one tile and one register of channels, and is generic
//! over `Z`: the lines along z, 6 for a kernel of three taps and 1 for a kernel
//! of one. Positions are numbered z, y, x, the last fastest.

use super::grid::{Line, NONE};
use super::lines::{self, INPUTS, OUTPUTS, TAPS};
use crate::vector::Vector;

/// A register of channels of a channels-last volume.
#[derive(Clone, Copy)]
pub(crate) struct Volume {
    /// Voxels along z, y and x.
    pub size: [usize; 3],
    /// Values per voxel.
    pub channels: usize,
    /// Channels in this register; the other lanes are 0 and not stored.
    pub count: usize,
}

impl Volume {
    /// Values before the voxel, or [`NONE`].
    #[inline(always)]
    fn row(&self, z: usize, y: usize) -> usize {
        match z == NONE || y == NONE {
            true => NONE,
            false => (z * self.size[1] + y) * self.size[2] * self.channels,
        }
    }
}

/// What values are read through: scale, shift and slope of the channels of a
/// register, and whether they are then rounded to bfloat16.
#[derive(Clone, Copy)]
pub(crate) struct Lens<V> {
    pub rectifier: Option<[V; 3]>,
    pub round: bool,
}

impl<V: Vector> Lens<V> {
    #[inline(always)]
    unsafe fn read(&self, volume: &Volume, from: *const f32) -> V {
        // SAFETY: the caller gives `volume.count` readable values.
        unsafe {
            let mut value = load(from, volume.count);
            if let Some([scale, shift, slope]) = self.rectifier {
                let u = shift.add_product(scale, value);
                let positive = u.where_positive(u);
                // Exact: one of the two is 0.
                value = positive.add_product(slope, u.sub(positive));
            }
            if self.round {
                value = value.round_to_bf16();
            }
            value
        }
    }
}

#[inline(always)]
unsafe fn load<V: Vector>(from: *const f32, count: usize) -> V {
    // SAFETY: the caller gives `count` readable values.
    unsafe {
        if count == V::LANES {
            return V::load(from);
        }
        let mut part = [0.0f32; 16];
        for (lane, value) in part.iter_mut().enumerate().take(count) {
            *value = *from.add(lane);
        }
        V::load(part.as_ptr())
    }
}

#[inline(always)]
unsafe fn store<V: Vector>(value: V, to: *mut f32, count: usize) {
    // SAFETY: the caller gives room for `count` values.
    unsafe {
        if count == V::LANES {
            return value.store(to);
        }
        let mut part = [0.0f32; 16];
        value.store(part.as_mut_ptr());
        std::ptr::copy_nonoverlapping(part.as_ptr(), to, count);
    }
}

/// A transform of a line of `N` voxels. A type rather than a closure, which
/// would be compiled without the vector instructions where it is not inlined.
trait Along<const N: usize> {
    unsafe fn along<V: Vector>(line: [V; N]) -> [V; INPUTS];
}

struct OfInput;

impl Along<INPUTS> for OfInput {
    #[inline(always)]
    unsafe fn along<V: Vector>(line: [V; INPUTS]) -> [V; INPUTS] {
        // SAFETY: the caller runs where V's instructions are.
        unsafe { lines::of_input(line) }
    }
}

struct OfOutput;

impl Along<OUTPUTS> for OfOutput {
    #[inline(always)]
    unsafe fn along<V: Vector>(line: [V; OUTPUTS]) -> [V; INPUTS] {
        // SAFETY: the caller runs where V's instructions are.
        unsafe { lines::of_output(line) }
    }
}

/// `B' x` of a tile: position `p` at `to + p * stride`.
#[inline(always)]
pub(crate) unsafe fn input<V: Vector, const Z: usize>(
    volume: &Volume,
    lens: &Lens<V>,
    from: *const f32,
    tile: &[Line; 3],
    to: *mut f32,
    stride: usize,
) {
    let places = tile.each_ref().map(|line| &line.inputs);
    // SAFETY: the caller's promise.
    unsafe { transform::<V, OfInput, Z, INPUTS>(volume, lens, from, places, to, stride) }
}

/// `A dy` of a tile: position `p` at `to + p * stride`.
#[inline(always)]
pub(crate) unsafe fn upper<V: Vector, const Z: usize>(
    volume: &Volume,
    lens: &Lens<V>,
    from: *const f32,
    tile: &[Line; 3],
    to: *mut f32,
    stride: usize,
) {
    let places = tile.each_ref().map(|line| &line.outputs);
    // SAFETY: the caller's promise.
    unsafe { transform::<V, OfOutput, Z, OUTPUTS>(volume, lens, from, places, to, stride) }
}

/// The voxels at `places` transformed along x, y and, where there are lines, z.
#[inline(always)]
unsafe fn transform<V: Vector, A: Along<N>, const Z: usize, const N: usize>(
    volume: &Volume,
    lens: &Lens<V>,
    from: *const f32,
    places: [&[usize; N]; 3],
    to: *mut f32,
    stride: usize,
) {
    // SAFETY: the places lie in the volume at `from`, and `to` has room for all
    // positions.
    unsafe {
        let zero = V::splat(0.0);
        let mut values = [[[zero; INPUTS]; INPUTS]; Z];
        for (plane, &z) in values.iter_mut().zip(places[0]) {
            for (line, &y) in plane.iter_mut().zip(places[1]) {
                let row = volume.row(z, y);
                if row == NONE {
                    continue;
                }
                let mut read = [zero; N];
                for (value, &x) in read.iter_mut().zip(places[2]) {
                    if x != NONE {
                        *value = lens.read(volume, from.add(row + x * volume.channels));
                    }
                }
                *line = A::along(read);
            }
            for x in 0..INPUTS {
                let column = A::along(std::array::from_fn(|y| plane[y][x]));
                for (y, value) in column.into_iter().enumerate() {
                    plane[y][x] = value;
                }
            }
        }
        for y in 0..INPUTS {
            for x in 0..INPUTS {
                if Z == 1 {
                    values[0][y][x].store(to.add((y * INPUTS + x) * stride));
                    continue;
                }
                let column = A::along(std::array::from_fn(|z| values[z % Z][y][x]));
                for (z, value) in column.into_iter().enumerate() {
                    value.store(to.add(((z * INPUTS + y) * INPUTS + x) * stride));
                }
            }
        }
    }
}

/// `A' m` of a tile, plus a bias, to the tile's outputs in the volume at `to`.
#[inline(always)]
pub(crate) unsafe fn output<V: Vector, const Z: usize>(
    volume: &Volume,
    from: *const f32,
    stride: usize,
    tile: &[Line; 3],
    bias: V,
    rectify: bool,
    to: *mut f32,
) {
    // SAFETY: all positions are readable at `from`; the tile's places lie in
    // the volume at `to`.
    unsafe {
        let zero = V::splat(0.0);
        let at = |z: usize, y: usize, x: usize| {
            V::load(from.add(((z * INPUTS + y) * INPUTS + x) * stride))
        };
        // Only as many planes as there are outputs along z are used.
        let mut planes = [[[zero; INPUTS]; INPUTS]; OUTPUTS];
        for y in 0..INPUTS {
            for x in 0..INPUTS {
                if Z == 1 {
                    planes[0][y][x] = at(0, y, x);
                    continue;
                }
                let column = lines::to_output(std::array::from_fn(|z| at(z, y, x)));
                for (plane, value) in planes.iter_mut().zip(column) {
                    plane[y][x] = value;
                }
            }
        }
        let outputs = if Z == 1 { 1 } else { OUTPUTS };
        for (plane, &z) in planes.iter().zip(&tile[0].outputs).take(outputs) {
            let mut rows = [[zero; INPUTS]; OUTPUTS];
            for x in 0..INPUTS {
                let column = lines::to_output(std::array::from_fn(|y| plane[y][x]));
                for (row, value) in rows.iter_mut().zip(column) {
                    row[x] = value;
                }
            }
            for (row, &y) in rows.iter().zip(&tile[1].outputs) {
                let start = volume.row(z, y);
                if start == NONE {
                    continue;
                }
                for (value, &x) in lines::to_output(*row).into_iter().zip(&tile[2].outputs) {
                    if x == NONE {
                        continue;
                    }
                    let mut value = value.add(bias);
                    if rectify {
                        // This order keeps what is not a number.
                        value = zero.max(value);
                    }
                    store(value, to.add(start + x * volume.channels), volume.count);
                }
            }
        }
    }
}

/// `G w` of a register of kernels: tap `t` at `from + t * LANES`, position `p`
/// to `to + p * stride`.
#[inline(always)]
pub(crate) unsafe fn taps<V: Vector, const Z: usize>(
    from: *const f32,
    to: *mut f32,
    stride: usize,
) {
    // SAFETY: the caller gives all taps and room for all positions.
    unsafe {
        let zero = V::splat(0.0);
        let deep = if Z == 1 { 1 } else { TAPS };
        let mut values = [[[zero; INPUTS]; INPUTS]; TAPS];
        for (z, plane) in values.iter_mut().enumerate().take(deep) {
            for (y, line) in plane.iter_mut().enumerate().take(TAPS) {
                let tap = |x| V::load(from.add(((z * TAPS + y) * TAPS + x) * V::LANES));
                *line = lines::of_taps(std::array::from_fn(tap));
            }
            for x in 0..INPUTS {
                let column = lines::of_taps(std::array::from_fn(|y| plane[y][x]));
                for (y, value) in column.into_iter().enumerate() {
                    plane[y][x] = value;
                }
            }
        }
        for y in 0..INPUTS {
            for x in 0..INPUTS {
                let position = |z: usize| to.add(((z * INPUTS + y) * INPUTS + x) * stride);
                if Z == 1 {
                    values[0][y][x].store(position(0));
                    continue;
                }
                let column = lines::of_taps(std::array::from_fn(|z| values[z][y][x]));
                for (z, value) in column.into_iter().enumerate() {
                    value.store(position(z));
                }
            }
        }
    }
}

/// `G' m`: position `p` at `from + p * stride` to taps at `to + t * LANES`.
#[inline(always)]
pub(crate) unsafe fn to_taps<V: Vector, const Z: usize>(
    from: *const f32,
    stride: usize,
    to: *mut f32,
) {
    // SAFETY: as in `taps`, the other way round.
    unsafe {
        let zero = V::splat(0.0);
        let deep = if Z == 1 { 1 } else { TAPS };
        let mut values = [[[zero; INPUTS]; INPUTS]; TAPS];
        for y in 0..INPUTS {
            for x in 0..INPUTS {
                let at = |z: usize| V::load(from.add(((z * INPUTS + y) * INPUTS + x) * stride));
                if Z == 1 {
                    values[0][y][x] = at(0);
                    continue;
                }
                for (plane, value) in
                    (values.iter_mut()).zip(lines::to_taps(std::array::from_fn(at)))
                {
                    plane[y][x] = value;
                }
            }
        }
        for (z, plane) in values.iter().enumerate().take(deep) {
            let mut rows = [[zero; INPUTS]; TAPS];
            for x in 0..INPUTS {
                let column = lines::to_taps(std::array::from_fn(|y| plane[y][x]));
                for (row, value) in rows.iter_mut().zip(column) {
                    row[x] = value;
                }
            }
            for (y, row) in rows.into_iter().enumerate() {
                for (x, value) in lines::to_taps(row).into_iter().enumerate() {
                    value.store(to.add(((z * TAPS + y) * TAPS + x) * V::LANES));
                }
            }
        }
    }
}
