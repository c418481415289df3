//! TensorBoard event files.
//!
//! Format: TFRecord framing (length, masked CRC-32C of the length, payload,
//! masked CRC-32C of the payload; TensorFlow `record_writer.h`) around the
//! protobuf message `Event` (`event.proto`): 1 wall_time double, 2 step int64,
//! 3 file_version string, 5 summary; `Summary.Value`: 1 tag, 2 simple_value.

use std::io::{self, Write};

/// Writes scalar events to `sink`.
pub struct TensorBoardWriter<W> {
    sink: W,
}

impl<W: Write> TensorBoardWriter<W> {
    /// Starts a file with the version record that readers expect.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(sink: W, wall_time: f64) -> io::Result<Self> {
        let mut writer = Self { sink };
        let mut event = Vec::new();
        double(&mut event, 1, wall_time);
        bytes(&mut event, 3, b"brain.Event:2");
        writer.record(&event)?;
        Ok(writer)
    }

    /// Appends one event that carries all of `values` at `step`.
    ///
    /// # Errors
    /// When writing fails.
    pub fn scalars(&mut self, wall_time: f64, step: u64, values: &[(&str, f64)]) -> io::Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut entry = Vec::new();
            bytes(&mut entry, 1, tag.as_bytes());
            key(&mut entry, 2, 5);
            entry.extend((*value as f32).to_le_bytes());
            bytes(&mut summary, 1, &entry);
        }
        let mut event = Vec::new();
        double(&mut event, 1, wall_time);
        key(&mut event, 2, 0);
        varint(&mut event, step);
        bytes(&mut event, 5, &summary);
        self.record(&event)
    }

    /// Hands buffered bytes to the system.
    ///
    /// # Errors
    /// When writing fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }

    fn record(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = (payload.len() as u64).to_le_bytes();
        self.sink.write_all(&length)?;
        self.sink.write_all(&masked_crc(&length).to_le_bytes())?;
        self.sink.write_all(payload)?;
        self.sink.write_all(&masked_crc(payload).to_le_bytes())
    }
}

fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn key(out: &mut Vec<u8>, field: u64, wire: u64) {
    varint(out, field << 3 | wire);
}

fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    key(out, field, 1);
    out.extend(value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(out, field, 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that `tests/golden/tensorboard_events.py` got from TensorBoard's own writer.
    #[test]
    fn equals_the_bytes_of_tensorboard() {
        let mut out = Vec::new();
        let mut writer = TensorBoardWriter::new(&mut out, 1.5).unwrap();
        writer.scalars(2.5, 300, &[("loss", 0.25)]).unwrap();
        let golden = include_bytes!("../../../tests/golden/tensorboard/events.bin");
        assert_eq!(out, golden);
    }
}
