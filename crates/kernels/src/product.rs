//! The matrix product that every convolution is made of.
//!
//! A batch-reduce product: `C[r, j] (+)= sum over terms t and k of
//! A_t[r, k] B_t[k, j]`, where the terms are, say, the taps of a kernel. The sums
//! of a block of C stay in registers through all terms and all k.

use crate::instructions::Instructions;
use crate::vector::{Vector, with_vector};

/// The most registers a row of a block of C has.
const WIDTH_MAX: usize = 4;
/// The most values in a register.
const LANES_MAX: usize = 16;

/// Where one term's operands start, in values from the bases given to
/// [`multiply`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    /// Start of A.
    pub a: usize,
    /// Start of B.
    pub b: usize,
}

/// What C holds before the products are added.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// Nothing: C is overwritten.
    Zero,
    /// What it held.
    Held,
    /// A row of values, `columns` long.
    Row(*const f32),
}

/// One product; lengths and strides in values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    /// Rows of A and C.
    pub rows: usize,
    /// Columns of C; at most [`panel`] of the instructions.
    pub columns: usize,
    /// Length of the sum in each term.
    pub depth: usize,
    /// From a row of A to the next.
    pub a_row: usize,
    /// From one `k` of A to the next.
    pub a_depth: usize,
    /// From one `k` of B to the next. Every row of B is read in whole
    /// registers: up to [`padded_columns`] values.
    pub b_depth: usize,
    /// From a row of C to the next.
    pub c_row: usize,
    /// What C starts from.
    pub start: Start,
    /// Negative results become 0.
    pub rectify: bool,
}

/// Columns that one product covers at most.
pub(crate) fn panel(instructions: Instructions) -> usize {
    match instructions {
        Instructions::Portable | Instructions::Avx2 => 16,
        Instructions::Avx512 => 64,
    }
}

/// Runs of at most a panel that cover `columns`: start and width.
pub(crate) fn panels(
    instructions: Instructions,
    columns: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let width = panel(instructions);
    (0..columns)
        .step_by(width)
        .map(move |start| (start, width.min(columns - start)))
}

/// `columns` rounded up to whole registers.
pub(crate) fn padded_columns(instructions: Instructions, columns: usize) -> usize {
    columns.next_multiple_of(match instructions {
        Instructions::Portable | Instructions::Avx2 => 8,
        Instructions::Avx512 => 16,
    })
}

/// The product described by `p` over `terms`.
///
/// # Safety
/// `a`, `b` and `c` must reach all that `p` and `terms` address, C must not
/// overlap the operands, and the processor must have `instructions`.
pub(crate) unsafe fn multiply(
    instructions: Instructions,
    p: &Product,
    terms: &[Term],
    a: *const f32,
    b: *const f32,
    c: *mut f32,
) {
    debug_assert!(p.columns <= panel(instructions));
    // SAFETY: the caller's promise.
    unsafe {
        with_vector!(
            instructions,
            rows(
                p: &Product,
                terms: &[Term],
                a: *const f32,
                b: *const f32,
                c: *mut f32,
            )
        )
    }
}

#[inline(always)]
unsafe fn rows<V: Vector>(p: &Product, terms: &[Term], a: *const f32, b: *const f32, c: *mut f32) {
    let mut row = 0;
    while row < p.rows {
        let left = p.rows - row;
        // SAFETY: within the rows that the caller promised.
        row += unsafe {
            block_of::<V>(
                p,
                terms,
                a.add(row * p.a_row),
                b,
                c.add(row * p.c_row),
                left,
            )
        };
    }
}

/// Computes as many rows as the largest block that fits in `left`, and says how many.
#[inline(always)]
unsafe fn block_of<V: Vector>(
    p: &Product,
    terms: &[Term],
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    left: usize,
) -> usize {
    macro_rules! ladder {
        ($width:literal, $unroll:literal: $($rows:literal)*) => {{
            $(if $rows * $width <= V::SUMS && left >= $rows {
                // SAFETY: the caller's promise, for `$rows` rows.
                unsafe { block::<V, $rows, $width, $unroll>(p, terms, a, b, c) };
                return $rows;
            })*
            unreachable!("the ladder ends with one row")
        }};
    }
    match p.columns.div_ceil(V::LANES) {
        1 => ladder!(1, 4: 24 12 6 4 3 2 1),
        2 if V::SUMS < 24 => ladder!(2, 1: 6 4 3 2 1),
        2 => ladder!(2, 2: 12 6 4 3 2 1),
        3 => ladder!(3, 1: 8 6 4 3 2 1),
        _ => ladder!(4, 1: 6 5 4 3 2 1),
    }
}

/// A block of `ROWS` rows and `WIDTH` registers; `UNROLL` values of k at a time
/// keep the addresses of many rows from crowding out the sums.
#[inline(always)]
unsafe fn block<V: Vector, const ROWS: usize, const WIDTH: usize, const UNROLL: usize>(
    p: &Product,
    terms: &[Term],
    a: *const f32,
    b: *const f32,
    c: *mut f32,
) {
    // SAFETY: the caller's promise: the operands reach what `p` and `terms`
    // address; a partial last register of C goes through memory.
    unsafe {
        let mut sums = [[V::splat(0.0); WIDTH]; ROWS];
        for term in terms {
            let mut a = a.add(term.a);
            let mut b = b.add(term.b);
            for _ in 0..p.depth / UNROLL {
                steps::<V, ROWS, WIDTH, UNROLL>(p, &mut sums, a, b);
                a = a.add(UNROLL * p.a_depth);
                b = b.add(UNROLL * p.b_depth);
            }
            for _ in 0..p.depth % UNROLL {
                steps::<V, ROWS, WIDTH, 1>(p, &mut sums, a, b);
                a = a.add(p.a_depth);
                b = b.add(p.b_depth);
            }
        }
        if p.columns == WIDTH * V::LANES {
            for (r, row) in sums.iter().enumerate() {
                finish::<V, WIDTH>(p, row, c.add(r * p.c_row));
            }
        } else {
            let mut part = [0.0f32; WIDTH_MAX * LANES_MAX];
            for (r, row) in sums.iter().enumerate() {
                for (j, sum) in row.iter().enumerate() {
                    sum.store(part.as_mut_ptr().add(j * V::LANES));
                }
                finish_part(p, &part, c.add(r * p.c_row));
            }
        }
    }
}

#[inline(always)]
unsafe fn steps<V: Vector, const ROWS: usize, const WIDTH: usize, const UNROLL: usize>(
    p: &Product,
    sums: &mut [[V; WIDTH]; ROWS],
    a: *const f32,
    b: *const f32,
) {
    // SAFETY: `UNROLL` values of k are left in this term.
    unsafe {
        let mut right = [[V::splat(0.0); WIDTH]; UNROLL];
        for (k, row) in right.iter_mut().enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                *value = V::load(b.add(k * p.b_depth + j * V::LANES));
            }
        }
        for (r, row) in sums.iter_mut().enumerate() {
            for (k, right) in right.iter().enumerate() {
                let left = V::splat(*a.add(r * p.a_row + k * p.a_depth));
                for (sum, &right) in row.iter_mut().zip(right) {
                    *sum = sum.add_product(left, right);
                }
            }
        }
    }
}

/// Adds what C starts from to a row of sums and stores it.
#[inline(always)]
unsafe fn finish<V: Vector, const WIDTH: usize>(p: &Product, row: &[V; WIDTH], c: *mut f32) {
    for (j, &sum) in row.iter().enumerate() {
        // SAFETY: the caller gives whole registers at `c`.
        unsafe {
            let mut value = match p.start {
                Start::Zero => sum,
                Start::Held => sum.add(V::load(c.add(j * V::LANES))),
                Start::Row(from) => sum.add(V::load(from.add(j * V::LANES))),
            };
            if p.rectify {
                // This order keeps what is not a number.
                value = V::splat(0.0).max(value);
            }
            value.store(c.add(j * V::LANES));
        }
    }
}

/// [`finish`] for a row whose last register is not full, from memory.
unsafe fn finish_part(p: &Product, sums: &[f32], c: *mut f32) {
    for (j, &sum) in sums[..p.columns].iter().enumerate() {
        // SAFETY: C and the row it starts from reach `columns` values.
        unsafe {
            let value = match p.start {
                Start::Zero => sum,
                Start::Held => sum + *c.add(j),
                Start::Row(from) => sum + *from.add(j),
            };
            *c.add(j) = if p.rectify && value < 0.0 { 0.0 } else { value };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any reproducible values in [-1, 1).
    fn values(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..count)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            })
            .collect()
    }

    #[test]
    fn products_agree_with_sums_in_f64_on_every_instruction_path() {
        for instructions in Instructions::available() {
            for (rows, columns, depth) in [(1, 1, 1), (7, 16, 5), (25, 3, 9), (51, 40, 64)] {
                check(instructions, rows, columns.min(panel(instructions)), depth);
            }
            check(instructions, 13, panel(instructions), 11);
        }
    }

    fn check(instructions: Instructions, rows: usize, columns: usize, depth: usize) {
        let stride = padded_columns(instructions, columns);
        let a = values(2 * rows * depth, 1);
        let b = values(2 * depth * stride, 2);
        let bias = values(columns, 3);
        let held = values(rows * columns, 4);
        let terms = [
            Term { a: 0, b: 0 },
            Term {
                a: rows * depth,
                b: depth * stride,
            },
        ];
        for (start, rectify) in [
            (Start::Zero, false),
            (Start::Held, true),
            (Start::Row(bias.as_ptr()), false),
        ] {
            // The second operand order: A stored with k outermost.
            for (a_row, a_depth) in [(depth, 1), (1, rows)] {
                let mut c = held.clone();
                let product = Product {
                    rows,
                    columns,
                    depth,
                    a_row,
                    a_depth,
                    b_depth: stride,
                    c_row: columns,
                    start,
                    rectify,
                };
                // SAFETY: the vectors have the lengths that the product addresses.
                unsafe {
                    multiply(
                        instructions,
                        &product,
                        &terms,
                        a.as_ptr(),
                        b.as_ptr(),
                        c.as_mut_ptr(),
                    );
                }
                for r in 0..rows {
                    for j in 0..columns {
                        let mut sum = match start {
                            Start::Zero => 0.0,
                            Start::Held => f64::from(held[r * columns + j]),
                            Start::Row(_) => f64::from(bias[j]),
                        };
                        for term in &terms {
                            for k in 0..depth {
                                let left = f64::from(a[term.a + r * a_row + k * a_depth]);
                                sum += left * f64::from(b[term.b + k * stride + j]);
                            }
                        }
                        let expected = if rectify { sum.max(0.0) } else { sum };
                        let found = f64::from(c[r * columns + j]);
                        assert!(
                            (found - expected).abs() < 1e-5,
                            "{instructions} {rows}x{columns}x{depth} at ({r}, {j}): \
                             {found}, expected {expected}"
                        );
                    }
                }
            }
        }
    }
}
