//! `lacuna plan` and `lacuna auto`

use std::path::PathBuf;
use std::process::ExitCode;

use lacuna_auto::plan::{Asked, Plan};
use lacuna_auto::{Made, Step, Structure};
use lacuna_metrics::Distribution;
use lacuna_train::config::Budget;
use lacuna_train::device::DeviceName;

use super::predict::PredictBar;
use super::train::Watch;
use crate::DeviceArgument;
use crate::terminal::{Progress, stop_flag};

#[derive(clap::Args)]
pub struct Arguments {
    /// The dataset manifest; `lacuna dataset` writes one
    dataset: PathBuf,
    /// Time for everything, such as 40m or 1h30m
    #[arg(long, value_name = "TIME")]
    budget: Budget,
    /// Folder to write; with what was begun there, `lacuna auto` goes on
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What is looked for, as a starting point: lacune, microbleed, ms-lesion, wmh, metastasis,
    /// infarct or perivascular-space
    #[arg(long)]
    structure: Option<Structure>,
    /// Override a key of the planned configuration, for example --set patch.size=48
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Folds of nnU-Net's splits_final.json in place of those that would be drawn
    #[arg(long, value_name = "FILE")]
    splits: Option<PathBuf>,
    /// Leave subjects out that cannot be used, and say so
    #[arg(long)]
    skip_bad: bool,
    /// Key of all random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArgument,
}

#[derive(clap::Args)]
pub struct AutoArguments {
    #[command(flatten)]
    planned: Arguments,
    /// Carry out this training of the plan in --out alone, such as fold-0, with all of the time
    /// that is left: as a task of an array on a cluster, after `lacuna plan` and before
    /// `lacuna auto` makes the model of all
    #[arg(long, value_name = "TRAINING")]
    only: Option<String>,
}

impl Arguments {
    fn asked(&self) -> anyhow::Result<Asked> {
        let whole =
            |path: &PathBuf| std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        Ok(Asked {
            dataset: whole(&self.dataset)?,
            budget: self.budget,
            structure: self.structure,
            sets: self.overrides.clone(),
            splits: self.splits.as_ref().map(whole).transpose()?,
            skip_bad: self.skip_bad,
            seed: self.seed,
        })
    }
}

pub fn plan(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let stop = stop_flag()?;
    let device = DeviceName::from(arguments.device).open()?;
    let mut shown = Shown::default();
    let (asked, out) = (arguments.asked()?, &arguments.out);
    let plan = lacuna_auto::make_plan(&asked, out, &device, &stop, &mut |step| {
        shown.told(step);
    })?;
    shown.finish();
    let Some(plan) = plan else {
        return Ok(interrupted());
    };
    super::print(&format!(
        "{}written: {}\n",
        decisions(&plan),
        arguments.out.display()
    ))
}

pub fn auto(
    AutoArguments {
        planned: arguments,
        only,
    }: &AutoArguments,
) -> anyhow::Result<ExitCode> {
    let stop = stop_flag()?;
    let device = DeviceName::from(arguments.device).open()?;
    let mut shown = Shown::default();
    let asked = arguments.asked()?;
    if let Some(name) = only {
        let (out, mut told) = (&arguments.out, |step: Step| shown.told(step));
        let done = lacuna_auto::train_one(&asked, name, out, &device, &stop, &mut told)?;
        shown.finish();
        if !done {
            return Ok(interrupted());
        }
        return super::print(&format!("trained and predicted: {name}\n"));
    }
    let made = lacuna_auto::auto(&asked, &arguments.out, &device, &stop, &mut |step| {
        shown.told(step);
    })?;
    shown.finish();
    let Some(made) = made else {
        return Ok(interrupted());
    };
    let out = arguments.out.display();
    super::print(&format!(
        "{}{:.1} of {} minutes spent\nmodel: {out} (lacuna predict {out} --dataset ...)\ncard: {out}/card.md\npage: {}\n",
        scores(&made),
        made.seconds / 60.0,
        asked.budget.duration().as_secs() / 60,
        made.page.display()
    ))
}

fn interrupted() -> ExitCode {
    tell!("stopped; the same command goes on from here");
    ExitCode::from(super::INTERRUPTED)
}

/// The plan, a line for each decision.
fn decisions(plan: &Plan) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_header(["what", "chosen", "why", "from"]);
    for d in &plan.decisions {
        table.add_row([&d.what, &d.value, &d.reason, &d.figure]);
    }
    format!("{table}\n")
}

/// Out-of-fold scores before and after tuning.
fn scores(made: &Made) -> String {
    let Some(judged) = &made.judged else {
        return "not judged: no subject with lesions could be held out\n".to_owned();
    };
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "class",
        "held-out subjects",
        "DSC",
        "lesion F1",
        "recall",
        "precision",
    ]);
    let mean = |d: &Distribution| match &d.mean_interval {
        Some(i) => format!("{:.3} [{:.3}, {:.3}]", d.mean, i.low, i.high),
        None => format!("{:.3}", d.mean),
    };
    for (kind, evaluation) in [("as predicted", &judged.before), ("tuned", &judged.after)] {
        for class in &evaluation.summary.classes {
            let of = |name: &str| {
                let found = class.metrics.iter().find(|m| m.metric == name);
                found.map_or_else(String::new, |m| mean(&m.distribution))
            };
            table.add_row([
                class.class.clone(),
                kind.to_owned(),
                of("dsc"),
                of("lesion_f1"),
                of("lesion_recall"),
                of("lesion_precision"),
            ]);
        }
    }
    let mut text = format!("{table}\ntemperature {:.3}\n", judged.temperature.value);
    for class in &judged.tuned.classes {
        let rule = &class.rule;
        let part = |name: &str, value: Option<f64>| {
            value.map_or_else(String::new, |v| format!(" {name} {v}"))
        };
        text += &format!(
            "{}:{}{}{}{}; gain {:+.3} on these subjects, {} without each fold\n",
            class.class,
            part("threshold", rule.threshold),
            part("least mm3", rule.min_volume_mm3),
            part("least peak", rule.min_peak_probability),
            if rule.is_none() {
                " nothing gained by rules"
            } else {
                ""
            },
            class.in_sample_gain.mean,
            (class.held_out.as_ref()).map_or_else(
                || "not known".to_owned(),
                |h| format!("{:+.3}", h.gain.mean)
            ),
        );
    }
    text
}

/// Shows what `lacuna auto` does.
#[derive(Default)]
struct Shown {
    bar: Option<Progress>,
    watch: Option<Watch>,
    predict: Option<PredictBar>,
}

impl Shown {
    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish();
        }
        if let Some(mut watch) = self.watch.take() {
            watch.finish();
        }
        if let Some(mut predict) = self.predict.take() {
            predict.finish();
        }
    }

    /// A bar of its own for `done` of `total` things.
    fn count(&mut self, label: &str, done: usize, total: usize) {
        if self.bar.is_none() {
            self.finish();
            self.bar = Some(Progress::new(label, 0, total as u64));
        }
        if let Some(bar) = &mut self.bar {
            bar.at(done as u64, "");
        }
        if done == total {
            self.finish();
        }
    }

    fn told(&mut self, step: Step) {
        match step {
            Step::Note(text) => tell!("{text}"),
            Step::Read(done, total) => self.count("read", done, total),
            Step::Measuring => {
                self.finish();
                step!("measuring how fast this machine trains");
            }
            Step::Planned(plan) => {
                self.finish();
                step!("{}", decisions(plan).trim_end());
            }
            Step::Training(training, number, total, iterations) => {
                self.finish();
                step!(
                    "training {number} of {total}: {}, {iterations} iterations",
                    training.name
                );
            }
            Step::Train(step) => self.watch.get_or_insert_default().told(step),
            Step::Predict(at) => {
                if self.predict.is_none() {
                    self.finish();
                }
                self.predict.get_or_insert_default().at(at);
            }
            Step::Tune(done, total) => self.count("tune", done, total),
            Step::Scored(done, total) => self.count("evaluate", done, total),
        }
    }
}
