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
        self.restore_finished(probabilities, outside, &mut |_| {})
    }

    /// The same of values that `finish` makes probabilities, in place, once they have the
    /// voxels of the image.
    ///
    /// # Errors
    /// As [`Self::restore_probabilities`].
    ///
    /// # Panics
    /// Without a value for each volume.
    pub fn restore_finished(
        &self,
        mut values: Vec<Volume<f32>>,
        outside: &[f32],
        finish: &mut dyn FnMut(&mut [Volume<f32>]),
    ) -> Result<Vec<Volume<f32>>, CaseError> {
        assert_eq!(values.len(), outside.len(), "volumes and values");
        self.check_prediction(&values)?;
        let source = &self.source;
        let resampled = self.is_resampled();
        let back = |values: &Volume<f32>| match &source.shown {
            Some(shown) => shown.back(values),
            None => resample_linear(values, &source.grid),
        };
        if resampled {
            let restored: Result<_, _> = values.iter().map(back).collect();
            values = restored.map_err(|e| self.volume_error(e))?;
        }
        finish(&mut values);
        let mask = match resampled || source.shown.is_some() {
            true => &source.mask,
            false => &self.mask,
        };
        let restore = |(mut probability, outside): (Volume<f32>, &f32)| {
            if let Some(shown) = &source.shown {
                probability = probability.placed(&source.grid, shown.low, *outside)?;
            }
            if let Some(mask) = mask {
                for (p, inside) in probability.data_mut().iter_mut().zip(mask.data()) {
                    if !inside {
                        *p = *outside;
                    }
                }
            }
            source.orientation.from_canonical(&probability)
        };
        let restored = values.into_iter().zip(outside).map(restore);
        let restored: Result<_, _> = restored.collect();
        restored.map_err(|e| self.volume_error(e))
    }

    /// Class indices on the case's grid, onto the axes of the subject's first
    /// image. Voxels outside the mask become background.
    ///
    /// # Errors
    /// When they are not on the subject's own grid: class indices cannot be
    /// interpolated, so a case that was resampled takes probabilities back.
    pub fn restore_class_indices(&self, labels: &LabelMap) -> Result<LabelMap, CaseError> {
        let shown = self.source.shown.as_ref();
        let own = self.source.own_grid();
        if labels.grid() != *own || self.shape() != labels.shape() {
            return Err(CaseError::ClassIndices {
                subject: self.id.clone(),
                found: labels.shape(),
                expected: own.shape,
            });
        }
        let (mut labels, mask) = match shown {
            Some(shown) => {
                let placed = labels.placed(&self.source.grid, shown.low, 0);
                (placed.map_err(|e| self.volume_error(e))?, &self.source.mask)
            }
            None => (labels.clone(), &self.mask),
        };
        if let Some(mask) = mask {
            for (label, inside) in labels.data_mut().iter_mut().zip(mask.data()) {
                if !inside {
                    *label = 0;
                }
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
