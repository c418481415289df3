//! Deep supervision: the same loss on outputs of several resolutions,
//!
//! `L = sum_i w_i L(z_i, r_i) / sum_i w_i`
//!
//! (Lee et al., AISTATS 2015; the halving weights `2^-i` are those of Isensee et
//! al., Nature Methods 2021). References of coarse outputs are made by
//! [`coarser_labels`], which keeps lesions that the nearest neighbour loses.

use crate::{Evaluation, Input, Loss, LossError, Options, Real, value_and_gradient};
use lacuna_volume::Zyx;

/// One output of a network, and where its gradient goes.
pub struct Level<'a, F> {
    /// The output and its reference.
    pub input: Input<'a, F>,
    /// `[batch, classes, elements]` of this level.
    pub gradient: &'a mut [F],
}

/// Weights of the outputs, finest first.
#[derive(Clone, Debug, PartialEq)]
pub struct DeepSupervision {
    weights: Vec<f64>,
}

impl DeepSupervision {
    /// These weights, divided by their sum.
    ///
    /// # Errors
    /// When there is none, one is negative or not finite, or all are 0.
    pub fn new(weights: &[f64]) -> Result<Self, LossError> {
        let total: f64 = weights.iter().sum();
        let sound = weights.iter().all(|w| w.is_finite() && *w >= 0.0);
        if !sound || total.is_nan() || total <= 0.0 {
            return Err(LossError::OptionValue {
                loss: "deep supervision",
                option: "weights",
                found: format!("{weights:?}"),
                expected: "one number of at least 0 per output, not all 0".into(),
            });
        }
        let weights = weights.iter().map(|w| w / total).collect();
        Ok(Self { weights })
    }

    /// Half the weight at each coarser output.
    ///
    /// # Errors
    /// When there is no output.
    pub fn halving(outputs: usize) -> Result<Self, LossError> {
        let weights: Vec<f64> = (0..outputs).map(|i| 0.5_f64.powi(i as i32)).collect();
        Self::new(&weights)
    }

    /// Weights of the outputs; they add up to 1.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The weighted mean of the losses, and the gradient of each output. Beside
    /// the value it has the counts of the finest output.
    ///
    /// # Errors
    /// Those of [`value_and_gradient`], and when there are not as many outputs
    /// as weights.
    pub fn value_and_gradient<F: Real>(
        &self,
        loss: &dyn Loss,
        options: &Options,
        levels: &mut [Level<F>],
    ) -> Result<Evaluation, LossError> {
        if levels.len() != self.weights.len() {
            return Err(LossError::OptionValue {
                loss: "deep supervision",
                option: "weights",
                found: format!("{} of them", self.weights.len()),
                expected: format!("{}, one per output", levels.len()),
            });
        }
        let mut total: Option<Evaluation> = None;
        for (weight, level) in self.weights.iter().zip(levels) {
            let mut part = value_and_gradient(loss, options, &level.input, level.gradient)?;
            for slope in level.gradient.iter_mut() {
                *slope = F::from_f64(weight * slope.to_f64());
            }
            part.value *= weight;
            part.values.iter_mut().for_each(|value| *value *= weight);
            match &mut total {
                None => total = Some(part),
                Some(total) => {
                    total.value += part.value;
                    for (value, part) in total.values.iter_mut().zip(part.values) {
                        *value += part;
                    }
                }
            }
        }
        Ok(total.expect("there is a weight, so there is an output"))
    }
}

/// Labels of a grid whose axes are divided by `factors` (rounded up). Of the labels in a block the one that is rarest in the whole
/// wins, so a lesion of one voxel is still there on the coarsest grid; the
/// nearest neighbour keeps it with probability one in the block's size.
///
/// # Panics
/// When the labels do not fit the shape, or a factor is 0.
pub fn coarser_labels(labels: &[u8], shape: Zyx<usize>, factors: Zyx<usize>) -> Vec<u8> {
    let (Zyx(shape), Zyx(factors)) = (shape, factors);
    assert_eq!(labels.len(), shape.iter().product::<usize>(), "labels");
    let mut volume = [0_u64; 256];
    for &label in labels {
        volume[usize::from(label)] += 1;
    }
    let coarse = [0, 1, 2].map(|axis| shape[axis].div_ceil(factors[axis]));
    let mut result: Vec<Option<u8>> = vec![None; coarse.iter().product()];
    let mut fine = labels.iter();
    for z in 0..shape[0] {
        for y in 0..shape[1] {
            for x in 0..shape[2] {
                let label = *fine.next().expect("as many as the shape holds");
                let row = z / factors[0] * coarse[1] + y / factors[1];
                let block = &mut result[row * coarse[2] + x / factors[2]];
                let rarer = |held: u8| volume[usize::from(label)] < volume[usize::from(held)];
                if block.is_none_or(rarer) {
                    *block = Some(label);
                }
            }
        }
    }
    result.into_iter().map(|label| label.unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, LossConfig};

    #[test]
    fn a_lesion_of_one_voxel_survives_every_level() {
        let mut labels = vec![0; 8 * 8 * 8];
        labels[3 * 64 + 5 * 8 + 6] = 1;
        let half = coarser_labels(&labels, Zyx([8; 3]), Zyx([2; 3]));
        assert_eq!(half.iter().sum::<u8>(), 1);
        assert_eq!(half[16 + 2 * 4 + 3], 1);
        assert_eq!(coarser_labels(&half, Zyx([4; 3]), Zyx([4; 3])), [1]);
        let along_x = coarser_labels(&[0, 1, 0], Zyx([1, 1, 3]), Zyx([1, 1, 2]));
        assert_eq!(along_x, [1, 0]);
    }

    /// Two outputs by hand: the mean of their losses weighted 2 to 1.
    #[test]
    fn levels_are_weighted_and_so_are_their_gradients() {
        let config = LossConfig::default();
        let layouts = [4, 2].map(|elements| Layout {
            batch: 1,
            classes: 2,
            elements,
        });
        let logits = [
            vec![0.5, -1.0, 0.25, 2.0, 0.0, 0.0, 1.0, -1.0],
            vec![0.1, 0.2, 0.3, 0.4],
        ];
        let labels = [vec![0, 1, 1, 0], vec![1, 0]];
        let mut alone = Vec::new();
        for i in 0..2 {
            let mut gradient = vec![0.0; logits[i].len()];
            let input = Input::new(layouts[i], &logits[i], &labels[i]);
            let evaluation = config.value_and_gradient(&input, &mut gradient).unwrap();
            alone.push((evaluation.value, gradient));
        }
        let mut gradients = [vec![0.0; 8], vec![0.0; 4]];
        let [fine, coarse] = &mut gradients;
        let mut levels = [
            Level {
                input: Input::new(layouts[0], &logits[0], &labels[0]),
                gradient: fine,
            },
            Level {
                input: Input::new(layouts[1], &logits[1], &labels[1]),
                gradient: coarse,
            },
        ];
        let both = DeepSupervision::halving(2).unwrap();
        let evaluation = both
            .value_and_gradient(&config.named, &config.options, &mut levels)
            .unwrap();
        let expected = (2.0 * alone[0].0 + alone[1].0) / 3.0;
        assert!((evaluation.value - expected).abs() < 1e-15);
        for (found, (_, alone)) in gradients.iter().zip(&alone) {
            let weight: f64 = if alone.len() == 8 {
                2.0 / 3.0
            } else {
                1.0 / 3.0
            };
            for (found, alone) in found.iter().zip(alone) {
                assert!((found - weight * alone).abs() < 1e-15);
            }
        }
        assert!(DeepSupervision::new(&[0.0, 0.0]).is_err());
        assert!(DeepSupervision::halving(0).is_err());
    }
}
