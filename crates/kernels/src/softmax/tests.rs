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
            assert_eq!(sums.count, [n as u64 - 1, 1]);
            assert_eq!(sums.foreground, [0, 1]);
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
    assert_eq!(sums.count, [0, n as u64]);
    assert_eq!(sums.foreground, [0, n as u64]);
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
        softmax_gradient(instructions, &mut planes, &labels, &slopes);
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
                softmax_gradient(instructions, &mut out, &labels, &slopes);
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
