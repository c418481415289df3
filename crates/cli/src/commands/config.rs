//! `lacuna config`

use std::process::ExitCode;

use clap::ValueEnum;
use lacuna_train::config::{LESIONS_3D, TEMPLATE};

#[derive(clap::Args)]
pub struct Arguments {
    /// Print this recipe instead: a run that is meant to be edited and used
    #[arg(long, value_enum)]
    recipe: Option<RecipeArgument>,
}

/// `--recipe`
#[derive(Clone, Copy, ValueEnum)]
enum RecipeArgument {
    /// Lesions in 3-D images, judged on whole volumes; 20 minutes on two cores
    #[value(name = "lesions-3d")]
    Lesions3d,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    super::print(match arguments.recipe {
        None => TEMPLATE,
        Some(RecipeArgument::Lesions3d) => LESIONS_3D,
    })
}
