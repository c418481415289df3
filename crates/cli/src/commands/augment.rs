//! `lacuna augment`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use lacuna_data::sampler::Patch;
use lacuna_record::{check_folder, check_no_run};
use lacuna_report::{PatchPair, PatchView, patch_sheet};
use lacuna_train::augmentation::examples;
use lacuna_train::config::RunConfig;

/// What the folder holds.
const PICTURE: &str = "augment.png";
/// Width and height of a patch in pixels.
const PANEL: usize = 192;

#[derive(clap::Args)]
pub struct Arguments {
    /// The run configuration
    config: PathBuf,
    /// Folder for the picture, augment.png
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Patches to draw: the first of the training
    #[arg(long, default_value_t = 8, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=200))]
    count: u64,
    /// Override a key of the configuration, for example --set seed=1
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let out = &arguments.out;
    let config = RunConfig::read(&arguments.config, &arguments.overrides)?;
    check_out(out)?;
    if config.transform.is_empty() {
        tell!("the run has no `transform`: both halves show the same");
    }
    let examples = examples(&config, arguments.count, &mut |note| tell!("{note}"))?;
    let pairs: Vec<PatchPair> = (examples.iter())
        .map(|example| PatchPair {
            before: view(&example.before),
            after: view(&example.after),
        })
        .collect();
    let sheet = patch_sheet(&pairs, PANEL)?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let picture = out.join(PICTURE);
    lacuna_io::atomic::write_bytes(&picture, &sheet.png)?;
    super::print(&format!("{}\n{}\n", picture.display(), sheet.caption))
}

fn view(patch: &Patch) -> PatchView<'_> {
    PatchView {
        images: &patch.images,
        labels: &patch.labels,
    }
}

/// Refuses, before any work, a folder that cannot be written or holds anything else.
fn check_out(out: &Path) -> anyhow::Result<()> {
    check_folder(out)?;
    check_no_run(out)?;
    for entry in std::fs::read_dir(out).into_iter().flatten() {
        let name = entry?.file_name();
        if name != PICTURE {
            bail!(
                "{} holds {}, which is not of `lacuna augment`: give --out a new or an empty folder",
                out.display(),
                Path::new(&name).display()
            );
        }
    }
    Ok(())
}
