//! What is fuzzed: every reader of bytes that others wrote, with what a case may cost it.

mod images;
mod lists;
mod models;
mod records;
mod requests;
mod tiny;
mod weights;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::input::Input;

/// What came of a case.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// It was read.
    Decoded,
    /// It was refused, with these words.
    Refused(String),
    /// It was read, and what was read cannot be.
    Wrong(String),
}

impl Outcome {
    fn of<T>(result: Result<T, impl Display>) -> Self {
        match result {
            Ok(_) => Self::Decoded,
            Err(error) => Self::Refused(error.to_string()),
        }
    }
}

/// A reader: gets the folder of a case and the input that was written there.
pub type Reader = Box<dyn FnMut(&Path, &Input) -> Outcome>;

/// Something that reads.
pub struct Target {
    pub name: &'static str,
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Input>,
    pub reader: fn() -> Reader,
    /// Memory that a case may take at once: so many MiB, and so many bytes for each of its own.
    pub mebibytes: usize,
    pub of_a_byte: usize,
}

impl Target {
    /// Bytes that reading `input` may take.
    pub fn most(&self, input: &Input) -> usize {
        (self.mebibytes << 20) + self.of_a_byte * input.bytes()
    }
}

/// Deflate makes 1032 bytes of one, each of which may be a voxel, and that one a number of four
/// bytes; and a label, or another volume that is compared with it.
const COMPRESSED: usize = 1032 * 12;

/// A byte of a PNG may stand for 8256 pixels of a bit, and a byte of a TIFF for more.
const PICTURE: usize = (1 << 14) * 12;

const fn image(name: &'static str, seeds: fn() -> Vec<Input>, of_a_byte: usize) -> Target {
    Target {
        name,
        seeds,
        reader: || Box::new(images::read),
        mebibytes: 4,
        of_a_byte,
    }
}

const fn text(name: &'static str, seeds: fn() -> Vec<Input>, reader: fn() -> Reader) -> Target {
    Target {
        name,
        seeds,
        reader,
        mebibytes: 4,
        of_a_byte: 400,
    }
}

/// Networks are made before their weights are read.
const fn model(name: &'static str, seeds: fn() -> Vec<Input>, reader: fn() -> Reader) -> Target {
    Target {
        mebibytes: 64,
        ..text(name, seeds, reader)
    }
}

/// All of them.
pub static TARGETS: [Target; 23] = [
    image("nifti", images::nifti, COMPRESSED),
    image("nrrd", images::nrrd, COMPRESSED),
    image("metaimage", images::metaimage, COMPRESSED),
    image("mgh", images::mgh, COMPRESSED),
    image("dicom", images::dicom, PICTURE),
    image("dicom-seg", images::segmentations, PICTURE),
    image("png", images::png, PICTURE),
    image("jpeg", images::jpeg, PICTURE),
    image("tiff", images::tiff, PICTURE),
    text("manifest", lists::manifests, || {
        Box::new(lists::read_manifest)
    }),
    text("dataset-json", lists::described, || {
        Box::new(lists::read_described)
    }),
    text("table", lists::tables, || Box::new(lists::read_table)),
    text("splits", lists::splits, || Box::new(lists::read_splits)),
    text("records", records::seeds, || Box::new(records::read)),
    Target {
        mebibytes: 16,
        ..text("study", records::studies, || Box::new(records::read_study))
    },
    text("safetensors", weights::safetensors, || {
        Box::new(weights::read)
    }),
    text("torch", weights::torch, || Box::new(weights::read)),
    text("request", requests::seeds, requests::reader),
    text("run-config", models::configurations, || {
        Box::new(models::read_configuration)
    }),
    text("postprocess", models::rules, || {
        Box::new(models::read_rules)
    }),
    model("run", models::runs, || Box::new(models::read_run)),
    model("exported", models::exported, || {
        Box::new(models::read_exported)
    }),
    model("nnunet", models::of_nnunet, || {
        Box::new(models::read_nnunet)
    }),
];

/// The folder of expected values, whose files are the corpus.
fn golden(name: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("../tests/golden").join(name)
}

/// The files of a folder of [`golden`] whose names end so, in their order.
fn goldens(folder: &str, endings: &[&str]) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(golden(folder)).expect("the corpus is in the repository");
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let named = paths.iter().filter_map(|path| {
        let name = path.file_name()?.to_str()?;
        endings
            .iter()
            .any(|e| name.ends_with(e))
            .then_some((name, path))
    });
    named
        .map(|(name, path)| {
            (
                name.to_owned(),
                std::fs::read(path).expect("a file of the corpus"),
            )
        })
        .collect()
}
