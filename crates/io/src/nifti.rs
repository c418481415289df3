//! NIfTI-1 and NIfTI-2: single files and `.hdr`/`.img` pairs, plain or gzipped.
//!
//! Source of the format: the headers `nifti1.h` and `nifti2.h` of the NIfTI data
//! format working group. Axis order is that of the file: x fastest.

mod datatype;
mod error;
mod header;
mod layout;
mod pair;
mod placement;
mod read;
mod write;

pub use error::NiftiError;
pub use header::Header;
pub use layout::Version;

pub(crate) use layout::recognise;
pub(crate) use pair::{is_image_half, other_half};
pub(crate) use read::open;
pub(crate) use write::header;
