//! What a loss is to this crate.
//!
//! Most losses are functions of a few sums ([`StatisticsLoss`]): they cost two
//! passes over the batch whatever they do with the sums. Others are a mean over
//! elements ([`ElementLoss`]), one pass; or need all probabilities at once, to
//! sort them or to look at neighbours ([`FieldLoss`]). A loss says what it is as
//! a [`Form`], which the passes compute.

mod element;
mod field;
mod own;
mod statistics;

pub use element::{Element, ElementLoss, ElementSlopes, Volumes};
pub use field::{Field, FieldLoss, FieldSlopes};
pub(crate) use own::product_sum;
pub use own::{Own, OwnLoss};
pub use statistics::{Needs, StatisticsLoss};

use crate::LossError;
use crate::factor::Factor;

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
    /// As a whole and once more for each lesion, over the elements of its sample
    /// but those of other lesions: `whole L + each mean_k L_k`.
    PerLesion {
        /// `L`, a loss of sums over the elements.
        inner: Box<Form<'a>>,
        /// Factor of the loss of all elements.
        whole: f64,
        /// Factor of the mean over the lesions.
        each: f64,
    },
    /// With voxel weights by which every lesion weighs the same, whatever its size.
    LesionsAlike(Box<Form<'a>>),
}

impl Form<'_> {
    /// Whether it is a function of sums over the elements, or a sum of such.
    pub(crate) fn is_of_sums(&self) -> bool {
        match self {
            Self::Statistics(_) => true,
            Self::Sum(terms) => terms.iter().all(|(_, term)| term.is_of_sums()),
            _ => false,
        }
    }
}
