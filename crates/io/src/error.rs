//! What can be wrong with a NIfTI file.

use std::io;
use std::path::PathBuf;

use lacuna_volume::VolumeError;

use crate::atomic::WriteError;

/// Why a NIfTI file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NiftiError {
    /// The file cannot be opened or read at all.
    #[error("{path}: cannot read the file: {source}; check the path, its permissions and the disk")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder, pipe or device stands where a file should be.
    #[error("{path}: not a regular file; give the path of a .nii, .nii.gz, .hdr or .img file")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The other half of a `.hdr`/`.img` pair is missing.
    #[error(
        "{path}: its other half is missing, expected {}; put the two files into one folder",
        expected.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" or ")
    )]
    NoPair {
        /// The half that was given.
        path: PathBuf,
        /// The names that the other half may have.
        expected: Vec<PathBuf>,
    },
    /// The file does not begin with a NIfTI header.
    #[error("{path}: not a NIfTI file: found {found}, expected {expected}; {remedy}")]
    NotNifti {
        /// The file.
        path: PathBuf,
        /// What it begins with.
        found: String,
        /// What it should begin with.
        expected: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A field of the header has a value it cannot have.
    #[error(
        "{path}: the header field {field} is {found}, expected {expected}; \
         the file is damaged or unusual: export it again"
    )]
    Field {
        /// The file.
        path: PathBuf,
        /// The name that the NIfTI standard gives the field.
        field: &'static str,
        /// Its value.
        found: String,
        /// Legal values.
        expected: String,
    },
    /// The voxels are of a type that is no single real number.
    #[error(
        "{path}: the voxels are {found}, expected whole or real numbers of 8 to 64 bits; \
         convert the file to float32"
    )]
    Datatype {
        /// The file.
        path: PathBuf,
        /// Name or code of the type.
        found: String,
    },
    /// More than four axes, or fewer than two.
    #[error(
        "{path}: the image has the axes {found:?}, expected 2 to 4 axes \
         (further ones of length 1 are ignored); extract the volumes first"
    )]
    Axes {
        /// The file.
        path: PathBuf,
        /// Length of each axis.
        found: Vec<usize>,
    },
    /// The voxels do not fit the memory.
    #[error(
        "{path}: {bytes} bytes are needed for the voxels and cannot be had; use a smaller image or more memory"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes needed.
        bytes: u128,
    },
    /// The file ends before the header says it should.
    #[error(
        "{path}: the file ends early: {found} bytes of {what} found, {expected} expected; \
         it was cut off or its header is wrong: copy or export it again"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What is incomplete.
        what: &'static str,
        /// Bytes there; for compressed files the most that they can hold.
        found: u64,
        /// Bytes that the header announces.
        expected: u64,
    },
    /// The gzip stream breaks off or fails its checksum.
    #[error(
        "{path}: the gzip stream is cut off or corrupt ({source}): {found} bytes of {what} found, \
         {expected} expected; copy or download the file again"
    )]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What is incomplete.
        what: &'static str,
        /// Uncompressed bytes up to the damage.
        found: u64,
        /// Uncompressed bytes that the header announces.
        expected: u64,
        /// What the decoder said.
        source: io::Error,
    },
    /// The header gives the voxels no place in the patient.
    #[error(
        "{path}: the {form} gives no usable geometry: {found}, expected {expected}; \
         export the file again or repair its header"
    )]
    Geometry {
        /// The file.
        path: PathBuf,
        /// The part of the header in use: sform, qform or pixdim.
        form: &'static str,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// The voxels do not make a volume.
    #[error("{path}: the voxels make no volume: {source}; export the file again")]
    Volume {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: Box<VolumeError>,
    },
    /// Several volumes where one is expected.
    #[error(
        "{path}: the file holds {found} volumes, expected one; split it into one file per volume"
    )]
    VolumeCount {
        /// The file.
        path: PathBuf,
        /// Volumes found.
        found: usize,
    },
    /// A label map with values that are no labels.
    #[error(
        "{path}: voxel {voxel:?} holds {value}, a label map needs whole numbers of 32 bits; \
         give the label file, or round it"
    )]
    NotALabel {
        /// The file.
        path: PathBuf,
        /// Index (x, y, z) of the first such voxel.
        voxel: [usize; 3],
        /// Its value.
        value: f64,
    },
    /// The name does not say which format to write.
    #[error("{path}: cannot tell the format from the name; end it with .nii or .nii.gz")]
    Extension {
        /// The file to write.
        path: PathBuf,
    },
    /// The volumes to write do not lie on the reference's grid.
    #[error(
        "{path}: the volume to write has shape {found:?} and corners {displacement_mm} mm away, \
         expected the reference's grid of shape {expected:?}; resample it to that grid first"
    )]
    Grid {
        /// The file to write.
        path: PathBuf,
        /// Shape of the volume.
        found: [usize; 3],
        /// Shape of the reference.
        expected: [usize; 3],
        /// Largest distance between corners, infinite when the shapes differ.
        displacement_mm: f64,
    },
    /// More voxels along an axis than the reference's format can say.
    #[error(
        "{path}: axes {found:?} to write, a NIfTI-1 file has at most 32767 along each; give a NIfTI-2 reference"
    )]
    AxisTooLong {
        /// The file to write.
        path: PathBuf,
        /// Length of each axis.
        found: Vec<usize>,
    },
    /// No volume to write.
    #[error("{path}: no volume to write, expected at least one")]
    NoVolume {
        /// The file to write.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
