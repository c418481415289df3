//! A plan meets its folder: what is there already, and what is left to do.

use std::collections::HashSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use lacuna_io::text::{MOST_TEXT_BYTES, read_text};
use lacuna_record::{
    PlannedRun, RecordError, SessionRecord, Sessions, State, Study, StudyFolder, lock, write_json,
};
use lacuna_train::origin;

use crate::StudyError;
use crate::plan::device;

/// A run with the configuration that it shall have.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The run.
    pub run: PlannedRun,
    /// Its effective `run.toml`.
    pub config: String,
}

/// A study folder held by this process; the lock goes with the value.
pub struct Held {
    /// The folder.
    pub folder: StudyFolder,
    _lock: File,
}

/// Takes `folder` for the study, creating it or going on with what is there,
/// and writes the plan. Nothing is written when something is refused.
///
/// `differences` names what differs between two configurations.
///
/// # Errors
/// When another process holds the folder, or it holds another study, another
/// study's runs, or a run of the same name with another configuration.
pub fn settle(
    folder: &StudyFolder,
    study: &Study,
    text: &str,
    runs: &[Planned],
    differences: &dyn Fn(&str, &str) -> String,
) -> Result<Held, StudyError> {
    let path = folder.path();
    check_content(folder, study)?;
    std::fs::create_dir_all(path).map_err(RecordError::io(path))?;
    let Some(lock) = lock(&path.join(".lock"))? else {
        return Err(StudyError::Locked {
            folder: path.to_owned(),
        });
    };
    // Again, since another process may have planned in the meantime.
    check_content(folder, study)?;
    for Planned { run, config } in runs {
        let path = folder.config(&run.name);
        match read_text(&path, MOST_TEXT_BYTES) {
            Ok(before)
                if before != *config && folder.status(&run.name)?.state != State::Waiting =>
            {
                return Err(StudyError::Changed {
                    config: path,
                    run: run.name.clone(),
                    differences: differences(&before, config),
                });
            }
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(RecordError::io(&path)(e).into()),
        }
    }
    lacuna_io::atomic::tidy(path);
    for below in ["configs", "runs", "states", "logs"] {
        let below = path.join(below);
        std::fs::create_dir_all(&below).map_err(RecordError::io(&below))?;
        lacuna_io::atomic::tidy(&below);
    }
    for Planned { run, config } in runs {
        lacuna_io::atomic::write_bytes(folder.config(&run.name), config.as_bytes())?;
    }
    lacuna_io::atomic::write_bytes(path.join("study.toml"), text.as_bytes())?;
    let mut sessions = Sessions::read(path)?;
    sessions.sessions.push(SessionRecord {
        provenance: origin::of_process(device(&study.device).unwrap_or_default()),
        ..SessionRecord::default()
    });
    sessions.write(path)?;
    // Last, since this file is what makes the folder a study.
    write_json(&path.join("study.json"), study)?;
    Ok(Held {
        folder: folder.clone(),
        _lock: lock,
    })
}

/// Holds the run `name` of a study until the value is dropped; `None` when another
/// process is at work on it.
///
/// # Errors
/// When the folder cannot be written or the system cannot lock files in it.
pub(crate) fn hold_run(folder: &StudyFolder, name: &str) -> Result<Option<File>, RecordError> {
    let path = folder.path().join("states").join(format!("{name}.lock"));
    lock(&path)
}

/// Refuses a folder of anything but this study.
fn check_content(folder: &StudyFolder, study: &Study) -> Result<(), StudyError> {
    let path = folder.path();
    let other = |found: String| StudyError::OtherStudy {
        folder: path.to_owned(),
        found,
    };
    let names: HashSet<&str> = study.runs.iter().map(|r| r.name.as_str()).collect();
    match folder.study()? {
        Some(before) if before.name != study.name => {
            return Err(other(format!(
                "it holds the study `{}`, not `{}`",
                before.name, study.name
            )));
        }
        Some(_) => {}
        None => {
            // What a start that was cut off leaves is no hindrance.
            let ours = [
                ".lock",
                "configs",
                "runs",
                "states",
                "logs",
                "phantoms",
                "study.toml",
                "provenance.json",
            ];
            let stranger = entries(path)?
                .into_iter()
                .find(|e| !ours.contains(&e.as_str()));
            if let Some(found) = stranger {
                return Err(other(format!(
                    "it holds no study but is not empty: {found}"
                )));
            }
        }
    }
    let stranger = (entries(&path.join("runs"))?.into_iter()).find(|e| !names.contains(e.as_str()));
    match stranger {
        Some(run) => Err(other(format!(
            "runs/{run} is no run of the study `{}`; move that folder away",
            study.name
        ))),
        None => Ok(()),
    }
}

/// Names of the entries of a folder, but for what a killed process left half-written; none
/// when there is no such folder.
fn entries(path: &Path) -> Result<Vec<String>, StudyError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(RecordError::io(path)(e).into()),
    };
    let names = entries
        .map(|e| Ok(e?.file_name()))
        .collect::<Result<Vec<_>, std::io::Error>>()
        .map_err(RecordError::io(path))?;
    let mut names: Vec<_> = (names.into_iter())
        .filter(|name| !lacuna_io::atomic::is_part(name))
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}
