//! What can be wrong with what is tuned on.

/// Nothing can be tuned or told. Messages speak of a subject's volumes by what they are;
/// the caller knows and names their files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuneError {
    /// A volume is not on the grid of the reference.
    #[error(
        "the {volume} has shape {found:?} and the reference {expected:?}; bring it onto the \
         reference's grid first"
    )]
    Shape {
        /// "probability map", "label map" or "mask".
        volume: &'static str,
        /// Its voxels along x, y, z.
        found: [usize; 3],
        /// Those of the reference.
        expected: [usize; 3],
    },
    /// Sequences that do not describe the same voxels.
    #[error(
        "there are {expected} voxels in the first probability map and {found} in the {volume}; \
         they must be the same voxels"
    )]
    Length {
        /// "reference", "mask" or "next probability map".
        volume: &'static str,
        /// Its voxels.
        found: usize,
        /// Those of the first probability map.
        expected: usize,
    },
    /// A number that is no probability.
    #[error("voxel {at} (counted from 0) has probability {found}; expected 0 to 1")]
    Probability {
        /// Position in memory.
        at: usize,
        /// The number.
        found: f32,
    },
    /// Too few or too many probability maps of exclusive classes.
    #[error(
        "found {found} probability maps of exclusive classes, background included; expected 2 to \
         {most}; of more, sum those that are not looked for"
    )]
    Classes {
        /// Maps given.
        found: usize,
        /// Most maps.
        most: usize,
    },
    /// A label that is no class.
    #[error(
        "voxel {at} (counted from 0) of the reference has label {label}, but there are {classes} \
         probability maps; map its labels to the classes first"
    )]
    Label {
        /// Position in memory.
        at: usize,
        /// The label.
        label: u8,
        /// Probability maps given.
        classes: usize,
    },
    /// No subject was given.
    #[error("there are no subjects to tune on; give at least one with an out-of-fold prediction")]
    NoSubjects,
    /// A subject was given twice, so that it would be held out of itself.
    #[error("subject {subject} is there twice; give each subject once, with the fold it is in")]
    SameSubject {
        /// Its name.
        subject: String,
    },
    /// No voxel was counted.
    #[error("no voxel was counted to fit a temperature to; check that the masks are not empty")]
    NoVoxels,
    /// A temperature that divides nothing.
    #[error("the temperature is {found}; expected a finite number above 0")]
    Temperature {
        /// The number.
        found: f64,
    },
    /// An amount that is none.
    #[error("pair {at} (counted from 0) holds {found}; expected finite amounts, 0 or more")]
    Amount {
        /// Position in the list given.
        at: usize,
        /// The number.
        found: f64,
    },
    /// A level or an offset without meaning.
    #[error("the {name} is {found}; expected {expected}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// The number.
        found: f64,
        /// What was needed.
        expected: &'static str,
    },
    /// A metric cannot be computed.
    #[error(transparent)]
    Metrics(#[from] lacuna_metrics::MetricsError),
    /// A file cannot be written.
    #[error(transparent)]
    Record(#[from] lacuna_record::RecordError),
    /// A table cannot be written.
    #[error(transparent)]
    Write(#[from] lacuna_io::atomic::WriteError),
}

/// Probabilities may miss 0 to 1 by so much, as sums in 32 bits do.
const ROUNDING: f32 = 1e-5;

/// Refuses what is no probability.
pub(crate) fn check_probability(at: usize, found: f32) -> Result<(), TuneError> {
    match (-ROUNDING..=1.0 + ROUNDING).contains(&found) {
        true => Ok(()),
        false => Err(TuneError::Probability { at, found }),
    }
}
