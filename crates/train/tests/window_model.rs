//! Prediction by another model than a single network: nothing around it changes.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use lacuna_data::manifest::Manifest;
use lacuna_data::phantom::{PhantomConfig, write_cohort};
use lacuna_data::sampler::Plane;
use lacuna_data::subject::{Case, load_case};
use lacuna_data::transform::AnatomicalAxis;
use lacuna_nets::{Architecture, ModelConfig, ModelName, Network, Stages};
use lacuna_train::compute::Compute;
use lacuna_train::config::RunConfig;
use lacuna_train::device::PrecisionName;
use lacuna_train::outputs::Outputs;
use lacuna_train::predict::{
    Average, Averaged, Mirrored, NotFinite, Session, SingleNetwork, Window, WindowModel,
    WindowOptions, predict_case,
};
use lacuna_train::run::RunError;
use lacuna_volume::Zyx;

/// Infinity wherever it is asked.
struct Overflow(SingleNetwork);

impl WindowModel for Overflow {
    fn architecture(&self) -> Architecture {
        self.0.architecture()
    }

    fn plane(&self) -> Plane {
        self.0.plane()
    }

    fn outputs(&self) -> &Outputs {
        self.0.outputs()
    }

    fn values(&self, _: Window) -> Result<Vec<f32>, NotFinite> {
        Err(NotFinite)
    }
}

fn case() -> Case {
    let folder = tempfile::tempdir().unwrap();
    let phantoms = PhantomConfig {
        subjects: 1,
        shape: [23, 20, 5],
        spacing: [4.0; 3],
        foreground_share: 0.01,
        lesion_volume_mm3: [200.0, 2000.0],
        ..PhantomConfig::default()
    };
    let dataset = write_cohort(&phantoms, folder.path()).unwrap();
    let manifest = Manifest::read(&dataset).unwrap();
    load_case(&manifest, &manifest.subjects[0], &Default::default()).unwrap()
}

fn network(case: &Case, seed: u64) -> SingleNetwork {
    let mut unet = ModelConfig::new(ModelName::Unet);
    unet.width = 0.05;
    network_of(&unet, case, seed)
}

fn network_of(config: &ModelConfig, case: &Case, seed: u64) -> SingleNetwork {
    let compute = Compute::new(&Device::flex(), PrecisionName::F32).unwrap();
    let classes = ["background".to_owned(), "lesion".to_owned()];
    let outputs = Outputs::new(&RunConfig::default(), &classes).unwrap();
    let channels = case.channels.len();
    let network = Network::new(config, channels, 2, seed, compute.device()).unwrap();
    SingleNetwork::new(network, compute, outputs, Plane::Coronal)
}

fn probabilities(model: &dyn WindowModel, case: &Case) -> Vec<Vec<f32>> {
    let stop = AtomicBool::new(false);
    let session = Session {
        windows: WindowOptions {
            window: Some(52.into()),
            ..WindowOptions::default()
        },
        probabilities: true,
        ..Session::new(&stop)
    };
    let prediction = predict_case(model, case, session, &mut |_, _| {}).unwrap();
    let volumes = prediction.probabilities.unwrap();
    volumes.into_iter().map(|v| v.into_data()).collect()
}

/// Blending is linear: the mean of two models is the mean of their predictions.
#[test]
fn a_mean_of_networks_is_predicted_like_one() {
    let case = case();
    let networks = [1, 2].map(|seed| network(&case, seed));
    let parts = networks
        .each_ref()
        .map(|network| probabilities(network, &case));
    let mean = probabilities(&averaged(&networks, Average::Probabilities), &case);
    assert_ne!(parts[0], parts[1]);
    for (channel, mean) in mean.iter().enumerate() {
        for (voxel, mean) in mean.iter().enumerate() {
            let expected = (parts[0][channel][voxel] + parts[1][channel][voxel]) / 2.0;
            assert!((mean - expected).abs() < 1e-6, "{mean} {expected}");
        }
    }
}

fn averaged(networks: &[SingleNetwork], average: Average) -> Averaged<'_> {
    let outputs = networks[0].outputs();
    Averaged::new(networks.iter().collect(), outputs, average).unwrap()
}

/// A window of noise for the network.
fn noise(channels: usize) -> Window {
    let values = (0..channels * 52 * 56).map(|i| (i * 7919 % 1009) as f32 / 500.0 - 1.0);
    Window {
        values: values.collect(),
        channels,
        size: Zyx([1, 52, 56]),
    }
}

/// The softmax of mean logits is the geometric mean of the probabilities, brought to 1.
#[test]
fn a_mean_of_logits_is_a_geometric_mean() {
    let case = case();
    let networks = [1, 2].map(|seed| network(&case, seed));
    let window = || noise(case.channels.len());
    let [a, b] = networks
        .each_ref()
        .map(|network| network.values(window()).unwrap());
    let model = averaged(&networks, Average::Logits);
    let mut found = model.values(window()).unwrap();
    model.finish(&mut found);
    let voxels = found.len() / 2;
    let mut unlike = 0.0_f32;
    for i in 0..voxels {
        let geometric = |i: usize| (a[i] * b[i]).sqrt();
        let [background, lesion] = [geometric(i), geometric(i + voxels)];
        let expected = lesion / (background + lesion);
        assert!((found[i + voxels] - expected).abs() < 1e-5, "{expected}");
        unlike = unlike.max((expected - (a[i + voxels] + b[i + voxels]) / 2.0).abs());
    }
    assert!(unlike > 1e-4, "{unlike}: the other mean is the same");
}

#[test]
fn the_mean_of_one_network_is_the_network() {
    let case = case();
    let networks = [network(&case, 1)];
    let window = || noise(case.channels.len());
    let alone = networks[0].values(window()).unwrap();
    for average in [Average::Probabilities, Average::Logits] {
        let model = averaged(&networks, average);
        let mut found = model.values(window()).unwrap();
        model.finish(&mut found);
        assert_eq!(found, alone);
    }
}

#[test]
fn networks_that_share_no_window_have_no_mean() {
    let case = case();
    let unet = network(&case, 1);
    // Lengths in steps of 16 and of 8, both without a border.
    let mut padded = ModelConfig::new(ModelName::PaddedUnet);
    padded.width = 0.05;
    let mut plain = ModelConfig::new(ModelName::PlainConvUnet);
    plain.stages = Some(Stages::regular(2, 4, 2));
    let [padded, plain] = [padded, plain].map(|config| network_of(&config, &case, 1));
    let mean = |networks: [&SingleNetwork; 2]| {
        let outputs = unet.outputs();
        let model = Averaged::new(networks.to_vec(), outputs, Average::Probabilities)?;
        Some(model.architecture().smallest_legal())
    };
    assert_eq!(mean([&unet, &padded]), None);
    assert_eq!(mean([&plain, &padded]), Some(Zyx([1, 16, 16])));
}

/// A mirrored model of a mirrored window says the mirror image, to the last bit: the
/// two images are the same, in the other order.
#[test]
fn a_mirrored_model_knows_no_side() {
    let case = case();
    let channels = case.channels.len();
    let single = network(&case, 1);
    let values = noise(channels).values;
    let window = |values| Window {
        values,
        channels,
        size: Zyx([1, 52, 56]),
    };
    // x of a coronal slice runs from left to right.
    let rows = |values: &[f32], x: usize| -> Vec<f32> {
        let rows = values.chunks_exact(x);
        rows.flat_map(|row| row.iter().rev().copied()).collect()
    };
    let model = Mirrored::new(&single, &[AnatomicalAxis::LeftRight]).unwrap();
    let found = model.values(window(values.clone())).unwrap();
    let turned = model.values(window(rows(&values, 56))).unwrap();
    assert_eq!(rows(&turned, 16), found);
    let alone = single.values(window(values.clone())).unwrap();
    let other = single.values(window(rows(&values, 56))).unwrap();
    for ((found, a), b) in found.iter().zip(&alone).zip(rows(&other, 16)) {
        assert!((found - (a + b) / 2.0).abs() < 1e-6);
    }
    assert_ne!(found, alone);
    let refused = Mirrored::new(&single, &[AnatomicalAxis::PosteriorAnterior]);
    assert!(matches!(refused, Err(RunError::Mirror(_))));
}

#[test]
fn an_output_that_is_no_number_is_refused() {
    let mut case = case();
    let at = case.channels[0].index([3, 4, 2]);
    case.channels[0].data_mut()[at] = -3e38;
    let stop = AtomicBool::new(false);
    let model = Overflow(network(&case, 1));
    let refused = predict_case(&model, &case, Session::new(&stop), &mut |_, _| {});
    let Err(RunError::NotFiniteOutput {
        channel, intensity, ..
    }) = refused
    else {
        panic!("not refused");
    };
    assert_eq!((channel, intensity), (0, -3e38));
}
