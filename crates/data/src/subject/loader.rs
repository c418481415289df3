//! The files of a subject, brought onto the run's grid.

use std::path::Path;

use lacuna_io::Reference;
use lacuna_volume::{
    Grid, LabelMap, Orientation, Spacing, Volume, VolumeError, corner_displacement_mm,
    grid_with_spacing, resample_labels, resample_linear,
};

use super::{CaseError, LabelResampling, LostLesions, lesions};
use crate::manifest::{ImageRef, Manifest, ManifestError, Subject};

/// Most voxels that a volume is resampled to.
const MOST_VOXELS: f64 = 2147483648.0;

/// Reads the files of one subject onto one grid.
pub(super) struct Loader<'a> {
    manifest: &'a Manifest,
    subject: &'a Subject,
    /// The image whose grid it is, as errors name it.
    first: String,
    pub(super) reference: Reference,
    pub(super) orientation: Orientation,
    /// The first image's grid in canonical axes.
    pub(super) own_grid: Grid,
    /// The grid that the run works on.
    pub(super) run_grid: Grid,
}

impl<'a> Loader<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        subject: &'a Subject,
        images: &[(&String, &ImageRef)],
        spacing: Option<[f64; 3]>,
    ) -> Result<Self, CaseError> {
        let modality = manifest.grid_modality();
        let of = images.iter().find(|(name, _)| *name == modality);
        let (_, first) = of.ok_or_else(|| CaseError::MissingModality {
            subject: subject.id.clone(),
            modality: modality.to_owned(),
        })?;
        let reference = manifest.read_reference(subject, first);
        let reference = reference.map_err(|e| manifest_error(subject, e))?;
        let orientation = Orientation::of(reference.affine());
        let own_grid = orientation.canonical_grid(&reference.grid());
        let mut loader = Self {
            subject,
            first: first.to_string(),
            manifest,
            own_grid,
            run_grid: own_grid,
            reference,
            orientation,
        };
        if let Some(spacing) = spacing {
            loader.run_grid = loader.grid_at(spacing)?;
        }
        Ok(loader)
    }

    /// Gives the subject other axes than canonical ones, at its own spacing.
    pub(super) fn turn(&mut self, orientation: Orientation) {
        self.orientation = orientation;
        self.own_grid = orientation.canonical_grid(&self.reference.grid());
        self.run_grid = self.own_grid;
    }

    /// The subject's field of view at another spacing.
    fn grid_at(&self, spacing: [f64; 3]) -> Result<Grid, CaseError> {
        if !spacing.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err(CaseError::Spacing { found: spacing });
        }
        let own = self.own_grid.spacing().0;
        let shape = self.own_grid.shape;
        let lengths = [0, 1, 2].map(|a| (shape[a] as f64 * own[a] / spacing[a]).max(1.0));
        self.check_voxels(spacing, shape, lengths)?;
        grid_with_spacing(&self.own_grid, Spacing(spacing))
            .map_err(|e| self.volume_error(&self.first, e))
    }

    /// Refuses `lengths` of too many voxels, as a volume of `shape` would have at `spacing`.
    pub(super) fn check_voxels(
        &self,
        spacing: [f64; 3],
        shape: [usize; 3],
        lengths: [f64; 3],
    ) -> Result<(), CaseError> {
        let voxels: f64 = lengths.iter().product();
        match voxels > MOST_VOXELS {
            false => Ok(()),
            true => Err(CaseError::TooFine {
                subject: self.subject.id.clone(),
                spacing,
                shape,
                voxels,
                most: MOST_VOXELS,
            }),
        }
    }

    pub(super) fn volume_error(&self, file: &str, source: VolumeError) -> CaseError {
        CaseError::Volume {
            subject: self.subject.id.clone(),
            file: file.to_owned(),
            source: Box::new(source),
        }
    }

    /// A volume that must lie on the first image's grid, in canonical axes.
    fn canonical<T: Clone>(&self, file: &str, volume: Volume<T>) -> Result<Volume<T>, CaseError> {
        let expected = self.reference.grid();
        if !expected.shows_the_voxels_of(&volume.grid()) {
            return Err(CaseError::Grid {
                subject: self.subject.id.clone(),
                file: file.to_owned(),
                found: Box::new(volume.grid()),
                reference: self.first.clone(),
                expected: Box::new(expected),
                displacement_mm: corner_displacement_mm(&volume.grid(), &expected),
            });
        }
        // One affine for all, so that all turn the same way.
        Volume::new(expected.shape, expected.affine, volume.into_data())
            .and_then(|volume| self.orientation.to_canonical(&volume))
            .map_err(|e| self.volume_error(file, e))
    }

    /// The image of a modality on the run's grid.
    pub(super) fn image(&self, image: &ImageRef) -> Result<Volume<f32>, CaseError> {
        // Images on other grids are brought onto the one that the manifest names.
        self.numbers(image, self.manifest.grid.is_some())
    }

    /// The same of a weight map, which like a label lies on the grid of the subject.
    pub(super) fn weight(&self, image: &ImageRef) -> Result<Volume<f32>, CaseError> {
        self.numbers(image, false)
    }

    fn numbers(&self, image: &ImageRef, moves: bool) -> Result<Volume<f32>, CaseError> {
        let file = image.to_string();
        let volume = self.manifest.read_image(self.subject, image);
        let volume = volume.map_err(|e| manifest_error(self.subject, e))?;
        let [nx, ny, _] = volume.shape();
        let not_finite = |v: &f32| !v.is_finite();
        if let Some(first) = volume.data().iter().position(not_finite) {
            return Err(CaseError::NotFinite {
                subject: self.subject.id.clone(),
                file,
                count: volume.data().iter().filter(|v| not_finite(v)).count(),
                voxel: [first % nx, first / nx % ny, first / (nx * ny)],
            });
        }
        if moves && !self.reference.grid().shows_the_voxels_of(&volume.grid()) {
            // At once, as each interpolation blurs.
            return resample_linear(&volume, &self.run_grid)
                .map_err(|e| self.volume_error(&file, e));
        }
        let volume = self.canonical(&file, volume)?;
        if self.run_grid == self.own_grid {
            return Ok(volume);
        }
        resample_linear(&volume, &self.run_grid).map_err(|e| self.volume_error(&file, e))
    }

    pub(super) fn label(
        &self,
        path: &Path,
        resampling: LabelResampling,
    ) -> Result<(LabelMap, LostLesions), CaseError> {
        let file = path.display().to_string();
        let labels = (self.manifest.read_labels(self.subject, path))
            .and_then(|values| self.manifest.map_labels(self.subject, &values))
            .map_err(|e| manifest_error(self.subject, e))?;
        let labels = self.canonical(&file, labels)?;
        if self.run_grid == self.own_grid {
            return Ok((labels, LostLesions::default()));
        }
        resample_labels(&labels, &self.run_grid)
            .and_then(|mut resampled| {
                let lost = match resampling {
                    LabelResampling::Majority => lesions::lost(&labels, &resampled)?,
                    LabelResampling::KeepLesions => lesions::keep(&labels, &mut resampled)?,
                };
                Ok((resampled, lost))
            })
            .map_err(|e| self.volume_error(&file, e))
    }

    /// A mask on the subject's own canonical grid: every voxel that is not 0.
    pub(super) fn mask(
        &self,
        role: &'static str,
        path: Option<&Path>,
    ) -> Result<Option<Volume<bool>>, CaseError> {
        let Some(path) = path else {
            return Ok(None);
        };
        let values = self.manifest.read_labels(self.subject, path);
        let values = values.map_err(|e| manifest_error(self.subject, e))?;
        let mask = self.canonical(&path.display().to_string(), values.map(|&v| v != 0))?;
        match mask.data().contains(&true) {
            true => Ok(Some(mask)),
            false => Err(CaseError::EmptyMask {
                subject: self.subject.id.clone(),
                role,
                file: path.to_owned(),
            }),
        }
    }

    pub(super) fn resample_mask(&self, mask: &Volume<bool>) -> Result<Volume<bool>, CaseError> {
        if self.run_grid == self.own_grid {
            return Ok(mask.clone());
        }
        resample_labels(&mask.map(|&m| u8::from(m)), &self.run_grid)
            .map(|labels| labels.map(|&v| v > 0))
            .map_err(|e| self.volume_error("its mask", e))
    }
}

fn manifest_error(subject: &Subject, source: ManifestError) -> CaseError {
    CaseError::Manifest {
        subject: subject.id.clone(),
        source: Box::new(source),
    }
}
