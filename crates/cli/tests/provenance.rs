//! Every run, study and prediction says what made it, and of which files.

mod harness;

use std::process::Command;

use harness::Place;
use serde_json::Value;

/// The hash of a file by the system's own program.
fn sha256sum(place: &Place, name: &str) -> String {
    let output = Command::new("sha256sum")
        .arg(place.path(name))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().next().unwrap().to_owned()
}

fn files(session: &Value) -> Vec<(String, String, u64)> {
    let files = session["files"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    files
        .iter()
        .map(|file| {
            let bytes = file["bytes"].as_u64().unwrap();
            (text(&file["path"]), text(&file["sha256"]), bytes)
        })
        .collect()
}

#[test]
fn a_run_records_each_session_and_its_files() {
    let place = Place::new();
    place.ok("train run.toml --out run --threads 1 --set train.iterations=2");
    let sessions = place.json("run/provenance.json")["sessions"].clone();
    assert_eq!(sessions.as_array().unwrap().len(), 1);
    let first = &sessions[0];
    let made = &first["provenance"];
    assert_eq!(
        (made["version"].as_str(), made["threads"].as_u64()),
        (Some("0.1.0"), Some(1))
    );
    assert_eq!(made["device"], "cpu");
    assert!(made["instructions"].is_string(), "{made}");
    let words = made["command"].as_array().unwrap();
    assert_eq!(
        (&words[1], &words[2]),
        (&"train".into(), &"run.toml".into())
    );
    assert_eq!(
        (first["iteration"].as_u64(), &made["weights"]),
        (Some(0), &Value::Null)
    );
    // The voxels of the phantom, on axes along the patient's.
    assert_eq!(
        first["spacing_mm"][0],
        place.json("run/dataset.json")["spacing_mm"][0]
    );
    // The manifest, and the files of the subject that is trained on: no others.
    let found = files(first);
    assert!(
        found
            .iter()
            .any(|(path, ..)| path.ends_with("cohort/dataset.toml"))
    );
    assert!(!found.iter().any(|(path, ..)| path.contains("sub-02")));
    for name in ["FLAIR", "T1", "T2", "lesion", "brain_mask"] {
        let name = format!("cohort/sub-01/{name}.nii.gz");
        let (_, sha256, bytes) = (found.iter())
            .find(|(path, ..)| path.ends_with(&name))
            .unwrap_or_else(|| panic!("{name} in {found:?}"));
        assert_eq!(*sha256, sha256sum(&place, &name));
        assert_eq!(*bytes, place.read(&name).len() as u64);
    }

    // A session that goes on is added; a file that has changed is told and recorded.
    let before = sha256sum(&place, "run/checkpoint-000002/weights.safetensors");
    place.ok("train run.toml --out run --set train.iterations=3 --resume");
    let mask = lacuna_io::read_labels(place.path("cohort/sub-01/brain_mask.nii.gz")).unwrap();
    let reference = lacuna_io::read_reference(place.path("cohort/sub-01/T1.nii.gz")).unwrap();
    let mut mask = mask.map(|v| *v as u8);
    let inside = mask.data().iter().position(|v| *v == 1).unwrap();
    mask.data_mut()[inside] = 0;
    lacuna_io::write_labels(
        place.path("cohort/sub-01/brain_mask.nii.gz"),
        &mask,
        &reference,
    )
    .unwrap();
    let said = place.ok("train run.toml --out run --set train.iterations=4 --resume");
    assert!(
        said.stderr.contains("brain_mask.nii.gz has changed"),
        "{said}"
    );
    let sessions = place.json("run/provenance.json")["sessions"].clone();
    assert_eq!(sessions.as_array().unwrap().len(), 3);
    assert_eq!(&sessions[0], first);
    assert_eq!(sessions[1]["iteration"], 2);
    assert_eq!(sessions[1]["provenance"]["weights"], before);
    assert_eq!(files(&sessions[1]), []);
    let changed = files(&sessions[2]);
    assert_eq!(changed.len(), 1);
    assert_eq!(
        changed[0].1,
        sha256sum(&place, "cohort/sub-01/brain_mask.nii.gz")
    );

    // A run of version 0.1.0 has no such file, and goes on.
    std::fs::remove_file(place.path("run/provenance.json")).unwrap();
    place.ok("train run.toml --out run --set train.iterations=5 --resume");
    let sessions = place.json("run/provenance.json")["sessions"].clone();
    assert_eq!(sessions[0]["iteration"], 4);
    assert_eq!(files(&sessions[0]).len(), found.len());
    place.ok("predict run --dataset cohort/dataset.toml --out pred");
    let part = &place.json("pred/predictions.json")["parts"][0];
    assert_eq!(
        part["weights"],
        sha256sum(&place, "run/checkpoint-000005/weights.safetensors")
    );
    assert_eq!(part["device"], "cpu");
}

const STUDY: &str = r#"name = "one"
[executor]
kind = "local"
jobs = 1
threads = 1
[run]
dataset = "cohort/dataset.toml"
[run.split]
train = ["sub-01"]
test = ["sub-02"]
[run.normalise]
method = "z-score"
[run.model]
width = 0.05
[run.patch]
size = 44
[run.train]
iterations = 2
batch = 2
[[axis]]
seed = [1]
"#;

#[test]
fn a_study_records_its_sweeps_and_its_predictions() {
    let place = Place::new();
    place.write("study.toml", STUDY);
    place.ok("sweep study.toml --out out");
    place.ok("sweep study.toml --out out");
    let sessions = place.json("out/provenance.json")["sessions"].clone();
    assert_eq!(sessions.as_array().unwrap().len(), 2);
    assert_eq!(sessions[1]["provenance"]["command"][1], "sweep");
    let run = "out/runs/seed1";
    let trained = place.json(format!("{run}/provenance.json"))["sessions"].clone();
    let command = trained[0]["provenance"]["command"].as_array().unwrap();
    assert!(command.contains(&"study-run".into()), "{command:?}");
    let weights = sha256sum(
        &place,
        &format!("{run}/checkpoint-000002/weights.safetensors"),
    );
    let list = place.json(format!("{run}/test/predictions/predictions.json"));
    assert_eq!(list["weights"], weights);
    assert_eq!(
        list["files"]["sub-02"]["sha256"],
        sha256sum(&place, &format!("{run}/test/predictions/sub-02.nii.gz"))
    );
    let scored = place.json(format!("{run}/test/summary.json"));
    assert_eq!(scored["subjects"][0]["prediction"]["weights"], weights);

    // Its report goes neither into a run nor over a file that it reads.
    place.refused(
        &format!("report out --out {run} --force"),
        &[run, "run.toml", "--out"],
    );
    std::fs::create_dir(place.path("rep")).unwrap();
    std::fs::hard_link(place.path("out/study.json"), place.path("rep/report.md")).unwrap();
    let plan = place.text("out/study.json");
    place.refused(
        "report out --out rep --force",
        &["rep/report.md", "out/study.json"],
    );
    assert_eq!(place.text("out/study.json"), plan);
    place.ok("report out");
}
