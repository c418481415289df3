//! A line for each decision that the subjects' sizes and number come to.

use lacuna_data::transform::TransformConfig;
use lacuna_record::Fingerprint;
use lacuna_train::config::RunConfig;

use super::{Chosen, Decision, Few, PRIOR, written};
use crate::structure::Structure;

/// Takes what was decided, the choice, why, and the figure that it came from.
type Say<'a> = dyn FnMut(&str, &str, &str, String) + 'a;

impl Chosen {
    pub(super) fn tell(
        &self,
        fingerprint: &Fingerprint,
        structure: Option<Structure>,
        decisions: &mut Vec<Decision>,
    ) {
        let mut say = |what: &str, value: &str, reason: &str, figure: String| {
            decisions.push(Decision::new(what, value.to_owned(), reason, figure));
        };
        if let Few::Not(reason) = &self.few {
            say(
                "recipe for few patients",
                "not used",
                "they are not what brain-lesions-3d was measured on",
                reason.clone(),
            );
        }
        match &self.few {
            Few::Recipe(recipe) => tell_recipe(recipe, fingerprint, &mut say),
            Few::Not(_) | Few::Many => {
                self.tell_shape(structure, &mut say);
                self.tell_training(fingerprint, &mut say);
            }
        }
        tell_loss(fingerprint, &mut say);
        if let Some(structure) = structure {
            say(
                "advice",
                structure.preset().advice,
                "what is known of the structure",
                structure.to_string(),
            );
        }
    }

    fn tell_shape(&self, structure: Option<Structure>, say: &mut Say<'_>) {
        let (shape, scene) = (&self.shape, &self.scene);
        let subject_mm = std::array::from_fn(|a| scene.shape[a] * scene.spacing_mm[a]);
        say(
            "patch",
            &format!("{} voxels", shape.patch.map(|n| n.to_string()).join(" x ")),
            match (shape.whole, structure) {
                (true, _) => "the median subject fits into it",
                (false, Some(_)) => "the preset's size, within 64^3 voxels",
                (false, None) => {
                    "twice the components of the 95th percentile, 32 voxels at least (48 in 2-D), \
                     within 64^3 voxels"
                }
            },
            format!(
                "components {} mm, subjects {} mm",
                written(&scene.component_mm),
                written(&subject_mm)
            ),
        );
        say(
            "halvings along x, y, z",
            &shape.halvings.map(|n| n.to_string()).join(", "),
            "an axis is halved while 4 voxels stay, 3 times at most, and not while it is twice as coarse as another",
            format!("spacing {} mm", written(&scene.spacing_mm)),
        );
        say(
            "batch",
            &self.batch.to_string(),
            match shape.whole {
                true => "each patch is a subject; more steps serve better than larger ones",
                false => {
                    "as many voxels as two patches of 64^3: small patches need company for the Dice term"
                }
            },
            format!("{} voxels in a patch", shape.voxels()),
        );
    }

    /// Normalisation, sampler and augmentation.
    fn tell_training(&self, fingerprint: &Fingerprint, say: &mut Say<'_>) {
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
        let share = share(fingerprint);
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
        if let Some((modality, contrast)) = &self.uneven {
            say(
                "contrast",
                "gamma .3 to 3 on four of five patches",
                "foreground is not as bright in one subject as in another, so that networks must \
                 go by other than brightness",
                format!(
                    "{modality}: foreground differs by {:.2} SDs of the inside between subjects, \
                     by {:.2} within one",
                    contrast.between_subjects, contrast.within_subjects
                ),
            );
        }
    }
}

/// What is the same for all.
fn tell_loss(fingerprint: &Fingerprint, say: &mut Say<'_>) {
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
}

/// The lines of a few patients' run.
fn tell_recipe(recipe: &RunConfig, fingerprint: &Fingerprint, say: &mut Say<'_>) {
    say(
        "recipe",
        "brain-lesions-3d",
        "few patients: a network of a usual size learns what is theirs alone, one that sees 16 mm \
         finds lesions in others too",
        format!(
            "{} subjects; measured from one patient to another: docs/recipe.md",
            fingerprint.subjects.len()
        ),
    );
    say(
        "normalisation",
        "multiples of grey matter, 0 outside",
        "what is so many times as bright as grey matter is the same number in each",
        "grey matter is found in the T1 of every subject".to_owned(),
    );
    say(
        "patch, batch",
        &format!(
            "{} voxels a side, {} a batch",
            recipe.patch.size, recipe.train.batch
        ),
        "the recipe's: some more than what a voxel sees",
        "2 stages, batch norm, which keeps absolute intensities".to_owned(),
    );
    say(
        "sampler",
        "halves: lesions, anywhere inside",
        "a prediction sees mostly tissue without lesions, and lesions count alike by number",
        share(fingerprint),
    );
    let flips = recipe
        .transform
        .iter()
        .any(|t| matches!(t, TransformConfig::Flip(_)));
    say(
        "augmentation",
        match flips {
            true => "pasted lesions, scale of .5 to 2.5, rotation, left-right flips, intensities",
            false => "pasted lesions, scale of .5 to 2.5, rotation, intensities",
        },
        "lesions larger, smaller and elsewhere than those of so few",
        match flips {
            true => "the recipe's".to_owned(),
            false => "class names tell left from right, so nothing is mirrored".to_owned(),
        },
    );
}

fn share(fingerprint: &Fingerprint) -> String {
    let rarest = (fingerprint.foreground.iter())
        .map(|c| c.share_inside.p50)
        .fold(1.0, f64::min);
    format!(
        "rarest class: {:.4} % of the inside in the median subject",
        100.0 * rarest
    )
}
