//! Text files that are read whole: manifests, configurations, lists, records.
//!
//! Anybody may have written them, so a pipe, a device or a folder in their place is refused
//! before it is opened, a file has a largest size, and TOML a deepest table: parsers and what
//! they make take a frame of the stack for each level.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Bytes of the largest manifest, configuration or list: 100 bytes for each of 600,000 subjects.
pub const MOST_TEXT_BYTES: u64 = 64 << 20;

/// Bytes of the largest record: the events of a million iterations take a quarter of it.
pub const MOST_RECORD_BYTES: u64 = 1 << 30;

/// Tables in tables, by dots or by brackets. What this program writes has four.
const DEEPEST: usize = 64;

/// Opens a file for reading, and nothing else: a pipe would wait for its writer, and a device
/// may have no end.
///
/// # Errors
/// When there is none, it cannot be read, or something else has its name.
pub fn open_file(path: &Path) -> io::Result<(File, Metadata)> {
    refuse_others(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    // Another may have taken its place.
    let metadata = file.metadata()?;
    refuse_others(&metadata)?;
    Ok((file, metadata))
}

fn refuse_others(metadata: &Metadata) -> io::Result<()> {
    match metadata {
        found if found.is_file() => Ok(()),
        found if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
        _ => Err(refused("a pipe or a device, expected a file".to_owned())),
    }
}

fn refused(message: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, message)
}

/// The text of a file of at most `most` bytes.
///
/// # Errors
/// As [`open_file`], of a larger file, and of text that is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let text = String::from_utf8(read_bytes(path, most)?);
    text.map_err(|e| io::Error::new(ErrorKind::InvalidData, e.utf8_error()))
}

/// The same of a file that need not be text.
///
/// # Errors
/// As [`open_file`], and of a larger file.
pub fn read_bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (file, metadata) = open_file(path)?;
    let too_large = |found: String| refused(format!("{found} bytes, expected at most {most}"));
    if metadata.len() > most {
        return Err(too_large(metadata.len().to_string()));
    }
    let mut bytes = Vec::new();
    // It may grow meanwhile, and files of the system say that they have no length.
    let read = file.take(most + 1).read_to_end(&mut bytes)?;
    match read as u64 > most {
        true => Err(too_large(format!("more than {most}"))),
        false => Ok(bytes),
    }
}

/// The text of a TOML file of at most [`MOST_TEXT_BYTES`] that no parser overflows its stack on.
///
/// # Errors
/// As [`read_text`] and [`check_toml`].
pub fn read_toml(path: &Path) -> io::Result<String> {
    let text = read_text(path, MOST_TEXT_BYTES)?;
    check_toml(&text)?;
    Ok(text)
}

/// Refuses TOML with a key of so many dots, or brackets in so many others, that a parser, or the
/// release of what it made, overflows its stack.
///
/// # Errors
/// With the line and what was found.
pub fn check_toml(text: &str) -> io::Result<()> {
    let bytes = text.as_bytes();
    // Levels of each bracket that is open; those of the key in hand.
    let (mut open, mut depth, mut key): (Vec<usize>, usize, usize) = (Vec::new(), 0, 0);
    let (mut at, mut line) = (0, 1);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\n' => (line, key) = (line + 1, 0),
            b',' => key = 0,
            b'.' => key += 1,
            b'[' | b'{' => {
                open.push(key + 1);
                depth += key + 1;
                key = 0;
            }
            b']' | b'}' => {
                depth -= open.pop().unwrap_or(0);
                key = 0;
            }
            b'#' => at = bytes.len().min(at + until(&bytes[at..], |b| b == b'\n')),
            b'"' | b'\'' => {
                let end = string_end(bytes, at - 1);
                line += bytes[at..end].iter().filter(|b| **b == b'\n').count();
                at = end;
            }
            _ => {}
        }
        if depth + key > DEEPEST {
            let message = format!("line {line}: tables in more than {DEEPEST} others");
            return Err(refused(message));
        }
    }
    Ok(())
}

fn until(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    let found = bytes.iter().position(|b| wanted(*b));
    found.unwrap_or(bytes.len())
}

/// The place after the string that starts at `start`; one that is not closed ends with its line,
/// or with the text.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let long = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if long { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 1,
            b'\n' if !long => return at,
            found if found == quote && !long => return at + 1,
            found if found == quote && bytes[at..].starts_with(&[quote; 3]) => {
                // Two more may belong to the text.
                let run = until(&bytes[at..], |b| b != quote);
                return at + run.min(5);
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_many_dots_is_refused_by_its_line() {
        let key = vec!["a"; 20_000].join(".");
        for text in [
            format!("x = 1\n{key} = 1"),
            format!("x = 1\n[{key}]"),
            format!("x = 1\ny = {}", "[".repeat(20_000)),
            format!("x = 1\ny = {{ {key} = 1 }}"),
            format!("x = '''\n'''{key} = 1"),
            format!("x = 1\ny = {}", "{ a.a.a.a = ".repeat(20)),
        ] {
            let error = check_toml(&text).unwrap_err().to_string();
            assert!(error.contains("line 2: tables in more"), "{error}");
        }
    }

    #[test]
    fn dots_and_brackets_in_texts_are_no_levels() {
        let dots = ".".repeat(100);
        for text in [
            format!("x = \"{dots}\" # {dots}\ny = '{dots}'"),
            format!("x = \"\"\"\n{dots}\n\\\"\"\"{dots}\"\"\"\"\"\ny = 1"),
            format!("x = '''{dots}\n''{dots}'''\n[a.b]\n\"{dots}\".c = 1.5"),
            "x = \"\\\"[[[[\"\n".repeat(100),
            "[[subject]]\nimages = { a = '..' }\n".repeat(100),
            format!("x = [{}]", "0.5, ".repeat(100)),
            "x = [\n0.5,\n]\n".repeat(100),
            "]".repeat(100),
            "x = 'not closed\n".repeat(100),
        ] {
            check_toml(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        }
    }

    #[test]
    fn what_is_no_file_or_too_large_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        let error = read_text(&path, 4).unwrap_err().to_string();
        assert_eq!(error, "5 bytes, expected at most 4");
        let error = read_text(folder.path(), 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
        let error = read_text(&folder.path().join("b"), 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn endless_files_end() {
        let error = read_text(Path::new("/dev/zero"), 1 << 40).unwrap_err();
        assert!(error.to_string().contains("a device"), "{error}");
        // A file that says it has no length.
        assert!(
            read_text(Path::new("/proc/self/status"), 1 << 20)
                .unwrap()
                .len()
                > 100
        );
        let error = read_text(Path::new("/proc/self/status"), 100).unwrap_err();
        assert!(error.to_string().contains("more than 100"), "{error}");
    }
}
