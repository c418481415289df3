//! `compare.md` and `compare.html`: plain tables and pictures.

use lacuna_record::{
    ComparedPair, ComparedPredictions, DisputeKind, DisputedLesion, MetricDifference, Stratum,
};
use lacuna_report::study::{Cell, Column, Gallery, Item, Section, StudyReport, StudyTable};
use lacuna_report::{Fact, Picture};

use super::metric_of;

/// Most lesions of a table; the file has all.
const LISTED: usize = 30;

/// The report of a comparison, whose pictures (PNG) come in its order.
pub(super) fn of(compared: &ComparedPredictions, pictures: &[Vec<u8>]) -> StudyReport {
    let names: Vec<&str> = compared
        .predictions
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    let mut sections = Vec::new();
    let c = &compared.conventions;
    let metrics = format!(
        "Conventions: overlap {}; surface {}; HD95 {}; NSD {} at {} mm; lesions {}, 1:1 {}.",
        c.overlap, c.surface, c.hd95, c.nsd, c.nsd_tolerance_mm, c.lesion, c.lesion_one_to_one
    );
    sections.push(Section {
        title: "Notes".to_owned(),
        text: compared.notes.iter().cloned().chain([metrics]).collect(),
        items: Vec::new(),
    });
    for (place, pair) in compared.pairs.iter().enumerate() {
        sections.push(section(compared, pair, place + 1));
    }
    if !compared.pictures.is_empty() {
        sections.push(Section {
            title: "Subjects that differ most".to_owned(),
            text: vec![
                "Those with the largest difference of DSC or lesion F1 in the last class of the \
                 tables; only what is of the class named below a picture is drawn."
                    .to_owned(),
            ],
            items: galleries(compared, pictures),
        });
    }
    StudyReport {
        title: format!("Predictions compared: {}", names.join(", ")),
        description: "Predictions of the same subjects, each scored against the same reference; \
                      differences are taken within subjects."
            .to_owned(),
        facts: facts(compared),
        abbreviations: "DSC: Dice similarity coefficient. HD95: 95 % Hausdorff distance. NSD: \
                        normalised surface distance. F1 1:1: each lesion paired at most once.",
        sections,
    }
}

fn facts(compared: &ComparedPredictions) -> Vec<Fact> {
    let mut facts: Vec<Fact> = (compared.predictions.iter())
        .map(|p| {
            let kind = if p.evaluation { " (evaluation)" } else { "" };
            Fact::new(&p.name, format!("{}{kind}", p.folder.display()))
        })
        .collect();
    facts.push(Fact::new("Subjects", compared.subjects.len()));
    facts.push(Fact::new("Left out", compared.left_out.len()));
    facts
}

fn section(compared: &ComparedPredictions, pair: &ComparedPair, place: usize) -> Section {
    let mut items = Vec::new();
    for (i, rows) in pair.metrics.chunk_by(|a, b| a.class == b.class).enumerate() {
        let id = format!("differences-{place}-{}", i + 1);
        items.push(Item::Table(differences(compared, pair, rows, id)));
    }
    for (i, rows) in pair.strata.chunk_by(|a, b| a.class == b.class).enumerate() {
        let id = format!("strata-{place}-{}", i + 1);
        items.push(Item::Table(strata(pair, rows, id)));
    }
    for (kind, title) in [
        (
            DisputeKind::ReferenceLesion,
            "Reference lesions that only one finds",
        ),
        (
            DisputeKind::FalseComponent,
            "False components that only one has",
        ),
    ] {
        let mut found: Vec<&DisputedLesion> =
            pair.lesions.iter().filter(|l| l.kind == kind).collect();
        found.sort_by(|a, b| b.mm3.total_cmp(&a.mm3));
        let id = format!("{}-{place}", kind.name().replace('_', "-"));
        items.push(Item::Table(disputed(&found, title, id)));
    }
    Section {
        title: format!("{} against {}", pair.second, pair.first),
        text: conventions(compared),
        items,
    }
}

/// What the tables of two predictions mean, a paragraph each.
fn conventions(compared: &ComparedPredictions) -> Vec<String> {
    let bootstrap = &compared.bootstrap;
    vec![
        format!(
            "Differences: in brackets the {:.0} % percentile bootstrap interval over subjects, {} \
             resamples, seed {}. p: Wilcoxon's signed-rank test, two-sided, without subjects that \
             are equal; the least possible p is that of so many subjects that differ. Lower is \
             better of HD95 and of the absolute volume difference, higher of all others. A subject \
             with an empty reference or prediction has the value of the convention.",
            100.0 * bootstrap.level,
            bootstrap.resamples,
            bootstrap.seed
        ),
        "Lesions are 26-connected components of the reference; one is found when the prediction \
         holds at least one of its voxels. McNemar's exact test, two-sided, counts those that only \
         one finds. A false component shares no voxel with the reference, and only one has it when \
         it shares none with the other prediction either."
            .to_owned(),
    ]
}

fn differences(
    compared: &ComparedPredictions,
    pair: &ComparedPair,
    rows: &[MetricDifference],
    id: String,
) -> StudyTable {
    let difference = format!("{} − {}", pair.second, pair.first);
    let by = format!("{} is", pair.second);
    let columns = vec![
        Column::words("Metric"),
        Column::numbers(&pair.first).under("Mean"),
        Column::numbers(&pair.second).under("Mean"),
        Column::numbers("mean").under(&difference),
        Column::numbers("median").under(&difference),
        Column::numbers("better").under(&by),
        Column::numbers("worse").under(&by),
        Column::numbers("equal").under(&by),
        Column::numbers("p").under("Signed-rank test"),
        Column::numbers("least possible p").under("Signed-rank test"),
        Column::numbers("Holm p").under("Signed-rank test"),
    ];
    let row = |m: &MetricDifference| -> Vec<Cell> {
        let (title, decimals) = match metric_of(&m.metric) {
            Some(metric) => (metric.title, metric.decimals),
            None => (m.metric.as_str(), 3),
        };
        let (d, test) = (&m.comparison.difference, &m.comparison.test);
        let with = |value: f64, interval: Option<lacuna_metrics::Interval>| match interval {
            Some(i) => format!(
                "{value:+.decimals$} [{:+.decimals$}, {:+.decimals$}]",
                i.low, i.high
            ),
            None => format!("{value:+.decimals$}"),
        };
        let mut cells: Vec<Cell> = vec![title.into()];
        cells.extend(m.means.map(|v| Cell::from(format!("{v:.decimals$}"))));
        cells.push(with(d.mean, d.mean_interval).into());
        cells.push(with(d.quartiles.median, d.median_interval).into());
        cells.extend(m.better_worse_equal.map(Cell::from));
        cells.extend([test.p, test.smallest_p, m.holm_p].map(|p| Cell::from(p_value(p))));
        cells
    };
    let (class, tests) = rows
        .first()
        .map_or(("", 0), |m| (m.class.as_str(), m.tests));
    StudyTable {
        id,
        title: format!(
            "{class}: differences within {} subject(s)",
            compared.subjects.len()
        ),
        columns,
        rows: rows.iter().map(row).collect(),
        convention: format!(
            "Holm's adjustment is over the {tests} tests of this class: metrics and pairs of \
             predictions."
        ),
    }
}

fn strata(pair: &ComparedPair, rows: &[Stratum], id: String) -> StudyTable {
    let columns = vec![
        Column::words("Volume of the lesion (mm³)"),
        Column::numbers("Lesions"),
        Column::numbers(&pair.first).under("Found by"),
        Column::numbers(&pair.second).under("Found by"),
        Column::numbers("both").under("Found by"),
        Column::numbers(&format!("only {}", pair.first)).under("Found by"),
        Column::numbers(&format!("only {}", pair.second)).under("Found by"),
        Column::numbers("neither").under("Found by"),
        Column::numbers("McNemar p"),
    ];
    let row = |s: &Stratum| -> Vec<Cell> {
        let [first, second, neither] = s.found();
        let mut cells: Vec<Cell> = vec![sizes(s).into()];
        cells.extend(
            [
                s.lesions,
                first,
                second,
                s.both,
                s.only_first,
                s.only_second,
                neither,
            ]
            .map(Cell::from),
        );
        cells.push(p_value(s.mcnemar_p).into());
        cells
    };
    let class = rows.first().map_or("", |s| s.class.as_str());
    StudyTable {
        id,
        title: format!("{class}: reference lesions by size"),
        columns,
        rows: rows.iter().map(row).collect(),
        convention: "p takes all lesions as independent, which those of one subject are not: \
                     it is likely too small."
            .to_owned(),
    }
}

fn sizes(s: &Stratum) -> String {
    match (s.from_mm3, s.below_mm3) {
        (0.0, None) => "all".to_owned(),
        (from, None) => format!("{from} and more"),
        (0.0, Some(below)) => format!("below {below}"),
        (from, Some(below)) => format!("{from} to below {below}"),
    }
}

fn disputed(found: &[&DisputedLesion], title: &str, id: String) -> StudyTable {
    let columns = vec![
        Column::words("Subject"),
        Column::words("Class"),
        Column::words("Only"),
        Column::numbers("mm³"),
        Column::numbers("Voxel"),
        Column::numbers("mm"),
    ];
    let row = |lesion: &&DisputedLesion| -> Vec<Cell> {
        let [voxel, mm] = match &lesion.place {
            None => [String::new(), String::new()],
            Some(place) => {
                let [x, y, z] = place.inside;
                let [right, front, up] = place.inside_mm;
                [
                    format!("({x}, {y}, {z})"),
                    format!("({right:.1}, {front:.1}, {up:.1})"),
                ]
            }
        };
        vec![
            lesion.subject.as_str().into(),
            lesion.class.as_str().into(),
            lesion.only.as_str().into(),
            format!("{:.1}", lesion.mm3).into(),
            voxel.into(),
            mm.into(),
        ]
    };
    let listed = found.len().min(LISTED);
    StudyTable {
        id,
        title: title.to_owned(),
        columns,
        rows: found.iter().take(LISTED).map(row).collect(),
        convention: format!(
            "The {listed} largest of {}; all are in lesions.csv. Places are a voxel of the lesion \
             near its centre, counted from 0 in the reference file, and the same in mm (x to the \
             right, y to the front, z up).",
            found.len()
        ),
    }
}

fn galleries(compared: &ComparedPredictions, pictures: &[Vec<u8>]) -> Vec<Item> {
    let drawn = compared.pictures.iter().zip(pictures).enumerate();
    drawn
        .map(|(i, (overlay, png))| {
            let name = overlay
                .file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy();
            // Paths on other systems than this are divided by other characters.
            let parts: Vec<_> = overlay
                .file
                .iter()
                .map(|part| part.to_string_lossy())
                .collect();
            Item::Gallery(Gallery {
                id: format!("picture-{}", i + 1),
                title: format!("Subject {name}"),
                caption: String::new(),
                files: vec![parts.join("/")],
                pictures: vec![Picture {
                    title: name.into_owned(),
                    caption: overlay.caption.clone(),
                    png: png.clone(),
                    size: overlay.size,
                }],
            })
        })
        .collect()
}

/// To three decimals, or as below the least of them.
fn p_value(p: f64) -> String {
    match p < 0.001 {
        true => "< 0.001".to_owned(),
        false => format!("{p:.3}"),
    }
}
