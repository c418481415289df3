//! The tile unit: its configuration, and blocks of products on it.
//!
//! A block is `C[r, j] (+)= sum over steps and k of A[r, k] B[k, j]` for up to
//! four tiles of C. The eight tiles are: C in 0 to 3, A in 4 and 5, B in 6 and 7.
//! Rust has no stable functions for the instructions, hence assembly; a block is
//! one piece of it, so that nothing has to outlive a piece in a tile.

use std::arch::asm;
use std::marker::PhantomData;

/// Rows of a tile at most, and 32-bit columns.
pub(super) const SIDE: usize = 16;
/// f32 values of a tile of C in memory; its rows are [`SIDE`] apart.
pub(super) const TILE: usize = SIDE * SIDE;
/// Tiles of C in a block at most.
pub(super) const BLOCK: usize = 4;

/// The shape of the tiles, each number at most [`SIDE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Rows of A and C.
    pub rows: usize,
    /// Pairs of k: values in a row of A, rows of B.
    pub pairs: usize,
    /// Columns of B and C.
    pub columns: usize,
}

impl Shape {
    /// Bytes from a row of B to the next.
    pub(super) fn b_pitch(&self) -> usize {
        4 * self.columns
    }

    /// bfloat16 values of a tile of B.
    pub(super) fn b_len(&self) -> usize {
        2 * self.pairs * self.columns
    }
}

/// The tiles of this thread, in one shape until dropped.
pub(super) struct Tiles {
    b_pitch: usize,
    /// Tiles belong to the thread.
    thread: PhantomData<*const ()>,
}

impl Tiles {
    /// # Safety
    /// The processor must have tiles.
    pub(super) unsafe fn new(shape: Shape) -> Self {
        #[repr(align(64))]
        struct Configuration([u8; 64]);
        let mut configuration = Configuration([0; 64]);
        // Palette 1: eight tiles of at most 16 rows of 64 bytes.
        configuration.0[0] = 1;
        for tile in 0..8 {
            let (rows, columns) = match tile {
                0..4 => (shape.rows, shape.columns),
                4..6 => (shape.rows, shape.pairs),
                _ => (shape.pairs, shape.columns),
            };
            configuration.0[16 + 2 * tile] = 4 * columns as u8;
            configuration.0[48 + tile] = rows as u8;
        }
        // SAFETY: the caller's promise; 64 readable bytes.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &configuration, options(nostack, readonly, preserves_flags));
        }
        Self {
            b_pitch: shape.b_pitch(),
            thread: PhantomData,
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: there is a `Tiles`, so the processor has tiles.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) }
    }
}

/// Where one step's operands start, in bytes from each tile's base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Step {
    pub a: usize,
    pub b: usize,
}

/// What C holds before the products are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Zero,
    /// What it held.
    Held,
}

impl Tiles {
    /// One block: `a` has the bases of its tiles of A, `b` of B, no more than
    /// [`BLOCK`] together; `a_pitch` is in bytes from a row of A to the next.
    /// The tile of C for row tile r and column tile j is number
    /// `r * b.len() + j` at `c`, [`TILE`] values each.
    ///
    /// # Safety
    /// The operands must reach all that the steps address and `c` the tiles of C.
    pub(super) unsafe fn block(
        &self,
        a: &[*const u8],
        a_pitch: usize,
        b: &[*const u8],
        steps: &[Step],
        start: Start,
        c: *mut f32,
    ) {
        let kernel = match (a.len(), b.len(), start) {
            (1, 1, Start::Zero) => zero::one_by_one,
            (2, 1, Start::Zero) => zero::two_by_one,
            (3, 1, Start::Zero) => zero::three_by_one,
            (4, 1, Start::Zero) => zero::four_by_one,
            (1, 2, Start::Zero) => zero::one_by_two,
            (2, 2, Start::Zero) => zero::two_by_two,
            (1, 1, Start::Held) => held::one_by_one,
            (2, 1, Start::Held) => held::two_by_one,
            (3, 1, Start::Held) => held::three_by_one,
            (4, 1, Start::Held) => held::four_by_one,
            (1, 2, Start::Held) => held::one_by_two,
            (2, 2, Start::Held) => held::two_by_two,
            (rows, columns, _) => unreachable!("a block of {rows} by {columns} tiles"),
        };
        assert!(!steps.is_empty(), "a block without steps");
        // SAFETY: the caller's promise; the tiles are configured.
        unsafe { kernel(a.as_ptr(), a_pitch, b.as_ptr(), self.b_pitch, steps, c) }
    }
}

macro_rules! load_a {
    ($tile:literal, $row:literal) => {
        concat!(
            "mov {t}, [{step}]\n",
            "add {t}, [{a} + 8*",
            $row,
            "]\n",
            "tileloadd tmm",
            $tile,
            ", [{t} + {a_pitch}*1]"
        )
    };
}
macro_rules! load_b {
    ($tile:literal, $column:literal) => {
        concat!(
            "mov {t}, [{step} + 8]\n",
            "add {t}, [{b} + 8*",
            $column,
            "]\n",
            "tileloadd tmm",
            $tile,
            ", [{t} + {b_pitch}*1]"
        )
    };
}
macro_rules! dot {
    ($c:literal, $a:literal, $b:literal) => {
        concat!("tdpbf16ps tmm", $c, ", tmm", $a, ", tmm", $b)
    };
}
macro_rules! start {
    (zero $c:literal) => {
        concat!("tilezero tmm", $c)
    };
    (held $c:literal) => {
        concat!("tileloadd tmm", $c, ", [{c} + {t}*1 + 1024*", $c, "]")
    };
}

/// A function that starts the tiles `$c` of C, adds all steps and stores them.
macro_rules! kernel {
    ($name:ident, $start:ident, [$($c:tt)*], [$($line:expr),* $(,)?]) => {
        /// # Safety
        /// See [`super::Tiles::block`].
        pub(super) unsafe fn $name(
            a: *const *const u8,
            a_pitch: usize,
            b: *const *const u8,
            b_pitch: usize,
            steps: &[super::Step],
            c: *mut f32,
        ) {
            let steps = steps.as_ptr_range();
            // SAFETY: the caller's promise: all addresses are readable, and the
            // tiles of C writable; tiles hold nothing that is needed after.
            unsafe {
                std::arch::asm!(
                    "mov {t}, 64",
                    $(start!($start $c),)*
                    "2:",
                    $($line,)*
                    "add {step}, 16",
                    "cmp {step}, {end}",
                    "jne 2b",
                    "mov {t}, 64",
                    $(concat!("tilestored [{c} + {t}*1 + 1024*", $c, "], tmm", $c),)*
                    step = inout(reg) steps.start => _,
                    end = in(reg) steps.end,
                    a = in(reg) a,
                    a_pitch = in(reg) a_pitch,
                    b = in(reg) b,
                    b_pitch = in(reg) b_pitch,
                    c = in(reg) c,
                    t = out(reg) _,
                    out("tmm0") _,
                    out("tmm1") _,
                    out("tmm2") _,
                    out("tmm3") _,
                    out("tmm4") _,
                    out("tmm5") _,
                    out("tmm6") _,
                    out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

/// The kernels of one [`Start`]. Loads stand where the products before them
/// hide their time.
macro_rules! kernels {
    ($start:ident) => {
        mod $start {
            kernel!(one_by_one, $start, [0], [load_a!(4, 0), load_b!(6, 0), dot!(0, 4, 6)]);
            kernel!(
                two_by_one,
                $start,
                [0 1],
                [load_a!(4, 0), load_b!(6, 0), dot!(0, 4, 6), load_a!(5, 1), dot!(1, 5, 6)]
            );
            kernel!(
                three_by_one,
                $start,
                [0 1 2],
                [
                    load_a!(4, 0), load_b!(6, 0), dot!(0, 4, 6), load_a!(5, 1), dot!(1, 5, 6),
                    load_a!(4, 2), dot!(2, 4, 6)
                ]
            );
            kernel!(
                four_by_one,
                $start,
                [0 1 2 3],
                [
                    load_a!(4, 0), load_b!(6, 0), dot!(0, 4, 6), load_a!(5, 1), dot!(1, 5, 6),
                    load_a!(4, 2), dot!(2, 4, 6), load_a!(5, 3), dot!(3, 5, 6)
                ]
            );
            kernel!(
                one_by_two,
                $start,
                [0 1],
                [load_a!(4, 0), load_b!(6, 0), dot!(0, 4, 6), load_b!(7, 1), dot!(1, 4, 7)]
            );
            kernel!(
                two_by_two,
                $start,
                [0 1 2 3],
                [
                    load_a!(4, 0), load_b!(6, 0), dot!(0, 4, 6), load_a!(5, 1), dot!(2, 5, 6),
                    load_b!(7, 1), dot!(1, 4, 7), dot!(3, 5, 7)
                ]
            );
        }
    };
}

kernels!(zero);
kernels!(held);
