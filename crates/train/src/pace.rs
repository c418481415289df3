//! How long the parts of a job take on this machine: a training step and a forward pass of
//! a run, measured on random values; a loss; reading an image; predicting a volume.

mod load;
mod loss;
mod volume;

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, TensorData};
use lacuna_data::sampler::PatchMaps;
use lacuna_losses::PatchGrid;
use lacuna_nets::Network;
use lacuna_volume::Zyx;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use load::LoadPace;
pub use loss::{LossPace, LossScene};
pub use volume::{VolumePace, VolumeScene};

use crate::compute::Compute;
use crate::config::RunConfig;
use crate::outputs::Outputs;
use crate::run::RunError;
use crate::step::{Step, Target, new_optimiser};

/// The most input values of a batch: beyond it no machine holds the activations.
const MOST_VALUES: usize = 1 << 28;

/// Steps that are not timed: the first makes the optimiser's state and touches the
/// memory, the second finds both as all later ones do.
const WARM_UP: u32 = 2;

/// Seconds of the parts of a run, each measured several times.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// Trainable numbers of the network.
    pub parameters: usize,
    /// Voxels of the effective patch.
    pub effective: Zyx<usize>,
    /// Axes of the network.
    pub rank: usize,
    /// Each training step: forward, loss, backward and optimiser.
    pub steps: Vec<f64>,
    /// Each forward pass of a batch in evaluation mode.
    pub forward: Vec<f64>,
}

impl Pace {
    /// Takes `repeat` steps of `config` on one batch of random values, and as many
    /// forward passes, each kind after two that are not timed.
    ///
    /// # Errors
    /// When the network, the loss or the precision are refused, or the batch is
    /// larger than any machine's memory.
    pub fn measure(
        config: &RunConfig,
        modalities: usize,
        classes: &[String],
        device: &Device,
        repeat: u32,
    ) -> Result<Self, RunError> {
        let compute = Compute::new(device, config.train.precision)?;
        let training = compute.autodiff();
        let outputs = Outputs::new(config, classes)?;
        let mut network = Network::new(
            &config.model,
            modalities,
            outputs.count(),
            config.seed,
            training.device(),
        )?;
        let (batch, size) = (config.train.batch, config.patch.size);
        let [input, effective] = network.architecture().patch(size)?;
        let rank = network.rank();
        let huge = RunError::HugeBatch {
            batch,
            patch: size,
            most: MOST_VALUES,
        };
        let (images, labels) =
            random_batch(batch, modalities, [input, effective], rank).ok_or(huge)?;
        let step = Step {
            compute: &training,
            loss: &config.loss,
            regions: outputs.regions(),
            grid: PatchGrid {
                shape: effective,
                spacing: Zyx([1.0; 3]),
            },
            rate: config.train.learning_rate,
            deep_supervision: config.train.deep_supervision,
            clip_norm: config.train.clip_norm,
        };
        let mut optimiser = new_optimiser(&config.train);
        let maps = PatchMaps::default();
        let mut steps = Vec::new();
        for repetition in 0..WARM_UP + repeat {
            let target = Target {
                labels: &labels,
                maps: &maps,
                iteration: u64::from(repetition),
            };
            let (taken, seconds) =
                timed(|| step.take(network, &mut optimiser, vec![(images.clone(), target)]));
            network = taken?.network;
            steps.push(seconds);
        }
        let network = network.valid();
        let forward = (0..WARM_UP + repeat)
            .map(|_| timed(|| compute.logits(&network, images.clone()).into_data()).1);
        Ok(Self {
            parameters: network.parameter_count(),
            effective,
            rank,
            steps: steps.split_off(WARM_UP as usize),
            forward: forward.skip(WARM_UP as usize).collect(),
        })
    }
}

/// The result of some work and the seconds it took. What the work makes is
/// handed out, so that throwing it away is not timed.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let made = work();
    (made, started.elapsed().as_secs_f64())
}

/// Random images of `batch` patches of `input` voxels along the `rank` axes of a
/// network, and labels of their `effective` patches, of which a fiftieth is
/// foreground. `None` where there are more than [`MOST_VALUES`].
fn random_batch(
    batch: usize,
    channels: usize,
    [Zyx(input), Zyx(effective)]: [Zyx<usize>; 2],
    rank: usize,
) -> Option<(TensorData, Vec<u8>)> {
    let mut shape = vec![batch, channels];
    shape.extend(&input[3 - rank..]);
    (shape.iter())
        .try_fold(1_usize, |n, length| n.checked_mul(*length))
        .filter(|values| *values <= MOST_VALUES)?;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| rng.random_range(-1.7..1.7))
        .collect();
    let labels = (0..batch * effective.iter().product::<usize>())
        .map(|_| u8::from(rng.random_bool(0.02)))
        .collect();
    Some((TensorData::new(values, shape), labels))
}
