//! Intensities of many subjects together, in memory that does not grow with their voxels.
//!
//! Number, mean, standard deviation and extremes are those of all voxels. Percentiles
//! come from at most [`KEPT`] values of each subject: its voxels in ascending order are
//! cut into as many runs of equal length, and the middle of each run stands for it. A
//! percentile so misses its rank by at most 1 in 2 x [`KEPT`] of a subject's voxels, and
//! by nothing where subjects have no more voxels than that.

use lacuna_record::fingerprint::{Contrast, Intensities};

/// Most values that are kept of a subject.
pub(super) const KEPT: usize = 4096;

/// The intensities of some voxels of one image.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketch {
    voxels: u64,
    mean: f64,
    /// Sum of squared differences from the mean.
    squares: f64,
    min: f32,
    max: f32,
    /// Values and how many voxels each stands for.
    kept: Vec<(f32, u32)>,
}

impl Sketch {
    /// Of finite values in any order.
    pub fn of(mut values: Vec<f32>) -> Self {
        values.sort_unstable_by(f32::total_cmp);
        let (Some(&min), Some(&max)) = (values.first(), values.last()) else {
            return Self::default();
        };
        let n = values.len();
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
        let squares = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum();
        let runs = n.min(KEPT);
        let edge = |run: usize| (run as u64 * n as u64 / runs as u64) as usize;
        let kept = (0..runs).map(|run| {
            let (from, to) = (edge(run), edge(run + 1));
            // A run of an image of at most 2^32 voxels.
            (values[(from + to - 1) / 2], (to - from) as u32)
        });
        Self {
            voxels: n as u64,
            mean,
            squares,
            min,
            max,
            kept: kept.collect(),
        }
    }

    /// All of them together; `None` without a voxel.
    pub fn together(sketches: &[&Self]) -> Option<Intensities> {
        let some = || sketches.iter().filter(|s| s.voxels > 0);
        let voxels: u64 = some().map(|s| s.voxels).sum();
        if voxels == 0 {
            return None;
        }
        let n = voxels as f64;
        let mean = some().map(|s| s.voxels as f64 * s.mean).sum::<f64>() / n;
        let squares = some().map(|s| s.squares + s.voxels as f64 * (s.mean - mean).powi(2));
        let sd = (squares.sum::<f64>() / n).sqrt();
        let mut kept: Vec<(f32, u32)> = some().flat_map(|s| s.kept.iter().copied()).collect();
        kept.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        Some(Intensities {
            voxels,
            mean,
            sd,
            min: f64::from(some().fold(f32::INFINITY, |min, s| min.min(s.min))),
            p0_5: quantile(&kept, voxels, 0.005),
            p50: quantile(&kept, voxels, 0.5),
            p99_5: quantile(&kept, voxels, 0.995),
            max: f64::from(some().fold(f32::NEG_INFINITY, |max, s| max.max(s.max))),
        })
    }

    /// Standard deviation, dividing by the number; not above 0 without voxels.
    fn sd(&self) -> f64 {
        (self.squares / self.voxels.max(1) as f64).sqrt()
    }
}

/// Of each subject's foreground and inside; `None` where fewer than two have both.
pub(super) fn contrast<'a>(
    subjects: impl Iterator<Item = (&'a Sketch, &'a Sketch)>,
) -> Option<Contrast> {
    let (means, sds): (Vec<f64>, Vec<f64>) = subjects
        .filter(|(foreground, inside)| foreground.voxels > 0 && inside.sd() > 0.0)
        .map(|(foreground, inside)| {
            let scaled = |v: f64| v / inside.sd();
            (
                scaled(foreground.mean - inside.mean),
                scaled(foreground.sd()),
            )
        })
        .unzip();
    let n = means.len() as f64;
    let mean = means.iter().sum::<f64>() / n;
    let squares: f64 = means.iter().map(|m| (m - mean).powi(2)).sum();
    (means.len() > 1).then(|| Contrast {
        between_subjects: (squares / (n - 1.0)).sqrt(),
        within_subjects: sds.iter().sum::<f64>() / n,
    })
}

/// The quantile of ascending values that stand for `voxels` in all, as if each were written
/// as often as it stands for: numpy's default.
fn quantile(ascending: &[(f32, u32)], voxels: u64, share: f64) -> f64 {
    let rank = share * (voxels - 1) as f64;
    let at = |rank: f64| {
        let mut before = 0u64;
        let reaches = |(_, stands_for): &&(f32, u32)| {
            before += u64::from(*stands_for);
            before as f64 > rank
        };
        // The last value stands for the last rank.
        let found = ascending.iter().find(reaches).or(ascending.last());
        found.map_or(f64::NAN, |(value, _)| f64::from(*value))
    };
    let (low, high) = (at(rank.floor()), at(rank.ceil()));
    low + rank.fract() * (high - low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_all_kept() {
        // numpy of [1, 2, 3, 4, 10] in two images: mean 4, variance (9 + 4 + 1 + 36) / 5.
        let (a, b) = (Sketch::of(vec![3.0, 1.0]), Sketch::of(vec![10.0, 2.0, 4.0]));
        let found = Sketch::together(&[&a, &b, &Sketch::default()]).unwrap();
        assert_eq!((found.voxels, found.mean), (5, 4.0));
        assert!((found.sd - 10f64.sqrt()).abs() < 1e-12);
        assert_eq!((found.min, found.p50, found.max), (1.0, 3.0, 10.0));
        // Ranks .02 and 3.98 of 0 to 4.
        assert!((found.p0_5 - 1.02).abs() < 1e-9);
        assert!((found.p99_5 - 9.88).abs() < 1e-9);
        assert_eq!(Sketch::together(&[&Sketch::default()]), None);
    }

    /// Insides of mean 0, 10 and SD 1, 2: foreground of 1 and 3 is 2 SDs above the mean, that
    /// of 13.5 and 17.5 is 5.5 / 2; their SDs are 1 and 2 / 2. 2 and 2.75 have an SD of
    /// .75 / sqrt 2.
    #[test]
    fn foreground_is_compared_in_units_of_each_inside() {
        let inside = [Sketch::of(vec![-1.0, 1.0]), Sketch::of(vec![8.0, 12.0])];
        let foreground = [Sketch::of(vec![1.0, 3.0]), Sketch::of(vec![13.5, 17.5])];
        let found = contrast(foreground.iter().zip(&inside)).unwrap();
        assert!(
            (found.between_subjects - 0.75 / 2f64.sqrt()).abs() < 1e-9,
            "{found:?}"
        );
        assert!((found.within_subjects - 1.0).abs() < 1e-9, "{found:?}");
        // Subjects without foreground, and flat ones, say nothing.
        let flat = Sketch::of(vec![4.0, 4.0]);
        let more = [(&Sketch::default(), &inside[0]), (&foreground[0], &flat)];
        let pairs = || foreground.iter().zip(&inside);
        assert_eq!(contrast(pairs().chain(more)), Some(found));
        assert_eq!(contrast(pairs().take(1)), None);
    }

    #[test]
    fn percentiles_of_many_values_miss_their_rank_by_half_a_run() {
        // The values are their ranks, so that the miss shows: 250 a run.
        let n = 250 * KEPT;
        let sketch = Sketch::of((0..n).rev().map(|v| v as f32).collect());
        let found = Sketch::together(&[&sketch]).unwrap();
        let last = (n - 1) as f64;
        for (share, value) in [(0.005, found.p0_5), (0.5, found.p50), (0.995, found.p99_5)] {
            assert!((value - share * last).abs() <= 126.0, "{share}: {value}");
        }
        assert_eq!((found.min, found.max), (0.0, last));
        assert!((found.mean - last / 2.0).abs() < 1e-6);
        assert_eq!(found.voxels, n as u64);
    }
}
