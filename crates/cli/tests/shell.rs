//! How the command behaves in a shell: completions, manual pages, version, quiet, and output
//! that cannot be written.

mod harness;

use std::fs::OpenOptions;

use harness::Place;

#[test]
fn shells_learn_the_commands() {
    let place = Place::empty();
    for shell in ["bash", "zsh", "fish"] {
        let said = place.ok(&format!("completions {shell}"));
        assert!(said.stdout.contains("fingerprint"), "{said}");
        assert!(said.stdout.contains("skip-bad"), "{said}");
    }
    place.ok("man --out pages");
    let pages = place.names("pages");
    for page in ["lacuna.1", "lacuna-auto.1", "lacuna-losses-plot.1"] {
        assert!(pages.iter().any(|name| name == page), "{pages:?}");
    }
    assert!(
        !pages.iter().any(|name| name.contains("study-run")),
        "{pages:?}"
    );
    assert!(place.text("pages/lacuna-auto.1").contains("\\-\\-budget"));
    place.refused("man --out pages/lacuna.1", &["pages/lacuna.1"]);
}

#[test]
fn the_long_version_says_what_it_can_do() {
    let said = Place::empty().ok("--version");
    for part in ["vector instructions: ", "devices: cpu", "MIT OR Apache-2.0"] {
        assert!(said.stdout.contains(part), "{said}");
    }
}

#[test]
fn quiet_shows_results_and_no_progress() {
    let place = Place::new();
    let said = place.ok("train run.toml --out run --quiet");
    assert!(!said.stderr.contains("train 6/6"), "{said}");
    assert!(said.stdout.contains("run"), "{said}");
    let loud = place.ok("train run.toml --out other");
    assert!(loud.stderr.contains("train 6/6"), "{loud}");
}

/// A terminal that is gone, or a log on a full disk, ends no training.
#[cfg(target_os = "linux")]
#[test]
fn progress_that_cannot_be_written_ends_nothing() {
    let place = Place::new();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = place.command("train run.toml --out run");
    let status = command.stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(place.json("run/summary.json")["finished"], true);
}
