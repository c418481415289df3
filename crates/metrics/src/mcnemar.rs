//! Two methods on the same yes-or-no questions, as whether a lesion is found.

/// The two-sided p-value of McNemar's test (McNemar 1947) in its exact form, a sign test:
/// of the questions that only one method answers with yes, each is as likely the first's
/// as the second's. Twice the smaller tail of the binomial distribution of
/// `only_first + only_second` draws of 1/2, at most 1; 1 where there are none. It is
/// `scipy.stats.binomtest(only_first, only_first + only_second).pvalue`.
///
/// It takes the questions as independent. Lesions of one subject are not, so that the
/// value is likely too small.
pub fn mcnemar(only_first: usize, only_second: usize) -> f64 {
    let all = only_first + only_second;
    let least = only_first.min(only_second);
    if 2 * least == all {
        return 1.0;
    }
    // Logarithms, as 2^-all is below the smallest number from 1075 draws on.
    let log_factorial = |n: usize| libm::lgamma(n as f64 + 1.0);
    let constant = log_factorial(all) - all as f64 * std::f64::consts::LN_2;
    let tail: f64 = (0..=least)
        .map(|k| (constant - log_factorial(k) - log_factorial(all - k)).exp())
        .sum();
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::mcnemar;

    #[test]
    fn by_hand() {
        // 6 of 6: 2 / 64. 1 of 5: 2 (1 + 5) / 32. 1 and 1, and none: 1.
        for (counts, p) in [
            ([0, 6], 0.03125),
            ([1, 4], 0.375),
            ([1, 1], 1.0),
            ([0, 0], 1.0),
            ([0, 1], 1.0),
        ] {
            let [a, b] = counts;
            assert!((mcnemar(a, b) - p).abs() < 1e-14, "{counts:?}");
            assert_eq!(mcnemar(a, b), mcnemar(b, a));
        }
    }
}
