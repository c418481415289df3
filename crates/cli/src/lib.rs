//! The `lacuna` command: a thin shell over the library crates. A program of its own, or
//! started inside another, as the Python package does.

#[macro_use]
mod terminal;
mod commands;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use lacuna_train::device::{DeviceName, PrecisionName};
use lacuna_train::run::RunError;

/// The file that runs this command once more, where it is known.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Segments what is rare: trains, applies and judges deep-learning segmentation
/// of rare structures in 2-D and 3-D medical images.
#[derive(Parser)]
#[command(name = "lacuna", version = env!("LACUNA_VERSION"), max_term_width = 100)]
#[command(long_version = long_version())]
struct Cli {
    /// Threads for computation; 0 uses every core. Results are bit-equal for equal threads.
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(..=1024))]
    threads: u16,
    /// When to colour help, errors and warnings
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: terminal::Colour,
    /// Show no progress; results, warnings and errors are still told.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Tell also each image that is read and each file that is written
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

/// Version and commit, and what this build and this processor can do.
fn long_version() -> String {
    let devices = [
        ("cpu", true),
        ("vulkan", cfg!(feature = "vulkan")),
        ("cuda", cfg!(feature = "cuda")),
    ];
    let devices = devices
        .iter()
        .filter(|(_, built)| *built)
        .map(|(name, _)| *name);
    format!(
        "{}\nvector instructions: {}\ndevices: {}\nlicence: {}",
        env!("LACUNA_VERSION"),
        lacuna_kernels::Instructions::detected(),
        devices.collect::<Vec<_>>().join(", "),
        env!("CARGO_PKG_LICENSE"),
    )
}

#[derive(Subcommand)]
enum Command {
    /// Make a phantom cohort, train, predict, evaluate and write report.html
    Demo(commands::demo::Arguments),
    /// Write a phantom cohort: synthetic brains with lesions of a known share
    Phantom(commands::phantom::Arguments),
    /// Write a dataset manifest from a folder of images
    Dataset(commands::dataset::Arguments),
    /// Check a dataset before training: geometry, values, labels, lesions, duplicates
    Check(commands::check::Arguments),
    /// Measure a dataset: spacings, intensities, prevalence, components; find unusable subjects
    Fingerprint(commands::fingerprint::Arguments),
    /// Decide how to train on a dataset in a given time, and say why
    Plan(commands::auto::Arguments),
    /// From a dataset to a tuned, judged model: plan, folds, tuning, ensemble, card
    Auto(commands::auto::AutoArguments),
    /// Write a model into one file, or into ONNX; or a dataset in nnU-Net's form
    Export(commands::export::Arguments),
    /// Make a model of another program one that `predict` takes
    Import(commands::import::Arguments),
    /// Print the documented default run configuration, or a recipe to start from
    Config(commands::config::Arguments),
    /// List the networks with their borders and legal patch sizes
    Networks(commands::Json),
    /// List the losses, explain one, draw them, or examine a run's
    Losses(commands::losses::Arguments),
    /// Draw training patches before and after the transforms of a run
    Augment(commands::augment::Arguments),
    /// Train a network
    Train(commands::train::Arguments),
    /// Segment images with a trained network
    Predict(commands::predict::Arguments),
    /// Score predictions against reference labels
    Evaluate(commands::evaluate::Arguments),
    /// Compare predictions of the same subjects, lesion by lesion
    Compare(commands::compare::Arguments),
    /// Look at images, predictions and every lesion in a web page of this machine
    View(commands::view::Arguments),
    /// Train and test every run of a study
    Sweep(commands::sweep::Arguments),
    /// Make a page of a study, a run or an evaluation: HTML, Markdown, LaTeX, CSV and SVG
    Report(commands::report::Arguments),
    /// Check the findings of Sudre et al. 2017 on a study
    VerifyPaper(commands::verify_paper::Arguments),
    /// Print what a shell needs to complete commands and options
    Completions(commands::shell::Completions),
    /// Write the manual pages of all commands into a folder
    Man(commands::shell::Man),
    /// Train and test one run of a study; what `lacuna sweep` starts
    #[command(hide = true)]
    StudyRun(commands::study_run::Arguments),
    /// Measure how fast this machine does the parts of the job
    #[command(subcommand)]
    Bench(commands::bench::Part),
}

/// `--device`
#[derive(Clone, Copy, Default, ValueEnum)]
enum DeviceArgument {
    #[default]
    Cpu,
    Vulkan,
    Cuda,
}

impl std::fmt::Display for DeviceArgument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Vulkan => "vulkan",
            Self::Cuda => "cuda",
        })
    }
}

impl From<DeviceArgument> for DeviceName {
    fn from(argument: DeviceArgument) -> Self {
        match argument {
            DeviceArgument::Cpu => Self::Cpu,
            DeviceArgument::Vulkan => Self::Vulkan,
            DeviceArgument::Cuda => Self::Cuda,
        }
    }
}

/// `--precision`
#[derive(Clone, Copy, clap::ValueEnum)]
enum PrecisionArgument {
    F32,
    Bf16,
    Bf16x3,
}

impl From<PrecisionArgument> for PrecisionName {
    fn from(argument: PrecisionArgument) -> Self {
        match argument {
            PrecisionArgument::F32 => Self::F32,
            PrecisionArgument::Bf16 => Self::Bf16,
            PrecisionArgument::Bf16x3 => Self::Bf16x3,
        }
    }
}

/// Runs the command that `arguments` name, the program's name first. `program` is the file
/// that runs it once more: studies start their runs with it. It is for programs that end
/// with the command: it takes over Ctrl-C, and what cannot be understood ends the process.
pub fn main(arguments: impl IntoIterator<Item = OsString>, program: Option<PathBuf>) -> ExitCode {
    if let Some(program) = program {
        PROGRAM.get_or_init(|| program);
    }
    if let Some(commit) = option_env!("LACUNA_COMMIT") {
        lacuna_record::built_from(commit);
    }
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let colour = terminal::Colour::asked(arguments.iter().cloned());
    let matches = Cli::command().color(colour.into());
    let matches = matches.get_matches_from(arguments);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli) {
        Ok(code) => code,
        Err(error) if terminal::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            tell!("error: {}", message(&error));
            match error.downcast_ref() {
                Some(RunError::Stopped) => ExitCode::from(commands::INTERRUPTED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// An error and its causes, less those that it tells itself.
fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    terminal::set_quiet(cli.quiet);
    cli.color.set();
    rayon::ThreadPoolBuilder::new()
        .num_threads(cli.threads.into())
        .build_global()?;
    if cli.verbose {
        terminal::tell_all();
        log::debug!(
            "lacuna {}, {}, threads: {}",
            env!("LACUNA_VERSION"),
            lacuna_kernels::Instructions::detected(),
            rayon::current_num_threads()
        );
    }
    match cli.command {
        Command::Demo(arguments) => commands::demo::run(&arguments),
        Command::Phantom(arguments) => commands::phantom::run(&arguments),
        Command::Dataset(arguments) => commands::dataset::run(&arguments),
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Fingerprint(arguments) => commands::fingerprint::run(&arguments),
        Command::Plan(arguments) => commands::auto::plan(&arguments),
        Command::Auto(arguments) => commands::auto::auto(&arguments),
        Command::Export(arguments) => commands::export::run(&arguments),
        Command::Import(arguments) => commands::import::run(&arguments),
        Command::Config(arguments) => commands::config::run(&arguments),
        Command::Networks(json) => commands::networks(json),
        Command::Losses(arguments) => commands::losses::run(&arguments),
        Command::Augment(arguments) => commands::augment::run(&arguments),
        Command::Train(arguments) => commands::train::run(&arguments),
        Command::Predict(arguments) => commands::predict::run(&arguments),
        Command::Evaluate(arguments) => commands::evaluate::run(&arguments),
        Command::Compare(arguments) => commands::compare::run(&arguments),
        Command::View(arguments) => commands::view::run(&arguments),
        Command::Sweep(arguments) => commands::sweep::run(&arguments),
        Command::Report(arguments) => commands::report::run(&arguments),
        Command::VerifyPaper(arguments) => commands::verify_paper::run(&arguments),
        Command::Completions(arguments) => commands::shell::completions(&arguments, Cli::command()),
        Command::Man(arguments) => commands::shell::man(&arguments, Cli::command()),
        Command::StudyRun(arguments) => commands::study_run::run(&arguments),
        Command::Bench(part) => commands::bench::run(&part),
    }
}
