//! `lacuna export`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use lacuna_data::manifest::Manifest;
use lacuna_data::nnunet_folder::write_nnunet;

use crate::terminal::Counted;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    #[command(subcommand)]
    dataset: Option<Dataset>,
    /// Folder of a finished `lacuna auto`
    #[arg(required = true)]
    auto: Option<PathBuf>,
    /// File to write, such as model.lacuna
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

#[derive(clap::Subcommand)]
enum Dataset {
    /// Write a dataset as one of nnU-Net's raw folders
    Nnunet(NnunetArguments),
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
    if let Some(Dataset::Nnunet(arguments)) = &arguments.dataset {
        return nnunet(arguments);
    }
    let (Some(auto), Some(file)) = (&arguments.auto, &arguments.file) else {
        bail!("expected the folder of `lacuna auto` and the file to write");
    };
    super::check_folder_of(file)?;
    if file.exists() && !arguments.force {
        bail!(
            "{} is there already; choose another file, or replace it with --force",
            file.display()
        );
    }
    lacuna_auto::export(auto, file)?;
    super::print(&format!("written: {}\n", file.display()))
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
    for note in &written.notes {
        tell!("note: {note}");
    }
    super::print(&format!(
        "written: {}, {} subjects with a label and {} without\n",
        arguments.out.display(),
        written.labelled,
        written.unlabelled
    ))
}
