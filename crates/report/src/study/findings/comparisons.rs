//! The findings that compare losses, learning rates and patches over a whole study.

use super::grid::{Grid, Loss, Setting, fails, mean, most};
use super::{Cell, Finding, Outcome};

/// The learning rates of the paper.
const RATES: [f64; 3] = [1e-3, 1e-4, 1e-5];
/// How near a cell of the paper's tables must be: its data are not these.
const TOLERANCE: f64 = 0.15;

/// Cells of the paper's Tables 2 and 3 that can be read: table, network, patch and
/// its effective edge, then WCE, DL2, SS and GDL at 1e-4.
type Legible = (
    &'static str,
    &'static str,
    &'static str,
    usize,
    [Option<f64>; 4],
);
const LEGIBLE: [Legible; 2] = [
    (
        "Table 2",
        "unet",
        "m",
        24,
        [Some(0.77), Some(0.76), Some(0.74), Some(0.80)],
    ),
    (
        "Table 3",
        "high-res-3d-net",
        "s",
        15,
        [Some(0.0), Some(0.71), Some(0.34), None],
    ),
];

pub(super) fn generalised_dice_in_training(grid: &Grid) -> Finding {
    Finding::new(
        "gdl-most-robust",
        "Generalised Dice is the loss most robust to patch size and learning rate (sections 3.2 \
         and 4, Figures 1 and 2).",
        robust_rule("training DSC"),
        robust_outcome(grid, "training", |c| Some(c.last_dsc_median)),
    )
}

pub(super) fn generalised_dice_on_test(grid: &Grid) -> Finding {
    Finding::new(
        "gdl-most-robust-on-test-subjects",
        "On test subjects, too, generalised Dice is the most robust loss (section 3.3, Figure 3).",
        robust_rule("whole-volume DSC of the test subjects"),
        robust_outcome(grid, "test", |c| c.test_dsc),
    )
}

fn robust_rule(measure: &str) -> String {
    format!(
        "over settings and learning rates with all four losses, at least two of them: the {measure} \
         of a loss falls short of the best loss there; the mean shortfall of GDL is the smallest"
    )
}

fn robust_outcome(grid: &Grid, kind: &str, dsc: fn(&Cell) -> Option<f64>) -> Outcome {
    let mut shortfalls: Vec<[f64; 4]> = Vec::new();
    for setting in &grid.settings {
        for rate in setting.rates() {
            let found = Loss::ALL.map(|loss| setting.at(loss, rate).and_then(dsc));
            if found.iter().all(Option::is_some) {
                let best = found.iter().flatten().copied().fold(f64::MIN, f64::max);
                shortfalls.push(found.map(|dsc| best - dsc.unwrap_or(best)));
            }
        }
    }
    let sites = shortfalls.len();
    if sites < 2 {
        return Err(format!(
            "{sites} settings and learning rates have the {kind} DSC of all four losses, and it \
             takes two"
        ));
    }
    let means = [0, 1, 2, 3].map(|loss| mean(shortfalls.iter().map(|s| s[loss])));
    let listed: Vec<String> = (Loss::ALL.iter().zip(means))
        .map(|(loss, mean)| format!("{} {mean:.3}", grid.name(*loss)))
        .collect();
    let [others @ .., gdl] = means;
    let numbers = format!("mean shortfall over {sites}: {}", listed.join(", "));
    Ok((others.iter().all(|other| gdl < *other), numbers))
}

pub(super) fn best_rate(grid: &Grid) -> Finding {
    Finding::new(
        "1e-4-best-overall",
        "The intermediate learning rate 1e-4 gives the best training overall (section 3.2).",
        "over settings and losses trained at 1e-3, 1e-4 and 1e-5, the mean training DSC is highest \
         at 1e-4"
            .to_owned(),
        rate_outcome(grid),
    )
}

fn rate_outcome(grid: &Grid) -> Outcome {
    let mut found: Vec<[f64; 3]> = Vec::new();
    for setting in &grid.settings {
        for loss in Loss::ALL {
            let [fast, middle, slow] = RATES.map(|rate| setting.at(loss, rate));
            if let (Some(fast), Some(middle), Some(slow)) = (fast, middle, slow) {
                found.push([fast, middle, slow].map(|c| c.last_dsc_median));
            }
        }
    }
    if found.is_empty() {
        return Err("no setting and loss was trained at 1e-3, 1e-4 and 1e-5".to_owned());
    }
    let [fast, middle, slow] = [0, 1, 2].map(|rate| mean(found.iter().map(|f| f[rate])));
    let best = |f: &&[f64; 3]| f[1] > f[0] && f[1] > f[2];
    let numbers = format!(
        "mean training DSC {fast:.2} at 1e-3, {middle:.2} at 1e-4, {slow:.2} at 1e-5; 1e-4 is best \
         in {} of {}",
        found.iter().filter(best).count(),
        found.len()
    );
    Ok((middle > fast && middle > slow, numbers))
}

pub(super) fn small_patches(grid: &Grid) -> Finding {
    Finding::new(
        "small-patches-with-larger-batches-do-better",
        "Smaller patches with larger batches do better (sections 3.2 and 3.3).",
        format!(
            "over networks, losses and learning rates trained with the network's smallest patch \
             and, in a smaller batch, its largest, at least one of which trains, the training DSC \
             is higher with the smallest in more than half, and in the mean; {}",
            fails()
        ),
        patch_outcome(grid),
    )
}

fn patch_outcome(grid: &Grid) -> Outcome {
    let pairs = patch_pairs(grid);
    if pairs.is_empty() {
        return Err(
            "no network was trained with two patch sizes, the smaller in a larger batch".to_owned(),
        );
    }
    let both_fail = |(small, large): &(&Cell, &Cell)| small.fails() && large.fails();
    let trained: Vec<_> = pairs.iter().filter(|pair| !both_fail(pair)).collect();
    if trained.is_empty() {
        return Err(format!(
            "nothing trains in any of {} pairs of cells",
            pairs.len()
        ));
    }
    let higher = |(small, large): &&&(&Cell, &Cell)| small.last_dsc_median > large.last_dsc_median;
    let higher = trained.iter().filter(higher).count();
    let small = mean(trained.iter().map(|(small, _)| small.last_dsc_median));
    let large = mean(trained.iter().map(|(_, large)| large.last_dsc_median));
    let mut numbers = format!(
        "higher with the smallest patch in {higher} of {}; mean training DSC {small:.2} against \
         {large:.2}",
        trained.len()
    );
    let tested = trained
        .iter()
        .filter_map(|(s, l)| Some((s.test_dsc?, l.test_dsc?)));
    let tested: Vec<(f64, f64)> = tested.collect();
    if !tested.is_empty() {
        let small = mean(tested.iter().map(|(small, _)| *small));
        let large = mean(tested.iter().map(|(_, large)| *large));
        numbers += &format!("; test DSC {small:.2} against {large:.2}");
    }
    Ok((most(higher, trained.len()) && small > large, numbers))
}

/// Cells alike but for the patch and the batch: smallest and largest patch.
fn patch_pairs<'a>(grid: &Grid<'a>) -> Vec<(&'a Cell, &'a Cell)> {
    let alike = |a: &Setting, b: &Setting| {
        let (a, b) = (a.common(), b.common());
        a.network == b.network && a.phantom_share == b.phantom_share && a.further == b.further
    };
    let mut pairs = Vec::new();
    for small in &grid.settings {
        let others = || grid.settings.iter().filter(|s| alike(s, small));
        let rank = |s: &Setting| s.common().patch_rank;
        let Some(largest) = others().map(rank).max() else {
            continue;
        };
        if rank(small) == largest || others().any(|s| rank(s) < rank(small)) {
            continue;
        }
        let larger = |s: &&Setting| rank(s) == largest && s.common().batch < small.common().batch;
        for large in others().filter(larger) {
            for loss in Loss::ALL {
                pairs.extend(
                    small
                        .of(loss)
                        .filter_map(|cell| Some((cell, large.at(loss, cell.learning_rate)?))),
                );
            }
        }
    }
    pairs
}

pub(super) fn legible_cells(grid: &Grid) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, network, patch, edge, values) in LEGIBLE {
        for (loss, paper) in Loss::ALL.into_iter().zip(values) {
            let Some(paper) = paper else {
                continue;
            };
            let text = loss.text();
            let name = format!("{network}-{patch}-1e-4-{}", text.to_lowercase());
            let claim = format!(
                "{network} with patch {} (effective {edge}) at 1e-4 reaches {paper:.2} with {text} \
                 ({table}).",
                patch.to_uppercase()
            );
            let rule = format!(
                "the training DSC is within {TOLERANCE} of {paper:.2}; the paper's images and the \
                 study's are not the same, and phantoms do not count"
            );
            let outcome = legible_outcome(grid, network, edge, loss, paper);
            findings.push(Finding::new(&name, &claim, rule, outcome));
        }
    }
    findings
}

fn legible_outcome(grid: &Grid, network: &str, edge: usize, loss: Loss, paper: f64) -> Outcome {
    let settings = grid.settings.iter().filter(|s| {
        let common = s.common();
        common.network == network && common.effective_patch == edge.into()
    });
    let (images, phantoms): (Vec<&Cell>, Vec<&Cell>) = settings
        .filter_map(|s| s.at(loss, 1e-4))
        .partition(|c| c.phantom_share.is_none());
    if images.is_empty() {
        let name = loss.text();
        return Err(match phantoms.is_empty() {
            true => format!("no cell of {network} with effective patch {edge} and {name} at 1e-4"),
            false => format!("{name} at 1e-4 was trained on phantoms only"),
        });
    }
    let found = mean(images.iter().map(|c| c.last_dsc_median));
    let mut numbers = format!("{} {found:.2}, the paper {paper:.2}", grid.name(loss));
    if images.len() > 1 {
        numbers += &format!("; mean of {} settings", images.len());
    }
    Ok(((found - paper).abs() <= TOLERANCE, numbers))
}
