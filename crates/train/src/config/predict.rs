//! The `[predict]` section.

use lacuna_data::transform::AnatomicalAxis;
use lacuna_volume::PatchSize;
use serde::{Deserialize, Serialize};

use crate::predict::{Average, Blend, WindowOptions};

/// How a run predicts unless it is told otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PredictConfig {
    /// See [`WindowOptions::window`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<PatchSize>,
    /// See [`WindowOptions::overlap`].
    pub overlap: f64,
    /// See [`WindowOptions::blend`].
    pub blend: Blend,
    /// Axes along which windows are mirrored too.
    pub mirror: Vec<AnatomicalAxis>,
    /// What means are taken of.
    pub average: Average,
}

impl Default for PredictConfig {
    fn default() -> Self {
        let WindowOptions {
            window,
            overlap,
            blend,
        } = WindowOptions::default();
        Self {
            window,
            overlap,
            blend,
            mirror: Vec::new(),
            average: Average::default(),
        }
    }
}

/// What is predicted otherwise than a run says; `None` leaves it as it is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PredictOverrides {
    /// See [`PredictConfig::window`].
    pub window: Option<PatchSize>,
    /// See [`PredictConfig::overlap`].
    pub overlap: Option<f64>,
    /// See [`PredictConfig::blend`].
    pub blend: Option<Blend>,
    /// See [`PredictConfig::mirror`].
    pub mirror: Option<Vec<AnatomicalAxis>>,
    /// See [`PredictConfig::average`].
    pub average: Option<Average>,
}

impl PredictConfig {
    /// In words.
    pub fn described(&self) -> String {
        let window = match self.window {
            Some(size) => format!("windows of {size} voxels"),
            None => "windows that fit the volume".to_owned(),
        };
        let axes: Vec<String> = self.mirror.iter().map(ToString::to_string).collect();
        let mirrored = match axes.is_empty() {
            true => "not mirrored".to_owned(),
            false => format!("mirrored along {}", axes.join(", ")),
        };
        format!(
            "{window} that share {} of their edges, {mirrored}, and means of {}",
            self.overlap,
            self.average.name()
        )
    }

    /// How windows are laid.
    pub fn windows(&self) -> WindowOptions {
        WindowOptions {
            window: self.window,
            overlap: self.overlap,
            blend: self.blend,
        }
    }

    /// The same but for what `overrides` say.
    pub fn with(&self, overrides: PredictOverrides) -> Self {
        Self {
            window: overrides.window.or(self.window),
            overlap: overrides.overlap.unwrap_or(self.overlap),
            blend: overrides.blend.unwrap_or(self.blend),
            mirror: overrides.mirror.unwrap_or_else(|| self.mirror.clone()),
            average: overrides.average.unwrap_or(self.average),
        }
    }
}
