//! `lacuna dataset`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use lacuna_data::discover::{Search, by_patterns, described, from_list, is_described, is_list};
use lacuna_record::{Inputs, check_file};

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of images; an nnU-Net or Medical Segmentation Decathlon folder
    /// (one with dataset.json) needs no patterns. Or a table, .csv or .tsv, with the
    /// columns id, one for each modality, and as needed group, scanner, label, mask,
    /// weight, white_matter
    folder: PathBuf,
    /// A modality and the pattern of its files below the folder, in channel
    /// order: --images FLAIR='*/FLAIR.nii.gz' --images T1='*/T1.nii.gz'. What the
    /// wildcards match is the subject's id
    #[arg(long, value_name = "MODALITY=PATTERN", num_args = 1..)]
    images: Vec<String>,
    /// Pattern of the label files
    #[arg(long, value_name = "PATTERN")]
    label: Option<String>,
    /// Pattern of the masks
    #[arg(long, value_name = "PATTERN")]
    mask: Option<String>,
    /// Pattern of the sampling-weight maps
    #[arg(long, value_name = "PATTERN")]
    weight: Option<String>,
    /// Pattern of the white-matter masks
    #[arg(long, value_name = "PATTERN")]
    white_matter: Option<String>,
    /// Names of the foreground classes: one for all label values other than 0,
    /// or one for each value in ascending order
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    classes: Vec<String>,
    /// The manifest to write
    #[arg(long, default_value = "dataset.toml", value_name = "FILE")]
    out: PathBuf,
    /// Replace a manifest that differs
    #[arg(long)]
    force: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let folder = &arguments.folder;
    check_file(&arguments.out)?;
    let manifest = if is_list(folder) {
        let patterns = [&arguments.label, &arguments.mask, &arguments.weight];
        let patterns = patterns.iter().any(|p| p.is_some()) || arguments.white_matter.is_some();
        if patterns || !arguments.images.is_empty() {
            bail!(
                "{}: a table names the files itself; leave out the patterns",
                folder.display()
            );
        }
        from_list(folder, &arguments.classes, &arguments.out)?
    } else if !arguments.images.is_empty() {
        by_patterns(folder, &search(arguments)?, &arguments.out)?
    } else if is_described(folder) {
        described(folder, &arguments.out)?
    } else {
        bail!(
            "{}: no --images pattern given and no dataset.json in the folder; name the files, for example --images FLAIR='*/FLAIR.nii.gz' --label '*/lesion.nii.gz'",
            folder.display()
        );
    };
    let text = manifest.to_toml()?;
    // A manifest is there to be edited: nobody's edits are lost unasked.
    let before = std::fs::read(&arguments.out).ok();
    if before.is_some_and(|before| before != text.as_bytes()) && !arguments.force {
        bail!(
            "{} is there already and differs from what would be written; choose another --out, or replace it with --force",
            arguments.out.display()
        );
    }
    Inputs::of(manifest.files().into_iter().skip(1)).spare(&arguments.out)?;
    lacuna_io::atomic::write_bytes(&arguments.out, text.as_bytes())?;
    let labelled = (manifest.subjects.iter())
        .filter(|s| s.label.is_some())
        .count();
    super::print(&format!(
        "{}: {} subjects ({labelled} with a label), modalities {}, classes {}\n\
         next: lacuna check {0}\n",
        arguments.out.display(),
        manifest.subjects.len(),
        manifest.modalities.join(", "),
        manifest.classes.join(", ")
    ))
}

fn search(arguments: &Arguments) -> anyhow::Result<Search> {
    let images = arguments.images.iter().map(|argument| {
        argument
            .split_once('=')
            .map(|(modality, pattern)| (modality.to_owned(), pattern.to_owned()))
            .ok_or_else(|| {
                anyhow!("--images {argument}: expected MODALITY=PATTERN, for example FLAIR='*/FLAIR.nii.gz'")
            })
    });
    Ok(Search {
        images: images.collect::<anyhow::Result<_>>()?,
        label: arguments.label.clone(),
        mask: arguments.mask.clone(),
        weight: arguments.weight.clone(),
        white_matter: arguments.white_matter.clone(),
        foreground: arguments.classes.clone(),
    })
}
