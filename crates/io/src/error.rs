//! What can be wrong with an image file, whatever its format.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use lacuna_volume::VolumeError;

use crate::ENDINGS;
use crate::atomic::WriteError;
use crate::nifti::NiftiError;

/// Why an image file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file cannot be opened or read at all.
    #[error("{path}: cannot read the file: {source}; check the path, its permissions and the disk")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A link whose target is absent, as of data kept elsewhere and not fetched.
    #[error(
        "{path}: a link to {target}, which is not there; \
         fetch the file (`git annex get`, `datalad get`), or correct the link"
    )]
    DanglingLink {
        /// The link.
        path: PathBuf,
        /// What it points to.
        target: PathBuf,
    },
    /// A folder, pipe or device stands where a file should be.
    #[error(
        "{path}: not an image file, nor a folder with the slices of a DICOM series; give the path of one"
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The content is of no format that can be read.
    #[error(
        "{path}: found {found}, expected a NIfTI, DICOM, MetaImage, NRRD, MGH, PNG, JPEG or TIFF file; {remedy}"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What the file looks like.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// What only a NIfTI file can have wrong.
    #[error(transparent)]
    Nifti(#[from] NiftiError),
    /// A header, of any other format, says what cannot be.
    #[error(
        "{path}: {format} header: `{field}` is {found}, expected {expected}; export the file again"
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: &'static str,
        /// The field.
        field: Box<str>,
        /// What it says.
        found: Box<str>,
        /// What it can say.
        expected: Box<str>,
    },
    /// A picture that cannot be decoded.
    #[error("{path}: the {format} file is damaged ({message}); copy or export it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: &'static str,
        /// What the decoder said.
        message: String,
    },
    /// The file is sound, but not read.
    #[error("{path}: {format} file with {what}, which is not read; {remedy}")]
    NotRead {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: &'static str,
        /// What is in the way.
        what: String,
        /// What to do.
        remedy: &'static str,
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
    /// The file ends before its header says it should.
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
    /// The compressed stream breaks off or fails its checksum.
    #[error(
        "{path}: the compressed stream is cut off or corrupt ({source}): {found} bytes of {what} found, \
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
    /// The voxels do not make a volume.
    #[error("{path}: the voxels make no volume: {source}; export the file again")]
    Volume {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: Box<VolumeError>,
    },
    /// A number that a file of several volumes has no volume for.
    #[error(
        "{path}: has {found} volumes, expected at least {}, as #{volume} is asked for; volumes are \
         counted from 0: correct the number", volume.saturating_add(1)
    )]
    NoSuchVolume {
        /// The file.
        path: PathBuf,
        /// The volume asked for.
        volume: usize,
        /// Volumes in the file.
        found: usize,
    },
    /// More volumes than are read together.
    #[error(
        "{path}: the file holds {found} volumes, expected at most {} to read them all; name one of \
         them with `#0`, `#1`, ...",
        crate::read::MOST_VOLUMES
    )]
    TooManyVolumes {
        /// The file.
        path: PathBuf,
        /// Volumes found.
        found: usize,
    },
    /// Several volumes where one is expected.
    #[error(
        "{path}: the file holds {found} volumes or colours, expected one; name one of them with \
         `#0`, `#1`, ..., save a label map as grey values"
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
    #[error(
        "{path}: cannot tell the format from the name; end it with one of {}", ENDINGS.join(", ")
    )]
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
    /// A class of a label map to write has no value.
    #[error("{path}: class {class} has no value, there are values of {values} classes; give one")]
    NoValue {
        /// The file to write.
        path: PathBuf,
        /// The class.
        class: u8,
        /// Classes that have values.
        values: usize,
    },
    /// The values of a segmentation cannot be those of the classes.
    #[error(
        "{path}: {expected}, found the values {found:?}; write class indices, or another format"
    )]
    SegmentValues {
        /// The file to write.
        path: PathBuf,
        /// The values of the classes.
        found: Vec<u16>,
        /// What the format can say.
        expected: &'static str,
    },
    /// A segmentation of DICOM without what it is to refer to.
    #[error(
        "{path}: a segmentation of DICOM refers to the series that it belongs to, and the image is \
         none; give the folder of a series as the image, or write .nii.gz or .seg.nrrd"
    )]
    NoSeries {
        /// The file to write.
        path: PathBuf,
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

impl ImageError {
    /// A header that says what cannot be.
    pub(crate) fn header(
        path: &Path,
        format: &'static str,
        field: &str,
        found: impl Display,
        expected: &str,
    ) -> Self {
        Self::Header {
            path: path.to_owned(),
            format,
            field: field.into(),
            found: found.to_string().into(),
            expected: expected.into(),
        }
    }

    /// What is in a sound file and is not read.
    pub(crate) fn not_read(
        path: &Path,
        format: &'static str,
        what: impl Display,
        remedy: &'static str,
    ) -> Self {
        Self::NotRead {
            path: path.to_owned(),
            format,
            what: what.to_string(),
            remedy,
        }
    }

    /// A file that its decoder gives up.
    pub(crate) fn damaged(path: &Path, format: &'static str, message: impl Display) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            format,
            message: message.to_string(),
        }
    }

    /// Why the file at `path` cannot be opened.
    pub(crate) fn opening(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match std::fs::read_link(&path) {
            Ok(target) if source.kind() == io::ErrorKind::NotFound => {
                Self::DanglingLink { path, target }
            }
            _ => Self::Read { path, source },
        }
    }
}
