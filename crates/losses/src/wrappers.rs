//! Losses made of other losses, whatever type those have.

mod blob;
mod deep_supervision;
mod size_reweighted;
mod sum;

pub use blob::Blob;
pub use deep_supervision::{DeepSupervision, Level, coarser_labels};
pub use size_reweighted::SizeReweighted;
pub use sum::{Sum, Term};
