//! How voxels are stored in a file, and their conversion.

/// A voxel datatype that holds one real number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datatype {
    /// Unsigned 8-bit.
    U8,
    /// Signed 16-bit.
    I16,
    /// Signed 32-bit.
    I32,
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point.
    F64,
    /// Signed 8-bit.
    I8,
    /// Unsigned 16-bit.
    U16,
    /// Unsigned 32-bit.
    U32,
    /// Signed 64-bit.
    I64,
    /// Unsigned 64-bit.
    U64,
}

use Datatype::*;

impl Datatype {
    /// Bytes of one voxel.
    pub fn bytes(self) -> usize {
        match self {
            U8 | I8 => 1,
            I16 | U16 => 2,
            I32 | U32 | F32 => 4,
            I64 | U64 | F64 => 8,
        }
    }
}

/// How voxel values are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Encoding {
    pub datatype: Datatype,
    pub big_endian: bool,
    /// Value = stored x slope + intercept; `None` when stored values stand.
    pub scaling: Option<(f64, f64)>,
}

impl Encoding {
    /// Appends the value of every whole voxel in `bytes`, converted by `to`.
    pub fn decode<T>(&self, bytes: &[u8], out: &mut Vec<T>, mut to: impl FnMut(f64) -> T) {
        // One loop per type and byte order, so that each is vectorised.
        macro_rules! numbers {
            ($type:ty) => {{
                let voxels = bytes.as_chunks().0.iter();
                match (self.big_endian, self.scaling) {
                    (false, None) => {
                        out.extend(voxels.map(|&b| to(<$type>::from_le_bytes(b) as f64)))
                    }
                    (false, Some((slope, inter))) => out.extend(
                        voxels.map(|&b| to(<$type>::from_le_bytes(b) as f64 * slope + inter)),
                    ),
                    (true, None) => {
                        out.extend(voxels.map(|&b| to(<$type>::from_be_bytes(b) as f64)))
                    }
                    (true, Some((slope, inter))) => out.extend(
                        voxels.map(|&b| to(<$type>::from_be_bytes(b) as f64 * slope + inter)),
                    ),
                }
            }};
        }
        match self.datatype {
            U8 => numbers!(u8),
            I8 => numbers!(i8),
            U16 => numbers!(u16),
            I16 => numbers!(i16),
            U32 => numbers!(u32),
            I32 => numbers!(i32),
            U64 => numbers!(u64),
            I64 => numbers!(i64),
            F32 => numbers!(f32),
            F64 => numbers!(f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_happens_before_the_conversion() {
        let encoding = Encoding {
            datatype: I16,
            big_endian: true,
            scaling: Some((0.5, -10.0)),
        };
        let mut out = Vec::new();
        // 0x0103 = 259, 0xFFFF = -1; the odd last byte is no voxel.
        encoding.decode(&[1, 3, 0xFF, 0xFF, 7], &mut out, |v| v);
        assert_eq!(out, [119.5, -10.5]);
    }
}
