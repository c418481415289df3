//! Trains on a phantom cohort, predicts the held-out subjects and scores them:
//! `cargo run --release -p lacuna --example train_predict_evaluate -- NEW_FOLDER`

use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use lacuna::data::manifest::Manifest;
use lacuna::data::phantom::{PhantomConfig, write_cohort};
use lacuna::evaluate::{Request, evaluate};
use lacuna::metrics::Options;
use lacuna::record::{Existing, PREDICTION_ENDING};
use lacuna::train::apply::TrainedRun;
use lacuna::train::checkpoint::Choice;
use lacuna::train::predict::Session;
use lacuna::train::predictor::Predictor;
use lacuna::train::{config::RunConfig, device::DeviceName, into_folder::Target, training::train};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("give a folder to write")?);
    let dataset = write_cohort(&PhantomConfig::default(), &folder.join("cohort"))?;
    let toml = format!("dataset = {dataset:?}\n[train]\niterations = 200\n");
    std::fs::write(folder.join("run.toml"), toml)?;

    let (device, stop) = (DeviceName::Cpu.open()?, AtomicBool::new(false));
    let config = RunConfig::read(&folder.join("run.toml"), &[])?;
    let run = folder.join("run");
    train(&config, &run, false, &device, &stop, &mut |_| {})?;

    // `Predictor::open` takes several runs, and predicts their mean.
    let predictor = Predictor::from(TrainedRun::open(&run, Choice::Last, &device, None)?);
    let manifest = Manifest::read(&dataset)?;
    let (test, session) = (&predictor.first().facts.split.test, Session::new(&stop));
    let target = Target {
        folder: &folder.join("predictions"),
        ending: PREDICTION_ENDING,
        probabilities: false,
        spread: false,
        label_values: false,
        existing: Existing::Refuse,
    };
    predictor.predict_into(&manifest, test, &target, session, &mut |_| {})?;

    let request = Request {
        manifest: &manifest,
        predictions: target.folder,
        out: &folder.join("evaluation"),
        subjects: &[],
        options: Options::default(),
        label_values: false,
        force: false,
        overlay: None,
    };
    for (subject, row) in evaluate(&request, &mut |_, _| {})?.rows() {
        println!("{subject} {}: DSC {:.3}", row.class, row.dsc);
    }
    Ok(())
}
