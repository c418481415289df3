//! Two classes: the softmax is a logistic function of the difference of the
//! two logits, and the two gradients are each other's negative.

use crate::Real;
use crate::kernel::{LOG_FLOOR, Sums};
use crate::statistics::StatisticsGradient;

/// Sums over the elements of one label.
#[derive(Clone, Copy, Default)]
struct LabelSums {
    count: u64,
    /// Probability of the true class.
    own: f64,
    /// Probability of the other class.
    miss: f64,
    squared_miss: f64,
    log_own: f64,
}

/// First pass over one chunk: adds to `sums` and writes the probabilities.
/// `out` has one plane per class, like the logits.
pub(crate) fn add_sums<F: Real>(
    [background, foreground]: [&[F]; 2],
    labels: &[u8],
    [out_background, out_foreground]: [&mut [F]; 2],
    sums: &mut Sums,
) {
    let mut by_label = [LabelSums::default(); 2];
    let logits = background.iter().zip(foreground).zip(labels);
    let out = out_background.iter_mut().zip(out_foreground);
    for (((z0, z1), &label), (out0, out1)) in logits.zip(out) {
        let rise = z1.to_f64() - z0.to_f64();
        let predicted = rise > 0.0;
        // exp(-|rise|) never overflows, and neither probability is got by
        // subtraction from 1.
        let e = (-rise.abs()).exp();
        let large = 1.0 / (1.0 + e);
        let small = e * large;
        let (p0, p1) = if predicted {
            (small, large)
        } else {
            (large, small)
        };
        *out0 = F::from_f64(p0);
        *out1 = F::from_f64(p1);

        let reference = label == 1;
        let (own, miss) = if reference { (p1, p0) } else { (p0, p1) };
        let wrong_by = if reference { -rise } else { rise };
        let label_sums = &mut by_label[usize::from(reference)];
        label_sums.count += 1;
        label_sums.own += own;
        label_sums.miss += miss;
        label_sums.squared_miss += miss * miss;
        let log_own = -(wrong_by.max(0.0) + (1.0 + e).ln());
        label_sums.log_own += log_own.max(LOG_FLOOR);
        sums.count_foreground(reference, predicted);
    }

    let statistics = &mut sums.statistics;
    for (label, part) in by_label.iter().enumerate() {
        let (own, other) = (2 * label + label, 2 * label + 1 - label);
        statistics.count[label] += part.count;
        statistics.sum_p[own] += part.own;
        statistics.sum_p[other] += part.miss;
        statistics.squared_error[own] += part.squared_miss;
        statistics.squared_error[other] += part.squared_miss;
        statistics.sum_log_p[label] += part.log_own;
    }
}

/// Second pass over one chunk: probabilities to gradient, in place. With
/// `g_own - g_other = slope - curve * miss`, the gradient of the true class is
/// `miss (own (g_own - g_other) + e_l)`.
pub(crate) fn write_gradient<F: Real>(
    [background, foreground]: [&mut [F]; 2],
    labels: &[u8],
    derivatives: &StatisticsGradient,
) {
    let (a, b) = (&derivatives.sum_p, &derivatives.squared_error);
    let slope = [a[0] - a[1], a[3] - a[2]];
    let curve = [2.0 * (b[0] + b[1]), 2.0 * (b[3] + b[2])];
    let log_slope = [derivatives.sum_log_p[0], derivatives.sum_log_p[1]];

    let probabilities = background.iter_mut().zip(foreground);
    for ((v0, v1), &label) in probabilities.zip(labels) {
        let (p0, p1) = (v0.to_f64(), v1.to_f64());
        let reference = label == 1;
        let l = usize::from(reference);
        let (own, miss) = if reference { (p1, p0) } else { (p0, p1) };
        let by_own = miss * (own * (slope[l] - curve[l] * miss) + log_slope[l]);
        let by_foreground = if reference { by_own } else { -by_own };
        *v0 = F::from_f64(-by_foreground);
        *v1 = F::from_f64(by_foreground);
    }
}
