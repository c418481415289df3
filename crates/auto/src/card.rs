//! What a user of a model should know, as `card.md` and `report.html`.

mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lacuna_record::{Ending, Fingerprint, RecordError, SubjectScores, Summary};
use lacuna_report::chart::{Look, Reliability, ReliabilitySeries};
use lacuna_report::colour::{BLUE, VERMILLION};
use lacuna_report::study::{Chart, Column, Gallery, Item, Section, StudyReport, html, markdown};
use lacuna_report::{Fact, Picture};

use crate::error::AutoError;
use crate::judge::Judged;
use crate::plan::Plan;
use crate::work::ChoiceOfLength;
use tables::{
    agreement_table, calibration_table, rules_table, scores_table, subjects_table, table,
};

/// Most subjects whose pictures the page shows: those of least DSC.
const PICTURES: usize = 8;

/// What is told.
pub(crate) struct Facts<'a> {
    pub plan: &'a Plan,
    pub fingerprint: &'a Fingerprint,
    pub judged: Option<&'a Judged>,
    pub choices: &'a BTreeMap<String, ChoiceOfLength>,
    pub summaries: &'a [Summary],
    pub seconds: f64,
    pub sessions: u64,
}

/// Writes card and page into `out`; the page's path.
pub(crate) fn write(facts: &Facts, out: &Path) -> Result<PathBuf, AutoError> {
    let card = report(facts, Vec::new());
    lacuna_io::atomic::write_bytes(out.join("card.md"), markdown(&card).as_bytes())?;
    let mut more = Vec::new();
    if let Some(judged) = facts.judged {
        more.push(curves(judged));
        more.extend(pictures(judged, &out.join("evaluation"))?);
    }
    let page = out.join("report.html");
    lacuna_io::atomic::write_bytes(&page, html(&report(facts, more)).as_bytes())?;
    Ok(page)
}

fn report(facts: &Facts, more: Vec<Section>) -> StudyReport {
    let plan = facts.plan;
    let mut sections = Vec::new();
    match facts.judged {
        Some(judged) => sections.extend(judged_sections(facts, judged)),
        None => sections.push(Section {
            title: "Not judged".to_owned(),
            text: vec![
                "No subject with lesions could be held out, so that nothing is known of how \
                 well the model does on others, and nothing was tuned."
                    .to_owned(),
            ],
            items: Vec::new(),
        }),
    }
    sections.push(plan_section(facts));
    sections.push(Section {
        title: "Use".to_owned(),
        text: vec![
            "For research. Scores are of subjects like those trained on: the same scanners, \
             sequences and raters. Judge it on some of your own before you rely on it."
                .to_owned(),
        ],
        items: Vec::new(),
    });
    sections.extend(more);
    let hours = |seconds: f64| format!("{:.1} min", seconds / 60.0);
    let budget = plan.asked.budget.duration().as_secs_f64();
    StudyReport {
        title: format!("Model of {}", plan.dataset),
        description: format!(
            "Segments {} in {}: the mean of {} network(s), trained, tuned and judged by \
             lacuna auto.",
            facts.fingerprint.classes[1..].join(", "),
            facts.fingerprint.modalities.join(", "),
            plan.trainings.iter().filter(|t| t.in_model).count(),
        ),
        facts: vec![
            Fact::new("Subjects", facts.fingerprint.subjects.len()),
            Fact::new("Left out", facts.fingerprint.faults.len()),
            Fact::new("Budget", hours(budget)),
            Fact::new(
                "Spent",
                format!(
                    "{} ({:.0} % of the budget) in {} session(s)",
                    hours(facts.seconds),
                    100.0 * facts.seconds / budget,
                    facts.sessions
                ),
            ),
            Fact::new("Seed", plan.asked.seed),
        ],
        abbreviations: "DSC: Dice similarity coefficient. F1 1:1: each lesion paired at most \
                        once. ECE: expected calibration error. Out-of-fold: by a network that \
                        was not trained on the subject.",
        sections,
    }
}

fn tuned_text(judged: &Judged) -> Vec<String> {
    let at_end = match judged.temperature.is_at_end() {
        true => " It is at the end of what is tried: look at the predictions.",
        false => "",
    };
    let temperature = format!(
        "Temperature {:.3}: the log of each probability is divided by it.{at_end}",
        judged.temperature.value
    );
    let dropped = "Each class by itself gains by the rules below; together they gain nothing, \
                   and none is used.";
    let dropped = judged.dropped.then(|| dropped.to_owned());
    [Some(temperature), dropped].into_iter().flatten().collect()
}

fn judged_sections(facts: &Facts, judged: &Judged) -> Vec<Section> {
    let mut honest = vec![
        "Every subject was segmented by a network that has not seen it. Temperature and rules \
         were tuned on these same subjects: the gain that holds for new ones is the estimate \
         without each fold, below."
            .to_owned(),
    ];
    if facts
        .plan
        .trainings
        .iter()
        .any(|t| !t.in_model && !t.held_out.is_empty())
    {
        honest.push(
            "The scores are of networks that saw all patients but one; those of the model saw all."
                .to_owned(),
        );
    }
    let scores = Section {
        title: "Scores of held-out subjects".to_owned(),
        text: honest,
        items: vec![scores_table(judged), subjects_table(&judged.after)],
    };
    let tuning = Section {
        title: "What was tuned".to_owned(),
        text: tuned_text(judged),
        items: vec![
            rules_table(judged),
            calibration_table(&judged.calibration),
            agreement_table(judged),
        ],
    };
    vec![scores, tuning]
}

fn plan_section(facts: &Facts) -> Section {
    let decisions = facts.plan.decisions.iter();
    let rows = decisions
        .map(|d| {
            vec![
                d.what.clone(),
                d.value.clone(),
                d.reason.clone(),
                d.figure.clone(),
            ]
        })
        .chain((facts.plan.asked.sets.iter()).map(|set| {
            vec![
                "override".to_owned(),
                set.clone(),
                "asked for".to_owned(),
                "--set".to_owned(),
            ]
        }))
        .collect();
    let plan = table(
        "plan",
        "Decisions",
        ["what", "chosen", "why", "from"]
            .map(Column::words)
            .to_vec(),
        rows,
        "",
    );
    let columns = (["training"].map(Column::words).into_iter())
        .chain(
            [
                "subjects",
                "held out",
                "iterations",
                "expected s",
                "took s",
                "last DSC of patches",
            ]
            .map(Column::numbers),
        )
        .chain([Column::words("collapsed")])
        .collect();
    let rows = (facts.plan.trainings.iter().enumerate())
        .filter_map(|(at, t)| Some((at, t, facts.choices.get(&t.name)?)))
        .map(|(at, t, c)| {
            let last = facts
                .summaries
                .get(at)
                .and_then(|s| s.last_iterations.as_ref());
            let ending = (facts.summaries.get(at))
                .and_then(|summary| summary.ending)
                .and_then(Ending::collapse);
            vec![
                t.name.clone(),
                t.train.len().to_string(),
                t.held_out.len().to_string(),
                c.iterations.to_string(),
                format!("{:.0}", c.expected),
                c.took.map_or_else(|| "-".to_owned(), |s| format!("{s:.0}")),
                last.map_or_else(|| "-".to_owned(), |l| format!("{:.3}", l.median)),
                ending.unwrap_or_default().to_owned(),
            ]
        })
        .collect();
    let trainings = table("trainings", "Trainings", columns, rows, "");
    Section {
        title: "Plan".to_owned(),
        text: Vec::new(),
        items: vec![plan, trainings],
    }
}

/// Tuning curves and reliability.
fn curves(judged: &Judged) -> Section {
    let mut items = Vec::new();
    for (at, class) in judged.tuned.classes.iter().enumerate() {
        let of = [
            ("threshold", class.threshold_chart()),
            ("size", class.size_chart()),
        ];
        for (what, chart) in of {
            items.push(Item::Chart(Chart {
                id: format!("curve-{what}-{at}"),
                title: format!("{}: {what}", class.class),
                caption: "Means over held-out subjects, all else as chosen".to_owned(),
                svg: chart.svg(),
                html: chart.svg(),
            }));
        }
    }
    for (at, class) in judged.calibration.iter().enumerate() {
        let series = |name: &str, look, c: &lacuna_tune::Calibration| ReliabilitySeries {
            name: name.to_owned(),
            look,
            voxels: c.reliability.voxels.clone(),
            probability: c.reliability.probability.clone(),
            foreground: c.reliability.foreground.clone(),
        };
        let chart = Reliability {
            title: format!("Reliability of {}", class.class),
            series: vec![
                series("before", Look::plain(VERMILLION), &class.before),
                series("tempered", Look::plain(BLUE), &class.after),
            ],
        };
        items.push(Item::Chart(Chart {
            id: format!("reliability-{at}"),
            title: chart.title.clone(),
            caption: "Probability against how often it was right, before and after the temperature"
                .to_owned(),
            svg: chart.svg(),
            html: chart.svg(),
        }));
    }
    Section {
        title: "Curves".to_owned(),
        text: Vec::new(),
        items,
    }
}

/// The pictures of the subjects that are segmented worst, as the networks gave them and
/// tuned.
fn pictures(judged: &Judged, folder: &Path) -> Result<Option<Section>, AutoError> {
    let dsc = |s: &SubjectScores| s.classes.last().map_or(0.0, |c| c.dsc);
    let kinds = [
        ("untuned", "as predicted", &judged.before),
        ("tuned", "tuned", &judged.after),
    ];
    let mut worst: Vec<&SubjectScores> = judged.after.subjects.iter().collect();
    worst.sort_by(|a, b| dsc(a).total_cmp(&dsc(b)));
    let mut items = Vec::new();
    for (at, subject) in worst.into_iter().take(PICTURES).enumerate() {
        let mut gallery = Gallery {
            id: format!("picture-{at}"),
            title: subject.subject.clone(),
            caption: String::new(),
            pictures: Vec::new(),
            files: Vec::new(),
        };
        for (below, kind, evaluation) in kinds {
            let found = evaluation
                .subjects
                .iter()
                .find(|s| s.subject == subject.subject);
            let Some(scores) = found else { continue };
            let path = folder.join(below).join(&scores.overlay.file);
            gallery.pictures.push(Picture {
                title: format!("{kind}: DSC {:.3}", dsc(scores)),
                caption: scores.overlay.caption.clone(),
                png: std::fs::read(&path).map_err(RecordError::io(&path))?,
                size: scores.overlay.size,
            });
            let file = scores.overlay.file.display();
            gallery.files.push(format!("evaluation/{below}/{file}"));
        }
        items.push(Item::Gallery(gallery));
    }
    Ok((!items.is_empty()).then(|| Section {
        title: "Held-out subjects, worst first".to_owned(),
        text: Vec::new(),
        items,
    }))
}
