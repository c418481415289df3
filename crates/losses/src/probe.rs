//! Losses on made-up patches whose answer is known: a ball of lesion in a patch,
//! found in part and with false positives around it.

use crate::{Input, Layout, LossConfig, LossError, PatchGrid, Reference, Regions};
use lacuna_volume::Zyx;

/// Logit of an element that a prediction is sure of.
pub const SURE: f64 = 4.0;

/// A patch with known labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The grid.
    pub grid: PatchGrid,
    /// Classes, background included; sigmoid channels if there is one.
    pub classes: usize,
    /// Class of each element.
    pub labels: Vec<u8>,
    /// What the loss sees in place of the classes, if it is regions.
    pub regions: Option<Regions>,
    /// Elements from the centre outwards.
    by_distance: Vec<usize>,
}

/// What a loss does with one prediction of a scene.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The loss.
    pub value: f64,
    /// Sum over the lesion of how much a step on the logit of the true class
    /// lowers the loss; negative where it raises it.
    pub lesion_pull: f64,
    /// The same over the background.
    pub background_pull: f64,
    /// Largest absolute derivative by a logit.
    pub largest: f64,
}

impl Response {
    /// Without a pull yet.
    fn new(value: f64, gradient: &[f64]) -> Self {
        Self {
            value,
            lesion_pull: 0.0,
            background_pull: 0.0,
            largest: gradient.iter().fold(0.0, |m, g| m.max(g.abs())),
        }
    }
}

impl Scene {
    /// A patch whose foreground classes have these numbers of elements, in
    /// shells around its centre, the last class innermost.
    pub fn new(grid: PatchGrid, volumes: &[usize]) -> Self {
        let Zyx([nz, ny, nx]) = grid.shape;
        let centre = grid.shape.map(|n| (n as f64 - 1.0) / 2.0).0;
        let spacing = grid.spacing.0;
        let mut distances: Vec<(f64, usize)> = Vec::with_capacity(nx * ny * nz);
        for z in 0..nz {
            for y in 0..ny {
                for x in 0..nx {
                    let off = [z, y, x].map(|v| v as f64);
                    let squares = (0..3).map(|a| ((off[a] - centre[a]) * spacing[a]).powi(2));
                    distances.push((squares.sum(), distances.len()));
                }
            }
        }
        distances.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let by_distance: Vec<usize> = distances.into_iter().map(|(_, at)| at).collect();
        let mut labels = vec![0; by_distance.len()];
        let mut inside = by_distance.iter();
        for (class, &volume) in volumes.iter().enumerate().rev() {
            for &at in inside.by_ref().take(volume) {
                labels[at] = class as u8 + 1;
            }
        }
        Self {
            grid,
            classes: volumes.len() + 1,
            labels,
            regions: None,
            by_distance,
        }
    }

    /// Elements that are not background.
    pub fn lesion_volume(&self) -> usize {
        self.labels.iter().filter(|label| **label > 0).count()
    }

    /// Every class at the same probability.
    pub fn undecided(&self) -> Vec<f64> {
        vec![0.0; self.classes * self.labels.len()]
    }

    /// Sure of one class everywhere.
    pub fn all_of(&self, class: usize) -> Vec<f64> {
        let mut logits = vec![-SURE / 2.0; self.classes * self.labels.len()];
        let plane = class * self.labels.len()..(class + 1) * self.labels.len();
        logits[plane].fill(SURE / 2.0);
        logits
    }

    /// The share `found` of the lesion, from the centre outwards, and falsely
    /// that share of the background that lies nearest to the lesion.
    pub fn partly(&self, found: f64, falsely: f64) -> Vec<f64> {
        let count = self.labels.len();
        let mut logits = self.all_of(0);
        let lesion = self.lesion_volume();
        let hits = (found * lesion as f64).round() as usize;
        let false_alarms = (falsely * (count - lesion) as f64).round() as usize;
        let (inside, outside) = self.by_distance.split_at(lesion);
        let claimed = inside.iter().take(hits);
        for &at in claimed.chain(outside.iter().take(false_alarms)) {
            let class = usize::from(self.labels[at].max(1));
            logits[at] = -SURE / 2.0;
            logits[class * count + at] = SURE / 2.0;
        }
        logits
    }

    /// The loss of a prediction, logits `[classes, elements]`.
    ///
    /// # Errors
    /// Those of the loss.
    pub fn response(&self, config: &LossConfig, logits: &[f64]) -> Result<Response, LossError> {
        if let Some(regions) = &self.regions {
            return self.region_response(config, regions, logits);
        }
        let count = self.labels.len();
        let layout = Layout {
            batch: 1,
            classes: self.classes,
            elements: count,
        };
        let mut gradient = vec![0.0; logits.len()];
        let input = Input {
            grid: Some(self.grid),
            ..Input::new(layout, logits, &self.labels)
        };
        let value = config.value_and_gradient(&input, &mut gradient)?.value;
        let mut response = Response::new(value, &gradient);
        for (at, &label) in self.labels.iter().enumerate() {
            let pull = -gradient[usize::from(label) * count + at];
            match label {
                0 => response.background_pull += pull,
                _ => response.lesion_pull += pull,
            }
        }
        Ok(response)
    }
}

impl Scene {
    /// As [`Scene::response`], of regions: each has the logit of its likeliest class
    /// less that of the likeliest other.
    fn region_response(
        &self,
        config: &LossConfig,
        regions: &Regions,
        logits: &[f64],
    ) -> Result<Response, LossError> {
        let count = self.labels.len();
        let layout = Layout {
            batch: 1,
            classes: regions.count(),
            elements: count,
        };
        let mut of_regions = Vec::with_capacity(regions.count() * count);
        for region in 0..regions.count() {
            of_regions.extend((0..count).map(|at| {
                let mut largest = [f64::NEG_INFINITY; 2];
                for class in 0..self.classes {
                    let side = &mut largest[usize::from(regions.has(region, class as u8))];
                    *side = side.max(logits[class * count + at]);
                }
                largest[1] - largest[0]
            }));
        }
        let shares = regions.shares(layout, &self.labels);
        let shares: Vec<f64> = shares.into_iter().map(f64::from).collect();
        let mut gradient = vec![0.0; of_regions.len()];
        let input = Input {
            grid: Some(self.grid),
            reference: Reference::Soft(&shares),
            ..Input::new(layout, &of_regions, &[])
        };
        let value = config.value_and_gradient(&input, &mut gradient)?.value;
        let mut response = Response::new(value, &gradient);
        for (slope, share) in gradient.iter().zip(&shares) {
            match *share > 0.5 {
                true => response.lesion_pull -= slope,
                false => response.background_pull += slope,
            }
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_has_the_volumes_asked_for_and_predictions_hit_their_share() {
        let scene = Scene::new(PatchGrid::millimetres(9, 2), &[20, 5]);
        let count = |class| scene.labels.iter().filter(|l| **l == class).count();
        assert_eq!((count(0), count(1), count(2)), (56, 20, 5));
        // The centre of 9 x 9.
        assert_eq!(scene.labels[40], 2);
        let logits = scene.partly(0.6, 0.25);
        let claimed = (0..81).filter(|&at| logits[at] < 0.0).count();
        assert_eq!(claimed, 15 + 14);
        // Cross-entropy, sure of the background: each element's pull is what it
        // misses, over N.
        let config = toml::from_str("name = 'cross-entropy'").unwrap();
        let found = scene.response(&config, &scene.all_of(0)).unwrap();
        let e = (-SURE).exp();
        let missed = 1.0 - e / (1.0 + 2.0 * e);
        assert!((found.lesion_pull - 25.0 / 81.0 * missed).abs() < 1e-12);
    }

    /// 81 elements, 20 of one class and 5 of another, regions of both and of the
    /// second; sure of the background everywhere. Binary cross-entropy: an element
    /// of a region pulls by what it misses, any other by what it claims, over 2 N.
    #[test]
    fn regions_pull_on_their_own_elements() {
        let mut scene = Scene::new(PatchGrid::millimetres(9, 2), &[20, 5]);
        let names =
            |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        let sets = [names("rim core"), names("core")];
        scene.regions = Some(Regions::new(&names("background rim core"), &sets).unwrap());
        let config = "name = 'cross-entropy'\nactivation = 'sigmoid'";
        let config = toml::from_str(config).unwrap();
        let found = scene.response(&config, &scene.all_of(0)).unwrap();
        let claimed = 1.0 / (1.0 + SURE.exp());
        let (inside, outside) = (30.0, 2.0 * 81.0 - 30.0);
        let expected = inside / 162.0 * (1.0 - claimed);
        assert!((found.lesion_pull - expected).abs() < 1e-12);
        let expected = outside / 162.0 * claimed;
        assert!((found.background_pull - expected).abs() < 1e-12);
    }
}
