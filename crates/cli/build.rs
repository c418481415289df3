//! Tells the command its version and the commit that it is built from, where the
//! sources lie in their own repository; from an archive there is no commit.

#[path = "../../tests/real_data.rs"]
mod real_data;

use std::path::Path;
use std::process::Command;

fn main() {
    real_data::main();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    println!("cargo::rerun-if-changed=build.rs");
    let version = env!("CARGO_PKG_VERSION");
    let commit = commit(&root);
    if let Some(commit) = &commit {
        println!("cargo::rustc-env=LACUNA_COMMIT={commit}");
    }
    let commit = commit.map_or_else(String::new, |commit| format!(" (commit {commit})"));
    println!("cargo::rustc-env=LACUNA_VERSION={version}{commit}");
}

fn commit(root: &Path) -> Option<String> {
    // An archive may be unpacked inside the repository of something else.
    if !root.join(".git").exists() {
        return None;
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .current_dir(root)
            .args(arguments)
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    // Both change when another commit is checked out or made, and with nothing else.
    for name in ["HEAD", "logs/HEAD"] {
        let path = root.join(git(&["rev-parse", "--git-path", name])?);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(&["rev-parse", "HEAD"])
}
