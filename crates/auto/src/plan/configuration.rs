//! The run configuration that a plan comes to, and a line for each decision in it.

mod reasons;

use std::path::Path;

use lacuna_data::manifest::Manifest;
use lacuna_data::subject::LabelResampling;
use lacuna_record::Fingerprint;
use lacuna_record::fingerprint::Contrast;
use lacuna_train::config::{GeometryConfig, RunConfig};

use super::few::Few;
use super::grid::Grid;
use super::shape::{Scene, Shape};
use super::{Asked, Decision};
use crate::error::AutoError;
use crate::structure::Structure;

/// Spacing along one axis over that of the finest from which slices are thick.
const THICK: f64 = 3.0;
/// Voxels that the patches of a batch have together.
const BATCH_VOXELS: usize = 2 * 64 * 64 * 64;
/// Most patches of a batch.
const MOST_BATCH: usize = 16;
/// Features of the first stage that are tried, widest first.
const FEATURES: [usize; 4] = [24, 16, 12, 8];
/// Foreground's brightness differs so many times as much between subjects as within one, and by
/// so many SDs of the inside, where networks must not go by it: 4.1 and 1.0 in spinal grey
/// matter, at most 1.0 and .5 elsewhere (docs/auto.md).
const UNEVEN_TIMES: f64 = 2.0;
const UNEVEN_LEAST: f64 = 0.5;
/// Probability of foreground that a network begins with, see docs/recipe.md.
const PRIOR: &str = "0.01";

/// What does not depend on the machine.
pub(super) struct Chosen {
    /// Whether a recipe for few patients takes the place of what follows.
    few: Few,
    scene: Scene,
    shape: Shape,
    batch: usize,
    geometry: GeometryConfig,
    /// The axis across thick slices.
    thick: Option<usize>,
    sided: bool,
    paste: bool,
    /// A modality whose foreground is not as bright in one subject as in another.
    uneven: Option<(String, Contrast)>,
}

impl Chosen {
    pub fn of(
        manifest: &Manifest,
        fingerprint: &Fingerprint,
        structure: Option<Structure>,
        decisions: &mut Vec<Decision>,
    ) -> Self {
        let preset = structure.map(Structure::preset);
        let Grid {
            spacing,
            keep_lesions,
            scene,
        } = Grid::of(fingerprint, preset.as_ref(), decisions);
        let on = scene.spacing_mm;
        let shape = scene.shape();
        let finest = on.iter().copied().fold(f64::INFINITY, f64::min);
        let coarsest = (0..3).max_by(|a, b| on[*a].total_cmp(&on[*b]));
        let thick = coarsest.filter(|a| shape.axes() == 3 && on[*a] >= THICK * finest);
        let batch = match shape.whole {
            true => 2,
            false => (BATCH_VOXELS / shape.voxels()).clamp(2, MOST_BATCH),
        };
        let sided = (fingerprint.classes.iter()).any(|c| {
            let c = c.to_lowercase();
            ["left", "right"].iter().any(|side| c.contains(side))
        });
        let geometry = GeometryConfig {
            spacing: spacing.map_or_else(Vec::new, Vec::from),
            labels: match keep_lesions {
                true => LabelResampling::KeepLesions,
                false => LabelResampling::Majority,
            },
        };
        let few = Few::of(
            manifest,
            fingerprint,
            structure,
            on,
            geometry.clone(),
            sided,
        );
        let chosen = Self {
            scene,
            shape,
            batch,
            geometry,
            thick,
            sided,
            paste: preset.is_some_and(|p| p.paste),
            uneven: uneven(fingerprint),
            few,
        };
        chosen.tell(fingerprint, structure, decisions);
        chosen
    }

    /// Whether the recipe for few patients is used.
    pub fn is_few(&self) -> bool {
        matches!(self.few, Few::Recipe(_))
    }

    /// Features of the first stage that are tried, widest first.
    pub fn features(&self) -> Vec<usize> {
        match &self.few {
            Few::Recipe(recipe) => {
                let stages = recipe.model.stages.as_ref().expect("the recipe has stages");
                vec![stages.features[0]]
            }
            _ => FEATURES.to_vec(),
        }
    }

    /// The run of a network of so many features, with the overrides that are asked for;
    /// `errors`: patches are drawn where it was wrong on whole training subjects, too, unless one
    /// holds a subject.
    ///
    /// # Errors
    /// Overrides that are refused, or that set what is planned.
    pub fn config(
        &self,
        asked: &Asked,
        features: usize,
        errors: bool,
    ) -> Result<RunConfig, AutoError> {
        let text = match &self.few {
            Few::Recipe(recipe) => RunConfig {
                dataset: asked.dataset.clone(),
                seed: asked.seed,
                ..(**recipe).clone()
            }
            .to_toml()?,
            _ => self.toml(&asked.dataset, asked.seed, features, errors),
        };
        let parse =
            |sets| RunConfig::parse(&text, sets, "the planned configuration", Path::new(""));
        let config = parse(&asked.sets)?;
        refuse_planned(&config, &parse(&[])?)?;
        Ok(config)
    }

    /// `run.toml` of a network of so many features.
    fn toml(&self, dataset: &Path, seed: u64, features: usize, errors: bool) -> String {
        let list = |values: &[usize]| format!("{values:?}");
        let lists = |values: &[Vec<usize>]| {
            let inner: Vec<String> = values.iter().map(|v| format!("{v:?}")).collect();
            format!("[{}]", inner.join(", "))
        };
        let stages = self.shape.stages(features);
        let rank = self.shape.axes();
        let (rate, ema) = if self.shape.whole {
            ("1e-3", "0.99")
        } else {
            ("3e-3", "0.98")
        };
        let spatial = match (self.thick, self.shape.whole) {
            (Some(axis), _) => {
                let across = ["left-right", "posterior-anterior", "inferior-superior"][axis];
                format!("{{ name = \"spatial\", rotation_axes = [\"{across}\"] }}")
            }
            (None, true) => "{ name = \"spatial\", rotation_probability = 0.3, rotation = \
                             [-15.0, 15.0], scale_probability = 0.3, scale = [0.8, 1.25] }"
                .to_owned(),
            (None, false) => "{ name = \"spatial\" }".to_owned(),
        };
        let mut transforms = Vec::new();
        if self.paste {
            transforms.push("{ name = \"paste\" }");
        }
        if !self.sided {
            transforms.push("{ name = \"flip\", axes = [\"left-right\"] }");
        }
        transforms.push(&spatial);
        transforms.extend(match self.uneven.is_some() {
            true => [
                "{ name = \"gamma\", probability = 0.8, range = [0.3, 3.0] }",
                "{ name = \"gamma\", inverted = true, probability = 0.1, range = [0.3, 3.0] }",
            ],
            false => [
                "{ name = \"gamma\" }",
                "{ name = \"gamma\", inverted = true, probability = 0.1 }",
            ],
        });
        transforms.extend([
            "{ name = \"brightness\" }",
            "{ name = \"contrast\" }",
            "{ name = \"noise\" }",
            "{ name = \"blur\" }",
            "{ name = \"low-resolution\" }",
        ]);
        let sampler = match (self.shape.whole, errors) {
            (true, _) => "\"uniform\"",
            (false, true) => "[{ components = 0.34 }, { mask = 0.33 }, { errors = 0.33 }]",
            (false, false) => "[{ components = 0.5 }, { mask = 0.5 }]",
        };
        let labels = match self.geometry.labels {
            LabelResampling::KeepLesions => "keep-lesions",
            LabelResampling::Majority => "majority",
        };
        // A path as TOML writes strings, whatever is in it.
        let dataset = toml::Value::String(dataset.to_string_lossy().into_owned());
        format!(
            "dataset = {dataset}\nseed = {seed}\ntransform = [\n  {}\n]\n\n\
             [geometry]\nspacing = {:?}\nlabels = \"{labels}\"\n\n\
             [normalise]\nmethod = \"z-score\"\n\n\
             [model]\nname = \"plain-conv-unet\"\nstages = {{ axes = {rank}, features = {}, \
             kernels = {}, strides = {}, down = {}, up = {}, norm = \"instance\" }}\n\n\
             [loss]\nname = \"sum\"\nterms = [\n  {{ factor = 1.0, loss = {{ name = \"dice\", \
             classes = \"foreground\" }} }},\n  {{ factor = 1.0, loss = {{ name = \
             \"cross-entropy\" }} }},\n]\n\n\
             [patch]\nsize = {}\nsampler = {sampler}\n\n\
             [train]\nbatch = {}\noptimiser = \"adamw\"\nlearning_rate = {rate}\n\
             weight_decay = 1e-2\nschedule = \"polynomial\"\nwarm_up = 20\nclip_norm = 12.0\n\
             ema = {ema}\nprior = {PRIOR}\nrestarts = 1\ncheckpoint_every = 50\n",
            transforms.join(",\n  "),
            self.geometry.spacing,
            list(&stages.features),
            lists(&stages.kernels),
            lists(&stages.strides),
            list(&stages.down),
            list(&stages.up),
            list(&self.shape.patch[..rank]),
            self.batch,
        )
    }
}

/// Folds, lengths, seed and dataset are what is planned: no override may differ from what
/// was `planned`.
fn refuse_planned(config: &RunConfig, planned: &RunConfig) -> Result<(), AutoError> {
    let differs = [
        (
            "split",
            config.split != planned.split,
            "--splits takes nnU-Net's splits_final.json",
        ),
        (
            "train.budget",
            config.train.budget.is_some(),
            "--budget is for everything",
        ),
        ("train.from", config.train.from.is_some(), ""),
        ("seed", config.seed != planned.seed, "--seed"),
        ("dataset", config.dataset != planned.dataset, ""),
    ];
    match differs.into_iter().find(|(_, differs, _)| *differs) {
        None => Ok(()),
        Some((key, _, instead)) => Err(AutoError::Planned {
            key: key.to_owned(),
            instead,
        }),
    }
}

/// The first modality whose foreground is so bright in one subject and so dark in another, on the
/// scale of each one's inside, that the difference is far larger than those within a subject, and
/// not small.
fn uneven(fingerprint: &Fingerprint) -> Option<(String, Contrast)> {
    let mut contrasts = (fingerprint.intensities.iter())
        .filter_map(|modality| Some((modality.modality.clone(), modality.contrast?)));
    contrasts.find(|(_, c)| {
        c.between_subjects > UNEVEN_TIMES * c.within_subjects && c.between_subjects > UNEVEN_LEAST
    })
}

/// Three lengths, with four decimals at most.
pub(super) fn written(lengths: &[f64; 3]) -> String {
    lengths
        .map(|l| {
            format!("{:.4}", l)
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
        })
        .join(" x ")
}

#[cfg(test)]
mod tests {
    use lacuna_data::transform::TransformConfig;

    use super::*;
    use crate::plan::tests::phantoms;

    #[test]
    fn contrasts_that_differ_from_subject_to_subject_are_bent_strongly() {
        let (folder, mut fingerprint) = phantoms(4);
        let manifest = Manifest::read(&folder.path().join("dataset.toml")).unwrap();
        for (between_subjects, within_subjects, bent) in
            [(0.8, 0.5, false), (0.4, 0.1, false), (1.2, 0.5, true)]
        {
            for modality in &mut fingerprint.intensities {
                modality.contrast = None;
            }
            fingerprint.intensities[1].contrast = Some(Contrast {
                between_subjects,
                within_subjects,
            });
            let mut decisions = Vec::new();
            let chosen = Chosen::of(&manifest, &fingerprint, None, &mut decisions);
            let told = decisions.iter().find(|d| d.what == "contrast");
            assert_eq!(told.is_some(), bent);
            if let Some(told) = told {
                let name = &manifest.modalities[1];
                assert!(told.figure.starts_with(&format!("{name}: ")), "{told:?}");
                assert!(told.figure.contains("1.20"), "{told:?}");
            }
            let text = chosen.toml(&manifest.path, 0, 8, true);
            let config = RunConfig::parse(&text, &[], "the plan", Path::new("")).unwrap();
            let gamma = |t: &TransformConfig| match t {
                TransformConfig::Gamma(gamma) => Some(gamma.clone()),
                _ => None,
            };
            let gammas: Vec<_> = config.transform.iter().filter_map(gamma).collect();
            assert_eq!(gammas.len(), 2);
            for gamma in gammas {
                assert_eq!(gamma.range.0 < 0.5 && gamma.range.1 > 2.5, bent);
                assert_eq!(gamma.inverted, gamma.probability < 0.2);
            }
        }
    }
}
