//! Training learns: a phantom is overfitted in process.

use std::sync::atomic::AtomicBool;

use lacuna_data::manifest::Manifest;
use lacuna_data::phantom::{PhantomConfig, write_cohort};
use lacuna_metrics::Counts;
use lacuna_train::apply::TrainedRun;
use lacuna_train::checkpoint::Choice;
use lacuna_train::config::RunConfig;
use lacuna_train::device::DeviceName;
use lacuna_train::predict::Session;
use lacuna_train::predictor::Predictor;
use lacuna_train::training::train;

/// Lesion voxels as a share of the volume. Calling everything a lesion has a DSC
/// of 2 s / (1 + s) = 0.04, and calling nothing one has 0.
const SHARE: f64 = 0.02;

/// Half of the lesion voxels found and as many found wrongly would be 0.5: above
/// 0.7 the network has learnt what it was shown.
const LEARNT: f64 = 0.7;

#[test]
fn a_phantom_is_overfitted() {
    let folder = tempfile::tempdir().unwrap();
    let phantoms = PhantomConfig {
        subjects: 1,
        shape: [40, 44, 6],
        spacing: [2.0, 2.0, 4.0],
        foreground_share: SHARE,
        lesion_volume_mm3: [200.0, 2000.0],
        seed: 3,
        ..PhantomConfig::default()
    };
    let dataset = write_cohort(&phantoms, &folder.path().join("cohort")).unwrap();
    let text = format!(
        "dataset = {dataset:?}\n[normalise]\nmethod = \"z-score\"\n\
         [model]\nname = \"padded-unet\"\nwidth = 0.125\n[patch]\nsize = 32\n\
         [train]\niterations = 80\nbatch = 4\nlearning_rate = 2e-3\n"
    );
    let config = RunConfig::parse(&text, &[], "run.toml", folder.path()).unwrap();
    let run = folder.path().join("run");
    let device = DeviceName::Cpu.open().unwrap();
    let stop = AtomicBool::new(false);
    train(&config, &run, false, &device, &stop, &mut |_| {}).unwrap();

    let trained = Predictor::from(TrainedRun::open(&run, Choice::Last, &device, None).unwrap());
    let manifest = Manifest::read(&dataset).unwrap();
    let subject = &manifest.subjects[0];
    let predicted = trained
        .predict(&manifest, subject, Session::new(&stop), &mut |_, _| {})
        .unwrap();
    let reference = lacuna_io::read_labels(subject.label.as_ref().unwrap()).unwrap();
    let reference = manifest.map_labels(subject, &reference).unwrap();
    let counts = Counts::of_foreground(reference.data(), predicted.labels.data()).unwrap();
    assert!(counts.dsc() > LEARNT, "DSC {}: {counts:?}", counts.dsc());
}

/// A configuration made by a program is checked as one that is read.
#[test]
fn a_batch_of_no_patches_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = RunConfig::default();
    config.train.batch = 0;
    let device = DeviceName::Cpu.open().unwrap();
    let stop = AtomicBool::new(false);
    let run = folder.path().join("run");
    let refused = train(&config, &run, false, &device, &stop, &mut |_| {});
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("`train.batch` is 0"), "{message}");
    assert!(!run.exists());
}
