//! A plan for the brains of a few patients, from whom a network of a usual size learns what is
//! theirs alone.
//!
//! The run is the recipe `brain-lesions-3d`: intensities as multiples of grey matter, and a small
//! network that sees 16 mm. docs/recipe.md has what it brought where one patient was learnt from
//! and another tested on.

use std::path::Path;

use lacuna_data::manifest::Manifest;
use lacuna_data::subject::{CaseError, load_case};
use lacuna_data::transform::TransformConfig;
use lacuna_record::Fingerprint;
use lacuna_record::fingerprint::SubjectFingerprint;
use lacuna_train::config::{BRAIN_LESIONS_3D, GeometryConfig, RunConfig};
use lacuna_train::dataset::preprocess;

use super::folds::with_lesions;
use super::shape::COARSER;
use crate::structure::Structure;

/// Patients with lesions of whom there are few. One to learn from was measured.
const MOST_PATIENTS: usize = 3;
/// Volumes in ml of what is inside where that is a brain, and not a head.
const BRAIN_ML: [f64; 2] = [400.0, 2200.0];
/// Components of a class in the median subject from which they are lesions, which lie anywhere.
const LEAST_COMPONENTS: f64 = 3.0;
/// Iterations of a training at most for each patient that it sees.
pub(super) const ITERATIONS: u64 = 200;
/// Networks at most whose mean is the model.
pub(super) const NETWORKS: usize = 5;

/// Whether these are brains of a few patients for whom the recipe is.
pub(super) enum Few {
    /// They are.
    Recipe(Box<RunConfig>),
    /// They are not, for this reason.
    Not(String),
    /// There are more patients.
    Many,
}

impl Few {
    /// Of subjects on a grid of edges `spacing_mm` along x, y, z, the `geometry` of the run;
    /// `sided` where left is told from right. Reads all of them where all else is as the recipe
    /// asks for.
    pub fn of(
        manifest: &Manifest,
        fingerprint: &Fingerprint,
        structure: Option<Structure>,
        spacing_mm: [f64; 3],
        geometry: GeometryConfig,
        sided: bool,
    ) -> Self {
        if with_lesions(fingerprint) > MOST_PATIENTS {
            return Self::Many;
        }
        let recipe = recipe(geometry, sided);
        let reason = unlike(&recipe, fingerprint, structure, spacing_mm)
            .or_else(|| unprepared(&recipe, manifest, fingerprint));
        match reason {
            Some(reason) => Self::Not(reason),
            None => Self::Recipe(Box::new(recipe)),
        }
    }
}

/// The run that the recipe is, without its time.
fn recipe(geometry: GeometryConfig, sided: bool) -> RunConfig {
    let recipe = RunConfig::parse(BRAIN_LESIONS_3D, &[], "the recipe", Path::new(""));
    let mut config = recipe.expect("a recipe is a run");
    config.geometry = geometry;
    config
        .transform
        .retain(|t| !sided || !matches!(t, TransformConfig::Flip(_)));
    config.train.budget = None;
    config.train.restarts = 1;
    config.train.checkpoint_every = 50;
    config
}

/// What sets these subjects apart from those that the recipe was measured on.
fn unlike(
    recipe: &RunConfig,
    fingerprint: &Fingerprint,
    structure: Option<Structure>,
    spacing_mm: [f64; 3],
) -> Option<String> {
    if let Some(structure) = structure
        && !matches!(structure, Structure::MsLesion | Structure::Wmh)
    {
        return Some(format!("not measured for {structure}"));
    }
    let counts = fingerprint
        .foreground
        .iter()
        .map(|c| c.components_per_subject.p50);
    let fewest = counts.fold(f64::INFINITY, f64::min);
    if fewest < LEAST_COMPONENTS {
        return Some(format!(
            "{fewest} components in the median subject, as anatomy has"
        ));
    }
    let finest = spacing_mm.into_iter().fold(f64::INFINITY, f64::min);
    if spacing_mm.into_iter().any(|mm| mm >= COARSER * finest) {
        return Some("the slices are thick".to_owned());
    }
    let extents = fingerprint
        .foreground
        .iter()
        .filter_map(|c| c.extents.as_ref());
    let wide = extents.flat_map(|e| e.p95_mm).fold(0.0, f64::max);
    let patch = recipe.patch.size.mean_edge() * finest;
    if wide > patch {
        return Some(format!(
            "components are {wide:.0} mm wide, and its patches {patch:.0} mm"
        ));
    }
    let [least, most] = BRAIN_ML;
    let ml = |s: &SubjectFingerprint| s.inside_voxels as f64 * s.voxel_mm3 / 1000.0;
    let mut subjects = fingerprint.subjects.iter();
    let other = subjects.find(|s| !(least..=most).contains(&ml(s)))?;
    Some(format!(
        "{:.0} ml are inside in {}, and {least:.0} to {most:.0} in an extracted brain",
        ml(other),
        other.id
    ))
}

/// Why a subject cannot be prepared as the recipe has it.
fn unprepared(
    recipe: &RunConfig,
    manifest: &Manifest,
    fingerprint: &Fingerprint,
) -> Option<String> {
    let prepare = preprocess(recipe);
    let used = |id: &String| fingerprint.subjects.iter().any(|s| s.id == *id);
    let mut subjects = manifest.subjects.iter().filter(|s| used(&s.id));
    let error = subjects.find_map(|subject| load_case(manifest, subject, &prepare).err())?;
    // Neither where files lie, as the card travels, nor what to do about it.
    let told = match error {
        CaseError::Normalise {
            subject,
            modality,
            source,
            ..
        } => format!("{modality} of {subject}: {source}"),
        other => other.to_string(),
    };
    told.split(';').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use lacuna_data::fingerprint;
    use lacuna_data::normalise::NormaliseMethod;
    use lacuna_data::phantom::{PhantomConfig, write_cohort};
    use tempfile::TempDir;

    use super::*;

    /// Phantoms of 1.1 l in voxels of 4 mm, changed in their manifest.
    fn brains(
        subjects: usize,
        change: impl Fn(String) -> String,
    ) -> (TempDir, Manifest, Fingerprint) {
        let folder = tempfile::tempdir().unwrap();
        let config = PhantomConfig {
            subjects,
            shape: [36, 42, 36],
            spacing: [4.0; 3],
            foreground_share: 5e-3,
            ..PhantomConfig::default()
        };
        let dataset = write_cohort(&config, folder.path()).unwrap();
        let text = std::fs::read_to_string(&dataset).unwrap();
        std::fs::write(&dataset, change(text)).unwrap();
        let manifest = Manifest::read(&dataset).unwrap();
        let found = fingerprint::of(&manifest, &[], &mut |_, _| {}).unwrap();
        (folder, manifest, found)
    }

    fn few(manifest: &Manifest, fingerprint: &Fingerprint, structure: Option<Structure>) -> Few {
        let geometry = GeometryConfig::default();
        Few::of(manifest, fingerprint, structure, [4.0; 3], geometry, false)
    }

    fn reason(few: Few) -> String {
        match few {
            Few::Not(reason) => reason,
            Few::Recipe(_) => panic!("the recipe is used"),
            Few::Many => panic!("they are many"),
        }
    }

    #[test]
    fn brains_of_two_patients_get_the_recipe() {
        let (_folder, manifest, mut fingerprint) = brains(2, |text| text);
        let Few::Recipe(run) = few(&manifest, &fingerprint, None) else {
            panic!("{}", reason(few(&manifest, &fingerprint, None)));
        };
        assert_eq!(run.normalise.method, NormaliseMethod::GreyMatter);
        assert_eq!(run.train.budget, None);
        let flips = |run: &RunConfig| {
            let flip = |t: &TransformConfig| matches!(t, TransformConfig::Flip(_));
            run.transform.iter().any(flip)
        };
        assert!(flips(&run) && !flips(&recipe(GeometryConfig::default(), true)));

        let told = |of| reason(few(&manifest, &fingerprint, Some(of)));
        assert!(told(Structure::Microbleed).contains("microbleed"));
        assert!(matches!(
            few(&manifest, &fingerprint, Some(Structure::MsLesion)),
            Few::Recipe(_)
        ));
        let count = &mut fingerprint.foreground[0].components_per_subject.p50;
        let before = std::mem::replace(count, 2.0);
        let told = reason(few(&manifest, &fingerprint, None));
        assert!(told.starts_with("2 components"), "{told}");
        fingerprint.foreground[0].components_per_subject.p50 = before;
        // A head: 3 l inside.
        fingerprint.subjects[1].inside_voxels = 3_000_000 / 64;
        let told = reason(few(&manifest, &fingerprint, None));
        assert!(told.starts_with("3000 ml are inside in sub-02"), "{told}");
        let extents = fingerprint.foreground[0].extents.as_mut().unwrap();
        extents.p95_mm = [10.0, 140.0, 10.0];
        let told = reason(few(&manifest, &fingerprint, None));
        assert!(
            told.contains("140 mm wide") && told.contains("128 mm"),
            "{told}"
        );
    }

    #[test]
    fn others_do_not() {
        let (_folder, manifest, fingerprint) = brains(4, |text| text);
        assert!(matches!(few(&manifest, &fingerprint, None), Few::Many));
        let renamed = |text: String| text.replace("T1", "PD").replace("PD.nii", "T1.nii");
        let (_folder, manifest, fingerprint) = brains(2, renamed);
        let told = reason(few(&manifest, &fingerprint, None));
        assert!(told.contains("sub-01") && told.contains("T1"), "{told}");
    }

    /// As after a z-score: what is brighter than what means nothing.
    #[test]
    fn images_without_a_zero_do_not() {
        let (folder, manifest, fingerprint) = brains(2, |text| text);
        let path = folder.path().join("sub-02/T2.nii.gz");
        let read = lacuna_io::read(&path).unwrap();
        let image = &read.volumes[0];
        let inside = || image.data().iter().filter(|value| **value != 0.0);
        let mean = inside().sum::<f32>() / inside().count() as f32;
        let shifted = image.map(|value| if *value == 0.0 { 0.0 } else { value - mean });
        lacuna_io::write_image(&path, &shifted, &read.reference).unwrap();
        let told = reason(few(&manifest, &fingerprint, None));
        assert!(
            told.starts_with("T2 of sub-02: the median of grey matter is"),
            "{told}"
        );
    }
}
