//! Trainings that collapse: seen while it happens, and told in plain words.

use std::collections::VecDeque;

use lacuna_record::{Ending, Event};

/// Iterations whose batches hold foreground that a verdict looks back on.
const WINDOW: usize = 100;
/// Of these, the share beyond which they agree.
const AGREEMENT: f64 = 0.95;

/// How often a mask changes at two neighbouring steps along an axis, among all changes:
/// 0 for smooth shapes, 1 for the checkerboards that transposed convolutions can leave
/// (Odena, Dumoulin and Olah 2016).
#[derive(Clone, Copy, Debug, Default)]
pub struct Alternation {
    /// Changes and alternating changes along x, y and z.
    seen: [[u64; 2]; 3],
}

impl Alternation {
    /// Adds a mask of `shape` voxels along x, y and z, x fastest.
    pub fn add(&mut self, mask: &[bool], shape: [usize; 3]) {
        let strides = [1, shape[0], shape[0] * shape[1]];
        for (axis, stride) in strides.into_iter().enumerate() {
            let period = stride * shape[axis];
            for (i, &here) in mask.iter().enumerate() {
                let along = i % period / stride;
                if along == 0 || mask[i - stride] == here {
                    continue;
                }
                self.seen[axis][0] += 1;
                let goes_on = along + 1 < shape[axis];
                self.seen[axis][1] += u64::from(goes_on && mask[i + stride] != here);
            }
        }
    }

    /// The largest share along an axis, 0 to 1; `None` without a change.
    pub fn share(self) -> Option<f64> {
        let shares = self.seen.into_iter().filter(|[changes, _]| *changes > 0);
        shares
            .map(|[changes, alternating]| alternating as f64 / changes as f64)
            .reduce(f64::max)
    }
}

/// What the last iterations with foreground came to.
#[derive(Debug, Default)]
pub struct Watch {
    recent: VecDeque<Event>,
}

impl Watch {
    /// Adds an iteration.
    pub fn add(&mut self, event: &Event) {
        // A batch without foreground is right to predict none.
        if event.foreground_share > 0.0 {
            self.recent.push_back(*event);
        }
        if self.recent.len() > WINDOW {
            self.recent.pop_front();
        }
    }

    /// What they agree on, once there is enough to tell.
    pub fn verdict(&mut self) -> Ending {
        match self.recent.len() < WINDOW {
            true => Ending::Unknown,
            false => Ending::agreed(self.recent.make_contiguous(), AGREEMENT),
        }
    }
}

/// What to tell of a training at this rate that has collapsed: what is seen, and the
/// three likeliest remedies.
pub fn told(ending: Ending, rate: f64) -> Option<String> {
    let slower = format!("a lower rate (train.learning_rate = {:.0e})", rate / 3.0);
    let both = "cross-entropy beside an overlap loss (loss.name = \"sum\")";
    let [second, third] = match ending {
        Ending::Segments | Ending::Unknown => return None,
        Ending::Background => [
            both,
            "more foreground (patch.sampler = \"foreground\" or a part \"components\")",
        ],
        Ending::Foreground => [
            both,
            "patches without foreground (patch.sampler with a part \"uniform\")",
        ],
        Ending::Checkerboard => [
            "a rate that rises first (train.warm_up = 50) and clipped gradients \
             (train.clip_norm = 12)",
            "another seed",
        ],
    };
    let seen = ending.collapse()?;
    Some(format!(
        "the training seems to have collapsed: in its last {WINDOW} batches that hold \
         foreground {seen}; what helps most often: {slower}; {second}; {third}. \
         With train.restarts = 2 it begins again by itself"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alternation(mask: &[u8], shape: [usize; 3]) -> Option<f64> {
        let mut found = Alternation::default();
        let mask: Vec<bool> = mask.iter().map(|v| *v > 0).collect();
        found.add(&mask, shape);
        found.share()
    }

    #[test]
    fn checkerboards_alternate_and_blobs_do_not() {
        assert_eq!(alternation(&[0; 8], [8, 1, 1]), None);
        // Two changes, none followed by another at once.
        assert_eq!(alternation(&[0, 1, 1, 1, 0, 0], [6, 1, 1]), Some(0.0));
        // A lesion of one voxel: the first of its two changes is followed by the second.
        assert_eq!(alternation(&[0, 0, 1, 0, 0], [5, 1, 1]), Some(0.5));
        // Five changes, of which the last has no voxel behind it.
        assert_eq!(alternation(&[0, 1, 0, 1, 0, 1], [6, 1, 1]), Some(0.8));
        // Stripes along y: no change along x, and 3 along y, of which 2 alternate, twice.
        let stripes = [1, 1, 0, 0, 1, 1, 0, 0];
        assert_eq!(alternation(&stripes, [2, 4, 1]), Some(2.0 / 3.0));
        assert_eq!(alternation(&stripes, [2, 1, 4]), Some(2.0 / 3.0));
    }

    fn watched(events: impl Iterator<Item = (f64, f64, Option<f64>)>) -> Ending {
        let mut watch = Watch::default();
        for (foreground_share, predicted, alternation) in events {
            watch.add(&Event {
                iteration: 1,
                loss: 0.5,
                dsc: 0.0,
                foreground_share,
                predicted_share: Some(predicted),
                alternation,
                empty_patches: 0,
                seconds: 1.0,
                wait_seconds: 0.0,
                wall_time: 0.0,
            });
        }
        watch.verdict()
    }

    #[test]
    fn a_collapse_is_told_after_a_hundred_batches_that_hold_foreground() {
        let times = |n, event| std::iter::repeat_n(event, n);
        let nothing = (0.1, 0.0, None);
        assert_eq!(watched(times(99, nothing)), Ending::Unknown);
        assert_eq!(watched(times(100, nothing)), Ending::Background);
        // Batches without foreground say nothing: predicting none is right.
        assert_eq!(watched(times(1000, (0.0, 0.0, None))), Ending::Unknown);
        let some = times(5, (0.1, 0.1, Some(0.1)));
        assert_eq!(watched(times(95, nothing).chain(some)), Ending::Segments);
        let all = watched(times(100, (0.1, 1.0, None)));
        assert_eq!(all, Ending::Foreground);
        let board = watched(times(100, (0.1, 0.4, Some(0.9))));
        assert_eq!(board, Ending::Checkerboard);
    }

    #[test]
    fn a_collapse_is_told_with_three_remedies() {
        assert_eq!(told(Ending::Segments, 1e-3), None);
        for ending in [Ending::Background, Ending::Foreground, Ending::Checkerboard] {
            let text = told(ending, 3e-3).unwrap();
            assert!(text.contains("train.learning_rate = 1e-3"), "{text}");
            assert_eq!(text.matches(';').count(), 3, "{text}");
        }
    }
}
