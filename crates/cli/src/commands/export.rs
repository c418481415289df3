//! `lacuna export`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use lacuna_auto::Opened;
use lacuna_train::checkpoint::Choice;
use lacuna_train::device::{DeviceName, PrecisionName};
use lacuna_train::onnx;
use lacuna_train::predict::Average;

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of a finished `lacuna auto`; for .onnx also a run folder or the file of a model
    model: PathBuf,
    /// File to write. NAME.onnx is for other programs: the network, or the mean of a model's,
    /// with NAME.onnx.json beside it, which tells what else `lacuna predict` does. Any other name,
    /// such as model.lacuna, is one file for `lacuna predict`
    file: PathBuf,
    /// With .onnx: "last"; "best" on the validation subjects; or the iteration of a checkpoint
    #[arg(long, value_name = "best|last|N")]
    checkpoint: Option<Choice>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let file = &arguments.file;
    super::check_folder_of(file)?;
    let free = |path: &Path| match path.exists() && !arguments.force {
        true => bail!(
            "{} is there already; choose another file, or replace it with --force",
            path.display()
        ),
        false => Ok(()),
    };
    free(file)?;
    if !file
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"))
    {
        if arguments.checkpoint.is_some() {
            bail!(
                "--checkpoint is for .onnx; {} gets what `lacuna predict` would use",
                file.display()
            );
        }
        lacuna_auto::export(&arguments.model, file)?;
        return super::print(&format!("written: {}\n", file.display()));
    }
    let beside = onnx::beside(file);
    free(&beside)?;
    let opened = Opened::open(std::slice::from_ref(&arguments.model))?;
    let device = DeviceName::Cpu.open()?;
    let choice = arguments.checkpoint.unwrap_or_default();
    let precision = Some(PrecisionName::F32);
    let predictor = opened.predictor(None, choice, &device, precision, Average::default())?;
    predictor.to_onnx()?.write(file)?;
    super::print(&format!(
        "written: {} and {}\n",
        file.display(),
        beside.display()
    ))
}
