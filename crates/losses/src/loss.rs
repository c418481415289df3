//! What a loss is to this crate.
//!
//! Most losses are functions of a few sums ([`StatisticsLoss`]): they cost two
//! passes over the batch whatever they do with the sums. Others are a mean over
//! elements ([`ElementLoss`]), one pass; or need all probabilities at once, to
//! sort them or to look at neighbours ([`FieldLoss`]).

use crate::chunk::CHUNK;
use crate::wrapper::{Blob, Factor, SizeReweighted};
use crate::{Compatibility, LossError, Statistics, StatisticsGradient};
use rayon::prelude::*;

/// A loss with its options.
pub trait Loss: Send + Sync {
    /// Name in a run configuration, such as `generalised-dice`.
    fn name(&self) -> &'static str;

    /// Refuses options that the loss cannot honour for this number of classes.
    ///
    /// # Errors
    /// Naming the option, its value and the legal ones.
    fn check(&self, classes: usize) -> Result<(), LossError> {
        let _ = classes;
        Ok(())
    }

    /// What of the options of every loss it honours.
    fn honours(&self) -> Honours {
        Honours::ALL
    }

    /// What it reads beside logits, reference and weights.
    fn reads(&self) -> Reads {
        Reads::default()
    }

    /// How it is computed.
    fn form(&self) -> Form<'_>;
}

/// The probability of every element's own label, of one sample or of a batch
/// whose elements are pooled; exclusive classes and hard labels.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// Labels; anything where the weight is 0.
    pub labels: &'a [u8],
    /// `log p`.
    pub log_p: &'a [f32],
    /// `1 - p`, with its own relative precision.
    pub rest: &'a [f32],
    /// Weights; 0 where an element counts nowhere. All 1 where there are none.
    pub weights: Option<&'a [f32]>,
    /// Number of classes.
    pub classes: usize,
    /// What [`ElementLoss::factors`] gave; empty for a [`FieldLoss`].
    pub factors: &'a [f64],
}

impl Own<'_> {
    /// Elements.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Weight of an element.
    #[inline]
    pub fn weight(&self, element: usize) -> f32 {
        self.weights.map_or(1.0, |weights| weights[element])
    }

    /// A run of the elements.
    fn part(&self, range: std::ops::Range<usize>) -> Self {
        Self {
            labels: &self.labels[range.clone()],
            log_p: &self.log_p[range.clone()],
            rest: &self.rest[range.clone()],
            weights: self.weights.map(|weights| &weights[range]),
            ..*self
        }
    }

    /// Calls `pass` for runs of elements, in parallel, and adds up its values in
    /// order. It gives its run's value and writes the slopes.
    pub fn by_runs(
        &self,
        slopes: &mut [f32],
        pass: impl Fn(&Own, &mut [f32]) -> f64 + Sync,
    ) -> f64 {
        let runs = slopes.par_chunks_mut(CHUNK).enumerate();
        let parts: Vec<f64> = runs
            .map(|(run, slopes)| {
                let start = run * CHUNK;
                pass(&self.part(start..start + slopes.len()), slopes)
            })
            .collect();
        parts.iter().sum()
    }
}

/// A loss that depends on every element's own probability only, as the vector
/// kernels take it: the same as its other form, faster.
pub trait OwnLoss: Send + Sync {
    /// The loss; `slopes` are overwritten with its derivatives by the `log p`,
    /// voxel weights included.
    fn evaluate(&self, own: &Own, slopes: &mut [f32]) -> f64;

    /// Factor per class of a term `-sum_c k_c log p_c` that each element adds,
    /// times its weight: label smoothing.
    fn spread(&self, factors: &[f64]) -> Option<Vec<f32>> {
        let _ = factors;
        None
    }
}

/// What of the options and inputs of every loss a loss honours. The rest is
/// refused, not ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Honours {
    /// Overlapping regions, `activation = "sigmoid"`.
    pub sigmoid: bool,
    /// Soft labels other than 0 and 1.
    pub soft_labels: bool,
    /// Voxel weights other than 0 and 1. Masks and ignored labels are honoured by all.
    pub weights: bool,
    /// `compatibility = "monai"`.
    pub monai: bool,
    /// `compatibility = "niftynet"`.
    pub niftynet: bool,
}

impl Honours {
    /// All but the compatibility with other tools.
    pub const ALL: Self = Self {
        sigmoid: true,
        soft_labels: true,
        weights: true,
        monai: false,
        niftynet: false,
    };

    /// What both honour.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            sigmoid: self.sigmoid && other.sigmoid,
            soft_labels: self.soft_labels && other.soft_labels,
            weights: self.weights && other.weights,
            monai: self.monai && other.monai,
            niftynet: self.niftynet && other.niftynet,
        }
    }
}

/// What a loss reads beside logits, reference and weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Signed distances to the boundary of each class, in mm.
    pub distance: bool,
    /// Numbers of the lesions.
    pub lesion: bool,
    /// The grid of the patch: its shape, and its spacing in mm.
    pub grid: bool,
}

impl Reads {
    /// What either reads.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            grid: self.grid || other.grid,
            distance: self.distance || other.distance,
            lesion: self.lesion || other.lesion,
        }
    }
}

/// How a loss is computed.
pub enum Form<'a> {
    /// From sums over the elements.
    Statistics(&'a dyn StatisticsLoss),
    /// As a mean over the elements.
    Elements(&'a dyn ElementLoss),
    /// From all probabilities at once.
    Field(&'a dyn FieldLoss),
    /// As a weighted sum.
    Sum(Vec<(Factor, Form<'a>)>),
    /// Per lesion.
    Blob(&'a Blob),
    /// With voxel weights from the sizes of the lesions.
    SizeReweighted(&'a SizeReweighted),
}

/// The sums that a loss reads beside those of elements and of probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The squared errors.
    pub squared_error: bool,
    /// The sums of log-probabilities.
    pub sum_log_p: bool,
}

impl Needs {
    /// Neither.
    pub const PROBABILITIES: Self = Self {
        squared_error: false,
        sum_log_p: false,
    };
    /// Both.
    pub const ALL: Self = Self {
        squared_error: true,
        sum_log_p: true,
    };

    /// What either reads.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            squared_error: self.squared_error || other.squared_error,
            sum_log_p: self.sum_log_p || other.sum_log_p,
        }
    }
}

/// A loss that depends on the logits through [`Statistics`] only.
pub trait StatisticsLoss: Send + Sync {
    /// What [`StatisticsLoss::evaluate`] reads; other sums may be 0 there. All,
    /// unless a loss says otherwise to be faster.
    fn needs(&self) -> Needs {
        Needs::ALL
    }

    /// The loss and its derivatives by the sums, both finite.
    ///
    /// Volumes are constants. The sums over the predictions are treated as
    /// independent of each other, although those of one label add up to its
    /// volume: the softmax in the second pass restores this.
    fn evaluate(
        &self,
        statistics: &Statistics,
        compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient);
}

/// One element, as an [`ElementLoss`] sees it. All slices have one value per class.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Probabilities.
    pub p: &'a [f64],
    /// `1 - p`, with its own relative precision.
    pub rest: &'a [f64],
    /// `log p`, finite.
    pub log_p: &'a [f64],
    /// `log (1 - p)`, finite; overlapping regions only, empty for exclusive classes.
    pub log_rest: &'a [f64],
    /// The reference: one-hot, or shares.
    pub reference: &'a [f64],
    /// Signed distances in mm; empty unless the loss reads them.
    pub distance: &'a [f32],
}

/// Derivatives of an element's loss, one value per class, 0 at first.
#[derive(Debug)]
pub struct ElementSlopes<'a> {
    /// By `p`.
    pub p: &'a mut [f64],
    /// By `log p`.
    pub log_p: &'a mut [f64],
    /// By `log (1 - p)`; overlapping regions only.
    pub log_rest: &'a mut [f64],
}

/// Volumes of the reference: what an [`ElementLoss`] may divide by.
#[derive(Clone, Debug, PartialEq)]
pub struct Volumes {
    /// Sum of the weights of all elements, `N`.
    pub elements: f64,
    /// `V_c` per class.
    pub volume: Vec<f64>,
    /// Whether the classes are overlapping regions.
    pub overlapping: bool,
}

/// A loss that is a weighted sum over the elements.
pub trait ElementLoss: Send + Sync {
    /// Constants that [`ElementLoss::element`] is given, such as class weights
    /// over the number of elements.
    fn factors(&self, volumes: &Volumes, compatibility: Option<Compatibility>) -> Vec<f64>;

    /// The same loss for the vector kernels, if it is one of own probabilities.
    fn own(&self) -> Option<&dyn OwnLoss> {
        None
    }

    /// The element's loss, and its derivatives added to `slopes`, before its
    /// voxel weight. `factors` are what [`ElementLoss::factors`] gave.
    fn element(&self, factors: &[f64], element: &Element, slopes: &mut ElementSlopes) -> f64;
}

/// All probabilities of one sample, or of a batch whose elements are pooled.
/// Planes are `[samples, classes, elements]`.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Samples that are pooled.
    pub samples: usize,
    /// Classes.
    pub classes: usize,
    /// Elements of a sample.
    pub elements: usize,
    /// Whether the classes are overlapping regions.
    pub overlapping: bool,
    /// Probabilities.
    pub p: &'a [f64],
    /// `log p`, finite; empty unless [`FieldLoss::reads_log_p`].
    pub log_p: &'a [f64],
    /// The reference: one-hot, or shares.
    pub reference: &'a [f64],
    /// `[samples, elements]`; 0 where an element counts nowhere.
    pub weights: &'a [f64],
    /// Sum of the weights.
    pub volume: f64,
    /// Signed distances in mm; empty unless the loss reads them.
    pub distance: &'a [f32],
    /// The grid of a sample, if it is known.
    pub grid: Option<crate::PatchGrid>,
    /// The tool whose values are asked for.
    pub compatibility: Option<Compatibility>,
}

impl Field<'_> {
    /// Where the plane of a sample and class lies.
    pub fn plane(&self, sample: usize, class: usize) -> std::ops::Range<usize> {
        let start = (sample * self.classes + class) * self.elements;
        start..start + self.elements
    }

    /// Weights of one sample.
    pub fn sample_weights(&self, sample: usize) -> &[f64] {
        &self.weights[sample * self.elements..][..self.elements]
    }
}

/// Derivatives by the planes of a [`Field`], 0 at first.
#[derive(Debug)]
pub struct FieldSlopes<'a> {
    /// By `p`.
    pub p: &'a mut [f64],
    /// By `log p`; empty unless [`FieldLoss::reads_log_p`].
    pub log_p: &'a mut [f64],
}

/// A loss of all probabilities at once.
pub trait FieldLoss: Send + Sync {
    /// The same loss for the vector kernels, if it is one of own probabilities.
    fn own(&self) -> Option<&dyn OwnLoss> {
        None
    }

    /// Whether [`Field::log_p`] is wanted.
    fn reads_log_p(&self) -> bool {
        false
    }

    /// The loss, and its derivatives added to `slopes`. Both are finite.
    /// Unlike an [`ElementLoss`], it applies the weights itself.
    fn evaluate(&self, field: &Field, slopes: &mut FieldSlopes) -> f64;
}
