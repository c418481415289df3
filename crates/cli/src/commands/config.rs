//! `lacuna config`

use std::process::ExitCode;

use clap::ValueEnum;
use lacuna_train::config::{BRAIN_LESIONS_3D, LESIONS_3D, TEMPLATE};

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
    /// Small lesions in MR images of brains with a T1, from few subjects; 5 minutes on two cores
    #[value(name = "brain-lesions-3d")]
    BrainLesions3d,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    super::print(match arguments.recipe {
        None => TEMPLATE,
        Some(RecipeArgument::Lesions3d) => LESIONS_3D,
        Some(RecipeArgument::BrainLesions3d) => BRAIN_LESIONS_3D,
    })
}
