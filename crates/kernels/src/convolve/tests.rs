//! Both algorithms on every instruction path against plain loops in f64.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::geometry::volume;
use crate::precision::to_bf16_and_back;
use crate::source::Rectifier;

/// Calls `f` with an output voxel, the input voxel a tap reads, and the tap.
fn each_product(c: &Convolution, mut f: impl FnMut(usize, usize, usize)) {
    let [oz, oy, ox] = c.output();
    for i in 0..c.batch * oz * oy * ox {
        let at = [i / (ox * oy) % oz, i / ox % oy, i % ox];
        let n = i / (ox * oy * oz);
        for tap in 0..volume(c.kernel) {
            let [_, ky, kx] = c.kernel;
            let t = [tap / (ky * kx), tap / kx % ky, tap % kx];
            let place: [usize; 3] = std::array::from_fn(|a| {
                (at[a] * c.stride[a] + t[a] * c.dilation[a]).wrapping_sub(c.padding[a])
            });
            if (0..3).all(|a| place[a] < c.input[a]) {
                let [z, y, x] = place;
                let voxel = ((n * c.input[0] + z) * c.input[1] + y) * c.input[2] + x;
                f(i, voxel, tap);
            }
        }
    }
}

/// The three products in f64.
struct Reference {
    forward: Vec<f64>,
    data_gradient: Vec<f64>,
    weight_gradient: Vec<f64>,
}

fn reference(c: &Convolution, x: &[f32], w: &[f32], bias: &[f32], dy: &[f32]) -> Reference {
    let (from, to, taps) = (c.channels_in, c.channels_out, volume(c.kernel));
    let mut forward: Vec<f64> = (0..c.output_len())
        .map(|i| f64::from(bias[i % to]))
        .collect();
    let mut data_gradient = vec![0.0; c.input_len()];
    let mut weight_gradient = vec![0.0; c.weight_len()];
    each_product(c, |i, voxel, tap| {
        for o in 0..to {
            let up = f64::from(dy[i * to + o]);
            for k in 0..from {
                let weight = (o * from + k) * taps + tap;
                let (value, w) = (f64::from(x[voxel * from + k]), f64::from(w[weight]));
                forward[i * to + o] += value * w;
                data_gradient[voxel * from + k] += up * w;
                weight_gradient[weight] += up * value;
            }
        }
    });
    Reference {
        forward,
        data_gradient,
        weight_gradient,
    }
}

/// Norm of the difference over the norm of what is expected, or over that of so
/// many independent products of variance 1 where those happen to cancel.
fn relative(found: &[f32], expected: &[f64], products: usize) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut (found.iter().zip(expected)).map(|(f, e)| f64::from(*f) - e));
    difference / norm(&mut expected.iter().copied()).max((products.max(1) as f64).sqrt())
}

fn noise(length: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from(state) / f64::from(u32::MAX)
    };
    // The sum of three uniform values is near enough to normal.
    (0..length)
        .map(|_| ((next() + next() + next()) * 2.0 - 3.0) as f32)
        .collect()
}

fn round(values: &[f32]) -> Vec<f32> {
    values.iter().map(|&v| to_bf16_and_back(v)).collect()
}

/// Everything about `c`, by every algorithm that takes it, on every path.
fn check(c: &Convolution, seed: u32) {
    let x = noise(c.input_len(), seed);
    let w = noise(c.weight_len(), seed + 1);
    let bias = noise(c.channels_out, seed + 2);
    let dy = noise(c.output_len(), seed + 3);
    let exact = reference(c, &x, &w, &bias, &dy);
    let rounded = reference(c, &round(&x), &round(&w), &bias, &round(&dy));
    let mut products = 0;
    each_product(c, |_, _, _| products += c.channels_in * c.channels_out);
    for instructions in Instructions::available() {
        for kind in [Kind::Direct, Kind::FewVoxels, Kind::Winograd] {
            if kind == Kind::Winograd && !winograd::takes(c) {
                continue;
            }
            for bf16 in [false, true] {
                let by = Algorithm {
                    instructions,
                    kind,
                    round: bf16,
                };
                let found = [
                    by.forward(c, Source::plain(&x), &w, Some(&bias), false),
                    by.data_gradient(c, &dy, &w),
                    by.weight_gradient(c, Source::plain(&x), &dy),
                ];
                for (target, limit) in [(&exact, if bf16 { 1e-2 } else { 1e-5 }), (&rounded, 1e-5)]
                {
                    if std::ptr::eq(target, &rounded) && !bf16 {
                        continue;
                    }
                    let expected = [
                        &target.forward,
                        &target.data_gradient,
                        &target.weight_gradient,
                    ];
                    let names = ["forward", "data gradient", "weight gradient"];
                    for ((name, found), expected) in names.iter().zip(&found).zip(expected) {
                        let error = relative(found, expected, products);
                        assert!(
                            error < limit,
                            "{name}, {instructions}, {kind:?}, bf16 {bf16}: \
                             error {error:e} of {c:?}"
                        );
                    }
                }
            }
        }
    }
}

fn convolution(
    channels: [usize; 2],
    input: [usize; 3],
    kernel: [usize; 3],
    stride: usize,
    dilation: usize,
    padding: usize,
) -> Convolution {
    let along = |value: usize, flat: usize| {
        std::array::from_fn(|a| if kernel[a] == 1 { flat } else { value })
    };
    Convolution {
        batch: 2,
        channels_in: channels[0],
        channels_out: channels[1],
        input,
        kernel,
        stride: along(stride, 1),
        dilation: along(dilation, 1),
        padding: along(padding, 0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48, failure_persistence: None, rng_seed: RngSeed::Fixed(0), ..Default::default()
    })]

    #[test]
    fn all_products_agree_with_plain_sums(
        channels in prop::array::uniform2(prop::sample::select(vec![1usize, 3, 16, 30, 40])),
        input in prop::array::uniform3(1usize..9),
        kernel in prop::sample::select(vec![[3, 3, 3], [1, 3, 3], [1, 1, 1], [1, 5, 5], [2, 3, 1]]),
        stride in 1usize..3,
        dilation in prop::sample::select(vec![1usize, 2, 4]),
        padding in prop::sample::select(vec![0usize, 1, 4]),
        seed in 0u32..1000,
    ) {
        let c = convolution(channels, input, kernel, stride, dilation, padding);
        let fits = (0..3).all(|a| c.input[a] + 2 * c.padding[a] > c.reach()[a]);
        prop_assume!(fits);
        check(&c, seed);
    }
}

#[test]
fn wide_channels_and_blocks_of_many_tiles() {
    for (channels, input, kernel, dilation, padding) in [
        ([50, 64], [9, 10, 11], [3, 3, 3], 1, 1),
        ([64, 80], [5, 6, 30], [1, 1, 1], 1, 0),
        ([16, 64], [13, 9, 9], [3, 3, 3], 4, 4),
        ([80, 50], [1, 40, 40], [1, 3, 3], 1, 1),
        ([3, 130], [1, 26, 33], [1, 7, 7], 1, 0),
    ] {
        check(
            &convolution(channels, input, kernel, 1, dilation, padding),
            7,
        );
    }
}

#[test]
fn strides_of_each_axis_fall_into_phases() {
    for (input, kernel, stride, padding) in [
        ([8, 10, 12], [3, 3, 3], [2, 2, 2], [1, 1, 1]),
        ([5, 9, 27], [1, 3, 3], [1, 2, 2], [0, 1, 1]),
        ([6, 7, 8], [1, 1, 1], [2, 2, 2], [0, 0, 0]),
        ([7, 6, 50], [3, 5, 3], [3, 1, 2], [1, 2, 0]),
        ([4, 4, 4], [2, 2, 2], [2, 2, 2], [0, 0, 0]),
        ([1, 2, 3], [1, 3, 3], [1, 4, 2], [0, 1, 1]),
    ] {
        let c = Convolution {
            stride,
            padding,
            ..convolution([5, 18], input, kernel, 1, 1, 0)
        };
        check(&c, 13);
    }
}

/// `relu(2 x - 1)` of one voxel with value 3 is 5, of -1 with slope .5 is -1.5;
/// zeros around the volume stay zeros, although `2 * 0 - 1` would not.
#[test]
fn a_rectifier_acts_on_voxels_and_not_on_the_zeros_around_them() {
    for kernel in [[3, 3, 3], [1, 3, 3]] {
        let c = Convolution {
            batch: 1,
            ..convolution([1, 1], [1, 1, 2], kernel, 1, 1, 1)
        };
        let input = Source {
            values: &[3.0, -1.0],
            rectified: Some(Rectifier {
                scale: &[2.0],
                shift: &[-1.0],
                slope: &[0.5],
            }),
        };
        // All taps 1: both outputs see both voxels.
        let weights = vec![1.0; c.weight_len()];
        for instructions in Instructions::available() {
            for kind in [Kind::Direct, Kind::FewVoxels, Kind::Winograd] {
                let by = Algorithm {
                    instructions,
                    kind,
                    round: false,
                };
                for (bias, rectify, expected) in [(0.0, false, 3.5), (-5.0, true, 0.0)] {
                    for value in by.forward(&c, input, &weights, Some(&[bias]), rectify) {
                        assert!((value - expected).abs() < 1e-5, "{value} {expected}");
                    }
                }
            }
        }
    }
}

/// Rows of each image: forward as of the images alone, and the gradient by the
/// weights the sum of theirs.
#[test]
fn each_image_is_read_through_its_own_rows() {
    for kernel in [[3, 3, 3], [1, 3, 3], [1, 1, 1]] {
        let c = convolution([16, 18], [5, 7, 9], kernel, 1, 1, 1);
        let (x, dy) = (noise(c.input_len(), 1), noise(c.output_len(), 2));
        let (w, bias) = (noise(c.weight_len(), 3), noise(c.channels_out, 4));
        let (scale, shift) = (noise(32, 5), noise(32, 6));
        let slope = noise(16, 7);
        let source = |values, scale, shift| Source {
            values,
            rectified: Some(Rectifier {
                scale,
                shift,
                slope: &slope,
            }),
        };
        let alone = Convolution { batch: 1, ..c };
        let halves = |n: usize| {
            (
                source(
                    &x[n * alone.input_len()..][..alone.input_len()],
                    &scale[n * 16..][..16],
                    &shift[n * 16..][..16],
                ),
                &dy[n * alone.output_len()..][..alone.output_len()],
            )
        };
        for instructions in Instructions::available() {
            for kind in [Kind::Direct, Kind::FewVoxels, Kind::Winograd] {
                if kind == Kind::Winograd && !winograd::takes(&c) {
                    continue;
                }
                let by = Algorithm {
                    instructions,
                    kind,
                    round: false,
                };
                let together = source(&x, &scale, &shift);
                let forward = by.forward(&c, together, &w, Some(&bias), false);
                let gradient = by.weight_gradient(&c, together, &dy);
                let parts = [0, 1].map(|n| {
                    let (source, dy) = halves(n);
                    (
                        by.forward(&alone, source, &w, Some(&bias), false),
                        by.weight_gradient(&alone, source, dy),
                    )
                });
                let apart: Vec<f64> = (parts.iter().flat_map(|(forward, _)| forward))
                    .map(|v| f64::from(*v))
                    .collect();
                assert!(relative(&forward, &apart, 1) < 1e-5, "{kind:?} {kernel:?}");
                let sums: Vec<f64> = (parts[0].1.iter().zip(&parts[1].1))
                    .map(|(a, b)| f64::from(*a) + f64::from(*b))
                    .collect();
                assert!(relative(&gradient, &sums, 1) < 1e-5, "{kind:?} {kernel:?}");
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let c = convolution([16, 30], [9, 9, 30], [3, 3, 3], 1, 1, 1);
    let (x, dy) = (noise(c.input_len(), 1), noise(c.output_len(), 2));
    for kind in [Kind::Direct, Kind::FewVoxels, Kind::Winograd] {
        let by = Algorithm {
            instructions: Instructions::detected(),
            kind,
            round: false,
        };
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let gradient = || by.weight_gradient(&c, Source::plain(&x), &dy);
            pool.build().unwrap().install(gradient)
        };
        let first = run(1);
        for threads in [2, 3, 7] {
            assert!(run(threads) == first, "{kind:?} with {threads} threads");
        }
    }
}

#[test]
fn a_length_that_does_not_fit_is_refused_by_every_algorithm() {
    // A convolution for each algorithm.
    for (channels, input, kernel) in [
        ([3, 4], [1, 1, 30], [1, 1, 5]),
        ([64, 64], [1, 2, 2], [1, 3, 3]),
        ([4, 4], [9, 9, 9], [3, 3, 3]),
    ] {
        let c = convolution(channels, input, kernel, 1, 1, 1);
        let (x, w) = (noise(c.input_len(), 1), noise(c.weight_len(), 2));
        let (dy, bias) = (noise(c.output_len(), 3), noise(c.channels_out, 4));
        let short = |values: &[f32]| values[1..].to_vec();
        let refused = |work: &dyn Fn() -> Vec<f32>| {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            assert!(caught.is_err(), "{c:?}");
        };
        let precision = Precision::F32;
        let forward = |x: &[f32], w: &[f32], bias: &[f32]| {
            c.forward(Source::plain(x), w, Some(bias), false, precision)
        };
        refused(&|| forward(&short(&x), &w, &bias));
        refused(&|| forward(&x, &short(&w), &bias));
        refused(&|| forward(&x, &w, &short(&bias)));
        refused(&|| c.data_gradient(&short(&dy), &w, precision));
        refused(&|| c.data_gradient(&dy, &short(&w), precision));
        refused(&|| c.weight_gradient(Source::plain(&short(&x)), &dy, precision));
        refused(&|| c.weight_gradient(Source::plain(&x), &short(&dy), precision));
    }
}
