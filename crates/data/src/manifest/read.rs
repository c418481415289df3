//! Reading the files of a subject, with the edges of pixels that the manifest gives to pictures.

use std::path::Path;

use lacuna_io::{Format, Reference, read_labels, read_reference};
use lacuna_volume::{Affine, Volume};

use super::{ImageRef, Manifest, ManifestError, Subject};

impl Manifest {
    /// Edges (mm) along x and y that the pixels of a subject's pictures have by the manifest.
    pub fn pixel_spacing(&self, subject: &Subject) -> Option<[f64; 2]> {
        subject.spacing.or(self.spacing)
    }

    /// Reads the geometry of a subject's image.
    ///
    /// # Errors
    /// When the file cannot be read, or has a spacing of its own while the manifest gives one.
    pub fn read_reference(
        &self,
        subject: &Subject,
        image: &ImageRef,
    ) -> Result<Reference, ManifestError> {
        let reference = read_reference(&image.path)?;
        Ok(match self.spacing_of_image(subject, image)? {
            Some(edges) => {
                let mut grid = reference.grid();
                grid.affine = spaced(&grid.affine, edges);
                reference.of_picture_on(&grid)
            }
            None => reference,
        })
    }

    /// Reads a subject's image, on its own grid.
    ///
    /// # Errors
    /// As [`ImageRef::read`] and [`Self::read_reference`].
    pub fn read_image(
        &self,
        subject: &Subject,
        image: &ImageRef,
    ) -> Result<Volume<f32>, ManifestError> {
        let edges = self.spacing_of_image(subject, image)?;
        with_spacing(&image.path, image.read()?, edges)
    }

    /// Reads a subject's label map or mask, on its own grid. One of a format that has spacings
    /// keeps its own.
    ///
    /// # Errors
    /// As [`lacuna_io::read_labels`].
    pub fn read_labels(
        &self,
        subject: &Subject,
        path: &Path,
    ) -> Result<Volume<i32>, ManifestError> {
        let edges = self.pixel_spacing(subject);
        let edges = edges.filter(|_| is_picture(path));
        with_spacing(path, read_labels(path)?, edges)
    }

    /// That of [`Self::pixel_spacing`], for an image that may have it.
    fn spacing_of_image(
        &self,
        subject: &Subject,
        image: &ImageRef,
    ) -> Result<Option<[f64; 2]>, ManifestError> {
        match self.pixel_spacing(subject) {
            Some(_) if !is_picture(&image.path) => Err(ManifestError::OwnSpacing {
                path: self.path.clone(),
                subject: subject.id.clone(),
                file: image.path.clone(),
            }),
            edges => Ok(edges),
        }
    }
}

/// What cannot be read is told where it is read.
fn is_picture(path: &Path) -> bool {
    matches!(Format::of(path), Ok(Format::Picture(_)))
}

/// The same voxels, with these edges (mm) along x and y.
fn with_spacing<T>(
    path: &Path,
    volume: Volume<T>,
    edges: Option<[f64; 2]>,
) -> Result<Volume<T>, ManifestError> {
    let Some(edges) = edges else {
        return Ok(volume);
    };
    let affine = spaced(volume.affine(), edges);
    Volume::new(volume.shape(), affine, volume.into_data()).map_err(|source| {
        ManifestError::from(lacuna_io::ImageError::Volume {
            path: path.to_owned(),
            source: Box::new(source),
        })
    })
}

/// The affine of a picture, whose pixels have edges of 1 mm, with others.
fn spaced(affine: &Affine, [x, y]: [f64; 2]) -> Affine {
    Affine(affine.0.map(|[a, b, c, d]| [a * x, b * y, c, d]))
}
