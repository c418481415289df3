//! Damaged files and requests for every reader of bytes that others wrote.
//!
//! ```text
//! lacuna-fuzz all [--cases N] [--seed S] [--jobs J] [--grow] [--failures FOLDER]
//! lacuna-fuzz TARGET [the same]
//! lacuna-fuzz TARGET --case N [--seed S]      one case again, and where its files are
//! lacuna-fuzz TARGET --folder FOLDER          files that were kept
//! ```
//!
//! A case is a file of the corpus (that of the repository) with damage drawn by a generator
//! keyed by target, seed and number, so that it can be repeated. It fails when the reader
//! panics, overflows its stack or never ends, takes more memory than is stated for so many bytes
//! (`targets.rs`) or two seconds of processor time, or gives what cannot be, as an image whose
//! voxels have no length. The files of such a case are kept.

#![allow(
    unsafe_code,
    reason = "it counts what is allocated, and edges that the compiler marks"
)]

mod campaign;
mod coverage;
mod input;
mod memory;
mod mutate;
mod options;
mod processes;
mod targets;

use std::path::Path;
use std::process::ExitCode;

use campaign::{Found, judge};
use input::Input;
use mutate::Corpus;
use options::{Options, What};
use targets::{Outcome, TARGETS, Target};

/// That of threads of the programs that read, and less than a main thread's.
const STACK_BYTES: usize = 2 << 20;

fn main() -> ExitCode {
    let options = match Options::of(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let chosen =
        (TARGETS.iter()).filter(|target| options.target == "all" || options.target == target.name);
    let chosen: Vec<&Target> = chosen.collect();
    if chosen.is_empty() {
        let names = TARGETS.iter().map(|target| target.name).collect::<Vec<_>>();
        eprintln!(
            "{}: expected all, or one of {}",
            options.target,
            names.join(", ")
        );
        return ExitCode::from(2);
    }
    match options.what.clone() {
        What::Cases(cases) => {
            let found = processes::run(&chosen, &cases, options.jobs);
            processes::print(&found);
            match found.iter().all(|(_, found)| found.faults.is_empty()) {
                true => ExitCode::SUCCESS,
                false => ExitCode::FAILURE,
            }
        }
        What::OfOneProcess(cases, folder) => {
            in_thread(move || {
                campaign::listen_to_panics();
                let run = campaign::run(chosen[0], &cases, &folder);
                let found = run.unwrap_or_else(|error| Found {
                    faults: vec![(0, format!("the harness failed: {error}"))],
                    ..Found::default()
                });
                println!(
                    "{}",
                    serde_json::to_string(&found).expect("numbers and texts")
                );
            });
            ExitCode::SUCCESS
        }
        What::Case(case) => {
            let target = chosen[0];
            let corpus = Corpus::new((target.seeds)());
            again(
                target,
                campaign::input_of(target, &corpus, options.seed, case),
                None,
            )
        }
        What::Folder(folder) => {
            let target = chosen[0];
            let seeds = (target.seeds)();
            // Of the names that are read, the one that is there.
            let first = seeds
                .iter()
                .map(Input::name)
                .find(|name| folder.join(name).is_file());
            match Input::read(&folder, first.unwrap_or_default()) {
                Ok(input) if !input.files.is_empty() => again(target, input, Some(&folder)),
                _ => {
                    eprintln!("{}: no files", folder.display());
                    ExitCode::from(2)
                }
            }
        }
    }
}

/// Reads one input, and tells what comes of it.
fn again(target: &'static Target, input: Input, folder: Option<&Path>) -> ExitCode {
    let place = match folder {
        Some(folder) => folder.to_owned(),
        None => {
            let made = tempfile::tempdir()
                .expect("a folder for temporary files")
                .keep();
            input
                .write(&made, &Input::default())
                .expect("the folder takes files");
            made
        }
    };
    println!("{}: {} in {}", target.name, input.name(), place.display());
    in_thread(move || {
        // Built on a thread of its own, as in a campaign.
        let judged = judge(&mut (target.reader)(), target, &input, &place);
        let Outcome::Wrong(_) = &judged.outcome else {
            println!("{:?}", judged.outcome);
            println!(
                "{} bytes of memory, {:.1} ms",
                judged.peak, judged.milliseconds
            );
            return ExitCode::SUCCESS;
        };
        println!("{:?}", judged.outcome);
        ExitCode::FAILURE
    })
}

fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(work);
    let thread = thread.expect("the system gives a thread");
    thread.join().expect("the harness does not panic")
}
