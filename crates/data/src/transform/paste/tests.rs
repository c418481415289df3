use super::*;
use crate::cohort::Cohort;
use crate::rng::{Domain, keyed_rng};
use crate::sampler::{PatchGeometry, PatchPlace, Plane};
use crate::subject::{Case, LossMaps};
use crate::transform::{MapsRead, TransformConfig};
use lacuna_volume::{Affine, LabelMap, Spacing, Volume, Zyx};

fn filled<T>(shape: [usize; 3], spacing: [f64; 3], value: impl Fn([usize; 3]) -> T) -> Volume<T> {
    let [nx, ny, nz] = shape;
    let at = |i: usize| [i % nx, i / nx % ny, i / (nx * ny)];
    let data = (0..nx * ny * nz).map(|i| value(at(i))).collect();
    Volume::new(shape, Affine::from_spacing(Spacing(spacing)), data).unwrap()
}

/// Each voxel tells its place: 1 + x + 100 y + 10000 z, and the negative.
fn donor(id: &str, shape: [usize; 3], class: impl Fn([usize; 3]) -> u8) -> Case {
    let image = filled(shape, [1.0; 3], |[x, y, z]| {
        (1 + x + 100 * y + 10_000 * z) as f32
    });
    let negative = image.map(|v| -v);
    Case {
        label: Some(filled(shape, [1.0; 3], class)),
        ..Case::of_images(id, vec![image, negative])
    }
}

fn cube(first: [usize; 3], edge: usize) -> impl Fn([usize; 3]) -> u8 {
    move |at| u8::from((0..3).all(|a| (first[a]..first[a] + edge).contains(&at[a])))
}

/// A patch of 0.5 everywhere, with a border of 1 around labels of `labels`, all of it margin
/// but `effective`.
fn patch(labels: LabelMap, margin: [usize; 3]) -> Patch {
    let shape = labels.shape().map(|n| n + 2);
    let image = filled(shape, [1.0; 3], |_| 0.5);
    Patch {
        place: PatchPlace {
            subject: "b".to_owned(),
            index: 0,
            origin: [0; 3],
            drawn_by: Default::default(),
        },
        images: vec![image.clone(), image],
        labels,
        maps: LossMaps::default(),
        inside: None,
        margin,
    }
}

fn setting(effective: [usize; 3], reads: MapsRead) -> Setting {
    let size = Zyx::from_xyz(effective);
    Setting {
        geometry: PatchGeometry {
            rank: if effective[2] == 1 { 2 } else { 3 },
            input: size,
            effective: size,
        },
        plane: Plane::Axial,
        channels: 2,
        reads,
    }
}

fn pasting(cases: Vec<Case>, effective: [usize; 3]) -> Result<Pasting, TransformError> {
    let paste = Paste { probability: 1.0 };
    paste.build(
        &setting(effective, MapsRead::default()),
        &Cohort::from(cases),
    )
}

fn rng(sample: u64) -> ChaCha8Rng {
    keyed_rng(0, Domain::Transform, 0, sample)
}

#[test]
fn a_lesion_arrives_whole_in_image_and_label() {
    let pasting = pasting(vec![donor("a", [15; 3], cube([6, 5, 4], 3))], [12; 3]).unwrap();
    let (mut grown, mut places) = (0, std::collections::BTreeSet::new());
    for sample in 0..60 {
        // The left half holds another lesion, which stays; the margin is 2.
        let before = patch(
            filled([16; 3], [1.0; 3], |at| u8::from(at[0] < 8) * 3),
            [2; 3],
        );
        let mut after = before.clone();
        pasting.apply(&mut after, &mut rng(sample));
        let mut moved = std::collections::BTreeSet::new();
        let (mut changed, mut classes) = (0, 0);
        for z in 0..18 {
            for y in 0..18 {
                for x in 0..18 {
                    let value = after.images[0].data()[after.images[0].index([x, y, z])];
                    if value == 0.5 {
                        continue;
                    }
                    changed += 1;
                    assert_eq!(
                        after.images[1].data()[after.images[0].index([x, y, z])],
                        -value
                    );
                    // From where it comes, and by how much it has moved.
                    let value = value as i64 - 1;
                    let from = [value % 100, value / 100 % 100, value / 10_000];
                    moved.insert([0, 1, 2].map(|a| [x, y, z][a] as i64 - from[a]));
                    // In the effective patch, and not on the lesion that is there.
                    let label = [x - 1, y - 1, z - 1];
                    assert!(label.iter().all(|i| (2..14).contains(i)) && label[0] >= 8);
                    let class = after.labels.data()[after.labels.index(label)];
                    classes += usize::from(class == 1);
                    let lesion = (0..3).all(|a| (0..3).contains(&(from[a] - [6, 5, 4][a])));
                    assert_eq!(class, u8::from(lesion));
                }
            }
        }
        assert_eq!(moved.len(), 1, "{moved:?}");
        // The level is -1 to 2 mm: no voxel of the cube lies less than 1 mm inside.
        assert_eq!(classes, 27);
        assert!(changed >= 27);
        grown += usize::from(changed > 27);
        places.extend(moved);
        let others = after.labels.data().iter().zip(before.labels.data());
        assert_eq!(others.filter(|(a, b)| a != b).count(), 27);
    }
    // A level of 1 mm or more, a quarter of the draws, takes what touches the cube.
    assert!((4..30).contains(&grown), "{grown}");
    assert!(places.len() > 20, "{}", places.len());
}

#[test]
fn the_level_is_that_of_the_paper() {
    let mut rng = rng(0);
    let levels: Vec<f32> = (0..4000).map(|_| level(4.0, &mut rng)).collect();
    assert!(levels.iter().all(|l| (-2.0..4.0).contains(l)));
    let below = |limit: f32| levels.iter().filter(|l| **l < limit).count();
    // SD at most 32.
    for (limit, expected) in [(-1.0, 1000), (0.0, 2000), (2.0, 3000)] {
        assert!(
            below(limit).abs_diff(expected) < 128,
            "{limit}: {}",
            below(limit)
        );
    }
}

#[test]
fn a_rim_can_stay_behind_and_surroundings_stop_at_the_mask() {
    // A cube of 5: the centre lies 3 mm inside, its shells 2 and 1.
    let mut case = donor("a", [15; 3], cube([5, 5, 5], 5));
    case.mask = Some(filled([15; 3], [1.0; 3], |[x, _, _]| x < 11));
    let lesion = pasting(vec![case], [15; 3]).unwrap().lesions[0].clone();
    assert_eq!(lesion.deepest, 3.0);
    let counts = [-1.5, -1.0, 0.5, 1.0].map(|level| lesion.region(level).len());
    // 3^3; 5^3; the same; with five faces of six, x = 10 being inside and x = 4 too.
    assert_eq!(counts, [27, 125, 125, 125 + 6 * 25]);
    // At 2 mm, what lies beyond x = 10 is missing: the mask ends there.
    let last = lesion.region(2.0).iter().map(|voxel| voxel[0]).max();
    let first = lesion.region(2.0).iter().map(|voxel| voxel[0]).min();
    assert_eq!((first, last), (Some(1), Some(8)));
}

#[test]
fn without_a_place_nothing_happens() {
    let pasting = pasting(vec![donor("a", [9; 3], cube([3, 3, 3], 3))], [8; 3]).unwrap();
    let full = patch(
        filled([8; 3], [1.0; 3], |at| u8::from(at[0] % 3 == 0)),
        [0; 3],
    );
    let mut masked = patch(filled([8; 3], [1.0; 3], |_| 0), [0; 3]);
    masked.inside = Some(filled([10; 3], [1.0; 3], |at| at[1] % 3 > 0));
    for before in [full, masked] {
        for sample in 0..10 {
            let mut after = before.clone();
            pasting.apply(&mut after, &mut rng(sample));
            assert_eq!(after.images, before.images);
            assert_eq!(after.labels, before.labels);
        }
    }
}

#[test]
fn lesions_are_drawn_equally_whatever_their_subject() {
    // Three in one subject, one in another.
    let three = |at: [usize; 3]| u8::from([[1, 1, 1], [5, 5, 5], [8, 2, 7]].contains(&at));
    let cases = vec![
        donor("a", [10; 3], three),
        donor("b", [10; 3], |at| 2 * u8::from(at == [4, 4, 4])),
    ];
    let pasting = pasting(cases, [10; 3]).unwrap();
    assert_eq!(pasting.lesions.len(), 4);
    let mut of_b = 0;
    for sample in 0..2000 {
        let mut after = patch(filled([10; 3], [1.0; 3], |_| 0), [0; 3]);
        pasting.apply(&mut after, &mut rng(sample));
        of_b += usize::from(after.labels.data().contains(&2));
    }
    // 500, SD 19.
    assert!(of_b.abs_diff(500) < 80, "{of_b}");
}

#[test]
fn memory_is_bounded() {
    let grid = |at: [usize; 3]| u8::from(at.iter().all(|i| i % 4 == 1));
    let cohort = Cohort::from(vec![donor("a", [20; 3], grid), donor("b", [20; 3], grid)]);
    let all = collect(&cohort, [20; 3], None, usize::MAX).unwrap();
    assert_eq!(all.len(), 250);
    // A voxel and its neighbours: 27 x (4 + 4 + 1 + 4) bytes.
    let some = collect(&cohort, [20; 3], None, 40 * 27 * 13 + 5).unwrap();
    assert_eq!(some.len(), 40);
    // From both, and the same each time.
    let again = collect(&cohort, [20; 3], None, 40 * 27 * 13 + 5).unwrap();
    let centres = |lesions: &[Lesion]| lesions.iter().map(|l| l.images[0][0]).collect::<Vec<_>>();
    assert_eq!(centres(&some), centres(&again));
}

#[test]
fn slices_get_slices() {
    // Three slices of 1, 9 and 4 voxels.
    let class = |[x, y, z]: [usize; 3]| {
        let within = |n: usize| (4..4 + n).contains(&x) && (4..4 + n).contains(&y);
        u8::from(match z {
            3 => within(1),
            4 => within(3),
            5 => within(2),
            _ => false,
        })
    };
    let pasting = pasting(vec![donor("a", [12, 12, 9], class)], [12, 12, 1]).unwrap();
    let mut after = patch(filled([12, 12, 1], [1.0; 3], |_| 0), [0; 3]);
    after.images = vec![filled([14, 14, 1], [1.0; 3], |_| 0.5); 2];
    pasting.apply(&mut after, &mut rng(1));
    assert_eq!(after.labels.data().iter().filter(|l| **l == 1).count(), 9);
    let pasted = after.images[0].data().iter().filter(|v| **v != 0.5);
    assert!(
        pasted.clone().count() >= 9 && pasted.into_iter().all(|v| (*v as u32 - 1) / 10_000 == 4)
    );
}

#[test]
fn what_cannot_be_pasted_is_refused() {
    let read = |reads| {
        let config = TransformConfig::Paste(Paste::default());
        config
            .check(&setting([8; 3], reads))
            .map_err(|e| e.to_string())
    };
    assert_eq!(read(MapsRead::default()), Ok(()));
    let one = |distance, lesion, weight| MapsRead {
        distance,
        lesion,
        weight,
    };
    for (reads, what) in [
        (one(true, false, false), "distances to boundaries"),
        (one(false, true, false), "numbers of lesions"),
        (one(false, false, true), "a map of weights"),
    ] {
        let error = read(reads).unwrap_err();
        assert!(
            error.contains(&format!("paste: the loss reads {what}")),
            "{error}"
        );
    }
    let refused = |cases, effective| pasting(cases, effective).unwrap_err().to_string();
    let error = refused(vec![donor("a", [9; 3], cube([2, 2, 2], 5))], [4; 3]);
    assert!(
        error.contains("4 x 4 x 4") && error.contains("1 too large"),
        "{error}"
    );
    let mut wide = donor("b", [9; 3], cube([2, 2, 2], 2));
    wide.channels = vec![filled([9; 3], [2.0, 1.0, 1.0], |_| 1.0)];
    let error = refused(vec![donor("a", [9; 3], cube([2, 2, 2], 2)), wide], [8; 3]);
    assert!(error.contains("set geometry.spacing"), "{error}");
}
