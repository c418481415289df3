//! One file or folder per subcommand.

pub mod augment;
pub mod auto;
pub mod bench;
pub mod check;
pub mod compare;
pub mod config;
pub mod dataset;
pub mod demo;
pub mod evaluate;
pub mod export;
pub mod fingerprint;
pub mod import;
pub mod losses;
pub mod phantom;
pub mod predict;
pub mod report;
pub mod shell;
pub mod study_run;
pub mod sweep;
pub mod train;
pub mod verify_paper;
pub mod view;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use lacuna_nets::{Architecture, ModelConfig, ModelName};
use lacuna_volume::{PatchSize, Zyx};
use serde::Serialize;

use crate::terminal::table;

/// Exit code after Ctrl-C: 128 + SIGINT.
pub const INTERRUPTED: u8 = 130;

/// Refuses a file of `--out` whose folder does not exist, before work is done for it.
pub fn check_folder_of(out: &Path) -> anyhow::Result<()> {
    match out
        .parent()
        .filter(|f| !f.as_os_str().is_empty() && !f.is_dir())
    {
        None => Ok(()),
        Some(folder) => Err(anyhow!(
            "--out {}: there is no folder {}; create it first",
            out.display(),
            folder.display()
        )),
    }
}

/// Prints to stdout; a reader that has gone is an error the caller recognises.
pub fn print(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// `--json`
#[derive(Clone, Copy, clap::Args)]
pub struct Json {
    /// Print one line of JSON in place of tables and text
    #[arg(long)]
    pub json: bool,
}

impl Json {
    /// Prints `value` as JSON where that is asked for, else the `text`.
    pub fn print(
        self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<ExitCode> {
        print(&match self.json {
            true => format!("{}\n", serde_json::to_string(value)?),
            false => text(),
        })
    }
}

/// A network, as it is listed.
#[derive(Serialize)]
struct Network {
    name: String,
    axes: usize,
    /// Voxels that each side of a patch loses.
    border: String,
    smallest: String,
    step: String,
    /// Patches and what of them is predicted.
    patches: Vec<[usize; 2]>,
}

/// `lacuna networks`: the networks with their borders and the patch sizes of Sudre et al.,
/// Table 1.
pub fn networks(json: Json) -> anyhow::Result<ExitCode> {
    let networks = ModelName::ALL
        .into_iter()
        .map(Network::of)
        .collect::<anyhow::Result<Vec<_>>>()?;
    json.print(&networks, || Network::table(&networks))
}

impl Network {
    fn of(name: ModelName) -> anyhow::Result<Self> {
        let architecture = Architecture::of(&ModelConfig::new(name))?;
        let written = |lengths| PatchSize::of(lengths, architecture.rank()).to_string();
        let Zyx([_, _, x]) = architecture.axes();
        let sizes = x.legal_sizes(40..=96);
        let pairs = sizes.iter().filter_map(|&size| {
            let effective = x.effective_size(size).ok()?;
            Some([size, effective])
        });
        Ok(Self {
            name: name.to_string(),
            axes: architecture.rank(),
            border: written(architecture.border()),
            smallest: written(architecture.smallest_legal()),
            step: written(architecture.alignment()),
            patches: pairs.step_by((sizes.len() / 6).max(1)).collect(),
        })
    }

    fn table(networks: &[Self]) -> String {
        let mut table = table([
            "network",
            "axes",
            "border",
            "legal sizes",
            "patch -> effective patch",
        ]);
        for network in networks {
            let pairs = network.patches.iter();
            let pairs: Vec<String> = pairs
                .map(|[all, part]| format!("{all} -> {part}"))
                .collect();
            table.add_row([
                network.name.clone(),
                format!("{}-D", network.axes),
                network.border.clone(),
                format!("from {} in steps of {}", network.smallest, network.step),
                pairs.join(", "),
            ]);
        }
        format!("{table}\n")
    }
}
