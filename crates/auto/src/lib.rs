//! From a dataset to a model that can be trusted, in a given time.
//!
//! [`auto()`] plans ([`plan`]), trains folds, predicts what each held out, tunes temperature,
//! thresholds and sizes on that, scores it, and leaves a [`Model`]: the mean of the folds'
//! networks with what was tuned, which `lacuna predict` takes as a folder or, exported, as
//! one file. [`nnunet`] makes such a model of one of nnU-Net. [`Structure`] has what is known
//! of common rare structures beforehand.

mod auto;
mod burden;
mod card;
mod clock;
mod error;
mod judge;
mod model;
pub mod nnunet;
pub mod plan;
mod structure;
mod work;

pub use auto::{Made, Step, auto, plan as make_plan, train_one};
pub use burden::write_burden;
pub use error::AutoError;
pub use judge::Judged;
pub use model::{Model, Opened, export};
pub use structure::{Preset, Structure};
pub use work::ChoiceOfLength;
