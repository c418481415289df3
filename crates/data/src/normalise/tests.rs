use super::*;
use lacuna_volume::Affine;

fn row<T>(values: Vec<T>) -> Volume<T> {
    Volume::new([values.len(), 1, 1], Affine::identity(), values).unwrap()
}

fn run(
    values: &[f32],
    mask: Option<&[bool]>,
    white_matter: Option<&[bool]>,
    method: NormaliseMethod,
) -> Result<(Vec<f32>, Normalised), NormaliseError> {
    let mut image = row(values.to_vec());
    let mask = mask.map(|m| row(m.to_vec()));
    let white_matter = white_matter.map(|m| row(m.to_vec()));
    normalise(
        &mut image,
        "T1",
        mask.as_ref(),
        white_matter.as_ref(),
        NormaliseConfig {
            method,
            ..NormaliseConfig::default()
        },
    )
    .map(|done| (image.into_data(), done))
}

#[test]
fn the_outside_may_be_as_dark_as_the_darkest_inside() {
    let mut image = row(vec![1., 3., 5., 7., 99.]);
    let mask = row(vec![true, true, true, true, false]);
    let config = NormaliseConfig {
        method: NormaliseMethod::ZScore,
        outside: Outside::Minimum,
        ..NormaliseConfig::default()
    };
    normalise(&mut image, "T1", Some(&mask), None, config).unwrap();
    // Mean 4, variance (9 + 1 + 1 + 9) / 4 = 5: (1 - 4) / sqrt(5) is the least.
    assert!((image.data()[4] + 3.0 / 5f32.sqrt()).abs() < 1e-6);
    assert_eq!(image.data()[4], image.data()[0]);
}

#[test]
fn z_score_counts_the_mask_and_clears_the_rest() {
    let mask = [true, true, true, true, false];
    let (z, done) = run(
        &[1., 3., 5., 7., 99.],
        Some(&mask),
        None,
        NormaliseMethod::ZScore,
    )
    .unwrap();
    // Mean 4, variance (9 + 1 + 1 + 9) / 4 = 5.
    let sd = 5f64.sqrt();
    assert_eq!(
        done,
        Normalised {
            shift: 4.0,
            scale: sd
        }
    );
    let expected = [-3.0 / sd, -1.0 / sd, 1.0 / sd, 3.0 / sd, 0.0].map(|v| v as f32);
    assert_eq!(z, expected);
}

#[test]
fn without_a_mask_zeros_and_traces_of_negative_ringing_stay_out() {
    // The negative voxel holds 0.5 of 100.5.
    let (z, done) = run(&[0., -0.5, 40., 60.], None, None, NormaliseMethod::ZScore).unwrap();
    assert_eq!(
        done,
        Normalised {
            shift: 50.0,
            scale: 10.0
        }
    );
    assert_eq!(z, [0.0, 0.0, -1.0, 1.0]);
    // An image that was z-scored before keeps its negative half.
    let (z, done) = run(&[0., -2., 2., 0.], None, None, NormaliseMethod::ZScore).unwrap();
    assert_eq!(
        done,
        Normalised {
            shift: 0.0,
            scale: 2.0
        }
    );
    assert_eq!(z, [0.0, -1.0, 1.0, 0.0]);
}

/// A cube of CT: air of -1024 around tissue, some of it of exactly 0.
#[test]
fn tissue_of_0_is_not_background() {
    let scan = |shift: f32| {
        let mut scan = Volume::filled([5; 3], Affine::identity(), -1024.0 + shift).unwrap();
        for i in 0..27 {
            let at = scan.index([1 + i % 3, 1 + i / 3 % 3, 1 + i / 9]);
            scan.data_mut()[at] = (i % 4) as f32 * 10.0 + shift;
        }
        scan
    };
    let normalised = |shift: f32, background: Background| {
        let mut scan = scan(shift);
        let config = NormaliseConfig {
            method: NormaliseMethod::ZScore,
            background,
            ..NormaliseConfig::default()
        };
        normalise(&mut scan, "CT", None, None, config).map(|done| (scan, done))
    };
    let (plain, done) = normalised(0.0, Background::Auto).unwrap();
    let (brighter, _) = normalised(0.5, Background::Auto).unwrap();
    assert_eq!(plain, brighter);
    // 98 voxels of air; 7, 7, 7 and 6 of 0, 10, 20 and 30.
    assert_eq!(done.shift, (98.0 * -1024.0 + 70.0 + 140.0 + 180.0) / 125.0);
    // With the air left out, its voxels hold 0 and tissue has its own mean.
    let (plain, done) = normalised(0.0, Background::Value(-1024.0)).unwrap();
    assert_eq!(done.shift, 390.0 / 27.0);
    let (brighter, _) = normalised(0.5, Background::Value(-1023.5)).unwrap();
    assert_eq!(plain, brighter);
    assert_eq!(plain.data()[0], 0.0);
    // As asked for: 0 is left out.
    let (_, done) = normalised(0.0, Background::Zero).unwrap();
    assert_eq!(done.shift, (98.0 * -1024.0 + 390.0) / 118.0);
}

#[test]
fn percentiles_are_numpys_and_clip() {
    // numpy.percentile(arange(1, 202), [0.5, 99.5]) = [2, 200].
    let values: Vec<f32> = (1..=201).map(|v| v as f32).collect();
    let (z, done) = run(&values, None, None, NormaliseMethod::Percentile).unwrap();
    assert_eq!(
        done,
        Normalised {
            shift: 2.0,
            scale: 198.0
        }
    );
    assert_eq!(
        (z[0], z[1], z[100], z[199], z[200]),
        (0.0, 0.0, 0.5, 1.0, 1.0)
    );
}

#[test]
fn a_white_matter_mask_wins() {
    let white = [false, true, true, false];
    let (z, done) = run(
        &[10., 18., 22., 30.],
        None,
        Some(&white),
        NormaliseMethod::WhiteMatter,
    )
    .unwrap();
    assert_eq!(
        done,
        Normalised {
            shift: 20.0,
            scale: 2.0
        }
    );
    assert_eq!(z, [-5.0, -1.0, 1.0, 5.0]);
}

#[test]
fn none_leaves_everything_even_outside_the_mask() {
    let (z, _) = run(&[0., 0.], Some(&[false, true]), None, NormaliseMethod::None).unwrap();
    assert_eq!(z, [0.0, 0.0]);
    let (z, _) = run(&[5., 6.], Some(&[false, true]), None, NormaliseMethod::None).unwrap();
    assert_eq!(z, [5.0, 6.0]);
}

#[test]
fn images_without_contrast_are_refused() {
    let flat = |mask: Option<&[bool]>, white: Option<&[bool]>, method| {
        run(&[0., 7., 7., 9.], mask, white, method).unwrap_err()
    };
    let mask = [false, true, true, false];
    for method in [
        NormaliseMethod::WhiteMatter,
        NormaliseMethod::ZScore,
        NormaliseMethod::Percentile,
    ] {
        let error = flat(Some(&mask), None, method);
        assert!(
            matches!(
                error,
                NormaliseError::Constant {
                    voxels: 2,
                    value: 7.0,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(
            flat(Some(&[false; 4]), None, method),
            NormaliseError::EmptyMask
        );
        let zero = run(&[0.; 4], None, None, method).unwrap_err();
        assert_eq!(zero, NormaliseError::OnlyBackground);
    }
    let white = NormaliseMethod::WhiteMatter;
    assert!(matches!(
        flat(None, Some(&mask), white),
        NormaliseError::Constant { .. }
    ));
    assert_eq!(
        flat(None, Some(&[false; 4]), white),
        NormaliseError::EmptyWhiteMatter
    );
}

#[test]
fn grey_matter_is_0_and_twice_as_bright_is_4() {
    let config = NormaliseConfig {
        method: NormaliseMethod::GreyMatter,
        ..NormaliseConfig::default()
    };
    let grey = row(vec![false, true, true, true, false, false]);
    let mut image = row(vec![0., 60., 80., 90., 160., 40.]);
    let done = normalise(&mut image, "FLAIR", None, Some(&grey), config).unwrap();
    assert_eq!((done.shift, done.scale), (80.0, 20.0));
    assert_eq!(image.data(), [0., -1., 0., 0.5, 4., -2.]);

    // An image that was z-scored before has no zero to be a multiple of.
    let mut before = row(vec![0., -1., 1., 2., -2., 3.]);
    let error = normalise(&mut before, "FLAIR", None, Some(&grey), config).unwrap_err();
    let (median, negative) = (1.0, 3.0 / 9.0);
    assert_eq!(error, NormaliseError::NoRatio { median, negative });
}

#[test]
fn grey_matter_is_looked_for_inside_the_mask() {
    // Fluid, grey and white matter; outside, fat that is as bright as grey matter.
    let mut values: Vec<f32> = (0..900).map(|i| (i % 30) as f32).collect();
    for (i, value) in values.iter_mut().enumerate() {
        *value += [100.0, 300.0, 500.0][i / 300];
    }
    values.extend([315.0; 50]);
    let mask = row((0..950).map(|i| i < 900).collect());
    let found = grey_matter(&row(values), Some(&mask), Background::Auto).unwrap();
    let expected = (0..950).map(|i| (300..600).contains(&i));
    assert!(found.data().iter().copied().eq(expected));

    let flat = grey_matter(&row(vec![7.0; 9]), None, Background::Auto);
    assert_eq!(flat, Err(NormaliseError::NoGreyMatter));
}
