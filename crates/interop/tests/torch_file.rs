//! Checkpoints written by PyTorch (`tests/golden/torch_file.py`) and by nnU-Net, and files
//! that would run a program in Python.

use std::path::{Path, PathBuf};

use lacuna_interop::{TorchFile, Weights, read_weights};

/// The data folder, known when `LACUNA_DATA` was set while building.
const DATA: Option<&str> = option_env!("LACUNA_DATA_FOLDER");

fn golden(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/torch_file");
    folder.join(name)
}

/// What the script put into each file.
fn weights() -> Weights {
    let entries: [(&str, &[usize], &[f32]); 8] = [
        ("ramp", &[2, 3], &[0., 1., 2., 3., 4., 5.]),
        ("turned", &[3, 2], &[0., 3., 1., 4., 2., 5.]),
        ("row", &[3], &[3., 4., 5.]),
        ("half", &[2], &[0.5, -2.]),
        ("brain", &[2], &[1.5, 3.]),
        ("double", &[], &[0.1]),
        ("count", &[], &[7.]),
        ("parameter", &[1], &[4.]),
    ];
    let owned = |(name, shape, values): (&str, &[usize], &[f32])| {
        (name.to_owned(), (shape.to_vec(), values.to_vec()))
    };
    entries.map(owned).into_iter().collect()
}

#[test]
fn weights_are_read_alone_and_among_other_things() {
    for name in ["alone.pth", "old.pth", "nested.pth"] {
        let found = TorchFile::open(&golden(name)).unwrap().weights().unwrap();
        assert_eq!(found, weights(), "{name}");
    }
    let nested = TorchFile::open(&golden("nested.pth")).unwrap();
    assert_eq!(nested.values()["epoch"], 3);
    assert_eq!(nested.values()["optimizer"]["lr"], 0.25);
    assert_eq!(nested.values()["names"][0], "FLAIR");
    assert!(nested.values().get("device").is_none());
}

/// A safetensors file by the layout of its documentation: the length of the header, the
/// header, the bytes of the tensors.
#[test]
fn safetensors_are_read_by_their_ending() {
    let header = br#"{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[1],"data_offsets":[8,10]}}"#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let bytes = [
        &(header.len() as u64).to_le_bytes()[..],
        header,
        &1.5f32.to_le_bytes(),
        &(-2.0f32).to_le_bytes(),
        &[0x00, 0x3c], // 1 in 16 bits
    ]
    .concat();
    std::fs::write(&path, &bytes).unwrap();
    let found = read_weights(&path).unwrap();
    assert_eq!(found["a"], (vec![1, 2], vec![1.5, -2.0]));
    assert_eq!(found["b"], (vec![1], vec![1.0]));
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let error = read_weights(&path).unwrap_err().to_string();
    assert!(
        error.contains("weights.safetensors cannot be read"),
        "{error}"
    );
}

fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.pth");
    std::fs::write(&path, bytes).unwrap();
    match TorchFile::open(&path) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it was opened"),
    }
}

/// `{"a": posix.system("touch FILE")}`, by the opcodes of pickle 2: what
/// `pickle.loads` would run.
#[test]
fn a_file_with_a_program_is_refused_and_not_run() {
    let witness = tempfile::tempdir().unwrap().path().join("ran");
    let command = format!("touch {}", witness.display());
    let length = u32::try_from(command.len()).unwrap().to_le_bytes();
    let mut call = b"cposix\nsystem\nX".to_vec();
    call.extend(length);
    call.extend(command.as_bytes());
    call.extend(b"\x85R");

    let inside = [b"\x80\x02}X\x01\x00\x00\x00a", &call[..], b"s."].concat();
    let message = refusal(&inside);
    assert!(
        message.contains("a Python object, posix.system"),
        "{message}"
    );
    assert!(
        message.contains("torch.save(network.state_dict()"),
        "{message}"
    );
    let in_a_list = [b"\x80\x02}X\x01\x00\x00\x00a](", &call[..], b"es."].concat();
    assert!(refusal(&in_a_list).contains("posix.system"));
    let alone = [b"\x80\x02", &call[..], b"."].concat();
    assert!(refusal(&alone).contains("posix.system"));
    // The function itself, without a call.
    assert!(refusal(b"\x80\x02}X\x01\x00\x00\x00acbuiltins\neval\ns.").contains("builtins.eval"));
    assert!(!witness.exists());
}

#[test]
fn other_and_cut_files_are_refused() {
    assert!(refusal(b"lesions").contains("cannot be read as a checkpoint of PyTorch"));
    let whole = std::fs::read(golden("alone.pth")).unwrap();
    for length in [0, 10, whole.len() / 2, whole.len() - 1] {
        let message = refusal(&whole[..length]);
        assert!(message.contains("cannot be read"), "{length}: {message}");
    }
    // An empty dictionary.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.pth");
    std::fs::write(&path, b"\x80\x02}.").unwrap();
    let error = TorchFile::open(&path).unwrap().weights().unwrap_err();
    assert!(error.to_string().contains("holds no tensors"));
}

/// nnU-Net's checkpoint: what its names, counts and sums are in PyTorch.
#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn a_checkpoint_of_nnunet_is_read() {
    let data = DATA.expect("LACUNA_DATA is the data folder");
    let path = Path::new(data).join("nnunet_model/model/fold_all/checkpoint_final.pth");
    let file = TorchFile::open(&path).unwrap();
    assert_eq!(file.values()["trainer_name"], "nnUNetTrainerBudget");
    assert_eq!(file.values()["init_args"]["configuration"], "3d_tiny");
    let axes = &file.values()["inference_allowed_mirroring_axes"];
    assert_eq!(*axes, serde_json::json!([0, 1, 2]));
    let weights = file.weights().unwrap();
    assert_eq!(weights.len(), 188);
    let (shape, values) = &weights["encoder.stages.0.0.convs.0.conv.weight"];
    assert_eq!(*shape, [8, 3, 3, 3, 3]);
    let sum: f64 = values.iter().copied().map(f64::from).sum();
    assert!((sum - 0.787_188_822_154_348_6).abs() < 1e-9, "{sum}");
}

#[cfg(target_os = "linux")]
#[test]
fn devices_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["endless.safetensors", "endless.pth"] {
        let path = folder.path().join(name);
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        let error = read_weights(&path).unwrap_err().to_string();
        assert!(error.contains("a pipe or a device"), "{error}");
    }
}
