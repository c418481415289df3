//! An amount of time, such as "40m".

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Time that a training may take: hours, minutes and seconds, as in "1h30m" or "90s".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget(Duration);

impl Budget {
    /// The time.
    pub fn duration(self) -> Duration {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let mut seconds = 0_u64;
        let mut rest = text;
        let mut least = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let number: u64 = rest[..digits].parse().ok()?;
            let unit = match rest[digits..].chars().next()? {
                'h' => 3600,
                'm' => 60,
                's' => 1,
                _ => return None,
            };
            // Hours before minutes before seconds, each once.
            if unit >= least {
                return None;
            }
            least = unit;
            seconds = seconds.checked_add(number.checked_mul(unit)?)?;
            rest = &rest[digits + 1..];
        }
        (seconds > 0).then(|| Self(Duration::from_secs(seconds)))
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        for (number, unit) in [
            (seconds / 3600, "h"),
            (seconds % 3600 / 60, "m"),
            (seconds % 60, "s"),
        ] {
            if number > 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Budget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            format!("{text:?} is no time; write for example \"40m\", \"1h30m\" or \"90s\"")
        })
    }
}

impl<'de> Deserialize<'de> for Budget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, seconds) in [("40m", 2400), ("1h30m", 5400), ("90s", 90), ("2h5s", 7205)] {
            let budget = Budget::parse(text).unwrap();
            assert_eq!(budget.duration().as_secs(), seconds);
            assert_eq!(Budget::parse(&budget.to_string()), Some(budget));
        }
        for text in [
            "",
            "40",
            "m",
            "0s",
            "5m1h",
            "5m5m",
            "-5m",
            "1.5h",
            "40 m",
            "99999999999999999999h",
        ] {
            assert_eq!(Budget::parse(text), None, "{text}");
        }
    }
}
