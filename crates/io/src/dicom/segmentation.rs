//! Segmentations of DICOM: binary segments, one for each class, written onto the series that they
//! belong to, and read as a label map.
//!
//! Source: DICOM PS3.3, A.51 (Segmentation IOD) and C.8.20 (its modules).

mod draft;
mod read;

use std::path::Path;

use dicom_object::{OpenFileOptions, Tag};

use super::slice::{damaged, opened};
use super::{FORMAT, lengths};
use crate::ImageError;

pub(crate) use draft::write;
pub(super) use read::open;

/// SOP class of segmentations that are stored as one bit, or as fractions.
const SOP_CLASS: &str = "1.2.840.10008.5.1.4.1.1.66.4";

const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const FRAME_OF_REFERENCE: Tag = Tag(0x0020, 0x0052);
const IMAGE_ORIENTATION: Tag = Tag(0x0020, 0x0037);
const IMAGE_POSITION: Tag = Tag(0x0020, 0x0032);
const NUMBER_OF_FRAMES: Tag = Tag(0x0028, 0x0008);
const PER_FRAME_GROUPS: Tag = Tag(0x5200, 0x9230);
const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
const PIXEL_MEASURES: Tag = Tag(0x0028, 0x9110);
const PIXEL_SPACING: Tag = Tag(0x0028, 0x0030);
const PLANE_ORIENTATION: Tag = Tag(0x0020, 0x9116);
const PLANE_POSITION: Tag = Tag(0x0020, 0x9113);
const REFERENCED_SEGMENT: Tag = Tag(0x0062, 0x000B);
const ROWS: Tag = Tag(0x0028, 0x0010);
const SEGMENTATION_TYPE: Tag = Tag(0x0062, 0x0001);
const SEGMENT_IDENTIFICATION: Tag = Tag(0x0062, 0x000A);
const SERIES_UID: Tag = Tag(0x0020, 0x000E);
const SHARED_GROUPS: Tag = Tag(0x5200, 0x9229);
const SLICE_THICKNESS: Tag = Tag(0x0018, 0x0050);
const SOP_CLASS_UID: Tag = Tag(0x0008, 0x0016);
const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
const SPACING_BETWEEN: Tag = Tag(0x0018, 0x0088);

/// Whether a DICOM file holds a segmentation, by its first group.
pub(super) fn is_one(path: &Path) -> Result<bool, ImageError> {
    lengths::check(path)?;
    let open = || {
        let start = OpenFileOptions::new().read_until(Tag(0x0008, 0x0000));
        start.open_file(path)
    };
    let object = opened(path, open)?;
    let class = object.meta().media_storage_sop_class_uid();
    Ok(class.trim_end_matches(['\0', ' ']) == SOP_CLASS)
}
