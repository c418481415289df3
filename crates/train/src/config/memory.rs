//! How much memory the subjects of a run may take.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a machine is taken to have that does not say.
const UNKNOWN: u64 = 8 << 30;

/// An amount of memory: bytes, "8GB" or a share of the machine's, "50%".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// Per cent of what the machine, or the job's share of it, has.
    Share(u8),
    /// Bytes.
    Bytes(u64),
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self::Share(50)
    }
}

impl MemoryLimit {
    /// The amount in bytes, on this machine.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Share(share) => machine_bytes() / 100 * u64::from(share),
            Self::Bytes(bytes) => bytes,
        }
    }
}

const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

impl FromStr for MemoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "found {text:?}, expected bytes, an amount such as \"8GB\" or \"512MiB\", or \
                     a share of the machine's memory such as \"50%\""
            )
        };
        if let Some(share) = text.strip_suffix('%') {
            let share = share.trim().parse().ok().filter(|s| (1..=100).contains(s));
            return share.map(Self::Share).ok_or_else(refused);
        }
        let unit = UNITS.iter().find_map(|(unit, bytes)| {
            let amount = text.strip_suffix(unit)?;
            Some((amount.trim(), *bytes))
        });
        let (amount, unit) = unit.unwrap_or((text, 1));
        let bytes = amount
            .parse::<f64>()
            .ok()
            .map(|amount| amount * unit as f64);
        bytes
            .filter(|bytes| bytes.is_finite() && *bytes >= 0.0)
            .map(|bytes| Self::Bytes(bytes as u64))
            .ok_or_else(refused)
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "{share}%"),
            Self::Bytes(bytes) => write!(f, "{bytes}"),
        }
    }
}

impl Serialize for MemoryLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MemoryLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected bytes, or a text such as \"8GB\" or \"50%\""
        )]
        enum Form {
            Bytes(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Bytes(bytes) => Ok(Self::Bytes(bytes)),
            Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// What the machine has, or the control group that this process is in where that
/// is less (Linux).
fn machine_bytes() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
            let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(kib << 10)
        });
    let limits = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let limits = limits.iter().filter_map(|path| {
        let text = std::fs::read_to_string(path).ok()?;
        text.trim().parse().ok()
    });
    limits.chain(machine).min().unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written() {
        for (text, limit) in [
            ("8GB", MemoryLimit::Bytes(8_000_000_000)),
            ("1.5 GiB", MemoryLimit::Bytes(1_610_612_736)),
            ("0", MemoryLimit::Bytes(0)),
            ("50%", MemoryLimit::Share(50)),
        ] {
            assert_eq!(text.parse(), Ok(limit));
            assert_eq!(limit.to_string().parse(), Ok(limit));
        }
        for bad in ["", "8 G", "-1GB", "0%", "101%", "half", "inf"] {
            let error = bad.parse::<MemoryLimit>().unwrap_err();
            assert!(error.contains("\"8GB\""), "{error}");
        }
        let share = MemoryLimit::Share(50).bytes();
        assert!(share > 0 && share < MemoryLimit::Share(100).bytes());
    }
}
