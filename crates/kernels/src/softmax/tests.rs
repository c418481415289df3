//! Sums and gradients against their definitions in f64.

use super::*;
use crate::Instructions;

const ALL: SumsWanted = SumsWanted {
    squared_error: true,
    log_probability: true,
};

/// Sums of `planes`, and the probabilities.
fn sums(
    instructions: Instructions,
    planes: &[Vec<f32>],
    labels: &[u8],
    wanted: SumsWanted,
) -> Option<(SoftmaxSums, Vec<Vec<f32>>)> {
    let logits: Vec<&[f32]> = planes.iter().map(Vec::as_slice).collect();
    let mut p = vec![vec![f32::NAN; labels.len()]; planes.len()];
    let mut out: Vec<&mut [f32]> = p.iter_mut().map(Vec::as_mut_slice).collect();
    let labels = SoftmaxReference::labels(labels);
    let sums = softmax_sums(instructions, &logits, labels, wanted, &mut out)?;
    Some((sums, p))
}

fn close(found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs();
    assert!(
        error <= tolerance * expected.abs(),
        "{found:e} for {expected:e}"
    );
}

/// One element of label 1, nearly right, among 2^16 of label 0.
#[test]
fn a_rare_label_keeps_its_relative_accuracy() {
    let n = (1 << 16) + 5;
    for instructions in Instructions::available() {
        for rare in [0, 12_345, n - 1] {
            let mut planes = vec![vec![2.0f32; n], vec![0.5; n]];
            let mut labels = vec![0; n];
            (planes[0][rare], planes[1][rare], labels[rare]) = (-9.25, 9.0, 1);
            let (sums, p) = sums(instructions, &planes, &labels, ALL).unwrap();

            let miss = 1.0 / (1.0 + 18.25f64.exp());
            let claimed = 1.0 / (1.0 + 1.5f64.exp());
            let others = (n - 1) as f64;
            assert_eq!(sums.count, [others, 1.0]);
            assert_eq!(sums.foreground, [0.0, 1.0]);
            for (found, expected) in [
                (sums.probability[2], miss),
                (sums.probability[3], 1.0 - miss),
                (sums.squared_error[2], miss * miss),
                (sums.squared_error[3], miss * miss),
                (sums.log_probability[1], (-miss).ln_1p()),
                (sums.probability[0], others * (1.0 - claimed)),
                (sums.probability[1], others * claimed),
                (sums.squared_error[0], others * claimed * claimed),
                (sums.log_probability[0], others * (1.0 - claimed).ln()),
                (f64::from(p[0][rare]), miss),
            ] {
                close(found, expected, 1e-6);
            }
        }
    }
}

/// An f32 sum of ones stops at 2^24.
#[test]
fn more_elements_than_an_f32_can_count() {
    let n = (1 << 24) + 1;
    let planes = [vec![0.0f32; n], vec![1.0; n]];
    let labels = vec![1; n];
    let p = 1.0 / (1.0 + (-1.0f64).exp());
    let (sums, _) = sums(Instructions::detected(), &planes, &labels, ALL).unwrap();
    assert_eq!(sums.count, [0.0, n as f64]);
    assert_eq!(sums.foreground, [0.0, n as f64]);
    close(sums.probability[2], n as f64 * (1.0 - p), 1e-6);
    close(sums.probability[3], n as f64 * p, 1e-6);
    close(
        sums.squared_error[3],
        n as f64 * (1.0 - p) * (1.0 - p),
        1e-6,
    );
    close(sums.log_probability[1], n as f64 * p.ln(), 1e-6);
}

#[test]
fn what_is_not_wanted_is_zero_and_the_rest_the_same() {
    let planes = [0.3f32, -1.0, 2.5].map(|z| (0..45).map(|i| z * (i as f32).sin()).collect());
    let labels: Vec<u8> = (0..45).map(|i| i % 3).collect();
    for instructions in Instructions::available() {
        let (all, p) = sums(instructions, &planes, &labels, ALL).unwrap();
        for (squared_error, log_probability) in [(false, false), (true, false), (false, true)] {
            let wanted = SumsWanted {
                squared_error,
                log_probability,
            };
            let (some, same) = sums(instructions, &planes, &labels, wanted).unwrap();
            let mut expected = all.clone();
            if !squared_error {
                expected.squared_error.fill(0.0);
            }
            if !log_probability {
                expected.log_probability.fill(0.0);
            }
            assert_eq!(some, expected);
            assert_eq!(same, p);
        }
    }
}

#[test]
fn bad_labels_and_logits_are_refused_wherever_they_are() {
    for instructions in Instructions::available() {
        for at in [0, 20, 32, 36] {
            let mut planes = vec![vec![0.0f32; 37]; 3];
            let mut labels = vec![0; 37];
            labels[at] = 3;
            assert_eq!(sums(instructions, &planes, &labels, ALL), None);
            labels[at] = 2;
            assert!(sums(instructions, &planes, &labels, ALL).is_some());
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                planes[1][at] = bad;
                assert_eq!(sums(instructions, &planes, &labels, ALL), None);
            }
        }
    }
}

/// Logits as far apart as f32 allows, derivatives beyond its range.
#[test]
fn the_ends_of_the_range_give_finite_results() {
    let planes = [vec![f32::MAX; 9], vec![f32::MIN; 9], vec![0.0; 9]];
    let labels = [0, 1, 2, 0, 1, 2, 0, 1, 2];
    for instructions in Instructions::available() {
        let (sums, mut p) = sums(instructions, &planes, &labels, ALL).unwrap();
        assert_eq!(
            sums.probability,
            [3.0, 0.0, 0.0, 3.0, 0.0, 0.0, 3.0, 0.0, 0.0]
        );
        assert_eq!(sums.log_probability[0], 0.0);
        assert_eq!(sums.log_probability[1], 3.0 * -2f64.powi(100));

        let slopes =
            SoftmaxSlopes::new(&[1e300, -1e300, 0.0].repeat(3), &[-1e200; 9], &[-1e250; 3]);
        let mut planes: Vec<&mut [f32]> = p.iter_mut().map(Vec::as_mut_slice).collect();
        let labels = SoftmaxReference::labels(&labels);
        softmax_gradient(instructions, &mut planes, labels, &slopes);
        assert!(p.iter().flatten().all(|g| g.is_finite()));
    }
}

/// `dL/dz_c = p_c (g_c - sum_k p_k g_k) + e_l ([c = l] - p_c)`, in f64.
#[test]
fn the_gradient_is_that_of_the_equation() {
    for classes in [2, 3, 5] {
        let planes: Vec<Vec<f32>> = (0..classes)
            .map(|c| {
                (0..41)
                    .map(|i| ((i * (c + 2)) as f32).sin() * 4.0)
                    .collect()
            })
            .collect();
        let labels: Vec<u8> = (0..41).map(|i| (i / 3 % classes) as u8).collect();
        let some =
            |n: usize, f: f64| -> Vec<f64> { (0..n).map(|i| f * (i as f64).cos()).collect() };
        for (curve, log) in [(0.0, 0.0), (0.7, 0.0), (0.0, 0.3), (0.7, 0.3)] {
            let a = some(classes * classes, 1.0);
            let (b, e) = (some(classes * classes, curve), some(classes, log));
            let slopes = SoftmaxSlopes::new(&a, &b, &e);
            for instructions in Instructions::available() {
                let (_, p) = sums(instructions, &planes, &labels, ALL).unwrap();
                let mut found = p.clone();
                let mut out: Vec<&mut [f32]> = found.iter_mut().map(Vec::as_mut_slice).collect();
                let reference = SoftmaxReference::labels(&labels);
                softmax_gradient(instructions, &mut out, reference, &slopes);
                for (i, &label) in labels.iter().enumerate() {
                    let l = usize::from(label);
                    let p: Vec<f64> = p.iter().map(|p| f64::from(p[i])).collect();
                    let own = |c: usize| f64::from(u8::from(c == l));
                    let g =
                        |c: usize| a[l * classes + c] + 2.0 * b[l * classes + c] * (p[c] - own(c));
                    let mean: f64 = (0..classes).map(|k| p[k] * g(k)).sum();
                    for c in 0..classes {
                        let expected = p[c] * (g(c) - mean) + e[l] * (own(c) - p[c]);
                        let error = (f64::from(found[c][i]) - expected).abs();
                        assert!(error < 1e-6, "{} {expected}", found[c][i]);
                    }
                }
            }
        }
    }
}

/// Elements that are of several labels and count in part, in f64.
#[test]
fn shares_and_weights_are_those_of_the_equation() {
    for (classes, count) in [(2, 37), (3, 16), (5, 9), (16, 5)] {
        let wave = |i: usize, f: f32| (i as f32 * f).sin();
        let plane = |c: usize, f: f32| (0..count).map(move |i| wave(i * (c + 2), f));
        let logits: Vec<Vec<f32>> = (0..classes)
            .map(|c| plane(c, 0.9).map(|z| 4.0 * z).collect())
            .collect();
        // Two in three shares are 0, and some elements have none.
        let shares: Vec<Vec<f32>> = (0..classes)
            .map(|c| plane(c, 1.7).map(|s| (3.0 * s - 2.0).max(0.0)).collect())
            .collect();
        let weights: Vec<f32> = plane(classes, 2.3).map(|w| w.max(0.0)).collect();
        let slope = |at: usize, f: f64| f * (at as f64).cos();
        let a: Vec<f64> = (0..classes * classes).map(|i| slope(i, 1.0)).collect();
        let b: Vec<f64> = (0..classes * classes).map(|i| slope(i, 0.7)).collect();
        let e: Vec<f64> = (0..classes).map(|i| slope(i, 0.3)).collect();
        let slopes = SoftmaxSlopes::new(&a, &b, &e);
        for instructions in Instructions::available() {
            let planes: Vec<&[f32]> = logits.iter().map(Vec::as_slice).collect();
            let parts: Vec<&[f32]> = shares.iter().map(Vec::as_slice).collect();
            let reference = SoftmaxReference {
                class: ReferenceClass::Shares(&parts),
                weights: Some(&weights),
            };
            let mut found = vec![vec![0.0; count]; classes];
            let mut out: Vec<&mut [f32]> = found.iter_mut().map(Vec::as_mut_slice).collect();
            let sums = softmax_sums(instructions, &planes, reference, ALL, &mut out).unwrap();
            softmax_gradient(instructions, &mut out, reference, &slopes);

            let size = classes * classes;
            let (mut by_p, mut by_square) = (vec![0.0; size], vec![0.0; size]);
            let (mut volume, mut logs) = (vec![0.0; classes], vec![0.0; classes]);
            let mut squares = vec![0.0; classes];
            for i in 0..count {
                let exponential = |c: usize| f64::from(logits[c][i]).exp();
                let total: f64 = (0..classes).map(exponential).sum();
                let p: Vec<f64> = (0..classes).map(|c| exponential(c) / total).collect();
                let mut gradient = vec![0.0; classes];
                for l in 0..classes {
                    let share = f64::from(shares[l][i]) * f64::from(weights[i]);
                    let error = |c: usize| p[c] - f64::from(u8::from(c == l));
                    let g = |c: usize| a[l * classes + c] + 2.0 * b[l * classes + c] * error(c);
                    let mean: f64 = (0..classes).map(|k| p[k] * g(k)).sum();
                    for c in 0..classes {
                        by_p[l * classes + c] += share * p[c];
                        by_square[l * classes + c] += share * error(c) * error(c);
                        gradient[c] += share * (p[c] * (g(c) - mean) - e[l] * error(c));
                    }
                    volume[l] += share;
                    squares[l] += share * f64::from(shares[l][i]);
                    logs[l] += share * p[l].ln();
                }
                for (c, expected) in gradient.into_iter().enumerate() {
                    let error = (f64::from(found[c][i]) - expected).abs();
                    assert!(error < 2e-6, "{} {expected}", found[c][i]);
                }
            }
            for (found, expected) in [
                (&sums.probability, by_p),
                (&sums.squared_error, by_square),
                (&sums.count, volume),
                (&sums.share_square, squares),
                (&sums.log_probability, logs),
            ] {
                for (found, expected) in found.iter().zip(expected) {
                    close(*found, expected, 2e-6);
                }
            }
        }
    }
}

/// Labels with weights are shares of 0 and 1; a label beyond the classes counts
/// nowhere.
#[test]
fn weighted_labels_are_shares() {
    let count = 41;
    let planes: Vec<Vec<f32>> = (2..5)
        .map(|f| (0..count).map(|i| 4.0 * ((i * f) as f32).sin()).collect())
        .collect();
    let labels: Vec<u8> = (0..count)
        .map(|i| if i % 5 == 0 { 255 } else { (i % 3) as u8 })
        .collect();
    let weights: Vec<f32> = (0..count).map(|i| (i % 4) as f32 / 3.0).collect();
    let shares: Vec<Vec<f32>> = (0..3)
        .map(|c| {
            labels
                .iter()
                .map(|l| f32::from(u8::from(*l == c)))
                .collect()
        })
        .collect();
    let logits: Vec<&[f32]> = planes.iter().map(Vec::as_slice).collect();
    let parts: Vec<&[f32]> = shares.iter().map(Vec::as_slice).collect();
    let slopes = SoftmaxSlopes::new(&[0.5, 1.0, -2.0].repeat(3), &[0.3; 9], &[-1.0; 3]);
    for instructions in Instructions::available() {
        let evaluate = |class| {
            let reference = SoftmaxReference {
                class,
                weights: Some(&weights),
            };
            let mut p = vec![vec![0.0; count]; 3];
            let mut out: Vec<&mut [f32]> = p.iter_mut().map(Vec::as_mut_slice).collect();
            let sums = softmax_sums(instructions, &logits, reference, ALL, &mut out).unwrap();
            softmax_gradient(instructions, &mut out, reference, &slopes);
            (sums, p)
        };
        let of_labels = evaluate(ReferenceClass::Labels(&labels));
        assert_eq!(of_labels, evaluate(ReferenceClass::Shares(&parts)));
        assert!(of_labels.1.iter().all(|plane| plane[5] == 0.0));
    }
}
