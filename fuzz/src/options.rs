//! The words of the command line.

use std::path::PathBuf;

use crate::campaign::Cases;

pub struct Options {
    /// A target, or `all`.
    pub target: String,
    pub what: What,
    pub seed: u64,
    /// Processes at the same time.
    pub jobs: usize,
}

#[derive(Clone)]
pub enum What {
    /// Cases of each target, each target in a process of its own.
    Cases(Cases),
    /// Those of one target, in this process, below that folder.
    OfOneProcess(Cases, PathBuf),
    /// One case again.
    Case(u64),
    /// Files that were kept.
    Folder(PathBuf),
}

impl Options {
    pub fn of(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        const USAGE: &str = "lacuna-fuzz all|TARGET [--cases N] [--first N] [--seed S] [--jobs J] \
            [--grow] [--failures FOLDER] | TARGET --case N [--seed S] | TARGET --folder FOLDER";
        let target = words.next().ok_or(USAGE)?;
        let mut cases = Cases {
            seed: 0,
            first: 0,
            count: 1000,
            grow: false,
            failures: "fuzz-failures".into(),
        };
        let (mut case, mut folder, mut below) = (None, None, None);
        let mut jobs = std::thread::available_parallelism().map_or(1, usize::from);
        while let Some(word) = words.next() {
            if word == "--grow" {
                cases.grow = true;
                continue;
            }
            let value = words
                .next()
                .ok_or_else(|| format!("{word} needs a value; {USAGE}"))?;
            let number = || {
                value
                    .parse::<u64>()
                    .map_err(|_| format!("{word} {value}: no number"))
            };
            match word.as_str() {
                "--cases" => cases.count = number()?,
                "--first" => cases.first = number()?,
                "--seed" => cases.seed = number()?,
                "--jobs" => jobs = number()?.max(1) as usize,
                "--case" => case = Some(number()?),
                "--failures" => cases.failures = value.into(),
                "--folder" => folder = Some(value.into()),
                "--below" => below = Some(value.into()),
                _ => return Err(format!("{word}: {USAGE}")),
            }
        }
        Ok(Self {
            target,
            seed: cases.seed,
            jobs,
            what: match (case, folder, below) {
                (Some(case), _, _) => What::Case(case),
                (_, Some(folder), _) => What::Folder(folder),
                (_, _, Some(below)) => What::OfOneProcess(cases, below),
                _ => What::Cases(cases),
            },
        })
    }
}
