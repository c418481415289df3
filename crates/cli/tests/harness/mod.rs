//! Runs the `lacuna` binary on small phantom cohorts.
//!
//! Every test works in a temporary folder of its own, which is also the working
//! directory of the binary, so that relative paths are used as a user types them.

#![allow(dead_code, reason = "each test file uses a part of the harness")]

pub mod geometry;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lacuna_data::phantom::{PhantomConfig, write_cohort};
use tempfile::TempDir;

/// A cohort of two subjects in `cohort/`, and a quick run in `run.toml` that
/// trains on `sub-01` and holds out `sub-02`.
pub struct Place {
    folder: TempDir,
}

/// What the binary said.
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    command: String,
}

/// A 2-D run of a second: a tiny UNet on effective patches of 4 voxels.
pub const RUN: &str = r#"dataset = "cohort/dataset.toml"
[split]
train = ["sub-01"]
test = ["sub-02"]
[normalise]
method = "z-score"
[model]
width = 0.05
[patch]
size = 44
[train]
iterations = 6
batch = 2
learning_rate = 1e-3
checkpoint_every = 3
"#;

/// The phantoms of [`Place::new`]: spacing and shape differ along every axis.
pub fn phantoms(shape: [usize; 3]) -> PhantomConfig {
    PhantomConfig {
        subjects: 2,
        shape,
        spacing: [2.0, 2.5, 4.0],
        foreground_share: 5e-3,
        lesion_volume_mm3: [40.0, 400.0],
        seed: 1,
        ..PhantomConfig::default()
    }
}

impl Place {
    /// A cohort of 40 x 44 x 10 voxels and [`RUN`].
    pub fn new() -> Self {
        Self::with(&phantoms([40, 44, 10]), RUN)
    }

    /// A cohort and a run of one's own.
    pub fn with(phantoms: &PhantomConfig, run: &str) -> Self {
        let place = Self::empty();
        write_cohort(phantoms, &place.path("cohort")).unwrap();
        std::fs::write(place.path("run.toml"), run).unwrap();
        place
    }

    /// An empty folder.
    pub fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub fn text(&self, name: impl AsRef<Path>) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub fn json(&self, name: impl AsRef<Path>) -> serde_json::Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    pub fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Replaces the only occurrence of `old` in a text file.
    pub fn edit(&self, name: &str, old: &str, new: &str) {
        let text = self.text(name);
        assert_eq!(text.matches(old).count(), 1, "{old:?} in {name}:\n{text}");
        self.write(name, text.replace(old, new));
    }

    /// Names in a folder, sorted; none when there is no such folder.
    pub fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(folder)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The command `lacuna` with these words, separated by spaces, in this
    /// folder. One thread, since the tests themselves run in parallel.
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lacuna"));
        command
            .args(words.split_whitespace())
            .env("RAYON_NUM_THREADS", "1")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs [`Self::command`] to its end.
    pub fn run(&self, words: &str) -> Outcome {
        let output = self.command(words).output().unwrap();
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            command: words.to_owned(),
        }
    }

    /// Runs a command that must succeed.
    pub fn ok(&self, words: &str) -> Outcome {
        let outcome = self.run(words);
        assert_eq!(outcome.code, Some(0), "{outcome}");
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        outcome
    }

    /// Runs a command that must be refused with one message that holds all of
    /// `parts`: the file, what was found, what was expected, the remedy.
    pub fn refused(&self, words: &str, parts: &[&str]) -> Outcome {
        let outcome = self.run(words);
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        let messages = outcome.stderr.lines().filter(|l| l.starts_with("error: "));
        assert_eq!(messages.count(), 1, "{outcome}");
        for part in parts {
            assert!(
                outcome.error().contains(part),
                "{part:?} is missing: {outcome}"
            );
        }
        // A cause that the message tells itself is not added behind it.
        let error = outcome.error().trim_end();
        for (colon, _) in error.match_indices(": ") {
            let (before, after) = (&error[..colon], &error[colon + 2..]);
            // A word may well come twice.
            let again = after.contains(' ') && before.contains(after);
            assert!(!again, "said twice: {outcome}");
        }
        outcome
    }
}

impl Outcome {
    /// The message after `error: `.
    pub fn error(&self) -> &str {
        self.stderr.split_once("error: ").map_or("", |(_, e)| e)
    }

    /// All of standard output as one JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "lacuna {}\ncode {:?}\nstdout:\n{}\nstderr:\n{}",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}

/// Starts a run without end and waits until it has done `iterations`.
pub fn start(place: &Place, run: &str, set: &str, iterations: usize) -> Child {
    let words = format!("train run.toml --out {run} --set train.iterations=1000000 {set}");
    let mut child = place.command(&words).spawn().unwrap();
    let begun = Instant::now();
    let events = place.path(format!("{run}/events.jsonl"));
    loop {
        let lines = std::fs::read_to_string(&events).map_or(0, |t| t.lines().count());
        if lines >= iterations {
            return child;
        }
        let ended = child.try_wait().unwrap();
        if ended.is_some() || begun.elapsed() > Duration::from_secs(60) {
            let _ = child.kill();
            let output = child.wait_with_output().unwrap();
            panic!("{lines} lines: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal, such as `TERM`.
pub fn send(child: &Child, signal: &str) {
    let command = format!("kill -{signal} {}", child.id());
    let sent = Command::new("sh").args(["-c", &command]).status();
    assert!(sent.unwrap().success(), "{command}");
}
