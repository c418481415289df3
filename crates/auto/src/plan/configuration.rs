//! The run configuration that a plan comes to, and a line for each decision in it.

use std::path::Path;

use lacuna_record::Fingerprint;
use lacuna_train::config::RunConfig;

use super::shape::{Scene, Shape};
use super::{Asked, Decision};
use crate::error::AutoError;
use crate::structure::Structure;

/// Share of subjects off the median spacing from which all are brought to one grid.
const MOST_OFF: f64 = 0.2;
/// Voxels that the median component keeps across on a common grid.
const LEAST_ACROSS: f64 = 2.0;
/// Spacing along one axis over that of the finest from which slices are thick.
const THICK: f64 = 3.0;
/// Voxels that the patches of a batch have together.
const BATCH_VOXELS: usize = 2 * 64 * 64 * 64;
/// Most patches of a batch.
const MOST_BATCH: usize = 16;
/// Probability of foreground that a network begins with, see docs/recipe.md.
const PRIOR: &str = "0.01";

/// What does not depend on the machine.
pub(super) struct Chosen {
    shape: Shape,
    batch: usize,
    /// Empty keeps each subject's own grid.
    spacing: Vec<f64>,
    keep_lesions: bool,
    /// The axis across thick slices.
    thick: Option<usize>,
    sided: bool,
    paste: bool,
    /// Draw where the network was wrong on whole training subjects.
    pub errors: bool,
}

impl Chosen {
    pub fn of(
        fingerprint: &Fingerprint,
        structure: Option<Structure>,
        decisions: &mut Vec<Decision>,
    ) -> Self {
        let mut say = |what: &str, value: String, reason: &str, figure: String| {
            decisions.push(Decision::new(what, value, reason, figure));
        };
        let preset = structure.map(Structure::preset);
        let median = fingerprint.spacing_mm.median;
        let extents = || (fingerprint.foreground.iter()).filter_map(|c| c.extents.as_ref());
        let largest = (extents().map(|e| e.p95_mm))
            .reduce(|a, b| std::array::from_fn(|i| f64::max(a[i], b[i])));
        let smallest = (extents().map(|e| e.p50_mm))
            .reduce(|a, b| std::array::from_fn(|i| f64::min(a[i], b[i])));

        let off = fingerprint.off_median_spacing;
        let native = preset.is_some_and(|p| p.native_grid) || off <= MOST_OFF;
        let target: [f64; 3] = std::array::from_fn(|axis| {
            let most = smallest.map_or(f64::INFINITY, |e| e[axis] / LEAST_ACROSS);
            // Never finer than any subject: that would invent voxels.
            median[axis].min(most.max(fingerprint.spacing_mm.min[axis]))
        });
        let off_text = format!(
            "{:.0} % of subjects are off the median spacing by > 20 %",
            100.0 * off
        );
        let spacing = if native {
            let reason = match preset.is_some_and(|p| p.native_grid) {
                true => "the preset keeps native grids: resampling loses what is a voxel wide",
                false => "nearly all have the same, and resampling loses what is a voxel wide",
            };
            say("grid", "each subject's own".to_owned(), reason, off_text);
            Vec::new()
        } else {
            say(
                "grid",
                format!("{} mm", written(&target)),
                "the median, unless the median component would be under 2 voxels across",
                off_text,
            );
            target.to_vec()
        };
        let on = if native { median } else { target };
        let small = smallest.is_some_and(|e| (0..3).any(|a| e[a] < 3.0 * on[a]));
        let keep_lesions = !native && small;
        if !native {
            say(
                "labels on that grid",
                if keep_lesions {
                    "keep-lesions"
                } else {
                    "majority"
                }
                .to_owned(),
                "lesions under 3 voxels across would vanish by majority",
                format!(
                    "median component {} mm",
                    smallest.map_or_else(String::new, |e| written(&e))
                ),
            );
        }

        let shape_mm: [f64; 3] =
            std::array::from_fn(|a| fingerprint.crop_shape.median[a] * median[a]);
        let component_mm = largest.unwrap_or([0.0; 3]);
        let scene = Scene {
            spacing_mm: on,
            shape: std::array::from_fn(|a| shape_mm[a] / on[a]),
            component_mm,
            preset_mm: preset.map(|p| p.patch_mm),
        };
        let shape = scene.shape();
        say(
            "patch",
            format!("{} voxels", shape.patch.map(|n| n.to_string()).join(" x ")),
            match (shape.whole, structure) {
                (true, _) => "the median subject fits into it",
                (false, Some(_)) => "the preset's size, within 64^3 voxels",
                (false, None) => {
                    "twice the components of the 95th percentile, 48 voxels at least, within 64^3 voxels"
                }
            },
            format!(
                "components {} mm, subjects {} mm",
                written(&component_mm),
                written(&shape_mm)
            ),
        );
        let finest = on.iter().copied().fold(f64::INFINITY, f64::min);
        let coarsest = (0..3).max_by(|a, b| on[*a].total_cmp(&on[*b]));
        let thick = coarsest.filter(|a| shape.axes() == 3 && on[*a] >= THICK * finest);
        say(
            "halvings along x, y, z",
            shape.halvings.map(|n| n.to_string()).join(", "),
            "an axis is halved while 4 voxels stay, 3 times at most, and not while it is twice as coarse as another",
            format!("spacing {} mm", written(&on)),
        );
        let batch = match shape.whole {
            true => 2,
            false => (BATCH_VOXELS / shape.voxels()).clamp(2, MOST_BATCH),
        };
        say(
            "batch",
            batch.to_string(),
            match shape.whole {
                true => "each patch is a subject; more steps serve better than larger ones",
                false => {
                    "as many voxels as two patches of 64^3: small patches need company for the Dice term"
                }
            },
            format!("{} voxels in a patch", shape.voxels()),
        );
        let sided = (fingerprint.classes.iter()).any(|c| {
            let c = c.to_lowercase();
            ["left", "right"].iter().any(|side| c.contains(side))
        });
        let paste = preset.is_some_and(|p| p.paste);
        let chosen = Self {
            errors: !shape.whole,
            shape,
            batch,
            spacing,
            keep_lesions,
            thick,
            sided,
            paste,
        };
        chosen.tell(fingerprint, structure, decisions);
        chosen
    }

    /// The decisions that are the same for all sizes.
    fn tell(
        &self,
        fingerprint: &Fingerprint,
        structure: Option<Structure>,
        decisions: &mut Vec<Decision>,
    ) {
        let mut say = |what: &str, value: &str, reason: &str, figure: String| {
            decisions.push(Decision::new(what, value.to_owned(), reason, figure));
        };
        let masks = fingerprint
            .subjects
            .iter()
            .filter(|s| s.mask_voxels.is_some())
            .count();
        say(
            "normalisation",
            "z-score inside, 0 outside",
            "each image by itself, as intensities of MR have no unit; 0 outside was measured best with instance norm",
            format!(
                "{masks} of {} subjects have a mask",
                fingerprint.subjects.len()
            ),
        );
        let rarest = fingerprint
            .foreground
            .iter()
            .map(|c| c.share_inside.p50)
            .fold(1.0, f64::min);
        let share = format!(
            "rarest class: {:.4} % of the inside in the median subject",
            100.0 * rarest
        );
        match self.shape.whole {
            true => say(
                "sampler",
                "uniform",
                "a patch is the subject, so that nothing needs to be searched for",
                share,
            ),
            false => say(
                "sampler",
                "thirds: lesions, anywhere inside, errors on whole training subjects",
                "a prediction sees mostly tissue without lesions, and lesions count alike by number",
                share,
            ),
        }
        say(
            "loss",
            "Dice of the foreground classes + cross-entropy",
            "the sum is robust over rates and sizes",
            format!("{} foreground class(es)", fingerprint.classes.len() - 1),
        );
        say(
            "prior of the foreground",
            PRIOR,
            "outputs begin as sure of background as that, and rare classes are learnt sooner",
            "measured on five datasets: docs/recipe.md".to_owned(),
        );
        let mut transforms = "left-right flips, ".to_owned();
        if self.sided {
            transforms.clear();
        }
        transforms += match self.thick {
            Some(_) => "rotation in the slice, scale, intensities",
            None => "rotation, scale, intensities",
        };
        if self.paste {
            transforms += ", pasted lesions";
        }
        say(
            "augmentation",
            &transforms,
            "few subjects: they are shown in as many ways as scanners and heads differ",
            match self.sided {
                true => "class names tell left from right, so nothing is mirrored".to_owned(),
                false => format!("{} subjects", fingerprint.subjects.len()),
            },
        );
        if let Some(structure) = structure {
            say(
                "advice",
                structure.preset().advice,
                "what is known of the structure",
                structure.to_string(),
            );
        }
    }

    /// The run of a network of so many features, with the overrides that are asked for.
    ///
    /// # Errors
    /// Overrides that are refused, or that set what is planned.
    pub fn config(&self, asked: &Asked, features: usize) -> Result<RunConfig, AutoError> {
        let text = self.toml(&asked.dataset, asked.seed, features);
        let parse =
            |sets| RunConfig::parse(&text, sets, "the planned configuration", Path::new(""));
        let config = parse(&asked.sets)?;
        refuse_planned(&config, &parse(&[])?)?;
        Ok(config)
    }

    /// `run.toml` of a network of so many features.
    fn toml(&self, dataset: &Path, seed: u64, features: usize) -> String {
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
        transforms.extend([
            "{ name = \"gamma\" }",
            "{ name = \"gamma\", inverted = true, probability = 0.1 }",
            "{ name = \"brightness\" }",
            "{ name = \"contrast\" }",
            "{ name = \"noise\" }",
            "{ name = \"blur\" }",
            "{ name = \"low-resolution\" }",
        ]);
        let sampler = match (self.shape.whole, self.errors) {
            (true, _) => "\"uniform\"",
            (false, true) => "[{ components = 0.34 }, { mask = 0.33 }, { errors = 0.33 }]",
            (false, false) => "[{ components = 0.5 }, { mask = 0.5 }]",
        };
        let labels = if self.keep_lesions {
            "keep-lesions"
        } else {
            "majority"
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
            self.spacing,
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

/// Three lengths, with four decimals at most.
fn written(lengths: &[f64; 3]) -> String {
    lengths
        .map(|l| {
            format!("{:.4}", l)
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
        })
        .join(" x ")
}
