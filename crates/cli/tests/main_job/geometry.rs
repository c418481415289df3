//! Axes of memory, of the patient and of the network.

use crate::harness::Place;
use crate::harness::geometry::{Turn, affine_bits, oblique, relabelled};
use lacuna_io::{
    Reference, read, read_image, read_labels, read_reference, write_image, write_labels,
};
use lacuna_volume::{Affine, Spacing, Volume};

const FILES: [&str; 5] = ["T1", "T2", "FLAIR", "lesion", "brain_mask"];

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
