//! FreeSurfer's `.mgh`, and `.mgz`, which is the same compressed.
//!
//! Source of the format: "FsTutorial/MghFormat" of the FreeSurfer wiki. All numbers are
//! big-endian; positions are right-anterior-superior.

use std::path::Path;

use lacuna_volume::Affine;

use crate::encoding::{Datatype, Encoding};
use crate::source::{Packing, Source};
use crate::voxel_bytes::Draft;
use crate::voxels::{Layout, Voxels};
use crate::{ImageError, Reference};

const FORMAT: &str = "MGH";

/// Bytes before the voxels.
const HEADER_BYTES: usize = 284;

/// The version, with which every file begins.
pub(crate) const VERSION: [u8; 4] = [0, 0, 0, 1];

/// Opens the file at `path`.
pub(crate) fn open(path: &Path) -> Result<(Reference, Voxels), ImageError> {
    let mut source = Source::open(path)?;
    let mut header = [0; HEADER_BYTES];
    let expected = HEADER_BYTES as u64;
    match source.read(&mut header) {
        Ok(HEADER_BYTES) => {}
        Ok(found) => {
            return Err(ImageError::Truncated {
                path: path.to_owned(),
                what: "header",
                found: found as u64,
                expected,
            });
        }
        Err(e) => return Err(source.error(e, "header", source.position(), expected)),
    }
    let wrong = |field: &str, found: String, expected: &str| {
        ImageError::header(path, FORMAT, field, found, expected)
    };
    let i32_at = |at| i32::from_be_bytes(array(&header, at));
    let f32_at = |at| f64::from(f32::from_be_bytes(array(&header, at)));
    let lengths: [i32; 4] = std::array::from_fn(|axis| i32_at(4 + 4 * axis));
    let axes = lengths.map(|n| usize::try_from(n).unwrap_or(0));
    if axes.contains(&0) {
        let found = format!("{lengths:?}");
        return Err(wrong(
            "width, height, depth, frames",
            found,
            "lengths of at least 1",
        ));
    }
    let datatype = match i32_at(20) {
        0 => Datatype::U8,
        1 => Datatype::I32,
        3 => Datatype::F32,
        4 => Datatype::I16,
        10 => Datatype::U16,
        code => {
            let expected = "0, 1, 3, 4 or 10 (bytes, integers, floating point)";
            return Err(wrong("type", code.to_string(), expected));
        }
    };
    let shape = [axes[0], axes[1], axes[2]];
    // Without it, coronal slices of 1 mm about the origin.
    let placed = i16::from_be_bytes(array(&header, 28)) == 1;
    let (spacing, directions, centre) = match placed {
        true => (
            std::array::from_fn(|axis| f32_at(30 + 4 * axis)),
            std::array::from_fn(|n| f32_at(42 + 4 * n)),
            std::array::from_fn(|world| f32_at(78 + 4 * world)),
        ),
        false => (
            [1.0; 3],
            [-1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0],
            [0.0; 3],
        ),
    };
    let affine = centred(shape, spacing, directions, centre);
    if !affine.places_voxels() {
        let found = format!("{:?}", affine.0);
        return Err(wrong(
            "the directions and spacings of the axes",
            found,
            "finite numbers, and axes in three directions",
        ));
    }
    let mut layout = Layout {
        shape,
        volumes: axes[3],
        affine,
        encoding: Encoding {
            datatype,
            big_endian: true,
            scaling: None,
        },
        offset: expected,
        interleaved: false,
    };
    let reference = Reference::of_layout(&mut layout, 3);
    Ok((reference, Voxels::open(source, layout)?))
}

/// A file of one volume, or of so many frames, on the geometry of `reference`, which the format
/// keeps in 32-bit numbers.
pub(crate) fn draft(
    path: &Path,
    reference: &Reference,
    fourth: Option<usize>,
    datatype: Datatype,
    compressed: bool,
) -> Result<Draft, ImageError> {
    let code: i32 = match datatype {
        Datatype::U8 => 0,
        Datatype::I32 => 1,
        Datatype::F32 => 3,
        Datatype::I16 => 4,
        Datatype::U16 => 10,
        other => {
            let what = format!("voxels of the kind {other:?}");
            return Err(ImageError::not_read(
                path,
                FORMAT,
                what,
                "write it as NIfTI",
            ));
        }
    };
    let [x, y, z] = reference.shape();
    let mut header = VERSION.to_vec();
    for length in [x, y, z, fourth.unwrap_or(1)] {
        let length = i32::try_from(length).unwrap_or(i32::MAX);
        header.extend(length.to_be_bytes());
    }
    header.extend(code.to_be_bytes());
    header.extend([0; 4]); // degrees of freedom
    header.extend(1i16.to_be_bytes());
    let affine = reference.affine();
    let spacing = affine.spacing().0;
    let directions = (0..9).map(|at| affine.0[at % 3][at / 3] / spacing[at / 3]);
    let centre = affine.apply([x, y, z].map(|n| n as f64 / 2.0));
    for number in spacing.into_iter().chain(directions).chain(centre) {
        header.extend((number as f32).to_be_bytes());
    }
    header.resize(HEADER_BYTES, 0);
    Ok(Draft {
        header,
        packing: compressed.then_some(Packing::Gzip),
        whole: compressed,
        big_endian: true,
    })
}

/// The affine of voxel axes whose `directions` (three numbers for each axis) are given, with the
/// middle of the volume, `shape / 2`, at `centre` (mm).
fn centred(shape: [usize; 3], spacing: [f64; 3], directions: [f64; 9], centre: [f64; 3]) -> Affine {
    Affine(std::array::from_fn(|world| {
        let step = |axis: usize| directions[3 * axis + world] * spacing[axis];
        let middle: f64 = (0..3)
            .map(|axis| step(axis) * shape[axis] as f64 / 2.0)
            .sum();
        [step(0), step(1), step(2), centre[world] - middle]
    }))
}

fn array<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    std::array::from_fn(|i| header[at + i])
}
