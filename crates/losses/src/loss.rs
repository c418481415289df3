//! What a loss is to this crate.
//!
//! Most losses are functions of a few sums ([`StatisticsLoss`]): they cost two
//! passes over the batch whatever they do with the sums. Others are a mean over
//! elements ([`ElementLoss`]), one pass; or need all probabilities at once, to
//! sort them or to look at neighbours ([`FieldLoss`]).

use crate::wrapper::{Blob, Factor, SizeReweighted};
use crate::{Compatibility, LossError, Statistics, StatisticsGradient};

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

/// A run of elements with the probability of their own label; exclusive classes
/// and hard labels.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// Labels; anything where the weight is 0.
    pub labels: &'a [u8],
    /// `1 - p`, with its own relative precision.
    pub rest: &'a [f32],
    /// Weights; 0 where an element counts nowhere. All 1 where there are none.
    pub weights: Option<&'a [f32]>,
    /// What [`ElementLoss::factors`] or [`OwnLoss::rank`] gave.
    pub factors: &'a [f64],
}

impl Own<'_> {
    /// Weight of an element.
    #[inline]
    pub fn weight(&self, element: usize) -> f32 {
        self.weights.map_or(1.0, |weights| weights[element])
    }

    /// Writes each element's factor, that of its label times its weight. A label
    /// without one has 0.
    pub fn write_factors(&self, of_label: impl Fn(usize) -> f64, into: &mut [f32]) {
        let mut table = [0.0_f32; 256];
        for (label, factor) in table.iter_mut().enumerate() {
            *factor = of_label(label) as f32;
        }
        for (into, label) in into.iter_mut().zip(self.labels) {
            *into = table[usize::from(*label)];
        }
        if let Some(weights) = self.weights {
            into.iter_mut()
                .zip(weights)
                .for_each(|(into, weight)| *into *= weight);
        }
    }
}

/// `sum a b`, in f64 and in eight lanes, so that no addition waits for another.
pub(crate) fn product_sum(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [0.0_f64; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f64 = rest.map(|(a, b)| f64::from(a * b)).sum();
    for (a, b) in a.zip(b) {
        for lane in 0..LANES {
            lanes[lane] += f64::from(a[lane] * b[lane]);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// A loss that depends on every element's own probability only, as the vector
/// kernels take it: the same as its other form, faster.
pub trait OwnLoss: Send + Sync {
    /// The loss of a run of elements. `slopes` holds the `log p` and is
    /// overwritten with the derivatives by them, voxel weights included;
    /// `scratch` is as long and may be used.
    fn run(&self, own: &Own, slopes: &mut [f32], scratch: &mut [f32]) -> f64;

    /// Factor per class of a term `-sum_c k_c log p_c` that each element adds,
    /// times its weight: label smoothing.
    fn spread(&self, factors: &[f64]) -> Option<Vec<f32>> {
        let _ = factors;
        None
    }

    /// Constants of a region as of two classes, outside and inside, from those of
    /// all regions. Without, overlapping regions are computed in f64.
    fn region_factors(&self, factors: &[f64], class: usize) -> Option<Vec<f64>> {
        let _ = (factors, class);
        None
    }

    /// Whether [`OwnLoss::rank`] must see all `log p` before a run is evaluated.
    fn is_ranked(&self) -> bool {
        false
    }

    /// Constants from all `log p` of a group.
    fn rank(&self, log_p: &[f32], weights: Option<&[f32]>) -> Vec<f64> {
        let _ = (log_p, weights);
        Vec::new()
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
