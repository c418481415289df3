//! Quantiles and the files of a fingerprint.

use super::*;

fn fingerprint() -> Fingerprint {
    let axis = AxisRange {
        median: [1.0, 1.0, 2.0],
        min: [1.0; 3],
        max: [2.0; 3],
    };
    let component = Component {
        voxels: 3,
        mm3: 6.0,
        extent_voxels: [3, 1, 1],
        extent_mm: [3.0, 1.0, 2.0],
    };
    Fingerprint {
        name: "two".to_owned(),
        modalities: vec!["T1".to_owned()],
        classes: vec!["background".to_owned(), "a, b".to_owned()],
        spacing_mm: axis,
        shape: axis,
        crop_shape: axis,
        off_median_spacing: 0.0,
        anisotropy: 2.0,
        intensities: Vec::new(),
        foreground: Vec::new(),
        empty_subjects: Vec::new(),
        groups: BTreeMap::from([("p".to_owned(), 1)]),
        scanners: BTreeMap::new(),
        faults: Vec::new(),
        subjects: vec![SubjectFingerprint {
            id: "s".to_owned(),
            group: Some("p".to_owned()),
            scanner: None,
            shape: [4, 5, 6],
            spacing_mm: [1.0, 1.0, 2.0],
            voxel_mm3: 2.0,
            orientation: "LPS".to_owned(),
            mask_voxels: Some(60),
            inside_voxels: 60,
            nonzero_box_share: 0.5,
            crop_shape: [3, 4, 5],
            crop_voxels: 60,
            bytes: 480,
            foreground: vec![ClassFingerprint {
                class: "a, b".to_owned(),
                voxels: 3,
                share_of_grid: 0.025,
                share_inside: 0.05,
                edge: None,
                components: vec![component],
            }],
        }],
    }
}

#[test]
fn quantiles_are_those_of_numpy() {
    // numpy.percentile([1, 2, 4, 8, 16], ...): 5 % lies .2 of the way from 1 to 2.
    let found = Quantiles::of([16.0, 1.0, 8.0, 2.0, 4.0]).unwrap();
    assert_eq!((found.min, found.max, found.p50), (1.0, 16.0, 4.0));
    assert_eq!((found.p25, found.p75), (2.0, 8.0));
    assert!((found.p5 - 1.2).abs() < 1e-12 && (found.p95 - 14.4).abs() < 1e-12);
    assert_eq!(Quantiles::of([]), None);
}

#[test]
fn what_is_written_is_read_back_and_the_tables_have_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    let written = fingerprint();
    written.write(folder.path()).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let [json, subjects, components] = Fingerprint::FILES;
    let path = folder.path().join(json);
    assert_eq!(Fingerprint::read(&path).unwrap(), Some(written));
    assert_eq!(Fingerprint::read(&folder.path().join("no")).unwrap(), None);
    let table = read(subjects);
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(
        rows[1],
        "s,p,,LPS,4,5,6,1,1,2,60,60,0.5,60,480,\"a, b\",3,6,0.025,0.05,1,,,false"
    );
    assert_eq!(rows[0].split(',').count(), 24);
    let table = read(components);
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows[1], "s,\"a, b\",1,3,6,3,1,1,3,1,2");
    assert_eq!(rows[0].split(',').count(), 11);
}

#[test]
fn a_subject_knows_its_foreground() {
    let mut subject = fingerprint().subjects.remove(0);
    assert!(!subject.is_empty());
    assert_eq!(subject.foreground_mm3(), 6.0);
    subject.foreground[0].voxels = 0;
    assert!(subject.is_empty());
}
