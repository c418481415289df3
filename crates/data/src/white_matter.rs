//! The white-matter mode of a brain image, from its histogram.
//!
//! After White Stripe (Shinohara et al., NeuroImage: Clinical 2014): the
//! white-matter intensity is the mode of a peak of the smoothed histogram of
//! the brain. In T1-weighted images white matter is the brightest tissue, so it
//! is the last significant peak; in others (T2, FLAIR, proton density) it is
//! the largest. The images must be brain-extracted or come with a mask.
//!
//! White Stripe divides by the SD of the *stripe*, the voxels whose quantile is
//! within 0.05 of the mode's. With a density `f` at the mode that SD is nearly
//! `0.1 / (sqrt(12) f)`: a score of `(x - mode) f` times a constant, which puts
//! brain tissue at -80 to +80, far from what networks train well on. Here the
//! constant is chosen so that a Gaussian image gets its own SD: the scale is
//! `1 / (sqrt(2 pi) f)`, the SD of the Gaussian that is as tall as the peak.
//! Scores are those of White Stripe times 0.0725, and tissue lies at about
//! -8 to +12 with an SD near 2. `f` is a kernel estimate, which is also defined
//! for images with few grey levels.
//!
//! The bandwidth is Silverman's rule of thumb (1986), 0.9 min(SD, IQR / 1.349)
//! n^(-1/5). Broader ones draw the white-matter peak towards grey matter.

use std::f64::consts::TAU;

/// Bins per bandwidth.
const BINS_PER_BANDWIDTH: usize = 4;
/// Bounds the memory for images with extreme tails.
const MAX_BINS: usize = 1 << 16;
/// A significant peak is at least this high, relative to the largest...
const MIN_HEIGHT: f64 = 0.2;
/// ...and stands out from its surroundings by at least this much.
const MIN_PROMINENCE: f64 = 0.05;

/// White matter in one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WhiteMatter {
    /// Its most frequent intensity.
    pub mode: f64,
    /// SD of the Gaussian that is as tall as its peak.
    pub spread: f64,
    /// Share of the brain's voxels that are darker than the mode.
    pub quantile: f64,
}

/// Which peak of the histogram is white matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peak {
    /// The brightest significant one: T1-weighted images.
    Last,
    /// The largest one: all others.
    Largest,
}

impl Peak {
    /// By the modality's name, see [`is_t1`].
    pub fn of_modality(name: &str) -> Self {
        if is_t1(name) {
            Self::Last
        } else {
            Self::Largest
        }
    }
}

/// By a modality's name: those that begin with `T1` (in either case, such as `T1`, `t1c`,
/// `T1w`) are T1-weighted.
pub fn is_t1(modality: &str) -> bool {
    modality
        .get(..2)
        .is_some_and(|start| start.eq_ignore_ascii_case("t1"))
}

/// Finds white matter among the intensities of a brain, which are finite and
/// sorted. `None` when they are all equal or there is none.
pub fn find_white_matter(sorted: &[f32], peak: Peak) -> Option<WhiteMatter> {
    let sd = robust_sd(sorted)?;
    let n = sorted.len() as f64;
    let histogram = Histogram::smoothed(sorted, 0.9 * sd * n.powf(-0.2));
    let peaks = histogram.significant_peaks();
    let bin = match peak {
        Peak::Last => *peaks.last()?,
        Peak::Largest => *peaks
            .iter()
            .rev()
            .max_by(|a, b| histogram.density[**a].total_cmp(&histogram.density[**b]))?,
    };
    let mode = histogram.start + (bin as f64 + 0.5) * histogram.width;
    let darker = sorted.partition_point(|&v| f64::from(v) < mode);
    Some(WhiteMatter {
        mode,
        spread: 1.0 / (TAU.sqrt() * histogram.density[bin]),
        quantile: darker as f64 / n,
    })
}

/// min(SD, IQR / 1.349), of which the second is left out when half of the values
/// are equal. `None` when all are.
fn robust_sd(sorted: &[f32]) -> Option<f64> {
    if sorted.first()? == sorted.last()? {
        return None;
    }
    let n = sorted.len() as f64;
    let mean = sorted.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let squares = sorted.iter().map(|&v| (f64::from(v) - mean).powi(2));
    let sd = (squares.sum::<f64>() / n).sqrt();
    let iqr = quantile(sorted, 0.75) - quantile(sorted, 0.25);
    Some(if iqr > 0.0 { sd.min(iqr / 1.349) } else { sd })
}

/// The value that this share of the others lies below; there must be one.
fn quantile(sorted: &[f32], share: f64) -> f64 {
    f64::from(sorted[(share * (sorted.len() - 1) as f64) as usize])
}

/// A Gaussian kernel density estimate on equal bins.
struct Histogram {
    start: f64,
    width: f64,
    density: Vec<f64>,
}

impl Histogram {
    fn smoothed(sorted: &[f32], bandwidth: f64) -> Self {
        let n = sorted.len() as f64;
        let margin = 3.0 * bandwidth;
        let (start, end) = (
            quantile(sorted, 0.001) - margin,
            quantile(sorted, 0.999) + margin,
        );
        let width = (bandwidth / BINS_PER_BANDWIDTH as f64).max((end - start) / MAX_BINS as f64);
        let mut counts = vec![0.0; ((end - start) / width).ceil() as usize];
        for &v in sorted {
            let bin = (f64::from(v) - start) / width;
            if bin >= 0.0 && (bin as usize) < counts.len() {
                counts[bin as usize] += 1.0 / (n * width);
            }
        }
        Self {
            start,
            width,
            density: smooth(&counts),
        }
    }

    /// Bins of the peaks that are high and stand out, in rising intensity.
    fn significant_peaks(&self) -> Vec<usize> {
        let largest = self.density.iter().copied().fold(0.0, f64::max);
        let mut peaks = Vec::new();
        let mut bin = 0;
        for level in self.density.chunk_by(|a, b| a == b) {
            let (start, end) = (bin, bin + level.len());
            bin = end;
            let height = level[0];
            if height >= MIN_HEIGHT * largest
                && self.prominence(start, end) >= MIN_PROMINENCE * largest
            {
                peaks.push((start + end - 1) / 2);
            }
        }
        peaks
    }

    /// Height of the level `start..end` above the higher of the two valleys
    /// that part it from anything higher; 0 when it is on a slope.
    fn prominence(&self, start: usize, end: usize) -> f64 {
        let height = self.density[start];
        let mut left = height;
        for &d in self.density[..start].iter().rev() {
            if d > height {
                break;
            }
            left = left.min(d);
        }
        let mut right = height;
        for &d in &self.density[end..] {
            if d > height {
                break;
            }
            right = right.min(d);
        }
        height - left.max(right)
    }
}

/// Smooths by a Gaussian whose SD is one bandwidth; nothing lies beyond the ends.
fn smooth(counts: &[f64]) -> Vec<f64> {
    let sd = BINS_PER_BANDWIDTH as f64;
    let reach = 4 * BINS_PER_BANDWIDTH;
    let kernel: Vec<f64> = (0..=2 * reach)
        .map(|i| (-0.5 * ((i as f64 - reach as f64) / sd).powi(2)).exp())
        .collect();
    let total: f64 = kernel.iter().sum();
    (0..counts.len())
        .map(|bin| {
            let low = bin.saturating_sub(reach);
            let high = (bin + reach + 1).min(counts.len());
            (low..high)
                .map(|i| counts[i] * kernel[i + reach - bin])
                .sum::<f64>()
                / total
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::rng::{Domain, keyed_rng};
    use rand_distr::{Distribution, Normal};

    /// Sorted draws from Gaussians given as (count, mean, SD).
    pub(crate) fn mixture(parts: &[(usize, f32, f32)]) -> Vec<f32> {
        let mut rng = keyed_rng(11, Domain::Phantom, 0, 0);
        let mut values = Vec::new();
        for &(count, mean, sd) in parts {
            let normal = Normal::new(mean, sd).unwrap();
            values.extend((0..count).map(|_| normal.sample(&mut rng)));
        }
        values.sort_unstable_by(f32::total_cmp);
        values
    }

    fn assert_close(found: f64, expected: f64, relative: f64) {
        assert!(
            (found - expected).abs() <= relative * expected.abs(),
            "{found} is not within {relative} of {expected}"
        );
    }

    #[test]
    fn t1_takes_the_bright_peak_though_grey_matter_is_larger() {
        // Cerebrospinal fluid, grey matter, white matter, a bright lesion.
        let t1 = mixture(&[
            (40_000, 200.0, 60.0),
            (130_000, 500.0, 55.0),
            (100_000, 800.0, 45.0),
            (3_000, 1100.0, 40.0),
        ]);
        let found = find_white_matter(&t1, Peak::of_modality("T1c")).unwrap();
        assert_close(found.mode, 800.0, 0.02);
        // 100 of 273 in a Gaussian of SD 45: as tall as one of SD 45 * 2.73;
        // smoothing flattens the peak a little.
        assert_close(found.spread, 45.0 * 2.73, 0.06);
        // 170 darker and half of the 100.
        assert_close(found.quantile, 220.0 / 273.0, 0.03);
    }

    #[test]
    fn t2_takes_the_largest_peak_though_fluid_is_brighter() {
        let t2 = mixture(&[
            (120_000, 300.0, 30.0),
            (100_000, 450.0, 50.0),
            (60_000, 1200.0, 60.0),
        ]);
        let found = find_white_matter(&t2, Peak::of_modality("T2")).unwrap();
        assert_close(found.mode, 300.0, 0.02);
    }

    #[test]
    fn a_gaussian_gets_its_own_sd() {
        for sd in [0.02, 5.0] {
            let found = find_white_matter(&mixture(&[(200_000, 7.0, sd)]), Peak::Largest).unwrap();
            // The top of the bell is flat: 0.15 SD away it is 1 % lower.
            let sd = f64::from(sd);
            assert!((found.mode - 7.0).abs() < 0.15 * sd, "{found:?}");
            assert_close(found.spread, sd, 0.02);
            assert!((found.quantile - 0.5).abs() < 0.06, "{found:?}");
        }
    }

    #[test]
    fn whole_numbers_do_not_comb_the_histogram() {
        let mut grey: Vec<f32> = mixture(&[(60_000, 60.0, 9.0), (50_000, 110.0, 7.0)]);
        grey.iter_mut().for_each(|v| *v = v.round());
        let found = find_white_matter(&grey, Peak::Last).unwrap();
        assert_close(found.mode, 110.0, 0.02);
    }

    #[test]
    fn few_grey_levels_and_none() {
        // A phantom without noise: three tissues of one value each.
        let mut levels = vec![1.0; 300];
        levels.extend(vec![2.0; 500]);
        levels.extend(vec![3.0; 400]);
        let last = find_white_matter(&levels, Peak::Last).unwrap();
        assert_close(last.mode, 3.0, 0.02);
        assert!(last.spread.is_finite() && last.spread > 0.0);
        let largest = find_white_matter(&levels, Peak::Largest).unwrap();
        assert_close(largest.mode, 2.0, 0.02);
        assert_eq!(find_white_matter(&[4.0; 9], Peak::Last), None);
        assert_eq!(find_white_matter(&[], Peak::Last), None);
    }

    #[test]
    fn only_t1_names_mean_t1() {
        for (name, peak) in [
            ("T1", Peak::Last),
            ("t1gd", Peak::Last),
            ("T2", Peak::Largest),
            ("FLAIR", Peak::Largest),
            ("T", Peak::Largest),
            ("é", Peak::Largest),
        ] {
            assert_eq!(Peak::of_modality(name), peak, "{name}");
        }
    }
}
