//! Reading the files of a subject, with the edges of pixels that the manifest gives to pictures.

use std::path::Path;

use lacuna_io::{Format, Reference, read_labels, read_reference};
use lacuna_volume::{Affine, Grid, Volume};

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
    /// keeps its own. A segmentation of DICOM or Slicer may leave out empty slices and margins,
    /// which become background where they are those of the subject's image.
    ///
    /// # Errors
    /// As [`lacuna_io::read_labels`].
    pub fn read_labels(
        &self,
        subject: &Subject,
        path: &Path,
    ) -> Result<Volume<i32>, ManifestError> {
        let labels = read_labels(path)?;
        match Format::of(path)? {
            Format::Picture(_) => with_spacing(path, labels, self.pixel_spacing(subject)),
            Format::Dicom | Format::Nrrd => {
                let image = subject.images.get(self.grid_modality());
                // What is wrong with the image is told where it is read.
                let grid = image.and_then(|image| Some(read_reference(&image.path).ok()?.grid()));
                Ok(match grid {
                    Some(grid) => extended(labels, &grid),
                    None => labels,
                })
            }
            _ => Ok(labels),
        }
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

/// The labels on the whole of `grid`, where they lie on a part of its voxels; else as they are.
fn extended(labels: Volume<i32>, grid: &Grid) -> Volume<i32> {
    let Some(to_index) = grid.affine.inverse() else {
        return labels;
    };
    let first = to_index
        .apply(labels.affine().apply([0.0; 3]))
        .map(f64::round);
    let shape = labels.shape();
    let fits = |axis: usize| {
        first[axis] >= 0.0 && first[axis] + shape[axis] as f64 <= grid.shape[axis] as f64
    };
    let part = grid.part(first.map(|index| index as isize), shape);
    if shape == grid.shape || !(0..3).all(fits) || !part.shows_the_voxels_of(&labels.grid()) {
        return labels;
    }
    let whole = labels.placed(grid, first.map(|index| index as usize), 0);
    whole.unwrap_or(labels)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_on_a_part_of_the_voxels_is_extended() {
        let affine = |origin: f64| {
            let rows = [
                [0.0, 2.0, 0.0, 5.0],
                [-1.0, 0.0, 0.0, 3.0],
                [0.0, 0.0, 4.0, origin],
            ];
            Affine(rows)
        };
        let grid = Grid {
            shape: [2, 3, 4],
            affine: affine(10.0),
        };
        let part = |affine: Affine| Volume::new([2, 2, 1], affine, vec![1, 2, 3, 4]).unwrap();
        // Second row and third slice: 2 mm along world x, 8 along z.
        let mut moved = affine(18.0);
        moved.0[0][3] = 7.0;
        let whole = extended(part(moved), &grid);
        assert_eq!((whole.shape(), whole.affine()), (grid.shape, &grid.affine));
        let mut expected = vec![0; 24];
        expected[14..18].copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(whole.data(), expected);
        // Between voxels, or beyond them, it stays what it is.
        moved.0[0][3] = 8.0;
        assert_eq!(extended(part(moved), &grid).shape(), [2, 2, 1]);
        assert_eq!(extended(part(affine(26.0)), &grid).shape(), [2, 2, 1]);
    }
}
