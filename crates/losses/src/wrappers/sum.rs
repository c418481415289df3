//! Weighted sum of losses:
//!
//! `L = sum_i f_i(t) L_i`
//!
//! with constant factors or such that move over the training (t: iteration), as
//! Kervadec et al. (MIDL 2019) bring in the boundary loss beside a region loss.
//! Terms that are functions of sums over the elements share their passes.

use crate::LossError;
use crate::equations::{CrossEntropy, Dice};
use crate::factor::Factor;
use crate::loss::{Form, Honours, Loss, Reads};
use serde::{Deserialize, Serialize};

/// One term of a [`Sum`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term<L> {
    /// What the loss is multiplied by.
    #[serde(default)]
    pub factor: Factor,
    /// The loss.
    pub loss: L,
}

/// A weighted sum of losses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sum<L> {
    /// The terms, at least one.
    pub terms: Vec<Term<L>>,
}

impl<L> Sum<L> {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "sum";
}

impl<L: From<Dice> + From<CrossEntropy>> Default for Sum<L> {
    /// Dice and cross-entropy, each with factor 1.
    fn default() -> Self {
        let term = |loss| Term {
            factor: Factor::default(),
            loss,
        };
        Self {
            terms: vec![
                term(Dice::default().into()),
                term(CrossEntropy::default().into()),
            ],
        }
    }
}

impl<L: Loss> Loss for Sum<L> {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        if self.terms.is_empty() {
            return Err(LossError::OptionValue {
                loss: Self::NAME,
                option: "terms",
                found: "[]".into(),
                expected: "at least one { factor = 1.0, loss = { name = ... } }".into(),
            });
        }
        for term in &self.terms {
            term.factor.check(Self::NAME, "factor")?;
            term.loss.check(classes)?;
        }
        Ok(())
    }

    fn honours(&self) -> Honours {
        let all = Honours {
            monai: true,
            niftynet: true,
            ..Honours::ALL
        };
        self.terms
            .iter()
            .fold(all, |all, term| all.and(term.loss.honours()))
    }

    fn reads(&self) -> Reads {
        self.terms
            .iter()
            .fold(Reads::default(), |all, term| all.or(term.loss.reads()))
    }

    fn form(&self) -> Form<'_> {
        let terms = self.terms.iter();
        Form::Sum(terms.map(|t| (t.factor, t.loss.form())).collect())
    }
}
