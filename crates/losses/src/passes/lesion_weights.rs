//! Voxel weights by which every lesion, and the background, weighs the same.

use super::reference::Truth;
use crate::{Input, Options, Real};

/// `[batch, elements]`: voxel weights times those of the lesions' sizes, pooled
/// as the reduction says.
pub(super) fn lesion_weights<F: Real>(options: &Options, input: &Input<F>) -> Vec<f32> {
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
            shape: lacuna_volume::Zyx([1, 1, 10]),
            spacing: lacuna_volume::Zyx([1.0; 3]),
        });
        input.maps.lesion = Some(&lesion);
        let weights = lesion_weights(&Options::default(), &input);
        let third = 10.0 / 3.0;
        assert!((weights[2] - third).abs() < 1e-6);
        assert!((weights[6] - third / 3.0).abs() < 1e-6);
        assert!((weights[0] - third / 6.0).abs() < 1e-6);
    }
}
