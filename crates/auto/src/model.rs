//! A finished model: runs whose mean is predicted, and what was tuned for it; as a folder or
//! as one file.
//!
//! The file is a tar archive of `model.json`, `postprocess.toml`, `card.md`,
//! `tuning/tuning.json` and, of each run, `run.toml`, `dataset.json`, `summary.json` and the
//! weights and `state.json` of one checkpoint. It names subjects, and no place where files lay.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use burn::tensor::Device;
use lacuna_record::write_json;
use lacuna_train::apply::TrainedRun;
use lacuna_train::checkpoint::{self, Choice};
use lacuna_train::config::PredictOverrides;
use lacuna_train::device::PrecisionName;
use lacuna_train::postprocess::Postprocess;
use lacuna_train::predictor::Predictor;
use lacuna_tune::Tuned;
use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, EntryType, Header};
use tempfile::TempDir;

use crate::error::AutoError;
use crate::plan::Plan;

const MODEL: &str = "model.json";
pub(crate) const CARD: &str = "card.md";
pub(crate) const RULES: &str = "postprocess.toml";
const TUNING: &str = "tuning/tuning.json";
/// The most bytes of a model's file, and of what is in it.
const MOST_BYTES: u64 = 16 << 30;
/// The most entries of a model's file.
const MOST_ENTRIES: usize = 2000;

/// `model.json`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Name of the dataset.
    pub dataset: String,
    /// Classes, background first.
    pub classes: Vec<String>,
    /// Modalities in channel order.
    pub modalities: Vec<String>,
    /// Names of the run folders beside it, whose mean is predicted.
    pub runs: Vec<String>,
    /// Whether `postprocess.toml` beside it holds what was tuned.
    pub tuned: bool,
}

/// What is predicted with: runs, or a model. What a file was unpacked to goes with the
/// value.
pub struct Opened {
    /// The run folders.
    pub runs: Vec<PathBuf>,
    /// What the runs are called, as the folder of what was unpacked is soon gone.
    names: Vec<PathBuf>,
    /// What was tuned for a model.
    pub postprocess: Option<Postprocess>,
    /// How far its predicted volumes and counts can be from the truth.
    pub tuned: Option<Tuned>,
    _unpacked: Option<TempDir>,
}

impl Model {
    /// Writes `model.json` of a finished `lacuna auto`.
    pub(crate) fn finish(
        out: &Path,
        plan: &Plan,
        runs: Vec<String>,
        tuned: bool,
    ) -> Result<Self, AutoError> {
        let (_, facts, _) = TrainedRun::described(&out.join(&runs[0]))?;
        let model = Self {
            dataset: plan.dataset.clone(),
            classes: facts.classes,
            modalities: facts.modalities,
            runs,
            tuned,
        };
        model.write(out)?;
        Ok(model)
    }

    /// Writes `model.json` into the folder of a model.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), AutoError> {
        write_json(&folder.join(MODEL), self)?;
        Ok(())
    }

    /// The model in `folder`.
    ///
    /// # Errors
    /// [`AutoError::NoModel`] when there is none.
    pub fn read(folder: &Path) -> Result<Self, AutoError> {
        if !folder.join(MODEL).is_file() {
            return Err(AutoError::NoModel {
                path: folder.to_owned(),
                missing: format!("there is no {MODEL}"),
            });
        }
        let model: Self = lacuna_record::read_json(folder, MODEL)?;
        let plain = |name: &String| {
            let mut parts = Path::new(name).components();
            matches!(
                (parts.next(), parts.next()),
                (Some(Component::Normal(_)), None)
            )
        };
        match model.runs.iter().find(|name| !plain(name)) {
            None if !model.runs.is_empty() => Ok(model),
            found => Err(AutoError::NoModel {
                path: folder.to_owned(),
                missing: match found {
                    Some(name) => format!("{MODEL} names the run {name:?}, which is no name"),
                    None => format!("{MODEL} names no run"),
                },
            }),
        }
    }
}

impl Opened {
    /// What `paths` are: a folder of `lacuna auto` or a file of `lacuna export` by itself, or
    /// else the folders of runs, as they are.
    ///
    /// # Errors
    /// [`AutoError::NoModel`] for a folder of `lacuna auto` that is not finished,
    /// [`AutoError::BadModel`] for a file that is none.
    pub fn open(paths: &[PathBuf]) -> Result<Self, AutoError> {
        if let [path] = paths {
            if path.is_file() {
                let unpacked = unpack(path)?;
                let opened = Self::of_folder(unpacked.path())?;
                let name = |run: &PathBuf| path.join(run.file_name().unwrap_or_default());
                return Ok(Self {
                    names: opened.runs.iter().map(name).collect(),
                    _unpacked: Some(unpacked),
                    ..opened
                });
            }
            if path.join(MODEL).exists() || path.join("plan.json").exists() {
                return Self::of_folder(path);
            }
        }
        Ok(Self {
            runs: paths.to_vec(),
            names: paths.to_vec(),
            postprocess: None,
            tuned: None,
            _unpacked: None,
        })
    }

    /// The mean of the runs, with the rules of `postprocess` or else those tuned for the
    /// model; the rest as for [`Predictor::open`].
    ///
    /// # Errors
    /// Those of [`Predictor::open`] and [`Predictor::with_postprocess`].
    pub fn predictor(
        &self,
        postprocess: Option<Postprocess>,
        choice: Choice,
        device: &Device,
        precision: Option<PrecisionName>,
        overrides: PredictOverrides,
    ) -> Result<Predictor, AutoError> {
        let open = |(folder, name): (&PathBuf, &PathBuf)| {
            let mut run = TrainedRun::open(folder, choice, device, precision)?;
            run.path = name.clone();
            Ok(run)
        };
        let runs: Result<_, AutoError> = self.runs.iter().zip(&self.names).map(open).collect();
        let predictor = Predictor::of(runs?, overrides)?;
        match postprocess.or_else(|| self.postprocess.clone()) {
            Some(rules) => Ok(predictor.with_postprocess(rules)?),
            None => Ok(predictor),
        }
    }

    fn of_folder(folder: &Path) -> Result<Self, AutoError> {
        let model = Model::read(folder)?;
        let (postprocess, tuned) = match model.tuned {
            true => (
                Some(Postprocess::read(&folder.join(RULES))?),
                Some(lacuna_record::read_json(folder, TUNING)?),
            ),
            false => (None, None),
        };
        let runs: Vec<PathBuf> = model.runs.iter().map(|name| folder.join(name)).collect();
        Ok(Self {
            names: runs.clone(),
            runs,
            postprocess,
            tuned,
            _unpacked: None,
        })
    }
}

/// Writes the model of the folder `auto` into one file.
///
/// # Errors
/// When there is no finished model, or the file cannot be written.
pub fn export(auto: &Path, to: &Path) -> Result<(), AutoError> {
    let model = Model::read(auto)?;
    let mut configurations: Vec<(String, String)> = Vec::new();
    let mut files: Vec<(String, PathBuf)> = vec![(MODEL.to_owned(), auto.join(MODEL))];
    for (name, needed) in [(CARD, false), (RULES, model.tuned), (TUNING, model.tuned)] {
        let path = auto.join(name);
        if needed || path.is_file() {
            files.push((name.to_owned(), path));
        }
    }
    for run in &model.runs {
        let folder = auto.join(run);
        let (weights, _) = checkpoint::chosen(&folder, Choice::Last)?;
        let checkpoint = weights.parent().unwrap_or(&folder).to_owned();
        let (mut config, ..) = TrainedRun::described(&folder)?;
        // Where the images lay is nobody's business, and of no use elsewhere.
        config.dataset = PathBuf::from("dataset.toml");
        config.train.from = None;
        config.train.cache = PathBuf::new();
        configurations.push((format!("{run}/run.toml"), config.to_toml()?));
        for name in ["dataset.json", "summary.json"] {
            files.push((format!("{run}/{name}"), folder.join(name)));
        }
        let name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let inside = format!("{run}/{}", name(&checkpoint));
        files.push((
            format!("{inside}/state.json"),
            checkpoint.join("state.json"),
        ));
        files.push((format!("{inside}/{}", name(&weights)), weights));
    }
    lacuna_io::atomic::write_atomic(to, |writer| {
        let mut archive = Builder::new(writer);
        for (name, text) in &configurations {
            append(&mut archive, name, text.len() as u64, text.as_bytes())?;
        }
        for (name, path) in &files {
            let file = File::open(path)?;
            append(&mut archive, name, file.metadata()?.len(), file)?;
        }
        archive.into_inner()?.flush()
    })?;
    Ok(())
}

/// Whether an archive of that many bytes has the two empty blocks that end one. Reads from the
/// start again.
fn ends_whole(mut file: &File, size: u64) -> std::io::Result<bool> {
    let mut end = [1; 1024];
    if size < end.len() as u64 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-(end.len() as i64)))?;
    file.read_exact(&mut end)?;
    file.rewind()?;
    Ok(end == [0; 1024])
}

/// Adds an entry without owner or time: the same model is the same file.
fn append<W: Write>(
    archive: &mut Builder<W>,
    name: &str,
    size: u64,
    from: impl Read,
) -> std::io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_cksum();
    archive.append_data(&mut header, name, from)
}

/// Unpacks a file of [`export`] into a folder of its own.
fn unpack(path: &Path) -> Result<TempDir, AutoError> {
    let bad = |found: String| AutoError::BadModel {
        path: path.to_owned(),
        found,
    };
    let (file, metadata) = lacuna_io::text::open_file(path).map_err(AutoError::io(path))?;
    let size = metadata.len();
    if size > MOST_BYTES {
        return Err(bad(format!("{size} bytes, more than any model has")));
    }
    // A file that was cut between two entries is an archive, too, but for its end.
    if !ends_whole(&file, size).map_err(AutoError::io(path))? {
        return Err(bad("it is cut off".to_owned()));
    }
    let folder = tempfile::tempdir().map_err(AutoError::io(&std::env::temp_dir()))?;
    let mut archive = Archive::new(file.take(size));
    let entries = archive.entries().map_err(|e| bad(e.to_string()))?;
    let mut left = size;
    for (number, entry) in entries.enumerate() {
        let mut entry = entry.map_err(|e| bad(e.to_string()))?;
        let name = entry.path().map_err(|e| bad(e.to_string()))?.into_owned();
        let inside = name
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let plain = entry.header().entry_type() == EntryType::Regular;
        // A file that claims more than the archive holds would only be cut off.
        if !inside || !plain || number >= MOST_ENTRIES || entry.size() > left {
            return Err(bad(format!("the entry {}", name.display())));
        }
        left -= entry.size();
        let to = folder.path().join(&name);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(AutoError::io(parent))?;
        }
        let mut out = File::create_new(&to).map_err(|e| bad(format!("{}: {e}", name.display())))?;
        let expected = entry.size();
        let copied = std::io::copy(&mut entry, &mut out).map_err(|e| bad(e.to_string()))?;
        if copied != expected {
            return Err(bad(format!("{} is cut off", name.display())));
        }
    }
    match folder.path().join(MODEL).is_file() {
        true => Ok(folder),
        false => Err(bad(format!("no {MODEL} in it"))),
    }
}
