//! The tables of lesions that an evaluation writes, on two small subjects.

use std::path::Path;

use lacuna_data::manifest::Manifest;
use lacuna_evaluate::{EvaluateError, Request, evaluate};
use lacuna_io::{Reference, write_image, write_image_4d, write_labels};
use lacuna_metrics::Options;
use lacuna_record::Evaluation;
use lacuna_volume::{Affine, Spacing, Volume};

/// Lines of 2 mm³ voxels along x in a volume of 12 x 3 x 3.
fn volume<T: Copy + Default>(line: [T; 12]) -> Volume<T> {
    let affine = Affine::from_spacing(Spacing([2.0, 1.0, 1.0]));
    let mut volume = Volume::filled([12, 3, 3], affine, T::default()).unwrap();
    for (x, value) in line.into_iter().enumerate() {
        let at = volume.index([x, 1, 1]);
        volume.data_mut()[at] = value;
    }
    volume
}

/// Subject a: lesions of 4 and 16 mm³, one found, and a false one of 2 mm³. Subject b: a
/// lesion of 2 mm³, found. Probabilities: 0.9 and 0.4 hit in a, 0.6 is false; 0.3 hits.
fn write_cohort(folder: &Path) {
    let subjects = [
        (
            "a",
            [1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1],
            [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            [0.9, 0.0, 0.0, 0.6, 0.0, 0.0, 0.0, 0.4, 0.0, 0.0, 0.0, 0.0],
        ),
        (
            "b",
            [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
            [0.0, 0.0, 0.0, 0.0, 0.2, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.05],
        ),
    ];
    let mut toml =
        "name = \"lines\"\nmodalities = [\"FLAIR\"]\nclasses = [\"background\", \"lesion\"]\n\
        label_values = { 0 = \"background\", 1 = \"lesion\" }\n"
            .to_owned();
    std::fs::create_dir(folder.join("pred")).unwrap();
    for (id, reference, prediction, probability) in subjects {
        let label = volume::<u8>(reference);
        let on = Reference::from_grid(&label.grid());
        write_labels(folder.join(format!("{id}.nii.gz")), &label, &on).unwrap();
        let image = label.map(|l| f32::from(*l));
        write_image(folder.join(format!("{id}-flair.nii.gz")), &image, &on).unwrap();
        let file = folder.join(format!("pred/{id}.nii.gz"));
        write_labels(file, &volume::<u8>(prediction), &on).unwrap();
        let lesion = volume::<f32>(probability);
        let maps = [lesion.map(|p| 1.0 - p), lesion];
        let file = folder.join(format!("pred/{id}.probabilities.nii.gz"));
        write_image_4d(file, &maps, &on).unwrap();
        toml += &format!(
            "[[subject]]\nid = \"{id}\"\nimages = {{ FLAIR = \"{id}-flair.nii.gz\" }}\nlabel = \"{id}.nii.gz\"\n"
        );
    }
    std::fs::write(folder.join("dataset.toml"), toml).unwrap();
}

fn evaluated(folder: &Path) -> Result<Evaluation, EvaluateError> {
    let manifest = Manifest::read(&folder.join("dataset.toml")).unwrap();
    let request = Request {
        manifest: &manifest,
        predictions: &folder.join("pred"),
        out: &folder.join("eval"),
        // Named twice, each is scored once.
        subjects: &["a", "b", "a"].map(str::to_owned),
        options: Options::default(),
        label_values: false,
        force: false,
        overlay: None,
    };
    evaluate(&request, &mut |_, _| {})
}

/// The rows of a table that begin with these cells, each the cells after them.
fn rows(folder: &Path, table: &str, first: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("eval").join(table)).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix(first).map(str::to_owned))
        .collect()
}

#[test]
fn tables_hold_each_subject_and_all_pooled() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_cohort(folder);
    let evaluation = evaluated(folder).unwrap();

    let wmh = |subject| {
        rows(
            folder,
            "lesion_conventions.csv",
            &format!("{subject},lesion,wmh,"),
        )
    };
    assert_eq!(wmh("a"), ["26,any voxel,none,2,1,2,1,0.5,0.5,0.5,,,,,"]);
    assert_eq!(wmh("b"), ["26,any voxel,none,1,1,1,0,1,1,1,,,,,"]);
    let [all] = &wmh("all subjects")[..] else {
        panic!("one row of all subjects");
    };
    assert!(
        all.starts_with("26,any voxel,none,3,2,3,1,0.6666666666666666,"),
        "{all}"
    );
    // IoU 1 of 2 in a and 1 of 1 in b: two pairs of 3 and 3, SQ 0.75, PQ 0.5.
    let half = rows(
        folder,
        "lesion_conventions.csv",
        "all subjects,lesion,one-to-one-iou-0.5,",
    );
    assert!(
        half[0].contains(",3,2,3,1,") && half[0].ends_with(",0.75,0.5,,"),
        "{half:?}"
    );

    let strata = |subject| {
        rows(
            folder,
            "lesion_strata.csv",
            &format!("{subject},lesion,wmh,"),
        )
    };
    assert_eq!(
        strata("a"),
        [
            "0,5,1,1,1,2,1",
            "5,15,0,0,,0,0",
            "15,50,1,0,0,0,0",
            "50,150,0,0,,0,0",
            "150,,0,0,,0,0"
        ]
    );
    assert_eq!(strata("all subjects")[0], "0,5,2,2,1,3,1");

    // At 0.9 one of three; a false one at 0.6 is 0.5 per scan, and then all are found.
    let froc = rows(folder, "froc.csv", "lesion,26,any voxel,0.100,2,3,4,");
    let sensitivities: Vec<f64> = (froc.iter())
        .map(|row| row.split(',').nth(1).unwrap().parse().unwrap())
        .collect();
    let third = 1.0 / 3.0;
    assert_eq!(sensitivities, [third, third, 1.0, 1.0, 1.0, 1.0, 1.0]);

    let read = Evaluation::read(&folder.join("eval")).unwrap().unwrap();
    assert_eq!(read, evaluation);
}

#[test]
fn without_probabilities_of_all_there_is_no_curve_and_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_cohort(folder);
    evaluated(folder).unwrap();
    std::fs::remove_file(folder.join("pred/b.probabilities.nii.gz")).unwrap();
    let evaluation = evaluated(folder).unwrap();
    assert!(evaluation.froc.is_empty());
    assert!(
        evaluation
            .notes
            .iter()
            .any(|note| note.contains("b.probabilities"))
    );
    assert!(!folder.join("eval/froc.csv").exists());
    std::fs::remove_file(folder.join("pred/a.probabilities.nii.gz")).unwrap();
    let notes = evaluated(folder).unwrap().notes;
    assert!(!notes.iter().any(|note| note.contains("FROC")), "{notes:?}");
}

/// What version 0.1.0 wrote had none of these.
#[test]
fn an_older_evaluation_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_cohort(folder);
    let written = evaluated(folder).unwrap();
    let file = folder.join("eval/summary.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json.as_object_mut().unwrap().remove("froc").unwrap();
    let class = json["summary"]["classes"][0].as_object_mut().unwrap();
    class.remove("lesion_detections").unwrap();
    class.remove("lesion_strata").unwrap();
    for subject in json["subjects"].as_array_mut().unwrap() {
        let class = subject["classes"][0].as_object_mut().unwrap();
        class.remove("lesion_detections").unwrap();
    }
    std::fs::write(&file, json.to_string()).unwrap();
    let read = Evaluation::read(&folder.join("eval")).unwrap().unwrap();
    assert!(read.froc.is_empty() && read.summary.classes[0].lesion_strata.is_empty());
    assert_eq!(
        read.summary.classes[0].metrics,
        written.summary.classes[0].metrics
    );
}
