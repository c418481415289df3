//! The check of one subject's files, one volume in memory after the other.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

use lacuna_volume::{Grid, Volume};

use super::lesions::{self, LesionReport, LesionSize};
use super::report::{
    ClassShare, ImageReport, LabelReport, MaskReport, Problem, Severity, SubjectReport,
};
use crate::manifest::{ImageRef, Manifest, Subject};
use crate::normalise::Background;

/// A smaller share of the foreground outside the mask is a matter of its edge.
const BESIDE_MASK: f64 = 0.01;

/// What a subject leaves for the checks over the whole dataset.
pub(super) struct Checked {
    pub report: SubjectReport,
    pub problems: Vec<Problem>,
    pub lesions: Vec<LesionSize>,
    /// Hash of the voxels of each image and of a label map that is not empty.
    pub contents: Vec<(u64, String)>,
}

pub(super) fn check_subject(manifest: &Manifest, subject: &Subject) -> Checked {
    let mut check = SubjectCheck {
        manifest,
        subject,
        reference: None,
        problems: Vec::new(),
        contents: Vec::new(),
    };
    if let Some(modality) = &manifest.grid
        && let Some(image) = subject.images.get(modality)
        && let Ok(reference) = manifest.read_reference(subject, image)
    {
        check.reference = Some((reference.grid(), modality.clone()));
    }
    let mut images = Vec::new();
    for modality in &manifest.modalities {
        if let Some(image) = subject.images.get(modality) {
            images.extend(check.image(modality, image));
        }
    }
    let weight = subject.weight.clone().map(ImageRef::from);
    let weight = weight.and_then(|w| check.weight(&w));
    let white_matter = check.mask("white_matter", subject.white_matter.as_deref());
    let mask = check.mask("mask", subject.mask.as_deref());
    let (mask_report, mask) = mask.unzip();
    let label = check.label(mask.as_ref());
    let (label, lesions) = label.unzip();
    Checked {
        report: SubjectReport {
            id: subject.id.clone(),
            images,
            label,
            mask: mask_report,
            weight,
            white_matter: white_matter.map(|(report, _)| report),
        },
        problems: check.problems,
        lesions: lesions.unwrap_or_default(),
        contents: check.contents,
    }
}

pub(super) struct SubjectCheck<'a> {
    pub(super) manifest: &'a Manifest,
    subject: &'a Subject,
    /// Grid and modality of the first image that can be read, or that the manifest names.
    pub(super) reference: Option<(Grid, String)>,
    problems: Vec<Problem>,
    contents: Vec<(u64, String)>,
}

impl SubjectCheck<'_> {
    fn image(&mut self, modality: &str, image: &ImageRef) -> Option<ImageReport> {
        let file = image.to_string();
        let read = self.manifest.read_image(self.subject, image);
        let volume = self.readable(&file, read)?;
        if self.reference.is_none() {
            self.reference = Some((volume.grid(), modality.to_owned()));
        }
        if modality == self.manifest.grid_modality() {
            self.judge_geometry(&file, &volume.grid());
        }
        self.judge_placements(&file, &image.path);
        let mut report = self.intensities(modality, file, &volume);
        report.background = Some(Background::Auto.of(&volume));
        if report.is_constant() {
            let finding = format!("{modality} has the same value {} everywhere", report.min);
            let remedy = "replace the image, or remove the subject from the dataset";
            self.add(Severity::Error, &report.file, finding, remedy);
        } else {
            let hash = content_hash(volume.data(), |v| v.to_bits());
            self.contents.push((hash, report.file.clone()));
        }
        Some(report)
    }

    fn weight(&mut self, image: &ImageRef) -> Option<ImageReport> {
        let file = image.to_string();
        let read = self.manifest.read_image(self.subject, image);
        let volume = self.readable(&file, read)?;
        let report = self.intensities("weight", file, &volume);
        if report.min < 0.0 || report.max <= 0.0 {
            let (min, max) = (report.min, report.max);
            let finding = format!(
                "sampling weights from {min} to {max}, expected none below 0 and some above"
            );
            let remedy = "correct the weight map, or remove it from the manifest";
            self.add(Severity::Error, &report.file, finding, remedy);
        }
        Some(report)
    }

    fn intensities(&mut self, role: &str, file: String, volume: &Volume<f32>) -> ImageReport {
        let grid = self.grid(role, &file, &volume.grid());
        let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
        let mut not_finite = 0;
        for &value in volume.data() {
            if value.is_finite() {
                min = min.min(value);
                max = max.max(value);
            } else {
                not_finite += 1;
            }
        }
        if min > max {
            (min, max) = (0.0, 0.0);
        }
        if not_finite > 0 {
            let total = volume.len();
            let finding =
                format!("{role} has {not_finite} of {total} voxels that are NaN or infinite");
            let remedy = "replace them by finite values, or remove the subject from the dataset";
            self.add(Severity::Error, &file, finding, remedy);
        }
        ImageReport {
            modality: role.to_owned(),
            file,
            grid,
            not_finite,
            min,
            max,
            background: None,
        }
    }

    fn mask(&mut self, role: &str, path: Option<&Path>) -> Option<(MaskReport, Volume<bool>)> {
        let path = path?;
        let file = path.display().to_string();
        let read = self.manifest.read_labels(self.subject, path);
        let mask = self.readable(&file, read)?;
        let mask = mask.map(|&v| v != 0);
        let voxels = count(mask.data());
        if voxels == 0 {
            let finding = format!("the {role} is empty, expected some voxels other than 0");
            let remedy = "correct the mask, or remove it from the manifest";
            self.add(Severity::Error, &file, finding, remedy);
        }
        let report = MaskReport {
            file: path.to_owned(),
            grid: self.grid(role, &file, &mask.grid()),
            voxels,
            share: share(voxels, mask.len()),
        };
        Some((report, mask))
    }

    fn label(&mut self, mask: Option<&Volume<bool>>) -> Option<(LabelReport, Vec<LesionSize>)> {
        let path = self.subject.label.as_deref()?;
        let file = path.display().to_string();
        let read = self.manifest.read_labels(self.subject, path);
        let values = self.readable(&file, read)?;
        let grid = self.grid("label", &file, &values.grid());
        self.judge_placements(&file, path);
        let mask = mask.filter(|m| m.shape() == values.shape());
        let inside = mask.map(|m| m.data());
        let counts = ValueCounts::of(values.data(), inside);
        let unknown_values = self.unknown_values(&file, &counts.total);

        // Index 0, the background, is no foreground; nor is an unknown value.
        let class = |value: i32| self.manifest.class_of(value).unwrap_or(0);
        let of_class = |counts: &BTreeMap<i32, usize>, index: usize| -> usize {
            let same = counts.iter().filter(|(v, _)| class(**v) as usize == index);
            same.map(|(_, n)| n).sum()
        };
        // Whose class nobody knows is no part of the whole.
        let ignored = |counts: &BTreeMap<i32, usize>| {
            let value = self.manifest.ignore;
            value.and_then(|v| counts.get(&v)).copied().unwrap_or(0)
        };
        let known = values.len() - ignored(&counts.total);
        let mask_voxels = inside.map(|m| count(m) - ignored(&counts.inside));
        let mask_voxels = mask_voxels.filter(|&n| n > 0);
        let foreground: Vec<ClassShare> = (self.manifest.classes.iter().enumerate().skip(1))
            .map(|(index, name)| {
                let voxels = of_class(&counts.total, index);
                let inside = of_class(&counts.inside, index);
                ClassShare {
                    class: name.clone(),
                    voxels,
                    share: share(voxels, known),
                    share_in_mask: mask_voxels.map(|n| share(inside, n)),
                }
            })
            .collect();
        let voxels: usize = foreground.iter().map(|c| c.voxels).sum();
        let voxels_inside: usize = (1..self.manifest.classes.len())
            .map(|index| of_class(&counts.inside, index))
            .sum();
        let foreground_mask = values.map(|&v| class(v) > 0);
        let lesions = lesions::sizes(&foreground_mask);

        let outside = (voxels > 0 && mask_voxels.is_some()).then_some(voxels - voxels_inside);
        self.judge_label(&file, voxels, outside);
        if voxels > 0 {
            let hash = content_hash(values.data(), |v| v as u32);
            self.contents.push((hash, file));
        }
        let report = LabelReport {
            file: path.to_owned(),
            grid,
            values: counts.total,
            unknown_values,
            foreground,
            foreground_share: share(voxels, known),
            foreground_share_in_mask: mask_voxels.map(|n| share(voxels_inside, n)),
            foreground_outside_mask: outside.map(|n| share(n, voxels)),
            lesions: LesionReport::of(&lesions),
        };
        Some((report, lesions))
    }

    fn unknown_values(&mut self, file: &str, counts: &BTreeMap<i32, usize>) -> Vec<i32> {
        let known = self.manifest.known_values();
        let unknown = |v: &&i32| !known.contains(v);
        let unknown: Vec<i32> = counts.keys().filter(unknown).copied().collect();
        if !unknown.is_empty() {
            let voxels: usize = unknown.iter().map(|v| counts[v]).sum();
            let finding =
                format!("label values {unknown:?} in {voxels} voxels, expected only {known:?}");
            let remedy = "add the values to label_values in the manifest, or correct the label";
            self.add(Severity::Error, file, finding, remedy);
        }
        unknown
    }

    fn judge_label(&mut self, file: &str, voxels: usize, outside: Option<usize>) {
        if voxels == 0 {
            let finding = "the label has no foreground".to_owned();
            let remedy = "fine for a healthy subject, which the foreground sampler skips; \
                          otherwise correct the label";
            self.add(Severity::Warning, file, finding, remedy);
        }
        if let Some(outside) = outside.filter(|&n| n > 0) {
            let share = share(outside, voxels);
            let severity = match share < BESIDE_MASK {
                true => Severity::Note,
                false => Severity::Warning,
            };
            let finding = format!(
                "{outside} of {voxels} foreground voxels ({:.2} %) lie outside the mask, \
                 where predictions are background",
                100.0 * share
            );
            let remedy = "widen the mask, or remove it from the manifest";
            self.add(severity, file, finding, remedy);
        }
    }

    /// Notes a file that cannot be read among the problems.
    fn readable<T, E: std::fmt::Display>(&mut self, file: &str, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(volume) => Some(volume),
            Err(error) => {
                // The file stands before the finding already, and the error says
                // what to do.
                let text = error.to_string();
                let text = text.strip_prefix(&format!("{file}: ")).unwrap_or(&text);
                let (finding, remedy) = text.rsplit_once("; ").unwrap_or((
                    text,
                    "replace the file, or remove the subject from the dataset",
                ));
                self.add(Severity::Error, file, finding.to_owned(), remedy);
                None
            }
        }
    }

    pub(super) fn add(&mut self, severity: Severity, file: &str, finding: String, remedy: &str) {
        self.problems.push(Problem {
            severity,
            subject: Some(self.subject.id.clone()),
            file: Some(file.to_owned()),
            finding,
            remedy: remedy.to_owned(),
        });
    }
}

/// Voxels of each label value, and those inside the mask.
struct ValueCounts {
    total: BTreeMap<i32, usize>,
    inside: BTreeMap<i32, usize>,
}

impl ValueCounts {
    fn of(values: &[i32], mask: Option<&[bool]>) -> Self {
        let mut counts = Self {
            total: BTreeMap::new(),
            inside: BTreeMap::new(),
        };
        let mut start = 0;
        // Runs of equal values are long in a label map.
        for run in values.chunk_by(|a, b| a == b) {
            let end = start + run.len();
            *counts.total.entry(run[0]).or_default() += run.len();
            if let Some(mask) = mask {
                *counts.inside.entry(run[0]).or_default() += count(&mask[start..end]);
            }
            start = end;
        }
        counts
    }
}

fn count(mask: &[bool]) -> usize {
    mask.iter().filter(|&&inside| inside).count()
}

fn share(part: usize, whole: usize) -> f64 {
    match whole {
        0 => 0.0,
        whole => part as f64 / whole as f64,
    }
}

fn content_hash<T: Copy>(values: &[T], bits: impl Fn(T) -> u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut bytes = Vec::with_capacity(1 << 14);
    for chunk in values.chunks(1 << 12) {
        bytes.clear();
        bytes.extend(chunk.iter().flat_map(|&v| bits(v).to_le_bytes()));
        hasher.write(&bytes);
    }
    hasher.finish()
}
