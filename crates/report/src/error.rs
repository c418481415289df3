//! What can be wrong with the parts of a report.

/// A report that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Image and label map do not lie on one grid.
    #[error(
        "overlay: the {what} has shape {found:?}, the image {expected:?}; give both on the same grid"
    )]
    Shape {
        /// "reference" or "prediction".
        what: &'static str,
        /// Its shape.
        found: [usize; 3],
        /// The image's shape.
        expected: [usize; 3],
    },
    /// Nothing to draw.
    #[error("overlay: the image has shape {shape:?} and so no voxel; give one with voxels")]
    Empty {
        /// The image's shape.
        shape: [usize; 3],
    },
    /// The picture cannot be encoded.
    #[error(
        "overlay: a picture of {width}x{height} pixels cannot be encoded: {source}; choose a smaller `panel_pixels`"
    )]
    Png {
        /// Pixels across.
        width: usize,
        /// Pixels down.
        height: usize,
        /// The encoder's reason.
        source: png::EncodingError,
    },
}
