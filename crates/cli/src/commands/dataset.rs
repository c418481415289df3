//! `lacuna dataset`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use lacuna_data::discover::{
    Search, by_bids, by_patterns, described, from_list, is_bids, is_described, is_list,
};
use lacuna_data::manifest::Manifest;
use lacuna_record::{Inputs, check_file};

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of images; an nnU-Net or Medical Segmentation Decathlon folder
    /// (one with dataset.json) and a BIDS folder (one with dataset_description.json) need no
    /// patterns. Or a table, .csv or .tsv, with the
    /// columns id, one for each modality, and as needed group, scanner, label, mask,
    /// weight, white_matter
    folder: PathBuf,
    /// A modality and the pattern of its files below the folder, in channel
    /// order: --images FLAIR='*/FLAIR.nii.gz' --images T1='*/T1.nii.gz'. What the
    /// wildcards match is the subject's id. In a BIDS folder entities and suffix do:
    /// --images FLAIR=acq-ax_FLAIR
    #[arg(long, value_name = "MODALITY=PATTERN", num_args = 1..)]
    images: Vec<String>,
    /// Pattern of the label files; in a BIDS folder entities and suffix, after those of its
    /// pipeline, or "none": --label manual/label-lesion_mask. So the next three
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
    let mut notes = Vec::new();
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
    } else if is_bids(folder) && !has_pattern(arguments) {
        let (manifest, told) = by_bids(folder, &search(arguments)?, &arguments.out)?;
        notes = told;
        manifest
    } else if !arguments.images.is_empty() {
        by_patterns(folder, &search(arguments)?, &arguments.out)?
    } else if is_described(folder) {
        described(folder, &arguments.out)?
    } else {
        bail!(
            "{}: no --images pattern given and neither dataset.json nor dataset_description.json in the folder; name the files, for example --images FLAIR='*/FLAIR.nii.gz' --label '*/lesion.nii.gz'",
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
    for note in &notes {
        tell!("note: {note}");
    }
    let labelled = (manifest.subjects.iter())
        .filter(|s| s.label.is_some())
        .count();
    super::print(&format!(
        "{}: {} subjects ({labelled} with a label), modalities {}, classes {}{}\n\
         next: lacuna check {0}\n",
        arguments.out.display(),
        manifest.subjects.len(),
        manifest.modalities.join(", "),
        manifest.classes.join(", "),
        beside_classes(&manifest)
    ))
}

/// Patterns, and not names of BIDS.
fn has_pattern(arguments: &Arguments) -> bool {
    let others = [
        &arguments.label,
        &arguments.mask,
        &arguments.weight,
        &arguments.white_matter,
    ];
    let others = others.into_iter().flatten();
    let mut all = arguments.images.iter().chain(others);
    all.any(|text| text.contains(['*', '?']))
}

/// Regions and what is left out, in words.
fn beside_classes(manifest: &Manifest) -> String {
    let regions = manifest.regions.iter();
    let regions: Vec<&str> = regions
        .filter_map(|region| region.name.as_deref())
        .collect();
    let regions = match regions.is_empty() {
        true => String::new(),
        false => format!(", regions {}", regions.join(", ")),
    };
    let ignored = manifest.ignore;
    let ignored = ignored.map_or_else(String::new, |v| {
        format!(", without the voxels of value {v}")
    });
    regions + &ignored
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
