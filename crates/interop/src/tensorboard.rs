//! TensorBoard event files.
//!
//! Format: TFRecord framing (length, masked CRC-32C of the length, payload,
//! masked CRC-32C of the payload; TensorFlow `record_writer.h`) around the
//! protobuf message `Event` (`event.proto`): 1 wall_time double, 2 step int64,
//! 3 file_version string, 5 summary; `Summary.Value`: 1 tag, 2 simple_value.

use std::io::{self, Write};

use crate::protobuf::Message;

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
        let event = Message::default().double(1, wall_time);
        writer.record(event.bytes(3, "brain.Event:2").as_ref())?;
        Ok(writer)
    }

    /// Appends one event that carries all of `values` at `step`.
    ///
    /// # Errors
    /// When writing fails.
    pub fn scalars(&mut self, wall_time: f64, step: u64, values: &[(&str, f64)]) -> io::Result<()> {
        let summary = Message::default().each(values, |summary, (tag, value)| {
            let entry = Message::default().bytes(1, tag);
            summary.bytes(1, entry.float(2, *value as f32))
        });
        let event = Message::default().double(1, wall_time);
        let event = event.integer(2, step.cast_signed()).bytes(5, summary);
        self.record(event.as_ref())
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
