//! What can be wrong with the input of a metric.

/// Input on which a metric has no meaning. Messages speak of "reference" and
/// "prediction"; the caller knows and names their files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The two images are not on one grid.
    #[error(
        "the reference has shape {reference:?} and the prediction {prediction:?}; \
         bring the prediction onto the reference's grid first"
    )]
    Shape {
        /// Voxels of the reference along x, y, z.
        reference: [usize; 3],
        /// Voxels of the prediction along x, y, z.
        prediction: [usize; 3],
    },
    /// The two label sequences cannot be compared element by element.
    #[error(
        "the reference has {reference} voxels and the prediction {prediction}; \
         they must be the same region of the same image"
    )]
    Length {
        /// Elements of the reference.
        reference: usize,
        /// Elements of the prediction.
        prediction: usize,
    },
    /// A label that is no class.
    #[error(
        "the {image} holds label {label}, but there are {classes} classes (labels below \
         {classes}); map its labels to the classes first"
    )]
    Label {
        /// "reference" or "prediction".
        image: &'static str,
        /// The label found.
        label: usize,
        /// Number of classes, background included.
        classes: usize,
    },
    /// Too few or too many classes.
    #[error("found {found} classes; expected the background and at least one more, at most 256")]
    ClassCount {
        /// Number of class names given.
        found: usize,
    },
    /// A class with the name of the union row.
    #[error(
        "a class is named \"{name}\", which is the name of the union of all classes in the \
         results; rename the class"
    )]
    ReservedClass {
        /// The name in question.
        name: &'static str,
    },
    /// A region of a class that there is not.
    #[error("a region is wrong: {0}")]
    RegionClass(#[from] lacuna_volume::UnknownClass),
    /// A tolerance that no distance can be compared with.
    #[error("the NSD tolerance is {found} mm; expected a finite number, 0 or more")]
    Tolerance {
        /// The tolerance given, mm.
        found: f64,
    },
    /// Nothing to summarise.
    #[error("there are no subjects to summarise; evaluate at least one")]
    NoSubjects,
    /// Subjects that were not evaluated alike.
    #[error(
        "subject {subject} (counted from 0) was evaluated with other classes or conventions \
         than the first; evaluate all subjects with the same options"
    )]
    MixedSubjects {
        /// Position of the subject in the list given.
        subject: usize,
    },
    /// A bootstrap that cannot be drawn.
    #[error(
        "the bootstrap has {resamples} resamples and level {level}; expected 1 to {most} \
         resamples and a level between 0 and 1"
    )]
    Bootstrap {
        /// Resamples asked for.
        resamples: usize,
        /// Coverage asked for.
        level: f64,
        /// Most resamples allowed.
        most: usize,
    },
    /// Two methods that were not measured on the same subjects.
    #[error("{first} values are to be paired with {second}; give one of each per subject")]
    Unpaired {
        /// Values of the first method.
        first: usize,
        /// Values of the second method.
        second: usize,
    },
    /// A difference that has no rank.
    #[error(
        "the values of subject {subject} (counted from 0) differ by {found}; expected finite values"
    )]
    Difference {
        /// Position of the subject in the list given.
        subject: usize,
        /// The difference.
        found: f64,
    },
    /// A number that is no probability.
    #[error("value {at} (counted from 0) is {found}; expected a probability, 0 to 1")]
    Probability {
        /// Position in the list given.
        at: usize,
        /// The number.
        found: f64,
    },
    /// Sequences that do not describe the same voxels.
    #[error(
        "there are {probabilities} probabilities and {found} voxels in the {image}; they must be the same voxels"
    )]
    ProbabilityCount {
        /// Probabilities given.
        probabilities: usize,
        /// "reference", "prediction" or "mask".
        image: &'static str,
        /// Its voxels.
        found: usize,
    },
    /// Bins that cannot be filled or added.
    #[error("found {found} bins of probability; expected {expected}")]
    Bins {
        /// Number of bins.
        found: usize,
        /// What was needed.
        expected: String,
    },
}
