//! A process for each target: one whose stack overflows, or that never ends, takes no other
//! along, and its case is known.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::campaign::{Cases, FOLDER, Found, NUMBER, keep};
use crate::input::Input;
use crate::targets::Target;

/// Time of the clock after which a case is said never to end.
const STUCK: Duration = Duration::from_secs(60);

/// The cases of each target, so many targets at a time.
pub fn run<'a>(targets: &[&'a Target], cases: &Cases, jobs: usize) -> Vec<(&'a Target, Found)> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(targets.len()) {
            scope.spawn(|| {
                while let Some(&target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let of_target = all_cases(target, cases);
                    found
                        .lock()
                        .expect("no thread panics")
                        .push((target, of_target));
                }
            });
        }
    });
    let mut found = found.into_inner().expect("no thread panics");
    found.sort_by_key(|(target, _)| targets.iter().position(|t| t.name == target.name));
    found
}

/// Those of one target, in a process and, where that dies, in another from the next case on.
fn all_cases(target: &Target, cases: &Cases) -> Found {
    let mut left = cases.clone();
    let mut all = Found::default();
    // A reader that dies often is not worth more.
    for _ in 0..5 {
        let (found, died) = one_process(target, &left);
        all = all.and(found);
        let Some((case, how, input)) = died else {
            break;
        };
        eprintln!("{} --case {case}: {how}", target.name);
        if let Err(error) = keep(&cases.failures, target, case, &input) {
            eprintln!("{}: {error}", cases.failures.display());
        }
        all.faults.push((case, how));
        let done = case.wrapping_add(1).saturating_sub(left.first);
        left.first += done;
        left.count = left.count.saturating_sub(done);
        if left.count == 0 {
            break;
        }
    }
    all
}

type Death = (u64, String, Input);

fn one_process(target: &Target, cases: &Cases) -> (Found, Option<Death>) {
    // In memory, where there is such a folder: the files of a case live for a moment.
    let shared = Path::new("/dev/shm");
    let below = match shared.is_dir() {
        true => tempfile::tempdir_in(shared),
        false => tempfile::tempdir(),
    };
    let below = below.expect("a folder for temporary files");
    let itself = std::env::current_exe().expect("the system knows this program");
    let mut command = Command::new(itself);
    command.arg(target.name).arg("--below").arg(below.path());
    command.arg("--failures").arg(&cases.failures);
    for (name, value) in [
        ("--cases", cases.count),
        ("--first", cases.first),
        ("--seed", cases.seed),
    ] {
        command.args([name, &value.to_string()]);
    }
    command.args(cases.grow.then_some("--grow"));
    // Few threads: the time of a case is that of all.
    command
        .env("RAYON_NUM_THREADS", "1")
        .env("TMPDIR", below.path());
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts again");
    let stuck = watch(&mut child, &below.path().join(NUMBER));
    let output = child.wait_with_output().expect("it was started here");
    match serde_json::from_slice(&output.stdout) {
        Ok(found) => (found, None),
        Err(_) => {
            let how = match stuck {
                true => format!("no end after {} s", STUCK.as_secs()),
                false => format!("the process died: {}", output.status),
            };
            let case = fs::read(below.path().join(NUMBER)).unwrap_or_default();
            let case = case
                .first_chunk()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes));
            let input = Input::read(&below.path().join(FOLDER), "").unwrap_or_default();
            (Found::default(), Some((case, how, input)))
        }
    }
}

/// Waits for the end of a process, and ends it where it is too long at one case.
fn watch(child: &mut Child, number: &Path) -> bool {
    let (mut last, mut since) = (Vec::new(), Instant::now());
    loop {
        match child.try_wait() {
            Ok(None) => {}
            _ => return false,
        }
        std::thread::sleep(Duration::from_millis(20));
        let now = fs::read(number).unwrap_or_default();
        if now != last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() > STUCK {
            // It may have ended by itself.
            let _ = child.kill();
            return true;
        }
    }
}

impl Found {
    fn and(mut self, other: Self) -> Self {
        self.cases += other.cases;
        self.decoded += other.decoded;
        self.refused += other.refused;
        self.refusals = self.refusals.max(other.refusals);
        self.peak = self.peak.max(other.peak);
        if other.slowest.0 > self.slowest.0 {
            self.slowest = other.slowest;
        }
        self.seconds += other.seconds;
        self.edges = self.edges.max(other.edges);
        self.kept += other.kept;
        self.faults.extend(other.faults);
        self
    }
}

/// A line for each target.
pub fn print(found: &[(&Target, Found)]) {
    println!(
        "{:12} {:>9} {:>9} {:>9} {:>5} {:>10} {:>10} {:>15} {:>6} {:>8} {:>6}",
        "target",
        "cases",
        "decoded",
        "refused",
        "kinds",
        "peak KiB",
        "slowest ms",
        "edges",
        "kept",
        "s",
        "faults"
    );
    for (target, found) in found {
        let (taken, all) = found.edges;
        let edges = match all {
            0 => "-".to_owned(),
            _ => format!("{taken}/{all}"),
        };
        println!(
            "{:12} {:>9} {:>9} {:>9} {:>5} {:>10} {:>10.1} {edges:>15} {:>6} {:>8.1} {:>6}",
            target.name,
            found.cases,
            found.decoded,
            found.refused,
            found.refusals,
            found.peak.0 >> 10,
            found.slowest.0,
            found.kept,
            found.seconds,
            found.faults.len(),
        );
    }
    let cases: u64 = found.iter().map(|(_, found)| found.cases).sum();
    let faults: usize = found.iter().map(|(_, found)| found.faults.len()).sum();
    println!("{cases} cases, {faults} faults");
}
