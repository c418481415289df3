//! The losses themselves: equations of sums, of elements or of all probabilities,
//! one file each, with options and citation. Nothing here knows of logits,
//! batches or threads.

pub mod boundary;
pub mod cl_dice;
pub mod cross_entropy;
pub mod dice;
pub mod distance_cross_entropy;
pub mod exponential_logarithmic;
pub mod focal;
pub mod focal_tversky;
pub mod generalised_dice;
pub mod generalised_wasserstein_dice;
pub mod hausdorff;
pub mod log_dice;
pub mod lovasz;
pub mod matthews;
mod overlap;
pub mod sensitivity_specificity;
pub mod top_k_cross_entropy;
pub mod tversky;
pub mod unified_focal;
pub mod weighted_cross_entropy;

pub use boundary::Boundary;
pub use cl_dice::ClDice;
pub use cross_entropy::CrossEntropy;
pub use dice::{Dice, DiceForm};
pub use distance_cross_entropy::{DistanceCrossEntropy, Emphasis};
pub use exponential_logarithmic::ExponentialLogarithmic;
pub use focal::Focal;
pub use focal_tversky::FocalTversky;
pub use generalised_dice::{ClassWeight, EmptyClass, GeneralisedDice};
pub use generalised_wasserstein_dice::{GeneralisedWassersteinDice, WassersteinWeighting};
pub use hausdorff::{BoundaryOf, Hausdorff};
pub use log_dice::LogDice;
pub use lovasz::Lovasz;
pub use matthews::Matthews;
pub use sensitivity_specificity::{SensitivitySpecificity, SensitivitySpecificityForm};
pub use top_k_cross_entropy::TopKCrossEntropy;
pub use tversky::Tversky;
pub use unified_focal::UnifiedFocal;
pub use weighted_cross_entropy::WeightedCrossEntropy;
