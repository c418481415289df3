//! `lacuna train`

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lacuna_record::{Ending, Event, Summary};
use lacuna_train::config::RunConfig;
use lacuna_train::device::DeviceName;
use lacuna_train::training::{Progress as Step, train};

use crate::DeviceArgument;
use crate::terminal::{Progress, stop_flag};

/// Share of the time spent waiting for patches that is worth a remark.
const NOTICEABLE_WAIT: f64 = 0.05;

#[derive(clap::Args)]
pub struct Arguments {
    /// The run configuration; `lacuna config` prints a documented one
    config: PathBuf,
    /// Folder for checkpoints, events and the summary
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Continue the run in --out from its newest checkpoint
    #[arg(long)]
    resume: bool,
    /// Start from the newest weights of this run: the same network and modalities; other
    /// classes get a new last layer. Or from a file of PyTorch's (.pth, .pt, .safetensors): the
    /// tensors that the network has by name and shape
    #[arg(long, value_name = "RUN|FILE", conflicts_with = "resume")]
    from: Option<PathBuf>,
    /// Override a key of the configuration, for example --set train.batch=5
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArgument,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut config = RunConfig::read(&arguments.config, &arguments.overrides)?;
    if let Some(from) = &arguments.from {
        config.train.from = Some(std::path::absolute(from)?);
    }
    let stop = stop_flag()?;
    let device = DeviceName::from(arguments.device).open()?;
    let mut watch = Watch::default();
    let (out, resume) = (&arguments.out, arguments.resume);
    let summary = train(&config, out, resume, &device, &stop, &mut |step| {
        watch.told(step)
    })?;
    watch.finish();
    super::print(&describe(&summary, out))?;
    if summary.finished {
        return Ok(ExitCode::SUCCESS);
    }
    tell!(
        "stopped; continue with: lacuna train {} --out {} --resume",
        arguments.config.display(),
        arguments.out.display()
    );
    Ok(ExitCode::from(super::INTERRUPTED))
}

/// Shows a training.
#[derive(Default)]
pub struct Watch {
    bar: Option<Progress>,
    recent: RecentWait,
}

impl Watch {
    /// Removes the bar.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish();
        }
    }

    /// Shows what the training tells.
    pub fn told(&mut self, step: Step) {
        match (step, &mut self.bar) {
            (Step::Note(text), Some(bar)) => bar.note(&text),
            (Step::Note(text), None) => tell!("{text}"),
            (Step::Start { done, total }, bar) => *bar = Some(Progress::new("train", done, total)),
            (Step::Iteration(event), Some(bar)) => {
                self.recent.add(event);
                let state = format!(
                    "loss {:.3} {}{}",
                    event.loss,
                    dsc_of(event),
                    self.recent.remark()
                );
                bar.at(event.iteration, &state);
            }
            (
                Step::Subject {
                    purpose,
                    number,
                    total,
                },
                Some(bar),
            ) => bar.between(&format!("{purpose}: subject {number} of {total}")),
            (Step::Validation(scored), Some(bar)) => {
                let lesions = scored.lesion_f1;
                let lesions = lesions.map_or_else(String::new, |f1| format!(", lesion F1 {f1:.3}"));
                bar.note(&format!(
                    "validation after {}: mean DSC {:.3}{lesions}",
                    scored.iteration, scored.dsc
                ));
            }
            (Step::Iteration(_) | Step::Subject { .. } | Step::Validation(_), None) => {}
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The DSC of a batch; where it holds no foreground, 1 for predicting none would be no
/// success.
fn dsc_of(event: &Event) -> String {
    match event.foreground_share > 0.0 {
        true => format!("DSC {:.3}", event.dsc),
        false => "no foreground".to_owned(),
    }
}

/// Time of the last iterations, and how much of it was spent waiting for patches.
#[derive(Default)]
struct RecentWait {
    /// Seconds in all and seconds waited, newest last.
    iterations: VecDeque<[f64; 2]>,
}

impl RecentWait {
    const ITERATIONS: usize = 20;

    fn add(&mut self, event: &Event) {
        self.iterations
            .push_back([event.seconds, event.wait_seconds]);
        if self.iterations.len() > Self::ITERATIONS {
            self.iterations.pop_front();
        }
    }

    /// Says so when waiting takes a noticeable share, else nothing.
    fn remark(&self) -> String {
        let sum = |of: usize| self.iterations.iter().map(|times| times[of]).sum::<f64>();
        let share = sum(1) / sum(0).max(f64::MIN_POSITIVE);
        match share > NOTICEABLE_WAIT {
            true => format!(" waiting for patches {:.0} %", 100.0 * share),
            false => String::new(),
        }
    }
}

/// What a training came to.
pub fn describe(summary: &Summary, out: &Path) -> String {
    let mut text = String::new();
    if let Some(last) = &summary.last_iterations {
        text += &format!(
            "training DSC over the last {} iterations: median {:.3} (IQR {:.3})\n",
            last.iterations, last.median, last.iqr
        );
    }
    let memory = summary.peak_memory_bytes.map_or_else(String::new, |b| {
        format!(", peak memory {:.2} GB", b as f64 / 1e9)
    });
    let remedy = match summary.wait_share > NOTICEABLE_WAIT {
        true => " (raise train.loader_threads)",
        false => "",
    };
    if let Some(collapse) = summary.ending.and_then(Ending::collapse) {
        text += &format!("warning: the training collapsed: in its last iterations {collapse}\n");
    }
    if let Some(best) = summary
        .best_iteration
        .filter(|best| *best < summary.iterations)
    {
        text += &format!(
            "the validation subjects were segmented best after {best} iterations: predict with \
             --checkpoint best\n"
        );
    }
    for (part, [patches, empty]) in &summary.drawn {
        text += &format!("{part}: {patches} patches, {empty} of them without foreground\n");
    }
    text + &format!(
        "patches: foreground share {:.4}, without foreground {:.1} %\n\
         {:.3} s per iteration (median), {:.1} % of the time waiting for patches{remedy}{memory}\n\
         run folder: {}\n",
        summary.foreground_share,
        100.0 * summary.empty_patch_rate,
        summary.seconds_per_iteration,
        100.0 * summary.wait_share,
        out.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seconds: f64, wait_seconds: f64) -> Event {
        Event {
            iteration: 1,
            loss: 0.5,
            dsc: 0.5,
            foreground_share: 0.1,
            predicted_share: Some(0.1),
            alternation: None,
            empty_patches: 0,
            seconds,
            wait_seconds,
            wall_time: 1.0,
        }
    }

    #[test]
    fn a_batch_without_foreground_is_no_success() {
        assert_eq!(dsc_of(&event(1.0, 0.0)), "DSC 0.500");
        let empty = Event {
            dsc: 1.0,
            foreground_share: 0.0,
            ..event(1.0, 0.0)
        };
        assert_eq!(dsc_of(&empty), "no foreground");
    }

    #[test]
    fn waiting_is_remarked_on_above_a_twentieth() {
        let mut recent = RecentWait::default();
        assert_eq!(recent.remark(), "");
        recent.add(&event(1.0, 0.04));
        assert_eq!(recent.remark(), "");
        recent.add(&event(1.0, 0.46));
        assert_eq!(recent.remark(), " waiting for patches 25 %");
        for _ in 0..20 {
            recent.add(&event(1.0, 0.0));
        }
        assert_eq!(recent.remark(), "");
    }
}
