//! Subjects that are read from disk are those in memory, to the last bit.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lacuna_data::cohort::{Cohort, CohortError, Finish, Store};
use lacuna_data::manifest::{Manifest, Subject};
use lacuna_data::normalise::{NormaliseConfig, NormaliseMethod};
use lacuna_data::sampler::{Batch, PatchConfig, PatchGeometry, Sampler, SamplerKind};
use lacuna_data::subject::{Case, CaseError, Preprocess};
use lacuna_data::transform::{MapsRead, Setting, TransformConfig, check};
use lacuna_io::{Reference, write_image, write_labels};
use lacuna_volume::{Affine, PatchSize, Spacing, Volume};

#[derive(Debug)]
enum Error {
    Case(CaseError),
    Cohort(CohortError),
}

impl From<CaseError> for Error {
    fn from(error: CaseError) -> Self {
        Self::Case(error)
    }
}

impl From<CohortError> for Error {
    fn from(error: CohortError) -> Self {
        Self::Cohort(error)
    }
}

/// Three subjects of 9 x 8 x 7 voxels with two images, a label of two classes, a
/// mask and weights.
struct Files {
    folder: tempfile::TempDir,
    manifest: Manifest,
}

fn volume(value: impl Fn(usize) -> f32) -> Volume<f32> {
    let data = (0..9 * 8 * 7).map(value).collect();
    let affine = Affine::from_spacing(Spacing([1.0, 1.0, 2.0]));
    Volume::new([9, 8, 7], affine, data).unwrap()
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let subjects = (0..3).map(|s| Self::subject(folder.path(), s)).collect();
        let classes = ["background", "lesion", "scar"].map(str::to_owned).to_vec();
        let manifest = Manifest::new(
            &folder.path().join("dataset.toml"),
            "three".to_owned(),
            vec!["T1".to_owned(), "T2".to_owned()],
            classes.clone(),
            (0..).zip(classes).collect(),
            subjects,
        );
        Self {
            manifest: manifest.unwrap(),
            folder,
        }
    }

    fn subject(folder: &Path, s: usize) -> Subject {
        let path = |name: &str| folder.join(format!("{s}-{name}.nii.gz"));
        let image = |name: &str, volume: Volume<f32>| {
            let header = Reference::from_grid(&volume.grid());
            write_image(path(name), &volume, &header).unwrap();
            path(name)
        };
        let map = |name: &str, volume: Volume<f32>| {
            let header = Reference::from_grid(&volume.grid());
            write_labels(path(name), &volume.map(|v| *v as u8), &header).unwrap();
            path(name)
        };
        // Whole numbers in the first image, as scanned; many values in the second.
        let first = image("T1", volume(|i| ((i * 7 + s) % 90) as f32));
        let second = image("T2", volume(|i| 1.0 + (i as f32 * 0.37 + s as f32).sin()));
        Subject {
            group: None,
            scanner: None,
            spacing: None,
            id: format!("sub.{s}"),
            images: [("T1", first), ("T2", second)]
                .map(|(name, path)| (name.to_owned(), path.into()))
                .into(),
            label: Some(map("label", volume(|i| (i % 31 / 14) as f32))),
            mask: Some(map("mask", volume(|i| f32::from(u8::from(i % 5 > 0))))),
            weight: Some(image("weight", volume(|i| (i % 3) as f32))),
            white_matter: None,
        }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.cache()).into_iter().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn cohort(&self, memory: u64, spacing: Option<[f64; 3]>) -> (Cohort, Vec<String>) {
        self.cohort_in(memory, spacing, Some(self.cache())).unwrap()
    }

    fn cohort_in(
        &self,
        memory: u64,
        spacing: Option<[f64; 3]>,
        cache: Option<PathBuf>,
    ) -> Result<(Cohort, Vec<String>), Vec<Error>> {
        let finish = Finish {
            key: "test maps".to_owned(),
            apply: &|case: &mut Case| {
                let label = case.label.as_ref().unwrap();
                case.maps.distance = (0..2)
                    .map(|c| label.map(|v| f32::from(*v) - c as f32 / 3.0))
                    .collect();
                case.maps.lesion = Some(label.map(|v| 70_000 * u32::from(*v)));
                case.maps.weight = case.weight.clone();
                Ok(())
            },
        };
        let preprocess = Preprocess {
            normalise: NormaliseConfig {
                method: NormaliseMethod::ZScore,
                ..NormaliseConfig::default()
            },
            spacing,
            ..Preprocess::default()
        };
        let subjects: Vec<&Subject> = self.manifest.subjects.iter().collect();
        let mut notes = Vec::new();
        let mut note = |text| notes.push(text);
        let cohort = Store::new(memory, cache).cohort(
            &self.manifest,
            &subjects,
            &preprocess,
            &finish,
            &mut note,
        )?;
        Ok((cohort, notes))
    }
}

fn batches(cohort: Cohort, sampler: SamplerKind, sizes: (usize, usize)) -> Vec<Batch> {
    transformed(cohort, sampler, sizes, "")
}

/// With the list `transform` of a run.
fn transformed(
    cohort: Cohort,
    sampler: SamplerKind,
    (rank, input): (usize, usize),
    transforms: &str,
) -> Vec<Batch> {
    let config = PatchConfig {
        sampler: sampler.into(),
        ..PatchConfig::default()
    };
    let geometry = PatchGeometry {
        rank,
        input: PatchSize::Edge(input).along(rank).unwrap(),
        effective: PatchSize::Edge(input - 2).along(rank).unwrap(),
    };
    let setting = Setting {
        geometry,
        plane: config.plane,
        channels: 2,
        reads: MapsRead::default(),
    };
    let list: BTreeMap<String, Vec<TransformConfig>> =
        toml::from_str(&format!("transform = [{transforms}]")).unwrap();
    check(&list["transform"], &setting).unwrap();
    let built = list["transform"].iter();
    let built = built.map(|t| t.build(&setting, &cohort).unwrap()).collect();
    let (sampler, _) = Sampler::new(Arc::new(cohort), &config, geometry, 3).unwrap();
    let sampler = sampler.with_transforms(built);
    (0..20).map(|i| sampler.batch(i, 3).unwrap()).collect()
}

const ALL: u64 = u64::MAX;

#[test]
fn patches_from_disk_are_those_from_memory() {
    let files = Files::new();
    let kinds = [
        SamplerKind::Foreground,
        SamplerKind::Uniform,
        SamplerKind::Balanced,
        SamplerKind::Weighted,
    ];
    for spacing in [None, Some([1.3, 1.0, 1.5])] {
        for kind in kinds {
            // The last is larger than the volumes.
            for geometry in [(3, 4), (2, 5), (3, 12)] {
                let held = batches(files.cohort(ALL, spacing).0, kind, geometry);
                let read = batches(files.cohort(0, spacing).0, kind, geometry);
                assert_eq!(read, held, "{kind} {geometry:?} {spacing:?}");
                assert!(!held[0].maps.distance.is_empty() && !held[0].maps.lesion.is_empty());
            }
        }
    }
    // One file for each subject and spacing, shared by all cohorts.
    assert_eq!(files.files().len(), 6);
}

#[test]
fn transformed_patches_from_disk_are_those_from_memory() {
    let files = Files::new();
    let transforms = "{ name = 'flip', axes = ['left-right'] }, \
        { name = 'spatial', rotation_probability = 0.7, elastic_probability = 0.3 }, \
        { name = 'noise', probability = 0.5 }, { name = 'channel-dropout' }";
    for geometry in [(3, 6), (2, 7)] {
        let batches = |memory, transforms| {
            let cohort = files.cohort(memory, None).0;
            transformed(cohort, SamplerKind::Uniform, geometry, transforms)
        };
        let held = batches(ALL, transforms);
        assert_eq!(batches(0, transforms), held);
        let plain = batches(ALL, "");
        let changed = held.iter().zip(&plain).filter(|(a, b)| a != b).count();
        assert!(changed > 15, "{changed}");
        for (held, plain) in held.iter().zip(&plain) {
            assert_eq!(held.places, plain.places);
            assert_eq!(held.images.len(), plain.images.len());
            assert_eq!(held.maps.distance.len(), plain.maps.distance.len());
        }
    }
}

#[test]
fn whole_subjects_from_disk_are_those_from_memory() {
    let files = Files::new();
    for spacing in [None, Some([2.0, 2.0, 2.0])] {
        let (held, read) = (files.cohort(ALL, spacing).0, files.cohort(0, spacing).0);
        assert_eq!((held.on_disk(), read.on_disk()), (0, 3));
        for i in 0..3 {
            let (a, b) = (held.case(i).unwrap(), read.case(i).unwrap());
            assert_eq!((&a.id, a.lost), (&b.id, b.lost));
            assert_eq!(a.channels, b.channels);
            assert_eq!(
                (&a.label, &a.mask, &a.weight),
                (&b.label, &b.mask, &b.weight)
            );
            assert_eq!(a.maps.distance, b.maps.distance);
            assert_eq!(a.maps.lesion, b.maps.lesion);
            assert_eq!(
                (a.source.grid, &a.source.mask),
                (b.source.grid, &b.source.mask)
            );
            assert_eq!(a.source.reference, b.source.reference);
        }
    }
}

#[test]
fn subjects_stay_in_memory_in_their_order_as_far_as_it_reaches() {
    let files = Files::new();
    // 504 voxels: 2 channels, weight, 2 distances, lesion and loss weight of 4 bytes,
    // label and mask of one.
    let subject = 504 * (7 * 4 + 2);
    for (memory, on_disk) in [(3 * subject, 0), (3 * subject - 1, 1), (subject, 2)] {
        let (cohort, notes) = files.cohort(memory, None);
        assert_eq!(cohort.on_disk(), on_disk);
        assert_eq!(notes.len(), usize::from(on_disk > 0));
        let ids: Vec<&str> = (0..3).map(|i| cohort.id(i)).collect();
        assert_eq!(ids, ["sub.0", "sub.1", "sub.2"]);
        let told = format!("{on_disk} of 3 subjects do not fit into train.memory");
        assert!(
            notes.iter().all(|note| note.starts_with(&told)),
            "{notes:?}"
        );
    }
}

#[test]
fn a_file_that_is_damaged_or_of_something_else_is_made_anew_and_told() {
    let files = Files::new();
    let expected = batches(files.cohort(ALL, None).0, SamplerKind::Uniform, (3, 4));
    files.cohort(0, None);
    let good = fs::read(&files.files()[0]).unwrap();
    let flip = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let other = fs::read(&files.files()[1]).unwrap();
    let damaged = [
        (flip(0), "damaged"),
        (flip(20), "damaged"),
        (flip(good.len() - 1), "damaged"),
        (good[..good.len() - 1].to_vec(), "damaged"),
        (Vec::new(), "damaged"),
        (other, "prepared in another way"),
    ];
    for (bytes, found) in damaged {
        fs::write(&files.files()[0], bytes).unwrap();
        let (cohort, notes) = files.cohort(0, None);
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(
            notes[0].contains("made anew") && notes[0].contains(found),
            "{notes:?}"
        );
        assert_eq!(fs::read(&files.files()[0]).unwrap(), good);
        assert_eq!(batches(cohort, SamplerKind::Uniform, (3, 4)), expected);
    }
    assert_eq!(files.cohort(0, None).1.len(), 1);

    // Another label: another file, and the old one stays for whom it serves.
    let label = files.manifest.subjects[0].label.clone().unwrap();
    fs::copy(files.manifest.subjects[0].mask.as_ref().unwrap(), label).unwrap();
    let (changed, notes) = files.cohort(0, None);
    assert_eq!((files.files().len(), notes.len()), (4, 1));
    assert_eq!(
        changed.case(0).unwrap().label,
        files.cohort(ALL, None).0.case(0).unwrap().label
    );
}

#[test]
fn a_file_that_vanishes_while_it_is_used_is_an_error_that_names_it() {
    let files = Files::new();
    let (cohort, _) = files.cohort(0, None);
    fs::remove_dir_all(files.cache()).unwrap();
    let error = cohort.case(1).unwrap_err().to_string();
    assert!(
        error.contains("subject sub.1") && error.contains("sub_1-"),
        "{error}"
    );
}

#[test]
fn a_folder_that_cannot_take_subjects_is_one_clear_error() {
    let files = Files::new();
    let refused = |cache: Option<PathBuf>| {
        let errors = files.cohort_in(0, None, cache).map(|_| ()).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        match &errors[0] {
            Error::Cohort(error) => error.to_string(),
            Error::Case(error) => panic!("{error}"),
        }
    };
    let error = refused(None);
    assert!(error.contains("set train.cache"), "{error}");
    let file = files.folder.path().join("a-file");
    fs::write(&file, "").unwrap();
    let error = refused(Some(file.clone()));
    let named = error.contains("a-file") && error.contains("train.cache");
    assert!(named, "{error}");
    // Files can be made nowhere in /proc, as on a disk that is full or read-only.
    #[cfg(target_os = "linux")]
    {
        let error = refused(Some(PathBuf::from("/proc/self/fdinfo")));
        let named = error.contains("/proc/self/fdinfo") && error.contains("set train.cache");
        assert!(named, "{error}");
    }
}

#[test]
fn every_subject_that_cannot_be_prepared_is_told_at_once() {
    let mut files = Files::new();
    files.manifest.subjects[0].label = Some(files.folder.path().join("none-0.nii.gz"));
    files.manifest.subjects[2].mask = Some(files.folder.path().join("none-2.nii.gz"));
    for memory in [0, ALL] {
        let errors = files
            .cohort_in(memory, None, Some(files.cache()))
            .map(|_| ())
            .unwrap_err();
        let errors = format!("{errors:?}");
        assert!(
            errors.contains("none-0") || errors.contains("sub.0"),
            "{errors}"
        );
        assert!(errors.contains("sub.2"), "{errors}");
    }
}
