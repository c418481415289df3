//! The four losses of Sudre et al., "Generalised Dice overlap as a deep
//! learning loss function for highly unbalanced segmentations" (DLMIA 2017,
//! arXiv 1707.03237), for two or more classes: value and gradient with respect
//! to the logits as one operation, without a tensor library. `f32` logits go
//! through vector kernels, `f64` logits through plain loops.
//!
//! | Loss | Type | Name in a run configuration |
//! |---|---|---|
//! | Generalised Dice | [`GeneralisedDice`] | `generalised-dice` |
//! | Dice over all classes | [`Dice`] | `dice` |
//! | Sensitivity-specificity | [`SensitivitySpecificity`] | `sensitivity-specificity` |
//! | Weighted cross-entropy | [`WeightedCrossEntropy`] | `weighted-cross-entropy` |
//!
//! Every one of them is a function of a few sums over the elements
//! ([`Statistics`]). So [`value_and_gradient`] makes one pass over logits and
//! labels for the sums, asks the loss for its value and its derivatives by
//! those sums ([`Loss::evaluate`]), and makes a second pass that carries the
//! derivatives through the softmax to the logits. A loss module holds its
//! equation and nothing of softmax, one-hot coding or batches.
//!
//! Memory order: logits and gradient `[batch, classes, elements]`, labels
//! `[batch, elements]`, last axis fastest; `elements` is the flattened patch.
//!
//! ```
//! use lacuna_losses::{Layout, LossConfig, value_and_gradient};
//!
//! let config = LossConfig::default(); // generalised Dice, 1/V^2, pooled batch
//! let loss = config.build()?;
//! let layout = Layout { batch: 1, classes: 2, elements: 3 };
//! let logits = [4.0_f32, 4.0, 0.0, /* foreground: */ 0.0, 0.0, 4.0];
//! let labels = [0, 0, 1];
//! let mut gradient = [0.0_f32; 6];
//! let evaluation = value_and_gradient(
//!     loss.as_ref(), config.reduction, layout, &logits, &labels, &mut gradient,
//! )?;
//! assert!(evaluation.value < 0.03);
//! assert_eq!((evaluation.tp, evaluation.fp, evaluation.fn_), (1, 0, 0));
//! # Ok::<(), lacuna_losses::LossError>(())
//! ```

mod chunk;
mod config;
pub mod dice;
mod error;
pub mod generalised_dice;
mod kernel;
mod layout;
mod loss;
mod multi_class;
mod narrow;
mod real;
pub mod sensitivity_specificity;
mod statistics;
mod two_class;
pub mod weighted_cross_entropy;
mod wide;

pub use config::{LossConfig, NamedLoss};
pub use dice::{Dice, DiceForm};
pub use error::LossError;
pub use generalised_dice::{ClassWeight, EmptyClass, GeneralisedDice};
pub use kernel::{Evaluation, Reduction, value_and_gradient};
pub use layout::Layout;
pub use loss::{Loss, Needs};
pub use real::Real;
pub use sensitivity_specificity::{SensitivitySpecificity, SensitivitySpecificityForm};
pub use statistics::{Statistics, StatisticsGradient};
pub use weighted_cross_entropy::WeightedCrossEntropy;
