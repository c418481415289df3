//! Prediction by another model than a single network: nothing around it changes.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use lacuna_data::manifest::Manifest;
use lacuna_data::phantom::{PhantomConfig, write_cohort};
use lacuna_data::sampler::Plane;
use lacuna_data::subject::{Case, load_case};
use lacuna_data::transform::AnatomicalAxis;
use lacuna_nets::{Architecture, ModelConfig, ModelName, Network};
use lacuna_train::compute::Compute;
use lacuna_train::config::RunConfig;
use lacuna_train::device::PrecisionName;
use lacuna_train::outputs::Outputs;
use lacuna_train::predict::{
    Mirrored, NotFinite, Session, SingleNetwork, Window, WindowModel, WindowOptions, predict_case,
};
use lacuna_train::run::RunError;
use lacuna_volume::Zyx;

/// The mean of what several networks say.
struct Mean(Vec<SingleNetwork>);

impl WindowModel for Mean {
    fn architecture(&self) -> Architecture {
        self.0[0].architecture()
    }

    fn plane(&self) -> Plane {
        self.0[0].plane()
    }

    fn outputs(&self) -> &Outputs {
        self.0[0].outputs()
    }

    fn probabilities(&self, window: Window) -> Result<Vec<f32>, NotFinite> {
        let mut sum = self.0[0].probabilities(window.clone())?;
        for model in &self.0[1..] {
            let other = model.probabilities(window.clone())?;
            (sum.iter_mut().zip(other)).for_each(|(sum, p)| *sum += p);
        }
        sum.iter_mut().for_each(|p| *p /= self.0.len() as f32);
        Ok(sum)
    }
}

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

    fn probabilities(&self, _: Window) -> Result<Vec<f32>, NotFinite> {
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
    let mut config = ModelConfig::new(ModelName::Unet);
    config.width = 0.05;
    let compute = Compute::new(&Device::flex(), PrecisionName::F32).unwrap();
    let classes = ["background".to_owned(), "lesion".to_owned()];
    let outputs = Outputs::new(&RunConfig::default(), &classes).unwrap();
    let channels = case.channels.len();
    let network = Network::new(&config, channels, 2, seed, compute.device()).unwrap();
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
    let parts = [1, 2].map(|seed| probabilities(&network(&case, seed), &case));
    let mean = probabilities(&Mean(vec![network(&case, 1), network(&case, 2)]), &case);
    assert_ne!(parts[0], parts[1]);
    for (channel, mean) in mean.iter().enumerate() {
        for (voxel, mean) in mean.iter().enumerate() {
            let expected = (parts[0][channel][voxel] + parts[1][channel][voxel]) / 2.0;
            assert!((mean - expected).abs() < 1e-6, "{mean} {expected}");
        }
    }
}

/// A mirrored model of a mirrored window says the mirror image, to the last bit: the
/// two images are the same, in the other order.
#[test]
fn a_mirrored_model_knows_no_side() {
    let case = case();
    let channels = case.channels.len();
    let single = network(&case, 1);
    let values: Vec<f32> = (0..channels * 52 * 56)
        .map(|i| (i * 7919 % 1009) as f32 / 500.0 - 1.0)
        .collect();
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
    let found = model.probabilities(window(values.clone())).unwrap();
    let turned = model.probabilities(window(rows(&values, 56))).unwrap();
    assert_eq!(rows(&turned, 16), found);
    let alone = single.probabilities(window(values.clone())).unwrap();
    let other = single.probabilities(window(rows(&values, 56))).unwrap();
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
