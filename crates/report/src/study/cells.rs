//! Which runs belong together.
//!
//! Runs that differ only in seed or fold form a cell. Cells that differ only in
//! the loss lie at one [`Site`], where losses can be compared.

use lacuna_metrics::mean;
use lacuna_record::{PlannedRun, RunResult, StudyResults};
use lacuna_volume::PatchSize;

use super::names;

/// All of a run's settings but loss, seed and fold.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Network.
    pub network: String,
    /// Axes of the network: 2 or 3.
    pub rank: usize,
    /// Edge of the input patch in voxels.
    pub patch: PatchSize,
    /// Voxels of the effective patch.
    pub effective_patch: PatchSize,
    /// Patches per iteration.
    pub batch: usize,
    /// Learning rate.
    pub learning_rate: f64,
    /// Optimiser steps.
    pub iterations: u64,
    /// Lesion share of the phantoms.
    pub share: Option<f64>,
    /// What further axes gave the run; empty without such axes.
    pub variant: String,
}

/// A network on one dataset: what the best settings of losses are chosen within.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Network.
    pub network: String,
    /// Lesion share of the phantoms.
    pub share: Option<f64>,
}

impl Family {
    /// In words, as `UNet, lesion share 1/1,000`.
    pub fn text(&self) -> String {
        let network = names::network(&self.network);
        match self.share {
            Some(share) => format!("{network}, lesion share {}", names::share(share)),
            None => network,
        }
    }
}

/// The runs of a study by site and loss.
#[derive(Clone, Debug)]
pub struct Cells<'a> {
    /// Sites: networks in the study's order, then patches ascending, learning
    /// rates and shares descending.
    pub sites: Vec<Site>,
    /// Losses in the study's order.
    pub losses: Vec<String>,
    placed: Vec<(usize, &'a RunResult)>,
}

impl<'a> Cells<'a> {
    /// Sorts the runs of a study.
    pub fn of(results: &'a StudyResults) -> Self {
        let further = further_axes(results);
        let site = |plan: &PlannedRun| Site {
            network: plan.network.clone(),
            rank: plan.rank,
            patch: plan.patch,
            effective_patch: plan.effective_patch,
            batch: plan.batch,
            learning_rate: plan.learning_rate,
            iterations: plan.iterations,
            share: plan.phantom_share,
            variant: variant(plan, &further),
        };
        let networks = distinct(results.runs.iter().map(|r| r.plan.network.clone()));
        let mut sites = distinct(results.runs.iter().map(|r| site(&r.plan)));
        let place = |s: &Site| networks.iter().position(|n| *n == s.network);
        let share = |s: &Site| s.share.unwrap_or(0.0);
        // Stable, so that what is left keeps the study's order.
        sites.sort_by(|a, b| {
            (a.rank.cmp(&b.rank))
                .then(place(a).cmp(&place(b)))
                .then((a.patch.mean_edge()).total_cmp(&b.patch.mean_edge()))
                .then(b.learning_rate.total_cmp(&a.learning_rate))
                .then(share(b).total_cmp(&share(a)))
        });
        let placed = results.runs.iter().filter_map(|run| {
            let site = site(&run.plan);
            Some((sites.iter().position(|s| *s == site)?, run))
        });
        Self {
            placed: placed.collect(),
            losses: distinct(results.runs.iter().map(|r| r.plan.loss.clone())),
            sites,
        }
    }

    /// What is summarised at the end of the trainings.
    pub(super) fn last(&self) -> names::Last {
        names::Last::of(self.sites.iter().map(|s| s.iterations))
    }

    /// The runs of a loss at a site, one per seed and fold.
    pub fn runs(&self, site: &Site, loss: &str) -> impl Iterator<Item = &'a RunResult> {
        let place = self.sites.iter().position(|s| s == site);
        let runs = self.placed.iter().filter(move |(p, _)| Some(*p) == place);
        runs.map(|(_, run)| *run)
            .filter(move |run| run.plan.loss == loss)
    }

    /// Where a run of the study lies.
    pub fn site_of(&self, run: &RunResult) -> Option<&Site> {
        let mut placed = self.placed.iter();
        let (place, _) = placed.find(|(_, r)| r.plan.name == run.plan.name)?;
        Some(&self.sites[*place])
    }

    /// The runs of a loss at all sites that are asked for.
    pub fn runs_where(&self, loss: &str, wanted: impl Fn(&Site) -> bool) -> Vec<&'a RunResult> {
        let wanted: Vec<bool> = self.sites.iter().map(wanted).collect();
        let runs = self.placed.iter().filter(|(site, _)| wanted[*site]);
        runs.map(|(_, run)| *run)
            .filter(|run| run.plan.loss == loss)
            .collect()
    }

    /// Networks in the order of the sites.
    pub fn networks(&self) -> Vec<String> {
        distinct(self.sites.iter().map(|s| s.network.clone()))
    }

    /// Families in the order of the sites.
    pub fn families(&self) -> Vec<Family> {
        distinct(self.sites.iter().map(Site::family))
    }

    /// The site of a family at which a loss trains best: the highest mean over
    /// seeds and folds of the median DSC of the last 200 iterations, or of all.
    pub fn best_site(&self, family: &Family, loss: &str) -> Option<&Site> {
        let of = |site: &&Site| {
            let trained = self.runs(site, loss).filter_map(RunResult::trained);
            mean(trained.map(|t| t.last.median))
        };
        let sites = self.sites.iter().filter(|s| s.family() == *family);
        let scored = sites.filter_map(|s| Some((s, of(&s)?)));
        // The first of equals.
        let best = scored.reduce(|a, b| if b.1 > a.1 { b } else { a });
        best.map(|(site, _)| site)
    }
}

impl Site {
    /// What it is a setting of.
    pub fn family(&self) -> Family {
        Family {
            network: self.network.clone(),
            share: self.share,
        }
    }

    /// The setting within its family in words, as `patch 64, batch 3, rate 1e-4`.
    pub fn text(&self) -> String {
        let mut text = format!(
            "patch {}, batch {}, rate {}",
            self.patch,
            self.batch,
            names::power(self.learning_rate)
        );
        if !self.variant.is_empty() {
            text.push_str(&format!(", {}", self.variant));
        }
        text
    }
}

/// The axes that set runs apart which are otherwise alike in every field of the
/// plan: those that are not network, loss, patch, batch, rate, seed and so on.
fn further_axes(results: &StudyResults) -> Vec<String> {
    let plain = |run: &RunResult| PlannedRun {
        name: String::new(),
        axes: Vec::new(),
        ..run.plan.clone()
    };
    let plain: Vec<PlannedRun> = results.runs.iter().map(plain).collect();
    let mut further: Vec<String> = Vec::new();
    for i in 0..plain.len() {
        for j in (0..i).filter(|j| plain[*j] == plain[i]) {
            let axes = [i, j].map(|run| &results.runs[run].plan.axes);
            for (one, other) in axes[0].iter().zip(axes[1]) {
                if one != other && !further.contains(&one.axis) {
                    further.push(one.axis.clone());
                }
            }
        }
    }
    further
}

fn variant(plan: &PlannedRun, further: &[String]) -> String {
    let axes = plan.axes.iter().filter(|a| further.contains(&a.axis));
    axes.map(|a| format!("{} {}", a.axis, a.label))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The different ones, in their order.
pub(crate) fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_record::{AxisValue, Status, Study};

    fn results(plans: Vec<PlannedRun>) -> StudyResults {
        let run = |plan: &PlannedRun| RunResult {
            plan: plan.clone(),
            status: Status::default(),
            training: None,
            summary: None,
            scores: None,
            calibration: None,
            outcome: None,
        };
        StudyResults {
            runs: plans.iter().map(run).collect(),
            study: Study {
                device: "cpu".to_owned(),
                name: String::new(),
                description: String::new(),
                runs: plans,
            },
        }
    }

    fn plan(name: &str, patch: usize, seed: u64, sampler: &str) -> PlannedRun {
        let axis = |axis: &str, label: String| AxisValue {
            axis: axis.to_owned(),
            label,
        };
        PlannedRun {
            name: name.to_owned(),
            axes: vec![
                axis("patch.size", patch.to_string()),
                axis("seed", seed.to_string()),
                axis("patch.sampler", sampler.to_owned()),
            ],
            network: "unet".to_owned(),
            loss: "dice".to_owned(),
            patch: patch.into(),
            effective_patch: (patch - 40).into(),
            rank: 2,
            batch: 1,
            learning_rate: 1e-4,
            iterations: 10,
            seed,
            fold: None,
            phantom_share: None,
        }
    }

    #[test]
    fn seeds_share_a_site_and_axes_that_no_field_tells_part_them() {
        let results = results(vec![
            plan("a", 88, 0, "foreground"),
            plan("b", 88, 1, "foreground"),
            plan("c", 88, 0, "uniform"),
            plan("d", 64, 0, "foreground"),
            plan("e", 64, 0, "uniform"),
        ]);
        let cells = Cells::of(&results);
        let sites: Vec<(PatchSize, &str)> = (cells.sites.iter())
            .map(|s| (s.patch, s.variant.as_str()))
            .collect();
        let (foreground, uniform) = ("patch.sampler foreground", "patch.sampler uniform");
        assert_eq!(
            sites,
            [
                (64.into(), foreground),
                (64.into(), uniform),
                (88.into(), foreground),
                (88.into(), uniform)
            ]
        );
        let seeds = cells.runs(&cells.sites[2], "dice");
        assert_eq!(seeds.map(|r| r.plan.seed).collect::<Vec<_>>(), [0, 1]);
    }
}
