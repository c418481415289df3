//! The page of a run: how it trained, with what, and what went wrong.

use lacuna_metrics::running_median;
use lacuna_record::{Ending, Event, LastIterations, Summary, ValidationScore};

use crate::chart::{LineChart, Look, PanelRow, Scale, Series, Stroke};
use crate::colour::{BLUE, PURPLE, VERMILLION};
use crate::markup::number;
use crate::study::{
    Cell, Chart, Column, Gallery, Item, Section, StudyReport, StudyTable, duration,
};
use crate::{Fact, Picture};

/// Longest neighbourhood of a running median, in iterations.
const LONGEST: usize = 200;
/// Share of the time spent waiting for patches that is worth a remark.
const NOTICEABLE_WAIT: f64 = 0.05;

/// What is known of a run.
#[derive(Clone, Debug, Default)]
pub struct RunPage {
    /// Heading.
    pub title: String,
    /// What was asked for: network, loss, patch and so on.
    pub configuration: Vec<Fact>,
    /// Its iterations, in order.
    pub events: Vec<Event>,
    /// Learning rate of each of them.
    pub rates: Vec<f64>,
    /// Patches of an iteration, for the share of those without foreground.
    pub patches_per_iteration: usize,
    /// Whole validation subjects over the training.
    pub validation: Vec<ValidationScore>,
    /// Those that were segmented worst, worst first, and the iteration that they are of.
    pub pictures: Option<(u64, Vec<Picture>)>,
    /// Its end; absent while the first session is at work, or when that was killed.
    pub summary: Option<Summary>,
}

impl RunPage {
    /// The page.
    pub fn report(&self) -> StudyReport {
        StudyReport {
            title: self.title.clone(),
            description: "How the network was trained. The DSC of patches says little of whole \
                          volumes: judge by validation subjects, or by `lacuna evaluate`."
                .to_owned(),
            facts: self.facts(),
            abbreviations: "DSC: Dice similarity coefficient. IQR: interquartile range. F1: \
                            harmonic mean of recall and precision.",
            sections: self.sections(),
        }
    }

    /// Its parts: what went wrong, the curves, whole validation subjects, the configuration.
    pub fn sections(&self) -> Vec<Section> {
        let mut sections = Vec::new();
        let warnings = self.warnings();
        if !warnings.is_empty() {
            sections.push(Section {
                title: "What to look at".to_owned(),
                text: warnings,
                items: Vec::new(),
            });
        }
        if !self.events.is_empty() {
            sections.push(Section {
                title: "Training".to_owned(),
                text: Vec::new(),
                items: vec![Item::Chart(self.curves())],
            });
        }
        if !self.validation.is_empty() {
            sections.push(Section {
                title: "Whole validation subjects".to_owned(),
                text: Vec::new(),
                items: [
                    Item::Chart(self.validation_chart()),
                    Item::Table(self.validation_table()),
                ]
                .into_iter()
                .chain(self.gallery())
                .collect(),
            });
        }
        if !self.configuration.is_empty() {
            sections.push(Section {
                title: "Configuration".to_owned(),
                text: Vec::new(),
                items: vec![Item::Table(self.configuration_table())],
            });
        }
        sections
    }

    /// The pictures of whole validation subjects; `None` without any.
    fn gallery(&self) -> Option<Item> {
        let (iteration, pictures) = self.pictures.as_ref()?;
        let file = |place: usize| format!("figures/validation-{}.png", place + 1);
        (!pictures.is_empty()).then(|| {
            Item::Gallery(Gallery {
                id: "validation-pictures".to_owned(),
                title: format!("Worst subjects after {iteration} iterations"),
                caption: "Drawn on the normalised image.".to_owned(),
                files: (0..pictures.len()).map(file).collect(),
                pictures: pictures.clone(),
            })
        })
    }

    /// The run at a glance.
    pub fn facts(&self) -> Vec<Fact> {
        let done = self.events.len();
        let mut facts = vec![Fact::new("Iterations done", done)];
        if let Some(last) = LastIterations::of(&self.events) {
            facts.push(Fact::new(
                &format!("DSC of patches, last {}", last.iterations),
                format!("{} (IQR {})", number(last.median), number(last.iqr)),
            ));
        }
        if let Some((at, [dsc, f1])) = self.validated().last() {
            let f1 = match f1.is_finite() {
                true => format!(", lesion F1 {}", number(*f1)),
                false => String::new(),
            };
            facts.push(Fact::new(
                &format!("Validation DSC after {at}"),
                format!("{}{f1}", number(*dsc)),
            ));
        }
        let sum = |of: fn(&Event) -> f64| self.events.iter().map(of).sum::<f64>();
        let seconds = sum(|e| e.seconds);
        facts.push(Fact::new("Time of the iterations", duration(seconds)));
        if done > 0 {
            let mean = seconds / done as f64;
            facts.push(Fact::new("Seconds per iteration", number(mean)));
            let share = sum(|e| e.foreground_share) / done as f64;
            facts.push(Fact::new("Foreground of patches", percent(share)));
        }
        let patches = done * self.patches_per_iteration;
        if patches > 0 {
            let empty: u64 = self.events.iter().map(|e| e.empty_patches).sum();
            let share = empty as f64 / patches as f64;
            facts.push(Fact::new("Patches without foreground", percent(share)));
        }
        if let Some(summary) = &self.summary {
            facts.push(Fact::new("Parameters", summary.parameters));
            if let Some(bytes) = summary.peak_memory_bytes {
                let memory = format!("{:.2} GB", bytes as f64 / 1e9);
                facts.push(Fact::new("Peak memory", memory));
            }
        }
        facts
    }

    /// What a reader should know before the rest, a sentence or two each.
    fn warnings(&self) -> Vec<String> {
        let mut told = Vec::new();
        if let Some(collapse) = Ending::of(&self.events).collapse() {
            told.push(format!(
                "The training collapsed: in its last iterations {collapse}. What helps most often: \
                 a lower train.learning_rate, cross-entropy beside an overlap loss \
                 (loss.name = \"sum\"), train.restarts = 2."
            ));
        }
        if let Some(event) = self.events.iter().find(|e| !e.loss.is_finite()) {
            told.push(format!(
                "The loss of iteration {} is not finite.",
                event.iteration
            ));
        }
        match &self.summary {
            None => told.push(
                "The run has no summary: it is at work, or was killed. `lacuna train --resume` \
                 goes on from its newest checkpoint."
                    .to_owned(),
            ),
            Some(summary) => {
                if !summary.finished {
                    told.push(
                        "The run was stopped before its end: `lacuna train --resume` goes on."
                            .to_owned(),
                    );
                }
                if summary.restarts > 0 {
                    told.push(format!(
                        "The training had collapsed and began again, {} time(s).",
                        summary.restarts
                    ));
                }
                let best = summary.best_iteration;
                if let Some(best) = best.filter(|best| *best < summary.iterations) {
                    told.push(format!(
                        "The validation subjects were segmented best after {best} of {} iterations: \
                         predict with --checkpoint best.",
                        summary.iterations
                    ));
                }
            }
        }
        let sum = |of: fn(&Event) -> f64| self.events.iter().map(of).sum::<f64>();
        let waited = sum(|e| e.wait_seconds) / sum(|e| e.seconds);
        if waited > NOTICEABLE_WAIT {
            told.push(format!(
                "{} of the time was spent waiting for patches: raise train.loader_threads.",
                percent(waited)
            ));
        }
        told
    }

    /// Loss, DSC of patches, rate and foreground share by iteration.
    fn curves(&self) -> Chart {
        // A tenth of the run, yet no more than the summary at its end.
        let window = (self.events.len() / 10).clamp(1, LONGEST);
        let of = |get: fn(&Event) -> f64| self.events.iter().map(get).collect::<Vec<f64>>();
        // A batch without foreground says nothing of success.
        let dsc = of(|e| {
            if e.foreground_share > 0.0 {
                e.dsc
            } else {
                f64::NAN
            }
        });
        let predicted = of(|e| e.predicted_share.unwrap_or(f64::NAN));
        let one = |label: &str, colour, values: &[f64], y_range| LineChart {
            y_range,
            series: self.with_median(label, Look::plain(colour), values, window),
            ..by_iteration(label)
        };
        let mut panels = vec![
            ("Loss", one("Loss", VERMILLION, &of(|e| e.loss), None)),
            ("DSC of patches", one("DSC", BLUE, &dsc, Some([0.0, 1.0]))),
        ];
        if self.rates.len() == self.events.len() {
            let chart = LineChart {
                series: vec![self.series("Rate", Look::plain(PURPLE), &self.rates, Stroke::Strong)],
                ..by_iteration("Rate")
            };
            panels.push(("Learning rate", chart));
        }
        let reference = of(|e| e.foreground_share);
        let mut shares = LineChart {
            legend: true,
            series: vec![self.median("Reference", Look::nth(2), &reference, window)],
            ..by_iteration("Share")
        };
        if predicted.iter().any(|v| v.is_finite()) {
            let look = Look::nth(3);
            shares
                .series
                .push(self.median("Predicted", look, &predicted, window));
        }
        panels.push(("Foreground of the patches", shares));
        let drawn = panels
            .into_iter()
            .map(|(title, chart)| (title.to_owned(), chart.drawing()));
        let row = PanelRow {
            title: String::new(),
            panels: drawn.collect(),
        };
        Chart::broad(
            "curves",
            "By iteration",
            &format!(
                "Pale: single iterations. Strong, and the foreground shares: the running median of \
                 {window}. The DSC is hard, of the foreground, pooled over the effective patches of \
                 a batch; batches without foreground have none."
            ),
            vec![row],
        )
    }

    fn series(&self, name: &str, look: Look, values: &[f64], stroke: Stroke) -> Series {
        let at = self.events.iter().map(|e| e.iteration as f64);
        Series {
            name: name.to_owned(),
            points: at.zip(values).map(|(x, &y)| [x, y]).collect(),
            band: Vec::new(),
            look,
            stroke,
        }
    }

    fn median(&self, name: &str, look: Look, values: &[f64], window: usize) -> Series {
        let median = running_median(values, window);
        // Marks tell lines apart, and a thousand points need none.
        let look = Look {
            marker: None,
            ..look
        };
        self.series(name, look, &median, Stroke::Strong)
    }

    fn with_median(&self, name: &str, look: Look, values: &[f64], window: usize) -> Vec<Series> {
        let single = format!("{name}, single iterations");
        let median = format!("{name}, running median");
        vec![
            self.series(&single, look, values, Stroke::Faint),
            self.median(&median, look, values, window),
        ]
    }

    /// Mean DSC and lesion F1 of the validation subjects at each time; not a number where
    /// version 0.1.0 did not take them.
    fn validated(&self) -> Vec<(u64, [f64; 2])> {
        let times = self.validation.chunk_by(|a, b| a.iteration == b.iteration);
        times
            .map(|time| {
                let mean = |of: fn(&ValidationScore) -> f64| {
                    time.iter().map(of).sum::<f64>() / time.len() as f64
                };
                let f1 = mean(|s| s.lesion_f1.unwrap_or(f64::NAN));
                (time[0].iteration, [mean(|s| s.dsc), f1])
            })
            .collect()
    }

    fn validation_chart(&self) -> Chart {
        let times = self.validated();
        let series = |name: &str, look, which: usize| {
            let points = times.iter();
            let points = points.map(|(at, values)| [*at as f64, values[which]]);
            Series::strong(name, points.collect(), look)
        };
        let chart = LineChart {
            y_range: Some([0.0, 1.0]),
            legend: true,
            series: vec![
                series("DSC", Look::nth(0), 0),
                series("Lesion F1", Look::nth(1), 1),
            ],
            ..by_iteration("Mean over subjects")
        };
        Chart::single(
            "validation",
            "Validation by iteration",
            "Means over the validation subjects: DSC of all foreground, F1 of lesions (found by any \
             voxel).",
            &chart.drawing(),
        )
    }

    /// Each validation subject at the end, and at its best.
    fn validation_table(&self) -> StudyTable {
        let last = self.validation.last().map_or(0, |s| s.iteration);
        let mut end: Vec<&ValidationScore> = self
            .validation
            .iter()
            .filter(|s| s.iteration == last)
            .collect();
        end.sort_by(|a, b| a.dsc.total_cmp(&b.dsc));
        let best = |subject: &str| {
            let own = self.validation.iter().filter(|s| s.subject == subject);
            own.reduce(|a, b| if b.dsc > a.dsc { b } else { a })
        };
        let row = |s: &&ValidationScore| -> Vec<Cell> {
            let f1 = s.lesion_f1.map_or_else(|| "–".to_owned(), number);
            let best = best(&s.subject).unwrap_or(s);
            vec![
                s.subject.as_str().into(),
                number(s.dsc).into(),
                f1.into(),
                number(best.dsc).into(),
                best.iteration.into(),
            ]
        };
        let end_of = format!("After {last} iterations");
        StudyTable {
            id: "validation-subjects".to_owned(),
            title: "Validation subjects, worst first".to_owned(),
            columns: vec![
                Column::words("Subject"),
                Column::numbers("DSC").under(&end_of),
                Column::numbers("lesion F1").under(&end_of),
                Column::numbers("DSC").under("Best"),
                Column::numbers("iteration").under("Best"),
            ],
            rows: end.iter().map(row).collect(),
            convention: "Whole volumes; DSC of all foreground as one.".to_owned(),
        }
    }

    fn configuration_table(&self) -> StudyTable {
        let row = |fact: &Fact| -> Vec<Cell> {
            vec![fact.name.as_str().into(), fact.value.as_str().into()]
        };
        StudyTable {
            id: "configuration".to_owned(),
            title: "What was asked for".to_owned(),
            columns: vec![Column::words("What"), Column::words("Value")],
            rows: self.configuration.iter().map(row).collect(),
            convention: "run.toml in the run's folder has every key.".to_owned(),
        }
    }
}

/// A chart over iterations.
fn by_iteration(label: &str) -> LineChart {
    LineChart {
        title: format!("{label} by iteration"),
        x_label: "Iteration".to_owned(),
        y_label: label.to_owned(),
        x_scale: Scale::Linear,
        y_range: None,
        legend: false,
        series: Vec::new(),
    }
}

fn percent(share: f64) -> String {
    format!("{} %", number(100.0 * share))
}
