//! The checks that need all subjects: duplicates, foreground, classes, spacing.

use std::collections::BTreeMap;

use super::lesions::{LesionReport, LesionSize};
use super::report::{CheckReport, GridReport, Problem, Severity, SubjectReport};
use super::subject::Checked;
use crate::manifest::Manifest;
use crate::split::alike;

/// Spacings nearer than this ratio are the same for a network.
const SAME_SPACING: f64 = 1.01;

/// Joins the subjects' findings and adds those on the dataset as a whole.
pub(super) fn assemble(manifest: &Manifest, checked: Vec<Checked>) -> CheckReport {
    let mut problems = Vec::new();
    let mut sizes: Vec<LesionSize> = Vec::new();
    let mut contents: BTreeMap<u64, Vec<(usize, String)>> = BTreeMap::new();
    let mut subjects = Vec::with_capacity(checked.len());
    for (index, one) in checked.into_iter().enumerate() {
        problems.extend(one.problems);
        sizes.extend(one.lesions);
        for (hash, file) in one.contents {
            contents.entry(hash).or_default().push((index, file));
        }
        subjects.push(one.report);
    }
    problems.extend(duplicates(&subjects, contents));
    problems.extend(foreground(manifest, &subjects));
    problems.extend(spacing(&subjects));
    problems.extend(visits(manifest));
    let readable = subjects.iter().any(|s| s.label.is_some());
    CheckReport {
        name: manifest.name.clone(),
        manifest: manifest.path.clone(),
        modalities: manifest.modalities.clone(),
        classes: manifest.classes.clone(),
        labelled: manifest
            .subjects
            .iter()
            .filter(|s| s.label.is_some())
            .count(),
        lesions: readable.then(|| LesionReport::of(&sizes)),
        subjects,
        problems,
    }
}

/// Files with the same voxels, in the order of the first of each group.
fn duplicates(
    subjects: &[SubjectReport],
    contents: BTreeMap<u64, Vec<(usize, String)>>,
) -> Vec<Problem> {
    let mut groups: Vec<_> = contents.into_values().filter(|g| g.len() > 1).collect();
    groups.sort();
    let problem = |group: Vec<(usize, String)>| {
        let (first, file) = &group[0];
        let others: Vec<String> = group[1..]
            .iter()
            .map(|(index, file)| format!("{file} (subject `{}`)", subjects[*index].id))
            .collect();
        let one_subject = group.iter().all(|(index, _)| index == first);
        let remedy = match one_subject {
            true => "give each modality its own image",
            false => "remove the copy, or keep these subjects on the same side of every split",
        };
        Problem {
            severity: Severity::Warning,
            subject: Some(subjects[*first].id.clone()),
            file: Some(file.clone()),
            finding: format!("the voxels are the same as in {}", others.join(", ")),
            remedy: remedy.to_owned(),
        }
    };
    groups.into_iter().map(problem).collect()
}

/// Classes that no label shows.
fn foreground(manifest: &Manifest, subjects: &[SubjectReport]) -> Vec<Problem> {
    let labels: Vec<_> = subjects.iter().filter_map(|s| s.label.as_ref()).collect();
    if manifest.subjects.iter().all(|s| s.label.is_none()) {
        return vec![of_dataset(
            Severity::Note,
            "no subject has a label: the dataset can be predicted, not trained on or evaluated",
            "nothing, or add `label` to the subjects",
        )];
    }
    if labels.is_empty() {
        return Vec::new();
    }
    if labels.iter().all(|l| l.foreground_share == 0.0) {
        return vec![of_dataset(
            Severity::Error,
            "no label has any foreground, so there is nothing to learn",
            "correct label_values in the manifest, or the label files",
        )];
    }
    let missing = (0..manifest.classes.len() - 1)
        .filter(|&index| labels.iter().all(|l| l.foreground[index].voxels == 0))
        .map(|index| {
            let class = &manifest.classes[index + 1];
            of_dataset(
                Severity::Warning,
                &format!("the class `{class}` occurs in no label"),
                "correct label_values in the manifest, or remove the class",
            )
        });
    missing.collect()
}

/// Subjects of different spacing need one chosen for the run.
fn spacing(subjects: &[SubjectReport]) -> Option<Problem> {
    let spacings: Vec<[f64; 3]> = subjects
        .iter()
        .filter_map(|s| Some(spacing_ras(&s.images.first()?.grid)))
        .collect();
    let first = spacings.first()?;
    let (mut least, mut most) = (*first, *first);
    for spacing in &spacings {
        for axis in 0..3 {
            least[axis] = least[axis].min(spacing[axis]);
            most[axis] = most[axis].max(spacing[axis]);
        }
    }
    let differ = (0..3).any(|axis| most[axis] > least[axis] * SAME_SPACING);
    differ.then(|| {
        let text = |s: [f64; 3]| format!("{:.3} x {:.3} x {:.3} mm", s[0], s[1], s[2]);
        of_dataset(
            Severity::Note,
            &format!(
                "the spacing differs among subjects, from {} to {} along right, anterior, superior",
                text(least),
                text(most)
            ),
            "set one spacing for the run, to which all subjects are resampled",
        )
    })
}

/// Subjects that are one patient's by their ids, and that nothing keeps on one side of a split.
fn visits(manifest: &Manifest) -> Option<Problem> {
    let members = manifest.labelled();
    let patients = alike(&members);
    let first = patients.first()?;
    let finding = format!(
        "{} look like one patient's by their ids{}",
        first.join(", "),
        match patients.len() {
            1 => String::new(),
            several => format!(", as do {} other sets of subjects", several - 1),
        }
    );
    Some(of_dataset(
        Severity::Warning,
        &finding,
        "if they are, give them the same `group` in the manifest, so that no split parts them",
    ))
}

/// Spacing along right, anterior, superior, whichever way the axes are stored.
fn spacing_ras(grid: &GridReport) -> [f64; 3] {
    let mut ras = [0.0; 3];
    for (code, &spacing) in grid.orientation.chars().zip(&grid.spacing_mm) {
        let axis = match code {
            'R' | 'L' => 0,
            'A' | 'P' => 1,
            _ => 2,
        };
        ras[axis] = spacing;
    }
    ras
}

fn of_dataset(severity: Severity, finding: &str, remedy: &str) -> Problem {
    Problem {
        severity,
        subject: None,
        file: None,
        finding: finding.to_owned(),
        remedy: remedy.to_owned(),
    }
}
