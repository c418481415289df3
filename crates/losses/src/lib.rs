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

mod config;
pub mod doctor;
pub mod equations;
mod error;
mod evaluate;
mod factor;
pub mod guide;
mod input;
mod layout;
mod loss;
pub mod maps;
mod options;
mod passes;
pub mod probe;
mod real;
mod regions;
mod statistics;
mod sums;
pub mod wrappers;

pub use config::{LossConfig, NamedLoss};
pub use equations::{
    Boundary, BoundaryOf, ClDice, ClassWeight, CrossEntropy, Dice, DiceForm, DistanceCrossEntropy,
    Emphasis, EmptyClass, ExponentialLogarithmic, Focal, FocalTversky, GeneralisedDice,
    GeneralisedWassersteinDice, Hausdorff, LogDice, Lovasz, Matthews, SensitivitySpecificity,
    SensitivitySpecificityForm, TopKCrossEntropy, Tversky, UnifiedFocal, WassersteinWeighting,
    WeightedCrossEntropy,
};
pub use error::LossError;
pub use evaluate::{Evaluation, value_and_gradient};
pub use factor::{Factor, Ramp};
pub use input::{Input, PatchGrid, Reference, ReferenceMaps};
pub use layout::Layout;
pub use loss::{
    Element, ElementLoss, ElementSlopes, Field, FieldLoss, FieldSlopes, Form, Honours, Loss, Needs,
    Own, OwnLoss, Reads, StatisticsLoss, Volumes,
};
pub use options::{AbsentClass, Activation, ClassSubset, Compatibility, Options, Reduction};
pub use real::Real;
pub use regions::{RegionError, Regions};
pub use statistics::{ClassSums, Statistics, StatisticsGradient};
pub use wrappers::{Blob, SizeReweighted, Sum};
