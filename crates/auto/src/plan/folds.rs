//! Which subjects each training sees, and which it is judged on.

use std::collections::BTreeSet;

use lacuna_data::manifest::Manifest;
use lacuna_data::split::{Member, alike, stratified_folds};
use lacuna_record::Fingerprint;
use serde::{Deserialize, Serialize};

use super::Decision;
use super::few::ITERATIONS;
use crate::error::AutoError;

/// Folds unless there are fewer patients or little time.
const FOLDS: usize = 5;

/// One training of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The name of its run folder.
    pub name: String,
    /// Subjects that train.
    pub train: Vec<String>,
    /// Subjects that it is judged on; empty for a training on all.
    pub held_out: Vec<String>,
    /// Share of the time of all trainings.
    pub share: f64,
    /// Whether its network is part of the model.
    pub in_model: bool,
    /// Iterations at most, where longer trainings serve worse.
    #[serde(default)]
    pub most_iterations: Option<u64>,
}

/// The folds that a file gives, as trainings.
pub(super) fn of_lists(lists: &[(Vec<String>, Vec<String>)]) -> Vec<Training> {
    let share = 1.0 / lists.len() as f64;
    let fold = |(k, (train, held_out)): (usize, &(Vec<String>, Vec<String>))| Training {
        name: format!("fold-{k}"),
        train: train.clone(),
        held_out: held_out.clone(),
        share,
        in_model: true,
        most_iterations: None,
    };
    lists.iter().enumerate().map(fold).collect()
}

/// How many patients have lesions.
pub(super) fn with_lesions(fingerprint: &Fingerprint) -> usize {
    let subjects = fingerprint.subjects.iter().filter(|s| !s.is_empty());
    subjects.map(|s| s.patient()).collect::<BTreeSet<_>>().len()
}

/// Trainings of at most `most` folds, by patient, with lesions in each. With `networks` each
/// fold is only judged, and the model is the mean of so many networks that see all, each as long
/// as [`ITERATIONS`] has it.
pub(super) fn draw(
    fingerprint: &Fingerprint,
    most: usize,
    networks: Option<usize>,
    seed: u64,
) -> Result<(Vec<Training>, Decision), AutoError> {
    let members: Vec<Member> = (fingerprint.subjects.iter())
        .map(|s| Member {
            id: s.id.clone(),
            group: s.group.clone(),
        })
        .collect();
    let everyone: BTreeSet<_> = fingerprint.subjects.iter().map(|s| s.patient()).collect();
    let loads: Vec<f64> = fingerprint
        .subjects
        .iter()
        .map(|s| s.foreground_mm3())
        .collect();
    let patients = with_lesions(fingerprint);
    let found = format!(
        "{} subjects of {} patients, {} with lesions",
        members.len(),
        everyone.len(),
        patients
    );
    let ids = || members.iter().map(|m| m.id.clone());
    let of_all = |share: f64| {
        let count = networks.unwrap_or(1);
        let name = move |k| match networks {
            Some(_) => format!("all-{k}"),
            None => "all".to_owned(),
        };
        let train: Vec<String> = ids().collect();
        (0..count).map(move |k| Training {
            name: name(k),
            train: train.clone(),
            held_out: Vec::new(),
            share: share / count as f64,
            in_model: true,
            most_iterations: networks.map(|_| ITERATIONS * patients as u64),
        })
    };
    let count = patients.min(FOLDS).min(most.max(2));
    if patients < 2 {
        let told = Decision::new(
            "folds",
            format!("none: {} on all", times(networks.unwrap_or(1))),
            "nothing can be held out that has lesions: there will be no estimate and no tuning",
            found,
        );
        return Ok((of_all(1.0).collect(), told));
    }
    let folds = stratified_folds(&members, &loads, count, seed)?;
    let lists: Vec<(Vec<String>, Vec<String>)> = (folds.iter())
        .map(|held_out| {
            let train = ids().filter(|id| !held_out.contains(id)).collect();
            (train, held_out.clone())
        })
        .collect();
    let mut trainings = of_lists(&lists);
    if patients > 2 && networks.is_none() {
        let told = Decision::new(
            "folds",
            format!("{count}; the model is the mean of their networks"),
            "by patient, alike in lesion load; every subject is judged by a network that has not seen it",
            found,
        );
        return Ok((trainings, told));
    }
    let held_out = trainings.len() as f64;
    // By patients seen where there are several of all; short where one is to have the time.
    let seen = (patients - 1) as f64;
    let share = networks.map_or(0.22, |count| {
        seen / (held_out * seen + (count * patients) as f64)
    });
    for training in &mut trainings {
        training.share = share;
        training.in_model = false;
        training.most_iterations = networks.map(|_| ITERATIONS * (patients as u64 - 1));
    }
    trainings.extend(of_all(1.0 - share * held_out));
    let told = Decision::new(
        "folds",
        match networks {
            None => {
                "hold-out: each patient once, then one training on all that is the model".to_owned()
            }
            Some(count) => format!(
                "hold-out: each patient once, then {} on all, whose mean is the model",
                times(count)
            ),
        },
        "with so few patients a network of a fold has seen too little; scores and tuning are of the hold-outs, the model will be better than they say",
        found,
    );
    Ok((trainings, told))
}

fn times(trainings: usize) -> String {
    match trainings {
        1 => "one training".to_owned(),
        count => format!("{count} trainings"),
    }
}

/// Subjects that look like one patient's, where a training has seen one that another is judged
/// on: what to do about it, among the decisions, as scores would be too good.
pub(super) fn parted(manifest: &Manifest, trainings: &[Training]) -> Option<Decision> {
    let members = manifest.labelled();
    let parts = |ids: &Vec<&str>| {
        trainings.iter().any(|t| {
            let has = |side: &[String]| ids.iter().any(|id| side.iter().any(|s| s == id));
            has(&t.train) && has(&t.held_out)
        })
    };
    let patients: Vec<_> = alike(&members).into_iter().filter(parts).collect();
    (!patients.is_empty()).then(|| {
        let sets = patients.iter().map(|ids| ids.join(" and "));
        let mut told: Vec<String> = sets.take(3).collect();
        if patients.len() > told.len() {
            told.push("...".to_owned());
        }
        Decision::new(
            "WARNING: one patient on both sides",
            format!(
                "{} set(s) of subjects look like one patient's",
                patients.len()
            ),
            "what is trained on tells of what is held out, and scores are too good: if they are, \
             give them the same `group` in the manifest",
            told.join("; "),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::phantoms;

    /// Visits without a group are told where a fold parts them, and nowhere else.
    #[test]
    fn parted_visits_are_told() {
        let (folder, _) = phantoms(4);
        let path = folder.path().join("dataset.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("\"sub-02\"", "\"sub-01Ses2\"");
        let text = text.replace("\"sub-01\"", "\"sub-01Ses1\"");
        std::fs::write(&path, text).unwrap();
        let manifest = Manifest::read(&path).unwrap();
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let together = (ids(&["sub-03"]), ids(&["sub-01Ses1", "sub-01Ses2"]));
        assert_eq!(parted(&manifest, &of_lists(&[together])), None);
        let apart = (ids(&["sub-01Ses1", "sub-03"]), ids(&["sub-01Ses2"]));
        let told = parted(&manifest, &of_lists(&[apart])).unwrap();
        assert_eq!(told.figure, "sub-01Ses1 and sub-01Ses2");
    }

    /// Six visits of three patients: three folds, in none of them a patient on both sides.
    #[test]
    fn patients_stay_together() {
        let (_folder, mut fingerprint) = phantoms(6);
        for (at, subject) in fingerprint.subjects.iter_mut().enumerate() {
            subject.group = Some(format!("patient-{}", at / 2));
        }
        let (trainings, told) = draw(&fingerprint, usize::MAX, None, 0).unwrap();
        assert!(
            told.figure
                .contains("6 subjects of 3 patients, 3 with lesions")
        );
        assert_eq!(trainings.len(), 3);
        for training in &trainings {
            let patient = |id: &String| {
                let subject = fingerprint.subjects.iter().find(|s| s.id == *id);
                subject.and_then(|s| s.group.clone())
            };
            let held: BTreeSet<_> = training.held_out.iter().map(patient).collect();
            assert_eq!((training.held_out.len(), held.len()), (2, 1));
            assert!(!training.train.iter().any(|id| held.contains(&patient(id))));
        }
        let (fewer, _) = draw(&fingerprint, 2, None, 0).unwrap();
        assert_eq!(fewer.len(), 2);
    }

    /// Hold-outs that are judged only, and networks of all that are the model.
    #[test]
    fn few_patients_get_several_networks_of_all() {
        for (patients, held_out) in [(3, 3), (2, 2), (1, 0)] {
            let (_folder, fingerprint) = phantoms(patients);
            let (trainings, told) = draw(&fingerprint, usize::MAX, Some(4), 0).unwrap();
            assert!(told.value.contains("4 trainings on all"), "{}", told.value);
            let of_all = trainings.iter().filter(|t| t.in_model);
            let names: Vec<&str> = of_all.clone().map(|t| t.name.as_str()).collect();
            assert_eq!(names, ["all-0", "all-1", "all-2", "all-3"]);
            assert!(of_all.clone().all(|t| t.train.len() == patients));
            assert_eq!(trainings.len(), held_out + 4);
            // 200 iterations for each patient that is seen, and the time shared by them.
            let seen = |t: &Training| 200 * t.train.len() as u64;
            let all: u64 = trainings.iter().map(seen).sum();
            for training in &trainings {
                assert_eq!(training.most_iterations, Some(seen(training)));
                let share = seen(training) as f64 / all as f64;
                assert!((training.share - share).abs() < 1e-12);
            }
        }
    }

    /// Patients without lesions are no reason for a fold without any.
    #[test]
    fn every_fold_has_lesions() {
        let (_folder, mut fingerprint) = phantoms(6);
        for subject in &mut fingerprint.subjects[3..] {
            subject
                .foreground
                .iter_mut()
                .for_each(|class| class.voxels = 0);
        }
        let with_lesions: Vec<String> = fingerprint.subjects[..3]
            .iter()
            .map(|s| s.id.clone())
            .collect();
        for seed in 0..20 {
            let (trainings, _) = draw(&fingerprint, usize::MAX, None, seed).unwrap();
            assert_eq!(trainings.len(), 3);
            for training in &trainings {
                let some = |ids: &[String]| ids.iter().any(|id| with_lesions.contains(id));
                assert!(
                    some(&training.train) && some(&training.held_out),
                    "seed {seed}"
                );
            }
        }
    }
}
