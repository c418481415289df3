//! Recall and DSC of lesions by their size.

use lacuna_metrics::{Lesion, mean};
use lacuna_record::RunResult;

use super::share_of;
use crate::study::cells::{Cells, Family};
use crate::study::names::{self, score};
use crate::study::table::{Cell, Column, StudyTable, mark_best};

/// Classes of reference volume: name, and lower end in mm^3. Decades, because
/// lacunes and white matter lesions span the first three and tumours the last.
const CLASSES: [(&str, f64); 4] = [
    ("below 10", 0.0),
    ("10 to 100", 10.0),
    ("100 to 1000", 100.0),
    ("1000 and more", 1000.0),
];

const CONVENTION: &str = "Lesions are 26-connected components of the reference foreground; classes \
    by their volume in mm³, lower end included. Lesions: of the test subjects, each once. Recall: \
    share of the lesions with at least one voxel predicted. DSC: mean over lesions of 2 overlap / \
    (voxels of the lesion + voxels of the predicted components that touch it), 0 for a missed one. \
    Both pooled over the runs of the rows' network. All: over all settings. Best: at each loss's best \
    setting, the highest median training DSC of {last}. Bold: the highest of the row.";

/// Lesion-wise scores by size class; `None` when nothing was tested.
pub(crate) fn lesions(cells: &Cells) -> Option<StudyTable> {
    let mut rows = Vec::new();
    for family in cells.families() {
        for best in [true, false] {
            let runs = |loss: &String| runs_of(cells, &family, loss, best);
            let runs: Vec<_> = cells.losses.iter().map(runs).collect();
            let heading = [family.text(), if best { "best" } else { "all" }.to_owned()];
            rows.extend((0..CLASSES.len()).filter_map(|class| row(&heading, class, &runs)));
        }
    }
    if rows.is_empty() {
        return None;
    }
    let mut columns = vec![
        Column::words("Network"),
        Column::words("Settings"),
        Column::words("Volume (mm³)"),
        Column::numbers("Lesions"),
    ];
    for loss in &cells.losses {
        let loss = names::loss(loss);
        columns.push(Column::numbers("recall").under(&loss));
        columns.push(Column::numbers("DSC").under(&loss));
    }
    Some(StudyTable {
        id: "lesions".to_owned(),
        title: "Lesions by size".to_owned(),
        columns,
        rows,
        convention: cells.last().told(CONVENTION),
    })
}

fn runs_of<'a>(cells: &Cells<'a>, family: &Family, loss: &str, best: bool) -> Vec<&'a RunResult> {
    match best {
        false => cells.runs_where(loss, |s| s.family() == *family),
        true => {
            let site = cells.best_site(family, loss);
            cells.runs_where(loss, |s| Some(s) == site)
        }
    }
}

fn row(heading: &[String; 2], class: usize, runs: &[Vec<&RunResult>]) -> Option<Vec<Cell>> {
    let lesions = distinct_lesions(runs, class);
    if lesions == 0 {
        return None;
    }
    let mut recalls = Vec::new();
    let mut dscs = Vec::new();
    for runs in runs {
        let found: Vec<&Lesion> = of_class(runs, class).collect();
        let detected = found.iter().filter(|l| l.detected).count();
        let recall = mean(found.iter().map(|l| f64::from(u8::from(l.detected))));
        let dsc = mean(found.iter().map(|l| l.dsc()));
        recalls.push((share_of(detected, found.len()).into(), recall));
        dscs.push((Cell::from(dsc.map_or("–".to_owned(), score)), dsc));
    }
    mark_best(&mut recalls);
    mark_best(&mut dscs);
    let mut row: Vec<Cell> = heading.iter().map(Cell::from).collect();
    row.extend([CLASSES[class].0.into(), lesions.into()]);
    for ((recall, _), (dsc, _)) in recalls.into_iter().zip(dscs) {
        row.extend([recall, dsc]);
    }
    Some(row)
}

/// The lesions of a class of all test subjects of all runs.
fn of_class<'a>(runs: &[&'a RunResult], class: usize) -> impl Iterator<Item = &'a Lesion> {
    (runs.iter().flat_map(|r| r.foreground()))
        .flat_map(|(_, row)| &row.lesions.reference)
        .filter(move |l| class_of(l) == class)
}

/// Lesions of a class, each subject of each dataset counted once.
fn distinct_lesions(runs: &[Vec<&RunResult>], class: usize) -> usize {
    let mut subjects = Vec::new();
    let mut lesions = 0;
    for run in runs.iter().flatten() {
        for (subject, row) in run.foreground() {
            let key = (run.plan.phantom_share.map(f64::to_bits), subject);
            if !subjects.contains(&key) {
                subjects.push(key);
                let reference = row.lesions.reference.iter();
                lesions += reference.filter(|l| class_of(l) == class).count();
            }
        }
    }
    lesions
}

fn class_of(lesion: &Lesion) -> usize {
    let above = CLASSES.iter().rposition(|(_, low)| lesion.mm3 >= *low);
    above.unwrap_or(0)
}
