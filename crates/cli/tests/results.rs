//! Pages of runs and evaluations, tables as JSON, and colours.

mod harness;

use harness::Place;

/// A run of a second, what it predicts, and the scores.
fn evaluated() -> Place {
    let place = Place::new();
    place.edit(
        "run.toml",
        "test = [\"sub-02\"]",
        "validation = [\"sub-02\"]",
    );
    place.ok("train run.toml --out run --set train.schedule=cosine");
    place.ok("predict run --dataset cohort/dataset.toml --subjects sub-02 --out pred");
    place.ok("evaluate --dataset cohort/dataset.toml --predictions pred --out eval");
    place
}

#[test]
fn runs_and_evaluations_have_pages() {
    let place = evaluated();
    for folder in ["run", "eval"] {
        let said = place.ok(&format!("report {folder}"));
        let page = format!("{folder}/report/report.html");
        assert!(said.stdout.contains(&page), "{said}");
        // What it wrote it may write again.
        place.ok(&format!("report {folder}"));
        let page = place
            .text(&page)
            .replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for word in ["http:", "https:", "<script", "<link", "url("] {
            assert!(!page.contains(word), "{folder}: {word}");
        }
    }
    let run = place.text("run/report/report.html");
    for part in [
        "Learning rate",
        "DSC of patches",
        "Validation by iteration",
        "sub-02",
        "generalised-dice",
        "1 to train, 1 to validate, 0 to test",
    ] {
        assert!(run.contains(part), "{part}");
    }
    assert!(
        place
            .text("run/report/tables/validation-subjects.csv")
            .contains("sub-02")
    );

    // The phantoms have masks, and their manifest was recorded.
    let page = place.text("eval/report/report.html");
    for part in [
        "Subjects, worst first",
        "Missed and false lesions by volume",
        "beyond the edge of the mask",
        "title=\"voxel; both-empty=1; one-empty=0\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Every lesion of the reference is in one stratum of volume.
    let lesions = place.text("eval/lesions.csv");
    let reference = lesions
        .lines()
        .filter(|l| l.contains(",reference,"))
        .count();
    let sizes = place.text("eval/report/tables/sizes.csv");
    let counted = sizes.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        cells[2].parse::<usize>().unwrap()
    });
    assert_eq!(counted.sum::<usize>(), reference, "{sizes}");
}

#[test]
fn an_evaluation_whose_dataset_is_unknown_says_what_is_missing() {
    let place = evaluated();
    let mut summary = place.json("eval/summary.json");
    summary.as_object_mut().unwrap().remove("dataset").unwrap();
    place.write("eval/summary.json", summary.to_string());
    place.ok("report eval");
    let page = place.text("eval/report/report.html");
    assert!(page.contains("--dataset dataset.toml") && !page.contains("by depth"));
    place.ok("report eval --dataset cohort/dataset.toml");
    assert!(place.text("eval/report/report.html").contains("by depth"));
}

#[test]
fn what_is_no_result_is_refused() {
    let place = evaluated();
    place.refused("report nowhere", &["nowhere", "no such folder"]);
    place.refused("report cohort", &["cohort", "study.json", "evaluation"]);
    place.refused("report .", &["there is", "eval", "run"]);
    place.refused(
        "report run --dataset cohort/dataset.toml",
        &["--dataset", "run", "no evaluation"],
    );
    place.write("run/report/report.html", "mine");
    place.refused("report run", &["report.html", "--force"]);
    assert_eq!(place.text("run/report/report.html"), "mine");
    let mut summary = place.json("eval/summary.json");
    summary["subjects"][0]["classes"][0]["dsc"] = "high".into();
    place.write("eval/summary.json", summary.to_string());
    place.refused("report eval", &["eval/summary.json", "high"]);
}

#[test]
fn json_is_one_document_and_nothing_else() {
    let place = evaluated();
    let of = |words: &str| place.ok(&format!("{words} --json")).json();
    assert_eq!(
        of("check cohort/dataset.toml --spacing 8,8,8")["labelled"],
        2
    );
    let found = of("fingerprint cohort/dataset.toml");
    assert_eq!(found["subjects"].as_array().unwrap().len(), 2);
    let networks = of("networks");
    let unet = (networks.as_array().unwrap().iter()).find(|n| n["name"] == "unet");
    // 2-D, with a border of 40 voxels in all.
    assert_eq!(unet.unwrap()["axes"], 2);
    for pair in unet.unwrap()["patches"].as_array().unwrap() {
        assert_eq!(pair[0].as_u64().unwrap() - pair[1].as_u64().unwrap(), 40);
    }
    assert!(of("losses").as_array().unwrap().len() > 20);
    let tversky = of("losses tversky");
    let keys: Vec<&str> = (tversky["options"].as_array().unwrap().iter())
        .map(|option| option["key"].as_str().unwrap())
        .collect();
    assert!(
        keys.contains(&"alpha") && keys.contains(&"beta"),
        "{keys:?}"
    );
    let examined = of("losses doctor run.toml --steps 1");
    assert_eq!(examined["loss"], "generalised-dice");
    assert_eq!(examined["steps"]["steps"], 1);
    assert!(!examined["probes"].as_array().unwrap().is_empty());

    let evaluate = "evaluate --dataset cohort/dataset.toml --predictions pred --out eval";
    assert_eq!(of(evaluate), place.json("eval/summary.json"));
    place.ok(&evaluate.replace("--out eval", "--out other"));
    let compared =
        of("compare eval other --names a,b --dataset cohort/dataset.toml --out compared");
    assert_eq!(compared["subjects"], serde_json::json!(["sub-02"]));
}

#[test]
fn colours_are_shown_where_they_are_asked_for() {
    let place = Place::empty();
    let escape = '\u{1b}';
    let stderr = |words: &str| place.run(words).stderr;
    assert!(!stderr("check nowhere.toml").contains(escape));
    assert!(stderr("check nowhere.toml --color always").contains(escape));
    assert!(!stderr("check nowhere.toml --color=never").contains(escape));
    // clap's own errors and help.
    assert!(stderr("check --nothing --color=always").contains(escape));
    assert!(!stderr("check --nothing").contains(escape));
    assert!(place.ok("--color always --help").stdout.contains(escape));
    for (name, coloured) in [("CLICOLOR_FORCE", true), ("NO_COLOR", false)] {
        let mut command = place.command("check nowhere.toml");
        let said = command.env(name, "1").output().unwrap().stderr;
        assert_eq!(said.contains(&0x1b), coloured, "{name}");
    }
}
