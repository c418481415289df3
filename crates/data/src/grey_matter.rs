//! Grey matter, found in a T1-weighted image of a brain.
//!
//! The intensities inside are a mixture of three Gaussians, of which fluid is the darkest and
//! white matter the brightest; a voxel is grey matter where the middle one is likeliest. The
//! mixture is fitted by expectation and maximisation (Dempster et al., Journal of the Royal
//! Statistical Society B, 1977) to a histogram, from the means that Lloyd's algorithm (IEEE
//! Transactions on Information Theory, 1982) finds from three quantiles, so that nothing is
//! drawn. The image must be brain-extracted or come with a mask: fat is brighter than white
//! matter.

/// Of the histogram.
const BINS: usize = 512;
/// Quantiles between which the histogram lies; a few bright vessels are no tissue.
const RANGE: [f64; 2] = [0.001, 0.999];
/// Quantiles that the means begin at.
const START: [f64; 3] = [0.1, 0.4, 0.8];
const ROUNDS: usize = 200;

/// One tissue of the mixture.
#[derive(Clone, Copy, Debug)]
struct Tissue {
    share: f64,
    mean: f64,
    variance: f64,
}

impl Tissue {
    /// Share times density, but for a factor that all have.
    fn weight(&self, value: f64) -> f64 {
        let exponent = (value - self.mean).powi(2) / (2.0 * self.variance);
        self.share * (-exponent).exp() / self.variance.sqrt()
    }
}

/// The lowest and the highest intensity of grey matter among those of the brain, which are
/// finite and sorted. `None` where no three tissues are found.
pub fn find_grey_matter(sorted: &[f32]) -> Option<[f32; 2]> {
    let histogram = Histogram::of(sorted)?;
    let tissues = histogram.mixture(START.map(|share| quantile(sorted, share)))?;
    let grey = |value: f64| {
        let [fluid, grey, white] = tissues.map(|tissue| tissue.weight(value));
        grey > fluid && grey >= white
    };
    // Outwards from the mean, since a broad Gaussian also has a tail beyond its neighbours.
    let middle = histogram.bin(tissues[1].mean);
    let is_grey = |bin: &usize| grey(histogram.centre(*bin));
    let last = (middle..BINS).take_while(is_grey).last()?;
    let first = (0..=middle).rev().take_while(is_grey).last()?;
    let half = 0.5 * histogram.width;
    Some([
        (histogram.centre(first) - half) as f32,
        (histogram.centre(last) + half) as f32,
    ])
}

fn quantile(sorted: &[f32], share: f64) -> f64 {
    f64::from(sorted[(share * (sorted.len() - 1) as f64).round() as usize])
}

struct Histogram {
    low: f64,
    width: f64,
    /// Shares of the voxels in range.
    shares: Vec<f64>,
}

impl Histogram {
    fn of(sorted: &[f32]) -> Option<Self> {
        if sorted.is_empty() {
            return None;
        }
        let [low, high] = RANGE.map(|share| quantile(sorted, share));
        let width = (high - low) / BINS as f64;
        if width <= 0.0 {
            return None;
        }
        let mut found = Self {
            low,
            width,
            shares: vec![0.0; BINS],
        };
        let within = |v: &&f32| (low..=high).contains(&f64::from(**v));
        let share = 1.0 / sorted.iter().filter(within).count() as f64;
        for value in sorted.iter().filter(within) {
            let bin = found.bin(f64::from(*value));
            found.shares[bin] += share;
        }
        Some(found)
    }

    fn centre(&self, bin: usize) -> f64 {
        self.low + (bin as f64 + 0.5) * self.width
    }

    fn bin(&self, value: f64) -> usize {
        let bin = (value - self.low) / self.width;
        (bin.max(0.0) as usize).min(BINS - 1)
    }

    /// Three tissues in rising intensity. `None` where one of them has no voxels.
    fn mixture(&self, start: [f64; 3]) -> Option<[Tissue; 3]> {
        let mut tissues = start.map(|mean| Tissue {
            share: 1.0,
            mean,
            variance: 1.0,
        });
        for _ in 0..ROUNDS {
            let means = tissues.map(|tissue| tissue.mean);
            let nearest = |value: f64| {
                let far = means.map(|mean| (value - mean).abs());
                [0, 1, 2].map(|i| f64::from(u8::from(far.iter().all(|other| far[i] <= *other))))
            };
            tissues = self.fitted(nearest)?;
        }
        for _ in 0..ROUNDS {
            let before = tissues;
            tissues = self.fitted(|value| before.map(|tissue| tissue.weight(value)))?;
        }
        tissues.sort_by(|a, b| a.mean.total_cmp(&b.mean));
        Some(tissues)
    }

    /// Share, mean and variance of each tissue where voxels belong to it by `weights`.
    fn fitted(&self, weights: impl Fn(f64) -> [f64; 3]) -> Option<[Tissue; 3]> {
        let mut sums = [[0.0; 3]; 3];
        for (bin, share) in self.shares.iter().enumerate() {
            let value = self.centre(bin);
            let weights = weights(value);
            let total: f64 = weights.iter().sum();
            if total <= 0.0 {
                continue;
            }
            for (sums, weight) in sums.iter_mut().zip(weights) {
                let part = share * weight / total;
                sums[0] += part;
                sums[1] += part * value;
                sums[2] += part * value * value;
            }
        }
        if sums.iter().any(|[share, ..]| *share <= 0.0) {
            return None;
        }
        Some(sums.map(|[share, first, second]| {
            let mean = first / share;
            Tissue {
                share,
                mean,
                variance: (second / share - mean * mean).max(self.width * self.width),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::white_matter::tests::mixture;

    #[test]
    fn grey_matter_lies_where_its_gaussian_is_the_likeliest() {
        let brain = mixture(&[
            (40_000, 200.0, 50.0),
            (130_000, 500.0, 50.0),
            (100_000, 800.0, 50.0),
        ]);
        let [low, high] = find_grey_matter(&brain).unwrap();
        // Of two Gaussians of one SD, half-way, moved by SD^2 / 300 ln(13 / 4) and ln(13 / 10).
        assert!((low - 340.2).abs() < 8.0, "{low}");
        assert!((high - 652.2).abs() < 8.0, "{high}");
        // A hundredth of vessels, as bright as can be, broadens white matter; the median stays.
        let mut bright = brain;
        bright.extend(mixture(&[(2_700, 1500.0, 300.0)]));
        bright.sort_unstable_by(f32::total_cmp);
        let [low, high] = find_grey_matter(&bright).unwrap();
        let grey: Vec<f32> = bright
            .into_iter()
            .filter(|v| (low..=high).contains(v))
            .collect();
        let median = grey[grey.len() / 2];
        assert!((median - 500.0).abs() < 15.0, "{low} {high} {median}");
    }

    #[test]
    fn without_three_tissues_there_is_none() {
        assert_eq!(find_grey_matter(&[]), None);
        assert_eq!(find_grey_matter(&[3.0; 50]), None);
        let two: Vec<f32> = (0..100).map(|i| if i < 50 { 1.0 } else { 2.0 }).collect();
        assert_eq!(find_grey_matter(&two), None);
    }
}
