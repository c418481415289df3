//! Reports of studies whose numbers are computed by hand.

#[path = "../synthetic/mod.rs"]
mod synthetic;

mod kept;
mod pages;
mod tables;

use std::path::Path;

use lacuna_record::{PlannedRun, State, StudyFolder};
use lacuna_report::study::{StudyReport, StudyResults, StudyTable};
use synthetic::{Found, plan, status, write_done, write_study};

const GDL: &str = "generalised-dice";
const WCE: &str = "weighted-cross-entropy";

fn found(dsc: [f64; 4], subjects: &[(&str, f64)]) -> Found {
    Found {
        dsc: dsc.to_vec(),
        predicted_share: Some(0.1),
        subjects: (subjects.iter())
            .map(|(id, dsc)| ((*id).to_owned(), *dsc))
            .collect(),
        lesions: vec![(4, 0), (8, 2), (50, 25)],
        bins: vec![(900, 0.0, 10), (100, 60.0, 40)],
    }
}

fn report(folder: &StudyFolder) -> StudyReport {
    StudyReport::of(&StudyResults::read(folder).unwrap(), &|_, _| Ok(None)).unwrap()
}

fn table<'a>(report: &'a StudyReport, id: &str) -> &'a StudyTable {
    report.tables().find(|t| t.id == id).unwrap()
}

/// The cell of a column in the row whose cells hold all of `row`.
fn cell<'a>(table: &'a StudyTable, row: &[&str], column: &str) -> &'a str {
    let names: Vec<String> = table.columns.iter().map(|c| c.full_name()).collect();
    let place = names.iter().position(|n| n == column);
    let place = place.unwrap_or_else(|| panic!("{column} is not in {names:?}"));
    let holds = |cells: &&Vec<lacuna_report::study::Cell>| {
        row.iter().all(|text| cells.iter().any(|c| c.text == *text))
    };
    let row = table.rows.iter().find(holds).expect("a row");
    &row[place].text
}

/// Two losses with two seeds each on two subjects.
fn two_losses(folder: &Path) -> StudyFolder {
    let seeded = |name: &str, loss: &str, seed| PlannedRun {
        seed,
        ..plan(name, "unet", loss)
    };
    let runs = vec![
        seeded("g0", GDL, 0),
        seeded("g1", GDL, 1),
        seeded("w0", WCE, 0),
        seeded("w1", WCE, 1),
    ];
    let study = write_study(folder, "By hand.", runs.clone());
    // Medians 0.55 and 0.75, interquartile ranges 0.15 and 0.15.
    let g0 = found([0.4, 0.5, 0.6, 0.7], &[("a", 0.8), ("b", 0.6)]);
    let g1 = found([0.6, 0.7, 0.8, 0.9], &[("a", 0.9), ("b", 0.7)]);
    write_done(&study, &runs[0], &g0);
    write_done(&study, &runs[1], &g1);
    let w0 = Found {
        predicted_share: Some(0.0),
        lesions: vec![(4, 0), (8, 0), (50, 0)],
        ..found([0.0; 4], &[("a", 0.0), ("b", 0.0)])
    };
    write_done(&study, &runs[2], &w0);
    status(
        &study,
        &runs[3],
        State::Failed,
        Some("the loss is <not> finite"),
    );
    study
}
