//! What the channels of a network's output are: exclusive classes, or regions.

use lacuna_losses::{Activation, Regions};
use lacuna_volume::{LabelMap, Volume};

use crate::config::{ConfigError, RunConfig};

/// What the channels of a network's output are.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    classes: usize,
    activation: Activation,
    regions: Option<Regions>,
}

impl Outputs {
    /// What `config` makes of these classes, background first.
    ///
    /// # Errors
    /// [`ConfigError::Regions`] when its regions are none of these classes.
    pub fn new(config: &RunConfig, classes: &[String]) -> Result<Self, ConfigError> {
        let regions = match config.regions.is_empty() {
            true => None,
            false => Some(
                Regions::new(classes, &config.regions)
                    .map_err(|source| ConfigError::Regions { source })?,
            ),
        };
        Ok(Self {
            classes: classes.len(),
            activation: config.loss.options.activation,
            regions,
        })
    }

    /// Channels of the output: regions, or classes with the background.
    pub fn count(&self) -> usize {
        self.regions.as_ref().map_or(self.classes, Regions::count)
    }

    /// Classes of the dataset, with the background.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The regions, where the channels are such.
    pub fn regions(&self) -> Option<&Regions> {
        self.regions.as_ref()
    }

    /// Logits `[channels, elements]` as probabilities, in place.
    pub fn activate(&self, logits: &mut [f32]) {
        self.activation.apply(logits, self.count());
    }

    /// Probabilities where nothing is predicted, such as outside of the mask.
    pub fn outside(&self) -> Vec<f32> {
        let mut outside = vec![0.0; self.count()];
        if self.regions.is_none() {
            outside[0] = 1.0;
        }
        outside
    }

    /// The class of a voxel with these probabilities; of equal ones the first.
    pub(crate) fn class(&self, probability: impl Fn(usize) -> f32) -> u8 {
        if let Some(regions) = &self.regions {
            return regions.class(probability);
        }
        let mut best = 0;
        for class in 1..self.classes {
            if probability(class) > probability(best) {
                best = class;
            }
        }
        best as u8
    }

    /// The class of every voxel. All volumes share one grid.
    pub fn labels(&self, probabilities: &[Volume<f32>]) -> LabelMap {
        let mut labels = probabilities[0].map(|_| 0);
        for (i, label) in labels.data_mut().iter_mut().enumerate() {
            *label = self.class(|channel| probabilities[channel].data()[i]);
        }
        labels
    }

    /// Probability that a voxel is no background: of the likeliest region, or of
    /// all classes but the first.
    pub fn foreground(&self, probabilities: &[Volume<f32>]) -> Vec<f32> {
        let first = probabilities[0].data();
        if self.regions.is_none() {
            return first.iter().map(|p| (1.0 - p).clamp(0.0, 1.0)).collect();
        }
        let mut largest = first.to_vec();
        for volume in &probabilities[1..] {
            (largest.iter_mut().zip(volume.data())).for_each(|(most, p)| *most = most.max(*p));
        }
        largest
    }
}
