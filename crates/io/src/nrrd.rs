//! NRRD: `.nrrd` (and Slicer's `.seg.nrrd`), or `.nhdr` with its voxels in a file of their own.
//!
//! Source of the format: "Definition of NRRD File Format" of Teem, and what ITK makes of it: a
//! space that is not named by anatomy is taken as left-posterior-superior.

mod fields;
mod segments;

use std::path::{Path, PathBuf};

use crate::encoding::Datatype;
use crate::lps::to_lps;
use crate::source::{Packing, Source};
use crate::text_header::{TextHeader, spaced};
use crate::voxel_bytes::Draft;
use crate::voxels::Voxels;
use crate::{ImageError, Reference};
use fields::Fields;
pub(crate) use segments::keys as segment_keys;

const FORMAT: &str = "NRRD";

/// How a file begins; a digit for the version follows.
pub(crate) const MAGIC: &[u8] = b"NRRD000";

/// Opens the file at `path`.
pub(crate) fn open(path: &Path) -> Result<(Reference, Voxels), ImageError> {
    let mut header = TextHeader::open(path, FORMAT)?;
    let fields = Fields::read(&mut header)?;
    let axes = fields.axes(&header)?;
    let mut layout = fields.layout(&header, &axes)?;
    let reference = Reference::of_layout(&mut layout, axes.spatial.len());
    let encoding = fields.needed(&header, "encoding")?.to_ascii_lowercase();
    let packing = match encoding.as_str() {
        "raw" => None,
        "gzip" | "gz" => Some(Packing::Gzip),
        other => {
            let what = format!("the encoding `{other}`");
            return Err(header.not_read(what, "save it with the encoding raw or gzip"));
        }
    };
    let lines = fields.skip(&header, "line skip", 0)?;
    let bytes = fields.skip(&header, "byte skip", -1)?;
    let data = fields.data_file(&header)?;
    if let Some(data) = &data {
        header.source.finish_header()?;
        header.source = Source::open(data)?;
    }
    for _ in 0..lines {
        if header.line()?.is_none() {
            break;
        }
    }
    let mut source = header.source;
    // A file of its own may be gzip as a whole, which is seen when it is opened.
    if let Some(packing) = packing {
        if data.is_none() && source.is_compressed() {
            let what = "the encoding gzip in a file that is compressed as a whole";
            return Err(ImageError::not_read(path, FORMAT, what, "unpack the file"));
        }
        source = source.unpacked(packing);
    }
    layout.offset = match bytes {
        // They end where the file does.
        -1 => layout.offset_at_end(&source),
        bytes => source.position().saturating_add(bytes.unsigned_abs()),
    };
    Ok((reference, Voxels::open(source, layout)?))
}

/// The file of the voxels, where it is another.
pub(crate) fn data_file(path: &Path) -> Result<Option<PathBuf>, ImageError> {
    let mut header = TextHeader::open(path, FORMAT)?;
    Fields::read(&mut header)?.data_file(&header)
}

/// Whether the header lists segments, as those of Slicer's `.seg.nrrd` do.
pub(crate) fn is_segmentation(path: &Path) -> Result<bool, ImageError> {
    Ok(Fields::read(&mut TextHeader::open(path, FORMAT)?)?.segments)
}

/// A file of one volume, or of so many along a last axis, on the geometry of `reference`; `keys`
/// are lines that an application reads.
pub(crate) fn draft(
    reference: &Reference,
    fourth: Option<usize>,
    datatype: Datatype,
    keys: &str,
) -> Draft {
    let (spacing, directions, origin) = to_lps(reference.affine());
    let kind = match datatype {
        Datatype::I8 => "int8",
        Datatype::U8 => "uint8",
        Datatype::I16 => "int16",
        Datatype::U16 => "uint16",
        Datatype::I32 => "int32",
        Datatype::U32 => "uint32",
        Datatype::I64 => "int64",
        Datatype::U64 => "uint64",
        Datatype::F32 => "float",
        Datatype::F64 => "double",
    };
    let vector = |v: [f64; 3]| format!("({},{},{})", v[0], v[1], v[2]);
    let columns = [0, 1, 2].map(|axis| vector(directions[axis].map(|d| d * spacing[axis])));
    let last = |word: &str| fourth.map(|_| word.to_owned());
    let kinds = ["domain"; 3].map(str::to_owned);
    let header = format!(
        "NRRD0004\ntype: {kind}\ndimension: {}\nspace: left-posterior-superior\nsizes: {}\n\
         space directions: {}\nkinds: {}\nendian: little\nencoding: gzip\nspace origin: {}\n{keys}\n",
        if fourth.is_some() { 4 } else { 3 },
        spaced(reference.shape().into_iter().chain(fourth)),
        spaced(columns.into_iter().chain(last("none"))),
        spaced(kinds.into_iter().chain(last("list"))),
        vector(origin),
    );
    Draft {
        header: header.into_bytes(),
        packing: Some(Packing::Gzip),
        whole: false,
        big_endian: false,
    }
}
