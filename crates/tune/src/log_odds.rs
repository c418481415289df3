//! How sure predictions were, counted: all that the fit of a temperature reads.
//!
//! The negative log likelihood (NLL) of a voxel of class y with probabilities p, tempered
//! by T, is log sum_c exp((log p_c - log p_y) / T). Only the log odds log p_c - log p_y
//! enter, in any order, and nearly all voxels share a few of them. So they are rounded to
//! 1/32, sorted and counted; subjects are added one at a time, for any number of classes.
//!
//! A log odds is thereby off by at most 1/64, the NLL of a voxel by at most 1/(64 T). The
//! errors are as often up as down: in the mean over voxels what is left is of second
//! order, f'' / 2 times the variance 1/12 (1/32)^2, at most 1.1e-5 / T^2.

use std::collections::HashMap;

use crate::TuneError;
use crate::error::check_probability;

/// Probabilities count as at least this, at most 1 less this, before their log.
pub const CLIP: f32 = 1e-7;

/// Steps of log odds per unit.
const STEPS: f64 = 32.0;
/// Bits of a rounded log odds, which is within 32 log(1e7) = 516 of 0.
const BITS: u32 = 11;
/// Added to it, so that it is above 0.
const SHIFT: i32 = 1 << (BITS - 1);
/// Most exclusive classes: one log odds less fits into 128 bits.
pub const MOST_CLASSES: usize = 12;

/// Counts of voxels by the log odds of the other classes against the true one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogOdds {
    /// Voxels by their rounded log odds, packed into one number.
    cells: HashMap<u128, u64>,
}

impl LogOdds {
    /// Adds the voxels of a subject with exclusive classes: one probability map per class,
    /// background first, and the reference labels. Voxels outside of the mask are left
    /// out; without one, those where the background has probability 1 and all else 0,
    /// which is what predictions hold outside of the mask.
    ///
    /// # Errors
    /// [`TuneError::Classes`], [`TuneError::Length`], [`TuneError::Probability`],
    /// [`TuneError::Label`]; what was counted before is kept, of this subject some may be.
    pub fn add_classes(
        &mut self,
        probabilities: &[&[f32]],
        reference: &[u8],
        mask: Option<&[bool]>,
    ) -> Result<(), TuneError> {
        let classes = probabilities.len();
        if !(2..=MOST_CLASSES).contains(&classes) {
            return Err(TuneError::Classes {
                found: classes,
                most: MOST_CLASSES,
            });
        }
        let voxels = probabilities[0].len();
        for map in probabilities {
            check_length("next probability map", map.len(), voxels)?;
        }
        check_length("reference", reference.len(), voxels)?;
        check_length("mask", mask.map_or(voxels, <[bool]>::len), voxels)?;
        let mut voxel = vec![0.0; classes];
        for (at, label) in reference.iter().enumerate() {
            if mask.is_some_and(|mask| !mask[at]) {
                continue;
            }
            if usize::from(*label) >= classes {
                return Err(TuneError::Label {
                    at,
                    label: *label,
                    classes,
                });
            }
            for (p, map) in voxel.iter_mut().zip(probabilities) {
                *p = map[at];
                check_probability(at, *p)?;
            }
            if mask.is_some() || !is_unpredicted(&voxel) {
                self.count(&voxel, usize::from(*label));
            }
        }
        Ok(())
    }

    /// Adds the voxels of a subject and a region: its probability map, and where the
    /// reference has it. All regions of a run are added to one count. Voxels outside of
    /// the mask are left out; without one, those of probability 0.
    ///
    /// # Errors
    /// As [`Self::add_classes`].
    pub fn add_region(
        &mut self,
        probability: &[f32],
        reference: &[bool],
        mask: Option<&[bool]>,
    ) -> Result<(), TuneError> {
        let voxels = probability.len();
        check_length("reference", reference.len(), voxels)?;
        check_length("mask", mask.map_or(voxels, <[bool]>::len), voxels)?;
        for (at, (p, inside)) in probability.iter().zip(reference).enumerate() {
            if mask.is_some_and(|mask| !mask[at]) {
                continue;
            }
            check_probability(at, *p)?;
            let voxel = [1.0 - *p, *p];
            if mask.is_some() || !is_unpredicted(&voxel) {
                self.count(&voxel, usize::from(*inside));
            }
        }
        Ok(())
    }

    /// Adds what another count holds.
    pub fn merge(&mut self, other: &Self) {
        for (key, voxels) in &other.cells {
            *self.cells.entry(*key).or_default() += voxels;
        }
    }

    /// Voxels counted.
    pub fn voxels(&self) -> u64 {
        self.cells.values().sum()
    }

    fn count(&mut self, voxel: &[f32], label: usize) {
        let log = |p: f32| f64::from(p.clamp(CLIP, 1.0 - CLIP)).ln();
        let own = log(voxel[label]);
        let mut steps = [0u32; MOST_CLASSES - 1];
        let others = (0..voxel.len()).filter(|class| *class != label);
        for (step, class) in steps.iter_mut().zip(others) {
            let rounded = ((log(voxel[class]) - own) * STEPS).round() as i32;
            *step = (rounded + SHIFT) as u32;
        }
        steps.sort_unstable();
        // Those that are not used are 0, which no log odds is.
        let key = steps
            .iter()
            .fold(0u128, |key, step| key << BITS | u128::from(*step));
        *self.cells.entry(key).or_default() += 1;
    }

    /// The counts in an order that does not depend on how they were added.
    pub(crate) fn sorted(&self) -> Vec<(Vec<f64>, u64)> {
        let mut cells: Vec<(u128, u64)> = self.cells.iter().map(|(k, v)| (*k, *v)).collect();
        cells.sort_unstable();
        let of = |(key, voxels): (u128, u64)| (odds(key), voxels);
        cells.into_iter().map(of).collect()
    }
}

/// The log odds of a key.
fn odds(mut key: u128) -> Vec<f64> {
    let mut odds = Vec::new();
    while key > 0 {
        let step = (key & ((1 << BITS) - 1)) as i32;
        odds.push(f64::from(step - SHIFT) / STEPS);
        key >>= BITS;
    }
    odds
}

/// Mean NLL of the counts at a temperature.
pub(crate) fn mean_nll(cells: &[(Vec<f64>, u64)], temperature: f64) -> f64 {
    let (mut sum, mut voxels) = (0.0, 0);
    for (odds, count) in cells {
        // The true class is one of the terms, exp(0).
        let most = odds.iter().fold(0.0, |a: f64, b| a.max(*b)) / temperature;
        let others = odds.iter().map(|o| (o / temperature - most).exp());
        sum += *count as f64 * (most + ((-most).exp() + others.sum::<f64>()).ln());
        voxels += count;
    }
    sum / voxels as f64
}

/// Whether nothing was predicted: the background, which goes first, has just 1 and all
/// else 0, as is written outside of the mask. What a network says is not as sure of it.
pub(crate) fn is_unpredicted(voxel: &[f32]) -> bool {
    voxel[0] == 1.0 && voxel[1..].iter().all(|p| *p == 0.0)
}

pub(crate) fn check_length(
    volume: &'static str,
    found: usize,
    expected: usize,
) -> Result<(), TuneError> {
    match found == expected {
        true => Ok(()),
        false => Err(TuneError::Length {
            volume,
            found,
            expected,
        }),
    }
}
