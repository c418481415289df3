//! `lacuna fingerprint`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use comfy_table::Table;
use lacuna_data::fingerprint;
use lacuna_data::manifest::Manifest;
use lacuna_record::fingerprint::{AxisRange, Fingerprint};
use lacuna_record::{Inputs, check_folder, check_no_run};
use lacuna_report::{FINGERPRINT_PAGE, write_fingerprint_page};

use crate::terminal::Counted;

#[derive(clap::Args)]
pub struct Arguments {
    /// The dataset manifest; its labelled subjects are measured
    dataset: PathBuf,
    /// Folder for fingerprint.json, fingerprint.csv, components.csv and fingerprint.svg
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Leave out subjects that cannot be used
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    json: super::Json,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::read(&arguments.dataset)?;
    if let Some(out) = &arguments.out {
        check_out(&manifest, out)?;
    }
    let mut bar = Counted::new("fingerprint");
    let found = fingerprint::of(&manifest, &[], &mut |done, total| bar.at(done, total));
    drop(bar);
    let found = found?;
    if !arguments.skip_bad {
        fingerprint::refuse_faults(&manifest, &found)
            .map_err(|error| anyhow!("{error}\n--skip-bad leaves them out"))?;
    }
    for fault in &found.faults {
        tell!("left out: {}", fault.message);
    }
    if let Some(out) = &arguments.out {
        std::fs::create_dir_all(out).map_err(lacuna_record::RecordError::io(out))?;
        found.write(out)?;
        write_fingerprint_page(&found, out)?;
    }
    arguments.json.print(&found, || {
        let written = arguments.out.iter();
        let written = written.map(|out| format!("written: {}\n", out.display()));
        render(&found) + &written.collect::<String>()
    })
}

/// Refuses a folder that could not be written, before the dataset is read.
fn check_out(manifest: &Manifest, out: &Path) -> anyhow::Result<()> {
    check_folder(out)?;
    check_no_run(out)?;
    let inputs = Inputs::of(manifest.files());
    for file in Fingerprint::FILES.into_iter().chain([FINGERPRINT_PAGE]) {
        inputs.spare(&out.join(file))?;
    }
    Ok(())
}

fn render(found: &Fingerprint) -> String {
    let mut text = format!(
        "{}: {} subjects, {} without foreground, {} that cannot be used\n{}\n",
        found.name,
        found.subjects.len(),
        found.empty_subjects.len(),
        found.faults.len(),
        subjects(found),
    );
    let ranges = [
        ("spacing mm", &found.spacing_mm),
        ("shape", &found.shape),
        ("box of the inside", &found.crop_shape),
    ];
    for (name, range) in ranges {
        text += &format!("{name}: {}\n", along_axes(range));
    }
    text += &format!(
        "anisotropy {:.2}; {:.0} % of the subjects are off the median spacing by more than 20 %\n",
        found.anisotropy,
        100.0 * found.off_median_spacing
    );
    for (what, counts) in [("groups", &found.groups), ("scanners", &found.scanners)] {
        if !counts.is_empty() {
            let listed: Vec<String> = counts
                .iter()
                .map(|(name, n)| format!("{name} {n}"))
                .collect();
            text += &format!("subjects of {what}: {}\n", listed.join(", "));
        }
    }
    for modality in &found.intensities {
        let parts = [
            ("foreground", modality.foreground),
            ("inside", modality.inside),
        ];
        for (part, values) in parts {
            if let Some(v) = values {
                text += &format!(
                    "{} {part}: mean {:.4}, SD {:.4}, percentiles 0.5 {:.4}, 50 {:.4}, 99.5 {:.4}\n",
                    modality.modality, v.mean, v.sd, v.p0_5, v.p50, v.p99_5
                );
            }
        }
        if let Some(contrast) = modality.contrast {
            text += &format!(
                "{} foreground, in SDs of each subject's inside: differs by {:.2} between \
                 subjects, by {:.2} within one\n",
                modality.modality, contrast.between_subjects, contrast.within_subjects
            );
        }
    }
    text + &classes(found)
}

/// One row for each subject and class.
fn subjects(found: &Fingerprint) -> Table {
    let mut table = crate::terminal::table([
        "subject",
        "shape",
        "spacing mm",
        "axes",
        "class",
        "mm3",
        "of grid %",
        "of inside %",
        "components",
        "to edge mm",
    ]);
    for subject in &found.subjects {
        for class in &subject.foreground {
            let [nx, ny, nz] = subject.shape;
            let [dx, dy, dz] = subject.spacing_mm;
            table.add_row([
                subject.id.clone(),
                format!("{nx}x{ny}x{nz}"),
                format!("{dx:.2}x{dy:.2}x{dz:.2}"),
                subject.orientation.clone(),
                class.class.clone(),
                format!("{:.1}", class.voxels as f64 * subject.voxel_mm3),
                format!("{:.4}", 100.0 * class.share_of_grid),
                format!("{:.4}", 100.0 * class.share_inside),
                class.components.len().to_string(),
                class
                    .edge
                    .map_or("-".to_owned(), |edge| format!("{:.1}", edge.min_mm)),
            ]);
        }
    }
    table
}

/// Median and ends along right, anterior and superior.
fn along_axes(range: &AxisRange) -> String {
    let axis = |axis: usize| {
        // Hundredths are enough of a length, and a number of voxels has none.
        let [median, min, max] = [range.median[axis], range.min[axis], range.max[axis]]
            .map(|value| (100.0 * value).round() / 100.0);
        format!("{median} ({min} to {max})")
    };
    [0, 1, 2].map(axis).join(" x ")
}

/// What components each class has.
fn classes(found: &Fingerprint) -> String {
    let mut text = String::new();
    for class in &found.foreground {
        let q = class.share_inside;
        text += &format!(
            "{}: share of the inside median {:.2e} ({:.2e} to {:.2e}); {} components, {} to {} a \
             subject; {} subject(s) without\n",
            class.class,
            q.p50,
            q.min,
            q.max,
            class.components,
            class.components_per_subject.min,
            class.components_per_subject.max,
            class.empty
        );
        if let Some(mm3) = class.component_mm3 {
            text += &format!(
                "  volume mm3: median {:.1} (5 % {:.1}, 95 % {:.1}, largest {:.1})",
                mm3.p50, mm3.p5, mm3.p95, mm3.max
            );
            for smaller in &class.smaller {
                text += &format!("; {:.0} % below {}", 100.0 * smaller.share, smaller.mm3);
            }
            text.push('\n');
        }
        if let Some(extents) = class.extents {
            let [half, most] = [extents.p50_mm, extents.p95_mm]
                .map(|mm| mm.map(|length| format!("{length:.1}")).join(" x "));
            text += &format!("  length mm: median {half}, 95 % {most}\n");
        }
    }
    text
}
