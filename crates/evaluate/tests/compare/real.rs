//! Real tumours with known errors.

use super::*;

/// The data folder, known when `LACUNA_DATA` was set while building.
const DATA: Option<&str> = option_env!("LACUNA_DATA_FOLDER");

/// Real tumours, of which one prediction is the reference itself, one is a voxel off, and
/// one lacks the components below 50 voxels (1 mm³ each) of the whole tumour.
#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_tumours_with_known_errors() {
    let data = PathBuf::from(DATA.unwrap()).join("brats2015");
    let folder = tempfile::tempdir().unwrap();
    let ids = ["pat0003", "pat0004", "pat0005", "pat0006"];
    let names = [
        "background",
        "necrosis",
        "oedema",
        "non-enhancing",
        "enhancing",
    ];
    for id in ids {
        let raw = lacuna_io::read_labels(data.join(id).join("tumour.nii.gz")).unwrap();
        let labels = raw.map(|&v| u8::try_from(v).unwrap());
        let write = |name: &str, map: &LabelMap| {
            write(&folder.path().join(name).join(format!("{id}.nii.gz")), map);
        };
        write("reference", &labels);
        // The last voxel of each row is background in all of them.
        let mut shifted = labels.clone();
        shifted.data_mut().rotate_right(1);
        write("shifted", &shifted);
        let found = label_components(&labels.map(|&l| l > 0), Connectivity::TwentySix);
        let mut components = found.labels.data().iter();
        write(
            "cleaned",
            &labels.map(|&label| match components.next() {
                Some(&c) if c > 0 && found.sizes[c as usize - 1] >= 50 => label,
                _ => 0,
            }),
        );
    }
    let subject = |id: &str| Subject {
        id: id.to_owned(),
        images: BTreeMap::from([(
            "FLAIR".to_owned(),
            ImageRef {
                path: data.join(id).join("FLAIR.nii.gz"),
                volume: None,
            },
        )]),
        label: Some(data.join(id).join("tumour.nii.gz")),
        ..Subject::default()
    };
    let case = Case {
        manifest: Manifest::new(
            &folder.path().join("test.toml"),
            "tumours".to_owned(),
            vec!["FLAIR".to_owned()],
            names.map(str::to_owned).to_vec(),
            (0..5).zip(names.map(str::to_owned)).collect(),
            ids.map(subject).to_vec(),
        )
        .unwrap(),
        folders: ["reference", "shifted", "cleaned"]
            .map(|name| folder.path().join(name))
            .to_vec(),
        out: folder.path().join("out"),
    };
    let found = compare(
        &CompareRequest {
            force: true,
            ..case.request(&[])
        },
        &mut |_, _| (),
    )
    .unwrap();
    assert_eq!((found.subjects.len(), found.pairs.len()), (4, 3));
    let [shifted, cleaned, _] = &found.pairs[..] else {
        panic!("{} pairs", found.pairs.len());
    };
    // The reference is perfect, and all four subjects are worse when shifted.
    let dsc = metric(&shifted.metrics, "foreground", "dsc");
    assert_eq!((dsc.means[0], dsc.better_worse_equal), (1.0, [0, 4, 0]));
    assert_eq!((dsc.comparison.test.p, dsc.tests), (0.125, 30));
    assert_eq!(
        metric(&shifted.metrics, "foreground", "hd95_mm").means,
        [0.0, 1.0]
    );
    // Every lesion below 50 mm³ is gone, and no other.
    let strata = cleaned.strata.iter().filter(|s| s.class == "foreground");
    for s in strata.filter(|s| s.below_mm3.is_some() || s.from_mm3 > 0.0) {
        let lost = if s.from_mm3 < 50.0 { s.lesions } else { 0 };
        assert_eq!((s.only_first, s.only_second), (lost, 0), "{s:?}");
    }
    let lost = |l: &&lacuna_record::DisputedLesion| l.class == "foreground";
    assert!(
        cleaned
            .lesions
            .iter()
            .filter(lost)
            .all(|l| l.only == "reference" && l.mm3 < 50.0)
    );
    assert_eq!(found.pictures.len(), 4);

    // One with itself, and two exchanged.
    let folder_of = |name: &str| folder.path().join(name);
    let of_two = |names: [&str; 2]| {
        let folders = names.map(folder_of);
        let request = CompareRequest {
            folders: &folders,
            subjects: &["pat0006".to_owned()],
            out: &folder_of(&names.join("-")),
            ..case.request(&[])
        };
        compare(&request, &mut |_, _| ()).unwrap()
    };
    hand::equal(&of_two(["shifted", "shifted"]));
    let [one, other] = [["shifted", "cleaned"], ["cleaned", "shifted"]].map(of_two);
    hand::exchanged(&one, &other);
}
