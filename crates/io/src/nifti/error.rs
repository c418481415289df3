//! What can be wrong with a NIfTI file and with no other.

use std::path::PathBuf;

/// Why a NIfTI file is unusable; faults that any format can have are in
/// [`ImageError`](crate::ImageError).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NiftiError {
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
    /// The file begins like a NIfTI header and is none.
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
    /// More voxels along an axis than the reference's version can say.
    #[error(
        "{path}: axes {found:?} to write, a NIfTI-1 file has at most 32767 along each; give a NIfTI-2 reference"
    )]
    AxisTooLong {
        /// The file to write.
        path: PathBuf,
        /// Length of each axis.
        found: Vec<usize>,
    },
}
