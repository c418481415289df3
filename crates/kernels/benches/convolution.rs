//! The convolutions of HighRes3DNet and of a UNet, forward and both gradients.
//!
//! `cargo bench -p lacuna-kernels --bench convolution`

use criterion::{Criterion, criterion_group, criterion_main};
use lacuna_kernels::{Convolution, Precision, Source};

/// Name, batch, channels, voxels, kernel, dilation.
type Case = (
    &'static str,
    usize,
    [usize; 2],
    [usize; 3],
    [usize; 3],
    usize,
);

const CASES: [Case; 5] = [
    ("16 channels, 51^3", 1, [16, 16], [51; 3], [3; 3], 1),
    (
        "64 channels, 51^3, dilation 4",
        1,
        [64, 64],
        [51; 3],
        [3; 3],
        4,
    ),
    (
        "64 to 80 channels, 51^3, one tap",
        1,
        [64, 80],
        [51; 3],
        [1; 3],
        1,
    ),
    ("64 channels, 64^2", 5, [64, 64], [1, 64, 64], [1, 3, 3], 1),
    (
        "1024 channels, 4^2",
        5,
        [1024, 1024],
        [1, 4, 4],
        [1, 3, 3],
        1,
    ),
];

fn convolutions(criterion: &mut Criterion) {
    for (name, batch, [channels_in, channels_out], input, kernel, dilation) in CASES {
        let along = |flat, value| kernel.map(|taps| if taps == 1 { flat } else { value });
        let c = Convolution {
            batch,
            channels_in,
            channels_out,
            input,
            kernel,
            stride: [1; 3],
            dilation: along(1, dilation),
            padding: along(0, dilation),
        };
        let wave = |length: usize| -> Vec<f32> { (0..length).map(|i| (i as f32).sin()).collect() };
        let (x, w, dy) = (
            wave(c.input_len()),
            wave(c.weight_len()),
            wave(c.output_len()),
        );
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        for precision in [Precision::F32, Precision::Bf16] {
            group.bench_function(format!("forward {precision:?}"), |b| {
                b.iter(|| c.forward(Source::plain(&x), &w, None, false, precision));
            });
            group.bench_function(format!("data gradient {precision:?}"), |b| {
                b.iter(|| c.data_gradient(&dy, &w, precision));
            });
            group.bench_function(format!("weight gradient {precision:?}"), |b| {
                b.iter(|| c.weight_gradient(Source::plain(&x), &dy, precision));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, convolutions);
criterion_main!(benches);
