//! What a prepared subject is a function of.

use std::fmt::Write;
use std::io::{self, Read};
use std::path::Path;

use lacuna_io::text::open_file;

use crate::manifest::{Manifest, Subject};
use crate::subject::Preprocess;

/// Raised with every change of what preparing makes of the same files.
const VERSION: u32 = 1;

/// The subject's files by their content, how they are prepared, and by which
/// version. Where the files lie does not count, so that copies share a cache.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn key_of(
    manifest: &Manifest,
    subject: &Subject,
    preprocess: &Preprocess,
    finish: &str,
) -> io::Result<String> {
    let mut key = format!(
        "version {VERSION} of lacuna {}\nsubject {:?}\n{preprocess:?}\nlabels {:?} of {:?}\n{finish}\n",
        env!("CARGO_PKG_VERSION"),
        subject.id,
        manifest.label_values,
        manifest.classes,
    );
    if let Some(value) = manifest.ignore {
        let _ = writeln!(key, "without {value}");
    }
    if let Some(grid) = &manifest.grid {
        let _ = writeln!(key, "on the grid of {grid:?}");
    }
    if let Some(edges) = manifest.pixel_spacing(subject) {
        let _ = writeln!(key, "pixels of {edges:?} mm");
    }
    let images = manifest.modalities.iter().map(|modality| {
        let image = subject.images.get(modality);
        let file = image.map(|i| (i.path.as_path(), i.volume));
        (modality.as_str(), file)
    });
    let others = [
        ("label", &subject.label),
        ("mask", &subject.mask),
        ("weight", &subject.weight),
        ("white matter", &subject.white_matter),
    ];
    let others = others.map(|(role, path)| (role, path.as_deref().map(|path| (path, None))));
    for (role, file) in images.chain(others) {
        let Some((path, volume)) = file else { continue };
        let (bytes, crc) = content(path)?;
        let _ = writeln!(key, "{role:?} {volume:?}: {bytes} bytes, {crc:08x}");
    }
    Ok(key)
}

/// Length and CRC-32C of the files that an image consists of, one after the other.
fn content(path: &Path) -> io::Result<(u64, u32)> {
    let files = lacuna_io::files_of(path).map_err(io::Error::other)?;
    let (mut bytes, mut crc) = (0, 0);
    let mut buffer = vec![0; 1 << 18];
    for path in files {
        let (mut file, _) = open_file(&path)?;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => {
                    bytes += n as u64;
                    crc = crc32c::crc32c_append(crc, &buffer[..n]);
                }
            }
        }
    }
    Ok((bytes, crc))
}

/// The name of the file of a key: readable, and of legal letters.
pub(super) fn file_name(subject: &str, key: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let id = subject.chars().map(|c| if legal(c) { c } else { '_' });
    let id: String = id.take(100).collect();
    format!(
        "{id}-{:08x}.{}",
        crc32c::crc32c(key.as_bytes()),
        super::store::ENDING
    )
}
