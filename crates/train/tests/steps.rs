//! Training steps against PyTorch's: the same weights, batch, loss and optimiser,
//! by `tests/golden/steps.py`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::{Device, TensorData};
use lacuna_data::sampler::PatchMaps;
use lacuna_losses::{LossConfig, PatchGrid};
use lacuna_nets::{ModelConfig, ModelName, Network, Stages, load_safetensors, to_safetensors};
use lacuna_train::compute::Compute;
use lacuna_train::config::{OptimiserName, TrainConfig};
use lacuna_train::device::PrecisionName;
use lacuna_train::step::{Step, Taken, Target, new_optimiser};
use lacuna_volume::Zyx;
use safetensors::SafeTensors;

/// Images `[B, C, H, W]` of the script, and what the network makes of an image.
const IMAGES: [usize; 4] = [2, 2, 44, 52];
const EFFECTIVE: [usize; 2] = [4, 12];

fn bytes(file: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    std::fs::read(folder.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn values(bytes: &[u8]) -> BTreeMap<String, Vec<f32>> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let floats = |data: &[u8]| {
        let numbers = data.as_chunks::<4>().0.iter();
        numbers.map(|b| f32::from_le_bytes(*b)).collect()
    };
    file.iter()
        .map(|(name, view)| (name.to_owned(), floats(view.data())))
        .collect()
}

/// `pattern` of `tests/golden/nets.py`.
fn images() -> TensorData {
    let count = IMAGES.iter().product::<usize>() as u64;
    let value = |i: u64| {
        let bits = (i * 2_654_435_761 + 12_345) % (1 << 32);
        let bits = ((bits ^ (bits >> 15)) * 2_246_822_519) % (1 << 32);
        (bits >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    TensorData::new((0..count).map(value).collect::<Vec<f32>>(), IMAGES)
}

/// Three steps; `tolerance` is the largest error of a step as a share of the
/// largest step that any weight of the tensor took.
fn compare(config: &TrainConfig, golden: &str, tolerance: f32) {
    let mut model = ModelConfig::new(ModelName::Unet);
    model.width = 0.04;
    let compute = Compute::new(&Device::flex(), PrecisionName::F32).unwrap();
    let training = compute.autodiff();
    let start = bytes("nets/unet.safetensors");
    let network = Network::new(&model, 2, 3, 0, training.device()).unwrap();
    let mut network = load_safetensors(network, &start).unwrap();
    let mut optimiser = new_optimiser(config);

    let loss: LossConfig = toml::from_str("name = 'cross-entropy'").unwrap();
    let [height, width] = EFFECTIVE;
    let step = Step {
        compute: &training,
        loss: &loss,
        regions: None,
        grid: PatchGrid {
            shape: Zyx([1, height, width]),
            spacing: Zyx([1.0; 3]),
        },
        rate: config.learning_rate,
        deep_supervision: 0,
        clip_norm: config.clip_norm,
    };
    let labels: Vec<u8> = (0..IMAGES[0] * height * width)
        .map(|i| (i * 7 % 11 % 3) as u8)
        .collect();

    let start = values(&start);
    let expected = values(&bytes(golden));
    for iteration in 1..=3 {
        let target = Target {
            labels: &labels,
            maps: &PatchMaps::default(),
            iteration,
        };
        let taken = step.take(network, &mut optimiser, vec![(images(), target)]);
        let Taken {
            network: stepped,
            evaluation,
            ..
        } = taken.unwrap();
        network = stepped;
        let before = f64::from(expected["loss"][iteration as usize - 1]);
        let off = (evaluation.value - before).abs();
        assert!(off < 1e-5, "loss before step {iteration}: {off}");
        if iteration == 2 {
            continue;
        }
        let found = values(&to_safetensors(&network).unwrap());
        for (tensor, start) in &start {
            let expected = &expected[&format!("{iteration}.{tensor}")];
            let moved = expected.iter().zip(start).map(|(e, s)| (e - s).abs());
            let scale = moved.fold(0.0, f32::max);
            assert!(scale > 0.0, "{tensor} does not move");
            for (i, (found, expected)) in found[tensor].iter().zip(expected).enumerate() {
                let off = (found - expected).abs() / scale;
                assert!(
                    off <= tolerance,
                    "{golden} {iteration}.{tensor}[{i}]: off by {off} of the largest step"
                );
            }
        }
    }
}

fn optimiser(optimiser: OptimiserName, learning_rate: f64) -> TrainConfig {
    TrainConfig {
        optimiser,
        learning_rate,
        ..TrainConfig::default()
    }
}

/// Rounding of 32-bit gradients; as in `crates/nets/tests/golden.rs`.
#[test]
fn sgd_with_momentum_steps_as_pytorch() {
    let config = optimiser(OptimiserName::Sgd, 0.05);
    compare(&config, "steps/sgd.safetensors", 5e-3);
}

#[test]
fn sgd_with_nesterov_and_weight_decay_steps_as_pytorch() {
    let config = TrainConfig {
        momentum: Some(0.99),
        nesterov: true,
        weight_decay: 0.01,
        ..optimiser(OptimiserName::Sgd, 0.05)
    };
    compare(&config, "steps/sgd_nesterov.safetensors", 5e-3);
}

#[test]
fn clipped_gradients_step_as_pytorch() {
    let config = TrainConfig {
        clip_norm: 0.1,
        ..optimiser(OptimiserName::Sgd, 0.05)
    };
    compare(&config, "steps/sgd_clipped.safetensors", 5e-3);
}

/// Adam divides by the size of the gradient, so that a small gradient's rounding
/// moves its weight more than a large one's.
#[test]
fn adam_steps_as_pytorch() {
    let config = optimiser(OptimiserName::Adam, 1e-3);
    compare(&config, "steps/adam.safetensors", 2e-2);
}

#[test]
fn adam_with_weight_decay_steps_as_pytorch() {
    let config = TrainConfig {
        weight_decay: 0.5,
        ..optimiser(OptimiserName::AdamW, 1e-3)
    };
    compare(&config, "steps/adamw.safetensors", 2e-2);
}

/// Mean cross-entropy of logits `[class, voxel]`, in f64.
fn cross_entropy(logits: &[f32], labels: &[u8]) -> f64 {
    let voxels = labels.len();
    let classes = logits.len() / voxels;
    let of_voxel = |i: usize| {
        let logit = |class: usize| f64::from(logits[class * voxels + i]);
        let sum: f64 = (0..classes).map(|class| logit(class).exp()).sum();
        sum.ln() - logit(usize::from(labels[i]))
    };
    (0..voxels).map(of_voxel).sum::<f64>() / voxels as f64
}

/// The loss with a coarser output is that of the finest and of the coarser one with half
/// its weight, whose labels keep a lesion of one voxel.
#[test]
fn coarser_outputs_are_trained_with_half_the_weight() {
    let mut model = ModelConfig::new(ModelName::PlainConvUnet);
    model.stages = Some(Stages::regular(2, 3, 4));
    let compute = Compute::new(&Device::flex(), PrecisionName::F32).unwrap();
    let training = compute.autodiff();
    let network = Network::new(&model, 1, 3, 5, training.device()).unwrap();
    let loss: LossConfig = toml::from_str("name = 'cross-entropy'").unwrap();
    let noise: Vec<f32> = (0..256)
        .map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0)
        .collect();
    let images = TensorData::new(noise, [1, 1, 16, 16]);
    // Voxel (2, 5) of 16 x 16 is voxel (1, 2) of 8 x 8.
    let fine: Vec<u8> = (0..256).map(|i| u8::from(i == 2 * 16 + 5)).collect();
    let coarse: Vec<u8> = (0..64).map(|i| u8::from(i == 8 + 2)).collect();
    let expected: Vec<f64> = (compute
        .outputs(&network.valid(), images.clone(), true)
        .into_iter())
    .zip([&fine, &coarse])
    .map(|((logits, _), labels)| cross_entropy(&logits.into_data().try_into_vec().unwrap(), labels))
    .collect();
    let expected = [expected[0], (2.0 * expected[0] + expected[1]) / 3.0];

    let target = Target {
        labels: &fine,
        maps: &PatchMaps::default(),
        iteration: 1,
    };
    let start = values(&to_safetensors(&network).unwrap());
    let moved = [0, 1].map(|below| {
        let step = Step {
            compute: &training,
            loss: &loss,
            regions: None,
            grid: PatchGrid {
                shape: Zyx([1, 16, 16]),
                spacing: Zyx([1.0; 3]),
            },
            rate: 0.1,
            deep_supervision: below,
            clip_norm: 0.0,
        };
        let mut sgd = new_optimiser(&optimiser(OptimiserName::Sgd, 0.1));
        let batches = vec![(images.clone(), target)];
        let taken = step.take(network.clone(), &mut sgd, batches).unwrap();
        let off = (taken.evaluation.value - expected[below]).abs();
        assert!(off < 1e-5, "{below}: {}", taken.evaluation.value);
        let stepped = values(&to_safetensors(&taken.network).unwrap());
        // The first class's bias of the finest head, and of the coarser one.
        ["1", "0"].map(|head| {
            let name = format!("decoder.seg_layers.{head}.bias");
            stepped[&name][0] - start[&name][0]
        })
    });
    assert!(
        (moved[1][0] - moved[0][0] * 2.0 / 3.0).abs() < 1e-6,
        "{moved:?}"
    );
    assert!(moved[0][1] == 0.0 && moved[1][1].abs() > 1e-3, "{moved:?}");
}
