//! The tile instructions in software, for tests on processors without them.
//!
//! Such a processor raises SIGILL; the handler does what Intel's manual says the
//! instruction does (Software Developer's Manual, volume 2) and goes on after
//! it. Each thread has tiles of its own.

use std::cell::Cell;
use std::sync::Once;

const TILES: usize = 8;

/// The tiles of a thread.
struct State {
    /// Bytes of a row and rows of each tile; `None` before `ldtilecfg` and
    /// after `tilerelease`.
    shape: Cell<Option<[(usize, usize); TILES]>>,
    values: [Cell<[[u32; 16]; 16]>; TILES],
}

thread_local! {
    // No destructor and no allocation: a signal handler may use it.
    static STATE: State = const {
        State {
            shape: Cell::new(None),
            values: [const { Cell::new([[0; 16]; 16]) }; TILES],
        }
    };
}

/// An instruction, with what its operands hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    Configure { from: u64 },
    Release,
    Zero { tile: usize },
    Load { tile: usize, from: u64, pitch: u64 },
    Store { tile: usize, to: u64, pitch: u64 },
    Dot { c: usize, a: usize, b: usize },
}

/// Makes the tile instructions work in this process, if the processor has none.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if super::available() {
            return;
        }
        // SAFETY: the handler has the type that SA_SIGINFO asks for.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            assert_eq!(
                libc::sigaction(libc::SIGILL, &action, std::ptr::null_mut()),
                0
            );
        }
    });
}

/// True while this thread's tiles are configured in software.
pub(super) fn configured() -> bool {
    STATE.with(|state| state.shape.get().is_some())
}

extern "C" fn handle(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system gives the context of the thread, whose instruction
    // pointer is at an instruction; none of the tiles' is longer than 10 bytes,
    // and code goes on for longer than that after any of them.
    let done = unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let at = registers[libc::REG_RIP as usize];
        let bytes = std::slice::from_raw_parts(at as *const u8, 10);
        let decoded = decode(bytes, |number| registers[GENERAL[number] as usize] as u64);
        decoded.is_some_and(|(instruction, length)| {
            registers[libc::REG_RIP as usize] += length as i64;
            STATE.with(|state| state.execute(instruction))
        })
    };
    if !done {
        eprintln!("an illegal instruction that is not a valid one of the tiles");
        std::process::abort();
    }
}

/// Where the context has the general registers, in the processor's numbering.
const GENERAL: [i32; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// The instruction at the start of `bytes`, and its length; `register` reads a
/// general register.
pub(super) fn decode(
    bytes: &[u8],
    register: impl Fn(usize) -> u64,
) -> Option<(Instruction, usize)> {
    let &[0xc4, first, second, opcode, modrm, ref rest @ ..] = bytes else {
        return None;
    };
    // VEX with map 0F38, W = 0 and L = 0; R, X, B and vvvv are inverted.
    if first & 0x1f != 2 || second & 0x84 != 0 {
        return None;
    }
    let [r, x, b] = [7, 6, 5].map(|bit| usize::from(!first >> bit & 1) << 3);
    let third = usize::from(!second >> 3 & 15);
    let prefix = second & 3;
    let (mode, reg, rm) = (
        modrm >> 6,
        usize::from(modrm >> 3 & 7),
        usize::from(modrm & 7),
    );
    if r != 0 {
        return None;
    }
    if mode == 3 && b != 0 {
        return None;
    }
    if mode == 3 {
        let instruction = match (opcode, prefix) {
            (0x49, 0) if modrm == 0xc0 && third == 0 => Instruction::Release,
            (0x49, 3) if rm == 0 && third == 0 => Instruction::Zero { tile: reg },
            (0x5c, 2) if third < TILES => Instruction::Dot {
                c: reg,
                a: rm,
                b: third,
            },
            _ => return None,
        };
        return Some((instruction, 5));
    }
    if third != 0 {
        return None;
    }
    // A scaled index where rm is 4, then a displacement.
    let (base, index, scale, mut length) = match rm {
        4 => {
            let sib = *rest.first()?;
            let index = usize::from(sib >> 3 & 7) | x;
            (
                usize::from(sib & 7) | b,
                Some(index).filter(|&i| i != 4),
                sib >> 6,
                6,
            )
        }
        _ => (rm | b, None, 0, 5),
    };
    if mode == 0 && base & 7 == 5 {
        return None;
    }
    let displacement = match mode {
        0 => 0,
        1 => i64::from(*bytes.get(length)? as i8),
        _ => i64::from(i32::from_le_bytes(
            bytes.get(length..length + 4)?.try_into().ok()?,
        )),
    };
    length += [0, 1, 4][usize::from(mode)];
    let address = register(base).wrapping_add_signed(displacement);
    let pitch = index.map_or(0, |i| register(i) << scale);
    let instruction = match (opcode, prefix) {
        (0x49, 0) if reg == 0 => Instruction::Configure {
            from: address.wrapping_add(pitch),
        },
        (0x4b, 1 | 3) if rm == 4 => Instruction::Load {
            tile: reg,
            from: address,
            pitch,
        },
        (0x4b, 2) if rm == 4 => Instruction::Store {
            tile: reg,
            to: address,
            pitch,
        },
        _ => return None,
    };
    Some((instruction, length))
}

impl State {
    /// False where the processor would fault.
    fn execute(&self, instruction: Instruction) -> bool {
        match instruction {
            Instruction::Configure { from } => self.configure(from),
            Instruction::Release => {
                self.shape.set(None);
                self.values.iter().for_each(|tile| tile.set([[0; 16]; 16]));
                true
            }
            Instruction::Zero { tile } => self.shape.get().is_some_and(|shape| {
                self.values[tile].set([[0; 16]; 16]);
                shape[tile].1 > 0
            }),
            Instruction::Load { tile, from, pitch } => self.shape.get().is_some_and(|shape| {
                let (bytes, rows) = shape[tile];
                let mut values = [[0; 16]; 16];
                for (r, row) in values.iter_mut().enumerate().take(rows) {
                    let from = from.wrapping_add(pitch.wrapping_mul(r as u64)) as *const u32;
                    for (j, value) in row.iter_mut().enumerate().take(bytes / 4) {
                        // SAFETY: the program's own read.
                        *value = unsafe { from.add(j).read_unaligned() };
                    }
                }
                self.values[tile].set(values);
                rows > 0
            }),
            Instruction::Store { tile, to, pitch } => self.shape.get().is_some_and(|shape| {
                let (bytes, rows) = shape[tile];
                for (r, row) in self.values[tile].get().iter().enumerate().take(rows) {
                    let to = to.wrapping_add(pitch.wrapping_mul(r as u64)) as *mut u32;
                    for (j, value) in row.iter().enumerate().take(bytes / 4) {
                        // SAFETY: the program's own write.
                        unsafe { to.add(j).write_unaligned(*value) };
                    }
                }
                rows > 0
            }),
            Instruction::Dot { c, a, b } => self.shape.get().is_some_and(|s| self.dot(&s, c, a, b)),
        }
    }

    /// The 64 bytes of a configuration: palette, start row, 14 reserved bytes,
    /// 16 lengths of rows in bytes, 16 numbers of rows.
    fn configure(&self, from: u64) -> bool {
        // SAFETY: the program's own read.
        let bytes = unsafe { (from as *const [u8; 64]).read_unaligned() };
        let shape = std::array::from_fn(|i| {
            let row = u16::from_le_bytes([bytes[16 + 2 * i], bytes[17 + 2 * i]]);
            (usize::from(row), usize::from(bytes[48 + i]))
        });
        let valid = |&(row, rows): &(usize, usize)| {
            row <= 64 && row % 4 == 0 && rows <= 16 && (row == 0) == (rows == 0)
        };
        let reserved = bytes[1..16]
            .iter()
            .chain(&bytes[32..48])
            .chain(&bytes[56..]);
        self.values.iter().for_each(|tile| tile.set([[0; 16]; 16]));
        self.shape.set(Some(shape));
        bytes[0] == 1 && shape.iter().all(valid) && reserved.into_iter().all(|&b| b == 0)
    }

    /// tdpbf16ps: even and odd products in sums of their own, added to C last;
    /// denormal values are 0, before and after each operation.
    fn dot(&self, shape: &[(usize, usize); TILES], c: usize, a: usize, b: usize) -> bool {
        let ((c_row, rows), (a_row, a_rows), (b_row, pairs)) = (shape[c], shape[a], shape[b]);
        let distinct = c != a && c != b && a != b;
        if !distinct || rows == 0 || rows != a_rows || c_row != b_row || a_row != 4 * pairs {
            return false;
        }
        let (left, right) = (self.values[a].get(), self.values[b].get());
        let mut sums = self.values[c].get();
        for (sums, left) in sums.iter_mut().zip(&left).take(rows) {
            for (j, sum) in sums.iter_mut().enumerate().take(c_row / 4) {
                let mut halves = [0.0f32; 2];
                for (left, right) in left.iter().zip(&right).take(pairs) {
                    let high = |pair: u32| flushed(f32::from_bits(pair & 0xffff_0000));
                    let low = |pair: u32| flushed(f32::from_bits(pair << 16));
                    // The product of two bfloat16 values is exact in f64; rounding
                    // the sum twice differs from once only next to a tie.
                    let add = |sum: f32, x: f32, y: f32| {
                        flushed((f64::from(sum) + f64::from(x) * f64::from(y)) as f32)
                    };
                    halves[0] = add(halves[0], low(*left), low(right[j]));
                    halves[1] = add(halves[1], high(*left), high(right[j]));
                }
                let both = flushed(halves[0] + halves[1]);
                *sum = flushed(flushed(f32::from_bits(*sum)) + both).to_bits();
            }
        }
        self.values[c].set(sums);
        true
    }
}

fn flushed(value: f32) -> f32 {
    if value.is_subnormal() {
        0.0f32.copysign(value)
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    std::arch::global_asm!(
        "lacuna_tile_instructions:",
        "ldtilecfg [rax]",
        "ldtilecfg [r12]",
        "tilezero tmm7",
        "tileloadd tmm4, [rax + rcx*1]",
        "tileloadd tmm7, [r8 + r9*1]",
        "tileloadd tmm1, [rdi + rax*1 + 1024]",
        "tilestored [rax + rcx*1], tmm0",
        "tdpbf16ps tmm0, tmm1, tmm2",
        "tilerelease",
    );
    unsafe extern "C" {
        static lacuna_tile_instructions: [u8; 54];
    }

    /// What GNU as makes of them.
    const ENCODED: [u8; 54] = [
        0xc4, 0xe2, 0x78, 0x49, 0x00, // ldtilecfg
        0xc4, 0xc2, 0x78, 0x49, 0x04, 0x24, // ldtilecfg
        0xc4, 0xe2, 0x7b, 0x49, 0xf8, // tilezero
        0xc4, 0xe2, 0x7b, 0x4b, 0x24, 0x08, // tileloadd
        0xc4, 0x82, 0x7b, 0x4b, 0x3c, 0x08, // tileloadd
        0xc4, 0xe2, 0x7b, 0x4b, 0x8c, 0x07, 0x00, 0x04, 0x00, 0x00, // tileloadd
        0xc4, 0xe2, 0x7a, 0x4b, 0x04, 0x08, // tilestored
        0xc4, 0xe2, 0x6a, 0x5c, 0xc1, // tdpbf16ps
        0xc4, 0xe2, 0x78, 0x49, 0xc0, // tilerelease
    ];

    #[test]
    fn the_assembler_encodes_the_instructions_as_another_does() {
        // SAFETY: the bytes above, never run.
        assert_eq!(unsafe { lacuna_tile_instructions }, ENCODED);
    }

    #[test]
    fn encoded_instructions_are_decoded() {
        // Register n holds 100 n: rax 0, rcx 100, rdi 700.
        let expected = [
            Instruction::Configure { from: 0 },
            Instruction::Configure { from: 1200 },
            Instruction::Zero { tile: 7 },
            Instruction::Load {
                tile: 4,
                from: 0,
                pitch: 100,
            },
            Instruction::Load {
                tile: 7,
                from: 800,
                pitch: 900,
            },
            Instruction::Load {
                tile: 1,
                from: 1724,
                pitch: 0,
            },
            Instruction::Store {
                tile: 0,
                to: 0,
                pitch: 100,
            },
            Instruction::Dot { c: 0, a: 1, b: 2 },
            Instruction::Release,
        ];
        let mut at = 0;
        for instruction in expected {
            let (found, length) = decode(&ENCODED[at..], |n| 100 * n as u64).expect("decoded");
            assert_eq!(found, instruction);
            at += length;
        }
        assert_eq!(at, ENCODED.len());
        assert_eq!(decode(&[0x0f, 0x0b, 0, 0, 0], |_| 0), None);
    }
}
