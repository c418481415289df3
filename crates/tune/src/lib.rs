//! Thresholds, minimum volumes and peaks, tuned on out-of-fold probability maps.
//!
//! The maps must come from networks that were not trained on the subject. Of each class
//! of each subject [`Observed`] keeps the components at every threshold; volumes are
//! needed one subject at a time. [`tune_class`] chooses what `predict --postprocess` is
//! to ask of the class, and estimates the gain by tuning without each fold in turn.
//!
//! Before that, probabilities can be made believable by one [`Temperature`], fitted to
//! [`LogOdds`] of all subjects; [`Calibration`] tells by how much. A temperature moves
//! thresholds, so tune on tempered maps where predictions will be tempered.
//!
//! [`Agreement`] tells how far a predicted volume or count can be from the truth.

mod agreement;
mod calibration;
mod curves;
mod error;
mod grid;
mod log_odds;
mod observed;
mod score;
mod temperature;
mod tune;

pub use agreement::{Agreement, Expected, Pair};
pub use calibration::{Calibration, ClassCalibration};
pub use curves::{CurvePoint, Curves};
pub use error::TuneError;
pub use log_odds::{LogOdds, MOST_CLASSES};
pub use observed::{Component, Maps, Observed, THRESHOLDS};
pub use score::{Rule, Score};
pub use temperature::Temperature;
pub use tune::{
    FoldRule, HeldOut, HeldOutSubject, Options, Subject, Tuned, TunedClass, tune_class,
};
