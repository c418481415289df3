//! Numbers in tables.

use crate::synthetic::{Found, plan, status, write_done, write_study, write_trained};
use crate::{GDL, WCE, cell, found, report, table, two_losses};
use lacuna_record::{PlannedRun, State};
use lacuna_report::study::{Ending, StudyResults, html};

#[test]
fn table_2_has_medians_of_seeds_and_of_test_subjects() {
    let folder = tempfile::tempdir().unwrap();
    let report = report(&two_losses(folder.path()));
    let dice = table(&report, "table-2");
    assert_eq!(
        cell(dice, &["UNet"], "GDL, all 4"),
        "0.650 (0.150) [0.550, 0.750]"
    );
    // 0.6, 0.7, 0.8, 0.9: median 0.75, quartiles 0.675 and 0.825.
    assert_eq!(cell(dice, &["UNet"], "GDL, test"), "0.750 (0.150)");
    assert_eq!(
        cell(dice, &["UNet"], "WCE, all 4"),
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
    assert_eq!(cell(seeds, &["GDL"], "All 4, SD"), "0.141");
    assert_eq!(cell(seeds, &["GDL"], "Test, SD"), "0.071");
    assert_eq!(cell(seeds, &["GDL"], "Test, range"), "0.700–0.800");
    let runs = table(&report, "runs");
    assert_eq!(cell(runs, &["w1"], "State"), "failed");
    assert_eq!(cell(runs, &["w1"], "Why"), "the loss is <not> finite");
    assert_eq!(cell(runs, &["w1"], "All 4"), "–");
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

    // Two seeds with .7 and .8, the best setting .75; WCE finds nothing.
    let robustness = table(&report, "robustness");
    assert_eq!(cell(robustness, &["GDL"], "Near the best"), "1.000");
    assert_eq!(cell(robustness, &["GDL"], "IQR"), "0.050");
    assert_eq!(cell(robustness, &["GDL"], "Best setting"), "0.750");
    assert_eq!(cell(robustness, &["WCE"], "Near the best"), "0.000");
    assert!(robustness.rows[0].iter().any(|cell| cell.text == "GDL"));
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
            "GDL, all 4"
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
        cell(dice, &["DeepMedic"], "GDL, all 4"),
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
