//! `lacuna demo`: the whole way on a phantom cohort.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use lacuna_data::manifest::Manifest;
use lacuna_data::phantom::{PhantomConfig, write_cohort};
use lacuna_losses::Loss;
use lacuna_metrics::{Bootstrap, Options};
use lacuna_nets::Architecture;
use lacuna_report::{Fact, IterationRow, MetricTable, Picture, RunReport, render};
use lacuna_train::apply::TrainedRun;
use lacuna_train::config::RunConfig;
use lacuna_train::device::DeviceName;
use lacuna_volume::PatchSize;

use lacuna_evaluate::Request;
use lacuna_record::{Evaluation, Existing, Summary, check_folder, read_events};
use lacuna_train::predict::Session;

use super::evaluate::{evaluate_with_progress, table};
use super::predict::predict_dataset;
use super::train::train_with_progress;
use crate::terminal::stop_flag;
use lacuna_train::into_folder::Target;

/// The run that the demo trains; the rest are defaults.
const RUN: &str = include_str!("demo.toml");

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder to write; default: lacuna-demo, or the first free of lacuna-demo-2, -3, ...
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Key of the phantoms and of the training
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let out = arguments.out.clone().unwrap_or_else(free_folder);
    check_folder(&out)?;
    if let Some(found) = std::fs::read_dir(&out).into_iter().flatten().next() {
        bail!(
            "{} is not empty: found {}; give --out a new or an empty folder",
            out.display(),
            found?.file_name().display()
        );
    }
    super::create_folder(&out)?;
    let stop = stop_flag()?;

    let phantoms = PhantomConfig {
        seed: arguments.seed,
        ..PhantomConfig::default()
    };
    eprintln!(
        "1/4 {} phantoms of {:?} voxels, lesions in {:.3} % of them",
        phantoms.subjects,
        phantoms.shape,
        100.0 * phantoms.foreground_share
    );
    let dataset = write_cohort(&phantoms, &out.join("cohort"))?;

    let run_toml = out.join("run.toml");
    let text = format!("seed = {}\n{RUN}", arguments.seed);
    lacuna_io::atomic::write_bytes(&run_toml, text.as_bytes())?;
    let config = RunConfig::read(&run_toml, &[])?;
    let run = out.join("run");
    eprintln!("2/4 training: {}", run_toml.display());
    let summary = train_with_progress(&config, &run, false, DeviceName::Cpu, &stop)?;
    if !summary.finished {
        eprintln!("stopped");
        return Ok(ExitCode::from(130));
    }

    let predictions = out.join("predictions");
    let trained = TrainedRun::open(&run, &DeviceName::Cpu.open()?, None)?;
    let manifest = Manifest::read(&dataset)?;
    let test = trained.facts.split.test.clone();
    eprintln!("3/4 predicting the held-out subjects: {}", test.join(", "));
    predict_dataset(
        &trained,
        &manifest,
        &test,
        &Target {
            folder: &predictions,
            probabilities: false,
            label_values: false,
            existing: Existing::Refuse,
        },
        Session::new(&stop),
    )?;

    eprintln!("4/4 evaluating");
    let folder = out.join("evaluation");
    let evaluation = evaluate_with_progress(&Request {
        manifest: &manifest,
        predictions: &predictions,
        out: &folder,
        subjects: &[],
        options: Options::default(),
        label_values: false,
        force: false,
        overlay: None,
    })?;
    print!("{}", table(&evaluation));
    let page = report(&config, &summary, &run, &evaluation, &folder)?;
    let path = out.join("report.html");
    lacuna_io::atomic::write_bytes(&path, page.as_bytes())?;
    println!("report: {}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// The page of the demo's run.
fn report(
    config: &RunConfig,
    summary: &Summary,
    run: &Path,
    evaluation: &Evaluation,
    folder: &Path,
) -> anyhow::Result<String> {
    let iterations = read_events(run)?.into_iter().map(|e| IterationRow {
        iteration: e.iteration,
        loss: e.loss,
        dsc: e.dsc,
        foreground_share: e.foreground_share,
        empty_patches: e.empty_patches,
        seconds: e.seconds,
    });
    let scores: Vec<_> = (evaluation.subjects.iter())
        .map(|s| (s.subject.clone(), s.classes.clone()))
        .collect();
    let pictures = evaluation.subjects.iter().map(|s| {
        let path = folder.join(&s.overlay.file);
        Ok(Picture {
            title: s.subject.clone(),
            caption: s.overlay.caption.clone(),
            png: std::fs::read(&path).with_context(|| path.display().to_string())?,
            size: s.overlay.size,
        })
    });
    let architecture = Architecture::of(&config.model)?;
    let [_, effective] = architecture.patch(config.patch.size)?;
    let effective = PatchSize::of(effective, architecture.rank());
    let facts = vec![
        Fact::new("Network", config.model.name),
        Fact::new("Width", config.model.width),
        Fact::new("Parameters", summary.parameters),
        Fact::new("Loss", config.loss.named.name()),
        Fact::new("Patch", config.patch.size),
        Fact::new("Effective patch", effective),
        Fact::new("Patches per iteration", config.train.batch),
        Fact::new("Learning rate", config.train.learning_rate),
        Fact::new("Iterations", summary.iterations),
        Fact::new(
            "Seconds per iteration",
            format!("{:.3}", summary.seconds_per_iteration),
        ),
        Fact::new("Device", "cpu"),
        Fact::new("Seed", config.seed),
    ];
    Ok(render(&RunReport {
        title: "Lacuna demo".to_owned(),
        subtitle: "Phantom brains with rare lesions: trained, predicted and scored".to_owned(),
        facts,
        iterations: iterations.collect(),
        patches_per_iteration: config.train.batch,
        sampler: "every effective patch holds at least one foreground voxel".to_owned(),
        metrics: Some(MetricTable::of_scores(&scores, &Bootstrap::default())?),
        pictures: pictures.collect::<anyhow::Result<_>>()?,
        notes: vec![
            "The cohort is synthetic; the figures say that the software works, not how well it \
             does on patients."
                .to_owned(),
        ],
    }))
}

fn free_folder() -> PathBuf {
    let mut folder = PathBuf::from("lacuna-demo");
    let mut number = 1;
    while folder.exists() {
        number += 1;
        folder = Path::new(&format!("lacuna-demo-{number}")).to_owned();
    }
    folder
}
