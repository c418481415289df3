//! `lacuna losses`

mod doctor;
mod plot;
mod robustness;

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::{Context, bail};
use lacuna_data::manifest::closest;
use lacuna_losses::guide::{GUIDES, Guide, guide, option_meaning, optional};
use lacuna_losses::{Loss, LossConfig, NamedLoss};
use lacuna_train::config::parse_value;
use robustness::Robustness;
use serde::Serialize;
use toml::{Table, Value};

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// Explain this loss: equation, options, source, when to use it
    name: Option<String>,
    #[command(flatten)]
    json: super::Json,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(clap::Subcommand)]
enum What {
    /// Draw value and gradient over hits and false positives, and over prevalence
    Plot(plot::Arguments),
    /// Try a run's loss on empty, one-voxel, typical and all-foreground patches
    Doctor(doctor::Arguments),
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match (&arguments.what, &arguments.name) {
        (Some(What::Plot(arguments)), _) => plot::run(arguments),
        (Some(What::Doctor(arguments)), _) => doctor::run(arguments),
        (None, Some(name)) => {
            let explained = Explained::of(name)?;
            arguments.json.print(&explained, || explained.text())
        }
        (None, None) => {
            let listed = GUIDES
                .iter()
                .map(Listed::of)
                .collect::<Result<Vec<_>, _>>()?;
            arguments.json.print(&listed, || list(&listed))
        }
    }
}

/// A loss in the list of all.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    guide: &'static Guide,
    robustness: Vec<Robustness>,
}

impl Listed {
    fn of(guide: &'static Guide) -> anyhow::Result<Self> {
        let robustness = Robustness::of(guide.name)?;
        Ok(Self { guide, robustness })
    }
}

fn list(listed: &[Listed]) -> String {
    let names = listed.iter().map(|listed| listed.guide.name.len());
    let widest = names.max().unwrap_or(0);
    let mut text = format!("{:widest$}  near the best\n", "");
    for Listed { guide, robustness } in listed {
        let shares = robustness.iter().map(|found| found.near_the_best);
        let share = match shares.reduce(f64::max) {
            Some(share) => format!("{:3.0} %", 100.0 * share),
            None => "    –".to_owned(),
        };
        let _ = writeln!(text, "{:widest$}  {share}  {}", guide.name, guide.summary);
    }
    text + "\nNear the best: share of a loss's runs within .05 of the best DSC of all losses, over \
            three rates and three seeds on phantoms of 1 lesion voxel in 1,000; each loss alone, in \
            its best form (studies/robustness.toml, docs/findings.md)\n"
}

/// All that is said of a loss.
#[derive(Serialize)]
struct Explained {
    #[serde(flatten)]
    guide: &'static Guide,
    options: Vec<LossOption>,
    sigmoid: bool,
    soft_labels: bool,
    /// Any voxel weight, not 0 and 1 alone.
    weights: bool,
    compatibility: Vec<&'static str>,
    robustness: Vec<Robustness>,
}

/// An option of a loss.
#[derive(Serialize)]
struct LossOption {
    key: String,
    /// As TOML; none where it has no default value.
    default: Option<String>,
    meaning: &'static str,
}

impl Explained {
    fn of(name: &str) -> anyhow::Result<Self> {
        let Some(guide) = guide(name) else {
            bail!(unknown(name));
        };
        let named = NamedLoss::all().into_iter().find(|l| l.name() == name);
        let named = named.context("a guide without a loss")?;
        let defaults = Table::try_from(&named)?;
        let option = |key: &str, default: Option<String>| LossOption {
            key: key.to_owned(),
            default,
            meaning: option_meaning(name, key).unwrap_or_default(),
        };
        let given = defaults.iter().filter(|(key, _)| *key != "name");
        let given = given.map(|(key, value)| option(key, Some(value.to_string())));
        let without = optional(name).iter().map(|key| option(key, None));
        let honours = named.honours();
        Ok(Self {
            guide,
            options: given.chain(without).collect(),
            sigmoid: honours.sigmoid,
            soft_labels: honours.soft_labels,
            weights: honours.weights,
            compatibility: [("monai", honours.monai), ("niftynet", honours.niftynet)]
                .into_iter()
                .filter_map(|(tool, honoured)| honoured.then_some(tool))
                .collect(),
            robustness: Robustness::of(name)?,
        })
    }

    fn text(&self) -> String {
        let guide = self.guide;
        let mut text = format!(
            "{}: {}\n\n  {}\n\nSource: {}\nUse:    {}\n",
            guide.name, guide.summary, guide.equation, guide.source, guide.when
        );
        for found in &self.robustness {
            let _ = writeln!(text, "Found:  {} (docs/findings.md)", found.text());
        }
        if !self.options.is_empty() {
            text.push_str("\nOptions and defaults:\n");
        }
        for option in &self.options {
            let default = option.default.as_deref().unwrap_or("none");
            let _ = writeln!(
                text,
                "  {} = {default}\n      {}",
                option.key, option.meaning
            );
        }
        let yes = |honoured| if honoured { "yes" } else { "no" };
        let _ = write!(
            text,
            "\nOf the options of every loss: reduction = \"batch\", \"sample\" or \"none\"; \
             ignore_label; activation = \"sigmoid\": {}; soft labels: {}; voxel weights: {}; \
             compatibility: {}\n",
            yes(self.sigmoid),
            yes(self.soft_labels),
            if self.weights { "yes" } else { "0 and 1 only" },
            if self.compatibility.is_empty() {
                "none".to_owned()
            } else {
                self.compatibility.join(", ")
            },
        );
        text
    }
}

/// A loss by its name with options `key=value`; values are TOML, or else bare strings.
pub fn configured(name: &str, set: &[String]) -> anyhow::Result<LossConfig> {
    if guide(name).is_none() {
        bail!(unknown(name));
    }
    let mut table = Table::from_iter([("name".to_owned(), Value::from(name))]);
    for option in set {
        let (key, value) = option.split_once('=').with_context(|| {
            format!("--set {option}: expected the form key=value, for example alpha=0.3")
        })?;
        let value = parse_value(value.trim());
        table.insert(key.trim().to_owned(), value);
    }
    let config = table.try_into::<LossConfig>();
    config.map_err(|error| anyhow::anyhow!("{}", error.message()))
}

fn unknown(name: &str) -> String {
    let nearest = closest(name, GUIDES.iter().map(|guide| guide.name))
        .map(|nearest| format!(", did you mean {nearest:?}?"));
    format!(
        "there is no loss {name:?}{}; `lacuna losses` lists them",
        nearest.unwrap_or_default()
    )
}
