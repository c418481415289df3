//! The tiles' convolutions against sums in f64, on the processor's tiles where
//! it has them and on the emulator's elsewhere.

use super::{data_gradient, emulator, forward, takes, weight_gradient};
use crate::geometry::{Convolution, volume};
use crate::precision::{Precision, to_bf16_and_back};
use crate::source::{Rectifier, Source};

/// Any reproducible values in [-1, 1).
struct Values(u64);

impl Values {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 20
    }

    fn take(&mut self, count: usize) -> Vec<f32> {
        let mut value = || (self.next() & 0xff_ffff) as f32 / (1u64 << 23) as f32 - 1.0;
        (0..count).map(|_| value()).collect()
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.next() as usize % choices.len()]
    }
}

/// All pairs of an input and an output value with the weight between them.
fn each_product(c: &Convolution, mut f: impl FnMut(usize, usize, usize)) {
    let [oz, oy, ox] = c.output();
    let [kz, ky, kx] = c.kernel;
    for n in 0..c.batch {
        for voxel in 0..oz * oy * ox {
            for tap in 0..volume(c.kernel) {
                let at = [voxel / (oy * ox), voxel / ox % oy, voxel % ox];
                let t = [tap / (ky * kx), tap / kx % ky, tap % kx];
                let place: [usize; 3] = std::array::from_fn(|i| {
                    (at[i] + t[i] * c.dilation[i]).wrapping_sub(c.padding[i])
                });
                if (0..3).any(|i| place[i] >= c.input[i]) {
                    continue;
                }
                let from =
                    ((n * c.input[0] + place[0]) * c.input[1] + place[1]) * c.input[2] + place[2];
                let to = n * oz * oy * ox + voxel;
                for i in 0..c.channels_in {
                    for o in 0..c.channels_out {
                        let weight = (o * c.channels_in + i) * kz * ky * kx + tap;
                        f(from * c.channels_in + i, to * c.channels_out + o, weight);
                    }
                }
            }
        }
    }
}

/// The norm of the error over the norm of what was expected.
fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(&f, e)| f64::from(f) - e));
    difference / norm(&mut expected.iter().copied()).max(1e-30)
}

fn rounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|&v| to_bf16_and_back(v)).collect()
}

/// The three products in f64.
fn reference(
    c: &Convolution,
    input: &[f32],
    weights: &[f32],
    bias: &[f32],
    upper: &[f32],
) -> [Vec<f64>; 3] {
    let mut output: Vec<f64> = bias
        .iter()
        .copied()
        .map(f64::from)
        .cycle()
        .take(c.output_len())
        .collect();
    let mut by_data = vec![0.0; c.input_len()];
    let mut by_weights = vec![0.0; c.weight_len()];
    each_product(c, |i, o, w| {
        let [x, w_, u] = [input[i], weights[w], upper[o]].map(f64::from);
        output[o] += x * w_;
        by_data[i] += u * w_;
        by_weights[w] += u * x;
    });
    [output, by_data, by_weights]
}

fn check(c: &Convolution, seed: u64) {
    assert!(takes(c));
    emulator::install();
    let mut values = Values(seed);
    let input = values.take(c.input_len());
    let weights = values.take(c.weight_len());
    let bias = values.take(c.channels_out);
    let upper = values.take(c.output_len());
    let exact = reference(c, &input, &weights, &bias, &upper);
    let (input_, weights_, upper_) = (rounded(&input), rounded(&weights), rounded(&upper));
    let of_rounded = reference(c, &input_, &weights_, &bias, &upper_);
    for precision in [Precision::Bf16, Precision::Bf16x3] {
        let source = Source::plain(&input);
        let found = [
            forward(c, source, &weights, Some(&bias), false, precision),
            data_gradient(c, &upper, &weights, precision),
            weight_gradient(c, source, &upper, precision),
        ];
        for (i, found) in found.iter().enumerate() {
            let product = ["forward", "data gradient", "weight gradient"][i];
            let off = error(found, &exact[i]);
            let limit = if precision == Precision::Bf16 {
                1e-2
            } else {
                2e-5
            };
            assert!(
                off < limit,
                "{product} off by {off} in {precision:?}: {c:?}"
            );
            if precision == Precision::Bf16 {
                let off = error(found, &of_rounded[i]);
                assert!(
                    off < 1e-5,
                    "{product} off by {off} of rounded factors: {c:?}"
                );
            }
        }
    }
    assert!(!emulator::configured(), "tiles left configured");
    assert!(
        rayon::broadcast(|_| !emulator::configured())
            .iter()
            .all(|&released| released)
    );
}

#[test]
fn convolutions_of_random_shapes_agree_with_sums_in_f64() {
    let mut values = Values(7);
    let mut left = 40;
    while left > 0 {
        let channels = [1, 3, 16, 30, 40, 50, 64, 80];
        let c = Convolution {
            batch: values.one_of(&[1, 1, 2]),
            channels_in: values.one_of(&channels),
            channels_out: values.one_of(&channels),
            input: [(); 3].map(|()| values.one_of(&[1, 2, 3, 5, 9])),
            kernel: [(); 3].map(|()| values.one_of(&[1, 2, 3])),
            stride: [1; 3],
            dilation: [(); 3].map(|()| values.one_of(&[1, 1, 2, 4])),
            padding: [(); 3].map(|()| values.one_of(&[0, 1, 1, 4])),
        };
        let fits = (0..3).all(|i| c.input[i] + 2 * c.padding[i] > c.reach()[i]);
        if !fits {
            continue;
        }
        let products = volume(c.output()) * volume(c.kernel) * c.channels_in * c.channels_out;
        if products > 1 << 20 {
            continue;
        }
        check(&c, left);
        left -= 1;
    }
}

#[test]
fn rows_longer_than_a_tile_and_planes_longer_than_a_visit_agree() {
    let c = |channels: [usize; 2], input, kernel: [usize; 3], dilation: usize| Convolution {
        batch: 1,
        channels_in: channels[0],
        channels_out: channels[1],
        input,
        kernel,
        stride: [1; 3],
        dilation: [dilation; 3],
        padding: kernel.map(|k| dilation * (k - 1) / 2),
    };
    check(&c([16, 16], [3, 19, 51], [3; 3], 1), 1);
    check(&c([1, 16], [2, 18, 33], [3; 3], 1), 2);
    check(&c([16, 32], [1, 7, 35], [1, 3, 3], 2), 3);
    check(&c([64, 80], [1, 2, 17], [1, 3, 3], 4), 4);
    check(&c([48, 2], [1, 5, 70], [1; 3], 1), 5);
}

#[test]
fn a_padding_beyond_the_kernel_crops_the_data_gradient() {
    let c = Convolution {
        batch: 2,
        channels_in: 3,
        channels_out: 5,
        input: [1, 2, 3],
        kernel: [1, 1, 2],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [1, 4, 4],
    };
    check(&c, 11);
}

#[test]
fn the_rectifier_bias_and_relu_come_in_their_order() {
    emulator::install();
    // One voxel, two channels in, two out: a rectified input of (1, -0.5).
    let c = Convolution {
        batch: 1,
        channels_in: 2,
        channels_out: 2,
        input: [1; 3],
        kernel: [1; 3],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [0; 3],
    };
    let source = Source {
        values: &[0.5, 2.0],
        rectified: Some(Rectifier {
            scale: &[2.0, -1.0],
            shift: &[0.0, 1.0],
            slope: &[0.25, 0.5],
        }),
    };
    let weights = [1.0, 2.0, -3.0, 4.0];
    for precision in [Precision::Bf16, Precision::Bf16x3] {
        let output = |rectify| forward(&c, source, &weights, Some(&[0.5, 1.0]), rectify, precision);
        assert_eq!(output(false), [0.5, -4.0]);
        assert_eq!(output(true), [0.5, 0.0]);
        let gradient = weight_gradient(&c, source, &[1.0, 2.0], precision);
        assert_eq!(gradient, [1.0, -0.5, 2.0, -1.0]);
    }
}

#[test]
fn each_image_is_read_through_its_own_rows() {
    emulator::install();
    let alone = Convolution {
        batch: 1,
        channels_in: 16,
        channels_out: 16,
        input: [3, 5, 9],
        kernel: [3; 3],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [1; 3],
    };
    let c = Convolution { batch: 2, ..alone };
    let mut values = Values(5);
    let (x, dy) = (values.take(c.input_len()), values.take(c.output_len()));
    let weights = values.take(c.weight_len());
    let [scale, shift] = [0; 2].map(|_| values.take(32));
    let slope = [0.5; 16];
    let precision = Precision::Bf16;
    let source = |n: std::ops::Range<usize>| Source {
        values: &x[n.start * alone.input_len()..n.end * alone.input_len()],
        rectified: Some(Rectifier {
            scale: &scale[n.start * 16..n.end * 16],
            shift: &shift[n.start * 16..n.end * 16],
            slope: &slope,
        }),
    };
    let together = forward(&c, source(0..2), &weights, None, false, precision);
    let apart = [0, 1].map(|n| forward(&alone, source(n..n + 1), &weights, None, false, precision));
    assert_eq!(together, apart.concat());
    let together = weight_gradient(&c, source(0..2), &dy, precision);
    let apart = [0, 1].map(|n| {
        let dy = &dy[n * alone.output_len()..][..alone.output_len()];
        weight_gradient(&alone, source(n..n + 1), dy, precision)
    });
    for (i, found) in together.iter().enumerate() {
        let expected = apart[0][i] + apart[1][i];
        assert!((found - expected).abs() < 1e-3, "{found} {expected}");
    }
}

#[test]
fn the_same_call_gives_the_same_bits() {
    emulator::install();
    let c = Convolution {
        batch: 1,
        channels_in: 16,
        channels_out: 16,
        input: [3, 9, 20],
        kernel: [3; 3],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [1; 3],
    };
    let mut values = Values(3);
    let (input, upper) = (values.take(c.input_len()), values.take(c.output_len()));
    let gradient = || weight_gradient(&c, Source::plain(&input), &upper, Precision::Bf16);
    assert_eq!(gradient(), gradient());
}
