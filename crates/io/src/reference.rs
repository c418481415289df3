//! What results are written onto: the geometry of an image, and what a writer
//! needs beside it.

use std::path::PathBuf;
use std::sync::Arc;

use lacuna_volume::{Affine, Grid};

use crate::nifti;
use crate::voxels::Layout;

/// The geometry of an image file. It keeps what the file's format says beyond
/// that, so that a result written onto it lies exactly over the image in any
/// viewer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// As results are written as NIfTI, an image of any other format is kept as
    /// the header that a NIfTI file of the same geometry has.
    nifti: nifti::Header,
    /// The files of the slices of a DICOM series, in the order of the volume: a segmentation
    /// refers to each.
    slices: Option<Arc<[PathBuf]>>,
}

impl Reference {
    /// For a volume that comes from no file. As NIfTI-1 keeps 32-bit numbers,
    /// [`Self::affine`] is the grid's affine rounded to them.
    pub fn from_grid(grid: &Grid) -> Self {
        nifti::Header::from_grid(grid).into()
    }

    /// Of a file of another format than NIfTI, with as many axes as it names, 2 to 4; the layout
    /// gets the affine that is kept.
    pub(crate) fn of_layout(layout: &mut Layout, rank: usize) -> Self {
        let grid = Grid {
            shape: layout.shape,
            affine: layout.affine,
        };
        let datatype = layout.encoding.datatype;
        let header = nifti::Header::of_image(&grid, rank, layout.volumes, datatype);
        layout.affine = *header.affine();
        header.into()
    }

    /// The same, of the series of these slices.
    pub(crate) fn of_slices(self, files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            slices: Some(files.into_iter().collect()),
            ..self
        }
    }

    /// The files of the slices, where it is of a series.
    pub(crate) fn slices(&self) -> Option<&[PathBuf]> {
        self.slices.as_deref()
    }

    /// The same picture on another grid of as many voxels, as where someone knows the spacing,
    /// which its file does not tell.
    pub fn of_picture_on(&self, grid: &Grid) -> Self {
        let datatype = self.nifti.datatype();
        nifti::Header::of_image(grid, 2, self.volumes(), datatype).into()
    }

    /// Voxels along x, y, z; a 2-D image has one along z.
    pub fn shape(&self) -> [usize; 3] {
        self.nifti.shape()
    }

    /// Number of volumes in the file.
    pub fn volumes(&self) -> usize {
        self.nifti.volumes()
    }

    /// Voxel index to world mm (RAS+).
    pub fn affine(&self) -> &Affine {
        self.nifti.affine()
    }

    /// Where the voxels lie.
    pub fn grid(&self) -> Grid {
        self.nifti.grid()
    }

    /// Bytes that the file takes for one voxel, uncompressed.
    pub fn voxel_bytes(&self) -> usize {
        self.nifti.datatype().bytes()
    }

    /// How far (mm) the corners lie apart by the two placements that one file
    /// may hold, as sform and qform of NIfTI; `None` when it holds one. The
    /// first of the two is [`Self::grid`].
    pub fn placements_apart_mm(&self) -> Option<f64> {
        self.nifti.forms_apart_mm()
    }

    /// The header that a NIfTI file written onto this geometry follows.
    pub fn nifti(&self) -> &nifti::Header {
        &self.nifti
    }
}

impl From<nifti::Header> for Reference {
    fn from(nifti: nifti::Header) -> Self {
        Self {
            nifti,
            slices: None,
        }
    }
}
