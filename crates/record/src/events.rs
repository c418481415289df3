//! The iterations of a run, `events.jsonl`.

use std::path::Path;

use lacuna_metrics::Quartiles;
use serde::{Deserialize, Serialize};

use crate::{RecordError, read_lines};

/// One training iteration; a line of `events.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counted from 1.
    pub iteration: u64,
    /// Loss before the step.
    pub loss: f64,
    /// Hard foreground DSC pooled over the batch's effective patches.
    pub dsc: f64,
    /// Share of foreground voxels in the batch's effective patches.
    pub foreground_share: f64,
    /// Share of these voxels that the network calls foreground; runs of
    /// version 0.1 did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_share: Option<f64>,
    /// How much of what the network calls foreground is a checkerboard: the share of its
    /// edges that the next edge follows at once, 0 to 1. None without an edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternation: Option<f64>,
    /// Patches of the batch without a foreground voxel.
    pub empty_patches: u64,
    /// Duration of the iteration in seconds, waiting included.
    pub seconds: f64,
    /// Of these, seconds spent waiting for patches.
    pub wait_seconds: f64,
    /// Unix time at the end of the iteration, in seconds.
    pub wall_time: f64,
}

/// The events of a run folder, in order; none when it has not started.
///
/// # Errors
/// When a line other than the last cannot be read.
pub fn read_events(run: &Path) -> Result<Vec<Event>, RecordError> {
    read_lines(&run.join("events.jsonl"))
}

/// The events of a run folder up to `iteration`, to which it is known to have come: one of
/// each, in order. Those after it are left out.
///
/// # Errors
/// As [`read_events`], and [`RecordError::Corrupt`] where one is missing, doubled or out of
/// place.
pub fn events_until(run: &Path, iteration: u64) -> Result<Vec<Event>, RecordError> {
    let mut events = read_events(run)?;
    events.retain(|event| event.iteration <= iteration);
    let corrupt = |found: String| RecordError::Corrupt {
        path: run.join("events.jsonl"),
        found,
    };
    let expected = 1..=iteration;
    let wrong = (events.iter().zip(expected.clone())).find(|(event, i)| event.iteration != *i);
    if let Some((event, expected)) = wrong {
        return Err(corrupt(format!(
            "line {expected} is of iteration {}, expected {expected}",
            event.iteration
        )));
    }
    let count = events.len() as u64;
    match count.cmp(&iteration) {
        std::cmp::Ordering::Less => Err(corrupt(format!(
            "it ends after iteration {count}, and the checkpoint is of iteration {iteration}"
        ))),
        std::cmp::Ordering::Equal => Ok(events),
        std::cmp::Ordering::Greater => Err(corrupt(format!(
            "iteration {} stands twice",
            events[iteration as usize].iteration
        ))),
    }
}

/// Median and interquartile range of the training DSC over the last iterations,
/// the figure of Tables 2 and 3 of Sudre et al. 2017.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastIterations {
    /// Number of iterations summarised: 200, or all when fewer were run. Those whose
    /// batch holds no foreground do not count, since predicting none there is no success.
    pub iterations: usize,
    /// Median DSC.
    pub median: f64,
    /// Third minus first quartile (linear interpolation).
    pub iqr: f64,
}

impl LastIterations {
    /// The events summarised: the last 200 of `events`.
    pub fn events(events: &[Event]) -> &[Event] {
        &events[events.len().saturating_sub(200)..]
    }

    /// Summarises the last 200 of `events`; `None` where none of them holds foreground.
    pub fn of(events: &[Event]) -> Option<Self> {
        let last = Self::events(events).iter();
        let dsc: Vec<f64> = last
            .filter(|e| e.foreground_share > 0.0)
            .map(|e| e.dsc)
            .collect();
        let quartiles = Quartiles::of(&dsc)?;
        Some(Self {
            iterations: dsc.len(),
            median: quartiles.median,
            iqr: quartiles.iqr(),
        })
    }
}

/// What a network predicts at the end of its training, or on its test subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Both foreground and background.
    Segments,
    /// Collapsed: background alone.
    Background,
    /// Collapsed: foreground alone.
    Foreground,
    /// Collapsed: the checkerboard that transposed convolutions can leave (Odena, Dumoulin
    /// and Olah 2016).
    Checkerboard,
    /// Not recorded.
    Unknown,
}

/// Mean [`Event::alternation`] above which a prediction is a checkerboard. A blob has 0,
/// lesions of one voxel a half.
const CHECKERBOARD: f64 = 0.7;

impl Ending {
    /// That of a run's events. Collapsed when more than half of the last 200 iterations
    /// predicted one class alone, or when they predicted checkerboards. Iterations whose
    /// batch holds no foreground do not count, where there are others.
    pub fn of(events: &[Event]) -> Self {
        let last = LastIterations::events(events);
        let telling: Vec<Event> = (last.iter().copied())
            .filter(|e| e.foreground_share > 0.0)
            .collect();
        match telling.is_empty() {
            true => Self::agreed(last, 0.5),
            false => Self::agreed(&telling, 0.5),
        }
    }

    /// What more than this share of `events` say.
    pub fn agreed(events: &[Event], agreement: f64) -> Self {
        let (mut background, mut foreground) = (0, 0);
        let mut alternation = Vec::new();
        for event in events {
            match event.predicted_share {
                None => return Self::Unknown,
                Some(share) if share <= 0.0 => background += 1,
                Some(share) if share >= 1.0 => foreground += 1,
                Some(_) => alternation.extend(event.alternation),
            }
        }
        let most = |count: usize| count as f64 > agreement * events.len() as f64;
        let mean = alternation.iter().sum::<f64>() / alternation.len().max(1) as f64;
        match () {
            () if most(background) => Self::Background,
            () if most(foreground) => Self::Foreground,
            () if most(alternation.len()) && mean > CHECKERBOARD => Self::Checkerboard,
            () => Self::Segments,
        }
    }

    /// What is collapsed, in words; `None` where nothing is.
    pub fn collapse(self) -> Option<&'static str> {
        match self {
            Self::Segments | Self::Unknown => None,
            Self::Background => Some("it calls every voxel background"),
            Self::Foreground => Some("it calls every voxel foreground"),
            Self::Checkerboard => {
                Some("it predicts a checkerboard, as transposed convolutions can leave it")
            }
        }
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
    fn a_line_cut_short_by_a_kill_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let line = serde_json::to_string(&event(1)).unwrap();
        let text = format!("{line}\n{}", &line[..20]);
        std::fs::write(folder.path().join("events.jsonl"), text).unwrap();
        assert_eq!(read_events(folder.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_last_line_that_is_no_text_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut text = serde_json::to_vec(&event(1)).unwrap();
        text.extend(b"\n\x00\xff\xfe");
        std::fs::write(&path, &text).unwrap();
        assert_eq!(read_events(folder.path()).unwrap(), [event(1)]);
        // Elsewhere it is damage.
        text.extend(b"\n{}\n");
        std::fs::write(&path, text).unwrap();
        let error = read_events(folder.path()).unwrap_err().to_string();
        assert!(error.contains("events.jsonl: line 2: "), "{error}");
    }

    #[test]
    fn events_are_those_that_a_checkpoint_counts_on() {
        let folder = tempfile::tempdir().unwrap();
        let of = |iterations: &[u64]| {
            let lines = iterations.iter().map(|i| {
                let line = serde_json::to_string(&event(*i)).unwrap();
                format!("{line}\n")
            });
            let text: String = lines.collect();
            std::fs::write(folder.path().join("events.jsonl"), text).unwrap();
            events_until(folder.path(), 3).map_err(|e| e.to_string())
        };
        assert_eq!(of(&[1, 2, 3]).unwrap().len(), 3);
        assert_eq!(of(&[1, 2, 3, 4, 5]).unwrap().len(), 3);
        for (found, told) in [
            (
                &[][..],
                "ends after iteration 0, and the checkpoint is of iteration 3",
            ),
            (&[1, 2], "ends after iteration 2"),
            (&[1, 3, 4], "line 2 is of iteration 3, expected 2"),
            (&[1, 2, 2, 3], "line 3 is of iteration 2, expected 3"),
            (&[1, 2, 3, 3], "iteration 3 stands twice"),
            (&[2, 1, 3], "line 1 is of iteration 2, expected 1"),
        ] {
            let error = of(found).unwrap_err();
            assert!(error.contains(told), "{error}");
            assert!(error.contains("events.jsonl"), "{error}");
        }
    }

    #[test]
    fn numbers_read_back_as_they_were_written() {
        for i in 0..20_000 {
            let seconds = (f64::from(i) * 0.37).sin().abs();
            let written = serde_json::to_string(&Event {
                seconds,
                ..event(1)
            })
            .unwrap();
            let read: Event = serde_json::from_str(&written).unwrap();
            assert_eq!(read.seconds.to_bits(), seconds.to_bits());
        }
    }

    #[test]
    fn the_summary_is_of_the_last_200() {
        // DSC 101..=300: median 200.5, quartiles 150.75 and 250.25 by numpy.percentile.
        let events: Vec<Event> = (1..=300).map(event).collect();
        let last = LastIterations::of(&events).unwrap();
        assert_eq!((last.iterations, last.median, last.iqr), (200, 200.5, 99.5));
    }

    #[test]
    fn batches_without_foreground_say_nothing_of_success_or_collapse() {
        let empty = Event {
            dsc: 1.0,
            foreground_share: 0.0,
            predicted_share: Some(0.0),
            ..event(1)
        };
        let found = Event {
            dsc: 0.4,
            ..event(2)
        };
        let missed = Event {
            dsc: 0.0,
            predicted_share: Some(0.0),
            ..event(3)
        };
        let last = LastIterations::of(&[empty, empty, found]).unwrap();
        assert_eq!((last.iterations, last.median), (1, 0.4));
        assert_eq!(LastIterations::of(&[empty]), None);
        assert_eq!(Ending::of(&[empty, empty, found]), Ending::Segments);
        assert_eq!(
            Ending::of(&[empty, found, missed, missed]),
            Ending::Background
        );
        assert_eq!(Ending::of(&[empty, empty]), Ending::Background);
    }

    #[test]
    fn checkerboards_are_a_collapse() {
        let board = |alternation| Event {
            alternation: Some(alternation),
            ..event(1)
        };
        assert_eq!(Ending::of(&[board(0.9); 3]), Ending::Checkerboard);
        assert_eq!(Ending::of(&[board(0.5); 3]), Ending::Segments);
    }
}
