//! Build script of the crates that have tests on real data.
//!
//! With `LACUNA_DATA` set (a relative path starts at the workspace root) those
//! tests are compiled to run, with the folder in `LACUNA_DATA_FOLDER`;
//! without, they show as ignored.

use std::path::Path;

/// What the build script of a crate with such tests does.
pub fn main() {
    println!("cargo::rustc-check-cfg=cfg(lacuna_data)");
    println!("cargo::rerun-if-env-changed=LACUNA_DATA");
    let (Ok(data), Ok(package)) = (
        std::env::var("LACUNA_DATA"),
        std::env::var("CARGO_MANIFEST_DIR"),
    ) else {
        return;
    };
    let folder = Path::new(&package).join("../..").join(data);
    println!("cargo::rustc-cfg=lacuna_data");
    println!("cargo::rustc-env=LACUNA_DATA_FOLDER={}", folder.display());
}
