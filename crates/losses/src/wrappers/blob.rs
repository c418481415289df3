//! Blob loss (Kofler et al., *blob loss: instance imbalance aware loss functions
//! for semantic segmentation*, IPMI 2023):
//!
//! `L = a L_global + b (1/K) sum_k L_k`
//!
//! where `L_k` is the inner loss over the elements of the lesion's sample but
//! those of its other lesions, so a small lesion has a loss of its own beside
//! large ones. The domains overlap: what is falsely predicted in the background
//! counts in each. `L_global` is pooled as the reduction says, and the mean runs
//! over the lesions of all samples that are pooled.
//!
//! The inner loss is one of sums over the elements. The sums of a domain are
//! those of the background plus those of one lesion, so all K losses together
//! cost two passes. A sample without a lesion has one domain, all of it: false
//! positives cost there as much as elsewhere.

use crate::LossError;
use crate::equations::Dice;
use crate::loss::{Form, Honours, Loss, Reads};
use crate::options::check_number;
use serde::{Deserialize, Serialize};

/// The blob loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blob<L> {
    /// The inner loss; one that is a function of sums, or a sum of such.
    pub loss: Box<L>,
    /// `a`, at least 0.
    pub global_factor: f64,
    /// `b`, at least 0.
    pub lesion_factor: f64,
}

impl<L> Blob<L> {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "blob";
}

impl<L: From<Dice>> Default for Blob<L> {
    /// Of the Dice loss, with the paper's factors 2 and 1.
    fn default() -> Self {
        Self {
            loss: Box::new(Dice::default().into()),
            global_factor: 2.0,
            lesion_factor: 1.0,
        }
    }
}

impl<L: Loss> Loss for Blob<L> {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        for (option, factor) in [
            ("global_factor", self.global_factor),
            ("lesion_factor", self.lesion_factor),
        ] {
            check_number(Self::NAME, option, factor, [0.0, f64::INFINITY])?;
        }
        self.loss.check(classes)?;
        if !self.loss.form().is_of_sums() {
            return Err(LossError::OptionValue {
                loss: Self::NAME,
                option: "loss",
                found: self.loss.name().into(),
                expected: "a loss of sums over the elements, such as dice, tversky, \
                           generalised-dice or cross-entropy without label smoothing, or a sum \
                           of such"
                    .into(),
            });
        }
        Ok(())
    }

    fn honours(&self) -> Honours {
        Honours {
            monai: false,
            niftynet: false,
            ..self.loss.honours()
        }
    }

    fn reads(&self) -> Reads {
        Reads {
            lesion: true,
            ..Reads::default()
        }
    }

    fn form(&self) -> Form<'_> {
        Form::PerLesion {
            inner: Box::new(self.loss.form()),
            whole: self.global_factor,
            each: self.lesion_factor,
        }
    }
}
