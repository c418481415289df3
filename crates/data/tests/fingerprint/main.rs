//! Fingerprints of volumes made by hand, of phantoms, and of real images.

mod real;

use std::collections::BTreeMap;
use std::path::Path;

use lacuna_data::fingerprint::{self, FingerprintError, refuse_faults};
use lacuna_data::manifest::{ImageRef, Manifest, Subject};
use lacuna_data::phantom::{PhantomConfig, write_cohort};
use lacuna_io::{Reference, write_image};
use lacuna_record::Fingerprint;
use lacuna_volume::{Affine, Volume};

const SHAPE: [usize; 3] = [6, 5, 4];
/// Millimetres; the files' axes point to the left, the back and the top.
const EDGES: [f64; 3] = [2.0, 1.0, 3.0];

fn write(path: &Path, edges: [f64; 3], value: impl Fn([usize; 3]) -> f32) {
    let [dx, dy, dz] = edges;
    let affine = Affine([
        [-dx, 0.0, 0.0, 0.0],
        [0.0, -dy, 0.0, 0.0],
        [0.0, 0.0, dz, 0.0],
    ]);
    let mut data = Vec::new();
    for z in 0..SHAPE[2] {
        for y in 0..SHAPE[1] {
            data.extend((0..SHAPE[0]).map(|x| value([x, y, z])));
        }
    }
    let volume = Volume::new(SHAPE, affine, data).unwrap();
    write_image(path, &volume, &Reference::from_grid(&volume.grid())).unwrap();
}

fn in_mask([x, y, _]: [usize; 3]) -> bool {
    (1..=4).contains(&x) && (1..=3).contains(&y)
}

/// Class 1: three voxels that touch by face and edge, one apart; class 2: one outside the mask.
fn label(voxel: [usize; 3]) -> f32 {
    match voxel {
        [1, 1, 0] | [2, 1, 0] | [2, 2, 1] | [4, 3, 3] => 1.0,
        [0, 0, 0] => 2.0,
        _ => 0.0,
    }
}

fn t1(voxel: [usize; 3]) -> f32 {
    match voxel {
        [1, 1, 0] => 1.0,
        [2, 1, 0] => 2.0,
        [2, 2, 1] => 3.0,
        [4, 3, 3] => 4.0,
        voxel if in_mask(voxel) => 10.0,
        _ => 0.0,
    }
}

/// A subject with lesions and a mask; one on coarser voxels with neither.
fn dataset(folder: &Path) -> Manifest {
    let file = |name: &str| folder.join(name);
    write(&file("ill-t1.nii"), EDGES, t1);
    write(&file("ill-t2.nii"), EDGES, |voxel| {
        f32::from(voxel == [5, 4, 3])
    });
    write(&file("ill-label.nii"), EDGES, label);
    write(&file("ill-mask.nii"), EDGES, |voxel| {
        f32::from(in_mask(voxel))
    });
    let coarse = [2.0, 2.0, 3.0];
    write(&file("well-t1.nii"), coarse, |[x, _, _]| f32::from(x >= 3));
    write(&file("well-t2.nii"), coarse, |_| 0.0);
    write(&file("well-label.nii"), coarse, |_| 0.0);
    let subject = |id: &str, mask: bool, group: Option<&str>| Subject {
        id: id.to_owned(),
        group: group.map(str::to_owned),
        scanner: group.map(|_| "A & B".to_owned()),
        images: ["t1", "t2"]
            .map(|m| (m.to_owned(), ImageRef::from(file(&format!("{id}-{m}.nii")))))
            .into(),
        label: Some(file(&format!("{id}-label.nii"))),
        mask: mask.then(|| file(&format!("{id}-mask.nii"))),
        ..Subject::default()
    };
    let unlabelled = Subject {
        label: None,
        ..subject("new", false, None)
    };
    manifest(
        folder,
        vec![
            subject("ill", true, None),
            subject("well", false, Some("p")),
            unlabelled,
        ],
    )
}

fn manifest(folder: &Path, subjects: Vec<Subject>) -> Manifest {
    let classes = ["background", "a", "b"].map(str::to_owned);
    let manifest = Manifest::new(
        &folder.join("dataset.toml"),
        "hand".to_owned(),
        ["t1", "t2"].map(str::to_owned).to_vec(),
        classes.to_vec(),
        (0..).zip(classes).collect::<BTreeMap<i32, String>>(),
        subjects,
    );
    let manifest = manifest.unwrap();
    manifest.write().unwrap();
    // Read back, so that the scanner goes through the file too.
    Manifest::read(&manifest.path).unwrap()
}

fn of(manifest: &Manifest, ids: &[&str]) -> Result<Fingerprint, FingerprintError> {
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    fingerprint::of(manifest, &ids, &mut |_, _| {})
}

fn close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{found} {expected}"
    );
}

#[test]
fn a_subject_is_measured_on_canonical_axes() {
    let folder = tempfile::tempdir().unwrap();
    let found = of(&dataset(folder.path()), &["ill"]).unwrap();
    let subject = &found.subjects[0];
    assert_eq!(subject.orientation, "LPS");
    assert_eq!((subject.shape, subject.spacing_mm), (SHAPE, EDGES));
    // The mask is 4 x 3 x 4; voxels that are not 0 reach one further to the left and back.
    assert_eq!((subject.mask_voxels, subject.inside_voxels), (Some(48), 48));
    assert_eq!((subject.crop_shape, subject.crop_voxels), ([4, 3, 4], 48));
    close(subject.nonzero_box_share, 80.0 / 120.0);
    // 120 voxels, two images, 4 bytes.
    assert_eq!(subject.bytes, 960);
    assert_eq!(subject.foreground_mm3(), 5.0 * 6.0);

    let [a, b] = &subject.foreground[..] else {
        panic!("{:?}", subject.foreground);
    };
    assert_eq!((a.voxels, b.voxels), (4, 1));
    close(a.share_of_grid, 4.0 / 120.0);
    close(a.share_inside, 4.0 / 48.0);
    assert_eq!(b.share_inside, 0.0);
    let mut sizes: Vec<_> = (a.components.iter())
        .map(|c| (c.voxels, c.mm3, c.extent_voxels, c.extent_mm))
        .collect();
    sizes.sort_by_key(|c| c.0);
    assert_eq!(
        sizes,
        [
            (1, 6.0, [1, 1, 1], [2.0, 1.0, 3.0]),
            (3, 18.0, [2, 2, 2], [4.0, 2.0, 6.0]),
        ]
    );
    // Rows 1 and 3 are 1 mm from a row outside, row 2 lies 2 mm from two of them.
    let edge = a.edge.unwrap();
    assert_eq!((edge.min_mm, edge.median_mm), (1.0, 1.0));
    assert_eq!(b.edge.unwrap().median_mm, 0.0);
}

#[test]
fn subjects_make_a_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = dataset(folder.path());
    let mut heard = Vec::new();
    let mut hear = |done, total| heard.push((done, total));
    let found = fingerprint::of(&manifest, &[], &mut hear).unwrap();
    assert_eq!(heard, [(1, 2), (2, 2)]);
    assert!(found.faults.is_empty() && refuse_faults(&manifest, &found).is_ok());

    // Edges along y of 1 and 2 mm: both are a third off 1.5 mm, the least of 2, 1.5 and 3.
    assert_eq!(found.spacing_mm.median, [2.0, 1.5, 3.0]);
    assert_eq!(found.spacing_mm.min, [2.0, 1.0, 3.0]);
    assert_eq!(found.spacing_mm.max, [2.0, 2.0, 3.0]);
    assert_eq!((found.off_median_spacing, found.anisotropy), (1.0, 2.0));
    assert_eq!(found.shape.median, [6.0, 5.0, 4.0]);
    // Crops of 4 x 3 x 4 and, half of the image, 3 x 5 x 4.
    assert_eq!(found.crop_shape.median, [3.5, 4.0, 4.0]);

    assert_eq!(found.empty_subjects, ["well"]);
    assert_eq!(found.groups, BTreeMap::from([("p".to_owned(), 1)]));
    assert_eq!(found.scanners, BTreeMap::from([("A & B".to_owned(), 1)]));
    let a = &found.foreground[0];
    assert_eq!((a.empty, a.components), (1, 2));
    close(a.share_inside.max, 4.0 / 48.0);
    close(a.share_inside.p50, 2.0 / 48.0);
    assert_eq!(a.components_per_subject.p50, 1.0);
    // 6 and 18 mm³: none below 5, one of two below 15.
    assert_eq!(a.component_mm3.unwrap().p50, 12.0);
    let shares: Vec<f64> = a.smaller.iter().map(|s| s.share).collect();
    assert_eq!(shares, [0.0, 0.5, 1.0, 1.0]);
    let extents = a.extents.unwrap();
    assert_eq!(extents.p50_mm, [3.0, 1.5, 4.5]);
    assert_eq!(extents.p50_voxels, [1.5; 3]);
    close(extents.p95_mm[0], 3.9);

    // Class a holds 1 to 4 and class b 0: their mean is 2, their variance 2.
    let t1 = found.intensities[0].foreground.unwrap();
    assert_eq!((t1.voxels, t1.mean, t1.p50, t1.max), (5, 2.0, 2.0, 4.0));
    close(t1.sd, 2f64.sqrt());
    // 48 voxels of the mask, 44 of them 10; 60 voxels of the half that is 1.
    let inside = found.intensities[0].inside.unwrap();
    assert_eq!((inside.voxels, inside.p50), (108, 1.0));
    close(inside.mean, (440.0 + 10.0 + 60.0) / 108.0);
}

#[test]
fn the_order_of_ids_and_the_threads_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = dataset(folder.path());
    let found = of(&manifest, &["ill", "well"]).unwrap();
    assert_eq!(of(&manifest, &["well", "ill"]).unwrap(), found);
    let one = rayon_of_one(|| of(&manifest, &[]).unwrap());
    assert_eq!(one, found);
}

fn rayon_of_one<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.unwrap().install(work)
}

#[test]
fn all_unusable_subjects_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let whole = dataset(folder.path());
    let ill = whole.subject("ill").unwrap();
    let path = |name: &str| folder.path().join(name);
    let bytes = std::fs::read(path("ill-label.nii")).unwrap();
    std::fs::write(path("cut.nii"), &bytes[..bytes.len() - 8]).unwrap();
    write(&path("off.nii"), [2.0, 1.0, 4.0], label);
    write(&path("seven.nii"), EDGES, |voxel| {
        if voxel == [2, 2, 2] { 7.0 } else { 0.0 }
    });
    let broken = |id: &str| Subject {
        id: id.to_owned(),
        label: Some(path(&format!("{id}.nii"))),
        ..ill.clone()
    };
    let faulty = ["cut", "off", "seven", "gone"].map(broken);
    let subjects = [&faulty[..2], std::slice::from_ref(ill), &faulty[2..]].concat();
    let manifest = manifest(folder.path(), subjects);
    let found = of(&manifest, &[]).unwrap();
    assert_eq!(found.subjects.len(), 1);
    let ids: Vec<&str> = found.faults.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(ids, ["cut", "off", "seven", "gone"]);
    for (fault, words) in found.faults.iter().zip([
        ["cut.nii", "subject cut"],
        ["off.nii", "resample one onto"],
        ["seven.nii", "7"],
        ["gone.nii", "subject gone"],
    ]) {
        assert!(words.iter().all(|w| fault.message.contains(w)), "{fault:?}");
    }
    let error = refuse_faults(&manifest, &found).unwrap_err().to_string();
    assert!(error.contains("4 of 5 subjects cannot be used"), "{error}");
    assert!(
        ids.iter()
            .all(|id| error.contains(&format!("\n  subject {id}: ")))
    );

    let none = of(&manifest, &["cut", "seven"]).unwrap_err();
    assert!(none.to_string().contains("2 of 2 subjects"), "{none}");
}

#[test]
fn subjects_without_a_label_or_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = dataset(folder.path());
    let error = of(&manifest, &["new"]).unwrap_err();
    assert!(matches!(error, FingerprintError::Unlabelled { .. }));
    let error = of(&manifest, &["wel"]).unwrap_err().to_string();
    assert!(error.contains("`well`"), "{error}");
}

/// Every phantom has the share that it was asked for, to half a voxel.
#[test]
fn phantoms_have_the_share_that_they_were_made_with() {
    let folder = tempfile::tempdir().unwrap();
    let config = PhantomConfig {
        subjects: 3,
        shape: [40, 48, 40],
        spacing: [3.0, 3.0, 4.0],
        foreground_share: 2e-3,
        ..PhantomConfig::default()
    };
    let manifest = Manifest::read(&write_cohort(&config, folder.path()).unwrap()).unwrap();
    let found = of(&manifest, &[]).unwrap();
    let lesions = &found.foreground[0];
    // 0.002 of 76 800 voxels is 153.6, so 154.
    for subject in &found.subjects {
        assert_eq!(subject.foreground[0].voxels, 154);
        close(subject.foreground_mm3(), 154.0 * 36.0);
        let sum: usize = (subject.foreground[0].components.iter())
            .map(|c| c.voxels)
            .sum();
        assert_eq!(sum, 154);
        // Lesions lie in white matter, so inside the mask, and everything else is 0.
        close(
            subject.foreground[0].share_inside,
            154.0 / subject.inside_voxels as f64,
        );
        close(
            subject.nonzero_box_share,
            subject.crop_voxels as f64 / 76_800.0,
        );
    }
    close(lesions.share_of_grid.min, 154.0 / 76_800.0);
    assert_eq!(
        (found.anisotropy, found.off_median_spacing),
        (4.0 / 3.0, 0.0)
    );
    assert_eq!(found.intensities.len(), 3);
    assert_eq!(found.intensities[2].foreground.unwrap().voxels, 3 * 154);
}
