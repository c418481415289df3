//! Text as HTML and SVG, bytes as base64, numbers as text.

/// Text in which no character is markup, for element content and quoted
/// attributes of HTML and XML. Control characters, which XML forbids, become
/// U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// Base64 with padding, RFC 4648 section 4.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(*chunk.get(i).unwrap_or(&0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let sextet = group >> (18 - 6 * place) & 63;
            out.push(match place <= chunk.len() {
                true => char::from(ALPHABET[sextet as usize]),
                false => '=',
            });
        }
    }
    out
}

/// A number to three significant figures, without exponent where that is
/// short; "n/a" when not finite.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !size.is_finite() => "n/a".to_owned(),
        0.0 => "0".to_owned(),
        _ if !(1e-4..1e6).contains(&size) => format!("{value:.2e}"),
        _ => {
            let decimals = (2 - size.log10().floor() as i32).max(0);
            format!("{value:.*}", decimals as usize)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        assert_eq!(
            escape("<b a='1' & \"x\">\u{1}"),
            "&lt;b a=&#39;1&#39; &amp; &quot;x&quot;&gt;\u{FFFD}"
        );
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        // The test vectors of RFC 4648 section 10.
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xFB, 0xFF, 0xFE]), "+//+");
    }

    #[test]
    fn numbers_have_three_figures() {
        for (value, text) in [
            (0.0, "0"),
            (0.8864, "0.886"),
            (0.05012, "0.0501"),
            (1.0, "1.00"),
            (12.345, "12.3"),
            (1234.5, "1234"),
            (-2.71, "-2.71"),
            (1e-5, "1.00e-5"),
            (2.5e7, "2.50e7"),
            (f64::NAN, "n/a"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
