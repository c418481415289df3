//! Tests that the kernels' operations give the values and gradients of Burn's
//! own, and that the gradients are those of finite differences.

use burn::tensor::{Device, Tensor, TensorData};
use lacuna_kernels::Precision;

use crate::{
    Filter, Normalisation, Statistics, add_widened, composed, convolve, convolve_rectify,
    join_channels, max_pool, mean_pool, normalise_rectify, normalise_rectify_convolve, rectify,
    residual, shuffle_voxels,
};

/// Inputs of an operation: images and weights, then values per channel.
#[derive(Clone)]
struct Inputs {
    images: Vec<Tensor<5>>,
    rows: Vec<Tensor<1>>,
}

/// Values and their shape.
type Image = (Vec<f32>, [usize; 5]);

type Operation<'a> = &'a dyn Fn(&Inputs) -> Tensor<5>;

/// Values in [-1, 1) that `seed` alone decides.
fn noise(count: usize, seed: u64) -> Vec<f32> {
    (0..count as u64)
        .map(|i| {
            let mut bits = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed << 32;
            bits = (bits ^ bits >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            ((bits ^ bits >> 29) >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn image(shape: [usize; 5], seed: u64) -> Image {
    (noise(shape.iter().product(), seed), shape)
}

/// The operation's values, and the gradients by all inputs of the sum of
/// `values * noise`.
fn values_and_gradients(
    operation: Operation<'_>,
    images: &[Image],
    rows: &[Vec<f32>],
) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let inputs = Inputs {
        images: images
            .iter()
            .map(|(values, shape)| {
                Tensor::from_data(TensorData::new(values.clone(), *shape), &device).require_grad()
            })
            .collect(),
        rows: rows
            .iter()
            .map(|row| {
                Tensor::from_data(TensorData::new(row.clone(), [row.len()]), &device).require_grad()
            })
            .collect(),
    };
    let output = operation(&inputs);
    let weights = noise(output.shape().num_elements(), 99);
    let weights = Tensor::<5>::from_data(TensorData::new(weights, output.dims()), &device);
    let gradients = (output.clone() * weights).sum().backward();
    let mut found = vec![output.into_data().try_to_vec().unwrap()];
    for tensor in &inputs.images {
        let gradient = tensor.grad(&gradients).expect("a gradient");
        assert_eq!(gradient.dims(), tensor.dims());
        found.push(gradient.into_data().try_to_vec().unwrap());
    }
    for tensor in &inputs.rows {
        let gradient = tensor.grad(&gradients).expect("a gradient");
        found.push(gradient.into_data().try_to_vec().unwrap());
    }
    found
}

/// Largest difference relative to the largest expected value.
fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let error = (f - e).abs() / scale;
        assert!(error <= tolerance, "{what}[{i}]: {f}, expected {e}");
    }
}

fn assert_agree(
    what: &str,
    kernels: Operation<'_>,
    own: Operation<'_>,
    images: &[Image],
    rows: &[Vec<f32>],
) {
    let found = values_and_gradients(kernels, images, rows);
    let expected = values_and_gradients(own, images, rows);
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_close(&format!("{what}, output {i}"), found, expected, 2e-5);
    }
}

/// Central differences of the sum of `values * noise` by some of the values of
/// each input, against the gradients.
fn assert_differences(operation: Operation<'_>, images: &[Image], rows: &[Vec<f32>]) {
    const STEP: f32 = 1e-2;
    let sum = |images: &[Image], rows: &[Vec<f32>]| -> f64 {
        let values = &values_and_gradients(operation, images, rows)[0];
        let weights = noise(values.len(), 99);
        let products = values.iter().zip(weights);
        products.map(|(v, w)| f64::from(*v) * f64::from(w)).sum()
    };
    let gradients = values_and_gradients(operation, images, rows);
    for input in 0..images.len() + rows.len() {
        let gradient = &gradients[1 + input];
        let scale = gradient.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        for at in (0..gradient.len()).step_by(gradient.len().div_ceil(7)) {
            let moved = |by: f32| {
                let (mut images, mut rows) = (images.to_vec(), rows.to_vec());
                match input < images.len() {
                    true => images[input].0[at] += by,
                    false => rows[input - images.len()][at] += by,
                }
                sum(&images, &rows)
            };
            let slope = (moved(STEP) - moved(-STEP)) / f64::from(2.0 * STEP);
            let error = (slope - f64::from(gradient[at])).abs() / f64::from(scale);
            assert!(
                error < 5e-3,
                "input {input}[{at}]: {}, by differences {slope}",
                gradient[at]
            );
        }
    }
}

/// Axis lengths, channels in and out, kernel, stride, dilation, padding.
type Case = ([usize; 3], [usize; 2], [usize; 3], usize, usize, usize);

const CASES: [Case; 8] = [
    ([5, 6, 7], [3, 4], [3, 3, 3], 1, 1, 1),
    ([9, 8, 9], [2, 3], [3, 3, 3], 1, 4, 4),
    ([5, 7, 6], [16, 8], [3, 3, 3], 2, 2, 1),
    ([4, 5, 6], [3, 2], [1, 1, 1], 1, 1, 0),
    ([1, 9, 11], [4, 5], [1, 3, 3], 1, 1, 0),
    ([1, 8, 6], [3, 16], [1, 5, 3], 2, 1, 0),
    ([1, 1, 1], [3, 3], [1, 1, 1], 1, 1, 0),
    ([3, 1, 4], [1, 1], [3, 1, 3], 1, 1, 0),
];

fn filter(inputs: &Inputs, case: &Case) -> Filter {
    let (_, _, kernel, stride, dilation, padding) = *case;
    // An axis of one tap is neither padded nor strided.
    let along = |value, one| kernel.map(|taps| if taps == 1 { one } else { value });
    Filter {
        weight: inputs.images[1].clone(),
        bias: Some(inputs.rows[0].clone()),
        stride: along(stride, 1),
        dilation: along(dilation, 1),
        padding: along(padding, 0),
        precision: Precision::F32,
    }
}

/// Image and weights of a case, and a bias.
fn inputs(case: &Case) -> (Vec<Image>, Vec<Vec<f32>>) {
    let ([z, y, x], [from, to], [kz, ky, kx], ..) = *case;
    let images = vec![
        image([2, z, y, x, from], 1),
        image([to, from, kz, ky, kx], 2),
    ];
    (images, vec![noise(to, 3)])
}

#[test]
fn convolutions_agree_with_burn() {
    for case in &CASES {
        let (images, rows) = inputs(case);
        for rectify in [false, true] {
            let kernels = |i: &Inputs| match rectify {
                false => convolve(i.images[0].clone(), &filter(i, case)),
                true => convolve_rectify(i.images[0].clone(), &filter(i, case)),
            };
            let own =
                |i: &Inputs| composed::convolve(i.images[0].clone(), &filter(i, case), rectify);
            assert_agree(&format!("{case:?}"), &kernels, &own, &images, &rows);
        }
    }
}

#[test]
fn a_permuted_image_is_read_as_it_lies() {
    let case = &CASES[0];
    let ([z, y, x], [from, _], ..) = *case;
    let (mut images, rows) = inputs(case);
    images[0].1 = [2, from, z, y, x];
    let last = |i: &Inputs| i.images[0].clone().permute([0, 2, 3, 4, 1]);
    let kernels = |i: &Inputs| convolve(last(i), &filter(i, case));
    let own = |i: &Inputs| composed::convolve(last(i), &filter(i, case), false);
    assert_agree("permuted", &kernels, &own, &images, &rows);
}

/// Gamma, beta and slope of some channels.
fn norm_rows(channels: usize) -> [Vec<f32>; 3] {
    let gamma = noise(channels, 11).iter().map(|v| 1.0 + 0.5 * v).collect();
    let slope = noise(channels, 13).iter().map(|v| 0.3 * v).collect();
    [gamma, noise(channels, 12), slope]
}

/// What statistics are of.
#[derive(Clone, Copy, Debug)]
enum Of {
    Nothing,
    Batch,
    Images,
}

/// The normalisation by rows `first` and on.
fn norm(inputs: &Inputs, first: usize, prelu: bool, of: Of) -> Normalisation {
    let [gamma, beta] = [0, 1].map(|i| inputs.rows[first + i].clone());
    let statistics = match of {
        Of::Batch => Statistics::of(&inputs.images[0]),
        Of::Images => Statistics::of_images(&inputs.images[0]),
        Of::Nothing => {
            let mean = gamma.clone().detach().mul_scalar(0.1);
            Statistics::given(mean, gamma.clone().detach().mul_scalar(0.4))
        }
    };
    Normalisation {
        gamma,
        beta,
        slope: prelu.then(|| inputs.rows[first + 2].clone()),
        statistics,
        epsilon: 1e-5,
    }
}

#[test]
fn normalisation_agrees_with_burn() {
    for (prelu, of) in [
        (false, Of::Nothing),
        (false, Of::Batch),
        (false, Of::Images),
        (true, Of::Nothing),
        (true, Of::Batch),
        (true, Of::Images),
    ] {
        let images = [image([2, 3, 4, 5, 6], 21)];
        let mut rows = norm_rows(6).to_vec();
        rows.truncate(2 + usize::from(prelu));
        let kernels = |i: &Inputs| normalise_rectify(i.images[0].clone(), &norm(i, 0, prelu, of));
        let own =
            |i: &Inputs| composed::normalise_rectify(i.images[0].clone(), &norm(i, 0, prelu, of));
        let what = format!("prelu {prelu}, of {of:?}");
        assert_agree(&what, &kernels, &own, &images, &rows);
    }
}

#[test]
fn normalised_convolutions_agree_with_burn() {
    for (case, prelu, of) in [
        (&CASES[0], false, Of::Batch),
        (&CASES[1], true, Of::Batch),
        (&CASES[2], false, Of::Nothing),
        (&CASES[4], true, Of::Batch),
        (&CASES[0], true, Of::Images),
        (&CASES[2], true, Of::Images),
        (&CASES[5], true, Of::Images),
    ] {
        let (images, mut rows) = inputs(case);
        rows.extend(norm_rows(case.1[0]));
        rows.truncate(3 + usize::from(prelu));
        let kernels = |i: &Inputs| {
            let norm = norm(i, 1, prelu, of);
            normalise_rectify_convolve(i.images[0].clone(), &norm, &filter(i, case))
        };
        let own = |i: &Inputs| {
            let norm = norm(i, 1, prelu, of);
            let read = composed::normalise_rectify(i.images[0].clone(), &norm);
            composed::convolve(read, &filter(i, case), false)
        };
        let what = format!("{case:?}, prelu {prelu}, of {of:?}");
        assert_agree(&what, &kernels, &own, &images, &rows);
    }
}

#[test]
fn statistics_are_those_of_the_values() {
    let device = Device::flex();
    let (values, shape) = image([2, 3, 4, 5, 3], 31);
    let x = Tensor::from_data(TensorData::new(values.clone(), shape), &device);
    let found = Statistics::of(&x);
    for c in 0..3 {
        let channel: Vec<f64> = (values.iter().skip(c).step_by(3))
            .map(|&v| f64::from(v))
            .collect();
        let n = channel.len() as f64;
        let mean = channel.iter().sum::<f64>() / n;
        let variance = channel.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        for (found, expected) in [(&found.mean, mean), (&found.variance, variance)] {
            let found: Vec<f32> = found.to_data().try_to_vec().unwrap();
            assert!((f64::from(found[c]) - expected).abs() < 1e-6);
        }
    }
    let (mean, variance) = composed::moments(x, 1);
    for (own, kernels) in [(mean, found.mean), (variance, found.variance)] {
        let [own, kernels] = [own, kernels].map(|t| t.into_data().try_to_vec::<f32>().unwrap());
        assert_close("statistics", &kernels, &own, 1e-6);
    }
}

#[test]
fn residual_sums_agree_with_burn_and_lay_the_channels_in_the_middle() {
    for (narrow, wide) in [(3, 3), (2, 4), (2, 5), (1, 2)] {
        let images = [
            image([2, 2, 3, 4, narrow], 41),
            image([2, 2, 3, 4, wide], 42),
        ];
        let kernels = |i: &Inputs| add_widened(i.images[0].clone(), i.images[1].clone());
        let own = |i: &Inputs| composed::add_widened(i.images[0].clone(), i.images[1].clone());
        assert_agree(&format!("{narrow} of {wide}"), &kernels, &own, &images, &[]);
    }
    let device = Device::flex();
    let x = Tensor::<1>::from_floats([1.0, 2.0], &device).reshape([1, 1, 1, 1, 2]);
    let sum = add_widened(x, Tensor::zeros([1, 1, 1, 1, 5], &device));
    let expected = TensorData::from([[[[[0.0f32, 1.0, 2.0, 0.0, 0.0]]]]]);
    sum.into_data().assert_eq(&expected, true);
}

#[test]
fn poolings_agree_with_burn() {
    for (y, x, window, stride) in [
        (6, 8, [2, 2], [2, 2]),
        (7, 5, [2, 2], [2, 2]),
        (7, 6, [4, 4], [1, 1]),
        (3, 3, [3, 3], [1, 1]),
        (6, 5, [3, 2], [2, 1]),
    ] {
        let images = [image([2, 1, y, x, 3], 51)];
        let kernels = |i: &Inputs| {
            let ([wy, wx], [sy, sx]) = (window, stride);
            max_pool(i.images[0].clone(), [1, wy, wx], [1, sy, sx])
        };
        let own = |i: &Inputs| composed::max_pool(i.images[0].clone(), window, stride);
        let what = format!("{y} x {x}, {window:?}, {stride:?}");
        assert_agree(&what, &kernels, &own, &images, &[]);
    }
    let images = [image([2, 4, 6, 4, 5], 52)];
    for block in [[2, 2, 2], [1, 3, 2], [4, 1, 1]] {
        let kernels = |i: &Inputs| mean_pool(i.images[0].clone(), block);
        let own = |i: &Inputs| composed::mean_pool(i.images[0].clone(), block);
        assert_agree(&format!("mean of {block:?}"), &kernels, &own, &images, &[]);
    }
}

/// The largest of a box, found by looking at each of its voxels.
#[test]
fn boxes_are_pooled_to_their_largest_value() {
    let (values, shape) = image([2, 5, 6, 7, 3], 53);
    let (window, stride) = ([2, 3, 2], [2, 1, 3]);
    let x = Tensor::from_data(TensorData::new(values.clone(), shape), &Device::flex());
    let pooled = max_pool(x, window, stride);
    let [n, z, y, x, c] = pooled.dims();
    assert_eq!([n, z, y, x, c], [2, 2, 4, 2, 3]);
    let found: Vec<f32> = pooled.into_data().try_to_vec().unwrap();
    for (i, found) in found.iter().enumerate() {
        let at = [
            i / (c * x * y * z),
            i / (c * x * y) % z,
            i / (c * x) % y,
            i / c % x,
            i % c,
        ];
        let mut largest = f32::MIN;
        for tap in 0..12 {
            let voxel = [
                at[1] * stride[0] + tap / 6,
                at[2] * stride[1] + tap / 2 % 3,
                at[3] * stride[2] + tap % 2,
            ];
            let from = ((at[0] * 5 + voxel[0]) * 6 + voxel[1]) * 7 + voxel[2];
            largest = largest.max(values[from * 3 + at[4]]);
        }
        assert_eq!(*found, largest, "{at:?}");
    }
}

#[test]
fn a_leaky_rectifier_has_its_slope_below_nothing() {
    let device = Device::flex().autodiff();
    let x = Tensor::<1>::from_floats([-2.0, 3.0], &device).reshape([1, 1, 1, 1, 2]);
    let x = x.detach().require_grad();
    let y = rectify(x.clone(), Some(Tensor::full([2], 0.25, &device)));
    let expected = TensorData::from([[[[[-0.5f32, 3.0]]]]]);
    y.to_data().assert_eq(&expected, true);
    let gradient = x.grad(&y.sum().backward()).unwrap();
    let expected = TensorData::from([[[[[0.25f32, 1.0]]]]]);
    gradient.into_data().assert_eq(&expected, true);
}

#[test]
fn rearrangements_agree_with_burn() {
    let images = [image([2, 2, 3, 4, 3], 61), image([2, 2, 3, 4, 8], 62)];
    let kernels = |i: &Inputs| join_channels(i.images[0].clone(), i.images[1].clone());
    let own = |i: &Inputs| composed::join_channels(i.images[0].clone(), i.images[1].clone());
    assert_agree("joined", &kernels, &own, &images, &[]);

    for (channels, factor) in [(8, [1, 2, 2]), (16, [2, 2, 2]), (6, [3, 1, 2])] {
        let images = [image([2, 2, 3, 4, channels], 63)];
        let kernels = |i: &Inputs| shuffle_voxels(i.images[0].clone(), factor);
        let own = |i: &Inputs| composed::shuffle_voxels(i.images[0].clone(), factor);
        assert_agree(
            &format!("shuffled by {factor:?}"),
            &kernels,
            &own,
            &images,
            &[],
        );
    }
    let x = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0], &Device::flex());
    let square = shuffle_voxels(x.reshape([1, 1, 1, 1, 4]), [1, 2, 2]);
    let expected = TensorData::from([[[[[1.0f32], [2.0]], [[3.0], [4.0]]]]]);
    square.into_data().assert_eq(&expected, true);
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let case = ([3, 4, 3], [2, 3], [3, 3, 3], 1, 1, 1);
    let (images, mut rows) = inputs(&case);
    let plain = |i: &Inputs| convolve(i.images[0].clone(), &filter(i, &case));
    assert_differences(&plain, &images, &rows);

    // Slopes near 1, so that differences across the bend stay small.
    rows.extend(norm_rows(2));
    rows[3] = vec![0.9, 1.05];
    let normalised = |i: &Inputs| {
        let norm = norm(i, 1, true, Of::Images);
        normalise_rectify_convolve(i.images[0].clone(), &norm, &filter(i, &case))
    };
    assert_differences(&normalised, &images, &rows);
}

#[test]
fn a_residual_block_agrees_with_burn_also_behind_another() {
    let case = ([3, 4, 5], [2, 2], [3, 3, 3], 1, 1, 1);
    let (images, mut rows) = inputs(&case);
    rows.extend(norm_rows(2));
    rows.truncate(3);
    // The first block reads a leaf, the second does not.
    let block = |i: &Inputs, x: Tensor<5>, own: bool| {
        let norm = Normalisation {
            statistics: Statistics::of(&x),
            ..norm(i, 1, false, Of::Batch)
        };
        let filter = filter(i, &case);
        match own {
            false => residual(x, &norm, &filter, |x| convolve(x, &filter)),
            true => {
                let read = composed::normalise_rectify(x.clone(), &norm);
                let read = composed::convolve(read, &filter, false);
                composed::add_widened(x, composed::convolve(read, &filter, false))
            }
        }
    };
    let kernels = |i: &Inputs| block(i, block(i, i.images[0].clone(), false), false);
    let own = |i: &Inputs| block(i, block(i, i.images[0].clone(), true), true);
    assert_agree("residual", &kernels, &own, &images, &rows);
}
