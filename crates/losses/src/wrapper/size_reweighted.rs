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

use crate::loss::{Form, Honours, Loss, Reads};
use crate::reference::Truth;
use crate::{Input, LossError, NamedLoss, Options, Real};
use serde::{Deserialize, Serialize};

/// A loss with voxel weights from the sizes of the lesions; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SizeReweighted {
    /// The loss that the weights are for; one that honours voxel weights.
    pub loss: Box<NamedLoss>,
}

impl SizeReweighted {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "size-reweighted";
}

impl Default for SizeReweighted {
    /// Of cross-entropy, as in the paper.
    fn default() -> Self {
        Self {
            loss: Box::new(NamedLoss::CrossEntropy(Default::default())),
        }
    }
}

impl Loss for SizeReweighted {
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
        Form::SizeReweighted(self)
    }
}

/// `[batch, elements]`: voxel weights times those of the lesions' sizes, pooled
/// as the reduction says.
pub(crate) fn lesion_weights<F: Real>(options: &Options, input: &Input<F>) -> Vec<f32> {
    let elements = input.layout.elements;
    let batch = input.layout.batch;
    let truth = Truth::new(input, options);
    let lesion = input.maps.lesion.expect("made when it is not given");
    let mut weights = vec![0.0_f32; batch * elements];
    for samples in options.groups(batch) {
        let component =
            |sample: usize, element: usize| (sample, lesion[sample * elements + element]);
        let mut sizes = std::collections::BTreeMap::new();
        let mut total = 0.0;
        for sample in samples.clone() {
            for element in 0..elements {
                let weight = truth.weight(sample, element);
                if weight > 0.0 {
                    *sizes.entry(component(sample, element)).or_insert(0.0) += weight;
                    total += weight;
                }
            }
        }
        let share = total / sizes.len() as f64;
        for sample in samples {
            for element in 0..elements {
                let weight = truth.weight(sample, element);
                if weight > 0.0 {
                    let size: f64 = sizes[&component(sample, element)];
                    weights[sample * elements + element] = (weight * share / size) as f32;
                }
            }
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, PatchGrid};

    /// A row: six background, a lesion of one, a lesion of three.
    #[test]
    fn every_component_has_the_same_weight() {
        let labels = [0, 0, 1, 0, 0, 1, 1, 1, 0, 0];
        let layout = Layout {
            batch: 1,
            classes: 2,
            elements: 10,
        };
        let logits = [0.0_f64; 20];
        let lesion = [0, 0, 1, 0, 0, 2, 2, 2, 0, 0];
        let mut input = Input::new(layout, &logits, &labels);
        input.grid = Some(PatchGrid {
            shape: [1, 1, 10],
            spacing: [1.0; 3],
        });
        input.maps.lesion = Some(&lesion);
        let weights = lesion_weights(&Options::default(), &input);
        let third = 10.0 / 3.0;
        assert!((weights[2] - third).abs() < 1e-6);
        assert!((weights[6] - third / 3.0).abs() < 1e-6);
        assert!((weights[0] - third / 6.0).abs() < 1e-6);
    }
}
