//! `lacuna fingerprint`, `lacuna compare` and `lacuna phantom` as a user types them.

mod harness;

use harness::Place;

fn voxels(place: &Place, subject: &str) -> usize {
    let label = lacuna_io::read_labels(place.path(format!("cohort/{subject}/lesion.nii.gz")));
    label
        .unwrap()
        .data()
        .iter()
        .filter(|label| **label == 1)
        .count()
}

#[test]
fn a_fingerprint_counts_and_tells_all_that_cannot_be_used() {
    let place = Place::new();
    let told = place.ok("fingerprint cohort/dataset.toml --out print");
    assert!(told.stdout.contains("sub-02"), "{told}");
    assert_eq!(
        place.names("print"),
        [
            "components.csv",
            "fingerprint.csv",
            "fingerprint.json",
            "fingerprint.svg"
        ]
    );
    let found = place.json("print/fingerprint.json");
    for (at, subject) in ["sub-01", "sub-02"].into_iter().enumerate() {
        let counted = &found["subjects"][at]["foreground"][0]["voxels"];
        assert_eq!(*counted, voxels(&place, subject), "{found}");
    }
    for (subject, kept) in [("sub-01", 100), ("sub-02", 400)] {
        let name = format!("cohort/{subject}/FLAIR.nii.gz");
        let bytes = place.read(&name);
        place.write(name, &bytes[..kept]);
    }
    let refused = place.refused(
        "fingerprint cohort/dataset.toml --out never",
        &[
            "2 of 2 subjects cannot be used",
            "sub-01",
            "sub-02",
            "FLAIR.nii.gz",
        ],
    );
    assert!(!place.path("never").exists(), "{refused}");
}

#[test]
fn a_comparison_is_of_the_same_subjects() {
    let place = Place::new();
    for subject in ["sub-01", "sub-02"] {
        let label = place.read(format!("cohort/{subject}/lesion.nii.gz"));
        place.write(format!("all/{subject}.nii.gz"), label);
        let path = place.path(format!("none/{subject}.nii.gz"));
        std::fs::create_dir_all(place.path("none")).unwrap();
        let label = lacuna_io::read(place.path(format!("all/{subject}.nii.gz"))).unwrap();
        let empty = label.volumes[0].map(|_| 0u8);
        lacuna_io::write_labels(path, &empty, &label.reference).unwrap();
    }
    let told = place.ok("compare all none --dataset cohort/dataset.toml --out compared");
    // Everything against nothing: DSC 1 and 0, in two subjects no p below a half.
    assert!(told.stdout.contains("-1.000 [-1.000, -1.000]"), "{told}");
    assert!(
        told.stderr.contains("no signed-rank p below 0.500"),
        "{told}"
    );
    assert!(
        place
            .text("compared/compare.md")
            .contains("none against all")
    );
    place.refused(
        "compare all nowhere --dataset cohort/dataset.toml --out never",
        &["nowhere"],
    );
    assert!(!place.path("never").exists());
}

#[test]
fn phantoms_hold_the_share_that_is_asked_for() {
    let place = Place::empty();
    place.ok(
        "phantom --out cohort --set subjects=2 --set shape=[40,44,10] --set foreground_share=2e-3",
    );
    // 40 x 44 x 10 voxels, of which a share of 2e-3 is 35.2.
    assert_eq!(voxels(&place, "sub-01"), 35);
    assert_eq!(voxels(&place, "sub-02"), 35);
    place.refused("phantom --out cohort", &["cohort", "dataset.toml"]);
    place.refused("phantom --out other --set shpae=[40,44,10]", &["shpae"]);
    assert!(!place.path("other/dataset.toml").exists());
}
