//! Networks, inputs and validations that a run may have.

use crate::harness::geometry::affine_bits;
use crate::harness::{Place, RUN, phantoms};
use lacuna_data::phantom::PhantomConfig;
use lacuna_io::{Reference, read_image, read_labels, read_reference, write_image};
use lacuna_volume::Volume;

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
fn images_may_be_multiples_of_grey_matter() {
    let place = Place::new();
    place.edit("run.toml", "\"z-score\"", "\"grey-matter\"");
    place.ok("train run.toml --out run");
    // A scanner that gives twice the numbers changes nothing: the median and what is divided
    // by it double, and halving is exact.
    place.ok("predict run --dataset cohort/dataset.toml --out again");
    let of = |folder: &str| read_labels(place.path(format!("{folder}/sub-02.nii.gz"))).unwrap();
    for modality in ["T1", "T2", "FLAIR"] {
        let path = place.path(format!("cohort/sub-02/{modality}.nii.gz"));
        let doubled = read_image(&path).unwrap().map(|v| 2.0 * v);
        write_image(&path, &doubled, &read_reference(&path).unwrap()).unwrap();
    }
    place.ok("predict run --dataset cohort/dataset.toml --out doubled");
    assert_eq!(of("again").data(), of("doubled").data());
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
    // The last time is there to be looked at, also in the page.
    let drawn = place.json("run/validation/pictures.json");
    assert_eq!(drawn["iteration"], 6);
    assert_eq!(drawn["pictures"][0]["file"], "validation/sub-02.png");
    let picture = std::fs::read(place.path("run/validation/sub-02.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    place.ok("report run --out page");
    assert!(
        place
            .text("page/report.html")
            .contains("after 6 iterations")
    );
    let shown = std::fs::read(place.path("page/figures/validation-1.png")).unwrap();
    assert_eq!(shown, picture);
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

/// A clinical scan of few thick slices among others, for a 3-D network: fewer slices
/// than the effective patch has. Beyond its end a network sees it mirrored.
#[test]
fn a_scan_of_few_thick_slices_trains_and_is_predicted() {
    let cohort = PhantomConfig {
        subjects: 4,
        ..phantoms([18, 20, 9])
    };
    let place = Place::with(&cohort, RUN);
    // Three of the nine slices, each as thick as three; and these with their mirror
    // image behind them, which mirrors on as the three do.
    for name in ["T1", "T2", "FLAIR", "lesion", "brain_mask"] {
        let path = |id: &str| place.path(format!("cohort/{id}/{name}.nii.gz"));
        let image = read_image(path("sub-03")).unwrap();
        let mut affine = *image.affine();
        affine.0.iter_mut().for_each(|row| row[2] *= 3.0);
        let slices: Vec<&[f32]> = image.data().chunks(18 * 20).collect();
        for (id, kept) in [("sub-03", &[3, 4, 5][..]), ("sub-04", &[3, 4, 5, 4, 3])] {
            let mut data: Vec<f32> = kept.iter().flat_map(|z| slices[*z]).copied().collect();
            if name == "lesion" {
                data[18 * 20 + 18 * 10 + 9] = 1.0;
            }
            let thick = Volume::new([18, 20, kept.len()], affine, data).unwrap();
            write_image(path(id), &thick, &Reference::from_grid(&thick.grid())).unwrap();
        }
    }
    place.edit("run.toml", "[\"sub-01\"]", "[\"sub-01\", \"sub-03\"]");
    let set = "--set model.name=high-res-3d-net --set train.iterations=3 \
               --set normalise.method=none --set train.learning_rate=1e-4";
    let told = place.ok(&format!(
        "train run.toml --out cube {set} --set patch.size=43"
    ));
    let note = "1 of 2 subjects are smaller than the effective patch of 7 x 7 x 7 voxels";
    assert!(told.stderr.contains(note), "{told}");
    // A patch as flat as the scan needs no filling.
    let flat = "--set patch.size=[43,43,39]";
    let told = place.ok(&format!("train run.toml --out flat {set} {flat}"));
    assert!(!told.stderr.contains("smaller than"), "{told}");

    for run in ["cube", "flat"] {
        place.ok(&format!(
            "predict {run} --dataset cohort/dataset.toml --subjects sub-03,sub-04 \
             --out {run}-pred --probabilities --window 43"
        ));
        let read = |id: &str| {
            let path = place.path(format!("{run}-pred/{id}.probabilities.nii.gz"));
            let input = place.path(format!("cohort/{id}/T1.nii.gz"));
            assert_eq!(affine_bits(&path), affine_bits(&input), "{run} {id}");
            lacuna_io::read(&path).unwrap().volumes
        };
        let (thick, mirrored) = (read("sub-03"), read("sub-04"));
        assert_eq!(thick[1].shape(), [18, 20, 3], "{run}");
        for (thick, mirrored) in thick[1].data().iter().zip(mirrored[1].data()) {
            assert!((thick - mirrored).abs() < 1e-6, "{run}: {thick} {mirrored}");
        }
        // The network is not blind: it says something else in many voxels of the brain.
        let mut said: Vec<u32> = thick[1].data().iter().map(|p| p.to_bits()).collect();
        said.sort_unstable();
        said.dedup();
        assert!(said.len() > 100, "{run}: {} values", said.len());
    }
}
