//! Element-wise kernels against a copy of as many values: what memory allows.
//!
//! Throughput counts every value read or written once per pass.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lacuna_kernels::{
    Adam, AdamState, MaxPool, Normalisation, Rectifier, Statistics, activate, add_widened,
    column_sums, mask_rectified, moments,
};
use rayon::prelude::*;

/// 64 MiB: far beyond the caches.
const VALUES: usize = 1 << 24;

fn values(length: usize) -> Vec<f32> {
    (0..length)
        .map(|i| ((i * 7919) % 8191) as f32 / 4096.0 - 1.0)
        .collect()
}

fn arrays(count: usize) -> Throughput {
    Throughput::Bytes((count * VALUES * size_of::<f32>()) as u64)
}

fn plain_copy(c: &mut Criterion) {
    let mut group = c.benchmark_group("copy");
    let (from, mut to) = (values(VALUES), values(VALUES));
    group.throughput(arrays(2)).bench_function("copy", |b| {
        b.iter(|| {
            to.par_chunks_mut(1 << 16)
                .zip(from.par_chunks(1 << 16))
                .for_each(|(to, from)| to.copy_from_slice(from));
        });
    });
    group.finish();
}

fn normalise(c: &mut Criterion) {
    let mut group = c.benchmark_group("normalise");
    for channels in [16, 30, 150] {
        let x = values(VALUES / channels * channels);
        let row = vec![0.7f32; channels];
        group.throughput(arrays(1));
        group.bench_function(format!("moments/{channels}"), |b| {
            b.iter(|| moments(&x, channels));
        });
        group.bench_function(format!("column sums/{channels}"), |b| {
            b.iter(|| column_sums(&x, channels));
        });
        let normalisation = Normalisation {
            mean: &row,
            variance: &row,
            epsilon: 1e-5,
            gamma: &row,
            beta: &row,
            slope: &row,
            statistics: Statistics::Batch,
        };
        let mut gradient = x.clone();
        group.throughput(arrays(5));
        group.bench_function(format!("backward/{channels}"), |b| {
            b.iter(|| {
                let upstream = std::mem::take(&mut gradient);
                gradient = normalisation.backward(&x, upstream, None).input;
            });
        });
        let rectifier = Rectifier {
            scale: &row,
            shift: &row,
            slope: &row,
        };
        group.throughput(arrays(2));
        group.bench_function(format!("activate/{channels}"), |b| {
            b.iter(|| activate(&x, rectifier, channels));
        });
    }
    group.finish();
}

fn residual(c: &mut Criterion) {
    let mut group = c.benchmark_group("residual");
    let (x, mut to) = (values(VALUES), values(VALUES));
    group.throughput(arrays(3));
    group.bench_function("mask", |b| b.iter(|| mask_rectified(&mut to, &x)));
    group.bench_function("add 16 to 16 channels", |b| {
        b.iter(|| to = add_widened(std::mem::take(&mut to), 16, &x, 16));
    });
    let half = values(VALUES / 2);
    group.throughput(Throughput::Bytes(10 * VALUES as u64));
    group.bench_function("add 16 to 32 channels", |b| {
        b.iter(|| to = add_widened(std::mem::take(&mut to), 32, &half, 16));
    });
    group.finish();
}

fn pool(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool");
    for (window, stride) in [(2, 2), (4, 1)] {
        let pool = MaxPool {
            batch: 64,
            input: [64, 64],
            channels: 64,
            window: [window; 2],
            stride: [stride; 2],
        };
        let input = values(pool.input_len());
        let output = pool.forward(&input);
        let bytes = |arrays: usize| Throughput::Bytes(4 * arrays as u64);
        group.throughput(bytes(input.len() + output.len()));
        group.bench_function(format!("forward/{window} by {stride}"), |b| {
            b.iter(|| pool.forward(&input));
        });
        group.throughput(bytes(2 * input.len() + 2 * output.len()));
        group.bench_function(format!("backward/{window} by {stride}"), |b| {
            b.iter(|| pool.backward(&input, &output, &output));
        });
    }
    group.finish();
}

fn adam(c: &mut Criterion) {
    let mut group = c.benchmark_group("adam");
    let gradient = values(VALUES);
    let mut state = [values(VALUES), values(VALUES), vec![1.0; VALUES]];
    let adam = Adam {
        rate: 1e-3,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-5,
        step: 3,
    };
    group.throughput(arrays(7)).bench_function("update", |b| {
        b.iter(|| {
            let [parameter, mean, squares] = &mut state;
            let state = AdamState {
                parameter,
                mean,
                squares,
            };
            adam.update(state, &gradient);
        });
    });
    group.finish();
}

criterion_group!(benches, plain_copy, normalise, residual, pool, adam);
criterion_main!(benches);
