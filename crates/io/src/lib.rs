//! NIfTI files and atomic writes.
//!
//! [`read_image`] and [`read_labels`] give volumes with their place in the
//! patient; [`write_labels`] and [`write_image`] write results with the exact
//! geometry of a reference [`Header`]. Source of the format: the NIfTI-1 and
//! NIfTI-2 headers `nifti1.h` and `nifti2.h` of the NIfTI data format working
//! group. Axis order is that of the file: x fastest.

pub mod atomic;

mod ahead;
mod datatype;
mod error;
mod header;
mod layout;
mod placement;
mod read;
mod source;
mod write;

pub use datatype::Datatype;
pub use error::NiftiError;
pub use header::Header;
pub use layout::Version;
pub use read::{read_header, read_image, read_image_4d, read_labels};
pub use write::{write_image, write_image_4d, write_labels};
