//! Boundary loss (Kervadec et al., MIDL 2019):
//!
//! `BL = (1 / (N |K|)) sum_n w_n sum_{c in K} p_cn phi_cn`
//!
//! with `phi` the signed distance in mm to the boundary of the class in the
//! reference, negative inside ([`signed_distance`](crate::maps::signed_distance)).
//! It is smallest, and then negative, where exactly the class is predicted:
//! `-(1 / (N |K|)) sum |phi|` over the inside. Meant as one term of a sum whose
//! factor grows over the training.

use crate::loss::{Element, ElementLoss, ElementSlopes, Form, Loss, Reads, Volumes};
use crate::options::ClassSubset;
use crate::{Compatibility, LossError};
use serde::{Deserialize, Serialize};

/// The boundary loss; see [the module](self).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Boundary {
    /// Over which classes the mean runs.
    pub classes: ClassSubset,
}

impl Boundary {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "boundary";
}

impl Default for Boundary {
    /// The foreground.
    fn default() -> Self {
        Self {
            classes: ClassSubset::Foreground,
        }
    }
}

impl Loss for Boundary {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        self.classes.check(Self::NAME, classes)
    }

    fn reads(&self) -> Reads {
        Reads {
            distance: true,
            ..Reads::default()
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Elements(self)
    }
}

impl ElementLoss for Boundary {
    /// Per class `1 / (N |K|)`, or 0 outside the subset.
    fn factors(&self, volumes: &Volumes, _compatibility: Option<Compatibility>) -> Vec<f64> {
        let mut factors = vec![0.0; volumes.volume.len()];
        let members = self.classes.members(factors.len(), volumes.overlapping);
        let divisor = volumes.elements.max(f64::MIN_POSITIVE) * members.len() as f64;
        for c in members {
            factors[c] = 1.0 / divisor;
        }
        factors
    }

    #[inline]
    fn element(&self, factors: &[f64], element: &Element, slopes: &mut ElementSlopes) -> f64 {
        let mut value = 0.0;
        for (c, factor) in factors.iter().enumerate() {
            let slope = factor * f64::from(element.distance[c]);
            slopes.p[c] += slope;
            value += slope * element.p[c];
        }
        value
    }
}
