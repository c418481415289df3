//! Segmentation metrics with every convention named.
//!
//! [`evaluate_pair`] scores a predicted label map against a reference, one row
//! per class; [`Summary`] condenses the rows of many subjects. Every value is
//! finite, so no subject ever drops out of a mean, and carries the
//! [`Conventions`] behind it. The parts can be used alone: voxel counts
//! ([`Counts`], [`Confusion`]), surfaces ([`SurfaceDistances`]), lesions
//! ([`Lesions`], [`LesionConvention`], [`LesionStratum`], [`Froc`]), probabilities
//! ([`PrecisionRecall`], [`Reliability`]) and statistics ([`Distribution`], [`Comparison`], [`mcnemar`]).

mod calibration;
mod comparison;
mod conventions;
mod counts;
mod detection;
mod error;
mod evaluate;
mod froc;
mod lesion;
mod matching;
mod mcnemar;
mod overlap;
mod pair;
mod precision_recall;
mod strata;
mod summary;
mod surface;

pub use calibration::{Probabilities, Reliability};
pub use comparison::{Comparison, SignedRank, holm, smallest_p};
pub use conventions::Conventions;
pub use counts::{Confusion, Counts};
pub use detection::{BratsTask, LesionConvention, LesionDetection};
pub use error::MetricsError;
pub use evaluate::{
    ClassScores, ClassSummary, FOREGROUND, MetricSummary, Options, Summary, evaluate_pair,
};
pub use froc::{Candidate, Froc, FrocPoint, SubjectCandidates};
pub use lesion::{Lesion, LesionPlace, LesionShares, Lesions};
pub use matching::most_pairs;
pub use mcnemar::mcnemar;
pub use pair::{MaskPair, without_ignored};
pub use precision_recall::{AveragePrecision, PrecisionRecall, PrecisionRecallPoint};
pub use strata::LesionStratum;
pub use summary::{Bootstrap, Distribution, Interval, Quartiles, mean, quantile, running_median};
pub use surface::{SurfaceConvention, SurfaceDistances};
