//! What the colours of a picture mean, drawn below it, so that it can stand alone.

use super::canvas::Canvas;
use crate::colour::{self, Rgb};

/// Seven rows of five pixels each, the highest bit on the left.
type Glyph = [u8; 7];

/// The letters that are written, and no others.
const LETTERS: [(char, Glyph); 12] = [
    ('R', [0x1E, 0x11, 0x11, 0x1E, 0x14, 0x12, 0x11]),
    ('L', [0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1F]),
    ('c', [0x00, 0x00, 0x0E, 0x10, 0x10, 0x11, 0x0E]),
    ('d', [0x01, 0x01, 0x0D, 0x13, 0x11, 0x11, 0x0F]),
    ('e', [0x00, 0x00, 0x0E, 0x11, 0x1F, 0x10, 0x0E]),
    ('f', [0x06, 0x09, 0x08, 0x1C, 0x08, 0x08, 0x08]),
    ('i', [0x04, 0x00, 0x0C, 0x04, 0x04, 0x04, 0x0E]),
    ('n', [0x00, 0x00, 0x16, 0x19, 0x11, 0x11, 0x11]),
    ('o', [0x00, 0x00, 0x0E, 0x11, 0x11, 0x11, 0x0E]),
    ('p', [0x00, 0x00, 0x1E, 0x11, 0x1E, 0x10, 0x10]),
    ('r', [0x00, 0x00, 0x16, 0x19, 0x10, 0x10, 0x10]),
    ('t', [0x08, 0x08, 0x1C, 0x08, 0x08, 0x09, 0x06]),
];

/// Pixels from letter to letter, before they are enlarged.
const PITCH: usize = 6;
/// Pixels from the edge of the key and between its parts, before they are enlarged.
const SPACE: usize = 4;
/// Edge of a swatch, before it is enlarged.
const SWATCH: usize = 7;

/// The entries of a key, by what is drawn.
pub(super) struct Key(Vec<(&'static str, Rgb)>);

impl Key {
    pub(super) fn of(reference: bool, prediction: bool) -> Self {
        let entries = [
            (reference, ("reference", colour::REFERENCE)),
            (prediction, ("prediction", colour::PREDICTION)),
        ];
        Self(entries.into_iter().filter(|e| e.0).map(|e| e.1).collect())
    }

    /// Whole factor by which letters are enlarged below a picture of this width; 0 where the
    /// key has no room.
    fn factor(&self, width: usize) -> usize {
        let entry = |word: &str| SWATCH + SPACE + PITCH * word.len() + 2 * SPACE;
        let needed = SPACE + self.0.iter().map(|(word, _)| entry(word)).sum::<usize>();
        match self.0.is_empty() {
            true => 0,
            false => (width / needed).min(2),
        }
    }

    /// Pixels down that it takes below a picture of this width.
    pub(super) fn height(&self, width: usize) -> usize {
        self.factor(width) * (SWATCH + 2 * SPACE)
    }

    /// Draws it from the row `top` on.
    pub(super) fn draw(&self, canvas: &mut Canvas, top: usize) {
        let factor = self.factor(canvas.size()[0]);
        if factor == 0 {
            return;
        }
        let y = top + factor * SPACE;
        let mut x = factor * SPACE;
        for (word, colour) in &self.0 {
            let edge = factor * SWATCH;
            for (px, py) in (0..edge).flat_map(|px| (0..edge).map(move |py| (px, py))) {
                // The reference is an outline, the prediction a fill.
                let outline = px < 2 || py < 2 || px + 2 >= edge || py + 2 >= edge;
                if outline || *colour == colour::PREDICTION {
                    canvas.set([x + px, y + py], *colour);
                }
            }
            x += factor * (SWATCH + SPACE);
            for letter in word.chars() {
                write(canvas, letter, [x, y], factor);
                x += factor * PITCH;
            }
            x += 2 * factor * SPACE;
        }
    }
}

/// Writes a letter in white, its upper left corner at `at`; nothing where it is none of
/// [`LETTERS`].
pub(super) fn write(canvas: &mut Canvas, letter: char, at: [usize; 2], factor: usize) {
    let Some((_, rows)) = LETTERS.iter().find(|(known, _)| *known == letter) else {
        return;
    };
    for (row, bits) in rows.iter().enumerate() {
        for column in (0..5).filter(|column| bits >> (4 - column) & 1 == 1) {
            for (dx, dy) in (0..factor).flat_map(|dx| (0..factor).map(move |dy| (dx, dy))) {
                let pixel = [at[0] + factor * column + dx, at[1] + factor * row + dy];
                canvas.set(pixel, [255; 3]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_room_or_is_left_out() {
        // 4 + (7 + 4 + 54 + 8) + (7 + 4 + 60 + 8) = 156.
        let both = Key::of(true, true);
        assert_eq!(
            [155, 156, 311, 312, 900].map(|w| both.factor(w)),
            [0, 1, 1, 2, 2]
        );
        assert_eq!([155, 156, 312].map(|w| both.height(w)), [0, 15, 30]);
        assert_eq!(Key::of(false, false).height(900), 0);
    }

    #[test]
    fn every_letter_of_a_key_is_known() {
        for (word, _) in Key::of(true, true).0 {
            for letter in word.chars() {
                assert!(
                    LETTERS.iter().any(|(known, _)| *known == letter),
                    "{letter}"
                );
            }
        }
    }
}
