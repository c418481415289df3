//! Sums and gradients against their definitions in f64.

use super::*;
use crate::{Instructions, SumsWanted};

const ALL: SumsWanted = SumsWanted {
    squared_error: true,
    log_probability: true,
};

fn close(found: f64, expected: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(
        error <= 2e-6 * expected.abs(),
        "{what}: {found:e} for {expected:e}"
    );
}

#[test]
fn sums_and_gradients_are_those_of_the_equations() {
    let slopes = RegionSums {
        hit: -0.7,
        false_alarm: 0.4,
        squared_miss: 0.3,
        squared_false_alarm: 0.9,
        log_hit: -0.2,
        log_rejection: -0.6,
        ..RegionSums::default()
    };
    for count in [1, 7, 8, 16, 37, 600] {
        let wave = |i: usize, f: f32| (i as f32 * f).sin();
        let logits: Vec<f32> = (0..count).map(|i| 30.0 * wave(i, 0.9).powi(3)).collect();
        let shares: Vec<f32> = (0..count).map(|i| wave(i, 1.7).abs()).collect();
        let weights: Vec<f32> = (0..count).map(|i| wave(i, 2.3).max(0.0)).collect();
        let labels: Vec<u8> = (0..count).map(|i| (i % 3) as u8).collect();
        for inside in [Inside::Shares(&shares), Inside::Label(&labels, 2)] {
            for weights in [None, Some(weights.as_slice())] {
                let reference = RegionReference { inside, weights };
                let mut expected = RegionSums::default();
                let mut gradient = Vec::new();
                for i in 0..count {
                    let share = match inside {
                        Inside::Shares(shares) => f64::from(shares[i]),
                        Inside::Label(labels, label) => f64::from(u8::from(labels[i] == label)),
                    };
                    let weight = weights.map_or(1.0, |weights| f64::from(weights[i]));
                    let (r, o) = (weight * share, weight * (1.0 - share));
                    let z = f64::from(logits[i]);
                    let (p, q) = (1.0 / (1.0 + (-z).exp()), 1.0 / (1.0 + z.exp()));
                    let (log_p, log_q) = (-(-z).exp().ln_1p(), -z.exp().ln_1p());
                    expected.volume += r;
                    expected.share_square += r * share;
                    expected.hit += r * p;
                    expected.miss += r * q;
                    expected.false_alarm += o * p;
                    expected.squared_miss += r * q * q;
                    expected.squared_false_alarm += o * p * p;
                    expected.log_hit += r * log_p;
                    expected.log_rejection += o * log_q;
                    gradient.push(
                        r * p * q * (slopes.hit - 2.0 * slopes.squared_miss * q)
                            + o * p
                                * q
                                * (slopes.false_alarm + 2.0 * slopes.squared_false_alarm * p)
                            + r * slopes.log_hit * q
                            - o * slopes.log_rejection * p,
                    );
                }
                for instructions in Instructions::available() {
                    let mut plane = vec![0.0; count];
                    let sums = region_sums(instructions, &logits, reference, ALL, &mut plane);
                    for (found, expected, what) in [
                        (sums.volume, expected.volume, "volume"),
                        (sums.share_square, expected.share_square, "squares"),
                        (sums.hit, expected.hit, "hit"),
                        (sums.miss, expected.miss, "miss"),
                        (sums.false_alarm, expected.false_alarm, "false alarm"),
                        (sums.squared_miss, expected.squared_miss, "squared miss"),
                        (
                            sums.squared_false_alarm,
                            expected.squared_false_alarm,
                            "squared false alarm",
                        ),
                        (sums.log_hit, expected.log_hit, "log hit"),
                        (sums.log_rejection, expected.log_rejection, "log rejection"),
                    ] {
                        close(found, expected, what);
                    }
                    let by_sums = RegionSlopes::new(&slopes);
                    region_gradient(instructions, &logits, reference, &by_sums, &mut plane);
                    for (found, expected) in plane.iter().zip(&gradient) {
                        let error = (f64::from(*found) - expected).abs();
                        assert!(error <= 1e-6 * expected.abs() + 1e-7, "{found} {expected}");
                    }
                }
            }
        }
    }
}

/// One element inside, nearly right, among 2^16 outside.
#[test]
fn a_rare_region_keeps_its_relative_accuracy() {
    let n = (1 << 16) + 5;
    let mut logits = vec![-1.5f32; n];
    let mut labels = vec![0; n];
    (logits[12_345], labels[12_345]) = (18.25, 1);
    let reference = RegionReference {
        inside: Inside::Label(&labels, 1),
        weights: None,
    };
    for instructions in Instructions::available() {
        let mut plane = vec![0.0; n];
        let sums = region_sums(instructions, &logits, reference, ALL, &mut plane);
        let miss = 1.0 / (1.0 + 18.25f64.exp());
        let claimed = 1.0 / (1.0 + 1.5f64.exp());
        close(sums.miss, miss, "miss");
        close(sums.log_hit, (-miss).ln_1p(), "log hit");
        close(sums.false_alarm, (n - 1) as f64 * claimed, "false alarm");
        assert_eq!(sums.volume, 1.0);
        // Of the hits alone the slope is p (1 - p), small and exact.
        let slopes = RegionSlopes::new(&RegionSums {
            hit: -1.0,
            ..RegionSums::default()
        });
        region_gradient(instructions, &logits, reference, &slopes, &mut plane);
        close(f64::from(plane[12_345]), -miss * (1.0 - miss), "gradient");
        assert_eq!(plane[0], 0.0);
    }
}

#[test]
fn the_ends_of_the_range_give_finite_results() {
    let logits = [f32::MAX, f32::MIN, 0.0, f32::MAX, f32::MIN];
    let reference = RegionReference {
        inside: Inside::Label(&[0, 1, 1, 1, 0], 1),
        weights: None,
    };
    for instructions in Instructions::available() {
        let mut plane = [0.0; 5];
        let sums = region_sums(instructions, &logits, reference, ALL, &mut plane);
        assert_eq!([sums.hit, sums.false_alarm], [1.5, 1.0]);
        assert_eq!(sums.log_rejection, -2f64.powi(100));
        let slopes = RegionSlopes::new(&RegionSums {
            hit: -1e300,
            log_hit: -1e250,
            squared_miss: 1e300,
            ..RegionSums::default()
        });
        region_gradient(instructions, &logits, reference, &slopes, &mut plane);
        assert!(plane.iter().all(|g| g.is_finite()));
    }
}

#[test]
fn own_probabilities_are_those_of_f64() {
    for count in [1, 8, 37] {
        let logits: Vec<f32> = (0..count).map(|i| 40.0 * (i as f32 * 0.9).sin()).collect();
        for instructions in Instructions::available() {
            let (mut logs, mut rest) = (logits.clone(), vec![0.0; count]);
            region_own(instructions, &mut logs, &mut rest);
            for (i, z) in logits.iter().enumerate() {
                let z = f64::from(*z);
                close(f64::from(logs[i]), -(-z).exp().ln_1p(), "logarithm");
                close(f64::from(rest[i]), 1.0 / (1.0 + z.exp()), "rest");
            }
        }
    }
}
