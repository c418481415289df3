//! Lengths inside the files of other libraries' formats, for which their decoders would ask for
//! memory before they find that so much is not there.

use std::io::{Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use lacuna_io::{ImageError, read_image};

use crate::{put, read_whatever, refused};

fn golden(name: &str) -> Vec<u8> {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    std::fs::read(goldens.join(name)).unwrap()
}

/// Where the tag of the rows stands, in explicit little endian.
fn rows(bytes: &[u8]) -> usize {
    let rows = b"\x28\x00\x10\x00US\x02\x00";
    bytes.windows(8).position(|w| w == rows).unwrap()
}

/// Where the first group of a DICOM file ends, by the length that it gives.
fn meta_end(bytes: &[u8]) -> usize {
    144 + u32::from_le_bytes(bytes[140..144].try_into().unwrap()) as usize
}

#[test]
fn a_kind_of_dicom_that_is_not_known_has_a_long_length() {
    let mut bytes = golden("dicom/explicit/a.dcm");
    let at = rows(&bytes);
    // Two bytes of rest, then 1.3 GB.
    bytes.splice(at + 4..at + 8, *b"XX\0\0\0\0\0\x50");
    let error = refused("a.dcm", &bytes);
    assert!(matches!(error, ImageError::Truncated { .. }), "{error}");
}

#[test]
fn the_first_group_of_dicom_is_as_long_as_it_says() {
    let mut bytes = golden("dicom/explicit/a.dcm");
    let dir = tempfile::tempdir().unwrap();
    // What follows is read as a part of the first group, and the other way round.
    for length in [0u32, 30, 200, 1000, u32::MAX] {
        bytes[140..144].copy_from_slice(&length.to_le_bytes());
        read_whatever(&put(&dir, "a.dcm", &bytes));
    }
    // Rows in it are skipped, 1.3 GB behind them are not.
    let mut bytes = golden("dicom/explicit/a.dcm");
    let (end, at) = (meta_end(&bytes), rows(&bytes));
    bytes.splice(at + 10..at + 10, *b"\x28\x00\x11\x00OW\0\0\0\0\0\x50");
    let length = (at + 10 - end) as u32 + u32::from_le_bytes(bytes[140..144].try_into().unwrap());
    bytes[140..144].copy_from_slice(&length.to_le_bytes());
    let error = refused("a.dcm", &bytes);
    assert!(matches!(error, ImageError::Truncated { .. }), "{error}");
}

#[test]
fn lengths_in_deflated_dicom_are_compared() {
    let bytes = golden("dicom/deflated/a.dcm");
    let (meta, deflated) = bytes.split_at(meta_end(&bytes));
    let mut inside = Vec::new();
    DeflateDecoder::new(deflated)
        .read_to_end(&mut inside)
        .unwrap();
    let closed = |inside: &[u8]| {
        let mut encoder = DeflateEncoder::new(meta.to_vec(), Compression::fast());
        encoder.write_all(inside).unwrap();
        encoder.finish().unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    read_image(put(&dir, "a.dcm", &closed(&inside))).unwrap();
    let at = rows(&inside);
    inside.splice(at + 4..at + 8, *b"OB\0\0\0\0\0\x50");
    let error = refused("a.dcm", &closed(&inside));
    assert!(matches!(error, ImageError::Truncated { .. }), "{error}");
}

#[test]
fn lengths_in_sequences_of_implicit_dicom_are_compared() {
    let mut bytes = golden("dicom/implicit/a.dcm");
    let end = meta_end(&bytes);
    // Referenced Study Sequence of a given length, an item in it, an element of 1.3 GB in that.
    let sequence =
        b"\x08\x00\x10\x11\x10\0\0\0\xFE\xFF\x00\xE0\x08\0\0\0\x08\x00\x50\x11\0\0\0\x50";
    bytes.splice(end..end, *sequence);
    let error = refused("a.dcm", &bytes);
    assert!(matches!(error, ImageError::Truncated { .. }), "{error}");
}

#[test]
fn a_part_of_a_number_in_dicom_is_refused() {
    let mut bytes = golden("dicom/explicit/a.dcm");
    let at = rows(&bytes);
    // Readers take no tag from two bytes, and go on as if they had taken them.
    bytes[at + 4..at + 6].copy_from_slice(b"AT");
    let error = refused("a.dcm", &bytes);
    assert!(error.to_string().contains("numbers of 4 bytes"), "{error}");
}

#[test]
fn run_lengths_in_more_segments_than_there_can_be_are_refused() {
    let mut bytes = golden("dicom/rle/a.dcm");
    // The second item, after the table of offsets, begins with the number of segments.
    let items: Vec<usize> = (bytes.windows(4).enumerate())
        .filter_map(|(at, tag)| (tag == b"\xFE\xFF\x00\xE0").then_some(at))
        .collect();
    bytes[items[1] + 8..][..4].copy_from_slice(&0x3000_0000u32.to_le_bytes());
    let error = refused("a.dcm", &bytes);
    assert!(error.to_string().contains("run lengths"), "{error}");
}

#[test]
fn deflated_dicom_that_is_damaged_is_refused() {
    let mut bytes = golden("dicom/deflated/a.dcm");
    let middle = (meta_end(&bytes) + bytes.len()) / 2;
    bytes[middle..].fill(0xFF);
    let error = refused("a.dcm", &bytes);
    assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
}

#[test]
fn tags_of_a_tiff_have_room_in_it() {
    let sound = golden("formats/u1.tif");
    let at = u32::from_le_bytes(sound[4..8].try_into().unwrap()) as usize + 2;
    for entry in 0..usize::from(sound[at - 2]) {
        let mut bytes = sound.clone();
        let count = at + 12 * entry + 4;
        bytes[count..count + 4].copy_from_slice(&0x40_0000u32.to_le_bytes());
        let error = refused("a.tif", &bytes).to_string();
        assert!(error.contains("claim 4194304 values of tag"), "{error}");
    }
}
