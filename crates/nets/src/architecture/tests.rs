use super::*;
use crate::Stages;
use crate::config::TwoPathPreset;

fn of(name: ModelName) -> Architecture {
    Architecture::of(&ModelConfig::new(name)).unwrap()
}

/// What happens along x, as along all axes of these networks.
fn along_x(architecture: &Architecture) -> &Axis {
    let Zyx([z, y, x]) = architecture.axes();
    assert_eq!(x, y);
    assert_eq!(x == z, architecture.rank() == 3);
    x
}

fn all() -> Vec<Architecture> {
    let mut all: Vec<_> = ModelName::ALL.into_iter().map(of).collect();
    let mut sudre = ModelConfig::new(ModelName::TwoPathCnn);
    sudre.preset = Some(TwoPathPreset::SudreText);
    all.push(Architecture::of(&sudre).unwrap());
    all
}

#[test]
fn table_1_of_the_paper() {
    let table = [
        (ModelName::Unet, 2, [(56, 16), (64, 24), (88, 48)]),
        (ModelName::TwoPathCnn, 2, [(51, 19), (63, 31), (85, 53)]),
        (ModelName::DeepMedic, 3, [(51, 3), (63, 15), (87, 39)]),
        (ModelName::HighRes3dNet, 3, [(51, 15), (63, 27), (85, 49)]),
    ];
    for (name, rank, columns) in table {
        let architecture = of(name);
        assert_eq!(architecture.rank(), rank, "{name}");
        for (initial, effective) in columns {
            let axis = along_x(&architecture);
            assert_eq!(
                axis.effective_size(initial),
                Ok(effective),
                "{name} {initial}"
            );
            assert_eq!(initial - effective, axis.border(), "{name}");
        }
    }
}

#[test]
fn border_smallest_length_and_step_of_each_network() {
    let expected = [
        // 12 * 2^2 - 8; lengths where every pooling meets an even number.
        (40, 44, 4),
        // Four poolings and no border.
        (0, 16, 16),
        // Receptive field 33.
        (32, 33, 1),
        // 3 (x / 3 - 16) = x - 48, x an odd multiple of 3.
        (48, 51, 6),
        // 18 voxels at each face.
        (36, 37, 1),
        // Four strides of 2 and no border.
        (0, 16, 16),
        (0, 16, 16),
        (32, 33, 1),
    ];
    for (architecture, (border, smallest, step)) in all().iter().zip(expected) {
        let name = architecture.name();
        let axis = along_x(architecture);
        assert_eq!(axis.border(), border, "{name}");
        assert_eq!(axis.smallest_legal(), smallest, "{name}");
        assert_eq!(axis.alignment(), step, "{name}");
    }
}

#[test]
fn legal_lengths_are_evenly_spaced_and_keep_the_border() {
    for architecture in all() {
        let axis = along_x(&architecture);
        let sizes = axis.legal_sizes(0..=200);
        assert_eq!(sizes[0], axis.smallest_legal());
        for pair in sizes.windows(2) {
            assert_eq!(pair[1] - pair[0], axis.alignment());
        }
        for size in sizes {
            assert_eq!(axis.effective_size(size), Ok(size - axis.border()));
        }
    }
}

#[test]
fn an_illegal_length_names_the_nearest_legal_ones() {
    let cases = [
        (ModelName::Unet, 0, None, 44),
        (ModelName::Unet, 43, None, 44),
        (ModelName::Unet, 57, Some(56), 60),
        (ModelName::Unet, 59, Some(56), 60),
        (ModelName::TwoPathCnn, 32, None, 33),
        (ModelName::DeepMedic, 85, Some(81), 87),
        (ModelName::DeepMedic, 54, Some(51), 57),
        (ModelName::HighRes3dNet, 36, None, 37),
    ];
    for (name, asked, expected_below, expected_above) in cases {
        let error = along_x(&of(name)).effective_size(asked).unwrap_err();
        let NetError::IllegalSize {
            size, below, above, ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(
            (*size, *below, *above),
            (asked, expected_below, expected_above)
        );
    }
    assert_eq!(
        of(ModelName::DeepMedic)
            .patch(PatchSize::Edge(54))
            .unwrap_err()
            .to_string(),
        "deep-medic: a patch of 54 voxels along an axis cannot be used (54 is even and must \
         be odd); it takes 51 + k * 6 voxels, k = 0, 1, 2, ...; choose 51 or 57"
    );
}

#[test]
fn only_padded_networks_let_padding_reach_their_output() {
    for architecture in all() {
        let reach = match architecture.name() {
            // Receptive field 87: 43 voxels to either side, of which 18 are cropped.
            ModelName::HighRes3dNet => 43 - 18,
            // Two voxels at each level on the way down, halved (rounded up)
            // by each pooling: 4 at the bottom; then doubled by each level
            // on the way up, which adds two.
            ModelName::PaddedUnet => (((4 * 2 + 2) * 2 + 2) * 2 + 2) * 2 + 2,
            // The first convolution of a stage comes before its length is
            // halved: 2, then (2 + 1) / 2 + 1 = 3 at each stage below.
            ModelName::PlainConvUnet => (((3 * 2 + 2) * 2 + 2) * 2 + 2) * 2 + 2,
            // A stem of one and a block of two; then (3 + 1) / 2 + 5 = 7,
            // (7 + 1) / 2 + 7 = 11, (11 + 1) / 2 + 11 = 17, (17 + 1) / 2 + 11 = 20.
            ModelName::ResidualEncoderUnet => (((20 * 2 + 1) * 2 + 1) * 2 + 1) * 2 + 1,
            _ => 0,
        };
        assert_eq!(along_x(&architecture).padding_reach(), reach);
    }
}

#[test]
fn networks_side_by_side_take_what_both_take() {
    let unet = of(ModelName::Unet);
    assert_eq!(unet.beside(&unet), Some(unet.clone()));
    // Multiples of 16 and of 8, both without a border.
    let padded = of(ModelName::PaddedUnet);
    let mut plain = ModelConfig::new(ModelName::PlainConvUnet);
    plain.stages = Some(Stages::regular(2, 4, 2));
    let both = Architecture::of(&plain).unwrap().beside(&padded).unwrap();
    assert_eq!(along_x(&both).legal_sizes(1..=48), [16, 32, 48]);
    assert_eq!(both.border(), Zyx([0; 3]));
    // 40 voxels of border and none; 2-D and 3-D.
    assert_eq!(unet.beside(&padded), None);
    assert_eq!(unet.beside(&of(ModelName::DeepMedic)), None);
}

#[test]
fn lengths_that_two_axes_share() {
    let axis = |layers| Axis {
        network: ModelName::Unet,
        layers,
    };
    let multiples_of = |n| {
        let halved = Extent::Window { span: n, stride: n };
        axis(vec![halved, Extent::Grow(n)])
    };
    let both = multiples_of(2).beside(&multiples_of(3)).unwrap();
    assert_eq!(both.legal_sizes(1..=20), [6, 12, 18]);
    assert_eq!(multiples_of(2).beside(&axis(vec![Extent::Odd])), None);
}

#[test]
fn each_axis_has_its_own_length() {
    let deep_medic = of(ModelName::DeepMedic);
    assert_eq!(
        deep_medic.patch(PatchSize::Cuboid([63, 57, 51])),
        Ok([Zyx([51, 57, 63]), Zyx([3, 9, 15])])
    );
    let error = deep_medic.patch(PatchSize::Cuboid([63, 58, 51]));
    let text = error.unwrap_err().to_string();
    assert!(text.contains("58 voxels along y"), "{text}");
    let error = deep_medic.patch(PatchSize::Plane([63, 51]));
    assert_eq!(
        error.unwrap_err().to_string(),
        "deep-medic has 3 axes, and a patch of 63 x 51 voxels was asked for; give one number \
         for all axes, or one for each"
    );

    let unet = of(ModelName::Unet);
    assert_eq!(
        unet.patch(PatchSize::Plane([48, 64])),
        Ok([Zyx([1, 64, 48]), Zyx([1, 24, 8])])
    );
    assert_eq!(unet.border(), Zyx([0, 40, 40]));
    assert_eq!(
        unet.effective_size(Zyx([2, 64, 64])),
        Err(NetError::NotAPlane {
            network: ModelName::Unet,
            found: 2
        })
    );
}
