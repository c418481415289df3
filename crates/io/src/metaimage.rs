//! MetaImage: `.mha`, or `.mhd` with its voxels in a file of their own.
//!
//! Source of the format: the documentation of MetaIO, and what ITK makes of it: positions
//! are left-posterior-superior, and `AnatomicalOrientation` says nothing more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::encoding::{Datatype, Encoding};
use crate::lps::{from_lps, to_lps};
use crate::source::{Packing, Source};
use crate::text_header::{TextHeader, spaced};
use crate::voxel_bytes::Draft;
use crate::voxels::{Layout, Voxels};
use crate::{ImageError, Reference};

const FORMAT: &str = "MetaImage";

/// How a file begins.
pub(crate) const STARTS: [&[u8]; 3] = [b"ObjectType", b"NDims", b"Comment"];

/// The last field; the voxels follow, or lie in the file that it names.
const DATA: &str = "ElementDataFile";

/// Voxels by their name, first those that are written; `MET_LONG` has 4 bytes on every machine.
const TYPES: [(&str, Datatype); 12] = [
    ("MET_CHAR", Datatype::I8),
    ("MET_UCHAR", Datatype::U8),
    ("MET_SHORT", Datatype::I16),
    ("MET_USHORT", Datatype::U16),
    ("MET_INT", Datatype::I32),
    ("MET_UINT", Datatype::U32),
    ("MET_LONG_LONG", Datatype::I64),
    ("MET_ULONG_LONG", Datatype::U64),
    ("MET_FLOAT", Datatype::F32),
    ("MET_DOUBLE", Datatype::F64),
    ("MET_LONG", Datatype::I32),
    ("MET_ULONG", Datatype::U32),
];

/// Opens the file at `path`.
pub(crate) fn open(path: &Path) -> Result<(Reference, Voxels), ImageError> {
    let mut header = TextHeader::open(path, FORMAT)?;
    let fields = Fields::read(&mut header)?;
    let (mut layout, rank) = fields.layout(&header)?;
    let reference = Reference::of_layout(&mut layout, rank);
    let compressed = fields.flag(&header, "CompressedData")?.unwrap_or(false);
    let mut source = match fields.data_file(&header)? {
        None => header.source,
        Some(data) => {
            header.source.finish_header()?;
            Source::open(&data)?
        }
    };
    let start = source.position();
    let skip = fields
        .get("HeaderSize")
        .map(|text| (text, text.parse::<i64>()));
    layout.offset = match skip {
        None | Some((_, Ok(0))) => start,
        // They end where the file does.
        Some((_, Ok(-1))) if !compressed => layout.offset_at_end(&source),
        Some((text, bytes)) => match bytes.ok().and_then(|n| u64::try_from(n).ok()) {
            Some(bytes) if bytes >= start => bytes,
            _ => {
                let expected = "a number of bytes, or -1 where nothing is compressed";
                let found = format!("`{text}`");
                return Err(ImageError::header(
                    path,
                    FORMAT,
                    "HeaderSize",
                    found,
                    expected,
                ));
            }
        },
    };
    if compressed {
        if source.is_compressed() {
            let expected = "False in a file that is compressed as a whole";
            return Err(ImageError::header(
                path,
                FORMAT,
                "CompressedData",
                "`True`",
                expected,
            ));
        }
        let at = layout.offset;
        let reached = source.skip_to(at);
        reached.map_err(|e| source.error(e, "header", 0, at))?;
        source = source.unpacked(Packing::Zlib);
        layout.offset = 0;
    }
    Ok((reference, Voxels::open(source, layout)?))
}

/// The file of the voxels, where it is another.
pub(crate) fn data_file(path: &Path) -> Result<Option<PathBuf>, ImageError> {
    let mut header = TextHeader::open(path, FORMAT)?;
    Fields::read(&mut header)?.data_file(&header)
}

/// The lines `Name = value` of a header.
struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Reads up to [`DATA`], which is the last.
    fn read(header: &mut TextHeader) -> Result<Self, ImageError> {
        let mut fields = BTreeMap::new();
        loop {
            let Some(line) = header.line()? else {
                return Err(header.wrong(DATA, "absent", "LOCAL, or the name of a file"));
            };
            let Some((name, value)) = line.split_once('=') else {
                if line.trim().is_empty() {
                    continue;
                }
                return Err(header.wrong("a line", format!("`{line}`"), "`Name = value`"));
            };
            let name = name.trim().to_owned();
            let last = name == DATA;
            fields.insert(name, value.trim().to_owned());
            if last {
                return Ok(Self(fields));
            }
        }
    }

    fn data_file(&self, header: &TextHeader) -> Result<Option<PathBuf>, ImageError> {
        match self.get(DATA).unwrap_or_default() {
            "LOCAL" | "Local" | "local" => Ok(None),
            data if data.starts_with("LIST") || data.contains('%') => {
                let what = "its slices in files of their own";
                Err(header.not_read(what, "save it as one .mha file"))
            }
            data => header.beside(data).map(Some),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The first of the names that is there, with its value.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, &str)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    /// By its first letter, as MetaIO reads it.
    fn flag(&self, header: &TextHeader, name: &str) -> Result<Option<bool>, ImageError> {
        match self.get(name).map(|value| (value, value.chars().next())) {
            None => Ok(None),
            Some((_, Some('T' | 't' | '1'))) => Ok(Some(true)),
            Some((_, Some('F' | 'f' | '0'))) => Ok(Some(false)),
            Some((value, _)) => Err(header.wrong(name, format!("`{value}`"), "True or False")),
        }
    }

    /// The layout, but for where the voxels start, and the number of axes.
    fn layout(&self, header: &TextHeader) -> Result<(Layout, usize), ImageError> {
        if self.flag(header, "BinaryData")? == Some(false) {
            return Err(header.not_read("its voxels as text", "save it with BinaryData = True"));
        }
        let size = self.get("DimSize");
        let size =
            size.ok_or_else(|| header.wrong("DimSize", "absent", "the lengths of the axes"))?;
        let axes = header.axes("DimSize", size, 2..=4)?;
        let rank = axes.len();
        if let Some(named) = self.get("NDims").filter(|n| n.parse() != Ok(rank)) {
            return Err(header.wrong("NDims", format!("`{named}`"), "as many as DimSize has"));
        }
        let channels = match self.get("ElementNumberOfChannels") {
            None => 1,
            Some(text) => text.parse().ok().filter(|n| *n > 0).ok_or_else(|| {
                header.wrong(
                    "ElementNumberOfChannels",
                    format!("`{text}`"),
                    "a number from 1",
                )
            })?,
        };
        let frames = axes.get(3).copied().unwrap_or(1);
        if channels > 1 && frames > 1 {
            let what = format!("{channels} values in each of {frames} volumes");
            return Err(header.not_read(what, "save each value as a file of its own"));
        }
        if let Some(unit) = self
            .get("DistanceUnits")
            .filter(|u| !["mm", "?"].contains(u))
        {
            return Err(header.not_read(format!("lengths in {unit}"), "save it with lengths in mm"));
        }
        let scaling = [
            ("ElementToIntensityFunctionSlope", 1.0),
            ("ElementToIntensityFunctionOffset", 0.0),
        ];
        for (name, plain) in scaling {
            if let Some(text) = self.get(name).filter(|text| text.parse() != Ok(plain)) {
                let what = format!("{name} = {text}");
                return Err(header.not_read(what, "apply it to the voxels and save them"));
            }
        }
        let kind = self.get("ElementType").unwrap_or_default();
        let datatype = TYPES.iter().find(|(name, _)| *name == kind);
        let (_, datatype) = *datatype.ok_or_else(|| {
            let expected = "MET_UCHAR, MET_SHORT, MET_FLOAT or another number of 1 to 8 bytes";
            header.wrong("ElementType", format!("`{kind}`"), expected)
        })?;
        let big_endian = match self.flag(header, "BinaryDataByteOrderMSB")? {
            Some(flag) => flag,
            None => self.flag(header, "ElementByteOrderMSB")?.unwrap_or(false),
        };
        let layout = Layout {
            shape: std::array::from_fn(|axis| axes.get(axis).copied().unwrap_or(1)),
            volumes: channels * frames,
            affine: self.affine(header, rank)?,
            encoding: Encoding {
                datatype,
                big_endian,
                scaling: None,
            },
            offset: 0,
            interleaved: channels > 1,
        };
        Ok((layout, rank.min(3)))
    }

    fn affine(
        &self,
        header: &TextHeader,
        rank: usize,
    ) -> Result<lacuna_volume::Affine, ImageError> {
        let numbers = |names: &[&'static str], count: usize| match self.first(names) {
            None => Ok(None),
            Some((name, text)) => match header.numbers::<f64>(name, text)? {
                found if found.len() == count => Ok(Some(found)),
                _ => Err(header.wrong(name, format!("`{text}`"), &format!("{count} numbers"))),
            },
        };
        let spacing = numbers(&["ElementSpacing", "ElementSize"], rank)?;
        let origin = numbers(&["Offset", "Position", "Origin"], rank)?;
        let turn = numbers(&["TransformMatrix", "Rotation", "Orientation"], rank * rank)?;
        let of = |list: &Option<Vec<f64>>, axis: usize, without: f64| match list {
            Some(list) if axis < rank => list[axis],
            _ => without,
        };
        // The first `rank` numbers are the direction of the first axis, and so on.
        let column = |axis: usize| {
            let spacing = of(&spacing, axis, 1.0);
            std::array::from_fn(|world| {
                let same = f64::from(u8::from(axis == world));
                spacing
                    * match &turn {
                        Some(turn) if axis < rank && world < rank => turn[axis * rank + world],
                        _ => same,
                    }
            })
        };
        let columns = [0, 1, 2].map(column);
        header.affine(from_lps(
            columns,
            [0, 1, 2].map(|axis| of(&origin, axis, 0.0)),
        ))
    }
}

/// A file of one volume, or of so many along a fourth axis, on the geometry of `reference`.
pub(crate) fn draft(reference: &Reference, fourth: Option<usize>, datatype: Datatype) -> Draft {
    let (spacing, directions, origin) = to_lps(reference.affine());
    let rank = if fourth.is_some() { 4 } else { 3 };
    let named = TYPES.iter().find(|(_, of)| *of == datatype);
    let kind = named.map_or("", |(name, _)| *name);
    let matrix = (0..rank * rank).map(|at| {
        let (axis, world) = (at / rank, at % rank);
        let inside = axis < 3 && world < 3;
        match inside {
            true => directions[axis][world],
            false => f64::from(u8::from(axis == world)),
        }
    });
    let fourth_is = |value: f64| fourth.map(|_| value);
    let header = format!(
        "ObjectType = Image\nNDims = {rank}\nBinaryData = True\nBinaryDataByteOrderMSB = False\n\
         CompressedData = True\nTransformMatrix = {}\nOffset = {}\nElementSpacing = {}\n\
         DimSize = {}\nElementType = {kind}\n{DATA} = LOCAL\n",
        spaced(matrix),
        spaced(origin.into_iter().chain(fourth_is(0.0))),
        spaced(spacing.into_iter().chain(fourth_is(1.0))),
        spaced(reference.shape().into_iter().chain(fourth)),
    );
    Draft {
        header: header.into_bytes(),
        packing: Some(Packing::Zlib),
        whole: false,
        big_endian: false,
    }
}
