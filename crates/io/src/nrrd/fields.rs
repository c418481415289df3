//! What the lines of a header say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lacuna_volume::Affine;

use crate::ImageError;
use crate::encoding::{Datatype, Encoding};
use crate::lps::{cross, from_lps};
use crate::text_header::TextHeader;
use crate::voxels::Layout;

/// What `kinds` calls axes along which space goes.
const SPATIAL: [&str; 4] = ["domain", "space", "???", "none"];

/// The lines `name: value` of a header.
pub(super) struct Fields {
    named: BTreeMap<String, String>,
    /// Keys of Slicer's segments are among them.
    pub segments: bool,
}

/// What each axis of the file is.
pub(super) struct Axes {
    /// Their lengths.
    sizes: Vec<usize>,
    /// Those along which space goes, 2 or 3.
    pub spatial: Vec<usize>,
}

impl Fields {
    /// Reads up to the empty line, or to the end of a header without voxels.
    pub fn read(header: &mut TextHeader) -> Result<Self, ImageError> {
        let mut fields = Self {
            named: BTreeMap::new(),
            segments: false,
        };
        header.line()?; // The magic, seen before.
        loop {
            match header.line()? {
                Some(line) if line.is_empty() => return Ok(fields),
                // Keys of applications, and comments.
                Some(line) if line.starts_with('#') || line.contains(":=") => {
                    fields.segments |= line.starts_with("Segment0_");
                }
                Some(line) => match line.split_once(": ").or(line.split_once(':')) {
                    Some((name, value)) => {
                        // Teem takes them in any case, with and without spaces.
                        let name = name.to_ascii_lowercase().replace(' ', "");
                        fields.named.insert(name, value.trim().to_owned());
                    }
                    None => {
                        let found = format!("`{line}`");
                        return Err(header.wrong("a line", found, "`name: value`"));
                    }
                },
                None if fields.named.contains_key("datafile") => return Ok(fields),
                None => {
                    return Err(header.wrong("end", "absent", "an empty line before the voxels"));
                }
            }
        }
    }

    pub fn data_file(&self, header: &TextHeader) -> Result<Option<PathBuf>, ImageError> {
        match self.get("data file") {
            None => Ok(None),
            Some(name) if name.starts_with("LIST") || name.contains('%') => {
                let what = "its voxels in several files";
                Err(header.not_read(what, "save it as one .nrrd file"))
            }
            Some(name) => header.beside(name).map(Some),
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.named.get(&name.replace(' ', "")).map(String::as_str)
    }

    pub fn needed(&self, header: &TextHeader, name: &str) -> Result<&str, ImageError> {
        self.get(name)
            .ok_or_else(|| header.wrong(name, "absent", "one line that gives it"))
    }

    /// What is skipped before the voxels, no less than `least`.
    pub fn skip(&self, header: &TextHeader, name: &str, least: i64) -> Result<i64, ImageError> {
        let Some(text) = self.get(name) else {
            return Ok(0);
        };
        match text.parse() {
            Ok(number) if number >= least => Ok(number),
            _ => Err(header.wrong(name, format!("`{text}`"), &format!("a number from {least}"))),
        }
    }

    pub fn axes(&self, header: &TextHeader) -> Result<Axes, ImageError> {
        let sizes = header.axes("sizes", self.needed(header, "sizes")?, 2..=4)?;
        let count = sizes.len();
        if let Some(named) = self.get("dimension").filter(|n| n.parse() != Ok(count)) {
            let found = format!("`{named}`");
            return Err(header.wrong("dimension", found, "as many as `sizes` has"));
        }
        let spatial: Vec<bool> = match (self.get("space directions"), self.get("kinds")) {
            (Some(text), _) => (self.vectors(header, "space directions", text)?.iter())
                .map(Option::is_some)
                .collect(),
            (None, Some(kinds)) => (kinds.split_whitespace())
                .map(|kind| SPATIAL.contains(&kind.to_ascii_lowercase().as_str()))
                .collect(),
            (None, None) => (0..count).map(|axis| axis < 3).collect(),
        };
        if spatial.len() != count {
            let found = format!("{} axes", spatial.len());
            return Err(header.wrong(
                "space directions or kinds",
                found,
                "one for each of `sizes`",
            ));
        }
        let mut spatial: Vec<usize> = (0..count).filter(|&axis| spatial[axis]).collect();
        // Time, which some tools make an axis of a space of four.
        spatial.truncate(3);
        let between = |axis: usize| axis != 0 && axis + 1 != count;
        let others = count.checked_sub(spatial.len());
        let other = (0..count).find(|axis| !spatial.contains(axis));
        match others {
            Some(0 | 1) if (2..=3).contains(&spatial.len()) && !other.is_some_and(between) => {
                Ok(Axes { sizes, spatial })
            }
            _ => {
                let what = format!("{count} axes of which {} are in space", spatial.len());
                Err(header.not_read(
                    what,
                    "save it with 2 or 3 axes in space, and one beside them at most",
                ))
            }
        }
    }

    /// The layout, but for where the voxels start.
    pub fn layout(&self, header: &TextHeader, axes: &Axes) -> Result<Layout, ImageError> {
        let kind = self.needed(header, "type")?;
        let datatype = datatype(&kind.to_ascii_lowercase()).ok_or_else(|| {
            let expected = "unsigned char, short, float or another number of 1 to 8 bytes";
            header.wrong("type", format!("`{kind}`"), expected)
        })?;
        let big_endian = match self.get("endian") {
            Some("little") => false,
            Some("big") => true,
            None if datatype.bytes() == 1 => false,
            found => {
                let found = found.map_or("absent".to_owned(), |text| format!("`{text}`"));
                return Err(header.wrong("endian", found, "little or big"));
            }
        };
        let other = (0..axes.sizes.len()).find(|axis| !axes.spatial.contains(axis));
        let length = |axis: usize| axes.spatial.get(axis).map_or(1, |&at| axes.sizes[at]);
        Ok(Layout {
            shape: [0, 1, 2].map(length),
            volumes: other.map_or(1, |axis| axes.sizes[axis]),
            affine: self.affine(header, axes)?,
            encoding: Encoding {
                datatype,
                big_endian,
                scaling: None,
            },
            offset: 0,
            interleaved: other == Some(0),
        })
    }

    fn affine(&self, header: &TextHeader, axes: &Axes) -> Result<Affine, ImageError> {
        for name in ["space units", "units"] {
            let plain = |unit: &str| ["mm", "", "none", "???"].contains(&unit);
            let units = self.get(name).unwrap_or_default().replace('"', " ");
            if let Some(unit) = units.split_whitespace().find(|unit| !plain(unit)) {
                let what = format!("lengths in {unit}");
                return Err(header.not_read(what, "save it with lengths in mm"));
            }
        }
        let Some(text) = self.get("space directions") else {
            return self.affine_of_spacings(header, axes);
        };
        let vectors = self.vectors(header, "space directions", text)?;
        let in_space = |vector: &Vec<f64>| -> Result<[f64; 3], ImageError> {
            match vector[..] {
                [x, y, z] => Ok([x, y, z]),
                [x, y] => Ok([x, y, 0.0]),
                [x, y, z, 0.0] => Ok([x, y, z]),
                _ => {
                    let expected = "vectors of 2 or 3 numbers, or of 4 with time apart";
                    Err(header.wrong("space directions", format!("`{text}`"), expected))
                }
            }
        };
        let columns: Vec<[f64; 3]> = (axes.spatial.iter())
            .filter_map(|&axis| vectors.get(axis)?.as_ref())
            .map(in_space)
            .collect::<Result<_, _>>()?;
        let origin = match self.get("space origin") {
            None => [0.0; 3],
            Some(text) => match &self.vectors(header, "space origin", text)?[..] {
                [Some(vector)] => in_space(vector)?,
                _ => {
                    let found = format!("`{text}`");
                    return Err(header.wrong("space origin", found, "one vector"));
                }
            },
        };
        // Axes to the right or front become ones to the left or back.
        let sign = match self.get("space").map(str::to_ascii_lowercase).as_deref() {
            Some("right-anterior-superior" | "ras" | "right-anterior-superior-time" | "rast") => {
                [-1.0, -1.0, 1.0]
            }
            Some("left-anterior-superior" | "las" | "left-anterior-superior-time" | "last") => {
                [1.0, -1.0, 1.0]
            }
            _ => [1.0; 3],
        };
        let turned = |v: [f64; 3]| [0, 1, 2].map(|world| sign[world] * v[world]);
        let flat = (vectors.iter().flatten()).all(|vector| vector.len() == 2);
        let columns: Vec<[f64; 3]> = columns.into_iter().map(turned).collect();
        let columns = match columns[..] {
            [x, y, z] => [x, y, z],
            [x, y] if flat => [x, y, [0.0, 0.0, 1.0]],
            [x, y] => [x, y, across(x, y)],
            _ => {
                let found = format!("`{text}`");
                return Err(header.wrong("space directions", found, "2 or 3 vectors"));
            }
        };
        header.affine(from_lps(columns, turned(origin)))
    }

    /// Of a file that names no space: axes along those of the patient.
    fn affine_of_spacings(&self, header: &TextHeader, axes: &Axes) -> Result<Affine, ImageError> {
        let places = ["axis mins", "space origin"];
        if let Some(place) = places.iter().find(|n| self.get(n).is_some()) {
            let remedy = "save it with `space directions` and `space origin`";
            return Err(header.not_read(format!("its place given by `{place}`"), remedy));
        }
        let mut columns = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        if let Some(text) = self.get("spacings") {
            let spacings: Vec<f64> = header.numbers("spacings", text)?;
            if spacings.len() != axes.sizes.len() {
                let found = format!("`{text}`");
                return Err(header.wrong("spacings", found, "one for each axis"));
            }
            for (axis, &at) in axes.spatial.iter().enumerate() {
                columns[axis][axis] = spacings[at];
            }
        }
        header.affine(from_lps(columns, [0.0; 3]))
    }

    /// `(x,y,z)` or `none`, one after the other.
    fn vectors(
        &self,
        header: &TextHeader,
        field: &str,
        text: &str,
    ) -> Result<Vec<Option<Vec<f64>>>, ImageError> {
        let bad = || header.wrong(field, format!("`{text}`"), "`(x,y,z)` or `none` for each");
        let mut vectors = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("none") {
                vectors.push(None);
                rest = after.trim_start();
                continue;
            }
            let (inside, after) = (rest.strip_prefix('('))
                .and_then(|rest| rest.split_once(')'))
                .ok_or_else(bad)?;
            let numbers = inside.split(',').map(|number| number.trim().parse());
            vectors.push(Some(numbers.collect::<Result<_, _>>().map_err(|_| bad())?));
            rest = after.trim_start();
        }
        Ok(vectors)
    }
}

/// The direction across two others, of length 1.
fn across(x: [f64; 3], y: [f64; 3]) -> [f64; 3] {
    let cross = cross(x, y);
    let length = cross.iter().map(|v| v * v).sum::<f64>().sqrt();
    cross.map(|v| v / length)
}

fn datatype(name: &str) -> Option<Datatype> {
    Some(match name {
        "signed char" | "int8" | "int8_t" => Datatype::I8,
        "uchar" | "unsigned char" | "uint8" | "uint8_t" => Datatype::U8,
        "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => {
            Datatype::I16
        }
        "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => Datatype::U16,
        "int" | "signed int" | "int32" | "int32_t" => Datatype::I32,
        "uint" | "unsigned int" | "uint32" | "uint32_t" => Datatype::U32,
        "longlong"
        | "long long"
        | "long long int"
        | "signed long long"
        | "signed long long int"
        | "int64"
        | "int64_t" => Datatype::I64,
        "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => {
            Datatype::U64
        }
        "float" => Datatype::F32,
        "double" => Datatype::F64,
        _ => return None,
    })
}
