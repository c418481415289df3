//! `lacuna phantom`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use lacuna_data::phantom::{PhantomConfig, write_cohort};
use lacuna_train::config::parse_value;
use toml::Table;

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder to write: a folder for each subject, dataset.toml and phantom.toml
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A key of the phantoms, as in the `[phantom]` section of a study: --set subjects=12
    /// --set foreground_share=1e-4 --set lesion_masks=masks
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let out = &arguments.out;
    let config = configured(&arguments.overrides)?;
    let manifest = out.join("dataset.toml");
    if manifest.exists() {
        bail!(
            "{} is there already; choose another folder for --out, or remove this one",
            manifest.display()
        );
    }
    step!(
        "making {} phantoms of {:?} voxels, lesions in {:e} of them",
        config.subjects,
        config.shape,
        config.foreground_share
    );
    let manifest = write_cohort(&config, out)?;
    let text = toml::to_string(&config)?;
    lacuna_io::atomic::write_bytes(out.join("phantom.toml"), text.as_bytes())?;
    super::print(&format!("written: {}\n", manifest.display()))
}

/// Phantoms by `key=value`; values are TOML, or else bare strings.
fn configured(set: &[String]) -> anyhow::Result<PhantomConfig> {
    let mut table = Table::new();
    for option in set {
        let (key, value) = option.split_once('=').with_context(|| {
            format!("--set {option}: expected the form key=value, for example subjects=12")
        })?;
        table.insert(key.trim().to_owned(), parse_value(value.trim()));
    }
    let config = table.try_into::<PhantomConfig>();
    config.map_err(|error| anyhow!("--set: {}", error.message()))
}
