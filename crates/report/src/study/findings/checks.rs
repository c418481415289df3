//! The findings on how a loss fares as the imbalance grows.

use super::grid::{CLEAR, Grid, Loss, MILD, SEVERE, Setting, below, fails, mean, most, works};
use super::{Finding, Outcome};

/// The rate at which fast training fails.
const FAST: f64 = 1e-3;
/// The fastest of the low rates.
const LOW: f64 = 1e-4;

pub(super) fn mild_imbalance(grid: &Grid) -> Finding {
    Finding::new(
        "mild-imbalance-all-losses-work",
        "With mild imbalance the losses all work (section 4; Table 2).",
        format!(
            "over settings (network, patch, batch, dataset) with a foreground share of {MILD} or \
             more and all four losses, each loss works at some learning rate in more than half; \
             {}",
            works()
        ),
        mild_outcome(grid),
    )
}

fn mild_outcome(grid: &Grid) -> Outcome {
    let complete = |s: &&Setting| Loss::ALL.iter().all(|l| s.best(*l).is_some());
    let settings: Vec<&Setting> = grid.mild().filter(complete).collect();
    if settings.is_empty() {
        return Err(format!(
            "no setting with a foreground share of {MILD} or more has all four losses"
        ));
    }
    let count = |loss| settings.iter().filter(|s| s.works(loss)).count();
    let numbers = Loss::ALL.map(|loss| {
        let best = settings.iter().filter_map(|s| s.best(loss));
        let lowest = best.fold(f64::INFINITY, f64::min);
        let (name, works, all) = (grid.name(loss), count(loss), settings.len());
        format!("{name} works in {works} of {all} (lowest {lowest:.2})")
    });
    let holds = Loss::ALL.iter().all(|l| most(count(*l), settings.len()));
    Ok((holds, numbers.join(", ")))
}

pub(super) fn cross_entropy_fails(grid: &Grid) -> Finding {
    Finding::new(
        "wce-fails-as-imbalance-grows",
        "Weighted cross-entropy fails to train where the imbalance is high (section 3.3, Table 3).",
        format!(
            "over settings with a foreground share of {SEVERE} or less in which GDL or DL2 trains, \
             WCE fails at every learning rate in more than half; and, where settings with a share \
             of {MILD} or more have WCE, it works at some rate in more than half of these; {}; {}",
            fails(),
            works()
        ),
        cross_entropy_outcome(grid),
    )
}

fn cross_entropy_outcome(grid: &Grid) -> Outcome {
    let wce = |s: &&Setting| s.best(Loss::Wce).is_some();
    let severe: Vec<&Setting> = grid.severe().filter(wce).collect();
    let learnable: Vec<&&Setting> = (severe.iter())
        .filter(|s| s.trains(Loss::Gdl) || s.trains(Loss::Dl2))
        .collect();
    if learnable.is_empty() {
        return Err(missing_severe(
            severe.len(),
            "WCE",
            "neither GDL nor DL2 trains",
        ));
    }
    let failed = learnable.iter().filter(|s| !s.trains(Loss::Wce)).count();
    let mild: Vec<&Setting> = grid.mild().filter(wce).collect();
    let works = mild.iter().filter(|s| s.works(Loss::Wce)).count();
    let best = learnable.iter().filter_map(|s| s.best(Loss::Wce));
    let numbers = format!(
        "fails in {failed} of {} settings with severe imbalance (mean of its best DSC {:.2}), \
         works in {works} of {} with mild",
        learnable.len(),
        mean(best),
        mild.len()
    );
    let works_when_mild = mild.is_empty() || most(works, mild.len());
    Ok((most(failed, learnable.len()) && works_when_mild, numbers))
}

pub(super) fn sensitivity_specificity_degrades(grid: &Grid) -> Finding {
    Finding::new(
        "ss-degrades-as-imbalance-grows",
        "Sensitivity-specificity falls well behind generalised Dice where the imbalance is high \
         (section 3.3, Table 3).",
        format!(
            "over settings with a foreground share of {SEVERE} or less in which GDL trains, the \
             training DSC of SS is {CLEAR} or more below that of GDL, both at their best learning \
             rates, in more than half; and, where settings with a share of {MILD} or more have \
             both, the mean gap is larger than over these; {}",
            fails()
        ),
        sensitivity_specificity_outcome(grid),
    )
}

fn sensitivity_specificity_outcome(grid: &Grid) -> Outcome {
    let gap = |s: &Setting| Some(s.best(Loss::Gdl)? - s.best(Loss::Ss)?);
    let both = grid.severe().filter(|s| gap(s).is_some()).count();
    let trained = |s: &&Setting| s.trains(Loss::Gdl);
    let severe: Vec<f64> = grid.severe().filter(trained).filter_map(gap).collect();
    if severe.is_empty() {
        return Err(missing_severe(both, "SS and GDL", "GDL does not train"));
    }
    let mild: Vec<f64> = grid.mild().filter(trained).filter_map(gap).collect();
    let behind = severe.iter().filter(|gap| **gap >= CLEAR).count();
    let mean_gap = mean(severe.iter().copied());
    let mut numbers = format!(
        "{} is {CLEAR} or more below GDL in {behind} of {} settings with severe imbalance; mean \
         gap {mean_gap:.2}",
        grid.name(Loss::Ss),
        severe.len()
    );
    let mut grows = true;
    if !mild.is_empty() {
        let mild_gap = mean(mild.iter().copied());
        grows = mean_gap > mild_gap;
        numbers += &format!(", {mild_gap:.2} over {} with mild", mild.len());
    }
    Ok((most(behind, severe.len()) && grows, numbers))
}

pub(super) fn dice_holds_at_low_rates(grid: &Grid) -> Finding {
    Finding::new(
        "dl2-holds-at-low-learning-rates",
        "Where the imbalance is high, Dice loss does as well as generalised Dice at low learning \
         rates (section 3.3, Table 3).",
        format!(
            "over settings with a foreground share of {SEVERE} or less and learning rates of \
             {LOW:e} or less at which GDL trains, the training DSC of DL2 is no more than {CLEAR} \
             below that of GDL in more than half; {}",
            fails()
        ),
        dice_low_outcome(grid),
    )
}

fn dice_low_outcome(grid: &Grid) -> Outcome {
    let mut both = 0;
    let mut gaps = Vec::new();
    for setting in grid.severe() {
        for gdl in setting.of(Loss::Gdl) {
            let rate = gdl.learning_rate;
            let Some(dl2) = setting.at(Loss::Dl2, rate).filter(|_| !below(LOW, rate)) else {
                continue;
            };
            both += 1;
            if !gdl.fails() {
                gaps.push(gdl.last_dsc_median - dl2.last_dsc_median);
            }
        }
    }
    if gaps.is_empty() {
        let losses = format!("DL2 and GDL at {LOW:e} or less");
        return Err(missing_severe(both, &losses, "GDL does not train"));
    }
    let held = gaps.iter().filter(|gap| **gap <= CLEAR).count();
    let numbers = format!(
        "within {CLEAR} of GDL in {held} of {} cells; mean gap {:.2}",
        gaps.len(),
        mean(gaps.iter().copied())
    );
    Ok((most(held, gaps.len()), numbers))
}

pub(super) fn dice_fails_at_fast_rate(grid: &Grid) -> Finding {
    Finding::new(
        "dl2-fails-at-1e-3",
        "Where the imbalance is high, Dice loss fails to train at the high learning rate \
         (section 3.3, Table 3).",
        format!(
            "over settings with a foreground share of {SEVERE} or less in which DL2 trains at a \
             learning rate below {FAST:e}, it fails at {FAST:e} in more than half; {}",
            fails()
        ),
        dice_fast_outcome(grid),
    )
}

fn dice_fast_outcome(grid: &Grid) -> Outcome {
    let mut both = 0;
    let mut fast = Vec::new();
    for setting in grid.severe() {
        let mut lower = (setting.of(Loss::Dl2))
            .filter(|c| below(c.learning_rate, FAST))
            .peekable();
        let Some(cell) = setting
            .at(Loss::Dl2, FAST)
            .filter(|_| lower.peek().is_some())
        else {
            continue;
        };
        both += 1;
        if lower.any(|c| !c.fails()) {
            fast.push(cell);
        }
    }
    if fast.is_empty() {
        let losses = format!("DL2 at {FAST:e} and below");
        return Err(missing_severe(
            both,
            &losses,
            "DL2 does not train at a lower rate",
        ));
    }
    let failed = fast.iter().filter(|c| c.fails()).count();
    let numbers = format!(
        "fails in {failed} of {} settings; mean training DSC at {FAST:e} {:.2}",
        fast.len(),
        mean(fast.iter().map(|c| c.last_dsc_median))
    );
    Ok((most(failed, fast.len()), numbers))
}

pub(super) fn two_path_cnn_at_fast_rate(grid: &Grid) -> Finding {
    Finding::new(
        "two-path-cnn-wce-and-dl2-suffer-at-1e-3",
        "With TwoPathCNN, weighted cross-entropy and Dice loss cope less well with 1e-3 \
         (section 3.2, Table 2).",
        format!(
            "over settings of two-path-cnn with WCE, DL2 and GDL at {FAST:e} and at a lower rate, \
             the training DSC at the best lower rate less that at {FAST:e} is, in the mean, \
             {CLEAR} or more larger for WCE and for DL2 than for GDL"
        ),
        two_path_cnn_outcome(grid),
    )
}

fn two_path_cnn_outcome(grid: &Grid) -> Outcome {
    let drop =
        |s: &Setting, loss| Some(s.best_below(loss, FAST)? - s.at(loss, FAST)?.last_dsc_median);
    let drops: Vec<[f64; 3]> = (grid.settings.iter())
        .filter(|s| s.common().network == "two-path-cnn")
        .filter_map(|s| {
            Some([
                drop(s, Loss::Wce)?,
                drop(s, Loss::Dl2)?,
                drop(s, Loss::Gdl)?,
            ])
        })
        .collect();
    if drops.is_empty() {
        return Err(format!(
            "no setting of two-path-cnn has WCE, DL2 and GDL at {FAST:e} and at a lower rate"
        ));
    }
    let [wce, dl2, gdl] = [0, 1, 2].map(|loss| mean(drops.iter().map(|d| d[loss])));
    let numbers = format!(
        "mean drop over {} settings: WCE {wce:.2}, DL2 {dl2:.2}, GDL {gdl:.2}",
        drops.len()
    );
    Ok((wce - gdl >= CLEAR && dl2 - gdl >= CLEAR, numbers))
}

/// Why a finding on severe imbalance cannot be tested: no cells, or nothing learnt in them.
fn missing_severe(cells: usize, losses: &str, unlearnt: &str) -> String {
    match cells {
        0 => format!("no setting with a foreground share of {SEVERE} or less has {losses}"),
        n => format!("{unlearnt} in any of the {n} with a foreground share of {SEVERE} or less"),
    }
}
