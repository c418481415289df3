//! Two methods on the same subjects.
//!
//! [`SignedRank`] is Wilcoxon's signed-rank test (Wilcoxon 1945), two-sided.
//! Differences of exactly zero are dropped, as Wilcoxon did; equal absolute
//! differences share the mean of their ranks. Up to [`EXACT_PAIRS`] pairs the
//! p-value is exact: all assignments of signs to the ranks found, shared ranks
//! included, are equally likely. Beyond, it is the normal approximation with
//! corrections for ties and for continuity. These are the values of
//! `scipy.stats.wilcoxon` with `method="exact"` (without ties),
//! `PermutationMethod()` over all assignments (with ties) and
//! `method="asymptotic", correction=True`.
//!
//! The exact distribution is kept with ties because the approximation can go
//! below [`smallest_p`] there: five equal differences give 0.037, not 0.0625.

use crate::{Bootstrap, Distribution, MetricsError};
use serde::{Deserialize, Serialize};

/// Most pairs whose p-value is exact.
const EXACT_PAIRS: usize = 25;

/// Wilcoxon's signed-rank test, two-sided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignedRank {
    /// Pairs that differ; the test sees no others.
    pub pairs: usize,
    /// Sum of the ranks of the positive differences.
    pub positive_ranks: f64,
    /// Sum of the ranks of the negative differences.
    pub negative_ranks: f64,
    /// Two-sided p-value; 1 if no pair differs.
    pub p: f64,
    /// Smallest p-value that so many pairs can have, see [`smallest_p`].
    pub smallest_p: f64,
    /// Whether `p` is exact or the normal approximation.
    pub exact: bool,
}

impl SignedRank {
    /// Tests whether the differences, one per subject, are symmetric about zero.
    ///
    /// # Errors
    /// When one is not finite.
    pub fn of(differences: &[f64]) -> Result<Self, MetricsError> {
        if let Some(subject) = differences.iter().position(|d| !d.is_finite()) {
            let found = differences[subject];
            return Err(MetricsError::Difference { subject, found });
        }
        let mut nonzero: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
        nonzero.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
        let ranks = doubled_ranks(&nonzero);
        let sum_of = |positive: bool| -> usize {
            let ranked = nonzero.iter().zip(&ranks);
            let counted = ranked.filter(|(d, _)| (**d > 0.0) == positive);
            counted.map(|(_, rank)| rank).sum()
        };
        let (positive, negative) = (sum_of(true), sum_of(false));
        let pairs = nonzero.len();
        let exact = pairs <= EXACT_PAIRS;
        let p = if exact {
            exact_p(&ranks, positive.min(negative))
        } else {
            normal_p(&ranks, positive)
        };
        Ok(Self {
            pairs,
            positive_ranks: positive as f64 / 2.0,
            negative_ranks: negative as f64 / 2.0,
            p,
            smallest_p: smallest_p(pairs),
            exact,
        })
    }
}

/// Smallest two-sided p-value of the exact signed-rank test of `pairs` pairs that
/// differ, min(1, 2 / 2^pairs): five pairs cannot reach 0.05, whatever they are.
/// Of `m` tests under Holm's correction at least one must reach `alpha / m`.
pub fn smallest_p(pairs: usize) -> f64 {
    (2.0 * 0.5f64.powf(pairs as f64)).min(1.0)
}

/// Twice the rank of each value (equal ones share their mean rank), so that all
/// are whole numbers. The values are ascending in magnitude.
fn doubled_ranks(ascending: &[f64]) -> Vec<usize> {
    let mut ranks = Vec::with_capacity(ascending.len());
    for tied in ascending.chunk_by(|a, b| a.abs() == b.abs()) {
        let below = ranks.len();
        // Twice the mean of below + 1 ..= below + n.
        ranks.resize(below + tied.len(), 2 * below + tied.len() + 1);
    }
    ranks
}

/// Twice the share of the 2^n assignments of signs whose positive doubled ranks
/// sum to `least` at most.
fn exact_p(ranks: &[usize], least: usize) -> f64 {
    let total: usize = ranks.iter().sum();
    let mut assignments = vec![0u64; total + 1];
    assignments[0] = 1;
    let mut reached = 0;
    for &rank in ranks {
        reached += rank;
        for sum in (rank..=reached).rev() {
            assignments[sum] += assignments[sum - rank];
        }
    }
    let tail: u64 = assignments[..=least].iter().sum();
    (2.0 * tail as f64 / (1u64 << ranks.len()) as f64).min(1.0)
}

/// Two-sided p-value of the normal distribution with the mean and variance of
/// the sum of positive ranks, half a rank nearer to the mean. The variance is
/// a quarter of the sum of squared ranks, which holds with shared ranks too: it
/// is n (n + 1) (2 n + 1) / 24 less the sum of (t^3 - t) / 48 over ties of t.
fn normal_p(ranks: &[usize], positive: usize) -> f64 {
    let total: usize = ranks.iter().sum();
    let squares: usize = ranks.iter().map(|r| r * r).sum();
    let deviation = (squares as f64).sqrt() / 4.0;
    let distance = (positive as f64 / 2.0 - total as f64 / 4.0).abs();
    let z = (distance - 0.5).max(0.0) / deviation;
    libm::erfc(z / std::f64::consts::SQRT_2)
}

/// Holm's step-down adjustment (Holm 1979) of the p-values of a family, in the
/// order given: the k-th smallest of m is multiplied by m - k + 1, none is below
/// a smaller one's, none above 1. Those at most `alpha` are significant with
/// the chance of any false one at most `alpha`.
///
/// # Errors
/// When a value is no probability.
pub fn holm(p: &[f64]) -> Result<Vec<f64>, MetricsError> {
    if let Some(at) = p.iter().position(|p| !(0.0..=1.0).contains(p)) {
        return Err(MetricsError::Probability { at, found: p[at] });
    }
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest = 0.0f64;
    for (place, &test) in order.iter().enumerate() {
        let left = (p.len() - place) as f64;
        largest = largest.max((left * p[test]).min(1.0));
        adjusted[test] = largest;
    }
    Ok(adjusted)
}

/// Two methods compared on the same subjects.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// First minus second method, with the bootstrap interval of its mean.
    pub difference: Distribution,
    /// Whether the difference is more than chance.
    pub test: SignedRank,
}

impl Comparison {
    /// Compares one value per subject of each method, subjects in the same order.
    ///
    /// # Errors
    /// When there are no subjects, not as many of both methods, a difference is
    /// not finite, or the bootstrap cannot be drawn.
    pub fn of(first: &[f64], second: &[f64], bootstrap: &Bootstrap) -> Result<Self, MetricsError> {
        if first.len() != second.len() {
            return Err(MetricsError::Unpaired {
                first: first.len(),
                second: second.len(),
            });
        }
        let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
        Ok(Self {
            test: SignedRank::of(&differences)?,
            difference: Distribution::of(&differences, bootstrap)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_pairs_by_hand() {
        // Ranks 1, 2, 3; the negative one has rank 1. Sums of 1 at most: {} and
        // {1}, 2 of 8 assignments, both sides 4 of 8.
        let test = SignedRank::of(&[0.3, -0.1, 0.2, 0.0]).unwrap();
        assert_eq!((test.pairs, test.exact), (3, true));
        assert_eq!((test.positive_ranks, test.negative_ranks), (5.0, 1.0));
        assert_eq!((test.p, test.smallest_p), (0.5, 0.25));
    }

    #[test]
    fn equal_differences_share_their_mean_rank() {
        // Ranks 1, 2.5, 2.5: sums of 2.5 at most are {}, {1} and each 2.5: 4 of 8.
        let test = SignedRank::of(&[0.5, -0.5, 0.25]).unwrap();
        assert_eq!((test.positive_ranks, test.negative_ranks), (3.5, 2.5));
        assert_eq!(test.p, 1.0);
        // Five equal ones: 1 of 32, both sides 2 of 32.
        let test = SignedRank::of(&[0.5; 5]).unwrap();
        assert_eq!((test.p, test.smallest_p), (0.0625, 0.0625));
    }

    #[test]
    fn nothing_differs() {
        for differences in [&[0.0, 0.0, -0.0][..], &[]] {
            let test = SignedRank::of(differences).unwrap();
            assert_eq!((test.pairs, test.p, test.smallest_p), (0, 1.0, 1.0));
        }
    }

    #[test]
    fn five_pairs_cannot_reach_a_twentieth() {
        let found = [0, 1, 2, 5, 6].map(smallest_p);
        assert_eq!(found, [1.0, 1.0, 0.5, 0.0625, 0.03125]);
    }

    #[test]
    fn holm_by_hand() {
        // 4 x 0.01, 3 x 0.01 raised to 0.04, 2 x 0.03, 1 x 0.04 raised to 0.06.
        let adjusted = holm(&[0.03, 0.01, 0.04, 0.01]).unwrap();
        assert_eq!(adjusted, [0.06, 0.04, 0.06, 0.04]);
        assert_eq!(holm(&[0.4, 0.9]).unwrap(), [0.8, 0.9]);
        assert_eq!(holm(&[0.9, 0.6]).unwrap(), [1.0, 1.0]);
        assert_eq!(holm(&[]).unwrap(), [0.0; 0]);
    }

    #[test]
    fn a_comparison_has_the_difference_and_the_test() {
        let (first, second) = ([0.5, 0.75, 1.0, 0.25], [0.25, 0.5, 0.25, 0.25]);
        let found = Comparison::of(&first, &second, &Bootstrap::default()).unwrap();
        assert_eq!(
            (found.difference.subjects, found.difference.mean),
            (4, 0.3125)
        );
        assert_eq!((found.test.pairs, found.test.p), (3, 0.25));
        let alone = Distribution::of(&[0.25, 0.25, 0.75, 0.0], &Bootstrap::default()).unwrap();
        assert_eq!(found.difference, alone);
    }

    #[test]
    fn input_without_meaning_is_refused() {
        let bootstrap = Bootstrap::default();
        let error = Comparison::of(&[1.0], &[], &bootstrap).unwrap_err();
        let MetricsError::Unpaired { first, second } = error else {
            panic!("{error}");
        };
        assert_eq!((first, second), (1, 0));
        let error = Comparison::of(&[1.0, f64::INFINITY], &[0.0, 1.0], &bootstrap).unwrap_err();
        assert!(matches!(error, MetricsError::Difference { subject: 1, .. }));
        assert!(matches!(
            Comparison::of(&[], &[], &bootstrap),
            Err(MetricsError::NoSubjects)
        ));
        for bad in [-0.1, 1.1, f64::NAN] {
            let error = holm(&[0.5, bad]).unwrap_err();
            assert!(matches!(error, MetricsError::Probability { at: 1, .. }));
        }
    }
}
