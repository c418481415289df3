//! The cases of one target, one after the other.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::coverage::Seen;
use crate::input::{Input, Random};
use crate::memory;
use crate::mutate::Corpus;
use crate::targets::{Outcome, Target};

/// Processor time of all threads that a case may take.
const MOST_TIME: Duration = Duration::from_secs(2);

/// The folder of the case at work, and the file of its number, below that of the target.
pub const FOLDER: &str = "case";
pub const NUMBER: &str = "number";

/// Faults of which the bytes are kept.
const MOST_KEPT: usize = 20;

/// Which cases.
#[derive(Clone, Debug)]
pub struct Cases {
    pub seed: u64,
    pub first: u64,
    pub count: u64,
    /// Keep cases that take new edges, and damage those further. A case then depends on those
    /// before it, so only its bytes repeat it.
    pub grow: bool,
    /// Where the bytes of faults go.
    pub failures: PathBuf,
}

/// What came of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    pub cases: u64,
    pub decoded: u64,
    pub refused: u64,
    /// Refusals whose words differ by more than names and numbers.
    pub refusals: usize,
    /// Most memory that a case took, and which.
    pub peak: (usize, u64),
    /// Longest time in milliseconds, and of which case.
    pub slowest: (f64, u64),
    /// Seconds of the clock.
    pub seconds: f64,
    /// Edges taken, of how many; inputs that are kept.
    pub edges: (usize, usize),
    pub kept: usize,
    /// Each fault with its case.
    pub faults: Vec<(u64, String)>,
}

/// What the last panic said, on whichever thread of a reader.
static PANIC: Mutex<String> = Mutex::new(String::new());

fn panic_words() -> MutexGuard<'static, String> {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps what a panic says in place of printing it.
pub fn listen_to_panics() {
    std::panic::set_hook(Box::new(|panic| {
        *panic_words() = panic.to_string().replace('\n', " ");
    }));
}

/// The bytes of a case that depends on no other.
pub fn input_of(target: &Target, corpus: &Corpus, seed: u64, case: u64) -> Input {
    corpus.damaged(&mut Random::of_case(target.name, seed, case))
}

/// Runs them below `folder`, which is empty.
pub fn run(target: &Target, cases: &Cases, folder: &Path) -> io::Result<Found> {
    let mut corpus = Corpus::new((target.seeds)());
    let mut reader = (target.reader)();
    let number = File::create(folder.join(NUMBER))?;
    let place = folder.join(FOLDER);
    std::fs::create_dir(&place)?;
    let mut found = Found::default();
    let mut refusals = BTreeSet::new();
    let mut seen = Seen::new();
    let mut before = Input::default();
    let own = corpus.inputs.clone();
    let begun = Instant::now();

    // The corpus itself first, which nothing is wrong with.
    let sound = own.len() as u64;
    for at in 0..sound + cases.count {
        let case = (cases.first + at).wrapping_sub(sound);
        let input = match own.get(at as usize) {
            Some(input) => input.clone(),
            None => input_of(target, &corpus, cases.seed, case),
        };
        number.write_all_at(&case.to_le_bytes(), 0)?;
        input.write(&place, &before)?;
        let judged = judge(&mut reader, target, &input, &place);
        if at >= sound {
            found.cases += 1;
        }
        found.peak = found.peak.max((judged.peak, case));
        if judged.milliseconds > found.slowest.0 {
            found.slowest = (judged.milliseconds, case);
        }
        match judged.outcome {
            Outcome::Decoded => found.decoded += 1,
            Outcome::Refused(words) => {
                found.refused += 1;
                refusals.insert(kind(&words));
            }
            Outcome::Wrong(words) => {
                if found.faults.len() < MOST_KEPT {
                    keep(&cases.failures, target, case, &input)?;
                    eprintln!("{} --case {case}: {words}", target.name);
                    found.faults.push((case, words));
                }
            }
        }
        if seen.take() && cases.grow && at >= sound {
            corpus.inputs.push(input.clone());
        }
        before = input;
    }
    found.refusals = refusals.len();
    found.edges = seen.edges();
    found.kept = corpus.inputs.len() - own.len();
    found.seconds = begun.elapsed().as_secs_f64();
    Ok(found)
}

/// What came of a case, and what it cost.
pub struct Judged {
    pub outcome: Outcome,
    pub peak: usize,
    pub milliseconds: f64,
}

/// Reads an input that lies at `place`.
pub fn judge(
    reader: &mut crate::targets::Reader,
    target: &Target,
    input: &Input,
    place: &Path,
) -> Judged {
    let held = memory::start();
    let start = processor_time();
    // Nothing that the reader changes is used after a panic, but for its own caches.
    let outcome = catch_unwind(AssertUnwindSafe(|| reader(place, input)));
    let taken = processor_time().saturating_sub(start);
    let peak = memory::peak(held);
    let most = target.most(input);
    let outcome = match outcome {
        Err(_) => Outcome::Wrong(std::mem::take(&mut *panic_words())),
        Ok(Outcome::Decoded | Outcome::Refused(_)) if peak > most => {
            Outcome::Wrong(format!("{peak} bytes of memory, at most {most} expected"))
        }
        Ok(Outcome::Decoded | Outcome::Refused(_)) if taken > MOST_TIME => {
            Outcome::Wrong(format!("{taken:.1?} of processor time"))
        }
        Ok(outcome) => outcome,
    };
    Judged {
        outcome,
        peak,
        milliseconds: taken.as_secs_f64() * 1e3,
    }
}

/// Of all threads, so that other programs of the machine make no case slow.
fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the system writes into a value that is there.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Leaves the bytes of a case.
pub fn keep(failures: &Path, target: &Target, case: u64, input: &Input) -> io::Result<()> {
    let folder = failures.join(format!("{}-{case}", target.name));
    std::fs::create_dir_all(&folder)?;
    input.write(&folder, &Input::default())
}

/// The words of a refusal without what is of one case: names in quotes, paths and numbers.
fn kind(words: &str) -> String {
    // Further lines show the text.
    let words = words.lines().next().unwrap_or_default();
    let quoted = |(at, part): (usize, &str)| (at % 2 == 0).then(|| part.to_owned());
    let outside: String = words
        .split(['`', '"'])
        .enumerate()
        .filter_map(quoted)
        .collect();
    let plain = outside.split_whitespace().filter(|word| {
        !word.contains('/') && !word.contains(|c: char| c.is_ascii_digit() || !c.is_ascii())
    });
    let mut kind = plain.collect::<Vec<_>>().join(" ");
    kind.truncate(120);
    kind
}
