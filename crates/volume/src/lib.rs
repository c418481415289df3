//! Volumes on a regular grid and the geometry that places them in the patient.
//!
//! A [`Volume`] is a 3-D array with an [`Affine`] from voxel index to world
//! millimetres (NIfTI convention: RAS+). The first axis (`x`) varies fastest
//! in memory, as in a NIfTI file; a 2-D image has a last axis of length 1.
//! This crate does no I/O and knows nothing of tensors.

mod affine;
mod axis_order;
mod class_names;
mod components;
mod distance;
mod geometry;
mod holes;
mod nearest;
mod orientation;
mod patch_size;
mod resample;
mod resize;
mod volume;

pub use affine::{Affine, Spacing};
pub use axis_order::Zyx;
pub use class_names::{IGNORED, Region, UnknownClass, foreground_indices, is_foreground};
pub use components::{Components, Connectivity, label_components};
pub use distance::euclidean_distance_mm;
pub use geometry::{Grid, SAME_GRID_VOXELS, corner_displacement_mm, corner_displacement_voxels};
pub use holes::{box_of, fill_holes};
pub use nearest::Points;
pub use orientation::Orientation;
pub use patch_size::PatchSize;
pub use resample::{grid_with_spacing, resample_labels, resample_linear};
pub use resize::{Spline, resize, resized_grid};
pub use volume::{LabelMap, Volume, VolumeError};
