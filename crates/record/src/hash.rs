//! Hashes of files, those of `sha256sum`.

use std::io::{BufReader, Read};
use std::path::Path;

use lacuna_io::text::open_file;
use sha2::{Digest, Sha256};

use crate::RecordError;

/// SHA-256 of a file in lower-case hexadecimal, read in pieces.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_of(path: &Path) -> Result<String, RecordError> {
    let (file, _) = open_file(path).map_err(RecordError::io(path))?;
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 18];
    loop {
        match reader.read(&mut piece).map_err(RecordError::io(path))? {
            0 => break,
            read => hasher.update(&piece[..read]),
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// SHA-256 of bytes in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn devices_have_no_hash() {
        let error = sha256_of(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.contains("a pipe or a device"), "{error}");
    }

    #[test]
    fn as_in_fips_180() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        assert_eq!(sha256_of(file.path()).unwrap(), abc);
        assert_eq!(sha256(b"abc"), abc);
    }
}
