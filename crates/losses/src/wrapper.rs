//! Losses made of other losses.

mod blob;
mod deep_supervision;
mod ramp;
mod size_reweighted;
mod sum;

pub use blob::Blob;
pub(crate) use blob::blob_statistics;
pub use deep_supervision::{DeepSupervision, Level, coarser_labels};
pub use ramp::Factor;
pub use size_reweighted::SizeReweighted;
pub(crate) use size_reweighted::lesion_weights;
pub(crate) use sum::whole_sum;
pub use sum::{Sum, Term};
