//! Samplers and prefetch on small volumes whose every voxel tells its place.

mod batches;
mod contents;
mod positions;

use std::collections::BTreeMap;
use std::sync::Arc;

use lacuna_data::sampler::{Mixture, PatchConfig, PatchGeometry, Plane, Sampler, SamplerError};
use lacuna_data::subject::Case;
use lacuna_volume::{Affine, PatchSize, Volume, Zyx};

const SHAPE: [usize; 3] = [6, 5, 4];

fn filled<T>(shape: [usize; 3], value: impl Fn([usize; 3]) -> T) -> Volume<T> {
    let mut data = Vec::new();
    for z in 0..shape[2] {
        for y in 0..shape[1] {
            data.extend((0..shape[0]).map(|x| value([x, y, z])));
        }
    }
    Volume::new(shape, Affine::identity(), data).unwrap()
}

/// Voxel (x, y, z) holds 10000 z + 100 y + x in the first channel and its
/// negative in the second.
fn code([x, y, z]: [usize; 3]) -> f32 {
    (10_000 * z + 100 * y + x) as f32
}

fn case(id: &str, shape: [usize; 3], class: impl Fn([usize; 3]) -> u8) -> Case {
    let image = filled(shape, code);
    let negative = image.map(|v| -v);
    Case {
        label: Some(filled(shape, class)),
        ..Case::of_images(id, vec![image, negative])
    }
}

fn lesion_at(places: &'static [[usize; 3]]) -> impl Fn([usize; 3]) -> u8 {
    move |at| u8::from(places.contains(&at))
}

fn sampler(
    cases: Vec<Case>,
    sampler: impl Into<Mixture>,
    plane: Plane,
    (rank, input, effective): (usize, usize, usize),
) -> Result<(Sampler, Vec<String>), SamplerError> {
    let config = PatchConfig {
        size: PatchSize::Edge(input),
        sampler: sampler.into(),
        plane,
    };
    // A rank that no network has is refused by its sizes too.
    let along = |edge| PatchSize::Edge(edge).along(rank).unwrap_or(Zyx([edge; 3]));
    let geometry = PatchGeometry {
        rank,
        input: along(input),
        effective: along(effective),
    };
    Sampler::new(Arc::new(cases.into()), &config, geometry, 5)
}

/// How often each origin is drawn.
fn origins(sampler: &Sampler, draws: u64) -> BTreeMap<[usize; 3], u64> {
    let mut counts = BTreeMap::new();
    for iteration in 0..draws / 10 {
        for place in sampler.batch(iteration, 10).unwrap().places {
            *counts.entry(place.origin).or_default() += 1;
        }
    }
    counts
}

/// Asserts that exactly `legal` was drawn, each about equally often.
fn assert_uniform(counts: &BTreeMap<[usize; 3], u64>, mut legal: Vec<[usize; 3]>) {
    legal.sort();
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), legal);
    let draws: u64 = counts.values().sum();
    let expected = draws as f64 / legal.len() as f64;
    let chi_square: f64 = counts
        .values()
        .map(|&n| (n as f64 - expected).powi(2) / expected)
        .sum();
    // Mean and SD of chi-square are k and sqrt(2 k): 4 SD above is far in the tail.
    let freedom = (legal.len() - 1) as f64;
    assert!(
        chi_square < freedom + 4.0 * (2.0 * freedom).sqrt(),
        "chi-square {chi_square} with {freedom} degrees of freedom"
    );
}
