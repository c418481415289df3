//! Generalised Dice with its gradient on the shapes of a patch of 96^3 with two
//! classes and one of 128^3 with four, beside a plain copy of the logits.
//!
//! `RAYON_NUM_THREADS` sets the threads.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lacuna_losses::{Input, Layout, LossConfig};
use rayon::prelude::*;
use std::time::Duration;

/// Logits of about unit variance, and 2 % foreground at random places.
fn draw(layout: Layout) -> (Vec<f32>, Vec<u8>) {
    let mut state = 1u64;
    let mut uniform = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let logits = (0..layout.batch * layout.classes * layout.elements)
        .map(|_| 2.0 * (uniform() + uniform() + uniform() - 1.5))
        .collect();
    let labels = (0..layout.batch * layout.elements)
        .map(|_| u8::from(uniform() > 0.98))
        .collect();
    (logits, labels)
}

fn losses(c: &mut Criterion) {
    let config = LossConfig::default();
    let mut group = c.benchmark_group("value_and_gradient");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(2));
    for (classes, side) in [(2, 96), (4, 128)] {
        let layout = Layout {
            batch: 1,
            classes,
            elements: side * side * side,
        };
        let (logits, labels) = draw(layout);
        let mut gradient = vec![0.0f32; logits.len()];
        let shape = format!("1x{classes}x{side}^3");
        group.throughput(Throughput::Bytes(4 * logits.len() as u64));
        group.bench_function(BenchmarkId::new("generalised-dice", &shape), |b| {
            b.iter(|| {
                let input = Input::new(layout, &logits, &labels);
                config.value_and_gradient(&input, &mut gradient).unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("copy", &shape), |b| {
            b.iter(|| {
                gradient
                    .par_chunks_mut(1 << 15)
                    .zip(logits.par_chunks(1 << 15))
                    .for_each(|(to, from)| to.copy_from_slice(from));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, losses);
criterion_main!(benches);
