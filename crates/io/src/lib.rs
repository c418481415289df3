//! Image files, whatever their format, and atomic writes.
//!
//! [`read`], [`read_image`] and [`read_labels`] tell the format by what a file
//! holds and give volumes with their place in the patient; [`write_labels`] and
//! [`write_image`] write results onto a [`Reference`], with the exact geometry
//! of the image that they belong to. Axis order is (x, y, z), x fastest; lengths
//! are millimetres. Today's only format is [`nifti`]; another one is a module
//! beside it, a line in [`Format`] and a variant of [`ImageError`].

pub mod atomic;
pub mod nifti;
pub mod text;

mod ahead;
mod dicom;
mod encoding;
mod error;
mod format;
mod guarded;
mod lps;
mod metaimage;
mod mgh;
mod nrrd;
mod picture;
mod read;
mod reference;
mod source;
mod text_header;
mod voxel_bytes;
mod voxels;
mod write;

pub use encoding::Datatype;
pub use error::ImageError;
pub use format::{Format, files_of};
pub use picture::Picture;
pub use read::{Image, read, read_image, read_labels, read_reference, read_volume};
pub use reference::Reference;
pub use write::{
    Classes, ENDINGS, ending_of, ending_of_maps, nifti_of_image, nifti_of_labels,
    write_class_labels, write_image, write_image_4d, write_labels,
};
