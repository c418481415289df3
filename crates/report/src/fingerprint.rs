//! The page of a dataset's fingerprint.

use std::path::Path;

use lacuna_io::atomic::{WriteError, write_bytes};
use lacuna_record::Fingerprint;
use lacuna_record::fingerprint::{AxisRange, ClassSpread, SubjectFingerprint};

use crate::chart::{DotRows, Drawing, LogHistogram, Look, PanelRow, Panels, Sheet};
use crate::markup::number;

/// One picture: spacings, shapes and lengths of components along the axes, how large the
/// components of each class are, and the share of each subject that each class takes.
pub fn fingerprint_page(found: &Fingerprint) -> Drawing {
    let mut rows = vec![PanelRow {
        title: heading(found),
        panels: vec![
            ("Along the axes".to_owned(), axes(found)),
            ("Intensities".to_owned(), intensities(found)),
        ],
    }];
    let mut classes: Vec<(String, Drawing)> = (found.foreground.iter().enumerate())
        .map(|(place, class)| (counted(class), volumes(found, place)))
        .collect();
    classes.push(("Share smaller than".to_owned(), smaller(found)));
    rows.push(PanelRow {
        title: "Components".to_owned(),
        panels: classes,
    });
    rows.push(PanelRow {
        title: "Prevalence".to_owned(),
        panels: vec![
            (
                "Share of the mask, or of what is not 0".to_owned(),
                shares(found),
            ),
            ("Over the subjects".to_owned(), prevalence(found)),
        ],
    });
    Panels {
        title: format!("Fingerprint of {}", found.name),
        key: None,
        columns: 2,
        rows,
    }
    .drawing()
}

/// Writes the page as `fingerprint.svg` into a folder, atomically.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_fingerprint_page(found: &Fingerprint, folder: &Path) -> Result<(), WriteError> {
    let page = fingerprint_page(found).svg();
    write_bytes(folder.join(FINGERPRINT_PAGE), page.as_bytes())
}

/// The file that [`write_fingerprint_page`] writes.
pub const FINGERPRINT_PAGE: &str = "fingerprint.svg";

fn heading(found: &Fingerprint) -> String {
    let mut text = format!("{}: {} subjects", found.name, found.subjects.len());
    if !found.empty_subjects.is_empty() {
        text += &format!(", {} of them empty", found.empty_subjects.len());
    }
    if !found.faults.is_empty() {
        text += &format!("; {} left out that cannot be used", found.faults.len());
    }
    text
}

fn axes(found: &Fingerprint) -> Drawing {
    let range = |range: &AxisRange| -> Vec<String> {
        let cell = |axis: usize| match (range.min[axis], range.max[axis]) {
            (min, max) if min == max => short(min),
            (min, max) => format!(
                "{} ({}–{})",
                short(range.median[axis]),
                short(min),
                short(max)
            ),
        };
        (0..3).map(cell).collect()
    };
    let mut rows = vec![
        ("Spacing, mm".to_owned(), range(&found.spacing_mm)),
        ("Shape".to_owned(), range(&found.shape)),
        ("Box of the inside".to_owned(), range(&found.crop_shape)),
    ];
    for class in &found.foreground {
        let Some(extents) = &class.extents else {
            continue;
        };
        let pair = |[half, most]: [[f64; 3]; 2]| -> Vec<String> {
            let cell = |axis: usize| format!("{}, {}", short(half[axis]), short(most[axis]));
            (0..3).map(cell).collect()
        };
        rows.push((class.class.clone(), Vec::new()));
        let mm = [extents.p50_mm, extents.p95_mm];
        rows.push(("· length, mm*".to_owned(), pair(mm)));
        let voxels = [extents.p50_voxels, extents.p95_voxels];
        rows.push(("· length, voxels*".to_owned(), pair(voxels)));
    }
    if found.foreground.iter().any(|class| class.extents.is_some()) {
        rows.push(("* median, 95 % of components".to_owned(), Vec::new()));
    }
    Sheet {
        title: "Spacings, shapes and lengths of components along the axes".to_owned(),
        header: ["right", "anterior", "superior"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    }
    .drawing()
}

fn intensities(found: &Fingerprint) -> Drawing {
    let mut rows = Vec::new();
    for modality in &found.intensities {
        rows.push((modality.modality.clone(), Vec::new()));
        let parts = [
            ("foreground", modality.foreground),
            ("inside", modality.inside),
        ];
        for (part, values) in parts {
            let Some(values) = values else {
                continue;
            };
            let cells = [
                values.mean,
                values.sd,
                values.p0_5,
                values.p50,
                values.p99_5,
            ];
            let cells = cells.map(number).to_vec();
            rows.push((format!("· {part}"), cells));
        }
    }
    Sheet {
        title: "Intensities of each modality".to_owned(),
        header: ["mean", "SD", "0.5 %", "50 %", "99.5 %"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    }
    .drawing()
}

fn counted(class: &ClassSpread) -> String {
    format!("{}: {}", class.class, class.components)
}

/// Volumes of the components of foreground class `place`.
fn volumes(found: &Fingerprint, place: usize) -> Drawing {
    let of_class = found
        .subjects
        .iter()
        .filter_map(|s| s.foreground.get(place));
    let components = of_class.flat_map(|class| &class.components);
    LogHistogram {
        title: format!(
            "Volumes of the components of {}",
            found.foreground[place].class
        ),
        x_label: "Volume, mm³".to_owned(),
        y_label: "Components".to_owned(),
        look: Look::nth(place),
        values: components.map(|component| component.mm3).collect(),
    }
    .drawing()
}

/// How many components of each class are smaller than some volumes.
fn smaller(found: &Fingerprint) -> Drawing {
    let some = found.foreground.iter().filter(|c| !c.smaller.is_empty());
    let volumes = some.clone().next().map_or(&[][..], |c| &c.smaller);
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    Sheet {
        title: "Share of components smaller than some volumes".to_owned(),
        header: volumes.iter().map(|s| format!("{} mm³", s.mm3)).collect(),
        rows: some
            .map(|class| {
                let cells = class.smaller.iter().map(|s| percent(s.share));
                (class.class.clone(), cells.collect())
            })
            .collect(),
    }
    .drawing()
}

/// The share of the inside that each class takes in each subject, the largest first.
fn shares(found: &Fingerprint) -> Drawing {
    let total = |s: &SubjectFingerprint| s.foreground.iter().map(|c| c.share_inside).sum::<f64>();
    let mut subjects: Vec<&SubjectFingerprint> = found.subjects.iter().collect();
    subjects.sort_by(|a, b| total(b).total_cmp(&total(a)));
    let classes = found.foreground.iter().enumerate();
    DotRows {
        title: "Share of the inside that each class takes in each subject".to_owned(),
        x_label: "Share".to_owned(),
        series: classes
            .map(|(place, c)| (c.class.clone(), Look::nth(place)))
            .collect(),
        rows: (subjects.iter())
            .map(|s| {
                let shares = s.foreground.iter().map(|class| class.share_inside);
                (s.id.clone(), shares.collect())
            })
            .collect(),
    }
    .drawing()
}

fn prevalence(found: &Fingerprint) -> Drawing {
    let mut rows = Vec::new();
    for class in &found.foreground {
        rows.push((class.class.clone(), Vec::new()));
        let volumes = class.component_mm3.map(|q| ("component mm³", q));
        let quantities = [
            ("share inside", class.share_inside),
            ("components", class.components_per_subject),
        ];
        for (quantity, q) in quantities.into_iter().chain(volumes) {
            let cells = [q.min, q.p5, q.p50, q.p95, q.max].map(number).to_vec();
            rows.push((format!("· {quantity}"), cells));
        }
    }
    Sheet {
        title: "Quantiles of shares, numbers and volumes".to_owned(),
        header: ["min", "5 %", "50 %", "95 %", "max"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    }
    .drawing()
}

/// A length or number of voxels with at most two decimals.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
