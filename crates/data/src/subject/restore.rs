//! Predictions back onto the grid and axes of the subject's first image.

use lacuna_volume::{LabelMap, Volume, VolumeError, resample_linear};

use super::{Case, CaseError};

impl Case {
    /// Probabilities on the case's grid, one volume for each class or region, onto
    /// the grid and axes of the subject's first image. A case that was resampled is
    /// sampled linearly; otherwise no value changes. Voxels outside the mask get
    /// the values `outside`, one for each volume.
    ///
    /// # Errors
    /// When the volumes are not on the case's grid, or are not 1 to 256.
    ///
    /// # Panics
    /// Without a value for each volume.
    pub fn restore_probabilities(
        &self,
        probabilities: Vec<Volume<f32>>,
        outside: &[f32],
    ) -> Result<Vec<Volume<f32>>, CaseError> {
        assert_eq!(probabilities.len(), outside.len(), "volumes and values");
        self.check_prediction(&probabilities)?;
        let resampled = self.channels[0].grid() != self.source.grid;
        let mask = match resampled {
            true => &self.source.mask,
            false => &self.mask,
        };
        let restore = |(mut probability, outside): (Volume<f32>, &f32)| {
            if resampled {
                probability = resample_linear(&probability, &self.source.grid)?;
            }
            if let Some(mask) = mask {
                for (p, inside) in probability.data_mut().iter_mut().zip(mask.data()) {
                    if !inside {
                        *p = *outside;
                    }
                }
            }
            self.source.orientation.from_canonical(&probability)
        };
        probabilities
            .into_iter()
            .zip(outside)
            .map(restore)
            .collect::<Result<_, _>>()
            .map_err(|source| self.volume_error(source))
    }

    /// Class indices on the case's grid, onto the axes of the subject's first
    /// image. Voxels outside the mask become background.
    ///
    /// # Errors
    /// When they are not on the subject's own grid: class indices cannot be
    /// interpolated, so a case that was resampled takes probabilities back.
    pub fn restore_class_indices(&self, labels: &LabelMap) -> Result<LabelMap, CaseError> {
        if labels.grid() != self.source.grid || self.shape() != labels.shape() {
            return Err(CaseError::ClassIndices {
                subject: self.id.clone(),
                found: labels.shape(),
                expected: self.source.grid.shape,
            });
        }
        let mut labels = labels.clone();
        for (index, label) in labels.data_mut().iter_mut().enumerate() {
            if !self.in_mask(index) {
                *label = 0;
            }
        }
        let restored = self.source.orientation.from_canonical(&labels);
        restored.map_err(|source| self.volume_error(source))
    }

    /// The mask on the grid and axes of the subject's first image.
    ///
    /// # Errors
    /// When the axes cannot be restored.
    pub fn restore_mask(&self) -> Result<Option<Volume<bool>>, CaseError> {
        let mask = self.source.mask.as_ref().or(self.mask.as_ref());
        mask.map(|mask| self.source.orientation.from_canonical(mask))
            .transpose()
            .map_err(|source| self.volume_error(source))
    }

    fn volume_error(&self, source: VolumeError) -> CaseError {
        CaseError::Volume {
            subject: self.id.clone(),
            file: "its prediction".to_owned(),
            source: Box::new(source),
        }
    }

    fn check_prediction(&self, probabilities: &[Volume<f32>]) -> Result<(), CaseError> {
        let expected = self.shape();
        let misfit = probabilities.iter().find(|p| p.shape() != expected);
        if misfit.is_none() && (1..=256).contains(&probabilities.len()) {
            return Ok(());
        }
        Err(CaseError::Prediction {
            subject: self.id.clone(),
            found: misfit.map_or(expected, Volume::shape),
            expected,
            classes: probabilities.len(),
        })
    }
}
