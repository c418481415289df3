//! Configurations and inputs that several tests draw on.
#![allow(dead_code, reason = "every test takes what it needs")]

use lacuna_losses::{
    Activation, Input, Layout, LossConfig, NamedLoss, PatchGrid, Real, Reduction, Reference,
};
use lacuna_volume::Zyx;

/// A configuration from its TOML text.
pub fn config(text: &str) -> LossConfig {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Every loss with its defaults, and the options that change its equation.
/// A blob or a weighted sum of every kind of loss is among them.
pub fn configs() -> Vec<LossConfig> {
    let mut all: Vec<LossConfig> = NamedLoss::all()
        .into_iter()
        .map(|named| LossConfig {
            named,
            ..LossConfig::default()
        })
        .collect();
    all.extend(VARIANTS.iter().map(|text| config(text)));
    all
}

const VARIANTS: &[&str] = &[
    "weight = 'simple'\nempty_class = 'zero'",
    "weight = 'uniform'\nempty_class = 'one-voxel'",
    "weight = 'volume-sum'\ndifferentiate_weight = true",
    "classes = 'foreground'",
    "name = 'dice'\nform = 'squared'\nclasses = 'foreground'",
    "name = 'dice'\nform = 'jaccard'\nempty_class = 'skip'",
    "name = 'dice'\nform = 'plain'\nempty_class = 'smooth'\nsmoothing = 1e-3",
    "name = 'dice'\nform = 'as-printed'",
    "name = 'sensitivity-specificity'\nform = 'symmetric'",
    "name = 'weighted-cross-entropy'\ndifferentiate_weight = true",
    "name = 'cross-entropy'\nlabel_smoothing = 0.1",
    "name = 'focal'\ngamma = 0.5\nalpha = 0.25",
    "name = 'focal'\ngamma = 0.0\nclasses = 'foreground'",
    "name = 'top-k-cross-entropy'\nshare = 0.4",
    "name = 'distance-cross-entropy'\nemphasis = 'far'\nfactor = 2.0",
    "name = 'tversky'\nalpha = 1.0\nbeta = 1.0\nempty_class = 'skip'",
    "name = 'focal-tversky'\ngamma = 1.33\nclasses = 'foreground'",
    "name = 'log-dice'\ngamma = 0.3\nclasses = 'foreground'",
    "name = 'exponential-logarithmic'\ngamma = 2.0",
    "name = 'unified-focal'\nweight = 0.2\ndelta = 0.8\ngamma = 0.25",
    "name = 'generalised-wasserstein-dice'\nweighting = 'generalised-dice'",
    "name = 'matthews'\nclasses = 'all'\nempty_class = 'skip'\nsmoothing = 1e-3",
    "name = 'lovasz'\nclasses = 'foreground'\nempty_class = 'skip'",
    "name = 'boundary'\nclasses = 'all'",
    "name = 'hausdorff'\nalpha = 1.5\ndistance = 'reference'\nlog = true\nclasses = 'all'",
    "name = 'cl-dice'\niterations = 1\nclasses = 'all'",
    "name = 'size-reweighted'\nloss = { name = 'dice' }",
    "name = 'blob'\nloss = { name = 'sum' }\nglobal_factor = 1.0\nlesion_factor = 2.0",
    "name = 'sum'\nterms = [{ factor = 0.5, loss = { name = 'focal' } }, \
     { loss = { name = 'generalised-dice' } }, { factor = 2.0, loss = { name = 'boundary' } }]",
];

/// A batch with all that a loss can be given.
#[derive(Clone, Debug)]
pub struct Batch {
    pub layout: Layout,
    pub shape: [usize; 3],
    pub logits: Vec<f64>,
    pub labels: Vec<u8>,
    pub soft: Option<Vec<f64>>,
    pub weights: Option<Vec<f32>>,
    pub iteration: u64,
}

impl Batch {
    pub fn input(&self) -> Input<'_, f64> {
        let mut input = Input::new(self.layout, &self.logits, &self.labels);
        if let Some(soft) = &self.soft {
            input.reference = Reference::Soft(soft);
        }
        input.weights = self.weights.as_deref();
        input.grid = Some(PatchGrid {
            shape: Zyx(self.shape),
            spacing: Zyx([3.0, 1.0, 0.75]),
        });
        input.iteration = self.iteration;
        input
    }

    pub fn evaluate(&self, config: &LossConfig) -> (f64, Vec<f64>) {
        evaluate(config, &self.input())
    }

    /// As many samples again, all of them.
    pub fn twice(&self) -> Self {
        let mut twice = self.clone();
        twice.layout.batch *= 2;
        twice.logits.extend(&self.logits);
        twice.labels.extend(&self.labels);
        if let (Some(all), Some(once)) = (&mut twice.soft, &self.soft) {
            all.extend(once);
        }
        if let (Some(all), Some(once)) = (&mut twice.weights, &self.weights) {
            all.extend(once);
        }
        twice
    }

    /// The elements of each sample in the opposite order.
    pub fn reversed(&self) -> Self {
        let n = self.layout.elements;
        let mut turned = self.clone();
        turned.logits.chunks_mut(n).for_each(<[f64]>::reverse);
        turned.labels.chunks_mut(n).for_each(<[u8]>::reverse);
        if let Some(soft) = &mut turned.soft {
            soft.chunks_mut(n).for_each(<[f64]>::reverse);
        }
        if let Some(weights) = &mut turned.weights {
            weights.chunks_mut(n).for_each(<[f32]>::reverse);
        }
        turned
    }
}

pub fn evaluate<F: Real>(config: &LossConfig, input: &Input<F>) -> (f64, Vec<F>) {
    let mut gradient = vec![F::from_f64(f64::NAN); input.logits.len()];
    match config.value_and_gradient(input, &mut gradient) {
        Ok(evaluation) => (evaluation.value, gradient),
        Err(error) => panic!("{}: {error}", name(config)),
    }
}

pub fn name(config: &LossConfig) -> String {
    toml::to_string(config).unwrap().replace('\n', " ")
}

/// Uniform numbers in [0, 1) from a linear congruence.
pub struct Uniform(u64);

impl Uniform {
    pub fn new(seed: u64) -> Self {
        let mut numbers = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        numbers.next();
        numbers
    }

    pub fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Logits within `size` and any labels; `absent` is nowhere.
pub fn draw(batch: usize, classes: usize, shape: [usize; 3], size: f64, seed: u64) -> Batch {
    let elements = shape.iter().product();
    let mut uniform = Uniform::new(seed);
    let logits = (0..batch * classes * elements)
        .map(|_| size * (2.0 * uniform.next() - 1.0))
        .collect();
    let labels = (0..batch * elements)
        .map(|_| (uniform.next() * classes.max(2) as f64) as u8)
        .collect();
    Batch {
        layout: Layout {
            batch,
            classes,
            elements,
        },
        shape,
        logits,
        labels,
        soft: None,
        weights: None,
        iteration: 0,
    }
}

/// The batch with what else the loss honours: soft labels, voxel weights.
pub fn dressed(mut batch: Batch, config: &LossConfig, seed: u64) -> Batch {
    use lacuna_losses::Loss;
    let mut uniform = Uniform::new(seed);
    let honours = config.named.honours();
    let Layout {
        batch: samples,
        classes,
        elements,
    } = batch.layout;
    if honours.soft_labels {
        let mut soft: Vec<f64> = (0..samples * classes * elements)
            .map(|_| uniform.next())
            .collect();
        if config.options.activation == Activation::Softmax {
            for sample in soft.chunks_mut(classes * elements) {
                for i in 0..elements {
                    let total: f64 = (0..classes).map(|c| sample[c * elements + i]).sum();
                    (0..classes).for_each(|c| sample[c * elements + i] /= total);
                }
            }
        }
        batch.soft = Some(soft);
    }
    let weights = (0..samples * elements).map(|_| match (uniform.next() * 4.0) as u8 {
        0 => 0.0,
        1 if honours.weights => 0.5,
        2 if honours.weights => 2.0,
        _ => 1.0,
    });
    batch.weights = Some(weights.collect());
    batch
}

/// The configuration with each reduction, and with a sigmoid where honoured.
pub fn spread(config: &LossConfig) -> Vec<LossConfig> {
    use lacuna_losses::Loss;
    let mut all = Vec::new();
    for activation in [Activation::Softmax, Activation::Sigmoid] {
        if activation == Activation::Sigmoid && !config.named.honours().sigmoid {
            continue;
        }
        for reduction in [Reduction::Batch, Reduction::Sample] {
            let mut config = config.clone();
            config.options.activation = activation;
            config.options.reduction = reduction;
            all.push(config);
        }
    }
    all
}

/// Asserts `gradient` against central differences of the value, of fourth order.
pub fn assert_differences(config: &LossConfig, batch: &Batch, gradient: &[f64]) -> f64 {
    let scale = gradient.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
    let step = 1e-4;
    let at = |i: usize, shift: f64| {
        let mut moved = batch.clone();
        moved.logits[i] += shift;
        moved.evaluate(config).0
    };
    let mut furthest = 0.0_f64;
    for (i, &g) in gradient.iter().enumerate() {
        let near = at(i, step) - at(i, -step);
        let far = at(i, 2.0 * step) - at(i, -2.0 * step);
        let difference = (8.0 * near - far) / (12.0 * step);
        assert!(
            (g - difference).abs() <= 1e-6 * scale + 1e-10,
            "{} {:?} at {i}: {g} for {difference}",
            name(config),
            batch.layout
        );
        furthest = furthest.max((g - difference).abs() / scale.max(1e-4));
    }
    furthest
}

/// Soft labels of 0 and 1: the hard ones, `[batch, classes, elements]`.
pub fn one_hot(batch: &Batch) -> Vec<f64> {
    let Layout {
        classes, elements, ..
    } = batch.layout;
    let samples = batch.labels.chunks(elements);
    let planes = samples.flat_map(|labels| (0..classes).map(move |class| (labels, class)));
    planes
        .flat_map(|(labels, class)| {
            (labels.iter()).map(move |label| f64::from(u8::from(usize::from(*label) == class)))
        })
        .collect()
}

/// Losses that look at neighbours or distances.
pub fn reads_grid(config: &LossConfig) -> bool {
    use lacuna_losses::Loss;
    let reads = config.named.reads();
    reads.distance || reads.lesion || reads.grid
}
