//! A run that is looked at while it trains.

mod place;
mod running;

use std::path::Path;

use lacuna_record::read_events;
use lacuna_report::RunPage;
use lacuna_view::{Shown, Source, Training};
use place::Place;
use running::Running;

fn event(iteration: u64) -> String {
    format!(
        "{{\"iteration\":{iteration},\"loss\":0.5,\"dsc\":0.4,\"foreground_share\":0.1,\
         \"empty_patches\":0,\"seconds\":0.5,\"wait_seconds\":0.0,\"wall_time\":{iteration}}}\n"
    )
}

fn report(folder: &Path) -> Result<lacuna_report::study::StudyReport, String> {
    let page = RunPage {
        title: "<b>\" style=\"x".to_owned(),
        events: read_events(folder).map_err(|error| error.to_string())?,
        ..RunPage::default()
    };
    Ok(page.report())
}

fn start(run: &Path) -> (Running, Option<String>) {
    let source = Source {
        path: run,
        dataset: None,
        label_values: false,
    };
    let training = Training::new(run, Box::new(report));
    let (shown, problem) = Shown::of_run(training, &source);
    (
        Running::of(shown),
        problem.map(|problem| problem.to_string()),
    )
}

#[test]
fn the_page_of_a_run_grows_with_it() {
    let place = Place::new();
    let run = place.path("run");
    std::fs::create_dir(&run).unwrap();
    let dataset = place.path("dataset.toml");
    let text = format!("dataset = {:?}\n", dataset.to_str().unwrap());
    std::fs::write(run.join("run.toml"), text).unwrap();
    std::fs::write(run.join("events.jsonl"), event(1) + &event(2)).unwrap();
    assert!(Training::is_run(&run) && !Training::is_run(&place.path("sub-01")));
    let (running, problem) = start(&run);
    assert_eq!(problem, None);

    let page = running.get("/");
    assert!(page.text().contains("training.js"), "{}", page.text());
    let before = running.json("/run");
    assert_eq!(
        (&before["iterations"], &before["state"]),
        (&2.into(), &"silent".into())
    );
    assert_eq!(before["subjects"], true);
    let body = running.get("/run/page").text();
    assert!(body.contains("Loss by iteration"), "{body}");
    // Styles that the page's policy forbids are gone, and text is text.
    assert!(
        !body.contains(" style=\"") && !body.contains("<style"),
        "{body}"
    );
    assert!(body.contains("&lt;b&gt;&quot; style=&quot;x"), "{body}");
    assert!(running.get("/report.css").text().contains("figcaption"));

    std::fs::write(run.join("events.jsonl"), event(1) + &event(2) + &event(3)).unwrap();
    let after = running.json("/run");
    assert_eq!(after["iterations"], 3);
    assert_ne!(after["stamp"], before["stamp"]);
    assert!(running.get("/run/page").text().contains("<dd>3</dd>"));

    // Its subjects have a page of their own.
    let subjects = running.json("/subjects");
    assert_eq!(subjects["training"], true);
    assert_eq!(subjects["subjects"].as_array().unwrap().len(), 2);
    assert!(running.get("/subjects.html").text().contains("<canvas"));
}

#[test]
fn a_run_whose_dataset_is_lost_is_shown_without_subjects() {
    let place = Place::new();
    let run = place.path("run");
    std::fs::create_dir(&run).unwrap();
    std::fs::write(run.join("run.toml"), "dataset = \"/none/dataset.toml\"\n").unwrap();
    let (running, problem) = start(&run);
    assert!(problem.unwrap().contains("/none/dataset.toml"));
    assert_eq!(running.json("/run")["subjects"], false);
    for path in ["/subjects", "/subject/0", "/volume/0/image-0"] {
        assert_eq!(running.get(path).status, 404, "{path}");
    }
    // A dataset alone has no run.
    let dataset = Running::start(&place.path("dataset.toml"), None);
    assert_eq!(dataset.get("/run").status, 404);
    assert_eq!(dataset.get("/run/page").status, 404);
}
