//! `lacuna import`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use lacuna_auto::nnunet::{Asked, import};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    of: Of,
}

#[derive(Subcommand)]
enum Of {
    /// Make a model of nnU-Net 2 one that `lacuna predict` takes, and predicts as nnU-Net does
    Nnunet(Nnunet),
}

#[derive(clap::Args)]
struct Nnunet {
    /// The folder that holds plans.json, dataset.json and fold_0 and others
    model: PathBuf,
    /// New folder for the model
    #[arg(long)]
    out: PathBuf,
    /// A configuration of the plans; default: the one that the checkpoints name
    #[arg(long, value_name = "NAME")]
    configuration: Option<String>,
    /// checkpoint_final.pth or checkpoint_best.pth
    #[arg(long, value_enum, default_value = "final")]
    checkpoint: Checkpoint,
    /// Folds whose mean is predicted, such as 0,1 or all; default: all that have a number, or
    /// else "all"
    #[arg(long, value_delimiter = ',', value_name = "FOLD,...")]
    folds: Vec<String>,
}

/// `--checkpoint`
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Checkpoint {
    Final,
    Best,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Of::Nnunet(arguments) = &arguments.of;
    let asked = Asked {
        configuration: arguments.configuration.clone(),
        best: arguments.checkpoint == Checkpoint::Best,
        folds: arguments.folds.clone(),
    };
    let made = import(&arguments.model, &arguments.out, &asked)?;
    super::print(&format!(
        "{}, configuration {}, trainer {}, {}\nwritten: {}\n",
        made.model.dataset,
        made.configuration,
        made.trainer,
        made.model.runs.join(", "),
        arguments.out.display()
    ))
}
