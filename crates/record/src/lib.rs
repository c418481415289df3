//! What runs and studies leave on disk, for those who write it and those who
//! read it. Nothing here knows of tensors.
//!
//! A run is a folder of [`Event`]s and a [`Summary`]; what it made of a dataset is a
//! folder of [`Predictions`], and how well, an [`Evaluation`]; several of those are [`ComparedPredictions`].
//! What a person changed in them is a folder of [`Correction`]s. What worked on a run or a
//! study, and on which files, is in its [`Sessions`]. A study is a folder of
//! runs with the plan they follow ([`Study`]), the state of each ([`Status`]) and the
//! end of each ([`Outcome`]). Every file is written and read by one type.

mod cleaned;
mod comparison;
mod correction;
mod error;
mod evaluation;
mod events;
mod files;
pub mod fingerprint;
mod hash;
mod kept;
mod outputs;
mod predictions;
mod provenance;
mod results;
mod sessions;
mod study;
mod summary;
pub mod table;
mod test;
mod validation;

pub use cleaned::CleanedClass;
pub use comparison::{
    ComparedFolder, ComparedPair, ComparedPredictions, DisputeKind, DisputedLesion, LeftOut,
    MetricDifference, Stratum, SubjectValues,
};
pub use correction::{CorrectedDataset, Correction, Start};
pub use error::RecordError;
pub use evaluation::{
    ClassFroc, ClassPrecisionRecall, Evaluation, Overlay, ScoredFile, SubjectScores,
};
pub use events::{Ending, Event, LastIterations, events_until, read_events};
pub use files::{lock, read_json, read_lines, remove_file, unix_time, write_json};
pub use fingerprint::Fingerprint;
pub use hash::{sha256, sha256_of};
pub use kept::{KeptResults, KeptRun, KeptStudy, without_paths};
pub use outputs::{Inputs, check_file, check_folder, check_no_run};
pub use predictions::{
    AveragedRun, BESIDE, BURDEN, Ensemble, Existing, PREDICTION_ENDING, PredictedFile, Predictions,
    PredictionsFolder, prediction_path, probabilities_path, spread_path,
};
pub use provenance::{Provenance, built_from};
pub use results::{RunResult, StudyResults, Training};
pub use sessions::{SessionRecord, Sessions, SourceFile};
pub use study::{AxisValue, PlannedRun, State, Status, Study, StudyFolder};
pub use summary::Summary;
pub use test::{Outcome, read_calibration};
pub use validation::{ValidationPictures, ValidationScore, read_validation};
