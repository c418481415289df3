//! Pixels by hand arithmetic.

use lacuna_volume::{Affine, Spacing};

use super::*;
use crate::colour;

fn volume<T: Clone>(shape: [usize; 3], spacing: [f64; 3], value: T) -> Volume<T> {
    Volume::filled(shape, Affine::from_spacing(Spacing(spacing)), value).unwrap()
}

/// Zero to one over the slice's x, so that the image has a window.
fn image(shape: [usize; 3], spacing: [f64; 3]) -> Volume<f32> {
    let mut image = volume(shape, spacing, 0.0);
    for (i, v) in image.data_mut().iter_mut().enumerate() {
        *v = (i % shape[0]) as f32 / (shape[0] - 1) as f32;
    }
    image
}

pub(super) fn decode(overlay: &Overlay) -> (Vec<u8>, usize) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(&overlay.png))
        .read_info()
        .unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!([info.width as usize, info.height as usize], overlay.size);
    assert_eq!(info.color_type, png::ColorType::Rgb);
    (bytes, info.width as usize)
}

pub(super) fn pixel((bytes, width): &(Vec<u8>, usize), x: usize, y: usize) -> colour::Rgb {
    let at = 3 * (x + width * y);
    [bytes[at], bytes[at + 1], bytes[at + 2]]
}

#[test]
fn a_lesion_of_one_voxel_is_outlined() {
    // 100 x 80 voxels of 1 mm in 300 pixels: three pixels per voxel. Voxel
    // (30, 60) covers columns 3 (100 - 1 - 30) = 207.. and rows 3 (80 - 1 - 60) = 57..
    let image = image([100, 80, 5], [1.0; 3]);
    let mut reference = volume([100, 80, 5], [1.0; 3], 0u8);
    let at = reference.index([30, 60, 2]);
    reference.data_mut()[at] = 1;
    let options = OverlayOptions {
        panel_pixels: 300,
        ..OverlayOptions::default()
    };
    let drawn = overlay(&image, Some(&reference), None, &options).unwrap();
    // One view: the smallest lesion is the largest area too.
    // The key of one word, of letters of 14 pixels, takes 30 below.
    assert_eq!(drawn.size, [300, 240 + GAP + 300 + 30]);
    let below = decode(&drawn);
    assert_eq!(pixel(&below, 8, 240 + GAP + 300 + 8), colour::REFERENCE);
    // Within the outline of the swatch, nothing.
    assert_eq!(pixel(&below, 15, 240 + GAP + 300 + 15), [0; 3]);
    assert!(
        drawn.caption.contains("largest reference area (z = 2)"),
        "{}",
        drawn.caption
    );
    let picture = decode(&drawn);
    for (dx, dy) in [
        (0, 0),
        (1, 0),
        (2, 0),
        (0, 1),
        (2, 1),
        (0, 2),
        (1, 2),
        (2, 2),
    ] {
        assert_eq!(pixel(&picture, 207 + dx, 57 + dy), colour::REFERENCE);
    }
    // The middle of the voxel and its neighbours show the image.
    for (x, y) in [(208, 58), (206, 58), (210, 58), (208, 56), (208, 60)] {
        let [r, g, b] = pixel(&picture, x, y);
        assert!(r == g && g == b, "{x},{y}");
    }
    // Below, 36 mm over 300 pixels around the voxel's centre: 8.33 pixels each,
    // the voxel from 145.8 to 154.2, outlined two pixels wide.
    let y = 240 + GAP + 150;
    for x in [146, 147, 152, 153] {
        assert_eq!(pixel(&picture, x, y), colour::REFERENCE, "{x}");
    }
    for x in [143, 149, 150, 156] {
        assert_ne!(pixel(&picture, x, y), colour::REFERENCE, "{x}");
    }
}

#[test]
fn right_is_left_and_anterior_is_up() {
    // Four voxels, 16 pixels: four pixels each. Voxel (3, 1) is the patient's
    // right front.
    let mut image = volume([4, 2, 1], [1.0; 3], 0.0f32);
    let at = image.index([3, 1, 0]);
    image.data_mut()[at] = 1.0;
    image.data_mut()[0] = -1.0;
    let options = OverlayOptions {
        panel_pixels: 16,
        ..OverlayOptions::default()
    };
    let drawn = overlay(&image, None, None, &options).unwrap();
    assert_eq!(drawn.size, [16, 8 + GAP + 16]);
    let picture = decode(&drawn);
    assert_eq!(pixel(&picture, 1, 1), [255; 3]);
    assert_eq!(pixel(&picture, 14, 6), [0; 3]);
}

#[test]
fn the_prediction_fills_and_its_edge_is_solid() {
    let mut image = volume([20, 20, 1], [1.0; 3], 1.0f32);
    image.data_mut()[..20].fill(0.5);
    let mut prediction = volume([20, 20, 1], [1.0; 3], 0u8);
    for y in 5..15 {
        for x in 5..15 {
            let at = prediction.index([x, y, 0]);
            prediction.data_mut()[at] = 2;
        }
    }
    let options = OverlayOptions {
        panel_pixels: 100,
        fill: 0.5,
        ..OverlayOptions::default()
    };
    let drawn = overlay(&image, None, Some(&prediction), &options).unwrap();
    let picture = decode(&drawn);
    assert_eq!(pixel(&picture, 25, 25), colour::PREDICTION);
    // White and orange E69F00 by halves, rounded up: F3, CF, 80.
    assert_eq!(pixel(&picture, 50, 50), [0xF3, 0xCF, 0x80]);
    assert_eq!(pixel(&picture, 12, 12), [255; 3]);
}

#[test]
fn pixels_have_the_aspect_of_the_voxels() {
    // 60 x 30 voxels of 1 x 3 mm: 60 x 90 mm; 90 fit twice into 200.
    let image = image([60, 30, 1], [1.0, 3.0, 5.0]);
    let options = OverlayOptions {
        panel_pixels: 200,
        ..OverlayOptions::default()
    };
    let drawn = overlay(&image, None, None, &options).unwrap();
    assert_eq!(drawn.size, [180, 180 + GAP + 180]);
}

#[test]
fn reduced_slices_keep_every_foreground_voxel() {
    // 1000 voxels in 100 pixels: voxel (503, 905) lies in pixel
    // ((999 - 503) / 10, (999 - 905) / 10).
    let mut image = image([1000, 1000, 1], [0.1, 0.1, 1.0]);
    image.data_mut().fill(0.8);
    image.data_mut()[0] = 0.0;
    let mut reference = volume([1000, 1000, 1], [0.1, 0.1, 1.0], 0u8);
    let at = reference.index([503, 905, 0]);
    reference.data_mut()[at] = 1;
    let options = OverlayOptions {
        panel_pixels: 100,
        ..OverlayOptions::default()
    };
    let picture = decode(&overlay(&image, Some(&reference), None, &options).unwrap());
    assert_eq!(pixel(&picture, 49, 9), colour::REFERENCE);
    assert_ne!(pixel(&picture, 48, 9), colour::REFERENCE);
}

#[test]
fn slices_are_chosen_where_they_matter() {
    let shape = [40, 40, 9];
    let image = image(shape, [1.0; 3]);
    let mut reference = volume(shape, [1.0; 3], 0u8);
    let mut prediction = volume(shape, [1.0; 3], 0u8);
    let set = |labels: &mut LabelMap, x: usize, z: usize, n: usize| {
        for y in 10..10 + n {
            let at = labels.index([x, y, z]);
            labels.data_mut()[at] = 1;
        }
    };
    // Area 9 at z = 3, found; a lesion of 2 at z = 6, missed; area 5 at z = 1
    // predicted where there is nothing.
    set(&mut reference, 10, 3, 9);
    set(&mut prediction, 10, 3, 9);
    set(&mut reference, 30, 6, 2);
    set(&mut prediction, 20, 1, 5);
    let options = OverlayOptions::default();
    let drawn = overlay(&image, Some(&reference), Some(&prediction), &options).unwrap();
    assert!(
        drawn.caption.starts_with(
            "From left to right: largest reference area (z = 3); largest error area (z = 1); \
             smallest lesion (z = 6)."
        ),
        "{}",
        drawn.caption
    );
}

#[test]
fn grids_that_differ_are_refused() {
    let image = image([8, 8, 2], [1.0; 3]);
    let labels = volume([8, 8, 3], [1.0; 3], 0u8);
    let error = overlay(&image, None, Some(&labels), &OverlayOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "overlay: the prediction has shape [8, 8, 3], the image [8, 8, 2]; give both on the same grid"
    );
}

#[test]
fn odd_images_are_drawn() {
    let empty = volume([6, 6, 2], [1.0; 3], 0u8);
    for value in [0.0, 3.0, f32::NAN] {
        let image = volume([6, 6, 2], [1.0; 3], value);
        let drawn = overlay(
            &image,
            Some(&empty),
            Some(&empty),
            &OverlayOptions::default(),
        );
        assert!(drawn.unwrap().caption.contains("middle slice (z = 1)"));
    }
    let none = volume([0, 6, 2], [1.0; 3], 0.0f32);
    assert!(overlay(&none, None, None, &OverlayOptions::default()).is_err());
}

#[test]
fn the_grey_window_ignores_the_background() {
    let mut image = image([101, 10, 1], [1.0; 3]);
    for v in image.data_mut() {
        *v *= 100.0;
    }
    // 1 to 100 ten times each: the 1 % and 99.5 % values are 1 or 2, and 100.
    let [black, white] = grey_window(&image);
    assert!((1.0..=2.0).contains(&black), "{black}");
    assert_eq!(white, 100.0);
}

#[test]
fn columns_show_the_same_slices_whatever_was_predicted() {
    // Lesions of 4 x 4 voxels at z = 1, 1 at z = 2, 2 x 1 at z = 3.
    let image = image([60, 60, 5], [1.0; 3]);
    let mut reference = volume([60, 60, 5], [1.0; 3], 0u8);
    let mut mark = |x: std::ops::Range<usize>, y: std::ops::Range<usize>, z| {
        for (x, y) in x.flat_map(|x| y.clone().map(move |y| (x, y))) {
            let at = reference.index([x, y, z]);
            reference.data_mut()[at] = 1;
        }
    };
    mark(10..14, 10..14, 1);
    mark(40..41, 40..41, 2);
    mark(30..32, 50..51, 3);
    let options = OverlayOptions {
        panel_pixels: 60,
        window_mm: 10.0,
        ..OverlayOptions::default()
    };
    let nothing = volume([60, 60, 5], [1.0; 3], 0u8);
    let everything = volume([60, 60, 5], [1.0; 3], 1u8);
    let [a, b] = [&nothing, &everything]
        .map(|prediction| overlay_column(&image, &reference, prediction, &options).unwrap());
    assert_eq!(a.caption, b.caption);
    let places = "largest reference area (z = 1); small lesion (z = 2); small lesion (z = 3)";
    assert!(a.caption.contains(places), "{}", a.caption);
    // The whole slice and three windows, a panel each.
    assert_eq!(a.size, [60, 4 * 60 + 3 * GAP]);
    // The single voxel lies at the middle of its window of 10 mm in 60 pixels.
    let middle = [30, 60 + GAP + 60 + GAP + 30];
    assert_eq!(
        pixel(&decode(&a), middle[0] - 3, middle[1]),
        colour::REFERENCE
    );
    // Without a reference lesion there is the middle slice.
    let empty = overlay_column(&image, &nothing, &everything, &options).unwrap();
    assert!(
        empty.caption.contains("middle slice (z = 2)"),
        "{}",
        empty.caption
    );
    let other = volume([60, 60, 4], [1.0; 3], 0u8);
    assert!(overlay_column(&image, &other, &nothing, &options).is_err());
}

#[test]
fn a_row_shows_each_prediction_on_the_same_slice() {
    // As above, three pixels per voxel; the second panel is 300 + GAP to the right.
    let image = image([100, 80, 5], [1.0; 3]);
    let none = volume([100, 80, 5], [1.0; 3], 0u8);
    let mut found = none.clone();
    let at = found.index([30, 60, 2]);
    found.data_mut()[at] = 1;
    let options = OverlayOptions {
        panel_pixels: 300,
        ..OverlayOptions::default()
    };
    let seen = found.map(|&l| l > 0);
    let predictions = [found, none.clone()];
    let drawn = overlay_row(&image, &none, &predictions, &seen, "A lesion", &options).unwrap();
    assert_eq!(drawn.size, [2 * 300 + GAP, 240 + GAP + 300 + 30]);
    assert!(drawn.caption.starts_with("A lesion (z = 2"));
    let picture = decode(&drawn);
    let [first, second] = [208, 208 + 300 + GAP].map(|x| pixel(&picture, x, 58));
    // Grey without a prediction: voxel 30 of 0 to 99, the middle of black and white at
    // quantiles; with one, orange is red before blue.
    assert!(
        second[0] == second[1] && second[1] == second[2],
        "{second:?}"
    );
    assert!(first[0] > first[2] + 50, "{first:?}");
}
