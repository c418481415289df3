//! What a run file says about the network.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::encoder_decoder::{self, Stages};
use crate::error::NetError;
use crate::parameters::declared;
use crate::plan::{GAMMA_BETA, Layer, Norm, NormOf, Plan};
use crate::{deep_medic, high_res_3d_net, two_path_cnn, unet};

/// The largest accepted [`ModelConfig::width`]: sixteen times the published
/// channel counts.
pub const WIDTH_MAX: f64 = 16.0;

/// The networks of Sudre et al. 2017, Table 1, a UNet without border, and two whose
/// stages are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelName {
    /// 2-D UNet with unpadded convolutions and two poolings.
    #[default]
    Unet,
    /// 2-D UNet of five levels whose output is as large as its input.
    PaddedUnet,
    /// 2-D two-path network of Havaei et al.
    TwoPathCnn,
    /// 3-D DeepMedic of Kamnitsas et al., in NiftyNet's form.
    DeepMedic,
    /// 3-D HighRes3DNet of Li et al.
    #[serde(rename = "high-res-3d-net")]
    HighRes3dNet,
    /// UNet of nnU-Net, 2-D or 3-D, of any stages.
    PlainConvUnet,
    /// The same with residual blocks on the way down.
    ResidualEncoderUnet,
}

impl ModelName {
    /// All networks: those of the paper's Table 1 in its order, each followed by
    /// what is derived from it, then those whose stages are chosen.
    pub const ALL: [Self; 7] = [
        Self::Unet,
        Self::PaddedUnet,
        Self::TwoPathCnn,
        Self::DeepMedic,
        Self::HighRes3dNet,
        Self::PlainConvUnet,
        Self::ResidualEncoderUnet,
    ];

    /// Whether the network has [`Stages`].
    pub fn has_stages(self) -> bool {
        matches!(self, Self::PlainConvUnet | Self::ResidualEncoderUnet)
    }

    /// Whether the published network has no norm, so that one can be asked for.
    pub fn takes_norm(self) -> bool {
        matches!(self, Self::Unet | Self::PaddedUnet | Self::TwoPathCnn)
    }
}

impl fmt::Display for ModelName {
    /// The name as run files write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unet => "unet",
            Self::PaddedUnet => "padded-unet",
            Self::TwoPathCnn => "two-path-cnn",
            Self::DeepMedic => "deep-medic",
            Self::HighRes3dNet => "high-res-3d-net",
            Self::PlainConvUnet => "plain-conv-unet",
            Self::ResidualEncoderUnet => "residual-encoder-unet",
        })
    }
}

/// The two readings of TwoPathCNN; both have a border of 32 voxels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TwoPathPreset {
    /// Havaei et al. 2017: 7x7 and 3x3 local kernels, 13x13 global, 21x21 head.
    #[default]
    Havaei,
    /// The text of Sudre et al. 2017: a 5x5 second local kernel and a 2x2
    /// pooling in the global path, made to fit as [`crate::two_path_cnn`] says.
    SudreText,
}

impl fmt::Display for TwoPathPreset {
    /// The name as run files write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Havaei => "havaei",
            Self::SudreText => "sudre-text",
        })
    }
}

/// The network of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Which network.
    pub name: ModelName,
    /// Which reading of TwoPathCNN ("havaei" when left out); an error for the
    /// other networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<TwoPathPreset>,
    /// A norm behind each convolution but the last of the networks that were published
    /// without, as NiftyNet's convolutions have it ("batch" or "instance"; none when left out);
    /// an error for the other networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm: Option<NormOf>,
    /// Stages of the networks that have them (when left out, five of
    /// [`Stages::regular`] or [`Stages::residual`] in 3-D, from 32 features); an error
    /// for the other networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages: Option<Stages>,
    /// Factor on every hidden channel count (rounded, at least one channel is
    /// kept); 1 is the published network.
    pub width: f64,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self::new(ModelName::default())
    }
}

impl ModelConfig {
    /// The published network of that name.
    pub fn new(name: ModelName) -> Self {
        Self {
            name,
            preset: None,
            norm: None,
            stages: None,
            width: 1.0,
        }
    }

    /// Checks the preset, the norm, the stages and the width.
    ///
    /// # Errors
    /// [`NetError::PresetNotForNetwork`], [`NetError::NormNotForNetwork`],
    /// [`NetError::StagesNotForNetwork`],
    /// [`NetError::Stages`], [`NetError::Width`].
    pub fn validate(&self) -> Result<(), NetError> {
        if let Some(preset) = self.preset
            && self.name != ModelName::TwoPathCnn
        {
            return Err(NetError::PresetNotForNetwork {
                network: self.name,
                preset,
            });
        }
        if self.norm.is_some() && !self.name.takes_norm() {
            return Err(NetError::NormNotForNetwork { network: self.name });
        }
        if let Some(stages) = &self.stages {
            if !self.name.has_stages() {
                return Err(NetError::StagesNotForNetwork { network: self.name });
            }
            stages.validate(self.name)?;
        }
        if !(self.width > 0.0 && self.width <= WIDTH_MAX) {
            return Err(NetError::Width {
                network: self.name,
                width: self.width,
                most: WIDTH_MAX,
            });
        }
        Ok(())
    }

    /// The layers of this network for so many input channels and classes.
    ///
    /// # Errors
    /// Those of [`Self::validate`].
    pub fn plan(&self, inputs: usize, classes: usize) -> Result<Plan, NetError> {
        self.validate()?;
        Ok(match self.name {
            ModelName::Unet => unet::plan(&unet::UNPADDED, self, inputs, classes),
            ModelName::PaddedUnet => unet::plan(&unet::PADDED, self, inputs, classes),
            ModelName::TwoPathCnn => two_path_cnn::plan(self, inputs, classes),
            ModelName::DeepMedic => deep_medic::plan(self, inputs, classes),
            ModelName::HighRes3dNet => high_res_3d_net::plan(self, inputs, classes),
            ModelName::PlainConvUnet => encoder_decoder::plain(self, inputs, classes),
            ModelName::ResidualEncoderUnet => encoder_decoder::residual(self, inputs, classes),
        })
    }

    /// Names of the tensors whose shape the number of classes decides: those of the last
    /// layer, and of each coarser output's.
    ///
    /// # Errors
    /// Those of [`Self::validate`].
    pub fn heads(&self, inputs: usize, classes: usize) -> Result<BTreeSet<String>, NetError> {
        let [fewer, more] = [classes, classes + 1].map(|classes| self.plan(inputs, classes));
        let pairs = declared(&fewer?).into_iter().zip(declared(&more?));
        let heads = pairs.filter(|(fewer, more)| fewer.kind.shape() != more.kind.shape());
        Ok(heads.map(|(tensor, _)| tensor.name).collect())
    }

    /// The stages that were given, or those that stand for none.
    pub fn stages(&self) -> Cow<'_, Stages> {
        match &self.stages {
            Some(stages) => Cow::Borrowed(stages),
            None => Cow::Owned(Stages::of(self.name, 3, 5, 32)),
        }
    }

    /// The norm that was asked for behind a convolution of `channels` channels; nothing where
    /// none was.
    pub(crate) fn norm(&self, name: String, channels: usize) -> Option<Layer> {
        let norm = |of| {
            Layer::Norm(Norm {
                name,
                channels,
                of,
                terms: GAMMA_BETA,
            })
        };
        self.norm.map(norm)
    }

    /// `published` hidden channels times the width factor, rounded half away
    /// from zero, at least 1.
    pub(crate) fn channels(&self, published: usize) -> usize {
        ((published as f64 * self.width).round() as usize).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_file_names_read_and_write() {
        for name in ModelName::ALL {
            let config: ModelConfig = toml::from_str(&format!("name = \"{name}\"")).unwrap();
            assert_eq!(config, ModelConfig::new(name));
            let written = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<ModelConfig>(&written).unwrap(), config);
        }
        let text = "name = \"two-path-cnn\"\npreset = \"sudre-text\"\nwidth = 0.5\n";
        let config: ModelConfig = toml::from_str(text).unwrap();
        assert_eq!(config.preset, Some(TwoPathPreset::SudreText));
        assert_eq!(toml::to_string(&config).unwrap(), text);
    }

    #[test]
    fn unknown_fields_are_refused() {
        let text = "name = \"unet\"\nwitdh = 0.5";
        assert!(toml::from_str::<ModelConfig>(text).is_err());
    }

    #[test]
    fn a_preset_belongs_to_two_path_cnn_alone() {
        let mut config = ModelConfig::new(ModelName::Unet);
        config.preset = Some(TwoPathPreset::Havaei);
        let message = config.validate().unwrap_err().to_string();
        assert!(
            message.contains("unet") && message.contains("havaei"),
            "{message}"
        );
        config.name = ModelName::TwoPathCnn;
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn a_norm_is_for_networks_published_without() {
        for name in ModelName::ALL {
            let mut config = ModelConfig::new(name);
            config.norm = Some(NormOf::Batch);
            let norms = |config: &ModelConfig| {
                let tensors = declared(&config.plan(1, 2).unwrap());
                let gammas = tensors.iter().filter(|t| t.name.ends_with(".gamma"));
                let biases = tensors.iter().filter(|t| t.name.ends_with(".bias"));
                (gammas.count(), biases.count())
            };
            if !name.takes_norm() {
                let message = config.validate().unwrap_err().to_string();
                assert!(message.contains(&name.to_string()), "{message}");
                continue;
            }
            // One for each convolution but the classifier; a transposed one keeps its bias.
            let (levels, convs) = match name {
                ModelName::Unet => (2, 10),
                ModelName::PaddedUnet => (4, 18),
                _ => (0, 3),
            };
            assert_eq!(norms(&config), (convs, levels + 1), "{name}");
            config.norm = None;
            assert_eq!(norms(&config), (0, convs + levels + 1), "{name}");
        }
    }

    #[test]
    fn widths_scale_round_and_never_reach_zero() {
        let mut config = ModelConfig::new(ModelName::HighRes3dNet);
        config.width = 0.1;
        assert_eq!([16, 32, 64, 80].map(|c| config.channels(c)), [2, 3, 6, 8]);
        config.width = 1e-6;
        assert_eq!(config.channels(16), 1);
        for width in [0.0, -1.0, 17.0, f64::NAN, f64::INFINITY] {
            config.width = width;
            assert!(
                matches!(config.validate(), Err(NetError::Width { .. })),
                "{width}"
            );
        }
    }
}
