//! `lacuna auto`: the whole way, on after an interruption, few subjects, bad input, and the
//! model as a folder and as one file.

mod harness;

use std::io::{BufRead, BufReader};

use harness::{Outcome, Place, phantoms, send};
use lacuna_data::phantom::PhantomConfig;

/// A network and a length of a second.
const SMALL: &str = "--set train.iterations=6 --set train.batch=2 --set patch.size=16 --set \
    model.stages={axes=3,features=[4,8],kernels=[[3,3,3],[3,3,3]],strides=[[1,1,1],[2,2,2]],\
    down=[1,1],up=[1],norm=\"instance\"}";

fn place(subjects: usize) -> Place {
    let phantoms = PhantomConfig {
        subjects,
        ..phantoms([40, 44, 20])
    };
    Place::with(&phantoms, "")
}

fn auto(out: &str) -> String {
    format!("auto cohort/dataset.toml --budget 30m --out {out} {SMALL}")
}

/// Takes every lesion out of a subject.
fn without_lesions(place: &Place, subject: &str) {
    let path = place.path(format!("cohort/{subject}/lesion.nii.gz"));
    let label = lacuna_io::read(&path).unwrap();
    let none = label.volumes[0].map(|_| 0u8);
    lacuna_io::write_labels(&path, &none, &label.reference).unwrap();
}

/// Starts the command and asks it to end when it says `when`.
fn stopped(place: &Place, words: &str, when: &str) -> Outcome {
    let mut child = place.command(words).spawn().unwrap();
    let mut stderr = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.contains(when) {
            send(&child, "TERM");
        }
        stderr += &(line + "\n");
    }
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(130), "{stderr}");
    assert!(stderr.contains("the same command goes on"), "{stderr}");
    let mut outcome = place.run("networks");
    outcome.stderr = stderr;
    outcome
}

/// The files that make a model and its scores, without times.
fn made(place: &Place, out: &str) -> Vec<Vec<u8>> {
    let mut names: Vec<String> = ["postprocess.toml", "tuning/tuning.json", "model.json"]
        .map(|name| format!("{out}/{name}"))
        .to_vec();
    for fold in 0..3 {
        names.push(format!(
            "{out}/fold-{fold}/checkpoint-000006/average.safetensors"
        ));
    }
    for subject in ["sub-01", "sub-02", "sub-03"] {
        names.push(format!("{out}/tuned/{subject}.nii.gz"));
    }
    names.iter().map(|name| place.read(name)).collect()
}

#[test]
fn the_whole_way_also_in_parts_and_the_model_as_one_file() {
    let place = place(3);
    let whole = place.ok(&auto("whole"));
    for part in [
        "held-out subjects",
        "temperature",
        "without each fold",
        "minutes spent",
    ] {
        assert!(whole.stdout.contains(part), "{part}: {whole}");
    }
    let card = place.text("whole/card.md");
    for part in [
        "Out-of-fold",
        "| fold-2 |",
        "features of the first stage",
        "Calibration",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    let page = place.text("whole/report.html");
    assert!(
        page.contains("<svg") && page.contains("data:image/png"),
        "page"
    );
    let scores = place.text("whole/evaluation/tuned/scores.csv");
    assert_eq!(scores.lines().count(), 1 + 3, "{scores}");
    // The folds are nnU-Net's form, and each subject is held out once.
    let splits = place.json("whole/splits_final.json");
    let mut held_out: Vec<&str> = (splits.as_array().unwrap().iter())
        .flat_map(|fold| fold["val"].as_array().unwrap())
        .map(|id| id.as_str().unwrap())
        .collect();
    held_out.sort_unstable();
    assert_eq!(held_out, ["sub-01", "sub-02", "sub-03"]);

    stopped(&place, &auto("parts"), "training 2 of 3");
    place.refused(
        "predict parts --dataset cohort/dataset.toml --out never",
        &["parts holds no finished model", "model.json"],
    );
    place.refused(
        &auto("parts").replace("30m", "40m"),
        &[
            "parts was begun with another --budget",
            "30m",
            "40m",
            "another --out",
        ],
    );
    place.ok(&auto("parts"));
    assert!(
        made(&place, "whole") == made(&place, "parts"),
        "the parts differ"
    );
    // A finished one is told again, and nothing is done anew.
    let again = place.ok(&auto("parts"));
    assert!(!again.stderr.contains("training 1"), "{again}");

    let predict = "--dataset cohort/dataset.toml --probabilities";
    place.ok(&format!("predict whole {predict} --out folder"));
    place.ok("export whole model.lacuna");
    place.refused(
        "export whole model.lacuna",
        &["model.lacuna is there already", "--force"],
    );
    std::fs::rename(place.path("whole"), place.path("gone")).unwrap();
    place.ok(&format!("predict model.lacuna {predict} --out file"));
    for name in ["sub-01.nii.gz", "sub-01.probabilities.nii.gz"] {
        let same = place.read(format!("folder/{name}")) == place.read(format!("file/{name}"));
        assert!(same, "{name}");
    }
    let list = place.json("file/predictions.json");
    assert!(list["postprocess"]["temperature"].is_number(), "{list}");
    // The folder that the file was unpacked to is gone.
    let text = list.to_string();
    assert!(text.contains("model.lacuna/fold-0"), "{text}");
    let config = std::fs::read(place.path("model.lacuna")).unwrap();
    let path = place.path("cohort").display().to_string();
    let told = config
        .windows(path.len())
        .any(|bytes| bytes == path.as_bytes());
    assert!(!told, "the model tells where the images lay");

    the_networks_are_tempered_and_their_spread_is_told(&place);

    place.write("cut.lacuna", &config[..config.len() / 2]);
    place.write("text.lacuna", "not a model");
    for file in ["cut.lacuna", "text.lacuna"] {
        place.refused(
            &format!("predict {file} {predict} --out never"),
            &[file, "no model of `lacuna export`", "export it again"],
        );
    }
    assert!(!place.path("never").exists());
}

#[test]
fn trainings_apart_make_the_same_model() {
    let place = place(3);
    place.ok(&auto("whole"));
    let only = |name: &str| format!("{} --only {name}", auto("apart"));
    place.refused(&only("fold-0"), &["apart holds no plan", "lacuna plan"]);
    place.ok(&auto("apart").replacen("auto", "plan", 1));
    place.refused(
        &only("fold-7"),
        &["--only fold-7", "fold-0, fold-1, fold-2"],
    );
    for name in ["fold-2", "fold-0", "fold-1"] {
        place.ok(&only(name));
    }
    let done = place.ok(&auto("apart"));
    assert!(!done.stderr.contains("training 1"), "{done}");
    assert!(
        made(&place, "whole") == made(&place, "apart"),
        "they differ"
    );
}

/// By the probabilities that each network gives alone, which are tempered and compared here.
fn the_networks_are_tempered_and_their_spread_is_told(place: &Place) {
    std::fs::rename(place.path("gone"), place.path("whole")).unwrap();
    let temperature = place.text("whole/postprocess.toml");
    let temperature: f64 = (temperature.lines())
        .find_map(|line| line.strip_prefix("temperature = "))
        .map(|value| value.parse().unwrap())
        .unwrap();
    let cohort = "--dataset cohort/dataset.toml --subjects sub-02";
    place.ok(&format!(
        "predict whole {cohort} --uncertainty --out spread"
    ));
    let foreground: Vec<Vec<f64>> = (0..3)
        .map(|fold| {
            let out = format!("alone-{fold}");
            place.ok(&format!(
                "predict whole/fold-{fold} {cohort} --probabilities --out {out}"
            ));
            let file = place.path(format!("{out}/sub-02.probabilities.nii.gz"));
            let volumes = lacuna_io::read(file).unwrap().volumes;
            let tempered = |p: f64| {
                let odds = (p / (1.0 - p)).powf(1.0 / temperature);
                odds / (1.0 + odds)
            };
            (volumes[1].data().iter())
                .map(|p| tempered(f64::from(*p)))
                .collect()
        })
        .collect();
    let spread = lacuna_io::read_image(place.path("spread/sub-02.uncertainty.nii.gz")).unwrap();
    let mut largest = 0.0_f64;
    for (at, found) in spread.data().iter().enumerate() {
        let values = [0, 1, 2].map(|fold: usize| foreground[fold][at]);
        let mean = values.iter().sum::<f64>() / 3.0;
        let squares = values.map(|v| (v - mean).powi(2)).iter().sum::<f64>();
        let expected = (squares / 3.0).sqrt();
        assert!(
            (f64::from(*found) - expected).abs() < 2e-4,
            "{found} {expected}"
        );
        largest = largest.max(expected);
    }
    assert!(largest > 1e-3, "the networks are all alike: {largest}");
    place.refused(
        &format!("predict whole/fold-0 {cohort} --uncertainty --out never"),
        &["whole/fold-0 is one network", "several runs or a model"],
    );

    let burden = place.text("spread/burden.csv");
    let labels = lacuna_io::read_labels(place.path("spread/sub-02.nii.gz")).unwrap();
    let voxels = labels.data().iter().filter(|label| **label == 1).count();
    // 2 x 2.5 x 4 mm.
    let row = format!("sub-02,lesion,{:.1},", voxels as f64 * 20.0);
    assert!(burden.contains(&row), "{row} {burden}");
}

/// On a grid of the run's own, probabilities are resampled and then tempered, when they are
/// tuned on as when they are predicted.
#[test]
fn held_out_subjects_are_segmented_as_predict_would() {
    let place = place(3);
    place.ok(&format!(
        "{} --set geometry.spacing=[3.0,3.0,4.0]",
        auto("out")
    ));
    for fold in 0..3 {
        let facts = place.json(format!("out/fold-{fold}/dataset.json"));
        let id = facts["split"]["test"][0].as_str().unwrap();
        let predictions = format!("predictions-{fold}");
        place.ok(&format!(
            "predict out/fold-{fold} --dataset cohort/dataset.toml --subjects {id} --out \
             {predictions} --postprocess out/postprocess.toml"
        ));
        let [tuned, predicted] = ["out/tuned", &predictions]
            .map(|folder| lacuna_io::read_labels(place.path(format!("{folder}/{id}.nii.gz"))));
        assert!(tuned.unwrap().data() == predicted.unwrap().data(), "{id}");
    }
    place.edit("cohort/dataset.toml", "name = ", "# Another.\nname = ");
    place.refused(
        &format!("{} --set geometry.spacing=[3.0,3.0,4.0]", auto("out")),
        &[
            "cohort/dataset.toml was changed since out was begun",
            "undo the change",
        ],
    );
}

#[test]
fn thick_slices_turn_in_their_plane() {
    let phantoms = PhantomConfig {
        subjects: 3,
        spacing: [8.0, 2.0, 2.0],
        ..phantoms([16, 44, 40])
    };
    let place = Place::with(&phantoms, "");
    place.ok(&auto("plan").replacen("auto", "plan", 1));
    let config = place.text("plan/run.toml");
    assert!(
        config.contains("rotation_axes = [\"left-right\"]"),
        "{config}"
    );
}

#[test]
fn two_patients_are_each_held_out_and_the_model_sees_both() {
    let place = place(2);
    let done = place.ok(&auto("out"));
    assert!(done.stderr.contains("hold-out"), "{done}");
    assert_eq!(
        place.json("out/model.json")["runs"],
        serde_json::json!(["all"])
    );
    let all = place.json("out/all/dataset.json");
    assert_eq!(
        all["split"]["train"],
        serde_json::json!(["sub-01", "sub-02"])
    );
    assert!(
        place
            .text("out/card.md")
            .contains("networks that saw all patients but one")
    );
}

/// Brains of a litre with a T1: multiples of grey matter, a small network, several on all.
#[test]
fn brains_of_few_patients_get_their_recipe() {
    let brains = PhantomConfig {
        spacing: [4.0; 3],
        ..phantoms([36, 42, 36])
    };
    let place = Place::with(&brains, "");
    let auto = "auto cohort/dataset.toml --budget 30m --out out --set train.iterations=6 --set \
                train.batch=2 --set patch.size=16";
    place.ok(auto);
    let plan = place.text("out/plan.md");
    for part in [
        "| recipe | brain-lesions-3d |",
        "multiples of grey matter",
        "5 trainings on all",
        "cross-entropy",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    let config = place.text("out/all-4/run.toml");
    for part in [
        "method = \"grey-matter\"",
        "norm = \"batch\"",
        "features = [16, 32]",
    ] {
        assert!(config.contains(part), "{part}: {config}");
    }
    let names = ["all-0", "all-1", "all-2", "all-3", "all-4"];
    assert_eq!(
        place.json("out/model.json")["runs"],
        serde_json::json!(names)
    );
    let weights =
        |name: &str| place.read(format!("out/{name}/checkpoint-000006/weights.safetensors"));
    assert_ne!(weights("all-0"), weights("all-1"), "the seed is the same");
    place.ok("predict out --dataset cohort/dataset.toml --out predictions");

    // The time holds no longer trainings than serve.
    let plan = "plan cohort/dataset.toml --budget 100h --out planned";
    place.ok(plan);
    let trainings = place.json("planned/plan.json")["trainings"].clone();
    let most = |k: usize| trainings[k]["most_iterations"].as_u64();
    assert_eq!([most(0), most(2)], [Some(200), Some(400)]);
    assert!(
        place
            .text("planned/plan.md")
            .contains("about 200 iterations")
    );
}

#[test]
fn one_subject_with_lesions_is_trained_on_and_not_judged() {
    let place = place(2);
    without_lesions(&place, "sub-02");
    let done = place.ok(&auto("out"));
    assert!(done.stderr.contains("nothing can be held out"), "{done}");
    assert!(done.stdout.contains("not judged"), "{done}");
    assert!(place.text("out/card.md").contains("Not judged"));
    place.ok("predict out --dataset cohort/dataset.toml --out predictions");
}

#[test]
fn what_cannot_be_done_is_told_before_any_training() {
    let place = place(3);
    place.refused(
        &auto("out")
            .replace("30m", "2s")
            .replace("--set train.iterations=6", ""),
        &[
            "--budget 2s is too short",
            "2 training(s)",
            "40 are the least",
            "give ",
        ],
    );
    // What was tried costs nothing of the next budget, and leaves nothing.
    assert!(!place.path("out").exists());
    for (set, parts) in [
        ("split.folds=3", ["--set split:", "--splits"]),
        (
            "train.budget=3m",
            ["--set train.budget", "--budget is for everything"],
        ),
        (
            "train.bach=3",
            ["train.bach", "did you mean `train.batch`?"],
        ),
    ] {
        place.refused(&format!("{} --set {set}", auto("out")), &parts);
    }
    let structure = place.run(&format!("{} --structure lacunes", auto("out")));
    assert_eq!(structure.code, Some(2), "{structure}");
    assert!(
        structure.stderr.contains("perivascular-space"),
        "{structure}"
    );

    place.write("taken/letter.txt", "mine");
    place.refused(
        &auto("taken"),
        &["taken is not empty", "letter.txt", "new or empty folder"],
    );

    // Two corrupt subjects are told at once; left out when asked.
    let image = place.read("cohort/sub-02/FLAIR.nii.gz");
    place.write("cohort/sub-02/FLAIR.nii.gz", &image[..image.len() / 2]);
    place.refused(
        &auto("out"),
        &["1 of 3 subjects cannot be used", "sub-02", "FLAIR.nii.gz"],
    );
    assert!(!place.path("out").exists());
    let skipped = place.ok(&format!("{} --skip-bad", auto("skipped")));
    assert!(skipped.stderr.contains("left out:"), "{skipped}");

    let place = self::place(2);
    for subject in ["sub-01", "sub-02"] {
        without_lesions(&place, subject);
    }
    place.refused(
        &auto("out"),
        &[
            "cohort/dataset.toml: none of the 2 labelled subjects",
            "give subjects with lesions",
        ],
    );
    assert!(!place.path("out").exists());
}

#[test]
fn folds_of_nnunet_are_taken_as_they_are() {
    let place = place(3);
    place.write(
        "splits_final.json",
        r#"[{"train": ["sub-01", "sub-02"], "val": ["sub-03"]}]"#,
    );
    place.ok(&format!("{} --splits splits_final.json", auto("out")));
    assert_eq!(
        place.json("out/model.json")["runs"],
        serde_json::json!(["fold-0"])
    );
    let splits = place.json("out/splits_final.json");
    assert_eq!(splits[0]["val"], serde_json::json!(["sub-03"]));
    // One fold: what tuning gains elsewhere is not known, and said so.
    assert!(place.text("out/card.md").contains("not known: one fold"));
}

#[test]
fn a_preset_is_where_a_plan_starts() {
    let place = place(3);
    place.ok("plan cohort/dataset.toml --budget 30m --out plan --structure microbleed --set \
              model.stages={axes=3,features=[4,8],kernels=[[3,3,3],[3,3,3]],strides=[[1,1,1],[2,2,2]],down=[1,1],up=[1],norm=\"instance\"}");
    let plan = place.text("plan/plan.md");
    assert!(
        plan.contains("microbleed") && plan.contains("the preset keeps native grids"),
        "{plan}"
    );
    assert!(place.text("plan/run.toml").contains("paste"));
    assert_eq!(
        place.names("plan"),
        [
            ".lock",
            "clock.json",
            "fingerprint",
            "plan.json",
            "plan.md",
            "run.toml",
            "splits_final.json"
        ]
    );
}
