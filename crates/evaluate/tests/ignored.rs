//! What the manifest leaves out is not scored, and regions have rows of their own.

use std::path::Path;

use lacuna_data::manifest::Manifest;
use lacuna_evaluate::{Request, evaluate, regions};
use lacuna_io::{Reference, write_image, write_image_4d, write_labels};
use lacuna_metrics::Options;
use lacuna_record::Evaluation;
use lacuna_volume::{Affine, Volume};

/// 12 voxels along x, the middle line of 3 x 3.
fn volume<T: Copy + Default>(line: [T; 12]) -> Volume<T> {
    let mut volume = Volume::filled([12, 3, 3], Affine::identity(), T::default()).unwrap();
    for (x, value) in line.into_iter().enumerate() {
        let at = volume.index([x, 1, 1]);
        volume.data_mut()[at] = value;
    }
    volume
}

fn evaluated(folder: &Path, top: &str) -> Evaluation {
    //               0  1  2  3  4  5  6  7  8  9 10 11
    let reference = [1, 1, 0, 0, 9, 9, 9, 9, 0, 2, 0, 3];
    let prediction = [1, 0, 0, 0, 0, 1, 0, 2, 2, 2, 0, 2];
    let label = volume::<u8>(reference);
    let on = Reference::from_grid(&label.grid());
    write_labels(folder.join("label.nii.gz"), &label, &on).unwrap();
    write_image(
        folder.join("flair.nii.gz"),
        &label.map(|l| f32::from(*l)),
        &on,
    )
    .unwrap();
    std::fs::create_dir_all(folder.join("pred")).unwrap();
    let map = volume::<u8>(prediction);
    write_labels(folder.join("pred/a.nii.gz"), &map, &on).unwrap();
    let of = |class: u8| map.map(|l| f32::from(u8::from(*l == class)));
    let maps = [0, 1, 2, 3].map(of);
    write_image_4d(folder.join("pred/a.probabilities.nii.gz"), &maps, &on).unwrap();
    let toml = format!(
        "name = \"lines\"\nmodalities = [\"FLAIR\"]\nclasses = [\"background\", \"rim\", \
         \"core\", \"cyst\"]\n{top}\n[[region]]\nname = \"inner\"\nclasses = [\"core\", \"cyst\"]\n\
         [[region]]\nname = \"all\"\nclasses = [\"rim\", \"core\", \"cyst\"]\n\
         [[region]]\nname = \"cyst\"\nclasses = [\"cyst\"]\n\
         [[subject]]\nid = \"a\"\nimages = {{ FLAIR = \"flair.nii.gz\" }}\nlabel = \"label.nii.gz\"\n"
    );
    let path = folder.join("dataset.toml");
    std::fs::write(&path, toml).unwrap();
    let manifest = Manifest::read(&path).unwrap();
    let predictions = folder.join("pred");
    let request = Request {
        manifest: &manifest,
        predictions: &predictions,
        out: &folder.join("out"),
        subjects: &[],
        options: Options {
            regions: regions(&manifest, &predictions, &[]).unwrap(),
            ..Options::default()
        },
        label_values: false,
        force: false,
        overlay: None,
    };
    evaluate(&request, &mut |_, _| {}).unwrap()
}

#[test]
fn ignored_voxels_are_not_scored_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let evaluation = evaluated(folder.path(), "ignore = 9");
    let rows: Vec<_> = (evaluation.rows())
        .map(|(_, row)| {
            let c = row.counts;
            let counts = [
                c.true_positive,
                c.false_positive,
                c.false_negative,
                c.true_negative,
            ];
            let lesions = (row.lesions.reference.len(), row.lesions.prediction.len());
            (row.class.as_str(), counts, lesions)
        })
        .collect();
    // 108 voxels, of which 4 are left out; the false rim of voxel 5 is among them, and the
    // component of core from 7 to 9 begins at 8.
    assert_eq!(
        rows,
        [
            ("rim", [1, 0, 1, 102], (1, 1)),
            ("core", [1, 2, 0, 101], (1, 2)),
            ("cyst", [0, 0, 1, 103], (1, 0)),
            ("inner", [2, 1, 0, 101], (2, 2)),
            ("all", [3, 1, 1, 99], (3, 3)),
            ("foreground", [3, 1, 1, 99], (3, 3)),
        ]
    );
    // GDS: background 97 of 98 + ..., by hand below.
    let [v0, v1, v2, v3] = [100.0, 2.0, 1.0, 1.0_f64];
    let weight = |v: f64| 1.0 / (v * v);
    let agreed = weight(v0) * 99.0 + weight(v1) * 1.0 + weight(v2) * 1.0;
    let predicted = [100.0, 1.0, 3.0, 0.0];
    let total: f64 = [v0, v1, v2, v3]
        .iter()
        .zip(predicted)
        .map(|(v, p)| weight(*v) * (v + p))
        .sum();
    let (_, first) = evaluation.rows().next().unwrap();
    assert!((first.generalised_dice - 2.0 * agreed / total).abs() < 1e-12);
    // Candidates of rim: voxel 0 alone.
    assert_eq!(evaluation.froc[0].froc.candidates, 1);
    assert!(folder.path().join("out/overlays/a.png").exists());
}

#[test]
fn without_the_key_the_value_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = std::panic::catch_unwind(|| evaluated(folder.path(), ""));
    let error = refused.unwrap_err();
    let said = error.downcast_ref::<String>().unwrap();
    assert!(
        said.contains("LabelValue") && said.contains("value: 9"),
        "{said}"
    );
}

#[test]
fn a_region_of_the_manifest_is_asked_for_by_name() {
    let folder = tempfile::tempdir().unwrap();
    evaluated(folder.path(), "ignore = 9");
    let manifest = Manifest::read(&folder.path().join("dataset.toml")).unwrap();
    let asked = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        regions(&manifest, &folder.path().join("pred"), &names)
    };
    let found = asked(&["inner", "rim+cyst"]).unwrap();
    assert_eq!(found[0].name.as_deref(), Some("inner"));
    assert_eq!((&found[1].name, found[1].classes.len()), (&None, 2));
    assert!(asked(&["outer"]).is_err());
}
