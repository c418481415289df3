//! Train, predict, evaluate: what is written, and that predictions return to
//! the grid of their input.

mod harness;

use std::path::Path;

use harness::geometry::{Turn, affine_bits, oblique, relabelled};
use harness::{Place, RUN, phantoms};
use lacuna_io::{
    Reference, read, read_image, read_labels, read_reference, write_image, write_labels,
};
use lacuna_record::Event;
use lacuna_train::config::RunConfig;
use lacuna_volume::{Affine, Connectivity, Spacing, Volume, label_components};

const FILES: [&str; 5] = ["T1", "T2", "FLAIR", "lesion", "brain_mask"];

#[test]
fn the_main_job_writes_what_it_promises() {
    let place = Place::new();
    let trained = place.ok("train run.toml --out run --set train.checkpoint_every=2");
    assert!(trained.stdout.contains("run folder: run"), "{trained}");
    the_run_folder_is_complete(&place);
    the_weights_are_safetensors(&place);

    place.ok("predict run --dataset cohort/dataset.toml --split test --out pred");
    assert_eq!(place.names("pred"), ["predictions.json", "sub-02.nii.gz"]);
    let list = place.json("pred/predictions.json");
    assert_eq!(list["iteration"], 6);
    assert_eq!(list["subjects"], serde_json::json!(["sub-02"]));
    assert_eq!(list["classes"], serde_json::json!(["background", "lesion"]));
    let prediction = read_labels(place.path("pred/sub-02.nii.gz")).unwrap();
    assert_eq!(prediction.shape(), [40, 44, 10]);
    let mask = read_labels(place.path("cohort/sub-02/brain_mask.nii.gz")).unwrap();
    for (label, inside) in prediction.data().iter().zip(mask.data()) {
        assert!(
            (0..=*inside).contains(label),
            "{label} where the mask is {inside}"
        );
    }

    let evaluated =
        place.ok("evaluate --dataset cohort/dataset.toml --predictions pred --out eval");
    assert!(evaluated.stdout.contains("sub-02"), "{evaluated}");
    the_scores_are_those_of_the_files(&place);
}

fn the_run_folder_is_complete(place: &Place) {
    assert_eq!(
        place.names("run"),
        [
            ".lock",
            "checkpoint-000004",
            "checkpoint-000006",
            "dataset.json",
            "events.jsonl",
            "provenance.json",
            "run.toml",
            "summary.json",
            "tensorboard"
        ]
    );
    for checkpoint in ["run/checkpoint-000004", "run/checkpoint-000006"] {
        assert_eq!(
            place.names(checkpoint),
            ["optimiser.bin", "state.json", "weights.safetensors"]
        );
    }
    assert_eq!(
        place.json("run/checkpoint-000006/state.json")["iteration"],
        6
    );

    // The effective configuration, defaults and overrides included.
    let written = RunConfig::read(&place.path("run/run.toml"), &[]).unwrap();
    let set = ["train.checkpoint_every=2".to_owned()];
    let given = RunConfig::read(&place.path("run.toml"), &set).unwrap();
    assert_eq!(written, given);
    assert!(place.text("run/run.toml").contains("optimiser = \"adam\""));

    let facts = place.json("run/dataset.json");
    assert_eq!(
        facts["modalities"],
        serde_json::json!(["T1", "T2", "FLAIR"])
    );
    assert_eq!(
        facts["classes"],
        serde_json::json!(["background", "lesion"])
    );
    assert_eq!(facts["split"]["train"], serde_json::json!(["sub-01"]));
    assert_eq!(facts["split"]["test"], serde_json::json!(["sub-02"]));

    let lines = place.text("run/events.jsonl");
    let events: Vec<Event> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let iterations: Vec<u64> = events.iter().map(|e| e.iteration).collect();
    assert_eq!(iterations, [1, 2, 3, 4, 5, 6]);
    for event in &events {
        assert!(
            event.loss.is_finite() && (0.0..=1.0).contains(&event.dsc),
            "{event:?}"
        );
        // The foreground sampler never draws an empty patch: 1 of 2 x 4 x 4 voxels at least.
        assert_eq!(event.empty_patches, 0);
        assert!(event.foreground_share >= 2.0 / 32.0, "{event:?}");
        assert!(
            event.seconds >= event.wait_seconds && event.wait_seconds >= 0.0,
            "{event:?}"
        );
    }
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let mut keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "dsc",
            "empty_patches",
            "foreground_share",
            "iteration",
            "loss",
            "predicted_share",
            "seconds",
            "wait_seconds",
            "wall_time"
        ]
    );

    let summary = place.json("run/summary.json");
    assert_eq!(summary["iterations"], 6);
    assert_eq!(summary["finished"], true);
    assert_eq!(summary["last_iterations"]["iterations"], 6);
    assert_eq!(summary["empty_patch_rate"], 0.0);
    let mean = events.iter().map(|e| e.foreground_share).sum::<f64>() / 6.0;
    let share = summary["foreground_share"].as_f64().unwrap();
    assert!((share - mean).abs() < 1e-12, "{share} {mean}");

    // One TensorBoard file: a version record and a record for each iteration.
    let [file] = &place.names("run/tensorboard")[..] else {
        panic!("{:?}", place.names("run/tensorboard"));
    };
    assert!(file.starts_with("events.out.tfevents."), "{file}");
    let bytes = place.read(Path::new("run/tensorboard").join(file));
    assert_eq!(records(&bytes), 7);
}

/// Records of a TFRecord file: length (8 bytes), checksum (4), payload, checksum (4).
fn records(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut count = 0;
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        rest = &rest[8 + 4 + length + 4..];
        count += 1;
    }
    count
}

/// The file begins with the length of a JSON header, which names the network
/// and gives every tensor's type, shape and bytes.
fn the_weights_are_safetensors(place: &Place) {
    let bytes = place.read("run/checkpoint-000006/weights.safetensors");
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    assert_eq!(header["__metadata__"]["network"], "unet");
    let mut elements = 0;
    let mut end = 0;
    for (name, tensor) in header.as_object().unwrap() {
        if name == "__metadata__" {
            continue;
        }
        assert_eq!(tensor["dtype"], "F32", "{name}");
        let shape = tensor["shape"].as_array().unwrap();
        elements += shape.iter().map(|n| n.as_u64().unwrap()).product::<u64>();
        end = end.max(tensor["data_offsets"][1].as_u64().unwrap());
    }
    assert_eq!(end as usize, bytes.len() - 8 - length);
    assert_eq!(4 * elements, end);
    assert_eq!(place.json("run/summary.json")["parameters"], elements);
}

/// The tables hold the scores of the label file and the prediction file,
/// counted here.
fn the_scores_are_those_of_the_files(place: &Place) {
    let reference = read_labels(place.path("cohort/sub-02/lesion.nii.gz")).unwrap();
    let prediction = read_labels(place.path("pred/sub-02.nii.gz")).unwrap();
    let both = (reference.data().iter().zip(prediction.data()))
        .filter(|(r, p)| **r == 1 && **p == 1)
        .count() as f64;
    let count = |v: &Volume<i32>| v.data().iter().filter(|v| **v == 1).count() as f64;
    let dsc = 2.0 * both / (count(&reference) + count(&prediction));

    let table = place.text("eval/scores.csv");
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    let lesion = rows
        .iter()
        .find(|r| r[..2] == ["sub-02", "lesion"])
        .unwrap();
    let column = |name: &str| header.iter().position(|h| *h == name).unwrap();
    let found: f64 = lesion[column("dsc")].parse().unwrap();
    assert!((found - dsc).abs() < 1e-12, "{found} {dsc}");
    // 2 x 2.5 x 4 mm.
    let volume: f64 = lesion[column("reference_mm3")].parse().unwrap();
    assert!((volume - 20.0 * count(&reference)).abs() < 1e-9);

    let lesions = label_components(&reference.map(|v| *v == 1), Connectivity::TwentySix);
    let table = place.text("eval/lesions.csv");
    let rows = table
        .lines()
        .filter(|l| l.starts_with("sub-02,lesion,reference,"));
    assert_eq!(rows.count(), lesions.count);

    let summary = place.json("eval/summary.json");
    assert_eq!(summary["summary"]["subjects"], 1);
    assert_eq!(summary["subjects"][0]["subject"], "sub-02");
}

/// Writes `sub-02` of the cohort once more, its volumes changed by `change`.
fn rewrite(place: &Place, id: &str, extension: &str, change: impl Fn(&Volume<f32>) -> Volume<f32>) {
    for name in FILES {
        let image = read_image(place.path(format!("cohort/sub-02/{name}.nii.gz"))).unwrap();
        let image = change(&image);
        let path = place.path(format!("cohort/{id}/{name}{extension}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let header = Reference::from_grid(&image.grid());
        match name {
            "lesion" | "brain_mask" => {
                write_labels(&path, &image.map(|v| *v as u8), &header).unwrap();
            }
            _ => write_image(&path, &image, &header).unwrap(),
        }
    }
}

fn manifest_of(ids: &[&str]) -> String {
    let mut text = "name = \"turned\"\nmodalities = [\"T1\", \"T2\", \"FLAIR\"]\n\
                    classes = [\"background\", \"lesion\"]\n"
        .to_owned();
    for id in ids {
        text += &format!(
            "[[subject]]\nid = \"{id}\"\nlabel = \"{id}/lesion.nii.gz\"\n\
             mask = \"{id}/brain_mask.nii.gz\"\nimages = {{ T1 = \"{id}/T1.nii.gz\", \
             T2 = \"{id}/T2.nii.gz\", FLAIR = \"{id}/FLAIR.nii.gz\" }}\n"
        );
    }
    text
}

fn bits(volume: &Volume<f32>) -> Vec<u32> {
    volume.data().iter().map(|v| v.to_bits()).collect()
}

#[test]
fn predictions_return_to_the_axes_of_their_input() {
    let place = Place::new();
    let same = Turn {
        from: [0, 1, 2],
        flipped: [false; 3],
    };
    let lps = Turn {
        from: [0, 1, 2],
        flipped: [true, true, false],
    };
    // x runs to the head, y to the left, z to the back.
    let permuted = Turn {
        from: [2, 0, 1],
        flipped: [false, true, true],
    };
    rewrite(&place, "lps", ".nii.gz", |v| lps.apply(v));
    rewrite(&place, "permuted", ".nii.gz", |v| permuted.apply(v));
    rewrite(&place, "oblique", ".nii.gz", oblique);
    rewrite(&place, "both", ".nii.gz", |v| oblique(&permuted.apply(v)));
    let turns = [
        ("lps", lps),
        ("permuted", permuted),
        ("oblique", same),
        ("both", permuted),
    ];
    place.write("cohort/turned.toml", manifest_of(&turns.map(|(id, _)| id)));

    place.ok("train run.toml --out run");
    place.ok("predict run --dataset cohort/dataset.toml --split test --out pred --probabilities");
    place.ok("predict run --dataset cohort/turned.toml --out turned --probabilities");
    let expected = read_labels(place.path("pred/sub-02.nii.gz")).unwrap();
    let expected_p = read(place.path("pred/sub-02.probabilities.nii.gz"))
        .unwrap()
        .volumes;
    for (id, turn) in turns {
        let path = place.path(format!("turned/{id}.nii.gz"));
        let labels = read_labels(&path).unwrap();
        let input = place.path(format!("cohort/{id}/T1.nii.gz"));
        assert_eq!(
            labels.shape(),
            read_reference(&input).unwrap().shape(),
            "{id}"
        );
        assert_eq!(affine_bits(&path), affine_bits(&input), "{id}");
        assert_eq!(
            turn.undo(&labels, expected.shape()),
            expected.data(),
            "{id}"
        );

        let path = place.path(format!("turned/{id}.probabilities.nii.gz"));
        assert_eq!(affine_bits(&path), affine_bits(&input), "{id}");
        let probabilities = read(&path).unwrap().volumes;
        for (found, expected) in probabilities.iter().zip(&expected_p) {
            let found = turn.undo(found, expected.shape());
            let found: Vec<u32> = found.iter().map(|v| v.to_bits()).collect();
            assert!(found == bits(expected), "{id}: the probabilities differ");
        }
    }

    // The scores, too, do not depend on how the files are stored.
    place.ok("evaluate --dataset cohort/dataset.toml --predictions pred --out eval");
    place.ok("evaluate --dataset cohort/turned.toml --predictions turned --out eval-turned");
    let score = |folder: &str, subject: usize| {
        let scores = place.json(format!("{folder}/summary.json"));
        scores["subjects"][subject]["classes"][0].clone()
    };
    let expected = score("eval", 0);
    for (number, (id, _)) in turns.iter().enumerate() {
        let found = score("eval-turned", number);
        for metric in [
            "dsc",
            "sensitivity",
            "precision",
            "lesion_recall",
            "lesion_f1",
        ] {
            assert!(expected[metric].is_f64(), "{metric}: {expected}");
            assert_eq!(found[metric], expected[metric], "{id} {metric}");
        }
    }
}

#[test]
fn probabilities_sum_to_1_and_the_labels_are_the_most_probable() {
    let place = Place::new();
    place.ok("train run.toml --out run");
    place.ok(
        "predict run --dataset cohort/dataset.toml --subjects sub-02 --out pred --probabilities",
    );
    // At the run's own spacing they come back by interpolation.
    place.ok("train run.toml --out coarse --set geometry.spacing=[3,3,5]");
    place.ok("predict coarse --dataset cohort/dataset.toml --subjects sub-02 --out pred-coarse --probabilities");
    let mask = read_labels(place.path("cohort/sub-02/brain_mask.nii.gz")).unwrap();
    let input = place.path("cohort/sub-02/T1.nii.gz");
    for folder in ["pred", "pred-coarse"] {
        let path = place.path(format!("{folder}/sub-02.nii.gz"));
        assert_eq!(affine_bits(&path), affine_bits(&input), "{folder}");
        let labels = read_labels(&path).unwrap();
        assert_eq!(labels.shape(), [40, 44, 10], "{folder}");
        let path = place.path(format!("{folder}/sub-02.probabilities.nii.gz"));
        let classes = read(&path).unwrap().volumes;
        assert_eq!(classes.len(), 2, "{folder}");
        let mut lesion = 0;
        for i in 0..labels.len() {
            let [p0, p1] = [0, 1].map(|c| classes[c].data()[i]);
            assert!((p0 + p1 - 1.0).abs() < 1e-5, "{folder}: {p0} + {p1}");
            assert_eq!(labels.data()[i], i32::from(p1 > p0), "{folder}: {p0} {p1}");
            if mask.data()[i] == 0 {
                assert_eq!([p0, p1], [1.0, 0.0], "{folder}: outside the mask");
            }
            lesion += usize::from(p1 > p0);
        }
        assert!(
            lesion > 0 && lesion < labels.len(),
            "{folder}: nothing to compare"
        );
    }
}

/// The lesions of the cohort in two classes, by which half of the volume they lie in.
fn halve_the_lesions(place: &Place) {
    for id in ["sub-01", "sub-02"] {
        let path = place.path(format!("cohort/{id}/lesion.nii.gz"));
        let header = read_reference(&path).unwrap();
        let lesions = read_labels(&path).unwrap();
        let mut halves = lesions.map(|&label| label as u8);
        let width = halves.shape()[0];
        for (i, label) in halves.data_mut().iter_mut().enumerate() {
            *label *= if i % width < width / 2 { 1 } else { 2 };
        }
        write_labels(&path, &halves, &header).unwrap();
    }
    let text = place.text("cohort/dataset.toml");
    let named = |line: &str| match line.split_once(" = ") {
        Some(("classes", _)) => "classes = [\"background\", \"rim\", \"core\"]\n".to_owned(),
        Some(("label_values", _)) => String::new(),
        _ => format!("{line}\n"),
    };
    place.write(
        "cohort/dataset.toml",
        text.lines().map(named).collect::<String>(),
    );
}

#[test]
fn regions_overlap_and_leave_a_class_to_each() {
    let place = Place::new();
    halve_the_lesions(&place);
    let run = place.text("run.toml");
    let regions = "regions = [[\"rim\", \"core\"], [\"core\"]]";
    let loss = "[loss]\nname = \"sum\"\nactivation = \"sigmoid\"\nterms = [\
                {loss = {name = \"dice\"}}, {loss = {name = \"boundary\"}}]";
    place.write("regions.toml", format!("{regions}\n{run}\n{loss}\n"));
    place.ok("train regions.toml --out run");
    place.ok("train regions.toml --out coarse --set geometry.spacing=[3,3,5]");
    let mask = read_labels(place.path("cohort/sub-02/brain_mask.nii.gz")).unwrap();
    for run in ["run", "coarse"] {
        place.ok(&format!(
            "predict {run} --dataset cohort/dataset.toml --subjects sub-02 --out pred-{run} \
             --probabilities"
        ));
        let labels = read_labels(place.path(format!("pred-{run}/sub-02.nii.gz"))).unwrap();
        let path = place.path(format!("pred-{run}/sub-02.probabilities.nii.gz"));
        let [both, core] = &read(&path).unwrap().volumes[..] else {
            panic!("a volume for each region");
        };
        let mut unlike = 0;
        for (i, label) in labels.data().iter().enumerate() {
            let (both, core) = (both.data()[i], core.data()[i]);
            let expected = match (both > 0.5, core > 0.5) {
                (_, true) => 2,
                (true, false) => 1,
                _ => 0,
            };
            assert_eq!(*label, expected, "{run}: {both} {core}");
            if mask.data()[i] == 0 {
                assert_eq!([both, core], [0.0, 0.0], "{run}: outside the mask");
            }
            unlike += usize::from((both + core - 1.0).abs() > 1e-3);
        }
        assert!(unlike > labels.len() / 10, "{run}: a softmax");
    }
    // Both regions have a row already, as a class and as the foreground.
    place.ok("evaluate --dataset cohort/dataset.toml --predictions pred-run --out eval");
    let classes = |eval: &str| -> Vec<String> {
        let summary = place.json(format!("{eval}/summary.json"));
        let rows = summary["subjects"][0]["classes"].as_array().unwrap();
        let names = rows.iter().map(|row| row["class"].as_str().unwrap());
        names.map(str::to_owned).collect()
    };
    assert_eq!(classes("eval"), ["rim", "core", "foreground"]);
    place.refused(
        "evaluate --dataset cohort/dataset.toml --predictions pred-run --out no --region core+edge",
        &["--region core+edge", "`edge`", "rim, core"],
    );
}

#[test]
fn the_classes_of_a_sigmoid_have_probabilities_of_their_own() {
    let place = Place::new();
    place.ok("train run.toml --out run --set loss.activation=sigmoid");
    place.ok(
        "predict run --dataset cohort/dataset.toml --subjects sub-02 --out pred --probabilities",
    );
    let labels = read_labels(place.path("pred/sub-02.nii.gz")).unwrap();
    let classes = read(place.path("pred/sub-02.probabilities.nii.gz"))
        .unwrap()
        .volumes;
    let mut unlike = 0;
    for (i, label) in labels.data().iter().enumerate() {
        let [p0, p1] = [0, 1].map(|c| classes[c].data()[i]);
        assert_eq!(*label, i32::from(p1 > p0));
        unlike += usize::from((p0 + p1 - 1.0).abs() > 1e-3);
    }
    assert!(unlike > labels.len() / 10, "a softmax");
}

#[test]
fn images_given_one_by_one_give_the_same_labels() {
    let place = Place::new();
    rewrite(&place, "oblique", ".nii", oblique);
    place.ok("train run.toml --out run");
    place.ok("predict run --dataset cohort/dataset.toml --split test --out pred");
    // Modalities in another order than the run's.
    place.ok(
        "predict run --image FLAIR=cohort/oblique/FLAIR.nii --image T1=cohort/oblique/T1.nii \
         --image T2=cohort/oblique/T2.nii --mask cohort/oblique/brain_mask.nii \
         --out seg.nii --probabilities",
    );
    let expected = read_labels(place.path("pred/sub-02.nii.gz")).unwrap();
    let found = read_labels(place.path("seg.nii")).unwrap();
    assert_eq!(found.data(), expected.data());

    // The geometry fields of the first modality of the run, byte for byte:
    // pixdim, xyzt_units, and from qform_code to srow_z.
    let (input, output) = (place.read("cohort/oblique/T1.nii"), place.read("seg.nii"));
    for range in [76..92, 123..124, 252..328] {
        assert_eq!(
            output[range.clone()],
            input[range.clone()],
            "bytes {range:?}"
        );
    }
    assert_eq!(
        affine_bits(&place.path("seg.probabilities.nii.gz")),
        affine_bits(&place.path("cohort/oblique/T1.nii"))
    );
}

/// A network of unpadded convolutions sees the same voxels, whatever the window.
#[test]
fn a_window_larger_than_the_volume_changes_nothing() {
    let place = Place::new();
    place.ok("train run.toml --out run");
    let predict = "predict run --dataset cohort/dataset.toml --subjects sub-02 --probabilities";
    place.ok(&format!("{predict} --out default"));
    place.ok(&format!("{predict} --window 124 --out large"));
    place.ok(&format!("{predict} --window 56 --overlap 0 --out small"));
    let read = |folder: &str| {
        read(place.path(format!("{folder}/sub-02.probabilities.nii.gz")))
            .unwrap()
            .volumes
    };
    let (default, large) = (read("default"), read("large"));
    for (a, b) in default[1].data().iter().zip(large[1].data()) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    assert_eq!(read("small")[1].shape(), [40, 44, 10]);
}

/// The same pictures, laid into memory so that a coronal or a sagittal run
/// sees what an axial one saw.
#[test]
fn planes_cut_along_the_axes_they_name() {
    let place = Place::new();
    place.ok("train run.toml --out run");
    place.ok("predict run --dataset cohort/dataset.toml --split test --out pred --probabilities");
    let expected = read(place.path("pred/sub-02.probabilities.nii.gz"))
        .unwrap()
        .volumes;
    // Coronal: width is x, height is z. Sagittal: width is y, height is z.
    let planes = [("coronal", [0, 2, 1]), ("sagittal", [2, 0, 1])];
    for (plane, from) in planes {
        let turn = Turn {
            from,
            flipped: [false; 3],
        };
        let upright = Affine::from_spacing(Spacing([2.0, 2.0, 3.0]));
        rewrite(&place, plane, ".nii.gz", |v| {
            relabelled(&turn.apply(v), upright)
        });
        place.write(format!("cohort/{plane}.toml"), manifest_of(&[plane]));
        place.edit(
            "run/run.toml",
            "plane = \"axial\"",
            &format!("plane = \"{plane}\""),
        );
        place.ok(&format!(
            "predict run --dataset cohort/{plane}.toml --out {plane} --probabilities"
        ));
        place.edit(
            "run/run.toml",
            &format!("plane = \"{plane}\""),
            "plane = \"axial\"",
        );
        let path = place.path(format!("{plane}/{plane}.probabilities.nii.gz"));
        let found = read(&path).unwrap().volumes;
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.shape(), from.map(|a| expected.shape()[a]), "{plane}");
            let found = turn.undo(found, expected.shape());
            for (a, b) in found.iter().zip(expected.data()) {
                assert!((a - b).abs() < 1e-6, "{plane}: {a} {b}");
            }
        }
        // And such a run trains.
        place.ok(&format!(
            "train run.toml --out run-{plane} --set patch.plane={plane} --set train.iterations=2"
        ));
    }
}

#[test]
fn every_network_trains_and_predicts() {
    let place = Place::with(&phantoms([18, 20, 8]), RUN);
    let networks = [
        ("padded-unet", 0.05, 16),
        ("two-path-cnn", 0.05, 37),
        ("deep-medic", 0.1, 51),
        ("high-res-3d-net", 0.1, 39),
    ];
    for (name, width, size) in networks {
        place.ok(&format!(
            "train run.toml --out {name} --set model.name={name} --set model.width={width} \
             --set patch.size={size} --set train.iterations=2"
        ));
        assert_eq!(
            place.text(format!("{name}/events.jsonl")).lines().count(),
            2
        );
        place.ok(&format!(
            "predict {name} --dataset cohort/dataset.toml --split test --out pred-{name}"
        ));
        let path = place.path(format!("pred-{name}/sub-02.nii.gz"));
        let labels = read_labels(&path).unwrap();
        assert_eq!(labels.shape(), [18, 20, 8], "{name}");
        assert_eq!(
            affine_bits(&path),
            affine_bits(&place.path("cohort/sub-02/T1.nii.gz"))
        );
        assert!(labels.data().iter().all(|v| (0..2).contains(v)), "{name}");
    }
}

#[test]
fn single_slices_and_the_default_normalisation_work() {
    let place = Place::with(&phantoms([40, 44, 1]), RUN);
    place.ok("train run.toml --out run --set normalise.method=white-matter");
    place.ok("predict run --dataset cohort/dataset.toml --out pred");
    let labels = read_labels(place.path("pred/sub-01.nii.gz")).unwrap();
    assert_eq!(labels.shape(), [40, 44, 1]);
}

#[test]
fn validation_scores_whole_volumes() {
    let place = Place::new();
    place.edit(
        "run.toml",
        "test = [\"sub-02\"]",
        "validation = [\"sub-02\"]",
    );
    let trained = place.ok("train run.toml --out run --set train.validate_every=4");
    assert!(trained.stderr.contains("validation after 4"), "{trained}");
    let lines = place.text("run/validation.jsonl");
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["iteration"], &lines[1]["iteration"]),
        (&4.into(), &6.into())
    );
    // The last one is the DSC that evaluating the prediction gives.
    place.ok("predict run --dataset cohort/dataset.toml --split validation --out pred");
    place.ok("evaluate --dataset cohort/dataset.toml --predictions pred --out eval");
    let scores = place.json("eval/summary.json");
    assert_eq!(lines[1]["dsc"], scores["subjects"][0]["classes"][0]["dsc"]);
    assert_eq!(
        place.json("run/summary.json")["validation_dsc"],
        lines[1]["dsc"]
    );
}
