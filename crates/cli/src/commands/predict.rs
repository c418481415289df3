//! `lacuna predict`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use lacuna_auto::Opened;
use lacuna_data::manifest::Manifest;
use lacuna_data::transform::AnatomicalAxis;
use lacuna_io::{ENDINGS, ending_of, ending_of_maps};
use lacuna_record::{Existing, Inputs, PREDICTION_ENDING, check_file};
use lacuna_train::apply::Files;
use lacuna_train::checkpoint::Choice;
use lacuna_train::choice::Part;
use lacuna_train::config::PredictOverrides;
use lacuna_train::device::PrecisionName;
use lacuna_train::into_folder::{At, Target};
use lacuna_train::postprocess::Postprocess;
use lacuna_train::predict::{Average, Blend, Session};
use lacuna_train::predictor::Predictor;
use lacuna_volume::PatchSize;

use crate::terminal::{Counted, Progress, stop_flag};
use crate::{DeviceArgument, PrecisionArgument};

#[derive(clap::Args)]
pub struct Arguments {
    /// Run folder made by `lacuna train`, or several, whose mean is predicted; or a model: the
    /// folder of `lacuna auto` or the file of `lacuna export`, with what was tuned for it
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Predict the subjects of this manifest into the folder --out
    #[arg(long, required_unless_present = "images", conflicts_with = "images")]
    dataset: Option<PathBuf>,
    /// Predict one subject: an image for each modality, into the file --out
    #[arg(long = "image", value_name = "MODALITY=FILE", id = "images")]
    images: Vec<String>,
    /// With --image: mask outside which everything is background
    #[arg(long, requires = "images")]
    mask: Option<PathBuf>,
    /// With --dataset: predict these subjects only; repeatable, as an id that has a comma
    /// itself must stand alone
    #[arg(long, value_name = "ID,...", conflicts_with = "images")]
    subjects: Vec<String>,
    /// With --dataset: predict the subjects of this part of the runs' split only, or those
    /// of the manifest that have no label
    #[arg(long, value_enum, conflicts_with_all = ["images", "subjects"])]
    split: Option<PartArgument>,
    /// Folder (with --dataset), or file (with --image) whose ending tells the format: those of
    /// --format; .seg.nrrd names the classes for Slicer
    #[arg(long)]
    out: PathBuf,
    /// With --dataset: format of the label maps, as the ending of their names. Probabilities
    /// and uncertainty have the same, but for .nii.gz where it is nii
    #[arg(long, value_name = "ENDING", default_value = &PREDICTION_ENDING[1..], conflicts_with = "images")]
    #[arg(value_parser = PossibleValuesParser::new(ENDINGS.map(|ending| &ending[1..])))]
    format: String,
    /// Replace files that another run or another program made
    #[arg(long, conflicts_with = "skip_existing")]
    force: bool,
    /// With --dataset: leave the predictions that this run has written already
    #[arg(long, conflicts_with = "images")]
    skip_existing: bool,
    /// Write the dataset's own label values, not class indices: those of the manifest, or
    /// with --image those that the run was trained with
    #[arg(long)]
    label_values: bool,
    /// Also write probabilities: <id>.probabilities.nii.gz, one volume for each class, or
    /// for each region where the run has `regions`
    #[arg(long)]
    probabilities: bool,
    /// Also write how far the networks of a model, or several runs, are apart:
    /// <id>.uncertainty.nii.gz, the standard deviation of the foreground's probability. Takes
    /// twice the time
    #[arg(long)]
    uncertainty: bool,
    /// "last"; "best" on the validation subjects, by whole-volume DSC and lesion F1; or the
    /// iteration of a checkpoint
    #[arg(long, value_name = "best|last|N", default_value_t)]
    checkpoint: Choice,
    /// Voxels of the input window: one number, or one for each axis of the network, x
    /// first; default: a legal size that fits the volume
    #[arg(long, value_name = "N[,N,N]")]
    window: Option<PatchSize>,
    /// Overlap of neighbouring windows, 0 to 0.9; without this and the next three options, as
    /// `[predict]` of the (first) run says: 0.25, linear, none and probabilities unless changed
    #[arg(long, value_parser = overlap)]
    overlap: Option<f64>,
    /// Weight of a window's voxels where windows overlap
    #[arg(long, value_enum)]
    blend: Option<BlendArgument>,
    /// Also predict the mirror images along these axes, in every combination, and take the
    /// mean; with one axis the time doubles. "none" where the run says otherwise
    #[arg(long, value_enum, value_delimiter = ',', value_name = "AXIS,...")]
    mirror: Vec<AxisArgument>,
    /// Take the mean of several runs, mirror images and windows of their probabilities, or of
    /// what they say before the activation makes it probabilities
    #[arg(long, value_enum)]
    average: Option<AverageArgument>,
    /// Thresholds for the classes and components to remove, as this TOML file says: README.md
    /// shows one
    #[arg(long, value_name = "FILE")]
    postprocess: Option<PathBuf>,
    /// What convolutions multiply; default: what they did in training
    #[arg(long, value_enum)]
    precision: Option<PrecisionArgument>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArgument,
}

/// `--split`
#[derive(Clone, Copy, ValueEnum)]
enum PartArgument {
    Train,
    Validation,
    Test,
    Unlabelled,
}

impl From<PartArgument> for Part {
    fn from(argument: PartArgument) -> Self {
        match argument {
            PartArgument::Train => Self::Train,
            PartArgument::Validation => Self::Validation,
            PartArgument::Test => Self::Test,
            PartArgument::Unlabelled => Self::Unlabelled,
        }
    }
}

/// `--blend`
#[derive(Clone, Copy, ValueEnum)]
enum BlendArgument {
    /// Rises linearly over the overlap
    Linear,
    /// A Gaussian around the window's centre
    Gaussian,
    /// A Gaussian, places of windows and zeros beyond the volume as in nnU-Net
    Nnunet,
}

impl From<BlendArgument> for Blend {
    fn from(argument: BlendArgument) -> Self {
        match argument {
            BlendArgument::Linear => Self::Linear,
            BlendArgument::Gaussian => Self::Gaussian,
            BlendArgument::Nnunet => Self::Nnunet,
        }
    }
}

/// `--average`
#[derive(Clone, Copy, ValueEnum)]
enum AverageArgument {
    Probabilities,
    Logits,
}

impl From<AverageArgument> for Average {
    fn from(argument: AverageArgument) -> Self {
        match argument {
            AverageArgument::Probabilities => Self::Probabilities,
            AverageArgument::Logits => Self::Logits,
        }
    }
}

/// `--mirror`
#[derive(Clone, Copy, ValueEnum)]
enum AxisArgument {
    LeftRight,
    PosteriorAnterior,
    InferiorSuperior,
    None,
}

impl AxisArgument {
    /// The axes that arguments name; `None` without an argument.
    fn axes(arguments: &[Self]) -> anyhow::Result<Option<Vec<AnatomicalAxis>>> {
        let axis = |argument: &Self| match argument {
            Self::LeftRight => Some(AnatomicalAxis::LeftRight),
            Self::PosteriorAnterior => Some(AnatomicalAxis::PosteriorAnterior),
            Self::InferiorSuperior => Some(AnatomicalAxis::InferiorSuperior),
            Self::None => None,
        };
        let axes: Vec<AnatomicalAxis> = arguments.iter().filter_map(axis).collect();
        if !axes.is_empty() && axes.len() < arguments.len() {
            bail!("--mirror names axes and \"none\"; give one or the other");
        }
        Ok((!arguments.is_empty()).then_some(axes))
    }
}

fn overlap(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.0..=0.9).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 0.9".to_owned()),
    }
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let postprocess = arguments.postprocess.as_deref().map(Postprocess::read);
    let postprocess = postprocess.transpose()?;
    let model = Opened::open(&arguments.runs)?;
    let device = lacuna_train::device::DeviceName::from(arguments.device).open()?;
    let precision = arguments.precision.map(PrecisionName::from);
    let overrides = PredictOverrides {
        window: arguments.window,
        overlap: arguments.overlap,
        blend: arguments.blend.map(Into::into),
        mirror: AxisArgument::axes(&arguments.mirror)?,
        average: arguments.average.map(Into::into),
    };
    let choice = arguments.checkpoint;
    let predictor = model.predictor(postprocess, choice, &device, precision, overrides)?;
    for doubt in predictor.doubts() {
        tell!("warning: {doubt}");
    }
    let stop = stop_flag()?;
    let session = Session {
        warn: &|text| tell!("warning: {text}"),
        ..predictor.session(&stop)
    };
    let Some(dataset) = &arguments.dataset else {
        return predict_images(arguments, &predictor, session);
    };
    let manifest = Manifest::read(dataset)?;
    let part = arguments.split.map(Part::from);
    let ids = predictor.choose(&manifest, part, &arguments.subjects)?;
    let format = (ENDINGS.into_iter()).find(|ending| ending[1..] == arguments.format);
    let target = Target {
        folder: &arguments.out,
        ending: format.unwrap_or(PREDICTION_ENDING),
        probabilities: arguments.probabilities,
        spread: arguments.uncertainty,
        label_values: arguments.label_values,
        existing: match (arguments.force, arguments.skip_existing) {
            (true, _) => Existing::Replace,
            (false, true) => Existing::Skip,
            (false, false) => Existing::Refuse,
        },
    };
    let mut bar = PredictBar::default();
    predictor.predict_into(&manifest, &ids, &target, session, &mut |at| bar.at(at))?;
    bar.finish();
    // By other rules the intervals would be of other predictions.
    let tuned = model.tuned.as_ref();
    if let Some(tuned) = tuned.filter(|_| arguments.postprocess.is_none()) {
        lacuna_auto::write_burden(tuned, &predictor, &arguments.out)?;
    }
    super::print(&format!("written: {}\n", arguments.out.display()))
}

/// Shows the prediction of a folder.
#[derive(Default)]
pub struct PredictBar(Option<Progress>);

impl PredictBar {
    /// Shows where the work is.
    pub fn at(&mut self, at: At) {
        // A thousandth of a subject is the step, so that windows move the bar too.
        let total = 1000 * at.subjects as u64;
        let bar = (self.0).get_or_insert_with(|| Progress::told("predict", total));
        let [done, windows] = at.windows;
        let share = (1000 * done / windows.max(1)) as u64;
        let message = format!(
            "subject {} of {} ({}), window {done} of {windows}",
            at.number + 1,
            at.subjects,
            at.subject
        );
        bar.at(1000 * at.number as u64 + share, &message);
    }

    /// Removes the bar.
    pub fn finish(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish();
        }
    }
}

/// `--image`: a manifest of one subject, made from the arguments.
fn predict_images(
    arguments: &Arguments,
    predictor: &Predictor,
    session: Session,
) -> anyhow::Result<ExitCode> {
    let name = arguments.out.to_string_lossy();
    let split = ending_of(&arguments.out).and_then(|end| Some((name.strip_suffix(end)?, end)));
    let Some((stem, ending)) = split else {
        let endings = ENDINGS.join(", ");
        bail!("--out {name}: with --image, expected a file name that ends in one of {endings}");
    };
    let ending = ending_of_maps(ending);
    check_file(&arguments.out)?;
    predictor.check_session(&Session {
        spread: arguments.uncertainty,
        ..session
    })?;
    let images = arguments.images.iter().map(|argument| {
        let (modality, file) = argument.split_once('=').with_context(|| {
            format!("--image {argument}: expected MODALITY=FILE, for example FLAIR=flair.nii.gz")
        })?;
        Ok((modality.to_owned(), file.to_owned()))
    });
    let images = images.collect::<anyhow::Result<Vec<_>>>()?;
    let manifest = predictor.one_subject("--image", images, arguments.mask.clone())?;
    let probabilities = arguments
        .probabilities
        .then(|| PathBuf::from(format!("{stem}.probabilities{ending}")));
    let spread = arguments
        .uncertainty
        .then(|| PathBuf::from(format!("{stem}.uncertainty{ending}")));
    let values = match arguments.label_values {
        true => Some(predictor.label_values(None)?),
        false => None,
    };
    let inputs = Inputs::of(
        manifest
            .files()
            .into_iter()
            .chain(arguments.postprocess.clone()),
    );
    for file in [
        Some(&arguments.out),
        probabilities.as_ref(),
        spread.as_ref(),
    ]
    .into_iter()
    .flatten()
    {
        inputs.spare(file)?;
        if file.exists() && !arguments.force {
            bail!(
                "{} is there already; choose another --out, or replace it with --force",
                file.display()
            );
        }
    }
    let mut bar = Counted::new("predict, windows");
    let files = Files {
        labels: arguments.out.clone(),
        values,
        probabilities,
        spread,
    };
    let subject = &manifest.subjects[0];
    let cleaned =
        predictor.predict_to_files(&manifest, subject, &files, session, &mut |done, total| {
            bar.at(done, total);
        })?;
    drop(bar);
    let removed = cleaned.iter().map(|class| format!("{class}\n"));
    let removed = removed.collect::<String>();
    super::print(&format!("{removed}written: {}\n", arguments.out.display()))
}
