//! `lacuna export`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use lacuna_auto::Opened;
use lacuna_data::manifest::Manifest;
use lacuna_data::nnunet_folder::write_nnunet;
use lacuna_evaluate::write_bids;
use lacuna_record::{KeptResults, StudyFolder};
use lacuna_train::checkpoint::Choice;
use lacuna_train::config::PredictOverrides;
use lacuna_train::device::{DeviceName, PrecisionName};
use lacuna_train::onnx;

use crate::terminal::Counted;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    #[command(subcommand)]
    dataset: Option<Dataset>,
    /// Folder of a finished `lacuna auto`; for .onnx also a run folder or the file of a model;
    /// for .jsonl.gz the folder of a study
    #[arg(required = true)]
    model: Option<PathBuf>,
    /// File to write. NAME.onnx is for other programs: the network, or the mean of a model's,
    /// with NAME.onnx.json beside it, which tells what else `lacuna predict` does. NAME.lacuna is
    /// one file for `lacuna predict`. NAME.jsonl.gz keeps what a study found, without weights, for
    /// `lacuna sweep --results`, and in a folder as results.jsonl.gz for `lacuna report`
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// With .onnx: "last"; "best" on the validation subjects; or the iteration of a checkpoint
    #[arg(long, value_name = "best|last|N")]
    checkpoint: Option<Choice>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

#[derive(clap::Subcommand)]
enum Dataset {
    /// Write a dataset as one of nnU-Net's raw folders
    Nnunet(NnunetArguments),
    /// Write predictions as a derivative dataset of BIDS
    Bids(BidsArguments),
}

#[derive(clap::Args)]
struct BidsArguments {
    /// Folder of predictions, as for `lacuna evaluate`
    predictions: PathBuf,
    /// Manifest of the subjects that were predicted
    #[arg(long, value_name = "FILE")]
    dataset: PathBuf,
    /// Folder to write, mostly derivatives/NAME in the BIDS folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The predictions hold the dataset's own label values, not class indices; not needed
    /// for those of `lacuna predict --label-values`
    #[arg(long)]
    label_values: bool,
}

#[derive(clap::Args)]
struct NnunetArguments {
    /// The dataset manifest
    dataset: PathBuf,
    /// Folder to write, which nnU-Net wants to be called DatasetNNN_NAME
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folds to write into it: a splits_final.json of nnU-Net, `lacuna plan` or `lacuna auto`
    #[arg(long, value_name = "FILE")]
    splits: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.dataset {
        Some(Dataset::Nnunet(arguments)) => return nnunet(arguments),
        Some(Dataset::Bids(arguments)) => return bids(arguments),
        None => {}
    }
    let (Some(model), Some(file)) = (&arguments.model, &arguments.file) else {
        bail!("expected a model and the file to write");
    };
    super::check_folder_of(file)?;
    let free = |path: &Path| match path.exists() && !arguments.force {
        true => bail!(
            "{} is there already; choose another file, or replace it with --force",
            path.display()
        ),
        false => Ok(()),
    };
    free(file)?;
    let name = file.to_string_lossy().to_lowercase();
    let ending = [".onnx", ".lacuna", ".jsonl.gz"]
        .into_iter()
        .find(|ending| name.ends_with(ending));
    let Some(ending) = ending else {
        bail!(
            "{}: expected a file name that ends in .lacuna, .onnx or .jsonl.gz",
            file.display()
        );
    };
    if ending != ".onnx" {
        if arguments.checkpoint.is_some() {
            bail!(
                "--checkpoint is for .onnx; {} gets what `lacuna predict` would use",
                file.display()
            );
        }
        match ending {
            ".jsonl.gz" => KeptResults::of(&StudyFolder(model.clone()))?.write(file)?,
            _ => lacuna_auto::export(model, file)?,
        }
        return super::print(&format!("written: {}\n", file.display()));
    }
    let beside = onnx::beside(file);
    free(&beside)?;
    let opened = Opened::open(std::slice::from_ref(model))?;
    let device = DeviceName::Cpu.open()?;
    let choice = arguments.checkpoint.unwrap_or_default();
    let precision = Some(PrecisionName::F32);
    let predictor = opened.predictor(
        None,
        choice,
        &device,
        precision,
        PredictOverrides::default(),
    )?;
    predictor.to_onnx()?.write(file)?;
    super::print(&format!(
        "written: {} and {}\n",
        file.display(),
        beside.display()
    ))
}

fn nnunet(arguments: &NnunetArguments) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::read(&arguments.dataset)?;
    super::check_folder_of(&arguments.out)?;
    let mut bar = Counted::new("export");
    let splits = arguments.splits.as_deref();
    let written = write_nnunet(&manifest, &arguments.out, splits, &mut |done, total| {
        bar.at(done, total);
    });
    drop(bar);
    let written = written?;
    let (labelled, without) = (written.labelled, written.unlabelled);
    let what = format!("{labelled} subjects with a label and {without} without");
    told(&arguments.out, &what, &written.notes)
}

/// Tells what was written, and what did not go along.
fn told(out: &Path, what: &str, notes: &[String]) -> anyhow::Result<ExitCode> {
    for note in notes {
        tell!("note: {note}");
    }
    super::print(&format!("written: {}, {what}\n", out.display()))
}

fn bids(arguments: &BidsArguments) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::read(&arguments.dataset)?;
    super::check_folder_of(&arguments.out)?;
    let mut bar = Counted::new("export");
    let written = write_bids(
        &manifest,
        &arguments.predictions,
        arguments.label_values,
        &arguments.out,
        &mut |done, total| bar.at(done, total),
    );
    drop(bar);
    let written = written?;
    let what = format!("{} predictions", written.files);
    told(&arguments.out, &what, &written.notes)
}
