//! What the scanner shows: contrast, arbitrary units, bias field and noise.
//!
//! The signal of a voxel is the mix of its tissues' intensities. Intensities
//! follow the order of clinical images: white > grey > CSF on T1,
//! CSF > grey > white on T2, grey > white > CSF on FLAIR; lesions are darker
//! than white matter on T1 and brighter on T2 and FLAIR. Noise is Rician
//! (Gudbjartsson and Patz 1995): the modulus of a complex signal with Gaussian
//! noise on both parts.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::anatomy::Voxel;
use super::config::PhantomConfig;
use super::lesions::Lesions;

/// Intensity of each tissue over that of white matter.
struct Contrast {
    csf: f32,
    grey: f32,
    deep_grey: f32,
    lesion: f32,
}

/// In the order of [`super::MODALITIES`].
const CONTRASTS: [Contrast; 3] = [
    Contrast {
        csf: 0.27,
        grey: 0.68,
        deep_grey: 0.80,
        lesion: 0.60,
    },
    Contrast {
        csf: 2.50,
        grey: 1.45,
        deep_grey: 1.20,
        lesion: 1.95,
    },
    Contrast {
        csf: 0.22,
        grey: 1.25,
        deep_grey: 1.15,
        lesion: 1.80,
    },
];

/// The three images, 0 outside the brain, and the white-matter intensity of each.
pub(super) fn scan(
    config: &PhantomConfig,
    brain: &[Voxel],
    lesions: &Lesions,
    rng: impl Fn(usize) -> ChaCha8Rng + Sync,
) -> ([Vec<f32>; 3], [f32; 3]) {
    let lesion = lesion_share(config.shape, &lesions.strength);
    let mut images: [Vec<f32>; 3] = Default::default();
    let mut white = [0.0; 3];
    images
        .par_iter_mut()
        .zip(&mut white)
        .zip(&CONTRASTS)
        .enumerate()
        .for_each(|(modality, ((image, white), contrast))| {
            (*image, *white) = scan_one(config, brain, &lesion, contrast, rng(modality));
        });
    (images, white)
}

fn scan_one(
    config: &PhantomConfig,
    brain: &[Voxel],
    lesion: &[f32],
    contrast: &Contrast,
    mut rng: ChaCha8Rng,
) -> (Vec<f32>, f32) {
    // Magnetic resonance images have no unit: white matter lies anywhere.
    let gain = 400.0 * rng.random_range(-0.6..0.6f64).exp() as f32;
    let vary = |rng: &mut ChaCha8Rng, mean: f32| mean * rng.random_range(0.96..1.04);
    let csf = vary(&mut rng, contrast.csf);
    let grey = vary(&mut rng, contrast.grey);
    let deep_grey = vary(&mut rng, contrast.deep_grey);
    let lesion_gain = config.contrast as f32 * (contrast.lesion - 1.0);
    let bias = bias_field(config, brain, &mut rng);
    let noise = config.noise as f32;

    let mut image = vec![0.0; brain.len()];
    for (i, (value, voxel)) in image.iter_mut().zip(brain).enumerate() {
        if !voxel.inside() {
            continue;
        }
        let tissue = csf * voxel.csf
            + grey * voxel.grey
            + deep_grey * voxel.deep_grey
            + voxel.white
            + lesion_gain * lesion[i] * voxel.white;
        let mut normal = || noise * rng.sample::<f32, _>(StandardNormal);
        let (real, imaginary) = (tissue.max(0.0) * bias[i] + normal(), normal());
        *value = gain * real.hypot(imaginary);
    }
    (image, gain)
}

/// A random quadratic over the grid, scaled to span `1 ± bias` over the brain.
fn bias_field(config: &PhantomConfig, brain: &[Voxel], rng: &mut ChaCha8Rng) -> Vec<f32> {
    let [nx, ny, nz] = config.shape;
    let coefficients: [f32; 9] = std::array::from_fn(|_| rng.random_range(-1.0..1.0));
    let at = |i: usize, n: usize| (2 * i + 1) as f32 / n as f32 - 1.0;
    let mut field = vec![0.0f32; brain.len()];
    for (row, values) in field.chunks_exact_mut(nx).enumerate() {
        let (y, z) = (at(row % ny, ny), at(row / ny, nz));
        for (i, value) in values.iter_mut().enumerate() {
            let x = at(i, nx);
            let terms = [x, y, z, x * x, y * y, z * z, x * y, y * z, z * x];
            *value = terms.iter().zip(&coefficients).map(|(t, c)| t * c).sum();
        }
    }
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for (value, _) in field.iter().zip(brain).filter(|(_, v)| v.inside()) {
        low = low.min(*value);
        high = high.max(*value);
    }
    let scale = 2.0 * config.bias as f32 / (high - low).max(f32::MIN_POSITIVE);
    for value in &mut field {
        *value = 1.0 + (*value - 0.5 * (low + high)) * scale;
    }
    field
}

/// Lesions as a scanner's blur shows them: a third of each voxel's strength is
/// its 3x3x3 neighbourhood's, weighted 1 2 1 along each axis.
fn lesion_share(shape: [usize; 3], strength: &[f32]) -> Vec<f32> {
    let mut blurred = strength.to_vec();
    let strides = [1, shape[0], shape[0] * shape[1]];
    for axis in 0..3 {
        let (stride, n) = (strides[axis], shape[axis]);
        let before = blurred.clone();
        for (i, value) in blurred.iter_mut().enumerate() {
            let c = i / stride % n;
            let low = if c > 0 { before[i - stride] } else { 0.0 };
            let high = if c + 1 < n { before[i + stride] } else { 0.0 };
            *value = 0.25 * low + 0.5 * before[i] + 0.25 * high;
        }
    }
    let third = |(s, b): (&f32, &f32)| (2.0 * s + b) / 3.0;
    strength.iter().zip(&blurred).map(third).collect()
}
