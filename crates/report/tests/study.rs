//! Reports of studies whose numbers are computed by hand.

mod synthetic;

use std::path::Path;

use lacuna_record::{Inputs, PlannedRun, State, StudyFolder};
use lacuna_report::study::{
    Ending, StudyReport, StudyResults, StudyTable, html, latex, markdown, write,
};
use synthetic::{Found, plan, status, write_done, write_study, write_trained};

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

#[test]
fn table_2_has_medians_of_seeds_and_of_test_subjects() {
    let folder = tempfile::tempdir().unwrap();
    let report = report(&two_losses(folder.path()));
    let dice = table(&report, "table-2");
    assert_eq!(
        cell(dice, &["UNet"], "GDL, last 200"),
        "0.650 (0.150) [0.550, 0.750]"
    );
    // 0.6, 0.7, 0.8, 0.9: median 0.75, quartiles 0.675 and 0.825.
    assert_eq!(cell(dice, &["UNet"], "GDL, test"), "0.750 (0.150)");
    assert_eq!(
        cell(dice, &["UNet"], "WCE, last 200"),
        "0.000 (0.000) † 1 of 2"
    );
    assert_eq!(cell(dice, &["UNet"], "WCE, test"), "0.000 (0.000) 1 of 2");
    assert!(dice.rows[0][5].best && !dice.rows[0][7].best);
    assert!(report.tables().all(|t| t.id != "table-3"));
    assert!(
        report
            .tables()
            .all(|t| t.rows.iter().all(|r| r.len() == t.columns.len()))
    );
    assert!(report.tables().all(|t| !t.convention.is_empty()));
}

#[test]
fn collapse_spread_and_states_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let report = report(&two_losses(folder.path()));
    let collapse = table(&report, "collapse");
    assert_eq!(cell(collapse, &["WCE"], "To background"), "1");
    assert_eq!(cell(collapse, &["WCE"], "Rate"), "1.000");
    assert_eq!(cell(collapse, &["WCE"], "Empty test maps"), "1 of 1");
    assert_eq!(cell(collapse, &["GDL"], "Rate"), "0.000");
    // Medians 0.55 and 0.75; test means 0.7 and 0.8: SD is the gap over the root of 2.
    let seeds = table(&report, "seeds");
    assert_eq!(cell(seeds, &["GDL"], "Last 200, SD"), "0.141");
    assert_eq!(cell(seeds, &["GDL"], "Test, SD"), "0.071");
    assert_eq!(cell(seeds, &["GDL"], "Test, range"), "0.700–0.800");
    let runs = table(&report, "runs");
    assert_eq!(cell(runs, &["w1"], "State"), "failed");
    assert_eq!(cell(runs, &["w1"], "Why"), "the loss is <not> finite");
    assert_eq!(cell(runs, &["w1"], "Last 200"), "–");
    assert_eq!(cell(runs, &["g0"], "Test"), "0.700");
    assert_eq!(cell(runs, &["g0"], "Time"), "22.0 s");
    assert_eq!(cell(table(&report, "time"), &["UNet"], "Total"), "66.0 s");
}

#[test]
fn comparisons_are_over_subjects_of_matched_runs() {
    let folder = tempfile::tempdir().unwrap();
    let report = report(&two_losses(folder.path()));
    let comparison = table(&report, "comparison-2d");
    // Seed 1 of WCE failed, so seed 0 alone is compared: 0.8 and 0.6 against 0.
    assert_eq!(cell(comparison, &["GDL"], "Subjects"), "2");
    assert_eq!(cell(comparison, &["GDL"], "Runs each"), "1");
    assert_eq!(cell(comparison, &["GDL"], "DSC, first"), "0.700");
    assert_eq!(cell(comparison, &["GDL"], "p"), "0.500");
    assert!(
        comparison
            .convention
            .contains("too few to show any difference")
    );
    let ranks = table(&report, "ranks");
    assert_eq!(cell(ranks, &["GDL"], "Test, mean rank"), "1.00");
    assert_eq!(cell(ranks, &["WCE"], "Test, first"), "0");
}

#[test]
fn lesions_and_calibration_are_pooled_by_loss() {
    let folder = tempfile::tempdir().unwrap();
    let report = report(&two_losses(folder.path()));
    let lesions = table(&report, "lesions");
    // Two subjects with a missed lesion of 4 mm3, one of 8 of which 2 are found:
    // DSC 0 and 2 x 2 / (8 + 2); and one of 50 of which 25 are: 2 x 25 / 75.
    let row = ["below 10", "all"];
    assert_eq!(cell(lesions, &row, "Lesions"), "4");
    assert_eq!(cell(lesions, &row, "GDL, recall"), "0.500");
    assert_eq!(cell(lesions, &row, "GDL, DSC"), "0.200");
    assert_eq!(cell(lesions, &row, "WCE, recall"), "0.000");
    assert_eq!(cell(lesions, &["10 to 100", "best"], "GDL, DSC"), "0.667");
    // Gaps of |10 - 0| and |40 - 60| voxels over 1000; of 20 over the upper 100.
    let calibration = table(&report, "calibration");
    let row = ["WCE", "all"];
    assert_eq!(cell(calibration, &row, "ECE"), "0.03000");
    assert_eq!(cell(calibration, &row, "ECE above the lowest bin"), "0.200");
    assert_eq!(cell(calibration, &row, "Volume ratio"), "0.60");
}

#[test]
fn a_loss_stops_where_it_collapses_or_scores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let shares = [0.1, 0.01, 0.001];
    let mut runs = Vec::new();
    for loss in [GDL, WCE] {
        for (i, share) in shares.into_iter().enumerate() {
            runs.push(PlannedRun {
                phantom_share: Some(share),
                ..plan(&format!("{loss}-{i}"), "unet", loss)
            });
        }
    }
    let study = write_study(folder.path(), "", runs.clone());
    // GDL scores below 0.1 at the rarest share, WCE collapses from the second on.
    for (run, dsc) in runs.iter().zip([0.9, 0.6, 0.05, 0.8, 0.0, 0.0]) {
        let share = if dsc == 0.0 { 0.0 } else { 0.2 };
        let found = Found {
            predicted_share: Some(share),
            ..found([dsc; 4], &[("a", dsc)])
        };
        write_done(&study, run, &found);
    }
    let report = report(&study);
    let stops = table(&report, "stops");
    assert_eq!(cell(stops, &["GDL"], "Stops learning at"), "1/1,000");
    assert_eq!(cell(stops, &["GDL"], "Rarest share learnt"), "1/100");
    assert_eq!(cell(stops, &["WCE"], "Stops learning at"), "1/100");
    assert_eq!(cell(stops, &["WCE"], "Rarest share learnt"), "1/10");
    let by_share = table(&report, "shares");
    assert_eq!(cell(by_share, &["1/100"], "GDL, DSC"), "0.600");
    assert_eq!(cell(by_share, &["1/100"], "GDL, recall"), "0.667");
}

#[test]
fn runs_that_are_not_done_do_not_break_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let runs: Vec<_> = ["a", "b", "c", "d"]
        .map(|n| plan(n, "deep-medic", GDL))
        .to_vec();
    let runs: Vec<_> = (runs.into_iter().enumerate())
        .map(|(i, run)| PlannedRun {
            seed: i as u64,
            ..run
        })
        .collect();
    let study = write_study(folder.path(), "", runs.clone());
    assert_eq!(
        cell(
            table(&report(&study), "table-3"),
            &["DeepMedic"],
            "GDL, last 200"
        ),
        "waiting"
    );
    status(&study, &runs[1], State::Running, None);
    status(&study, &runs[2], State::Killed, Some("out of memory"));
    // Trained, and killed while it was tested.
    write_trained(&study, &runs[3], &found([0.5; 4], &[]));
    status(&study, &runs[3], State::Killed, Some("out of time"));
    let report = report(&study);
    let dice = table(&report, "table-3");
    assert_eq!(
        cell(dice, &["DeepMedic"], "GDL, last 200"),
        "0.500 (0.000) 1 of 4"
    );
    assert_eq!(
        cell(dice, &["DeepMedic"], "GDL, test"),
        "1 waiting, 1 running, 2 killed"
    );
    let page = html(&report);
    assert!(page.contains("out of memory") && page.contains("0 of 4"));
}

#[test]
fn a_folder_that_is_no_study_or_is_corrupt_is_one_error() {
    let folder = tempfile::tempdir().unwrap();
    let none = StudyResults::read(&StudyFolder(folder.path().to_owned())).unwrap_err();
    assert!(none.to_string().contains("holds no study.json"), "{none}");
    let study = two_losses(folder.path());
    let path = study.run("g0").join("test/summary.json");
    std::fs::write(&path, "{\"subjects\": [").unwrap();
    let corrupt = StudyResults::read(&study).unwrap_err().to_string();
    assert!(corrupt.contains(&path.display().to_string()), "{corrupt}");
}

#[test]
fn runs_without_a_predicted_share_are_judged_by_their_test() {
    let folder = tempfile::tempdir().unwrap();
    let runs = vec![plan("old", "unet", GDL)];
    let study = write_study(folder.path(), "", runs.clone());
    let old = Found {
        predicted_share: None,
        ..found([0.0; 4], &[("a", 0.0)])
    };
    write_done(&study, &runs[0], &old);
    let results = StudyResults::read(&study).unwrap();
    assert_eq!(results.runs[0].ending(), Ending::Unknown);
    assert_eq!(results.runs[0].final_ending(), Ending::Background);
}

#[test]
fn every_figure_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let networks = ["unet", "high-res-3d-net"];
    let study = synthetic::write_whole_study(folder.path(), &networks, 2, &[0.1, 1e-3]);
    let results = StudyResults::read(&study).unwrap();
    let report = StudyReport::of(&results, &synthetic::example).unwrap();
    let out = folder.path().join("report");
    write(&report, &out, false, &Inputs::default()).unwrap();
    let page = html(&report);
    let charts = [
        "figure-1",
        "figure-2",
        "isolines-test-2d",
        "isolines-test-3d",
        "figure-3",
        "collapse-rate",
        "curves",
        "shares-dsc",
        "reliability",
    ];
    for id in charts {
        let svg = std::fs::read_to_string(out.join(format!("figures/{id}.svg"))).unwrap();
        assert!(
            svg.starts_with("<svg xmlns=") && svg.contains("<path"),
            "{id}"
        );
        assert!(page.contains(&format!("<figure id=\"{id}\">")), "{id}");
    }
    // A gallery for each network and share, five losses each.
    for gallery in 1..=4 {
        for loss in 1..=5 {
            let png = std::fs::read(out.join(format!("figures/figure-4-{gallery}-{loss}.png")));
            assert_eq!(&png.unwrap()[1..4], b"PNG");
        }
    }
    for table in [
        "findings",
        "stops",
        "lesions",
        "calibration",
        "time",
        "comparison-3d",
    ] {
        assert!(!self::table(&report, table).rows.is_empty(), "{table}");
    }
    // Every entry of the contents leads somewhere.
    for (i, _) in page.match_indices("href=\"#") {
        let id = page[i + 7..].split('"').next().unwrap();
        assert!(page.contains(&format!(" id=\"{id}\"")), "{id}");
    }
}

#[test]
fn an_example_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let results = StudyResults::read(&two_losses(folder.path())).unwrap();
    let error = StudyReport::of(&results, &|_, _| Err("no such image".into())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "subject `b` of run `g0` cannot be drawn: no such image"
    );
}

#[test]
fn all_formats_hold_the_same_cells() {
    let folder = tempfile::tempdir().unwrap();
    let study = two_losses(folder.path());
    let report = report(&study);
    let out = folder.path().join("report");
    std::fs::create_dir_all(out.join("tables")).unwrap();
    std::fs::write(out.join("tables/old.csv"), "left by an earlier report").unwrap();
    std::fs::write(out.join("files.json"), r#"{"files": ["tables/old.csv"]}"#).unwrap();
    write(&report, &out, false, &Inputs::default()).unwrap();
    assert!(!out.join("tables/old.csv").exists());
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(read("report.html"), html(&report));
    assert_eq!(read("report.md"), markdown(&report));
    assert_eq!(read("report.tex"), latex(&report));
    let plain = |text: &str| {
        let text = text.replace("\\dag{}", "†").replace("\\textendash{}", "–");
        let text = text.replace("\\textbf", "");
        text.replace(['\\', '{', '}', '*'], "")
            .replace('\u{A0}', " ")
    };
    let (page, md, tex) = (
        plain(&read("report.html")),
        plain(&read("report.md")),
        plain(&read("report.tex")),
    );
    for table in report.tables() {
        let mut csv = csv::Reader::from_path(out.join(format!("tables/{}.csv", table.id))).unwrap();
        assert_eq!(csv.headers().unwrap().len(), table.columns.len());
        for (row, record) in table.rows.iter().zip(csv.records()) {
            let texts: Vec<&str> = row.iter().map(|c| c.text.as_str()).collect();
            assert_eq!(record.unwrap(), texts);
            if texts.iter().any(|t| t.contains(['<', '>', '\''])) {
                continue;
            }
            assert!(md.contains(&texts.join(" | ")), "{texts:?}");
            assert!(tex.contains(&texts.join(" & ")), "{texts:?}");
            for text in texts {
                assert!(page.contains(&format!(">{text}<")), "{text}");
            }
        }
    }
}

#[test]
fn only_what_an_earlier_report_listed_is_removed_or_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let study = two_losses(folder.path());
    let report = report(&study);
    let out = folder.path().join("report");
    for mine in ["tables/mine.csv", "figures/mine.png", "notes.md"] {
        std::fs::create_dir_all(out.join(mine).parent().unwrap()).unwrap();
        std::fs::write(out.join(mine), "mine").unwrap();
    }
    write(&report, &out, false, &Inputs::default()).unwrap();
    write(&report, &out, false, &Inputs::default()).unwrap();
    for mine in ["tables/mine.csv", "figures/mine.png", "notes.md"] {
        assert_eq!(std::fs::read(out.join(mine)).unwrap(), b"mine");
    }
    // Every file but the list is in the list.
    let list: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("files.json")).unwrap()).unwrap();
    let listed = list["files"].as_array().unwrap();
    assert!(
        listed
            .iter()
            .all(|f| out.join(f.as_str().unwrap()).is_file())
    );
    assert!(listed.iter().any(|f| f == "report.html"));
    assert!(!listed.iter().any(|f| f == "tables/mine.csv"));

    // A page that no report wrote stays, unless it is to be replaced.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("report.md"), "mine").unwrap();
    let refused = write(&report, &other, false, &Inputs::default())
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("report.md is there") && refused.contains("--force"),
        "{refused}"
    );
    assert!(!other.join("report.html").exists());
    assert_eq!(std::fs::read(other.join("report.md")).unwrap(), b"mine");
    write(&report, &other, true, &Inputs::default()).unwrap();
    assert_ne!(std::fs::read(other.join("report.md")).unwrap(), b"mine");

    // A list that leads out of the folder is none.
    std::fs::write(other.join("files.json"), r#"{"files": ["../precious"]}"#).unwrap();
    std::fs::write(folder.path().join("precious"), "mine").unwrap();
    let refused = write(&report, &other, true, &Inputs::default())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("files.json"), "{refused}");
    assert!(folder.path().join("precious").exists());
}

#[test]
fn names_are_never_markup_and_nothing_is_loaded_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let name = "<script src='x'>&\"|*_$%\\input{x}";
    let mut runs = vec![plan("run", name, name)];
    runs[0].loss = format!("{name} {name}");
    let study = write_study(folder.path(), name, runs.clone());
    status(&study, &runs[0], State::Failed, Some(name));
    let report = report(&study);
    let page = html(&report).replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for word in [
        "http:", "https:", "//", "@import", "<script", "<link", "url(", "src='",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("&lt;script src=&#39;x&#39;&gt;"));
    let tex = latex(&report);
    assert!(!tex.contains("\\input{x}") && tex.contains("\\textbackslash{}input\\{x\\}"));
    assert!(tex.contains("\\_\\$\\%"));
    let md = markdown(&report);
    assert!(!md.contains("<script") && md.contains("\\|\\*\\_"));
}
