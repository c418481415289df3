//! The bytes of NIfTI-1 and NIfTI-2 headers.
//!
//! Source: `nifti1.h` and `nifti2.h` of the NIfTI data format working group.
//! Both versions hold the same fields at other places and widths; [`Fields`]
//! takes the wider of the two.

/// Bytes of a NIfTI-1 header.
pub(crate) const BYTES_1: usize = 348;
/// Bytes of a NIfTI-2 header.
pub(crate) const BYTES_2: usize = 540;

/// The version of the header, which tells its layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 348 bytes: axes of up to 32767 voxels, geometry in 32-bit numbers.
    Nifti1,
    /// 540 bytes: 64-bit numbers throughout.
    Nifti2,
}

impl Version {
    pub(crate) fn header_bytes(self) -> usize {
        match self {
            Version::Nifti1 => BYTES_1,
            Version::Nifti2 => BYTES_2,
        }
    }

    /// The magic of a single file and of a `.hdr`/`.img` pair.
    pub(crate) fn magics(self) -> [&'static [u8]; 2] {
        match self {
            Version::Nifti1 => [b"n+1\0", b"ni1\0"],
            Version::Nifti2 => [b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n"],
        }
    }
}

/// The fields that place the voxels in the patient, as the file holds them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placement {
    pub pixdim: [f64; 8],
    pub xyzt_units: i32,
    pub qform_code: i32,
    pub sform_code: i32,
    /// b, c, d of the unit quaternion.
    pub quatern: [f64; 3],
    pub qoffset: [f64; 3],
    pub srow: [[f64; 4]; 3],
}

/// The fields of a header that mean something here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fields {
    pub version: Version,
    pub big_endian: bool,
    /// The first 4 (NIfTI-1) or 8 bytes of the magic.
    pub magic: [u8; 8],
    pub dim: [i64; 8],
    pub datatype: i16,
    pub vox_offset: f64,
    pub scl_slope: f64,
    pub scl_inter: f64,
    pub placement: Placement,
}

/// Version and byte order from the first field, `sizeof_hdr`.
pub(crate) fn recognise(sizeof_hdr: [u8; 4]) -> Option<(Version, bool)> {
    let of = |size: i32| match size {
        348 => Some(Version::Nifti1),
        540 => Some(Version::Nifti2),
        _ => None,
    };
    let little = of(i32::from_le_bytes(sizeof_hdr)).map(|version| (version, false));
    little.or_else(|| of(i32::from_be_bytes(sizeof_hdr)).map(|version| (version, true)))
}

impl Fields {
    /// Reads the fields of a NIfTI-1 header.
    pub fn parse_1(bytes: &[u8; BYTES_1], big_endian: bool) -> Self {
        let h = Bytes { bytes, big_endian };
        let mut magic = [0; 8];
        magic[..4].copy_from_slice(&bytes[344..348]);
        Self {
            version: Version::Nifti1,
            big_endian,
            magic,
            dim: std::array::from_fn(|i| h.i16(40 + 2 * i).into()),
            datatype: h.i16(70),
            vox_offset: h.f32(108),
            scl_slope: h.f32(112),
            scl_inter: h.f32(116),
            placement: Placement {
                pixdim: std::array::from_fn(|i| h.f32(76 + 4 * i)),
                xyzt_units: bytes[123].into(),
                qform_code: h.i16(252).into(),
                sform_code: h.i16(254).into(),
                quatern: std::array::from_fn(|i| h.f32(256 + 4 * i)),
                qoffset: std::array::from_fn(|i| h.f32(268 + 4 * i)),
                srow: std::array::from_fn(|r| std::array::from_fn(|c| h.f32(280 + 16 * r + 4 * c))),
            },
        }
    }

    /// Reads the fields of a NIfTI-2 header.
    pub fn parse_2(bytes: &[u8; BYTES_2], big_endian: bool) -> Self {
        let h = Bytes { bytes, big_endian };
        Self {
            version: Version::Nifti2,
            big_endian,
            magic: h.array(4),
            dim: std::array::from_fn(|i| h.i64(16 + 8 * i)),
            datatype: h.i16(12),
            vox_offset: h.i64(168) as f64,
            scl_slope: h.f64(176),
            scl_inter: h.f64(184),
            placement: Placement {
                pixdim: std::array::from_fn(|i| h.f64(104 + 8 * i)),
                xyzt_units: h.i32(500),
                qform_code: h.i32(344),
                sform_code: h.i32(348),
                quatern: std::array::from_fn(|i| h.f64(352 + 8 * i)),
                qoffset: std::array::from_fn(|i| h.f64(376 + 8 * i)),
                srow: std::array::from_fn(|r| std::array::from_fn(|c| h.f64(400 + 32 * r + 8 * c))),
            },
        }
    }

    /// The header in little-endian bytes, its fields all set from `self`,
    /// followed by the four zeros that say "no extension".
    pub fn encode(&self, bitpix: i16, descrip: &[u8]) -> Vec<u8> {
        match self.version {
            Version::Nifti1 => self.encode_1(bitpix, descrip),
            Version::Nifti2 => self.encode_2(bitpix, descrip),
        }
    }

    fn encode_1(&self, bitpix: i16, descrip: &[u8]) -> Vec<u8> {
        let mut out = vec![0; BYTES_1 + 4];
        let mut put = |at: usize, field: &[u8]| out[at..at + field.len()].copy_from_slice(field);
        let p = &self.placement;
        put(0, &(BYTES_1 as i32).to_le_bytes());
        for (i, &d) in self.dim.iter().enumerate() {
            put(40 + 2 * i, &(d as i16).to_le_bytes());
        }
        put(70, &self.datatype.to_le_bytes());
        put(72, &bitpix.to_le_bytes());
        let floats = |at: usize, values: &[f64], put: &mut dyn FnMut(usize, &[u8])| {
            for (i, &v) in values.iter().enumerate() {
                put(at + 4 * i, &(v as f32).to_le_bytes());
            }
        };
        floats(76, &p.pixdim, &mut put);
        floats(
            108,
            &[self.vox_offset, self.scl_slope, self.scl_inter],
            &mut put,
        );
        put(123, &[p.xyzt_units as u8]);
        put(148, descrip);
        put(252, &(p.qform_code as i16).to_le_bytes());
        put(254, &(p.sform_code as i16).to_le_bytes());
        floats(256, &p.quatern, &mut put);
        floats(268, &p.qoffset, &mut put);
        floats(280, p.srow.as_flattened(), &mut put);
        put(344, &self.magic[..4]);
        out
    }

    fn encode_2(&self, bitpix: i16, descrip: &[u8]) -> Vec<u8> {
        let mut out = vec![0; BYTES_2 + 4];
        let mut put = |at: usize, field: &[u8]| out[at..at + field.len()].copy_from_slice(field);
        let p = &self.placement;
        put(0, &(BYTES_2 as i32).to_le_bytes());
        put(4, &self.magic);
        put(12, &self.datatype.to_le_bytes());
        put(14, &bitpix.to_le_bytes());
        for (i, d) in self.dim.iter().enumerate() {
            put(16 + 8 * i, &d.to_le_bytes());
        }
        let floats = |at: usize, values: &[f64], put: &mut dyn FnMut(usize, &[u8])| {
            for (i, v) in values.iter().enumerate() {
                put(at + 8 * i, &v.to_le_bytes());
            }
        };
        floats(104, &p.pixdim, &mut put);
        put(168, &(self.vox_offset as i64).to_le_bytes());
        floats(176, &[self.scl_slope, self.scl_inter], &mut put);
        put(240, descrip);
        put(344, &p.qform_code.to_le_bytes());
        put(348, &p.sform_code.to_le_bytes());
        floats(352, &p.quatern, &mut put);
        floats(376, &p.qoffset, &mut put);
        floats(400, p.srow.as_flattened(), &mut put);
        put(500, &p.xyzt_units.to_le_bytes());
        out
    }
}

/// Numbers at byte offsets. Offsets are those of the standard and lie inside
/// the fixed-size header.
struct Bytes<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Bytes<'_> {
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|i| self.bytes[at + i])
    }

    /// The bytes of a number, least significant first.
    fn little<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = self.array(at);
        if self.big_endian {
            bytes.reverse();
        }
        bytes
    }

    fn i16(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.little(at))
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.little(at))
    }

    fn i64(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.little(at))
    }

    fn f32(&self, at: usize) -> f64 {
        f32::from_le_bytes(self.little(at)).into()
    }

    fn f64(&self, at: usize) -> f64 {
        f64::from_le_bytes(self.little(at))
    }
}
