//! The written form of a manifest: TOML to [`Manifest`] and back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use lacuna_volume::Region;
use serde::Deserialize;

use super::{ImageRef, MAX_LABEL_VALUE, Manifest, ManifestError, Subject};

const TOP_KEYS: [&str; 9] = [
    "name",
    "modalities",
    "classes",
    "label_values",
    "ignore",
    "grid",
    "spacing",
    "region",
    "subject",
];
const REGION_KEYS: [&str; 2] = ["name", "classes"];
const SUBJECT_KEYS: [&str; 9] = [
    "id",
    "group",
    "scanner",
    "spacing",
    "images",
    "label",
    "mask",
    "weight",
    "white_matter",
];

#[derive(Deserialize)]
struct RawManifest {
    name: String,
    modalities: Vec<String>,
    classes: Vec<String>,
    label_values: Option<BTreeMap<String, String>>,
    ignore: Option<i32>,
    grid: Option<String>,
    spacing: Option<[f64; 2]>,
    // Tables in a row, as those of a table lose their order.
    #[serde(default)]
    region: Vec<RawRegion>,
    #[serde(default)]
    subject: Vec<RawSubject>,
}

#[derive(Deserialize)]
struct RawRegion {
    name: String,
    classes: Vec<String>,
}

#[derive(Deserialize)]
struct RawSubject {
    id: String,
    group: Option<String>,
    scanner: Option<String>,
    spacing: Option<[f64; 2]>,
    images: BTreeMap<String, String>,
    label: Option<PathBuf>,
    mask: Option<PathBuf>,
    weight: Option<PathBuf>,
    white_matter: Option<PathBuf>,
}

/// Parses the text of the manifest at `path`, whose folder the paths start from.
pub(super) fn parse(path: &Path, text: &str) -> Result<Manifest, ManifestError> {
    let syntax = |source: toml::de::Error| ManifestError::Syntax {
        path: path.to_owned(),
        source: Box::new(source),
    };
    refuse_unknown_keys(path, &text.parse::<toml::Table>().map_err(syntax)?)?;
    // From the text and not from the table, whose errors would lack the line.
    let raw: RawManifest = toml::from_str(text).map_err(syntax)?;
    let label_values = match raw.label_values {
        Some(values) => parse_label_values(path, values)?,
        None => (0..).zip(raw.classes.iter().cloned()).collect(),
    };
    let folder = super::folder_of(path);
    let subjects = raw.subject.into_iter().map(|s| resolve(&folder, s));
    let manifest = Manifest::new(
        path,
        raw.name,
        raw.modalities,
        raw.classes,
        label_values,
        subjects.collect(),
    )?;
    let manifest = match raw.spacing {
        Some(spacing) => manifest.with_spacing(spacing)?,
        None => manifest,
    };
    let manifest = match raw.ignore {
        Some(value) => manifest.with_ignore(value)?,
        None => manifest,
    };
    let regions = raw.region.into_iter().map(|region| Region {
        name: Some(region.name),
        classes: region.classes,
    });
    let manifest = manifest.with_regions(regions.collect())?;
    match raw.grid {
        Some(modality) => manifest.with_grid(modality),
        None => Ok(manifest),
    }
}

fn refuse_unknown_keys(path: &Path, table: &toml::Table) -> Result<(), ManifestError> {
    refuse_others(path, table, &TOP_KEYS, || "at the top level".to_owned())?;
    if let Some(toml::Value::Array(regions)) = table.get("region") {
        for region in regions.iter().filter_map(|r| r.as_table()) {
            refuse_others(path, region, &REGION_KEYS, || "in a [[region]]".to_owned())?;
        }
    }
    let Some(toml::Value::Array(subjects)) = table.get("subject") else {
        return Ok(());
    };
    for (position, subject) in subjects.iter().filter_map(|s| s.as_table()).enumerate() {
        refuse_others(path, subject, &SUBJECT_KEYS, || {
            match subject.get("id").and_then(|id| id.as_str()) {
                Some(id) => format!("in subject `{id}`"),
                None => format!("in [[subject]] number {}", position + 1),
            }
        })?;
    }
    Ok(())
}

fn refuse_others(
    path: &Path,
    table: &toml::Table,
    known: &'static [&'static str],
    place: impl Fn() -> String,
) -> Result<(), ManifestError> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(ManifestError::UnknownKey {
            path: path.to_owned(),
            place: place(),
            key: key.clone(),
            known,
        }),
    }
}

fn parse_label_values(
    path: &Path,
    values: BTreeMap<String, String>,
) -> Result<BTreeMap<i32, String>, ManifestError> {
    let mut parsed = BTreeMap::new();
    for (key, class) in values {
        // Only the plain decimal form, so that `1` and `01` cannot both be there.
        let value = key
            .parse::<i32>()
            .ok()
            .filter(|v| (0..=MAX_LABEL_VALUE).contains(v) && v.to_string() == key)
            .ok_or_else(|| ManifestError::LabelKey {
                path: path.to_owned(),
                key: key.clone(),
            })?;
        parsed.insert(value, class);
    }
    Ok(parsed)
}

fn resolve(folder: &Path, raw: RawSubject) -> Subject {
    // An empty name must stay empty, to be refused instead of meaning the folder.
    let file = |p: PathBuf| match p.as_os_str().is_empty() {
        true => p,
        false => folder.join(p),
    };
    let image = |text: &str| {
        let image = ImageRef::parse(text);
        ImageRef {
            path: file(image.path),
            volume: image.volume,
        }
    };
    Subject {
        id: raw.id,
        group: raw.group,
        scanner: raw.scanner,
        spacing: raw.spacing,
        images: raw
            .images
            .iter()
            .map(|(m, text)| (m.clone(), image(text)))
            .collect(),
        label: raw.label.map(file),
        mask: raw.mask.map(file),
        weight: raw.weight.map(file),
        white_matter: raw.white_matter.map(file),
    }
}

/// The manifest as TOML, paths relative to its folder.
pub(super) fn write(manifest: &Manifest) -> Result<String, ManifestError> {
    let mut out = String::new();
    let values: Vec<String> = manifest
        .label_values
        .iter()
        .map(|(value, class)| format!("{value} = {}", quoted(class)))
        .collect();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "name = {}", quoted(&manifest.name));
    let _ = writeln!(out, "modalities = {}", quoted_list(&manifest.modalities));
    let _ = writeln!(out, "classes = {}", quoted_list(&manifest.classes));
    let _ = writeln!(out, "label_values = {{ {} }}", values.join(", "));
    if let Some(value) = manifest.ignore {
        let _ = writeln!(out, "ignore = {value}");
    }
    if let Some(modality) = &manifest.grid {
        let _ = writeln!(out, "grid = {}", quoted(modality));
    }
    if let Some([x, y]) = manifest.spacing {
        let _ = writeln!(out, "spacing = [{x:?}, {y:?}]");
    }
    for Region { name, classes } in &manifest.regions {
        let name = quoted(name.as_deref().unwrap_or_default());
        let classes = quoted_list(classes);
        let _ = writeln!(out, "\n[[region]]\nname = {name}\nclasses = {classes}");
    }
    for subject in &manifest.subjects {
        let _ = writeln!(out, "\n[[subject]]\nid = {}", quoted(&subject.id));
        if let Some(group) = &subject.group {
            let _ = writeln!(out, "group = {}", quoted(group));
        }
        if let Some(scanner) = &subject.scanner {
            let _ = writeln!(out, "scanner = {}", quoted(scanner));
        }
        if let Some([x, y]) = subject.spacing {
            let _ = writeln!(out, "spacing = [{x:?}, {y:?}]");
        }
        let mut images = Vec::with_capacity(subject.images.len());
        for modality in &manifest.modalities {
            if let Some(image) = subject.images.get(modality) {
                let mut text = relative_text(manifest, subject, modality, &image.path)?;
                if let Some(volume) = image.volume {
                    let _ = write!(text, "#{volume}");
                }
                images.push(format!("{} = {}", key_form(modality), quoted(&text)));
            }
        }
        let _ = writeln!(out, "images = {{ {} }}", images.join(", "));
        let maps = [
            ("label", &subject.label),
            ("mask", &subject.mask),
            ("weight", &subject.weight),
            ("white_matter", &subject.white_matter),
        ];
        for (key, file) in maps {
            if let Some(file) = file {
                let text = relative_text(manifest, subject, key, file)?;
                let _ = writeln!(out, "{key} = {}", quoted(&text));
            }
        }
    }
    Ok(out)
}

fn relative_text(
    manifest: &Manifest,
    subject: &Subject,
    key: &str,
    file: &Path,
) -> Result<String, ManifestError> {
    let relative = relative_path(file, &manifest.folder);
    let text = relative.to_str().ok_or_else(|| ManifestError::FileName {
        path: manifest.path.clone(),
        subject: subject.id.clone(),
        key: key.to_owned(),
        file: file.to_owned(),
    })?;
    Ok(text.replace(std::path::MAIN_SEPARATOR, "/"))
}

/// `file` as seen from `folder`: below it, or through `..` when the two share
/// more than the root, else absolute. `..` steps are taken between resolved
/// folders, since the system follows links before it goes up.
fn relative_path(file: &Path, folder: &Path) -> PathBuf {
    if let Ok(below) = file.strip_prefix(folder)
        && !below.components().any(|c| c == Component::ParentDir)
    {
        return below.to_owned();
    }
    if folder == Path::new(".") && file.is_relative() {
        return file.to_owned();
    }
    let absolute = || std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else {
        return absolute();
    };
    let (Ok(from), Ok(to)) = (folder.canonicalize(), super::or_here(parent).canonicalize()) else {
        return absolute();
    };
    let shared = from
        .components()
        .zip(to.components())
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a);
    let named = shared.clone().any(|c| matches!(c, Component::Normal(_)));
    if !named {
        return to.join(name);
    }
    let shared = shared.count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    let down = to.components().skip(shared);
    up.chain(down).collect::<PathBuf>().join(name)
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn quoted_list(texts: &[String]) -> String {
    let items: Vec<String> = texts.iter().map(|t| quoted(t)).collect();
    format!("[{}]", items.join(", "))
}

fn key_form(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match key.chars().all(bare) {
        true => key.to_owned(),
        false => quoted(key),
    }
}
