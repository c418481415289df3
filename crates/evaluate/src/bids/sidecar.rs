//! What a derivative dataset tells of itself and of its files.

use std::path::{Component, Path, PathBuf};

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_record::Predictions;
use serde_json::{Value, json};

/// The version whose rules the files keep.
const VERSION: &str = "1.10.0";

/// The BIDS dataset that the images are of, if they are of one.
pub(super) struct Sources {
    root: Option<PathBuf>,
    /// What the derivative calls it: a way from `out`, or a URI.
    link: String,
}

impl Sources {
    /// `out` is the folder to be written.
    pub(super) fn of(manifest: &Manifest, out: &Path) -> Self {
        let images = manifest.subjects.iter().flat_map(|s| s.images.values());
        let first = images.map(|image| absolute(&image.path)).next();
        let root = first.and_then(|file| {
            let above = file.ancestors().skip(1);
            let mut roots = above.filter(|f| f.join("dataset_description.json").is_file());
            roots.next().map(Path::to_owned)
        });
        let link = root
            .as_ref()
            .map(|root| match absolute(out).strip_prefix(root) {
                // A derivative inside of its dataset may move with it.
                Ok(below) => vec![".."; below.components().count()].join("/"),
                Err(_) => uri_of(root),
            });
        Self {
            root,
            link: link.unwrap_or_default(),
        }
    }

    /// The URI of a file.
    fn uri(&self, file: &Path) -> String {
        let file = absolute(file);
        let below = self
            .root
            .as_ref()
            .and_then(|root| file.strip_prefix(root).ok());
        match below {
            Some(below) => format!("bids:raw:{}", encoded(below)),
            None => uri_of(&file),
        }
    }
}

/// Without links, as far as the way is there.
fn absolute(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if parent != Path::new("") => absolute(parent).join(name),
        _ => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
    }
}

fn uri_of(path: &Path) -> String {
    format!("file:///{}", encoded(path))
}

fn encoded(path: &Path) -> String {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let parts = parts.map(|part| {
        let letters = part.bytes().map(|b| match plain(b) {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        });
        letters.collect::<String>()
    });
    parts.collect::<Vec<_>>().join("/")
}

/// `dataset_description.json`
pub(super) fn description(
    manifest: &Manifest,
    listed: Option<&Predictions>,
    sources: &Sources,
) -> Value {
    let mut about = json!({
        "Name": format!("{}: segmentations", manifest.name),
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{
            "Name": "Lacuna",
            "Version": env!("CARGO_PKG_VERSION"),
            "Description": maker(listed),
        }],
    });
    if sources.root.is_some() {
        about["DatasetLinks"] = json!({ "raw": sources.link });
        about["SourceDatasets"] = json!([{ "URL": sources.link }]);
    }
    about
}

fn maker(listed: Option<&Predictions>) -> String {
    match listed {
        None => "label maps of another program, put in this order".to_owned(),
        Some(list) => {
            let run = list.run.file_name().unwrap_or_default().to_string_lossy();
            let networks = list.ensemble.as_ref().map_or(1, |e| e.runs.len());
            let weights = list.weights.as_deref().unwrap_or("in predictions.json");
            format!(
                "lacuna predict with {run}, {networks} network(s), {} iterations; SHA-256 of the \
                 weights: {weights}",
                list.iteration
            )
        }
    }
}

/// `README.md`
pub(super) fn readme(manifest: &Manifest, listed: Option<&Predictions>) -> String {
    format!(
        "# Segmentations of {}\n\nClasses: {}. Made by {}.\n",
        manifest.name,
        manifest.classes.join(", "),
        maker(listed)
    )
}

/// The JSON file beside a label map.
pub(super) fn of_map(manifest: &Manifest, subject: &Subject, sources: &Sources) -> Value {
    let images = manifest
        .modalities
        .iter()
        .filter_map(|m| subject.images.get(m));
    let images: Vec<String> = images.map(|image| sources.uri(&image.path)).collect();
    let classes = &manifest.classes[1..];
    let mut about = json!({
        "Description": format!("segmentation of {}", classes.join(", ")),
        "Sources": images,
        "SpatialReference": "orig",
        "Manual": false,
    });
    if let [class] = classes {
        let lesion = class.to_lowercase().contains("lesion");
        about["Type"] = json!(if lesion { "Lesion" } else { "ROI" });
    }
    about
}
