//! Figure 4 of Sudre et al. 2017: the same slices of one subject, a column for
//! each loss.

use lacuna_metrics::mean;
use lacuna_record::RunResult;
use lacuna_volume::{LabelMap, Volume};

use crate::study::StudyError;
use crate::study::cells::{Cells, Family};
use crate::study::names::{self, score};
use crate::study::report::Gallery;
use crate::{OverlayOptions, Picture, overlay_column};

/// What a picture is drawn of: canonical volumes (RAS+) on one grid.
#[derive(Clone, Debug)]
pub struct Example {
    /// Image.
    pub image: Volume<f32>,
    /// Reference labels.
    pub reference: LabelMap,
    /// Labels that the run predicted.
    pub prediction: LabelMap,
}

/// Why an example cannot be read.
pub type ExampleError = Box<dyn std::error::Error + Send + Sync>;

/// Reads what a run (first) predicted on a test subject (second); `None` when the
/// study did not keep it.
pub type ExampleReader<'a> = dyn Fn(&str, &str) -> Result<Option<Example>, ExampleError> + 'a;

const OPTIONS: OverlayOptions = OverlayOptions {
    panel_pixels: 224,
    slices: 3,
    window_mm: 24.0,
    fill: 0.35,
};

const CONVENTION: &str = "Each loss at its best setting, the highest median training DSC of \
    {last}. The subject is the one whose mean test DSC over the losses is the median; the \
    slices are chosen from its reference alone, so that all columns show the same ones.";

/// A gallery for each network with pictures.
///
/// # Errors
/// When `read` fails, or a picture cannot be drawn.
pub(crate) fn examples(cells: &Cells, read: &ExampleReader) -> Result<Vec<Gallery>, StudyError> {
    let mut galleries = Vec::new();
    for (place, family) in cells.families().iter().enumerate() {
        galleries.extend(gallery(cells, place, family, read)?);
    }
    Ok(galleries)
}

/// A loss at its best setting: its name, the setting, and the runs there.
struct Entry<'a> {
    loss: String,
    setting: String,
    runs: Vec<&'a RunResult>,
}

impl<'a> Entry<'a> {
    fn of(cells: &Cells<'a>, family: &Family, loss: &str) -> Option<Self> {
        let site = cells.best_site(family, loss)?;
        let tested = |r: &&RunResult| r.foreground().next().is_some();
        let runs: Vec<_> = cells.runs(site, loss).filter(tested).collect();
        (!runs.is_empty()).then(|| Self {
            loss: names::loss(loss),
            setting: site.text(),
            runs,
        })
    }

    /// The first run that was tested on a subject, and its DSC there.
    fn on(&self, subject: &str) -> Option<(&'a RunResult, f64)> {
        self.runs.iter().find_map(|run| {
            let (_, row) = run.foreground().find(|(id, _)| *id == subject)?;
            Some((*run, row.dsc))
        })
    }
}

fn gallery(
    cells: &Cells,
    place: usize,
    family: &Family,
    read: &ExampleReader,
) -> Result<Option<Gallery>, StudyError> {
    let entries = cells.losses.iter();
    let entries: Vec<Entry> = entries
        .filter_map(|l| Entry::of(cells, family, l))
        .collect();
    let Some(subject) = median_subject(&entries) else {
        return Ok(None);
    };
    let (mut pictures, mut slices) = (Vec::new(), String::new());
    for entry in &entries {
        let Some((run, dsc)) = entry.on(&subject) else {
            continue;
        };
        let name = &run.plan.name;
        let example = read(name, &subject).map_err(|source| StudyError::Volumes {
            run: name.clone(),
            subject: subject.clone(),
            source,
        })?;
        let Some(example) = example else { continue };
        let drawn = overlay_column(
            &example.image,
            &example.reference,
            &example.prediction,
            &OPTIONS,
        )?;
        slices = drawn.caption;
        pictures.push(Picture {
            title: entry.loss.clone(),
            caption: format!(
                "DSC {}; {}, seed {}",
                score(dsc),
                entry.setting,
                run.plan.seed
            ),
            png: drawn.png,
            size: drawn.size,
        });
    }
    let id = format!("figure-4-{}", place + 1);
    Ok((!pictures.is_empty()).then(|| Gallery {
        files: (1..=pictures.len())
            .map(|i| format!("figures/{id}-{i}.png"))
            .collect(),
        id,
        title: format!("Figure 4: {} on {subject}", family.text()),
        caption: format!("{slices} {}", cells.last().told(CONVENTION)),
        pictures,
    }))
}

/// The subject whose mean DSC over the losses is the median, the lower of two, of
/// those that all losses were tested on.
fn median_subject(entries: &[Entry]) -> Option<String> {
    let runs = &entries.first()?.runs;
    let subjects = runs.iter().flat_map(|r| r.foreground()).map(|(id, _)| id);
    let mut scored: Vec<(f64, &str)> = subjects
        .filter_map(|id| {
            let dsc: Option<Vec<f64>> = entries.iter().map(|e| Some(e.on(id)?.1)).collect();
            Some((mean(dsc?)?, id))
        })
        .collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
    scored.dedup();
    let middle = scored.len().checked_sub(1)? / 2;
    Some(scored[middle].1.to_owned())
}
