//! Configurations and trained models: those of runs, exported files, models of nnU-Net.

use std::fmt::Display;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use lacuna_auto::nnunet::{Asked, import};
use lacuna_auto::{Opened, export};
use lacuna_nets::Network;
use lacuna_train::apply::TrainedRun;
use lacuna_train::checkpoint::{self, Choice};
use lacuna_train::config::{LESIONS_3D, PredictOverrides, RunConfig, TEMPLATE};
use lacuna_train::device::DeviceName;
use lacuna_train::postprocess::Postprocess;
use lacuna_train::step::new_optimiser;
use lacuna_train::training::train;

use super::tiny::Tiny;
use super::{Outcome, golden};
use crate::input::Input;

/// A training of two iterations.
const RUN: &str = "dataset = \"dataset.toml\"\n[model]\n\
    name = \"plain-conv-unet\"\nstages = { axes = 2, features = [2, 4], kernels = [[3, 3], \
    [3, 3]], strides = [[1, 1], [2, 2]], down = [1, 1], up = [1], norm = \"instance\" }\n\
    [normalise]\nmethod = \"z-score\"\n[patch]\nsize = 16\n\
    [train]\niterations = 2\nbatch = 1\nema = 0.9\n";

const RULES: &str = "classes = [\"background\", \"lesion\"]\ndataset = \"my-study\"\n\
    temperature = 1.4\n[foreground]\nthreshold = 0.4\nmin_volume_mm3 = 10\n\
    min_peak_probability = 0.7\nlargest_component = false\n[class.lesion]\nthreshold = 0.3\n";

pub fn configurations() -> Vec<Input> {
    [TEMPLATE, LESIONS_3D, RUN]
        .map(|text| Input::new("run.toml", text))
        .to_vec()
}

/// A configuration is what it is written as.
pub fn read_configuration(folder: &Path, input: &Input) -> Outcome {
    let config = match RunConfig::read(&folder.join(input.name()), &[]) {
        Ok(config) => config,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let text = match config.to_toml() {
        Ok(text) => text,
        Err(error) => return Outcome::Wrong(format!("it cannot be written: {error}")),
    };
    match RunConfig::parse(&text, &[], "again", folder).and_then(|again| again.to_toml()) {
        Ok(again) if again == text => Outcome::Decoded,
        Ok(_) => Outcome::Wrong("written and read, it is another".to_owned()),
        Err(error) => Outcome::Wrong(format!("written, it is refused: {error}")),
    }
}

pub fn rules() -> Vec<Input> {
    vec![Input::new("postprocess.toml", RULES)]
}

pub fn read_rules(folder: &Path, input: &Input) -> Outcome {
    Outcome::of(Postprocess::read(&folder.join(input.name())))
}

/// A run as earlier versions left it: without hashes, so that damage reaches what reads.
pub fn runs() -> Vec<Input> {
    let tiny = Tiny::new();
    let config = RunConfig::parse(RUN, &[], "run.toml", &tiny.path("")).expect("it is whole");
    let device = DeviceName::Cpu.open().expect("a processor");
    let (run, stop) = (tiny.path("run"), AtomicBool::new(false));
    train(&config, &run, false, &device, &stop, &mut |_| {}).expect("two iterations");
    let whole = Input::read(&run, "").expect("what was written");
    let state = "checkpoint-000002/state.json";
    let mut input = Input::default();
    for (name, bytes) in whole.files {
        let read = ["run.toml", "dataset.json", "summary.json"].contains(&&*name);
        if name == state {
            let mut counters: serde_json::Value =
                serde_json::from_slice(&bytes).expect("it was just written");
            let counters = counters.as_object_mut().expect("counters by name");
            counters.remove("parts");
            counters.remove("run");
            let text = serde_json::to_vec(counters).expect("counters are JSON");
            input = input.with(name, text);
        } else if read || name.starts_with("checkpoint-000002/") {
            input = input.with(name, bytes);
        }
    }
    vec![input]
}

/// Opened to be predicted with, and to be gone on with.
pub fn read_run(folder: &Path, _: &Input) -> Outcome {
    let device = DeviceName::Cpu.open().expect("a processor");
    if let Err(error) = TrainedRun::open(folder, Choice::Last, &device, None) {
        return Outcome::Refused(error.to_string());
    }
    Outcome::of(gone_on_with(folder, &device))
}

fn gone_on_with(folder: &Path, device: &Device) -> Result<(), String> {
    let config = RunConfig::parse(RUN, &[], "run.toml", folder).expect("it is whole");
    let network = Network::new(&config.model, 1, 2, 0, device).expect("a small network");
    let Some((folder, _)) = checkpoint::latest(folder).map_err(told)? else {
        return Ok(());
    };
    let (network, _) = checkpoint::load_both(&folder, network).map_err(told)?;
    let optimiser = new_optimiser(&config.train);
    checkpoint::load_optimiser(&folder, optimiser, &network).map_err(told)?;
    checkpoint::load_errors(&folder).map_err(told)?;
    Ok(())
}

fn told(error: impl Display) -> String {
    error.to_string()
}

/// What was exported of the small model of nnU-Net that is in the repository.
pub fn exported() -> Vec<Input> {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let (model, file) = (folder.path().join("model"), folder.path().join("a.lacuna"));
    let from = golden("nnunet_models/thick/model");
    import(&from, &model, &Asked::default()).expect("a model");
    export(&model, &file).expect("a whole model");
    let bytes = std::fs::read(&file).expect("it was just written");
    vec![Input::new("a.lacuna", bytes)]
}

pub fn read_exported(folder: &Path, input: &Input) -> Outcome {
    let device = DeviceName::Cpu.open().expect("a processor");
    let overrides = PredictOverrides::default();
    match Opened::open(&[folder.join(input.name())]) {
        Ok(opened) => Outcome::of(opened.predictor(None, Choice::Last, &device, None, overrides)),
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

pub fn of_nnunet() -> Vec<Input> {
    let of = |model: &str| {
        let from = golden("nnunet_models").join(model).join("model");
        let read = |name: &str| std::fs::read(from.join(name)).expect("a file of the corpus");
        let names = ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"];
        (names.iter()).fold(Input::default(), |input, name| {
            input.with(*name, read(name))
        })
    };
    ["thick", "slices"].map(of).to_vec()
}

pub fn read_nnunet(folder: &Path, _: &Input) -> Outcome {
    let out = tempfile::tempdir_in(folder).expect("a folder for temporary files");
    let imported = import(folder, &out.path().join("model"), &Asked::default());
    Outcome::of(imported)
}
