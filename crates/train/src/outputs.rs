//! What the channels of a network's output are: exclusive classes, or regions.

use lacuna_losses::{Activation, Regions};
use lacuna_tune::{Temperature, TuneError};
use lacuna_volume::{LabelMap, Volume};

use crate::config::{ConfigError, RunConfig};

/// What the channels of a network's output are.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    classes: usize,
    activation: Activation,
    regions: Option<Regions>,
    /// What makes probabilities less or more sure before anything is read of them.
    temperature: Option<Temperature>,
    /// Least probability of a voxel of each class; empty where no class has one.
    thresholds: Vec<Option<f32>>,
}

impl Outputs {
    /// What `config` makes of these classes, background first.
    ///
    /// # Errors
    /// [`ConfigError::Regions`] when its regions are none of these classes.
    pub fn new(config: &RunConfig, classes: &[String]) -> Result<Self, ConfigError> {
        let regions = match config.regions.is_empty() {
            true => None,
            false => Some(
                Regions::new(classes, &config.regions)
                    .map_err(|source| ConfigError::Regions { source })?,
            ),
        };
        Ok(Self {
            classes: classes.len(),
            activation: config.loss.options.activation,
            regions,
            temperature: None,
            thresholds: Vec::new(),
        })
    }

    /// The same with tempered probabilities.
    pub(crate) fn with_temperature(self, temperature: Option<Temperature>) -> Self {
        Self {
            temperature,
            ..self
        }
    }

    /// The same with a least probability of the voxels of each class, `None` where a class
    /// has none. Of the classes at or above theirs, a voxel gets the likeliest; one
    /// without a least probability is among them where it is likelier than all others.
    /// With regions, it is that of the region of which a class is the last, instead of
    /// more than 1/2.
    pub(crate) fn with_thresholds(self, thresholds: Vec<Option<f32>>) -> Self {
        let any = thresholds.iter().any(Option::is_some);
        Self {
            thresholds: if any { thresholds } else { Vec::new() },
            ..self
        }
    }

    /// Channels of the output: regions, or classes with the background.
    pub fn count(&self) -> usize {
        self.regions.as_ref().map_or(self.classes, Regions::count)
    }

    /// Classes of the dataset, with the background.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The regions, where the channels are such.
    pub fn regions(&self) -> Option<&Regions> {
        self.regions.as_ref()
    }

    /// Logits of the channels, mean 0 under softmax, by which all foreground together has the
    /// probability `prior`, in (0, 1), each class alike; each region by itself has it.
    pub(crate) fn prior_logits(&self, prior: f64) -> Vec<f32> {
        let channels = self.count();
        if self.activation == Activation::Sigmoid || self.regions.is_some() || channels == 1 {
            return vec![(prior / (1.0 - prior)).ln() as f32; channels];
        }
        let foreground = (channels - 1) as f64;
        let apart = ((1.0 - prior) * foreground / prior).ln();
        let low = -apart / channels as f64;
        let mut logits = vec![low as f32; channels];
        logits[0] = (low + apart) as f32;
        logits
    }

    /// Logits `[channels, elements]` as probabilities, in place.
    pub fn activate(&self, logits: &mut [f32]) {
        self.activation.apply(logits, self.count());
    }

    /// Tempers probabilities `[channels, elements]` in place, where there is a temperature.
    pub(crate) fn temper_means(&self, means: &mut [f32]) {
        let elements = means.len() / self.count();
        let maps = means.chunks_exact_mut(elements.max(1));
        self.temper(&mut maps.collect::<Vec<_>>());
    }

    /// [`activate`](Self::activate)s logits of one map for each channel, in place.
    pub(crate) fn activate_maps(&self, maps: &mut [&mut [f32]]) {
        let mut logits = maps
            .iter()
            .flat_map(|map| map.iter().copied())
            .collect::<Vec<_>>();
        self.activate(&mut logits);
        for (map, values) in maps
            .iter_mut()
            .zip(logits.chunks_exact(logits.len() / self.count()))
        {
            map.copy_from_slice(values);
        }
    }

    /// Tempers probabilities, one map for each channel, in place, where there is a
    /// temperature.
    pub(crate) fn temper(&self, probabilities: &mut [&mut [f32]]) {
        if let Some(temperature) = self.temperature {
            self.temper_by(temperature, probabilities)
                .expect("means of what the activation gave are probabilities");
        }
    }

    /// Tempers probabilities, one map for each channel, in place: classes together, regions
    /// each by itself.
    ///
    /// # Errors
    /// [`TuneError::Probability`] for what is none; maps are half done then.
    pub fn temper_by(
        &self,
        temperature: Temperature,
        probabilities: &mut [&mut [f32]],
    ) -> Result<(), TuneError> {
        match self.regions {
            None => temperature.apply_classes(probabilities),
            Some(_) => (probabilities.iter_mut()).try_for_each(|map| temperature.apply_region(map)),
        }
    }

    /// Probabilities where nothing is predicted, such as outside of the mask.
    pub fn outside(&self) -> Vec<f32> {
        let mut outside = vec![0.0; self.count()];
        if self.regions.is_none() {
            outside[0] = 1.0;
        }
        outside
    }

    /// The class of a voxel with these probabilities; of equal ones the first.
    pub(crate) fn class(&self, probability: impl Fn(usize) -> f32) -> u8 {
        match (&self.regions, self.thresholds.is_empty()) {
            (Some(regions), true) => regions.class(probability),
            (Some(regions), false) => self.last_region(regions, probability),
            (None, true) => likeliest(0, 1..self.classes, probability) as u8,
            (None, false) => self.likeliest_reached(probability) as u8,
        }
    }

    /// The class of the last region that a voxel is in, by the thresholds.
    fn last_region(&self, regions: &Regions, probability: impl Fn(usize) -> f32) -> u8 {
        let inside = |region: usize| {
            let least = self.thresholds[usize::from(regions.own_class(region))];
            least.map_or(probability(region) > 0.5, |p| probability(region) >= p)
        };
        let last = (0..regions.count()).rfind(|region| inside(*region));
        last.map_or(0, |region| regions.own_class(region))
    }

    /// The likeliest foreground class that reaches its threshold; else the background.
    fn likeliest_reached(&self, probability: impl Fn(usize) -> f32) -> usize {
        let of_all = likeliest(0, 1..self.classes, &probability);
        let reached = |class: &usize| match self.thresholds[*class] {
            Some(least) => probability(*class) >= least,
            None => *class == of_all,
        };
        let mut candidates = (1..self.classes).filter(reached);
        match candidates.next() {
            Some(first) => likeliest(first, candidates, &probability),
            None => 0,
        }
    }

    /// The channel of a class, or of the region of which it is the last; none for the
    /// background.
    pub fn channel_of(&self, class: u8) -> Option<usize> {
        match &self.regions {
            _ if class == 0 => None,
            None => Some(usize::from(class)),
            Some(regions) => (0..regions.count()).find(|r| regions.own_class(*r) == class),
        }
    }

    /// Whether a voxel labelled `label` belongs to what the channel of `class` stands for:
    /// the class itself, or a region.
    pub fn holds(&self, class: u8, label: u8) -> bool {
        match (&self.regions, self.channel_of(class)) {
            (Some(regions), Some(region)) => regions.has(region, label),
            _ => class == label,
        }
    }

    /// Of a voxel of that class: the probability of its channel; 0 for the background.
    pub(crate) fn painted(&self, class: u8, probability: impl Fn(usize) -> f32) -> f32 {
        self.channel_of(class).map_or(0.0, probability)
    }

    /// [`painted`](Self::painted) of every voxel. All volumes share one grid.
    pub(crate) fn painted_of(
        &self,
        labels: &LabelMap,
        probabilities: &[Volume<f32>],
    ) -> Volume<f32> {
        let mut painted = labels.map(|_| 0.0);
        let voxels = painted.data_mut().iter_mut().zip(labels.data());
        for (i, (value, class)) in voxels.enumerate() {
            *value = self.painted(*class, |channel| probabilities[channel].data()[i]);
        }
        painted
    }

    /// The class of every voxel. All volumes share one grid.
    pub fn labels(&self, probabilities: &[Volume<f32>]) -> LabelMap {
        let mut labels = probabilities[0].map(|_| 0);
        for (i, label) in labels.data_mut().iter_mut().enumerate() {
            *label = self.class(|channel| probabilities[channel].data()[i]);
        }
        labels
    }

    /// Probability that a voxel is no background: of the likeliest region, or of
    /// all classes but the first.
    pub fn foreground(&self, probabilities: &[Volume<f32>]) -> Vec<f32> {
        let first = probabilities[0].data();
        if self.regions.is_none() {
            return first.iter().map(|p| (1.0 - p).clamp(0.0, 1.0)).collect();
        }
        let mut largest = first.to_vec();
        for volume in &probabilities[1..] {
            (largest.iter_mut().zip(volume.data())).for_each(|(most, p)| *most = most.max(*p));
        }
        largest
    }
}

/// The likeliest of `first` and the `others`; of equal ones the first.
fn likeliest(
    first: usize,
    others: impl Iterator<Item = usize>,
    probability: impl Fn(usize) -> f32,
) -> usize {
    let mut best = first;
    for class in others {
        if probability(class) > probability(best) {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn outputs(toml: &str, thresholds: [Option<f32>; 3]) -> Outputs {
        let config = RunConfig::parse(toml, &[], "", Path::new("")).unwrap();
        let classes = ["background", "rim", "core"].map(str::to_owned);
        (Outputs::new(&config, &classes).unwrap()).with_thresholds(thresholds.to_vec())
    }

    #[test]
    fn logits_of_a_prior_have_it() {
        let mut classes = outputs("", [None; 3]).prior_logits(0.01);
        assert!(classes.iter().sum::<f32>().abs() < 1e-5);
        outputs("", [None; 3]).activate(&mut classes);
        for (found, expected) in classes.iter().zip([0.99, 0.005, 0.005]) {
            assert!((found - expected).abs() < 1e-6, "{classes:?}");
        }
        // Each region by itself: 1 / (1 + e^-x) of x = ln(1/99).
        let text = "regions = [[\"rim\", \"core\"], [\"core\"]]\nloss.name = \"dice\"\n\
                    loss.activation = \"sigmoid\"\n";
        let regions = outputs(text, [None; 3]).prior_logits(0.01);
        assert_eq!(regions.len(), 2);
        assert!(regions.iter().all(|logit| (logit + 4.595_12).abs() < 1e-4));
    }

    #[test]
    fn the_likeliest_class_above_its_threshold_is_painted() {
        let class = |thresholds, p: [f32; 3]| outputs("", thresholds).class(|c| p[c]);
        let both = [None, Some(0.3), Some(0.2)];
        assert_eq!(class(both, [0.5, 0.3, 0.2]), 1);
        assert_eq!(class(both, [0.5, 0.29, 0.21]), 2);
        assert_eq!(class(both, [0.7, 0.15, 0.15]), 0);
        // A high threshold takes voxels away, even from the likeliest class.
        assert_eq!(class([None, Some(0.6), Some(0.6)], [0.3, 0.59, 0.11]), 0);
        // A class without one is painted where it is the likeliest of all.
        let one = [None, Some(0.3), None];
        assert_eq!(class(one, [0.2, 0.35, 0.45]), 2);
        assert_eq!(class(one, [0.45, 0.35, 0.4]), 1);
        assert_eq!(class(one, [0.45, 0.15, 0.4]), 0);
        assert_eq!(class([None; 3], [0.4, 0.3, 0.3]), 0);
    }

    #[test]
    fn a_region_has_the_threshold_of_its_last_class() {
        let toml = "regions = [[\"rim\", \"core\"], [\"core\"]]\n\
                    loss = { name = \"dice\", activation = \"sigmoid\" }\n";
        let class = |thresholds, p: [f32; 2]| outputs(toml, thresholds).class(|c| p[c]);
        let thresholds = [None, Some(0.7), Some(0.2)];
        assert_eq!(class(thresholds, [0.69, 0.19]), 0);
        assert_eq!(class(thresholds, [0.7, 0.19]), 1);
        assert_eq!(class(thresholds, [0.1, 0.2]), 2);
        assert_eq!(class([None, Some(0.7), None], [0.7, 0.5]), 1);
        assert_eq!(class([None, Some(0.7), None], [0.7, 0.51]), 2);
        let outputs = outputs(toml, thresholds);
        let painted = [0, 1, 2].map(|class| outputs.painted(class, |c| [0.8, 0.3][c]));
        assert_eq!(painted, [0.0, 0.8, 0.3]);
    }
}
