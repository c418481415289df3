//! The mean of several networks (an ensemble).

use lacuna_data::sampler::Plane;
use lacuna_nets::Architecture;
use serde::{Deserialize, Serialize};

use super::model::{NotFinite, SingleNetwork, Window, WindowModel};
use crate::outputs::Outputs;

/// What the mean of several networks, of mirror images and of windows is taken of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Average {
    /// The probabilities.
    #[default]
    Probabilities,
    /// The logits, of which the activation then makes probabilities. For a softmax these
    /// are the geometric mean of the networks' probabilities, brought to the sum 1.
    Logits,
}

impl Average {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probabilities => "probabilities",
            Self::Logits => "logits",
        }
    }
}

/// The mean, each network weighing the same. That of one network is the network, to the
/// last bit.
pub struct Averaged<'a> {
    networks: Vec<&'a SingleNetwork>,
    architecture: Architecture,
    outputs: &'a Outputs,
    average: Average,
    /// Whether the mean is left as it is.
    unfinished: bool,
}

impl<'a> Averaged<'a> {
    /// The mean of `networks`, whose channels mean `outputs`. `None` where they cannot
    /// share a window: without a network, with other planes, or where
    /// [`Architecture::beside`] finds no common size.
    pub fn new(
        networks: Vec<&'a SingleNetwork>,
        outputs: &'a Outputs,
        average: Average,
    ) -> Option<Self> {
        let (first, others) = networks.split_first()?;
        let mut architecture = first.architecture();
        for other in others {
            architecture = architecture.beside(&other.architecture())?;
            if architecture.rank() == 2 && other.plane() != first.plane() {
                return None;
            }
        }
        Some(Self {
            networks,
            architecture,
            outputs,
            average,
            unfinished: false,
        })
    }

    /// The same without the activation, which follows when the means of logits have been
    /// resampled, and without the temperature.
    pub fn unfinished(self) -> Self {
        Self {
            unfinished: true,
            ..self
        }
    }

    fn of(&self, network: &SingleNetwork, window: Window) -> Result<Vec<f32>, NotFinite> {
        match self.average {
            Average::Probabilities => network.values(window),
            Average::Logits => network.logits(window),
        }
    }
}

impl WindowModel for Averaged<'_> {
    fn architecture(&self) -> Architecture {
        self.architecture.clone()
    }

    fn plane(&self) -> Plane {
        self.networks[0].plane()
    }

    fn outputs(&self) -> &Outputs {
        self.outputs
    }

    fn values(&self, window: Window) -> Result<Vec<f32>, NotFinite> {
        let mut mean = self.of(self.networks[0], window.clone())?;
        for network in &self.networks[1..] {
            let other = self.of(network, window.clone())?;
            (mean.iter_mut().zip(other)).for_each(|(sum, value)| *sum += value);
        }
        mean.iter_mut()
            .for_each(|value| *value /= self.networks.len() as f32);
        // The sum of finite logits may still overflow.
        if !mean.iter().all(|value| value.is_finite()) {
            return Err(NotFinite);
        }
        Ok(mean)
    }

    fn finish(&self, means: &mut [f32]) {
        if self.unfinished {
            return;
        }
        if self.average == Average::Logits {
            self.outputs.activate(means);
        }
        self.outputs.temper_means(means);
    }
}
