//! What is drawn from: a share of the patches, and a range of values.

use std::fmt;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::TransformError;

/// The lowest and the highest value that is drawn, `[low, high]` in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "expected two numbers, [lowest, highest]")]
pub struct Span(pub f64, pub f64);

impl Span {
    /// Uniform.
    pub fn draw(self, rng: &mut ChaCha8Rng) -> f64 {
        self.0 + (self.1 - self.0) * rng.random::<f64>()
    }

    /// Uniform in the logarithm: twice and half are drawn equally often.
    pub fn draw_log(self, rng: &mut ChaCha8Rng) -> f64 {
        Self(self.0.ln(), self.1.ln()).draw(rng).exp()
    }

    /// A factor as nnU-Net draws it: half of the draws uniform below 1, half above,
    /// where the span reaches to both sides.
    pub fn draw_factor(self, rng: &mut ChaCha8Rng) -> f64 {
        if self.0 >= 1.0 || self.1 <= 1.0 {
            return self.draw(rng);
        }
        match rng.random::<bool>() {
            true => Self(self.0, 1.0).draw(rng),
            false => Self(1.0, self.1).draw(rng),
        }
    }

    /// Refuses a span that is none, or reaches beyond `least` to `most`.
    pub(super) fn check(
        self,
        transform: &'static str,
        key: &'static str,
        [least, most]: [f64; 2],
    ) -> Result<(), TransformError> {
        match least <= self.0 && self.0 <= self.1 && self.1 <= most {
            true => Ok(()),
            false => Err(TransformError::Span {
                transform,
                key,
                found: self,
                expected: format!("[lowest, highest] within {least} to {most}"),
            }),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}]", self.0, self.1)
    }
}

/// Refuses what is no share of the patches, and none of them.
pub(super) fn check_share(
    transform: &'static str,
    key: &'static str,
    found: f64,
) -> Result<(), TransformError> {
    match found > 0.0 && found <= 1.0 {
        true => Ok(()),
        false => Err(TransformError::Number {
            transform,
            key,
            found,
            expected: "a number above 0 and up to 1",
        }),
    }
}

/// True for this share of the draws.
pub(super) fn happens(share: f64, rng: &mut ChaCha8Rng) -> bool {
    rng.random::<f64>() < share
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Domain, keyed_rng};

    fn drawn(draw: impl Fn(&mut ChaCha8Rng) -> f64) -> Vec<f64> {
        let mut rng = keyed_rng(3, Domain::Transform, 0, 0);
        (0..4000).map(|_| draw(&mut rng)).collect()
    }

    #[test]
    fn draws_are_where_they_should_be() {
        let below = |values: &[f64], limit: f64| values.iter().filter(|v| **v < limit).count();
        let uniform = drawn(|rng| Span(-1.0, 3.0).draw(rng));
        assert!(uniform.iter().all(|v| (-1.0..3.0).contains(v)));
        // Binomial of 4000: SD 32 at a half.
        assert!(below(&uniform, 1.0).abs_diff(2000) < 128);
        let log = drawn(|rng| Span(0.25, 4.0).draw_log(rng));
        assert!(log.iter().all(|v| (0.25..4.0).contains(v)));
        assert!(below(&log, 1.0).abs_diff(2000) < 128);
        assert!(below(&log, 0.5).abs_diff(1000) < 128);
        let factor = drawn(|rng| Span(0.5, 3.0).draw_factor(rng));
        assert!(factor.iter().all(|v| (0.5..3.0).contains(v)));
        assert!(below(&factor, 1.0).abs_diff(2000) < 128);
        assert!(below(&factor, 2.0).abs_diff(3000) < 128);
        assert!(
            drawn(|rng| Span(1.5, 2.0).draw_factor(rng))
                .iter()
                .all(|v| *v >= 1.5)
        );
    }

    #[test]
    fn spans_and_shares_are_checked() {
        let check = |low, high| Span(low, high).check("gamma", "range", [0.5, 2.0]);
        assert!(check(0.5, 2.0).is_ok() && check(1.0, 1.0).is_ok());
        for (low, high) in [
            (0.4, 1.0),
            (1.0, 2.1),
            (1.5, 1.0),
            (f64::NAN, 1.0),
            (1.0, f64::NAN),
        ] {
            let error = check(low, high).unwrap_err().to_string();
            assert!(
                error.starts_with("transform gamma: `range` is ["),
                "{error}"
            );
            assert!(
                error.ends_with("expected [lowest, highest] within 0.5 to 2"),
                "{error}"
            );
        }
        for bad in [0.0, -0.5, 1.5, f64::NAN] {
            let error = check_share("gamma", "probability", bad)
                .unwrap_err()
                .to_string();
            assert!(error.contains("`probability` is"), "{error}");
        }
        assert!(check_share("gamma", "probability", 1.0).is_ok());
    }
}
