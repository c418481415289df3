//! The codes of voxel datatypes.
//!
//! Source: NIfTI-1 standard, "Data type"; codes are the same in NIfTI-2.

use crate::Datatype::{self, *};

/// The datatype of a code, or what the code means when it is not supported.
pub(super) fn from_code(code: i16) -> Result<Datatype, String> {
    Ok(match code {
        2 => U8,
        4 => I16,
        8 => I32,
        16 => F32,
        64 => F64,
        256 => I8,
        512 => U16,
        768 => U32,
        1024 => I64,
        1280 => U64,
        0 => return Err("of unknown type (code 0)".into()),
        1 => return Err("single bits (code 1)".into()),
        32 | 1792 | 2048 => return Err(format!("complex numbers (code {code})")),
        128 | 2304 => return Err(format!("RGB colours (code {code})")),
        1536 => return Err("128-bit floating point (code 1536)".into()),
        _ => return Err(format!("of the unknown type code {code}")),
    })
}

/// The code of a datatype.
pub(super) fn code(datatype: Datatype) -> i16 {
    match datatype {
        U8 => 2,
        I16 => 4,
        I32 => 8,
        F32 => 16,
        F64 => 64,
        I8 => 256,
        U16 => 512,
        U32 => 768,
        I64 => 1024,
        U64 => 1280,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_go_both_ways() {
        for number in -1..3000 {
            if let Ok(datatype) = from_code(number) {
                assert_eq!(code(datatype), number);
            }
        }
        assert!(from_code(128).unwrap_err().contains("RGB"));
    }
}
