//! Errors of this crate.

use lacuna_volume::PatchSize;

use crate::config::{ModelName, TwoPathPreset};

/// What can go wrong in choosing, building or loading a network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// An input length that the network's layers cannot take.
    #[error(
        "{network}: a patch of {size} voxels along {} cannot be used ({reason}); it takes \
         {rule}; choose {}",
        axis.map_or("an axis".to_owned(), String::from),
        nearest(*below, *above)
    )]
    IllegalSize {
        /// The network.
        network: ModelName,
        /// `x`, `y` or `z`, unless all axes have this length.
        axis: Option<char>,
        /// The length that was asked for, in voxels.
        size: usize,
        /// The layer that refuses it, and why.
        reason: String,
        /// The rule for legal lengths.
        rule: String,
        /// The nearest legal length below, if there is one.
        below: Option<usize>,
        /// The nearest legal length above.
        above: usize,
    },

    /// A patch with numbers for another number of axes than the network's.
    #[error(
        "{network} has {rank} axes, and a patch of {size} voxels was asked for; give one number \
         for all axes, or one for each"
    )]
    PatchAxes {
        /// The network.
        network: ModelName,
        /// The patch that was asked for.
        size: PatchSize,
        /// Axes of the network.
        rank: usize,
    },

    /// More than one voxel along z for a 2-D network.
    #[error("{network} takes planes, one voxel along z, and was given {found}")]
    NotAPlane {
        /// The network.
        network: ModelName,
        /// Voxels along z.
        found: usize,
    },

    /// A preset was given to a network that has none.
    #[error(
        "{network} has no presets, but preset \"{preset}\" was given; leave `preset` out, or \
         choose name = \"two-path-cnn\""
    )]
    PresetNotForNetwork {
        /// The network.
        network: ModelName,
        /// The preset that was given.
        preset: TwoPathPreset,
    },

    /// A norm was given to a network that has its own.
    #[error(
        "{network} has a norm of its own, but `norm` was given; leave it out (`stages.norm` is that \
         of networks with stages), or choose name = \"unet\", \"padded-unet\" or \"two-path-cnn\""
    )]
    NormNotForNetwork {
        /// The network.
        network: ModelName,
    },

    /// Stages were given to a network that has none of its own.
    #[error(
        "{network} has fixed stages, but `stages` was given; leave it out, or choose \
         name = \"plain-conv-unet\" or \"residual-encoder-unet\""
    )]
    StagesNotForNetwork {
        /// The network.
        network: ModelName,
    },

    /// Stages that do not fit together.
    #[error("the stages of {network} cannot be built: {reason}")]
    Stages {
        /// The network.
        network: ModelName,
        /// What was found and what is expected.
        reason: String,
    },

    /// A width factor outside the accepted range.
    #[error(
        "the width factor of {network} is {width}; a number above 0 and at most {most} is \
         expected (1 is the published network)"
    )]
    Width {
        /// The network.
        network: ModelName,
        /// The width that was given.
        width: f64,
        /// The largest width.
        most: f64,
    },

    /// A number of input channels or classes outside the accepted range.
    #[error("{network}: {found} {what} were asked for; {least} to {most} are possible")]
    Channels {
        /// The network.
        network: ModelName,
        /// "input channels" or "classes".
        what: &'static str,
        /// The number that was given.
        found: usize,
        /// The least possible.
        least: usize,
        /// The most possible.
        most: usize,
    },

    /// Bytes that are not a readable safetensors file, or could not be made one.
    #[error("the weights could not be {action} as safetensors: {reason}")]
    Safetensors {
        /// "read" or "written".
        action: &'static str,
        /// What the reader or writer found.
        reason: String,
    },

    /// Weights of another network, width, number of channels or of classes.
    #[error(
        "the weights do not belong to this network: {total} of its tensors differ, first {}; \
         use the weights with the model, channels and classes they were trained with",
        list(differences)
    )]
    WeightsMismatch {
        /// The first few differences, in order of tensor name.
        differences: Vec<TensorDifference>,
        /// How many there are in all.
        total: usize,
    },
}

/// One tensor that a weights file and a network do not agree on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorDifference {
    /// The network has the tensor, the file does not.
    #[error("{name} is missing (expected {expected:?})")]
    Missing {
        /// Name of the tensor.
        name: String,
        /// Its shape in the network.
        expected: Vec<usize>,
    },
    /// The file has the tensor, the network does not.
    #[error("{name} is unknown (found {found:?})")]
    Unknown {
        /// Name of the tensor.
        name: String,
        /// Its shape in the file.
        found: Vec<usize>,
    },
    /// Both have it, with different shapes.
    #[error("{name} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// Its shape in the network.
        expected: Vec<usize>,
    },
    /// Both have it, but the file's numbers are not 32-bit floats.
    #[error("{name} holds {found}, expected F32")]
    NumberType {
        /// Name of the tensor.
        name: String,
        /// The file's number type.
        found: String,
    },
}

fn nearest(below: Option<usize>, above: usize) -> String {
    match below {
        Some(below) => format!("{below} or {above}"),
        None => above.to_string(),
    }
}

fn list(differences: &[TensorDifference]) -> String {
    let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
