//! Losses made of other losses.

pub mod blob;
pub mod deep_supervision;
pub mod ramp;
pub mod size_reweighted;
pub mod sum;

pub use blob::Blob;
pub(crate) use blob::blob_statistics;
pub use deep_supervision::{DeepSupervision, Level, coarser_labels};
pub use ramp::Factor;
pub use size_reweighted::SizeReweighted;
pub(crate) use size_reweighted::lesion_weights;
pub(crate) use sum::whole_sum;
pub use sum::{Sum, Term};
