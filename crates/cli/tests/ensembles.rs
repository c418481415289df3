//! The mean of several runs: its values, and what is recorded of it.

mod harness;

use harness::Place;
use lacuna_io::{read, read_labels};
use lacuna_volume::Volume;

/// Runs `a` and `b` of a few iterations with other seeds.
fn two_runs() -> Place {
    let place = Place::new();
    for (run, seed) in [("a", 1), ("b", 2)] {
        let set = format!("--set train.iterations=2 --set seed={seed}");
        place.ok(&format!("train run.toml --out {run} {set}"));
    }
    place
}

/// Predicts the held-out subject with `runs` and options into `out`.
fn predict(place: &Place, runs: &str, out: &str) {
    place.ok(&format!(
        "predict {runs} --dataset cohort/dataset.toml --split test --out {out} --probabilities"
    ));
}

fn probabilities(place: &Place, folder: &str) -> Vec<Volume<f32>> {
    let file = place.path(format!("{folder}/sub-02.probabilities.nii.gz"));
    read(file).unwrap().volumes
}

/// Windows, blending, masks, mirror images and interpolation are linear, so that the mean
/// of two runs is the mean of the files that each writes alone.
#[test]
fn the_mean_of_two_runs_is_the_mean_of_their_files() {
    let place = two_runs();
    for (run, seed) in [("c", 1), ("d", 2)] {
        place.ok(&format!(
            "train run.toml --out {run} --set train.iterations=1 --set seed={seed} \
             --set geometry.spacing=[3,3,5]"
        ));
    }
    for (runs, options) in [
        (["a", "b"], "--window 52"),
        (["a", "b"], "--mirror left-right --overlap 0.5"),
        (["c", "d"], "--blend gaussian"),
    ] {
        let [first, second] = runs.map(|run| {
            let out = format!("alone-{run}");
            predict(&place, &format!("{run} {options} --force"), &out);
            probabilities(&place, &out)
        });
        predict(
            &place,
            &format!("{} {} {options} --force", runs[0], runs[1]),
            "both",
        );
        let both = probabilities(&place, "both");
        let labels = read_labels(place.path("both/sub-02.nii.gz")).unwrap();
        let mut apart = 0.0_f32;
        for channel in 0..2 {
            let volumes = [&first, &second].map(|volumes| volumes[channel].data());
            for (i, found) in both[channel].data().iter().enumerate() {
                let [a, b] = volumes.map(|values| values[i]);
                assert!(
                    (found - (a + b) / 2.0).abs() < 2e-6,
                    "{options}: {found} {a} {b}"
                );
                apart = apart.max((a - b).abs());
            }
        }
        assert!(apart > 1e-3, "{options}: the runs are the same");
        for (i, label) in labels.data().iter().enumerate() {
            let [background, lesion] = [0, 1].map(|channel| both[channel].data()[i]);
            assert_eq!(*label, i32::from(lesion > background));
        }
    }
}

#[test]
fn logits_have_another_mean() {
    let place = two_runs();
    predict(&place, "a b", "mean");
    predict(&place, "a b --average logits", "logits");
    let [mean, logits] = ["mean", "logits"].map(|folder| probabilities(&place, folder));
    let mut pairs = mean[1].data().iter().zip(logits[1].data());
    assert!(pairs.any(|(a, b)| (a - b).abs() > 1e-3));
    let list = place.json("logits/predictions.json");
    assert_eq!(list["ensemble"]["average"], "logits");
}

#[test]
fn every_run_is_recorded_and_told_of() {
    let place = two_runs();
    let facts = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut summary = place.json("b/summary.json");
        change(&mut summary);
        place.write("b/summary.json", summary.to_string());
    };
    facts(&|summary| summary["finished"] = false.into());
    let words = "predict a b --dataset cohort/dataset.toml --split test --mirror left-right";
    let told = place.ok(&format!("{words} --out p"));
    assert!(
        told.stderr
            .contains("warning: b: the training is not finished"),
        "{told}"
    );
    assert!(
        !told.stderr.contains("warning: a: the training is not"),
        "{told}"
    );
    for run in ["a", "b"] {
        let unseen = format!("warning: {run}: the network was not trained on images mirrored");
        assert!(told.stderr.contains(&unseen), "{told}");
    }

    let list = place.json("p/predictions.json");
    assert_eq!(list["weights"], serde_json::Value::Null);
    let runs = list["ensemble"]["runs"].as_array().unwrap();
    assert_eq!(list["ensemble"]["average"], "probabilities");
    for (entry, run) in runs.iter().zip(["a", "b"]) {
        let weights = place.path(format!("{run}/checkpoint-000002/weights.safetensors"));
        assert_eq!(entry["run"], run);
        assert_eq!(entry["iteration"], 2);
        assert_eq!(
            entry["weights"],
            lacuna_record::sha256_of(&weights).unwrap()
        );
    }
    place.ok("evaluate --dataset cohort/dataset.toml --predictions p --out e");
    let scored = place.json("e/summary.json");
    assert_eq!(
        scored["subjects"][0]["prediction"]["ensemble"],
        list["ensemble"]
    );

    // The same runs go on; one of them, or another mean, is another maker.
    let before = place.read("p/predictions.json");
    let all = words.replace("--split test", "");
    place.ok(&format!("{all} --out p --skip-existing"));
    let files = place.json("p/predictions.json")["files"].clone();
    assert_eq!(
        (&files["sub-02"]["part"], &files["sub-01"]["part"]),
        (&0.into(), &1.into())
    );
    place.write("p/predictions.json", before);
    for other in [
        words.replace("a b", "a"),
        format!("{words} --average logits"),
    ] {
        let parts = [
            "p holds predictions",
            "mean probabilities of a after 2",
            "b after 2",
            "--force",
        ];
        place.refused(&format!("{other} --out p --skip-existing"), &parts);
    }
    place.ok(&format!("{} --out p --force", words.replace("a b", "a")));
}

#[test]
fn one_subject_by_several_runs() {
    let place = two_runs();
    let images = ["T1", "T2", "FLAIR"].map(|m| format!("--image {m}=cohort/sub-02/{m}.nii.gz"));
    let mask = "--mask cohort/sub-02/brain_mask.nii.gz";
    let images = images.join(" ");
    place.ok(&format!("predict a b {images} {mask} --out seg.nii.gz"));
    predict(&place, "a b", "p");
    let labels = ["seg.nii.gz", "p/sub-02.nii.gz"].map(|f| read_labels(place.path(f)).unwrap());
    assert_eq!(labels[0].data(), labels[1].data());
}
