//! What a NIfTI header says about its voxels.

use std::path::Path;

use lacuna_volume::{Affine, Grid, Spacing, corner_displacement_mm};

use super::datatype;
use super::error::NiftiError;
use super::layout::{Fields, Placement, Version};
use crate::Datatype;
use crate::encoding::Encoding;
use crate::voxels::Layout;

/// The checked header of a NIfTI file. It keeps the fields that place the
/// voxels in the patient exactly as the file holds them, so that results are
/// written with the very geometry of their input.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    pub(crate) version: Version,
    /// Length of each axis, 2 to 4 of them.
    pub(crate) axes: Vec<usize>,
    pub(crate) encoding: Encoding,
    /// Byte at which the voxels start in their file.
    pub(crate) vox_offset: u64,
    /// The voxels are in an `.img` file of their own.
    pub(crate) pair: bool,
    pub(crate) placement: Placement,
    affine: Affine,
}

impl Header {
    /// A NIfTI-1 header for a volume that comes from no file, its geometry in
    /// the sform. As the format keeps 32-bit numbers, [`Self::affine`] is the
    /// grid's affine rounded to them. Axes above 32767 voxels need NIfTI-2,
    /// which rounds nothing.
    pub fn from_grid(grid: &Grid) -> Self {
        let (version, round): (_, fn(f64) -> f64) =
            if grid.shape.iter().all(|&n| n <= i16::MAX as usize) {
                (Version::Nifti1, |v| f64::from(v as f32))
            } else {
                (Version::Nifti2, |v| v)
            };
        let Spacing([x, y, z]) = grid.spacing();
        let qfac = if grid.affine.determinant() < 0.0 {
            -1.0
        } else {
            1.0
        };
        let srow = grid.affine.0.map(|row| row.map(round));
        Self {
            version,
            axes: grid.shape.to_vec(),
            encoding: Encoding {
                datatype: Datatype::F32,
                big_endian: false,
                scaling: None,
            },
            vox_offset: version.header_bytes() as u64 + 4,
            pair: false,
            placement: Placement {
                pixdim: [qfac, x, y, z, 1.0, 1.0, 1.0, 1.0].map(round),
                xyzt_units: 2, // millimetres
                qform_code: 0,
                sform_code: 1,
                quatern: [0.0; 3],
                qoffset: [0.0; 3],
                srow,
            },
            affine: Affine(srow),
        }
    }

    /// The same for an image of another format, of so many axes and volumes.
    pub(crate) fn of_image(grid: &Grid, rank: usize, volumes: usize, datatype: Datatype) -> Self {
        let mut header = Self::from_grid(grid);
        header.axes.truncate(rank);
        if volumes > 1 {
            header.axes.resize(3, 1);
            header.axes.push(volumes);
        }
        header.encoding.datatype = datatype;
        header
    }

    /// Checks the raw fields of the header at `path`.
    pub(crate) fn from_fields(fields: &Fields, path: &Path) -> Result<Self, NiftiError> {
        let pair = is_pair(fields, path)?;
        let axes = axes(&fields.dim, path)?;
        let datatype =
            datatype::from_code(fields.datatype).map_err(|found| NiftiError::Datatype {
                path: path.to_owned(),
                found,
            })?;
        let mut header = Self {
            version: fields.version,
            axes,
            encoding: Encoding {
                datatype,
                big_endian: fields.big_endian,
                scaling: scaling(fields, path)?,
            },
            vox_offset: vox_offset(fields, pair, path)?,
            pair,
            placement: fields.placement,
            affine: Affine::identity(),
        };
        header.affine = header
            .placement
            .affine(header.shape(), header.version)
            .map_err(|(form, found, expected)| NiftiError::Geometry {
                path: path.to_owned(),
                form,
                found,
                expected,
            })?;
        Ok(header)
    }

    /// Voxels along x, y, z; a 2-D image has one along z.
    pub fn shape(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.axes.get(axis).copied().unwrap_or(1))
    }

    /// Number of volumes, the length of the fourth axis.
    pub fn volumes(&self) -> usize {
        self.axes.get(3).copied().unwrap_or(1)
    }

    /// Number of axes that the file names, 2 to 4.
    pub fn rank(&self) -> usize {
        self.axes.len()
    }

    /// Voxel index to world mm (RAS+), from the sform, else the qform, else
    /// the voxel sizes alone; then the volume is centred on the origin and x
    /// runs to the left.
    pub fn affine(&self) -> &Affine {
        &self.affine
    }

    /// Where the voxels lie.
    pub fn grid(&self) -> Grid {
        Grid {
            shape: self.shape(),
            affine: self.affine,
        }
    }

    /// How far (mm) the corners of the volume lie apart by the sform and by the
    /// qform; `None` when only one of them is set, and infinite when the
    /// qform is unusable.
    pub fn forms_apart_mm(&self) -> Option<f64> {
        let placement = &self.placement;
        if placement.sform_code <= 0 || placement.qform_code <= 0 {
            return None;
        }
        let by_qform = Placement {
            sform_code: 0,
            ..*placement
        };
        Some(match by_qform.affine(self.shape(), self.version) {
            Ok(affine) => {
                let shape = self.shape();
                corner_displacement_mm(&self.grid(), &Grid { shape, affine })
            }
            Err(_) => f64::INFINITY,
        })
    }

    /// Whether every program places the voxels alike: those that prefer the qform, and
    /// those that take every length for millimetres.
    pub fn reads_alike(&self) -> bool {
        let placement = &self.placement;
        let placed = placement.sform_code > 0 || placement.qform_code > 0;
        let millimetres = matches!(placement.xyzt_units & 0x07, 0 | 2);
        let edges = self.affine.spacing().0;
        let smallest = edges.into_iter().fold(f64::INFINITY, f64::min);
        let apart = self.forms_apart_mm().unwrap_or(0.0);
        placed && millimetres && apart <= 1e-3 * smallest
    }

    /// The file holds header and voxels.
    pub fn is_single_file(&self) -> bool {
        !self.pair
    }

    /// How the file stores a voxel.
    pub fn datatype(&self) -> Datatype {
        self.encoding.datatype
    }

    /// The version of the header.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where its voxels lie in their file.
    pub(crate) fn layout(&self) -> Layout {
        Layout {
            shape: self.shape(),
            volumes: self.volumes(),
            affine: self.affine,
            encoding: self.encoding,
            offset: self.vox_offset,
            interleaved: false,
        }
    }
}

fn is_pair(fields: &Fields, path: &Path) -> Result<bool, NiftiError> {
    let [single, pair] = fields.version.magics();
    let magic = &fields.magic[..single.len()];
    if magic == single {
        Ok(false)
    } else if magic == pair {
        Ok(true)
    } else {
        Err(NiftiError::NotNifti {
            path: path.to_owned(),
            found: format!("the magic \"{}\"", magic.escape_ascii()),
            expected: match fields.version {
                Version::Nifti1 => "\"n+1\" or \"ni1\"",
                Version::Nifti2 => "\"n+2\" or \"ni2\" with the line-end check bytes",
            },
            remedy: "Analyze 7.5 files have none: convert the file to NIfTI",
        })
    }
}

/// Axis lengths without trailing axes of length 1 beyond the third.
fn axes(dim: &[i64; 8], path: &Path) -> Result<Vec<usize>, NiftiError> {
    let field = |found: String, expected: &str| NiftiError::Field {
        path: path.to_owned(),
        field: "dim",
        found,
        expected: expected.to_owned(),
    };
    let rank = usize::try_from(dim[0])
        .ok()
        .filter(|rank| (1..=7).contains(rank))
        .ok_or_else(|| field(format!("{dim:?}"), "1 to 7 axes in its first place"))?;
    let mut axes = Vec::with_capacity(rank);
    for &length in &dim[1..=rank] {
        match usize::try_from(length) {
            Ok(length) if length > 0 => axes.push(length),
            _ => {
                let found = format!("{:?}", &dim[..=rank]);
                return Err(field(found, "axes of at least one voxel"));
            }
        }
    }
    while axes.len() > 3 && axes.last() == Some(&1) {
        axes.pop();
    }
    if (2..=4).contains(&axes.len()) {
        Ok(axes)
    } else {
        Err(NiftiError::Axes {
            path: path.to_owned(),
            found: axes,
        })
    }
}

/// A slope of 0 or NaN means that stored values stand.
fn scaling(fields: &Fields, path: &Path) -> Result<Option<(f64, f64)>, NiftiError> {
    let (slope, inter) = (fields.scl_slope, fields.scl_inter);
    if slope == 0.0 || slope.is_nan() {
        return Ok(None);
    }
    let inter = if inter.is_nan() { 0.0 } else { inter };
    for (field, value) in [("scl_slope", slope), ("scl_inter", inter)] {
        if value.is_infinite() {
            return Err(NiftiError::Field {
                path: path.to_owned(),
                field,
                found: value.to_string(),
                expected: "a finite number".to_owned(),
            });
        }
    }
    Ok((slope != 1.0 || inter != 0.0).then_some((slope, inter)))
}

fn vox_offset(fields: &Fields, pair: bool, path: &Path) -> Result<u64, NiftiError> {
    // Beyond 2^53 a double skips whole numbers; no file is that long.
    let largest = 2f64.powi(53);
    // Four bytes after the header of a single file tell what extensions follow.
    let smallest = if pair {
        0
    } else {
        fields.version.header_bytes() + 4
    };
    let offset = fields.vox_offset;
    if offset >= smallest as f64 && offset <= largest && offset.fract() == 0.0 {
        Ok(offset as u64)
    } else {
        Err(NiftiError::Field {
            path: path.to_owned(),
            field: "vox_offset",
            found: offset.to_string(),
            expected: format!("a whole number from {smallest} to the length of the file"),
        })
    }
}
