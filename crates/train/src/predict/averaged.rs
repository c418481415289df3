//! The mean of several networks (an ensemble).

use lacuna_data::sampler::Plane;
use lacuna_nets::Architecture;

use super::model::{NotFinite, SingleNetwork, Window, WindowModel};
use crate::outputs::Outputs;

/// What the mean of several networks is taken of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
        })
    }

    fn values(&self, network: &SingleNetwork, window: Window) -> Result<Vec<f32>, NotFinite> {
        match self.average {
            Average::Probabilities => network.probabilities(window),
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

    fn probabilities(&self, window: Window) -> Result<Vec<f32>, NotFinite> {
        let mut mean = self.values(self.networks[0], window.clone())?;
        for network in &self.networks[1..] {
            let other = self.values(network, window.clone())?;
            (mean.iter_mut().zip(other)).for_each(|(sum, value)| *sum += value);
        }
        mean.iter_mut()
            .for_each(|value| *value /= self.networks.len() as f32);
        // The sum of finite logits may still overflow.
        if !mean.iter().all(|value| value.is_finite()) {
            return Err(NotFinite);
        }
        if self.average == Average::Logits {
            self.outputs.activate(&mut mean);
        }
        Ok(mean)
    }
}
