//! Losses for rare structures, for two or more exclusive classes or for
//! overlapping regions: value and gradient with respect to the logits as one
//! operation, without a tensor library.
//!
//! [`NamedLoss`] lists the losses, [`LossConfig`] is the `[loss]` table of a run.
//! A loss module holds its equation, options and citation, and nothing of
//! softmax, one-hot coding, masks or batches: it is a function of sums over the
//! elements ([`StatisticsLoss`]), of single elements ([`ElementLoss`]) or of all
//! probabilities ([`FieldLoss`]), and [`value_and_gradient`] carries its
//! derivatives to the logits. Functions of sums of `f32` logits go through
//! vector kernels, everything else through `f64`.
//!
//! Memory order: logits and gradient `[batch, classes, elements]`, labels
//! `[batch, elements]`, last axis fastest; `elements` is the flattened patch.
//!
//! ```
//! use lacuna_losses::{Input, Layout, LossConfig};
//!
//! let config = LossConfig::default(); // generalised Dice, 1/V^2, pooled batch
//! let layout = Layout { batch: 1, classes: 2, elements: 3 };
//! let logits = [4.0_f32, 4.0, 0.0, /* foreground: */ 0.0, 0.0, 4.0];
//! let labels = [0, 0, 1];
//! let mut gradient = [0.0_f32; 6];
//! let input = Input::new(layout, &logits, &labels);
//! let evaluation = config.value_and_gradient(&input, &mut gradient)?;
//! assert!(evaluation.value < 0.03);
//! assert_eq!((evaluation.tp, evaluation.fp, evaluation.fn_), (1, 0, 0));
//! # Ok::<(), lacuna_losses::LossError>(())
//! ```

mod activation;
pub mod boundary;
mod chunk;
pub mod cl_dice;
mod config;
mod counts;
pub mod cross_entropy;
pub mod dice;
pub mod distance_cross_entropy;
pub mod doctor;
mod element_pass;
mod error;
mod evaluate;
pub mod exponential_logarithmic;
mod field_pass;
pub mod focal;
pub mod focal_tversky;
pub mod generalised_dice;
pub mod generalised_wasserstein_dice;
pub mod guide;
pub mod hausdorff;
mod input;
mod layout;
pub mod log_dice;
mod loss;
pub mod lovasz;
pub mod maps;
pub mod matthews;
mod narrow;
mod narrow_regions;
mod options;
mod overlap;
mod own_pass;
mod own_regions;
pub mod probe;
mod real;
mod reference;
mod regions;
pub mod sensitivity_specificity;
mod statistics;
mod statistics_pass;
pub mod top_k_cross_entropy;
pub mod tversky;
pub mod unified_focal;
pub mod weighted_cross_entropy;
mod wide;
pub mod wrapper;

pub use boundary::Boundary;
pub use cl_dice::ClDice;
pub use config::{LossConfig, NamedLoss};
pub use cross_entropy::CrossEntropy;
pub use dice::{Dice, DiceForm};
pub use distance_cross_entropy::{DistanceCrossEntropy, Emphasis};
pub use error::LossError;
pub use evaluate::{Evaluation, value_and_gradient};
pub use exponential_logarithmic::ExponentialLogarithmic;
pub use focal::Focal;
pub use focal_tversky::FocalTversky;
pub use generalised_dice::{ClassWeight, EmptyClass, GeneralisedDice};
pub use generalised_wasserstein_dice::{GeneralisedWassersteinDice, WassersteinWeighting};
pub use hausdorff::{BoundaryOf, Hausdorff};
pub use input::{Input, PatchGrid, Reference, ReferenceMaps};
pub use layout::Layout;
pub use log_dice::LogDice;
pub use loss::{
    Element, ElementLoss, ElementSlopes, Field, FieldLoss, FieldSlopes, Form, Honours, Loss, Needs,
    Own, OwnLoss, Reads, StatisticsLoss, Volumes,
};
pub use lovasz::Lovasz;
pub use matthews::Matthews;
pub use options::{AbsentClass, Activation, ClassSubset, Compatibility, Options, Reduction};
pub use real::Real;
pub use regions::{RegionError, Regions};
pub use sensitivity_specificity::{SensitivitySpecificity, SensitivitySpecificityForm};
pub use statistics::{ClassSums, Statistics, StatisticsGradient};
pub use top_k_cross_entropy::TopKCrossEntropy;
pub use tversky::Tversky;
pub use unified_focal::UnifiedFocal;
pub use weighted_cross_entropy::WeightedCrossEntropy;
pub use wrapper::{Blob, SizeReweighted, Sum};
