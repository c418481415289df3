//! The page of a run as a reader gets it.

use lacuna_record::{Event, Summary, ValidationScore};
use lacuna_report::study::{Item, StudyTable, html};
use lacuna_report::{Fact, RunPage};

/// DSC of iteration i is i / 1000: the last 200 of 1000 are 0.801 to 1, whose median is 0.9005
/// and quartiles 0.85075 and 0.95025.
fn event(i: u64) -> Event {
    Event {
        iteration: i,
        loss: 1.0 - i as f64 / 1000.0,
        dsc: i as f64 / 1000.0,
        foreground_share: 0.25,
        predicted_share: Some(0.2),
        alternation: None,
        empty_patches: u64::from(i.is_multiple_of(4)),
        seconds: 0.5,
        wait_seconds: 0.0,
        wall_time: 1.0,
    }
}

fn page() -> RunPage {
    let score = |iteration, subject: &str, dsc, lesion_f1| ValidationScore {
        iteration,
        subject: subject.to_owned(),
        dsc,
        class_dsc: None,
        lesion_f1: Some(lesion_f1),
    };
    RunPage {
        title: "Run <1>".to_owned(),
        configuration: vec![Fact::new("Network", "unet")],
        events: (1..=1000).map(event).collect(),
        rates: vec![1e-3; 1000],
        patches_per_iteration: 2,
        validation: vec![
            score(500, "a", 0.75, 0.5),
            score(500, "b", 0.5, 0.5),
            score(1000, "a", 0.625, 1.0),
            score(1000, "b", 0.5625, 0.5),
        ],
        pictures: None,
        summary: Some(Summary {
            iterations: 1000,
            finished: true,
            last_iterations: None,
            ending: None,
            restarts: 0,
            drawn: Default::default(),
            foreground_share: 0.25,
            empty_patch_rate: 0.125,
            seconds_per_iteration: 0.5,
            wait_share: 0.0,
            parameters: 117_058,
            peak_memory_bytes: Some(1_500_000_000),
            validation_dsc: Some(0.59375),
            best_iteration: Some(500),
        }),
    }
}

fn fact(page: &RunPage, name: &str) -> String {
    let facts = page.facts();
    let found = facts.iter().find(|f| f.name == name);
    found.map_or_else(|| panic!("no {name}: {facts:?}"), |f| f.value.clone())
}

fn table(page: &RunPage, id: &str) -> StudyTable {
    let report = page.report();
    let found = report.tables().find(|t| t.id == id).cloned();
    found.unwrap()
}

fn warnings(page: &RunPage) -> Vec<String> {
    let sections = page.sections();
    let told = sections.into_iter().find(|s| s.title == "What to look at");
    told.map_or_else(Vec::new, |section| section.text)
}

#[test]
fn numbers_are_those_of_the_run() {
    let page = page();
    assert_eq!(
        fact(&page, "DSC of patches, last 200"),
        "0.901 (IQR 0.0995)"
    );
    // Means of 0.625 and 0.5625, and of 1 and 0.5.
    assert_eq!(
        fact(&page, "Validation DSC after 1000"),
        "0.594, lesion F1 0.750"
    );
    // 250 of 2000 patches.
    assert_eq!(fact(&page, "Patches without foreground"), "12.5 %");
    assert_eq!(fact(&page, "Time of the iterations"), "8.3 min");
    assert_eq!(fact(&page, "Seconds per iteration"), "0.500");
    assert_eq!(fact(&page, "Peak memory"), "1.50 GB");
}

#[test]
fn validation_subjects_come_worst_first_with_their_best() {
    let table = table(&page(), "validation-subjects");
    let rows: Vec<Vec<&str>> = (table.rows.iter())
        .map(|row| row.iter().map(|c| c.text.as_str()).collect())
        .collect();
    assert_eq!(
        rows,
        [
            ["b", "0.562", "0.500", "0.562", "1000"],
            ["a", "0.625", "1.00", "0.750", "500"],
        ]
    );
    assert_eq!(table.columns[1].full_name(), "After 1000 iterations, DSC");
}

#[test]
fn what_went_wrong_is_told_first() {
    let mut page = page();
    let told = warnings(&page);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("best after 500 of 1000"));
    // Of 500 seconds, ten waited are a fiftieth, and 62.5 an eighth.
    for (wait, remarks) in [(0.01, 1), (0.0625, 2)] {
        page.events.iter_mut().for_each(|e| e.wait_seconds = wait);
        assert_eq!(warnings(&page).len(), remarks);
    }
    page.events
        .iter_mut()
        .for_each(|e| e.predicted_share = Some(0.0));
    page.events[3].loss = f64::NAN;
    page.summary = None;
    let told = warnings(&page).join("\n");
    for part in [
        "every voxel background",
        "iteration 4 is not finite",
        "--resume",
        "12.5 % of the time",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn a_run_that_has_not_begun_has_a_page() {
    let page = html(&RunPage::default().report());
    assert!(page.contains("Iterations done") && !page.contains("<svg"));
}

#[test]
fn a_page_shows_text_as_text_and_curves() {
    let page = page();
    let text = html(&page.report());
    assert!(text.contains("<h1>Run &lt;1&gt;</h1>"));
    // Loss, DSC, rate and shares, and the validation.
    assert_eq!(text.matches("<svg").count(), 5);
    let untold = RunPage {
        rates: Vec::new(),
        ..page
    };
    let charts = untold.sections().into_iter().flat_map(|s| s.items);
    let curves = charts.filter(|item| matches!(item, Item::Chart(c) if c.id == "curves"));
    assert_eq!(curves.count(), 1);
    assert_eq!(html(&untold.report()).matches("<svg").count(), 4);
}
