//! Building, initial weights, weights files, training and evaluation mode.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use lacuna_nets::{
    Architecture, ModelConfig, ModelName, NetError, Network, Precision, TensorDifference,
    TwoPathPreset, load_safetensors, to_safetensors,
};
use lacuna_volume::Zyx;
use safetensors::SafeTensors;

fn narrow(name: ModelName) -> ModelConfig {
    let mut config = ModelConfig::new(name);
    config.width = 0.02;
    config
}

fn build(config: &ModelConfig, seed: u64, device: &Device) -> Network {
    Network::new(config, 1, 2, seed, device).unwrap()
}

fn bytes(network: &Network) -> Vec<u8> {
    to_safetensors(network).unwrap()
}

fn ramp<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count).map(|i| (i % 101) as f32 / 50.0 - 1.0).collect();
    Tensor::from_data(burn::tensor::TensorData::new(values, shape), device)
}

#[test]
fn the_declared_border_is_that_of_a_forward_pass() {
    let device = Device::flex();
    let mut sudre = narrow(ModelName::TwoPathCnn);
    sudre.preset = Some(TwoPathPreset::SudreText);
    let configs = ModelName::ALL.into_iter().map(narrow).chain([sudre]);
    for config in configs {
        let network = build(&config, 0, &device);
        let architecture = Architecture::of(&config).unwrap();
        assert_eq!(network.architecture(), architecture);
        let small = match config.name {
            ModelName::Unet => 56,
            ModelName::PaddedUnet | ModelName::PlainConvUnet | ModelName::ResidualEncoderUnet => 48,
            _ => 51,
        };
        let Zyx([_, _, axis]) = architecture.axes();
        let (border, step) = (axis.border(), axis.alignment());
        let effective = small - border;
        if network.rank() == 2 {
            let other = small + 3 * step;
            let logits =
                network.forward_2d(Tensor::zeros([1, 1, small, other], &device), Precision::F32);
            let expected = [1, 2, effective, other - border];
            assert_eq!(logits.dims(), expected, "{}", config.name);
        } else {
            let lengths = [small, small + step, small + 2 * step];
            let [z, y, x] = lengths;
            let logits =
                network.forward_3d(Tensor::zeros([1, 1, z, y, x], &device), Precision::F32);
            let [z, y, x] = lengths.map(|length| length - border);
            assert_eq!(logits.dims(), [1, 2, z, y, x], "{}", config.name);
        }
    }
}

#[test]
fn initial_weights_follow_the_seed_alone() {
    let plain = Device::flex();
    for name in ModelName::ALL {
        let config = narrow(name);
        let first = bytes(&build(&config, 7, &plain));
        let elsewhere = std::thread::spawn({
            let config = config.clone();
            move || bytes(&build(&config, 7, &Device::flex().autodiff()))
        });
        assert_eq!(first, elsewhere.join().unwrap(), "{name}");
        assert_ne!(first, bytes(&build(&config, 8, &plain)), "{name}");
    }
}

/// Identities of the trained tensors, in visiting order.
fn identities(network: &Network) -> Vec<u64> {
    struct Identities(Vec<u64>);
    impl burn::module::ModuleVisitor for Identities {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0.push(param.id.val());
            }
        }
    }
    let mut visitor = Identities(Vec::new());
    network.visit(&mut visitor);
    visitor.0
}

#[test]
fn tensors_keep_their_identity_from_process_to_process() {
    let device = Device::flex().autodiff();
    for name in ModelName::ALL {
        let first = build(&narrow(name), 1, &device);
        let second = build(&narrow(name), 2, &device);
        let expected = identities(&first);
        assert!(expected.is_sorted_by(|a, b| a < b), "{name}");
        assert_eq!(identities(&second), expected, "{name}");
        let loaded = load_safetensors(second, &bytes(&first)).unwrap();
        assert_eq!(identities(&loaded), expected, "{name}");
    }
}

#[test]
fn initial_kernels_have_the_variance_of_he_et_al() {
    // 128 -> 256 channels, 3 x 3: 294912 values of variance 2 / (9 * 128).
    let network = build(&ModelConfig::new(ModelName::Unet), 3, &Device::flex());
    let bytes = bytes(&network);
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let read = |name: &str| -> Vec<f64> {
        let numbers = file.tensor(name).unwrap().data().as_chunks::<4>().0;
        numbers
            .iter()
            .map(|b| f64::from(f32::from_le_bytes(*b)))
            .collect()
    };
    let check = |name: &str, variance: f64| {
        let values = read(name);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let found = values.iter().map(|v| v * v).sum::<f64>() / n;
        // Five standard errors of the mean and of the variance.
        assert!(
            mean.abs() < 5.0 * (variance / n).sqrt(),
            "{name}: mean {mean}"
        );
        let error = 5.0 * variance * (2.0 / n).sqrt();
        assert!(
            (found - variance).abs() < error,
            "{name}: {found}, not {variance}"
        );
    };
    check("down.2.convs.0.weight", 2.0 / (9.0 * 128.0));
    // Transposed, stride 2, 2 x 2: one tap of each of the 256 channels per voxel.
    check("up.0.grow.weight", 2.0 / 256.0);
    assert!(read("down.2.convs.0.bias").iter().all(|&v| v == 0.0));
}

#[test]
fn every_tensor_gets_its_own_random_numbers() {
    let network = build(
        &ModelConfig::new(ModelName::HighRes3dNet),
        0,
        &Device::flex(),
    );
    let bytes = bytes(&network);
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let a = file.tensor("blocks.0.convs.0.weight").unwrap();
    let b = file.tensor("blocks.0.convs.1.weight").unwrap();
    assert_eq!(a.shape(), b.shape());
    assert_ne!(a.data(), b.data());
}

#[test]
fn weights_survive_a_file_bit_for_bit() {
    let device = Device::flex().autodiff();
    for name in ModelName::ALL {
        let config = narrow(name);
        let saved = bytes(&build(&config, 1, &device));
        let other = build(&config, 2, &device);
        let untouched = bytes(&other);
        let loaded = load_safetensors(other.clone(), &saved).unwrap();
        assert_eq!(bytes(&loaded), saved, "{name}");
        assert_eq!(bytes(&other), untouched, "{name}: a clone was changed");
        assert!(loaded.devices().iter().all(Device::is_autodiff), "{name}");
    }
}

#[test]
fn a_training_pass_moves_the_running_statistics_and_an_evaluation_does_not() {
    let device = Device::flex();
    let network = build(
        &narrow(ModelName::HighRes3dNet),
        1,
        &device.clone().autodiff(),
    );
    let start = bytes(&network);

    let evaluated = network.valid();
    let patch = ramp([1, 1, 37, 37, 37], &device);
    let once = evaluated
        .forward_3d(patch.clone(), Precision::F32)
        .into_data();
    assert_eq!(
        evaluated
            .forward_3d(patch.clone(), Precision::F32)
            .into_data(),
        once
    );
    assert_eq!(bytes(&evaluated), start);

    network.forward_3d(
        ramp([1, 1, 37, 37, 37], &device.clone().autodiff()),
        Precision::F32,
    );
    let trained = bytes(&network);
    assert_ne!(trained, start);

    // A file made right after a training pass holds that pass's statistics.
    let copy = load_safetensors(
        build(&narrow(ModelName::HighRes3dNet), 5, &device),
        &trained,
    );
    let expected = network
        .valid()
        .forward_3d(patch.clone(), Precision::F32)
        .into_data();
    assert_eq!(
        copy.unwrap().forward_3d(patch, Precision::F32).into_data(),
        expected
    );
}

#[test]
fn loading_discards_statistics_of_earlier_passes() {
    let device = Device::flex().autodiff();
    let config = narrow(ModelName::DeepMedic);
    let saved = bytes(&build(&config, 1, &device));
    let used = build(&config, 2, &device);
    used.forward_3d(ramp([1, 1, 51, 51, 51], &device), Precision::F32);
    assert_eq!(bytes(&load_safetensors(used, &saved).unwrap()), saved);
}

#[test]
fn weights_of_another_network_are_refused_by_name_and_shape() {
    let device = Device::flex();
    let file = bytes(&build(&narrow(ModelName::Unet), 0, &device));

    let other = build(&narrow(ModelName::HighRes3dNet), 0, &device);
    let error = load_safetensors(other, &file).unwrap_err();
    let NetError::WeightsMismatch { differences, total } = &error else {
        panic!("{error}");
    };
    assert!(*total > differences.len());
    assert!(
        matches!(&differences[0], TensorDifference::Missing { name, expected }
        if name == "blocks.0.convs.0.weight" && expected == &[1, 1, 3, 3, 3])
    );

    let classes = Network::new(&narrow(ModelName::Unet), 1, 3, 0, &device).unwrap();
    let error = load_safetensors(classes, &file).unwrap_err().to_string();
    assert!(error.contains("2 of its tensors"), "{error}");
    assert!(
        error.contains("classifier.weight has shape [2, 1, 1, 1], expected [3, 1, 1, 1]"),
        "{error}"
    );

    let garbage = load_safetensors(build(&narrow(ModelName::Unet), 0, &device), b"PK\x03\x04");
    assert!(matches!(garbage, Err(NetError::Safetensors { .. })));
    let cut = load_safetensors(
        build(&narrow(ModelName::Unet), 0, &device),
        &file[..file.len() - 4],
    );
    assert!(matches!(cut, Err(NetError::Safetensors { .. })));
}

#[test]
fn weights_of_another_number_type_are_refused() {
    let device = Device::flex();
    let network = build(&narrow(ModelName::Unet), 0, &device);
    let file = bytes(&network);
    let original = SafeTensors::deserialize(&file).unwrap();
    let halved: Vec<(String, Vec<usize>, Vec<u8>)> = original
        .iter()
        .map(|(name, view)| {
            let count = view.data().len() / 4;
            (name.to_owned(), view.shape().to_vec(), vec![0; 2 * count])
        })
        .collect();
    let views = halved.iter().map(|(name, shape, data)| {
        let kind = safetensors::Dtype::F16;
        let view = safetensors::tensor::TensorView::new(kind, shape.clone(), data).unwrap();
        (name.clone(), view)
    });
    let halved = safetensors::serialize(views, None).unwrap();
    let error = load_safetensors(network, &halved).unwrap_err().to_string();
    assert!(
        error.contains("classifier.bias holds F16, expected F32"),
        "{error}"
    );
}

#[test]
fn impossible_channels_and_classes_are_refused() {
    let config = ModelConfig::new(ModelName::Unet);
    for (channels, classes) in [(0, 2), (257, 2), (1, 0), (1, 257)] {
        let made = Network::new(&config, channels, classes, 0, &Device::flex());
        assert!(
            matches!(made, Err(NetError::Channels { .. })),
            "{channels} {classes}"
        );
    }
}

#[test]
fn the_narrowest_networks_still_run() {
    let device = Device::flex();
    for name in ModelName::ALL {
        let mut config = ModelConfig::new(name);
        config.width = 1e-9;
        let network = build(&config, 0, &device);
        let Zyx([_, _, n]) = network.architecture().smallest_legal();
        let finite = |data: burn::tensor::TensorData| {
            data.try_to_vec::<f32>()
                .unwrap()
                .iter()
                .all(|v| v.is_finite())
        };
        if network.rank() == 2 {
            let logits = network.forward_2d(ramp([1, 1, n, n], &device), Precision::F32);
            assert!(finite(logits.into_data()), "{name}");
        } else {
            let logits = network.forward_3d(ramp([1, 1, n, n, n], &device), Precision::F32);
            assert!(finite(logits.into_data()), "{name}");
        }
    }
}

/// Logits and all gradients after one training pass in a pool of `threads`.
fn training_pass(config: &ModelConfig, length: usize, threads: usize) -> Vec<Vec<f32>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(|| {
        let device = Device::flex().autodiff();
        let network = build(config, 0, &device);
        let n = length;
        let (logits, sum) = if network.rank() == 2 {
            let logits = network.forward_2d(ramp([1, 1, n, n], &device), Precision::F32);
            let weights = ramp(logits.dims(), &device);
            (logits.to_data(), (logits * weights).sum())
        } else {
            let logits = network.forward_3d(ramp([1, 1, n, n, n], &device), Precision::F32);
            let weights = ramp(logits.dims(), &device);
            (logits.to_data(), (logits * weights).sum())
        };
        let mut visitor = Values {
            gradients: sum.backward(),
            values: vec![logits.try_to_vec().unwrap()],
        };
        network.visit(&mut visitor);
        visitor.values
    })
}

struct Values {
    gradients: burn::tensor::Gradients,
    values: Vec<Vec<f32>>,
}

impl burn::module::ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(&self.gradients) {
            self.values.push(gradient.into_data().try_to_vec().unwrap());
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for name in ModelName::ALL {
        let mut config = ModelConfig::new(name);
        config.width = 0.25;
        let Zyx([_, _, length]) = Architecture::of(&config).unwrap().smallest_legal();
        let alone = training_pass(&config, length, 1);
        assert!(alone.len() > 5);
        let together = training_pass(&config, length, 3);
        assert!(alone == together, "{name}");
    }
}
