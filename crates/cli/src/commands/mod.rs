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

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use lacuna_nets::{Architecture, ModelConfig, ModelName};
use lacuna_volume::{PatchSize, Zyx};

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

/// The networks with their borders and the patch sizes of Sudre et al., Table 1.
pub fn networks() -> anyhow::Result<String> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "network",
        "axes",
        "border",
        "legal sizes",
        "patch -> effective patch",
    ]);
    for name in ModelName::ALL {
        let architecture = Architecture::of(&ModelConfig::new(name))?;
        let written = |lengths| PatchSize::of(lengths, architecture.rank());
        let Zyx([_, _, x]) = architecture.axes();
        let sizes = x.legal_sizes(40..=96);
        let pairs: Vec<String> = (sizes.iter())
            .filter_map(|&size| {
                let effective = x.effective_size(size).ok()?;
                Some(format!("{size} -> {effective}"))
            })
            .step_by((sizes.len() / 6).max(1))
            .collect();
        table.add_row([
            name.to_string(),
            format!("{}-D", architecture.rank()),
            written(architecture.border()).to_string(),
            format!(
                "from {} in steps of {}",
                written(architecture.smallest_legal()),
                written(architecture.alignment())
            ),
            pairs.join(", "),
        ]);
    }
    Ok(format!("{table}\n"))
}
