//! `lacuna predict`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use lacuna_data::manifest::{Manifest, Subject};
use lacuna_record::{Predictions, prediction_path};
use lacuna_train::apply::{Files, TrainedRun};
use lacuna_train::device::PrecisionName;
use lacuna_train::predict::{Session, WindowOptions};

use crate::terminal::{Progress, stop_flag};
use crate::{DeviceArgument, PrecisionArgument};

#[derive(clap::Args)]
pub struct Arguments {
    /// Run folder made by `lacuna train`
    run: PathBuf,
    /// Predict the subjects of this manifest into the folder --out
    #[arg(long, required_unless_present = "images", conflicts_with = "images")]
    dataset: Option<PathBuf>,
    /// Predict one subject: an image for each modality, into the file --out
    #[arg(long = "image", value_name = "MODALITY=FILE", id = "images")]
    images: Vec<String>,
    /// With --image: mask outside which everything is background
    #[arg(long, requires = "images")]
    mask: Option<PathBuf>,
    /// With --dataset: predict these subjects only
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "ID,...",
        conflicts_with = "images"
    )]
    subjects: Vec<String>,
    /// With --dataset: predict the subjects of this part of the run's split only
    #[arg(long, value_enum, conflicts_with_all = ["images", "subjects"])]
    split: Option<Part>,
    /// Folder (with --dataset) or .nii/.nii.gz file (with --image) to write
    #[arg(long)]
    out: PathBuf,
    /// Also write probabilities: <id>.probabilities.nii.gz, one volume for each class, or
    /// for each region where the run has `regions`
    #[arg(long)]
    probabilities: bool,
    /// Edge of the input window in voxels; default: a legal size that fits the volume
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// Overlap of neighbouring windows, 0 to 0.9
    #[arg(long, default_value_t = 0.25, value_parser = overlap)]
    overlap: f64,
    /// What convolutions multiply; default: what they did in training
    #[arg(long, value_enum)]
    precision: Option<PrecisionArgument>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArgument,
}

/// `--split`
#[derive(Clone, Copy, ValueEnum)]
enum Part {
    Train,
    Validation,
    Test,
}

fn overlap(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.0..=0.9).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 0.9".to_owned()),
    }
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let device = lacuna_train::device::DeviceName::from(arguments.device).open()?;
    let precision = arguments.precision.map(PrecisionName::from);
    let trained = TrainedRun::open(&arguments.run, &device, precision)?;
    let stop = stop_flag()?;
    let session = Session {
        windows: WindowOptions {
            window: arguments.window,
            overlap: arguments.overlap,
        },
        ..Session::new(&stop)
    };
    let Some(dataset) = &arguments.dataset else {
        return predict_images(arguments, &trained, session);
    };
    let manifest = Manifest::read(dataset)?;
    let ids = match arguments.split {
        Some(Part::Train) => trained.facts.split.train.clone(),
        Some(Part::Validation) => trained.facts.split.validation.clone(),
        Some(Part::Test) => trained.facts.split.test.clone(),
        None if arguments.subjects.is_empty() => {
            manifest.subjects.iter().map(|s| s.id.clone()).collect()
        }
        None => arguments.subjects.clone(),
    };
    if ids.is_empty() {
        bail!(
            "{}: the run's split has no subject in that part; choose another --split, or name --subjects",
            arguments.run.display()
        );
    }
    predict_dataset(
        &trained,
        &manifest,
        &ids,
        &arguments.out,
        arguments.probabilities,
        session,
    )?;
    super::print(&format!("written: {}\n", arguments.out.display()))
}

/// Predicts the subjects `ids` of a manifest into the folder `out`.
pub fn predict_dataset(
    trained: &TrainedRun,
    manifest: &Manifest,
    ids: &[String],
    out: &Path,
    probabilities: bool,
    session: Session,
) -> anyhow::Result<()> {
    trained.check_modalities(manifest)?;
    trained.check_windows(session.windows)?;
    let subjects: Vec<&Subject> = (ids.iter())
        .map(|id| manifest.subject(id))
        .collect::<Result<_, _>>()?;
    super::create_folder(out)?;
    Predictions {
        run: trained.path.clone(),
        iteration: trained.iteration,
        classes: trained.facts.classes.clone(),
        regions: trained.config.regions.clone(),
        subjects: ids.to_vec(),
    }
    .write(out)?;
    // A thousandth of a subject is the step, so that windows move the bar too.
    let mut bar = Progress::new("predict", 0, 1000 * subjects.len() as u64);
    for (number, subject) in subjects.into_iter().enumerate() {
        let files = Files {
            labels: prediction_path(out, &subject.id),
            probabilities: probabilities
                .then(|| out.join(format!("{}.probabilities.nii.gz", subject.id))),
        };
        trained.predict_to_files(manifest, subject, &files, session, &mut |done, total| {
            let share = 1000 * done as u64 / total.max(1) as u64;
            bar.at(1000 * number as u64 + share, &subject.id);
        })?;
    }
    bar.finish();
    Ok(())
}

/// `--image`: a manifest of one subject, made from the arguments.
fn predict_images(
    arguments: &Arguments,
    trained: &TrainedRun,
    session: Session,
) -> anyhow::Result<ExitCode> {
    let name = arguments.out.to_string_lossy();
    let Some(stem) = (name.strip_suffix(".nii.gz")).or_else(|| name.strip_suffix(".nii")) else {
        bail!("--out {name}: expected a file name ending in .nii.gz or .nii with --image");
    };
    super::check_folder_of(&arguments.out)?;
    trained.check_windows(session.windows)?;
    let images = arguments.images.iter().map(|argument| {
        let (modality, file) = argument.split_once('=').with_context(|| {
            format!("--image {argument}: expected MODALITY=FILE, for example FLAIR=flair.nii.gz")
        })?;
        Ok((modality.to_owned(), file.to_owned()))
    });
    let images = images.collect::<anyhow::Result<Vec<_>>>()?;
    let manifest = trained.one_subject("--image", images, arguments.mask.clone())?;
    let probabilities = arguments
        .probabilities
        .then(|| PathBuf::from(format!("{stem}.probabilities.nii.gz")));
    let mut bar = Progress::new("predict", 0, 1000);
    let files = Files {
        labels: arguments.out.clone(),
        probabilities,
    };
    let subject = &manifest.subjects[0];
    trained.predict_to_files(&manifest, subject, &files, session, &mut |done, total| {
        bar.at(1000 * done as u64 / total.max(1) as u64, "");
    })?;
    bar.finish();
    super::print(&format!("written: {}\n", arguments.out.display()))
}
