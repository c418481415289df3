//! Windows of unequal lengths: every voxel of a prediction is the one that its
//! window held there, along every axis and in every plane.

use std::sync::atomic::AtomicBool;

use lacuna_data::sampler::Plane;
use lacuna_data::subject::Case;
use lacuna_nets::{Architecture, ModelConfig, ModelName};
use lacuna_train::config::RunConfig;
use lacuna_train::outputs::Outputs;
use lacuna_train::predict::{
    NotFinite, Prediction, Session, Window, WindowModel, WindowOptions, predict_case,
};
use lacuna_volume::{Affine, PatchSize, Volume};

const SHAPE: [usize; 3] = [14, 11, 9];

/// Says of each voxel what its window holds there.
struct Echo {
    name: ModelName,
    plane: Plane,
    outputs: Outputs,
}

impl WindowModel for Echo {
    fn architecture(&self) -> Architecture {
        Architecture::of(&ModelConfig::new(self.name)).unwrap()
    }

    fn plane(&self) -> Plane {
        self.plane
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    fn values(&self, window: Window) -> Result<Vec<f32>, NotFinite> {
        let [nz, ny, nx] = window.size.0;
        assert_eq!(window.values.len(), nz * ny * nx);
        let [bz, by, bx] = self.architecture().border().map(|b| b / 2).0;
        let mut lesion: Vec<f32> = Vec::new();
        for z in bz..nz - bz {
            for y in by..ny - by {
                let row = (z * ny + y) * nx;
                lesion.extend_from_slice(&window.values[row + bx..row + nx - bx]);
            }
        }
        let mut both: Vec<f32> = lesion.iter().map(|p| 1.0 - p).collect();
        both.extend(lesion);
        Ok(both)
    }
}

/// Another value in every voxel, from 0 to 1.
fn code(index: usize) -> f32 {
    let voxels = SHAPE.iter().product::<usize>();
    // A stride without a common factor: neighbours are far apart.
    (index * 397 % voxels) as f32 / voxels as f32
}

fn case() -> Case {
    let voxels = SHAPE.iter().product();
    let data = (0..voxels).map(code).collect();
    let image = Volume::new(SHAPE, Affine::identity(), data).unwrap();
    Case::of_images("coded", vec![image])
}

fn predicted(name: ModelName, plane: Plane, window: PatchSize) -> (Prediction, usize) {
    predicted_of(&case(), name, plane, window)
}

fn predicted_of(
    case: &Case,
    name: ModelName,
    plane: Plane,
    window: PatchSize,
) -> (Prediction, usize) {
    let classes = ["background".to_owned(), "lesion".to_owned()];
    let outputs = Outputs::new(&RunConfig::default(), &classes).unwrap();
    let stop = AtomicBool::new(false);
    let session = Session {
        windows: WindowOptions {
            window: Some(window),
            ..WindowOptions::default()
        },
        probabilities: true,
        ..Session::new(&stop)
    };
    let model = Echo {
        name,
        plane,
        outputs,
    };
    let mut windows = 0;
    let mut count = |_, total| windows = total;
    let prediction = predict_case(&model, case, session, &mut count).unwrap();
    (prediction, windows)
}

fn assert_in_place(prediction: &Prediction, what: &str) {
    let lesion = &prediction.probabilities.as_ref().unwrap()[1];
    assert_eq!(lesion.shape(), SHAPE);
    for (index, found) in lesion.data().iter().enumerate() {
        let expected = code(index);
        assert!(
            (found - expected).abs() < 1e-5,
            "{what}, voxel {index}: {found} {expected}"
        );
        // Not where the two classes are equal but for rounding.
        if (expected - 0.5).abs() > 1e-4 {
            let label = u8::from(expected > 0.5);
            assert_eq!(prediction.labels.data()[index], label, "{what}, {index}");
        }
    }
}

/// Effective windows of 4 x 8 in each plane. Their number tells which axis has which
/// length: with a quarter of overlap, windows of 4 step by 3 and windows of 8 by 6.
#[test]
fn slices_of_every_plane_return_to_their_place() {
    for (plane, size, windows) in [
        // 14 voxels by 4: 5 windows; 11 by 8: 2; 9 slices.
        (Plane::Axial, [44, 48], 5 * 2 * 9),
        (Plane::Axial, [48, 44], 2 * 4 * 9),
        // x and z: 14 by 4, 9 by 8; 11 slices.
        (Plane::Coronal, [44, 48], 5 * 2 * 11),
        (Plane::Coronal, [48, 44], 2 * 3 * 11),
        // y and z: 11 by 4, 9 by 8; 14 slices.
        (Plane::Sagittal, [44, 48], 4 * 2 * 14),
        (Plane::Sagittal, [48, 44], 2 * 3 * 14),
    ] {
        let what = format!("{plane:?} {size:?}");
        let (prediction, count) = predicted(ModelName::Unet, plane, PatchSize::Plane(size));
        assert_eq!(count, windows, "{what}");
        assert_in_place(&prediction, &what);
    }
}

/// Without a mask, nothing is predicted in what surrounds the head, but in its holes; and no
/// window is laid there. Tissue is 4 x 3 x 3 voxels from (5, 4, 3), with a hole in the middle.
#[test]
fn the_void_around_the_head_is_background() {
    let mut image = Volume::new(SHAPE, Affine::identity(), vec![0.0_f32; 14 * 11 * 9]).unwrap();
    let tissue =
        |[x, y, z]: [usize; 3]| (5..9).contains(&x) && (4..7).contains(&y) && (3..6).contains(&z);
    let hole = [6, 5, 4];
    let places: Vec<[usize; 3]> = (0..image.len())
        .map(|i| [i % 14, i / 14 % 11, i / 14 / 11])
        .collect();
    for (value, place) in image.data_mut().iter_mut().zip(&places) {
        *value = if tissue(*place) && *place != hole {
            0.9
        } else {
            0.0
        };
    }
    // The network calls all of it lesion, whatever it sees.
    let image = image.map(|v| 0.6 + 0.4 * v);
    let case = Case::of_images("head", vec![image]);
    let (prediction, windows) = predicted_of(
        &case,
        ModelName::HighRes3dNet,
        Plane::Axial,
        PatchSize::Cuboid([39, 39, 39]),
    );
    // 4 voxels by windows of 3: 2; 3 by 3: 1.
    assert_eq!(windows, 2);
    for (label, place) in prediction.labels.data().iter().zip(&places) {
        assert_eq!(*label, u8::from(tissue(*place)), "{place:?}");
    }
    let lesion = &prediction.probabilities.unwrap()[1];
    assert_eq!(lesion.data()[0], 0.0);
}

/// Effective windows of 3, 5 and 9 voxels, which step by 2, 3 and 6.
#[test]
fn blocks_of_three_lengths_return_to_their_place() {
    for (size, windows) in [
        // 14 voxels by 3: 7 windows; 11 by 5: 3; 9 by 9: 1.
        ([39, 41, 45], 7 * 3),
        // 14 by 9, 11 by 3, 9 by 5.
        ([45, 39, 41], 2 * 5 * 3),
        // 14 by 5, 11 by 9, 9 by 3.
        ([41, 45, 39], 4 * 2 * 4),
    ] {
        let what = format!("{size:?}");
        let size = PatchSize::Cuboid(size);
        let (prediction, count) = predicted(ModelName::HighRes3dNet, Plane::Axial, size);
        assert_eq!(count, windows, "{what}");
        assert_in_place(&prediction, &what);
    }
}
