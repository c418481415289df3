//! Maps of the reference that an input lacks, made from its patches.

use super::reference::Truth;
use crate::loss::Reads;
use crate::maps::signed_distance;
use crate::{Input, LossError, Options, Real, ReferenceMaps};
use lacuna_volume::{Connectivity, label_components};
use rayon::prelude::*;

/// Those maps.
#[derive(Default)]
pub(crate) struct Made {
    distance: Option<Vec<f32>>,
    lesion: Option<Vec<u32>>,
}

impl Made {
    /// What is wanted and not given.
    ///
    /// # Errors
    /// [`LossError::MapsNeedGrid`].
    pub(crate) fn of<F: Real>(
        wanted: Reads,
        options: &Options,
        input: &Input<F>,
    ) -> Result<Self, LossError> {
        let distance = wanted.distance && input.maps.distance.is_none();
        let lesion = wanted.lesion && input.maps.lesion.is_none();
        if !distance && !lesion {
            return Ok(Self::default());
        }
        let grid = input.grid.ok_or(LossError::MapsNeedGrid)?;
        let truth = Truth::new(input, options);
        let samples = 0..input.layout.batch;
        Ok(Self {
            distance: distance.then(|| {
                let classes = samples.clone().flat_map(|sample| {
                    let all = 0..input.layout.classes;
                    all.map(move |class| (sample, class))
                });
                let planes: Vec<_> = classes.collect();
                planes
                    .into_par_iter()
                    .flat_map_iter(|(sample, class)| {
                        let mask = truth.mask(sample, |reference| reference[class] >= 0.5);
                        signed_distance(&grid.volume(mask)).into_data()
                    })
                    .collect()
            }),
            lesion: lesion.then(|| {
                samples
                    .flat_map(|sample| {
                        let mask = truth.mask(sample, |reference| truth.is_lesion(reference));
                        let all = Connectivity::TwentySix;
                        label_components(&grid.volume(mask), all).labels.into_data()
                    })
                    .collect()
            }),
        })
    }

    /// The input with the maps that were made.
    pub(crate) fn with<'a, F: Real>(&'a self, input: &Input<'a, F>) -> Input<'a, F> {
        Input {
            maps: ReferenceMaps {
                distance: input.maps.distance.or(self.distance.as_deref()),
                lesion: input.maps.lesion.or(self.lesion.as_deref()),
            },
            ..*input
        }
    }
}
