//! What can be wrong with the input of a loss or its configuration.

/// Errors of this crate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// Fewer than two classes, or more than a `u8` label can name.
    #[error(
        "the logits have {classes} class(es), expected {least} to 256: \
         exclusive classes need a logit each, the background too; a single region needs \
         activation = \"sigmoid\""
    )]
    ClassCount {
        /// Classes of the layout.
        classes: usize,
        /// Fewest that the activation allows.
        least: usize,
    },
    /// No sample, or samples without elements.
    #[error(
        "nothing to compute a loss from: batch of {batch} sample(s) with {elements} element(s) \
         each, expected at least one of both"
    )]
    NoElements {
        /// Samples of the layout.
        batch: usize,
        /// Elements of a sample.
        elements: usize,
    },
    /// A slice does not hold what the layout says.
    #[error(
        "the {array} hold {found} value(s), expected {expected} for batch {batch}, \
         {classes} classes, {elements} elements per sample: pass matching arrays"
    )]
    Length {
        /// Which array.
        array: &'static str,
        /// Values given.
        found: usize,
        /// Values that the layout needs.
        expected: usize,
        /// Samples of the layout.
        batch: usize,
        /// Classes of the layout.
        classes: usize,
        /// Elements of a sample.
        elements: usize,
    },
    /// The layout's size does not fit the address space.
    #[error(
        "batch {batch} x {classes} classes x {elements} elements is too large to address: \
         use a smaller patch or batch"
    )]
    TooLarge {
        /// Samples of the layout.
        batch: usize,
        /// Classes of the layout.
        classes: usize,
        /// Elements of a sample.
        elements: usize,
    },
    /// A label names no class.
    #[error(
        "label {label} at element {element} of sample {sample}, expected a class from 0 to {}: \
         map the label values of the dataset to its classes",
        classes - 1
    )]
    LabelOutOfRange {
        /// Label found.
        label: u8,
        /// Classes of the layout.
        classes: usize,
        /// Sample of the batch.
        sample: usize,
        /// Element of the sample.
        element: usize,
    },
    /// A logit is NaN or infinite: the network has diverged or its input was not finite.
    #[error(
        "logit {value} for class {class} at element {element} of sample {sample}, \
         expected a finite number: check this sample's image, or lower the learning rate"
    )]
    NonFiniteLogit {
        /// Logit found.
        value: f64,
        /// Sample of the batch.
        sample: usize,
        /// Class of the logit.
        class: usize,
        /// Element of the sample.
        element: usize,
    },
    /// An option whose value the loss cannot honour.
    #[error("loss {loss:?}: `{option}` is {found}, expected {expected}")]
    OptionValue {
        /// Loss named in the configuration.
        loss: &'static str,
        /// Option given.
        option: &'static str,
        /// Value given.
        found: String,
        /// What the loss accepts.
        expected: String,
    },
    /// Something that other losses honour and this one cannot.
    #[error("loss {loss:?} does not support {input}: choose another loss or leave it out")]
    Unsupported {
        /// Loss named in the configuration.
        loss: &'static str,
        /// What it was asked for.
        input: &'static str,
    },
    /// A soft label is no share.
    #[error(
        "soft label {value} for class {class} at element {element} of sample {sample}, \
         expected a number from 0 to 1"
    )]
    SoftLabel {
        /// Value found.
        value: f64,
        /// Sample of the batch.
        sample: usize,
        /// Class of the label.
        class: usize,
        /// Element of the sample.
        element: usize,
    },
    /// The soft labels of an element of exclusive classes do not add up to one.
    #[error(
        "the soft labels at element {element} of sample {sample} add up to {total}, expected 1: \
         exclusive classes share an element; for overlapping regions use activation = \"sigmoid\""
    )]
    SoftLabelSum {
        /// Sum found.
        total: f64,
        /// Sample of the batch.
        sample: usize,
        /// Element of the sample.
        element: usize,
    },
    /// A voxel weight is negative or not finite.
    #[error(
        "voxel weight {value} at element {element} of sample {sample}, \
         expected a finite number of at least 0"
    )]
    Weight {
        /// Weight found.
        value: f64,
        /// Sample of the batch.
        sample: usize,
        /// Element of the sample.
        element: usize,
    },
    /// A spacing is no length.
    #[error("spacing {found:?} along x, y and z, expected three finite lengths above 0 in mm")]
    Spacing {
        /// Spacing found.
        found: [f64; 3],
    },
    /// A loss that looks at neighbours or distances was not told the grid.
    #[error("loss {loss:?} needs the shape and spacing of the patch: pass its grid")]
    NoGrid {
        /// Loss named in the configuration.
        loss: &'static str,
    },
    /// Maps of the reference can be made of a grid only.
    #[error(
        "this loss reads distances or lesions of the reference: pass the maps, or the grid of \
         the patch to make them from"
    )]
    MapsNeedGrid,
}
