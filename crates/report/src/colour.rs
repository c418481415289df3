//! The colours of all reports.
//!
//! Source: Okabe and Ito, "Color universal design" (2008), eight colours that
//! stay apart under protanopia, deuteranopia and tritanopia. Blue and orange,
//! the pair farthest apart under all three, stand for reference and prediction.

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// Okabe and Ito's orange, `#E69F00`.
pub const ORANGE: Rgb = [0xE6, 0x9F, 0x00];
/// Okabe and Ito's sky blue, `#56B4E9`.
pub const SKY_BLUE: Rgb = [0x56, 0xB4, 0xE9];
/// Okabe and Ito's blue, `#0072B2`.
pub const BLUE: Rgb = [0x00, 0x72, 0xB2];
/// Okabe and Ito's vermillion, `#D55E00`.
pub const VERMILLION: Rgb = [0xD5, 0x5E, 0x00];
/// Okabe and Ito's bluish green, `#009E73`.
pub const GREEN: Rgb = [0x00, 0x9E, 0x73];
/// Okabe and Ito's reddish purple, `#CC79A7`.
pub const PURPLE: Rgb = [0xCC, 0x79, 0xA7];

/// Outline of the reference in overlay pictures.
pub const REFERENCE: Rgb = SKY_BLUE;
/// Fill and outline of the prediction in overlay pictures.
pub const PREDICTION: Rgb = ORANGE;

/// The colour as CSS writes it.
pub fn css([r, g, b]: Rgb) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}
