//! What a study found, as one file to keep: without weights, predictions, pictures and paths of
//! the machine that it ran on.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use lacuna_io::atomic::{write_atomic, write_folder};
use lacuna_io::text::{MOST_RECORD_BYTES, MOST_TEXT_BYTES, read_bytes, read_text};
use serde::{Deserialize, Serialize};

use crate::{
    Evaluation, RecordError, RunResult, State, Status, Study, StudyFolder, StudyResults, write_json,
};

/// What a file of gzip begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Digits that are kept of a training curve, which is only drawn.
const CURVE_DIGITS: f64 = 1e4;

/// `results.jsonl.gz`, text compressed by gzip: a study in the first line, each planned run in
/// one of its own.
#[derive(Clone, Debug)]
pub struct KeptResults {
    /// The study.
    pub study: KeptStudy,
    /// Its runs in the plan's order, also those that are not done.
    pub runs: Vec<KeptRun>,
}

/// The study behind [`KeptResults`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptStudy {
    /// Its name.
    pub name: String,
    /// What it is for and what was scaled down.
    pub description: String,
    /// Where its runs computed: `cpu`, `vulkan` or `cuda`.
    pub device: String,
    /// What each cohort of phantoms was made from, as TOML, without paths.
    pub phantoms: BTreeMap<String, String>,
}

/// A run of [`KeptResults`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptRun {
    /// Its effective configuration, as TOML, without the path of the dataset.
    pub config: String,
    /// What it found.
    #[serde(flatten)]
    pub result: RunResult,
}

impl KeptResults {
    /// The results in the folder of a study, which may be under way, or in one that keeps them.
    ///
    /// # Errors
    /// When the folder holds neither, or a file in it cannot be read.
    pub fn of(folder: &StudyFolder) -> Result<Self, RecordError> {
        let Some(study) = folder.study()? else {
            return Self::kept_in(folder);
        };
        let results = StudyResults::read(folder)?;
        let run = |result: RunResult| -> Result<KeptRun, RecordError> {
            let config = without_paths(&read(&folder.config(&result.plan.name))?);
            Ok(KeptRun {
                config,
                result: kept_of(result),
            })
        };
        Ok(Self {
            study: KeptStudy {
                name: study.name,
                description: study.description,
                device: study.device,
                phantoms: phantoms(&folder.phantoms())?,
            },
            runs: results
                .runs
                .into_iter()
                .map(run)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The results that a folder keeps in place of a study.
    ///
    /// # Errors
    /// [`RecordError::NotAStudy`] without any, and as [`Self::read`].
    pub(crate) fn kept_in(folder: &StudyFolder) -> Result<Self, RecordError> {
        let kept = folder.results();
        match kept.exists() {
            true => Self::read(&kept),
            false => Err(RecordError::NotAStudy {
                folder: folder.path().to_owned(),
            }),
        }
    }

    /// Reads them from a file.
    ///
    /// # Errors
    /// When it cannot be read or is not what [`KeptResults::write`] writes.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let bytes = read_bytes(path, MOST_RECORD_BYTES).map_err(RecordError::io(path))?;
        let refused = |found: String| RecordError::Corrupt {
            path: path.to_owned(),
            found,
        };
        let text = unpacked(bytes).map_err(|e| refused(e.to_string()))?;
        let corrupt =
            |line: usize, error: serde_json::Error| refused(format!("line {line}: {error}"));
        let mut lines = text.lines();
        let study = serde_json::from_str(lines.next().unwrap_or_default());
        let runs = lines.enumerate().map(|(number, line)| {
            let run: KeptRun = serde_json::from_str(line).map_err(|e| corrupt(number + 2, e))?;
            match run.result.calibration.as_ref().and_then(|c| c.fault()) {
                Some(found) => Err(refused(format!("line {}: {found}", number + 2))),
                None => Ok(run),
            }
        });
        Ok(Self {
            study: study.map_err(|e| corrupt(1, e))?,
            runs: runs.collect::<Result<_, _>>()?,
        })
    }

    /// Writes them into a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), RecordError> {
        write_atomic(path, |w| {
            let mut packed = GzEncoder::new(w, Compression::best());
            serde_json::to_writer(&mut packed, &self.study)?;
            for run in &self.runs {
                packed.write_all(b"\n")?;
                serde_json::to_writer(&mut packed, run)?;
            }
            packed.write_all(b"\n")?;
            packed.finish()?;
            Ok(())
        })?;
        Ok(())
    }

    /// The run `name`, when it is done.
    pub fn done(&self, name: &str) -> Option<&KeptRun> {
        let is =
            |run: &&KeptRun| run.result.plan.name == name && run.result.status.state == State::Done;
        self.runs.iter().find(is)
    }
}

impl KeptRun {
    /// Writes what is kept into the folder of a study where this run has not begun: its run
    /// folder is there whole, and the run done, or it is not there.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn restore(&self, folder: &StudyFolder) -> Result<(), RecordError> {
        let result = &self.result;
        let name = &result.plan.name;
        write_folder(&folder.run(name), |run| {
            let test = run.join("test");
            std::fs::create_dir(&test).map_err(RecordError::io(&test))?;
            if let Some(training) = &result.training {
                training.write(run)?;
            }
            if let Some(summary) = &result.summary {
                write_json(&run.join("summary.json"), summary)?;
            }
            if let Some(scores) = &result.scores {
                scores.write(&test)?;
            }
            if let Some(calibration) = &result.calibration {
                write_json(&test.join("calibration.json"), calibration)?;
            }
            match &result.outcome {
                Some(outcome) => outcome.write(run),
                None => Ok(()),
            }
        })?;
        folder.write_status(name, &result.status)
    }
}

impl From<KeptResults> for StudyResults {
    fn from(kept: KeptResults) -> Self {
        let runs: Vec<RunResult> = kept.runs.into_iter().map(|run| run.result).collect();
        Self {
            study: Study {
                name: kept.study.name,
                description: kept.study.description,
                device: kept.study.device,
                runs: runs.iter().map(|run| run.plan.clone()).collect(),
            },
            runs,
        }
    }
}

/// A configuration without the lines that name a place on one machine.
pub fn without_paths(toml: &str) -> String {
    let path = |line: &&str| line.starts_with("dataset = ") || line.starts_with("lesion_masks = ");
    let kept = toml.lines().filter(|line| !path(line));
    kept.map(|line| format!("{line}\n")).collect()
}

/// The text of a file that is compressed, or is not.
fn unpacked(bytes: Vec<u8>) -> io::Result<String> {
    if !bytes.starts_with(&GZIP) {
        return String::from_utf8(bytes).map_err(io::Error::other);
    }
    let mut text = String::new();
    let mut limited = GzDecoder::new(&*bytes).take(MOST_RECORD_BYTES + 1);
    match limited.read_to_string(&mut text)? as u64 {
        ..=MOST_RECORD_BYTES => Ok(text),
        _ => Err(io::Error::other(format!(
            "more than {MOST_RECORD_BYTES} bytes of text"
        ))),
    }
}

fn read(path: &Path) -> Result<String, RecordError> {
    read_text(path, MOST_TEXT_BYTES).map_err(RecordError::io(path))
}

/// What each cohort below `folder` was made from; nothing where there is no such folder.
fn phantoms(folder: &Path) -> Result<BTreeMap<String, String>, RecordError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(e) => return Err(RecordError::io(folder)(e)),
    };
    let mut made = BTreeMap::new();
    for entry in entries {
        let cohort = entry.map_err(RecordError::io(folder))?;
        let from = cohort.path().join("phantom.toml");
        // A cohort that is being made has none yet.
        if from.exists() {
            let name = cohort.file_name().to_string_lossy().into_owned();
            made.insert(name, without_paths(&read(&from)?));
        }
    }
    Ok(made)
}

/// A result without what names a place on one machine, as the reason of a failure may.
fn kept_of(result: RunResult) -> RunResult {
    RunResult {
        status: Status {
            message: None,
            job: None,
            ..result.status
        },
        training: result.training.map(|mut training| {
            for point in &mut training.curve {
                point[1] = (point[1] * CURVE_DIGITS).round() / CURVE_DIGITS;
            }
            training
        }),
        scores: result.scores.map(without_files),
        ..result
    }
}

/// Scores without the names of files and the command, and what no report of a study reads: where
/// lesions lie, predicted lesions one by one, and counts by other conventions.
fn without_files(mut scores: Evaluation) -> Evaluation {
    scores.predictions = PathBuf::new();
    scores.dataset = None;
    if let Some(provenance) = &mut scores.provenance {
        provenance.command.clear();
    }
    for subject in &mut scores.subjects {
        subject.prediction = None;
        for row in &mut subject.classes {
            row.lesion_detections.clear();
            row.lesions.prediction.clear();
            for lesion in &mut row.lesions.reference {
                lesion.place = None;
            }
        }
    }
    scores
}
