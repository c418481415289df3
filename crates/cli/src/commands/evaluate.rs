//! `lacuna evaluate`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use comfy_table::Table;
use lacuna_data::manifest::{Manifest, Subject};
use lacuna_metrics::{Bootstrap, ClassScores, Options, Summary, evaluate_pair};
use lacuna_report::OverlayOptions;
use lacuna_report::study::Example;
use lacuna_volume::{LabelMap, Orientation, Volume, corner_displacement_mm};
use rayon::prelude::*;
use serde::Serialize;

use super::predict::Predicted;
use crate::terminal::Progress;

/// Corner displacement in mm under which two grids are the same grid.
const SAME_GRID_MM: f64 = 0.1;

#[derive(clap::Args)]
pub struct Arguments {
    /// Manifest with the reference labels
    #[arg(long)]
    dataset: PathBuf,
    /// Folder with one <subject id>.nii.gz of class indices each
    #[arg(long, value_name = "DIR")]
    predictions: PathBuf,
    /// Folder for scores.csv, lesions.csv, summary.json and overlays/
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Subjects to score; default: those that `lacuna predict` listed in the
    /// folder, else every labelled subject of the manifest
    #[arg(long, value_delimiter = ',', value_name = "ID,...")]
    subjects: Vec<String>,
    /// Classes to score as one, joined by `+`, such as core+enhancing; repeatable.
    /// Default: the regions that the network was trained on
    #[arg(long = "region", value_name = "CLASS+CLASS")]
    regions: Vec<String>,
    /// Tolerance of the normalised surface distance in mm
    #[arg(long, default_value_t = 1.0, value_name = "MM")]
    tolerance: f64,
    /// Modality behind the overlay pictures; default: FLAIR if there is one, else the first
    #[arg(long, value_name = "MODALITY")]
    overlay: Option<String>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::read(&arguments.dataset)?;
    let names = |region: &String| region.split('+').map(str::to_owned).collect::<Vec<_>>();
    for region in &arguments.regions {
        let classes = &manifest.classes[1..];
        if let Some(class) = names(region).iter().find(|name| !classes.contains(name)) {
            bail!(
                "--region {region}: `{class}` is no class of {}; expected some of {}, joined by +",
                arguments.dataset.display(),
                classes.join(", ")
            );
        }
    }
    let options = Options {
        nsd_tolerance_mm: arguments.tolerance,
        regions: match arguments.regions.is_empty() {
            true => Predicted::read(&arguments.predictions)?
                .map_or_else(Vec::new, |predicted| predicted.regions),
            false => arguments.regions.iter().map(names).collect(),
        },
        ..Options::default()
    };
    let evaluation = evaluate(
        &manifest,
        &arguments.predictions,
        &arguments.out,
        &arguments.subjects,
        &options,
        arguments.overlay.as_deref(),
    )?;
    super::print(&format!(
        "{}written: {}\n",
        evaluation.table(),
        arguments.out.display()
    ))
}

/// The scores of one subject.
#[derive(Serialize)]
pub struct SubjectScores {
    pub subject: String,
    pub overlay: OverlayFile,
    pub classes: Vec<ClassScores>,
}

/// A picture of one subject, on disk.
#[derive(Serialize)]
pub struct OverlayFile {
    /// Below the output folder.
    pub file: PathBuf,
    pub caption: String,
    /// Pixels across and down.
    pub size: [usize; 2],
}

/// All scores of an evaluation.
#[derive(Serialize)]
pub struct Evaluation {
    pub summary: Summary,
    pub subjects: Vec<SubjectScores>,
}

/// Scores the predictions in a folder and writes tables and pictures into `out`.
pub fn evaluate(
    manifest: &Manifest,
    predictions: &Path,
    out: &Path,
    subjects: &[String],
    options: &Options,
    overlay: Option<&str>,
) -> anyhow::Result<Evaluation> {
    let modality = overlay_modality(manifest, overlay)?;
    let chosen = choose(manifest, predictions, subjects)?;
    let mut bar = Progress::new("evaluate", 0, chosen.len() as u64);
    let mut scored = Vec::with_capacity(chosen.len());
    let mut pictures = Vec::with_capacity(chosen.len());
    // One subject per core at a time bounds the memory.
    for group in chosen.chunks(rayon::current_num_threads()) {
        let group: Vec<(SubjectScores, Vec<u8>)> = group
            .par_iter()
            .map(|subject| score(manifest, subject, predictions, modality, options))
            .collect::<anyhow::Result<_>>()?;
        for (scores, picture) in group {
            scored.push(scores);
            pictures.push(picture);
        }
        bar.at(scored.len() as u64, "");
    }
    bar.finish();
    let rows: Vec<Vec<ClassScores>> = scored.iter().map(|s| s.classes.clone()).collect();
    let evaluation = Evaluation {
        summary: Summary::of(&rows, &Bootstrap::default())?,
        subjects: scored,
    };
    // Only now, so that a file that cannot be scored leaves no half of an evaluation.
    super::create_folder(&out.join("overlays"))?;
    for (subject, png) in evaluation.subjects.iter().zip(&pictures) {
        lacuna_io::atomic::write_bytes(out.join(&subject.overlay.file), png)?;
    }
    write_csv(&out.join("scores.csv"), &evaluation.score_rows())?;
    write_csv(&out.join("lesions.csv"), &evaluation.lesion_rows())?;
    lacuna_io::atomic::write_atomic(out.join("summary.json"), |w| {
        serde_json::to_writer_pretty(&mut *w, &evaluation)?;
        w.write_all(b"\n")
    })?;
    Ok(evaluation)
}

/// The subjects to score: each has a label and a prediction.
fn choose<'a>(
    manifest: &'a Manifest,
    predictions: &Path,
    subjects: &[String],
) -> anyhow::Result<Vec<&'a Subject>> {
    let listed = Predicted::read(predictions)?;
    if let Some(Predicted { classes, .. }) = &listed
        && *classes != manifest.classes
    {
        bail!(
            "{}: the predictions hold indices of the classes {}, but {} has the classes {}; give the manifest the classes of the run, in that order",
            predictions.display(),
            classes.join(", "),
            manifest.path.display(),
            manifest.classes.join(", ")
        );
    }
    let listed = listed.map(|p| p.subjects);
    let chosen: Vec<&Subject> = match (subjects.is_empty(), listed) {
        (false, _) => find(manifest, subjects)?,
        (true, Some(listed)) => find(manifest, &listed)?
            .into_iter()
            .filter(|s| s.label.is_some())
            .collect(),
        (true, None) => (manifest.subjects.iter())
            .filter(|s| s.label.is_some())
            .collect(),
    };
    if chosen.is_empty() {
        bail!(
            "{}: none of the subjects to score has a label; expected `label = ...` for at least one",
            manifest.path.display()
        );
    }
    if let Some(subject) = chosen.iter().find(|s| s.label.is_none()) {
        bail!(
            "{}: subject `{}` has no label to score against; leave it out of --subjects or add its label",
            manifest.path.display(),
            subject.id
        );
    }
    let missing: Vec<&str> = (chosen.iter())
        .filter(|s| !prediction_path(predictions, &s.id).exists())
        .map(|s| s.id.as_str())
        .collect();
    if !missing.is_empty() {
        bail!(
            "{}: no prediction <id>.nii.gz for {} of {} subjects: {}; predict them, or name the subjects to score with --subjects",
            predictions.display(),
            missing.len(),
            chosen.len(),
            missing.join(", ")
        );
    }
    Ok(chosen)
}

fn find<'a>(manifest: &'a Manifest, ids: &[String]) -> anyhow::Result<Vec<&'a Subject>> {
    ids.iter().map(|id| Ok(manifest.subject(id)?)).collect()
}

/// Where the prediction of a subject lies.
pub fn prediction_path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.nii.gz"))
}

fn overlay_modality<'a>(manifest: &'a Manifest, wanted: Option<&str>) -> anyhow::Result<&'a str> {
    let modalities = &manifest.modalities;
    let found = match wanted {
        Some(wanted) => modalities.iter().find(|m| *m == wanted),
        None => (modalities.iter())
            .find(|m| m.eq_ignore_ascii_case("flair"))
            .or(modalities.first()),
    };
    found.map(String::as_str).with_context(|| {
        format!(
            "--overlay {}: {} has the modalities {}",
            wanted.unwrap_or_default(),
            manifest.path.display(),
            modalities.join(", ")
        )
    })
}

fn score(
    manifest: &Manifest,
    subject: &Subject,
    predictions: &Path,
    modality: &str,
    options: &Options,
) -> anyhow::Result<(SubjectScores, Vec<u8>)> {
    let path = prediction_path(predictions, &subject.id);
    let label_path = subject.label.as_deref().unwrap_or(Path::new(""));
    let reference = reference_of(manifest, subject)?;
    let prediction = read_prediction(&path, manifest.classes.len())?;
    let apart = corner_displacement_mm(&reference.grid(), &prediction.grid());
    if apart > SAME_GRID_MM {
        bail!(
            "{}: its grid {:?} is not that of the reference {} {:?}: their corners are {apart:.2} mm apart; predict on the reference's own grid",
            path.display(),
            prediction.shape(),
            label_path.display(),
            reference.shape(),
        );
    }
    let classes = evaluate_pair(&reference, &prediction, &manifest.classes, options)
        .with_context(|| format!("{}", path.display()))?;
    let (overlay, png) = draw(subject, modality, &reference, &prediction)?;
    let scores = SubjectScores {
        subject: subject.id.clone(),
        overlay,
        classes,
    };
    Ok((scores, png))
}

/// Draws reference and prediction on an image of the subject.
fn draw(
    subject: &Subject,
    modality: &str,
    reference: &LabelMap,
    prediction: &LabelMap,
) -> anyhow::Result<(OverlayFile, Vec<u8>)> {
    let seen = in_canonical_axes(subject, modality, reference, prediction)?;
    let drawn = lacuna_report::overlay(
        &seen.image,
        Some(&seen.reference),
        Some(&seen.prediction),
        &OverlayOptions::default(),
    )?;
    let overlay = OverlayFile {
        file: Path::new("overlays").join(format!("{}.png", subject.id)),
        caption: drawn.caption,
        size: drawn.size,
    };
    Ok((overlay, drawn.png))
}

/// What a picture of a prediction is drawn of.
fn in_canonical_axes(
    subject: &Subject,
    modality: &str,
    reference: &LabelMap,
    prediction: &LabelMap,
) -> anyhow::Result<Example> {
    let image = (subject.images.get(modality))
        .with_context(|| format!("subject `{}` has no {modality}", subject.id))?
        .read()?;
    let apart = corner_displacement_mm(&reference.grid(), &image.grid());
    if apart > SAME_GRID_MM {
        bail!(
            "subject `{}`: its {modality} is not on the grid of its label: their corners are {apart:.2} mm apart; run `lacuna check`",
            subject.id
        );
    }
    let axes = Orientation::of(reference.affine());
    Ok(Example {
        image: axes.to_canonical(&image)?,
        reference: axes.to_canonical(reference)?,
        prediction: axes.to_canonical(prediction)?,
    })
}

/// What a picture of the prediction of subject `id` in a folder is drawn of.
pub fn example(manifest: &Manifest, id: &str, predictions: &Path) -> anyhow::Result<Example> {
    let subject = manifest.subject(id)?;
    let modality = overlay_modality(manifest, None)?;
    let reference = reference_of(manifest, subject)?;
    let path = prediction_path(predictions, id);
    let prediction = read_prediction(&path, manifest.classes.len())?;
    in_canonical_axes(subject, modality, &reference, &prediction)
}

/// The classes of a labelled subject.
pub fn reference_of(manifest: &Manifest, subject: &Subject) -> anyhow::Result<LabelMap> {
    let label = subject.label.as_deref().unwrap_or(Path::new(""));
    Ok(manifest.map_labels(subject, &lacuna_io::read_labels(label)?)?)
}

/// A label map of class indices.
fn read_prediction(path: &Path, classes: usize) -> anyhow::Result<LabelMap> {
    let raw: Volume<i32> = lacuna_io::read_labels(path)?;
    let outside = (raw.data().iter()).find(|v| **v < 0 || **v as usize >= classes);
    if let Some(value) = outside {
        bail!(
            "{}: holds the value {value}, expected class indices 0 to {}; map the values to the order of `classes` in the manifest",
            path.display(),
            classes - 1
        );
    }
    Ok(raw.map(|v| *v as u8))
}

fn write_csv(path: &Path, rows: &[Vec<String>]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    lacuna_io::atomic::write_bytes(path, &writer.into_inner()?)?;
    Ok(())
}

impl Evaluation {
    fn rows(&self) -> impl Iterator<Item = (&str, &ClassScores)> {
        self.subjects
            .iter()
            .flat_map(|s| s.classes.iter().map(|c| (s.subject.as_str(), c)))
    }

    /// One row per subject and class, conventions in the last columns.
    fn score_rows(&self) -> Vec<Vec<String>> {
        let mut header = vec!["subject", "class"];
        header.extend(ClassScores::METRICS);
        header.extend(["reference_mm3", "prediction_mm3", "conventions"]);
        let mut out = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
        for (subject, scores) in self.rows() {
            let mut row = vec![subject.to_owned(), scores.class.clone()];
            row.extend(scores.metrics().iter().map(f64::to_string));
            row.push(scores.reference_mm3.to_string());
            row.push(scores.prediction_mm3.to_string());
            row.push(serde_json::to_string(&scores.conventions).unwrap_or_default());
            out.push(row);
        }
        out
    }

    /// One row per lesion of the reference and of the prediction.
    fn lesion_rows(&self) -> Vec<Vec<String>> {
        let header = [
            "subject",
            "class",
            "mask",
            "voxels",
            "mm3",
            "overlap_voxels",
            "touching_voxels",
            "detected",
        ];
        let mut out = vec![header.map(str::to_owned).to_vec()];
        for (subject, scores) in self.rows() {
            let masks = [
                ("reference", &scores.lesions.reference),
                ("prediction", &scores.lesions.prediction),
            ];
            for (mask, lesions) in masks {
                out.extend(lesions.iter().map(|lesion| {
                    vec![
                        subject.to_owned(),
                        scores.class.clone(),
                        mask.to_owned(),
                        lesion.voxels.to_string(),
                        lesion.mm3.to_string(),
                        lesion.overlap_voxels.to_string(),
                        lesion.touching_voxels.to_string(),
                        lesion.detected.to_string(),
                    ]
                }));
            }
        }
        out
    }

    /// Median (IQR) and the bootstrap interval of the mean, then the conventions.
    fn summary_lines(&self) -> String {
        let mut text = String::new();
        let summary = &self.summary;
        for class in &summary.classes {
            text += &format!("{} over {} subject(s):\n", class.class, summary.subjects);
            for m in &class.metrics {
                let d = &m.distribution;
                text += &format!(
                    "  {:<22} median {:.3} (IQR {:.3})  mean {:.3} [{:.0} % bootstrap {:.3} to {:.3}]\n",
                    m.metric,
                    d.quartiles.median,
                    d.iqr,
                    d.mean,
                    100.0 * summary.bootstrap.level,
                    d.mean_interval.low,
                    d.mean_interval.high
                );
            }
        }
        let c = &summary.conventions;
        text += &format!(
            "conventions: overlap {}; GDS {}; AVD {}; surface {}; HD95 {}; NSD {} at {} mm; lesions {}\n",
            c.overlap,
            c.generalised_dice,
            c.avd,
            c.surface,
            c.hd95,
            c.nsd,
            c.nsd_tolerance_mm,
            c.lesion
        );
        text
    }

    /// The terminal table: one row per subject and class, then the summary.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header([
            "subject",
            "class",
            "DSC",
            "sens.",
            "prec.",
            "AVD %",
            "HD95 mm",
            "NSD",
            "lesion rec.",
            "lesion prec.",
            "lesion F1",
            "GDS",
        ]);
        for (subject, s) in self.rows() {
            table.add_row([
                subject.to_owned(),
                s.class.clone(),
                format!("{:.3}", s.dsc),
                format!("{:.3}", s.sensitivity),
                format!("{:.3}", s.precision),
                format!("{:.1}", s.avd_percent),
                format!("{:.1}", s.hd95_mm),
                format!("{:.3}", s.nsd),
                format!("{:.3}", s.lesion_recall),
                format!("{:.3}", s.lesion_precision),
                format!("{:.3}", s.lesion_f1),
                format!("{:.3}", s.generalised_dice),
            ]);
        }
        format!("{table}\n{}", self.summary_lines())
    }
}
