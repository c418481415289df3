//! The page of a fingerprint.

use std::collections::BTreeMap;

use lacuna_record::Fingerprint;
use lacuna_record::fingerprint::{
    AxisRange, ClassFingerprint, ClassSpread, Component, Intensities, ModalityIntensities,
    Quantiles, SmallerShare, SubjectFault, SubjectFingerprint,
};
use lacuna_report::{fingerprint_page, write_fingerprint_page};

fn class(mm3: &[f64]) -> ClassFingerprint {
    let component = |&mm3: &f64| Component {
        voxels: 1,
        mm3,
        extent_voxels: [1; 3],
        extent_mm: [1.0; 3],
    };
    ClassFingerprint {
        class: "lesion & core".to_owned(),
        voxels: mm3.len(),
        share_of_grid: 0.0,
        share_inside: 0.001 * mm3.len() as f64,
        edge: None,
        components: mm3.iter().map(component).collect(),
    }
}

fn subject(id: &str, mm3: &[f64]) -> SubjectFingerprint {
    SubjectFingerprint {
        id: id.to_owned(),
        group: None,
        scanner: None,
        shape: [4; 3],
        spacing_mm: [1.0; 3],
        voxel_mm3: 1.0,
        orientation: "RAS".to_owned(),
        mask_voxels: None,
        inside_voxels: 64,
        nonzero_box_share: 1.0,
        crop_shape: [4; 3],
        crop_voxels: 64,
        bytes: 256,
        foreground: vec![class(mm3)],
    }
}

fn fingerprint(subjects: Vec<SubjectFingerprint>) -> Fingerprint {
    let range = AxisRange {
        median: [1.0, 1.0, 2.5],
        min: [1.0, 1.0, 2.0],
        max: [1.0, 1.0, 3.0],
    };
    let quantiles = Quantiles::of([0.0, 1.0]).unwrap();
    Fingerprint {
        name: "hand <made>".to_owned(),
        modalities: vec!["T1".to_owned()],
        classes: vec!["background".to_owned(), "lesion & core".to_owned()],
        spacing_mm: range,
        shape: range,
        crop_shape: range,
        off_median_spacing: 0.0,
        anisotropy: 2.5,
        intensities: vec![ModalityIntensities {
            modality: "T1".to_owned(),
            foreground: None,
            inside: Some(Intensities {
                voxels: 64,
                mean: 12.34,
                sd: 1.0,
                min: 10.0,
                p0_5: 10.0,
                p50: 12.0,
                p99_5: 15.0,
                max: 15.0,
            }),
            contrast: None,
        }],
        foreground: vec![ClassSpread {
            class: "lesion & core".to_owned(),
            empty: 1,
            share_of_grid: quantiles,
            share_inside: quantiles,
            components_per_subject: quantiles,
            components: 3,
            component_mm3: None,
            smaller: vec![SmallerShare {
                mm3: 5.0,
                share: 1.0 / 3.0,
            }],
            extents: None,
        }],
        empty_subjects: vec!["b".to_owned()],
        groups: BTreeMap::new(),
        scanners: BTreeMap::new(),
        faults: vec![SubjectFault {
            id: "c".to_owned(),
            message: "cut".to_owned(),
        }],
        subjects,
    }
}

#[test]
fn the_page_shows_what_was_measured() {
    let found = fingerprint(vec![subject("a", &[1.0, 1.5, 200.0]), subject("b", &[])]);
    let svg = fingerprint_page(&found).svg();
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    for text in [
        "hand &lt;made&gt;: 2 subjects, 1 of them empty; 1 left out",
        ">2.5 (2–3)</text>",
        ">12.3</text>",
        ">lesion &amp; core: 3</text>",
        ">33.3 %</text>",
        // Two of the three volumes lie in the first bin, and 10^2.25 to 10^2.5 holds 200.
        "<title>1.00 to 1.78: 2</title>",
        "<title>178 to 316: 1</title>",
        "<title>a, lesion &amp; core: 0.00300</title>",
        "<title>b, lesion &amp; core: 0</title>",
    ] {
        assert!(svg.contains(text), "{text}: {svg}");
    }
    let folder = tempfile::tempdir().unwrap();
    write_fingerprint_page(&found, folder.path()).unwrap();
    let written = std::fs::read_to_string(folder.path().join("fingerprint.svg")).unwrap();
    assert_eq!(written, svg);
}
