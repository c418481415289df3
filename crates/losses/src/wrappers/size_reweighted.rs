//! Lesions weighted against their size (after Shirokikh et al., *Universal loss
//! reweighting to balance lesion size inequality in 3D medical image
//! segmentation*, MICCAI 2020):
//!
//! `w_n = N / ((K + 1) |C(n)|)`
//!
//! for an element n of connected component C(n), where the K lesions and the
//! background are the components (of a pooled batch, the background of each
//! sample) and sizes are counted in voxel weights: each component has the same
//! sum of weights, and all weights add up to N. The
//! weights multiply those of the voxel weight map, and the inner loss is
//! evaluated with them. With an overlap loss a voxel of a small lesion then
//! counts as much as the whole of a large one does.

use crate::LossError;
use crate::equations::CrossEntropy;
use crate::loss::{Form, Honours, Loss, Reads};
use serde::{Deserialize, Serialize};

/// A loss with voxel weights from the sizes of the lesions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SizeReweighted<L> {
    /// The loss that the weights are for; one that honours voxel weights.
    pub loss: Box<L>,
}

impl<L> SizeReweighted<L> {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "size-reweighted";
}

impl<L: From<CrossEntropy>> Default for SizeReweighted<L> {
    /// Of cross-entropy, as in the paper.
    fn default() -> Self {
        Self {
            loss: Box::new(CrossEntropy::default().into()),
        }
    }
}

impl<L: Loss> Loss for SizeReweighted<L> {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        if !self.loss.honours().weights {
            return Err(LossError::OptionValue {
                loss: Self::NAME,
                option: "loss",
                found: self.loss.name().into(),
                expected: "a loss that takes voxel weights, such as cross-entropy or dice".into(),
            });
        }
        self.loss.check(classes)
    }

    fn honours(&self) -> Honours {
        Honours {
            monai: false,
            niftynet: false,
            ..self.loss.honours()
        }
    }

    fn reads(&self) -> Reads {
        self.loss.reads().or(Reads {
            lesion: true,
            ..Reads::default()
        })
    }

    fn form(&self) -> Form<'_> {
        Form::LesionsAlike(Box::new(self.loss.form()))
    }
}
