//! What a run writes while it trains: `events.jsonl` and TensorBoard events.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;

use lacuna_interop::TensorBoardWriter;
use lacuna_record::{Event, events_until, unix_time};

use crate::run::RunError;
use crate::validation::Validation;

/// Appends events to `events.jsonl` and to the TensorBoard file.
pub struct EventLog {
    lines: BufWriter<File>,
    tensorboard: TensorBoardWriter<BufWriter<File>>,
}

impl EventLog {
    /// Opens the log of `run`, keeping the events up to `iteration` and dropping
    /// those that an interrupted session wrote after its last checkpoint.
    /// `validations` are those to keep. Returns the kept events too.
    ///
    /// # Errors
    /// When the folder cannot be written, or the log cannot be read or lacks an event.
    pub fn open(
        run: &Path,
        iteration: u64,
        validations: &[Validation],
    ) -> Result<(Self, Vec<Event>), RunError> {
        let kept = events_until(run, iteration)?;
        let path = run.join("events.jsonl");
        lacuna_io::atomic::write_atomic(&path, |w| {
            for event in &kept {
                serde_json::to_writer(&mut *w, event)?;
                w.write_all(b"\n")?;
            }
            Ok(())
        })?;
        let lines = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(RunError::io(&path))?;

        // TensorBoard reads whatever lies in the folder, so it is made anew from
        // the kept events rather than left with those of the dropped iterations.
        let folder = run.join("tensorboard");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(RunError::io(&folder))?;
        }
        std::fs::create_dir_all(&folder).map_err(RunError::io(&folder))?;
        let start = kept.first().map_or_else(unix_time, |e| e.wall_time);
        let path = folder.join(format!("events.out.tfevents.{}.lacuna", start as u64));
        let file = File::create(&path).map_err(RunError::io(&path))?;
        let tensorboard =
            TensorBoardWriter::new(BufWriter::new(file), start).map_err(RunError::io(&path))?;
        let mut log = Self {
            lines: BufWriter::new(lines),
            tensorboard,
        };
        for event in &kept {
            log.scalars(event).map_err(RunError::io(&path))?;
            for validation in validations
                .iter()
                .filter(|v| v.iteration == event.iteration)
            {
                log.validation(run, validation, event.wall_time)?;
            }
        }
        Ok((log, kept))
    }

    /// Appends one event to both files.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn append(&mut self, run: &Path, event: &Event) -> Result<(), RunError> {
        self.write(event)
            .map_err(RunError::io(&run.join("events.jsonl")))
    }

    /// Makes what was appended survive a power cut, as the checkpoint must that counts on it.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn sync(&self, run: &Path) -> Result<(), RunError> {
        (self.lines.get_ref().sync_data()).map_err(RunError::io(&run.join("events.jsonl")))
    }

    /// Adds the validation DSC to the TensorBoard file.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn validation(
        &mut self,
        run: &Path,
        validation: &Validation,
        wall_time: f64,
    ) -> Result<(), RunError> {
        let mut values = vec![("validation/dsc", validation.dsc)];
        values.extend(validation.lesion_f1.map(|f1| ("validation/lesion_f1", f1)));
        self.tensorboard
            .scalars(wall_time, validation.iteration, &values)
            .and_then(|()| self.tensorboard.flush())
            .map_err(RunError::io(&run.join("tensorboard")))
    }

    fn write(&mut self, event: &Event) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.lines, event)?;
        self.lines.write_all(b"\n")?;
        self.lines.flush()?;
        self.scalars(event)?;
        self.tensorboard.flush()
    }

    fn scalars(&mut self, event: &Event) -> std::io::Result<()> {
        self.tensorboard.scalars(
            event.wall_time,
            event.iteration,
            &[
                ("train/loss", event.loss),
                ("train/dsc", event.dsc),
                ("train/foreground_share", event.foreground_share),
                ("train/seconds", event.seconds),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(iteration: u64) -> Event {
        Event {
            iteration,
            loss: 0.5,
            dsc: iteration as f64,
            foreground_share: 0.1,
            predicted_share: Some(0.1),
            alternation: None,
            empty_patches: 0,
            seconds: 0.1,
            wait_seconds: 0.0,
            wall_time: 1.0,
        }
    }

    #[test]
    fn reopening_drops_events_after_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = EventLog::open(folder.path(), 0, &[]).unwrap();
        for i in 1..=5 {
            log.append(folder.path(), &event(i)).unwrap();
        }
        drop(log);
        let (_, kept) = EventLog::open(folder.path(), 3, &[]).unwrap();
        assert_eq!(kept.len(), 3);
        assert_eq!(lacuna_record::read_events(folder.path()).unwrap(), kept);
    }
}
