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

/// Ten colours for ten steps of a quantity, dark blue to yellow, of equal
/// differences to the eye, also under any form of colour blindness and in grey.
///
/// Source: cividis of Nuñez, Anderton and Renslow, "Optimizing colormaps with
/// consideration for color vision deficiency", PLOS ONE 13 (2018), at ninths.
pub const CIVIDIS: [Rgb; 10] = [
    [0x00, 0x22, 0x4E],
    [0x12, 0x35, 0x70],
    [0x3B, 0x49, 0x6C],
    [0x57, 0x5D, 0x6D],
    [0x70, 0x71, 0x73],
    [0x8A, 0x86, 0x78],
    [0xA5, 0x9C, 0x74],
    [0xC3, 0xB3, 0x69],
    [0xE1, 0xCC, 0x55],
    [0xFE, 0xE8, 0x38],
];

/// Outline of the reference in overlay pictures.
pub const REFERENCE: Rgb = SKY_BLUE;
/// Fill and outline of the prediction in overlay pictures.
pub const PREDICTION: Rgb = ORANGE;

/// The colour of [`CIVIDIS`] for a share from 0 to 1: one for each tenth.
pub fn tenth(share: f64) -> Rgb {
    // Ends of tenths such as 0.3 must fall into the upper tenth.
    CIVIDIS[(10.0 * share + 1e-9).clamp(0.0, 9.0) as usize]
}

/// The colour as CSS writes it.
pub fn css([r, g, b]: Rgb) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenths_have_their_colours() {
        for (share, index) in [
            (-0.1, 0),
            (0.0, 0),
            (0.09, 0),
            (0.3, 3),
            (0.95, 9),
            (1.0, 9),
        ] {
            assert_eq!(tenth(share), CIVIDIS[index]);
        }
    }

    #[test]
    fn the_scale_brightens_evenly() {
        // Lightness L* of CIE 1976 from sRGB: steps of about a ninth.
        let linear = |v: u8| match f64::from(v) / 255.0 {
            v if v <= 0.04045 => v / 12.92,
            v => ((v + 0.055) / 1.055).powf(2.4),
        };
        let lightness = |[r, g, b]: Rgb| {
            let y = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
            116.0 * y.cbrt() - 16.0
        };
        let step = (lightness(CIVIDIS[9]) - lightness(CIVIDIS[0])) / 9.0;
        for pair in CIVIDIS.windows(2) {
            let rise = lightness(pair[1]) - lightness(pair[0]);
            assert!(
                (rise / step - 1.0).abs() < 0.2,
                "{pair:?}: {rise} of {step}"
            );
        }
    }
}
