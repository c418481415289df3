//! The page of an evaluation.

use lacuna_metrics::Distribution;
use lacuna_record::Evaluation;
use lacuna_report::curves::curves;
use lacuna_report::scores::{
    error_columns, range, share, size_table, subject_scores, summary_scores,
};
use lacuna_report::study::{Cell, Column, Gallery, Item, Section, StudyReport, StudyTable};
use lacuna_report::{Fact, Picture};

use super::advice::Advice;
use super::measure::{Measured, Placed, Side};
use super::pictures::{Drawn, largest, last_class, told};

/// Where a stratum of depth ends and the next begins, mm.
const DEPTHS_MM: [f64; 4] = [2.0, 5.0, 10.0, 20.0];
/// Most lesions of a table; lesions.csv of the evaluation has all.
const LISTED: usize = 20;

pub(super) fn of(
    title: &str,
    evaluation: &Evaluation,
    measured: &Measured,
    advice: &[Advice],
    drawn: Drawn,
) -> StudyReport {
    let mut sections = vec![
        next(advice),
        scores(evaluation),
        places(evaluation, measured),
    ];
    let notes: Vec<String> = (evaluation.notes.iter())
        .chain(&measured.notes)
        .chain(&drawn.notes)
        .cloned()
        .collect();
    sections.extend(pictures(drawn));
    if !notes.is_empty() {
        sections.push(Section {
            title: "Notes".to_owned(),
            text: notes,
            items: Vec::new(),
        });
    }
    StudyReport {
        title: format!("Evaluation {title}"),
        description: "Where the predictions are wrong, and what that says of the next step."
            .to_owned(),
        facts: facts(evaluation, &measured.lesions),
        abbreviations: "DSC: Dice similarity coefficient. HD95: 95 % Hausdorff distance. NSD: \
                        normalised surface distance. AVD: absolute volume difference. F1 1:1: each \
                        lesion paired at most once.",
        sections,
    }
}

fn facts(evaluation: &Evaluation, lesions: &[Placed]) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("Subjects", evaluation.subjects.len()),
        Fact::new("Predictions", evaluation.predictions.display()),
    ];
    if let Some(dataset) = &evaluation.dataset {
        facts.push(Fact::new("Dataset", dataset.display()));
    }
    let Some(class) = last_class(evaluation) else {
        return facts;
    };
    facts.push(Fact::new("Judged by", class));
    let of_class = evaluation.summary.classes.iter().find(|c| c.class == class);
    let metrics = of_class.map_or(&[][..], |c| &c.metrics);
    for (name, metric) in [("Mean DSC", "dsc"), ("Mean lesion F1", "lesion_f1")] {
        if let Some(found) = metrics.iter().find(|m| m.metric == metric) {
            facts.push(Fact::new(name, mean(&found.distribution)));
        }
    }
    for (name, side) in [
        ("Lesions missed", Side::Reference),
        ("False components", Side::Prediction),
    ] {
        let all = lesions
            .iter()
            .filter(|l| l.side == side && l.class == class);
        let wrong = largest(lesions, class, side).len();
        facts.push(Fact::new(name, format!("{wrong} of {}", all.count())));
    }
    facts
}

fn mean(d: &Distribution) -> String {
    match &d.mean_interval {
        Some(i) => format!("{:.3} [{:.3}, {:.3}]", d.mean, i.low, i.high),
        None => format!("{:.3}", d.mean),
    }
}

fn next(advice: &[Advice]) -> Section {
    let title = "What to try next, and why".to_owned();
    if advice.is_empty() {
        return Section {
            title,
            text: vec!["None of the rules holds: no kind of error stands out.".to_owned()],
            items: Vec::new(),
        };
    }
    let row = |a: &Advice| -> Vec<Cell> {
        vec![
            a.seen.as_str().into(),
            a.rule.into(),
            a.next.as_str().into(),
        ]
    };
    Section {
        title,
        text: Vec::new(),
        items: vec![Item::Table(StudyTable {
            id: "next".to_owned(),
            title: "Rules that hold".to_owned(),
            columns: ["Seen", "Rule", "Try"].map(Column::words).to_vec(),
            rows: advice.iter().map(row).collect(),
            convention: "Rules look at the class that the page is judged by, over all subjects \
                         together; the first is worth trying first. What follows from these subjects \
                         must be judged on others."
                .to_owned(),
        })],
    }
}

fn scores(evaluation: &Evaluation) -> Section {
    let tables = [subject_scores(evaluation), summary_scores(evaluation)].map(Item::Table);
    let curves = curves(evaluation).into_iter().map(Item::Chart);
    Section {
        title: "Scores".to_owned(),
        text: Vec::new(),
        items: tables.into_iter().chain(curves).collect(),
    }
}

fn places(evaluation: &Evaluation, measured: &Measured) -> Section {
    let lesions = &measured.lesions;
    let mut items = vec![Item::Table(size_table(evaluation))];
    let mut text = Vec::new();
    match measured.edge {
        Some(edge) => items.push(Item::Table(depth_table(evaluation, lesions, edge))),
        None => text.push(
            "How deep errors lie, and pictures of them, need the dataset: `lacuna report DIR \
             --dataset dataset.toml`."
                .to_owned(),
        ),
    }
    let kinds = [
        (Side::Reference, "missed", "Largest missed lesions"),
        (Side::Prediction, "false", "Largest false components"),
    ];
    for (side, id, title) in kinds {
        let wrong = last_class(evaluation).map(|class| largest(lesions, class, side));
        if let Some(wrong) = wrong.filter(|wrong| !wrong.is_empty()) {
            items.push(Item::Table(largest_table(&wrong, id, title)));
        }
    }
    Section {
        title: "Where the errors lie".to_owned(),
        text,
        items,
    }
}

fn depth_table(evaluation: &Evaluation, lesions: &[Placed], edge: &str) -> StudyTable {
    let starts = [0.0].into_iter().chain(DEPTHS_MM);
    let ends = DEPTHS_MM.map(Some).into_iter().chain([None]);
    let strata: Vec<(f64, Option<f64>)> = starts.zip(ends).collect();
    let mut rows = Vec::new();
    for class in &evaluation.summary.classes {
        for &(from, below) in &strata {
            let here = |l: &&Placed| {
                let within = |mm: f64| mm >= from && below.is_none_or(|end| mm < end);
                l.class == class.class && l.depth_mm.is_some_and(within)
            };
            let mut row: Vec<Cell> = vec![range(from, below).into(), class.class.as_str().into()];
            for side in [Side::Reference, Side::Prediction] {
                let of_side = lesions.iter().filter(here).filter(|l| l.side == side);
                let (all, wrong) = (of_side.clone().count(), of_side.filter(|l| l.wrong).count());
                row.extend([all.into(), wrong.into(), share(wrong, all).into()]);
            }
            rows.push(row);
        }
    }
    StudyTable {
        id: "depths".to_owned(),
        title: "Missed and false lesions by depth".to_owned(),
        columns: error_columns("Depth, mm"),
        rows,
        convention: format!(
            "From the voxel near a lesion's centre to the nearest voxel beyond {edge}; 0 is outside."
        ),
    }
}

fn largest_table(wrong: &[&Placed], id: &str, title: &str) -> StudyTable {
    let columns = vec![
        Column::words("Subject"),
        Column::numbers("mm³"),
        Column::numbers("depth mm"),
        Column::numbers("voxel"),
        Column::numbers("mm"),
    ];
    let row = |lesion: &&Placed| -> Vec<Cell> {
        let [voxel, mm, depth] = told(lesion);
        vec![
            lesion.subject.as_str().into(),
            format!("{:.1}", lesion.mm3).into(),
            depth.into(),
            voxel.into(),
            mm.into(),
        ]
    };
    StudyTable {
        id: format!("largest-{id}"),
        title: title.to_owned(),
        columns,
        rows: wrong.iter().take(LISTED).map(row).collect(),
        convention: format!(
            "The {} largest of {}; all are in lesions.csv. Places are a voxel of the lesion near its \
             centre, counted from 0 in the reference file, and the same in mm (x to the right, y to \
             the front, z up).",
            wrong.len().min(LISTED),
            wrong.len()
        ),
    }
}

fn pictures(drawn: Drawn) -> Option<Section> {
    let galleries = [
        ("picture-missed", "Largest missed lesions", drawn.missed),
        (
            "picture-false",
            "Largest false components",
            drawn.false_components,
        ),
    ];
    let items: Vec<Item> = (galleries.into_iter())
        .filter(|(.., pictures)| !pictures.is_empty())
        .map(|(id, title, pictures)| Item::Gallery(gallery(id, title, pictures)))
        .collect();
    (!items.is_empty()).then(|| Section {
        title: "Pictures".to_owned(),
        text: Vec::new(),
        items,
    })
}

fn gallery(id: &str, title: &str, pictures: Vec<Picture>) -> Gallery {
    let file = |place: usize| format!("figures/{id}-{}.png", place + 1);
    Gallery {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: "The slice with most of it, and that part enlarged.".to_owned(),
        files: (0..pictures.len()).map(file).collect(),
        pictures,
    }
}
