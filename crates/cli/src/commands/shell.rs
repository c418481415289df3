//! `lacuna completions` and `lacuna man`: what a shell and `man` know of the commands.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man as Page;
use lacuna_io::atomic::write_bytes;

/// `lacuna completions`
#[derive(Args)]
pub struct Completions {
    /// The shell, for example: lacuna completions bash > ~/.local/share/bash-completion/completions/lacuna
    shell: Shell,
}

/// `lacuna man`
#[derive(Args)]
pub struct Man {
    /// Folder for lacuna.1, lacuna-train.1, ...; it is made when it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn completions(arguments: &Completions, mut command: Command) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "lacuna", &mut text);
    super::print(&String::from_utf8(text)?)
}

pub fn man(arguments: &Man, mut command: Command) -> anyhow::Result<ExitCode> {
    let out = &arguments.out;
    std::fs::create_dir_all(out).with_context(|| format!("--out {}", out.display()))?;
    // Options that all commands share are listed with each.
    command.build();
    let pages = write_pages(&command, "lacuna", out)?;
    super::print(&format!("written: {pages} pages in {}\n", out.display()))
}

/// Writes the page of a command and those below it; returns how many.
fn write_pages(command: &Command, name: &str, out: &std::path::Path) -> anyhow::Result<usize> {
    let mut page = Vec::new();
    let named = command.clone().name(name.to_owned());
    Page::new(named).render(&mut page)?;
    write_bytes(out.join(format!("{name}.1")), &page)?;
    let mut pages = 1;
    let below = command.get_subcommands();
    for command in below.filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        pages += write_pages(command, &format!("{name}-{}", command.get_name()), out)?;
    }
    Ok(pages)
}
