//! Damage: what bits, numbers, words and lines of a file may become.
//!
//! A file that has a checksum of its own gets a right one after most damage, or no case would
//! come farther than that.

mod sealed;

use std::collections::BTreeSet;

use crate::input::{Input, Random};
use sealed::Seal;

/// Bytes of the largest file that is made of a smaller one.
const MOST_BYTES: usize = 1 << 17;

/// Numbers at which programs go wrong.
const WHOLE: [i64; 18] = [
    0,
    1,
    -1,
    2,
    3,
    7,
    8,
    127,
    255,
    256,
    32767,
    65535,
    65536,
    i32::MAX as i64,
    u32::MAX as i64,
    1 << 32,
    i64::MAX,
    i64::MIN,
];
const REAL: [f64; 12] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1e-300,
    1e300,
    1e-40,
    1e38,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];
const WRITTEN: [&str; 16] = [
    "0",
    "-1",
    "1",
    "2",
    "255",
    "65536",
    "2147483648",
    "4294967295",
    "9223372036854775807",
    "18446744073709551615",
    "1e300",
    "1e-300",
    "-0.0",
    "NaN",
    "inf",
    "0.5",
];

/// What stands between words.
const MARKS: [&str; 12] = [
    "[", "]", "{", "}", "\"", ",", "\n", "=", "#0", "../", "\u{feff}", "é",
];

/// Inputs to begin with, and the words in them.
pub struct Corpus {
    pub inputs: Vec<Input>,
    words: Vec<Vec<u8>>,
}

impl Corpus {
    pub fn new(inputs: Vec<Input>) -> Self {
        let mut words = BTreeSet::new();
        for (_, bytes) in inputs.iter().flat_map(|input| &input.files) {
            let is_word = |b: &u8| b.is_ascii_alphanumeric() || b"_.-".contains(b);
            let found = bytes.split(|b| !is_word(b));
            words.extend(
                found
                    .filter(|w| (2..40).contains(&w.len()))
                    .map(<[u8]>::to_vec),
            );
        }
        words.extend(MARKS.map(|mark| mark.as_bytes().to_vec()));
        Self {
            inputs,
            words: words.into_iter().collect(),
        }
    }

    /// One of the inputs with some damage.
    pub fn damaged(&self, random: &mut Random) -> Input {
        let mut input = random.of(&self.inputs).clone();
        let at = match random.once_in(4) {
            true => random.below(input.files.len()),
            false => 0,
        };
        let other = random.of(&self.inputs);
        let other = &random.of(&other.files).1;
        let bytes = &mut input.files[at].1;
        let seal = Seal::of(bytes).filter(|_| !random.once_in(5));
        let mut inside = seal
            .as_ref()
            .map_or_else(|| bytes.clone(), |s| s.open(bytes));
        let mut times = 1;
        while times < 32 && random.once_in(2) {
            times += 1;
        }
        for _ in 0..times {
            self.damage(&mut inside, other, random);
        }
        inside.truncate(MOST_BYTES);
        *bytes = seal.map_or_else(|| inside.clone(), |s| s.close(&inside));
        input
    }

    fn damage(&self, bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
        let at = random.below(bytes.len());
        match random.below(16) {
            0 | 1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.next() as u8;
                }
            }
            3..=6 => number(bytes, random),
            7 | 8 => written_number(bytes, at, random),
            9 | 10 => self.word(bytes, at, random),
            11 => {
                let end = (at + 1 + length(random)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            12 => {
                let end = (at + 1 + length(random)).min(bytes.len());
                let copy = bytes[at.min(end)..end].to_vec();
                let times = 1 + if random.once_in(8) {
                    random.below(200)
                } else {
                    0
                };
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, copy.repeat(times));
            }
            13 => bytes.truncate(at),
            14 => lines(bytes, random),
            _ => {
                let from = random.below(other.len());
                let piece = &other[from..(from + length(random)).min(other.len())];
                let end = match random.once_in(2) {
                    true => at,
                    false => (at + piece.len()).min(bytes.len()),
                };
                bytes.splice(at.min(end)..end, piece.iter().copied());
            }
        }
    }

    /// A word in the place of the one at `at`, or between two.
    fn word(&self, bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
        if self.words.is_empty() {
            return;
        }
        let word = random.of(&self.words).clone();
        let part = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        let (mut start, mut end) = (at, at);
        if random.once_in(2) {
            while start > 0 && part(bytes.get(start - 1)) {
                start -= 1;
            }
            while part(bytes.get(end)) {
                end += 1;
            }
        }
        bytes.splice(start..end, word);
    }
}

/// Mostly short, at times long.
fn length(random: &mut Random) -> usize {
    let most = 1 << random.below(12);
    random.below(most)
}

/// A number of 1, 2, 4 or 8 bytes, in either order.
fn number(bytes: &mut [u8], random: &mut Random) {
    let width = 1 << random.below(4);
    // Mostly where the fields of headers are.
    let within = match random.once_in(2) {
        true => bytes.len(),
        false => bytes.len().min(600),
    };
    let mut at = random.below(within);
    if !random.once_in(4) {
        at -= at % width;
    }
    let mut field: Vec<u8> = match random.below(4) {
        0 => random.of(&REAL).to_le_bytes().to_vec(),
        1 => (*random.of(&REAL) as f32).to_le_bytes().to_vec(),
        2 => random.of(&WHOLE).to_le_bytes()[..width].to_vec(),
        _ => {
            let near = random.below(9) as i64 - 4;
            let mut whole = [0; 8];
            let end = (at + width).min(bytes.len());
            whole[..end - at].copy_from_slice(&bytes[at..end]);
            (i64::from_le_bytes(whole).wrapping_add(near)).to_le_bytes()[..width].to_vec()
        }
    };
    if random.once_in(2) {
        field.reverse();
    }
    for (byte, new) in bytes[at..].iter_mut().zip(field) {
        *byte = new;
    }
}

/// Another number in the place of the next one that is written in digits.
fn written_number(bytes: &mut Vec<u8>, from: usize, random: &mut Random) {
    let digit = |b: &u8| b.is_ascii_digit() || *b == b'.';
    let Some(start) = bytes[from..].iter().position(digit).map(|n| from + n) else {
        return;
    };
    let end = bytes[start..].iter().position(|b| !digit(b));
    let end = end.map_or(bytes.len(), |n| start + n);
    bytes.splice(start..end, random.of(&WRITTEN).bytes());
}

/// A line that is gone, there twice, or in the place of another.
fn lines(bytes: &mut Vec<u8>, random: &mut Random) {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let (a, b) = (random.below(lines.len()), random.below(lines.len()));
    if lines.is_empty() {
        return;
    }
    match random.below(3) {
        0 => drop(lines.remove(a)),
        1 => lines.insert(b, lines[a]),
        _ => lines.swap(a, b),
    }
    *bytes = lines.concat();
}
