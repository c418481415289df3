//! The tables and curves of an evaluation, by hand.

use lacuna_metrics::{
    Bootstrap, Candidate, ClassScores, Froc, Options, PrecisionRecall, SubjectCandidates, Summary,
    evaluate_pair,
};
use lacuna_record::{ClassFroc, ClassPrecisionRecall, Evaluation, Overlay, SubjectScores};
use lacuna_report::curves::curves;
use lacuna_report::scores::{size_table, subject_scores, summary_scores, worst_first};
use lacuna_report::study::StudyTable;
use lacuna_volume::{Affine, LabelMap};

fn labels(data: [u8; 6]) -> LabelMap {
    LabelMap::new([6, 1, 1], Affine::identity(), data.to_vec()).unwrap()
}

/// Three subjects of six voxels of 1 mm³: DSC 1; 2/3, with a false component; and nothing
/// predicted of one lesion.
fn evaluation() -> Evaluation {
    let classes = ["background".to_owned(), "lesion".to_owned()];
    let score = |r, p| evaluate_pair(&labels(r), &labels(p), &classes, &Options::default());
    let rows: Vec<Vec<ClassScores>> = [
        ([1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]),
        ([0, 1, 0, 0, 0, 0], [0, 1, 0, 0, 0, 1]),
        ([1, 1, 0, 0, 0, 0], [0; 6]),
    ]
    .map(|(r, p)| score(r, p).unwrap())
    .to_vec();
    let subject = |(id, classes): (&str, &Vec<ClassScores>)| SubjectScores {
        subject: id.to_owned(),
        prediction: None,
        overlay: Overlay {
            file: "overlays/a.png".into(),
            caption: String::new(),
            size: [1, 1],
        },
        classes: classes.clone(),
    };
    Evaluation {
        provenance: None,
        predictions: "predictions".into(),
        dataset: None,
        label_values: false,
        notes: Vec::new(),
        summary: Summary::of(&rows, &Bootstrap::default()).unwrap(),
        froc: Vec::new(),
        precision_recall: Vec::new(),
        subjects: ["exact", "rough", "missed"]
            .into_iter()
            .zip(&rows)
            .map(subject)
            .collect(),
    }
}

fn column(table: &StudyTable, name: &str) -> Vec<String> {
    let at = table.columns.iter().position(|c| c.full_name() == name);
    let at = at.unwrap_or_else(|| panic!("no {name}"));
    table.rows.iter().map(|row| row[at].text.clone()).collect()
}

#[test]
fn the_worst_subject_comes_first() {
    let evaluation = evaluation();
    let order: Vec<&str> = (worst_first(&evaluation).iter())
        .map(|s| s.subject.as_str())
        .collect();
    assert_eq!(order, ["missed", "rough", "exact"]);
    let table = subject_scores(&evaluation);
    assert_eq!(column(&table, "Subject"), order);
    assert_eq!(column(&table, "Voxels, DSC"), ["0.000", "0.667", "1.000"]);
    // Of an empty prediction there is no precision.
    assert_eq!(column(&table, "Voxels, precision"), ["–", "0.500", "1.000"]);
    assert_eq!(column(&table, "Volume, mm³ too many"), ["-2", "+1", "+0"]);
    assert_eq!(column(&table, "Lesions, missed"), ["1", "0", "0"]);
    assert_eq!(column(&table, "Lesions, false"), ["0", "1", "0"]);
    // Words above, the name of the convention for a pointer.
    assert_eq!(table.columns[2].hint, "voxel; both-empty=1; one-empty=0");
    assert!(!table.columns.iter().any(|c| c.name.contains('=')));
}

#[test]
fn metrics_have_names_and_intervals() {
    let table = summary_scores(&evaluation());
    let dsc = table.rows.iter().find(|row| row[0].text == "DSC").unwrap();
    // Median of 0, 2/3 and 1; quartiles 1/3 and 5/6; mean 5/9.
    assert_eq!(dsc[2].text, "0.667 (0.500)");
    assert!(dsc[3].text.starts_with("0.556 ["), "{dsc:?}");
    assert!(!table.rows.iter().any(|row| row[0].text.contains('_')));
}

#[test]
fn sizes_are_counted_by_the_lesions_own_volume() {
    let table = size_table(&evaluation());
    assert_eq!(table.rows[0][0].text, "below 5");
    assert_eq!(column(&table, "Lesions of the reference, all")[0], "3");
    assert_eq!(column(&table, "Lesions of the reference, missed")[0], "1");
    assert_eq!(
        column(&table, "Lesions of the reference, share missed")[0],
        "33 %"
    );
    assert_eq!(column(&table, "Predicted components, all")[0], "3");
    assert_eq!(
        column(&table, "Predicted components, share false"),
        ["33 %", "–", "–", "–", "–"]
    );
}

/// Of four voxels, two of them foreground: precision 1 up to recall 1/2, then 2/3; and one of two
/// lesions found at one false positive per scan.
#[test]
fn curves_of_probabilities() {
    let mut evaluation = evaluation();
    assert_eq!(curves(&evaluation), []);
    let mut voxels = PrecisionRecall::default();
    voxels
        .add([(0.8, true), (0.4, false), (0.35, true), (0.1, false)])
        .unwrap();
    evaluation.precision_recall = vec![ClassPrecisionRecall {
        class: "a<b".to_owned(),
        all: voxels.average_precision(),
        subjects: Vec::new(),
        points: voxels.points(100),
    }];
    let candidate = |score, hits: &[usize]| Candidate {
        score,
        hits: hits.to_vec(),
    };
    let scan = SubjectCandidates {
        candidates: vec![candidate(0.9, &[]), candidate(0.8, &[1])],
        reference_lesions: 2,
    };
    evaluation.froc = vec![ClassFroc {
        class: "a<b".to_owned(),
        candidate_threshold: 0.1,
        connectivity: 26,
        froc: Froc::of(&[scan]).unwrap(),
    }];
    let drawn = curves(&evaluation);
    let [precision_recall, froc] = &drawn[..] else {
        panic!("{} charts", drawn.len());
    };
    assert!(precision_recall.svg.contains("a&lt;b: area 0.833"));
    // The axes hold 396 x 164 units: half of the way along the top, then a third down.
    assert!(
        precision_recall
            .svg
            .contains("d=\"M66 14L264 14L462 68.67\""),
        "{}",
        precision_recall.svg
    );
    assert!(froc.svg.contains("a&lt;b: mean 0.286"));
    assert!(froc.caption.contains("probability 0.10 and more"));
}
