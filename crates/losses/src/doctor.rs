//! Looks for what makes a loss fail on rare structures: gradients that vanish,
//! explode or point the wrong way, false positives that cost nothing, and
//! predicting nothing that costs next to nothing.

use crate::probe::{Response, SURE, Scene};
use crate::{Loss, LossConfig, LossError, PatchGrid, Regions};

/// Below this pull on the whole lesion, beside what the softmax lets through,
/// other terms and the optimiser's noise decide.
const VANISHING: f64 = 1e-3;
/// Below this share of the background's pull, the background decides.
const DROWNED: f64 = 1e-2;
/// Above this derivative, one step of plain gradient descent at a rate of 1e-3
/// moves a logit by one.
const EXPLODING: f64 = 1e3;
/// A prediction that is all lesion, in a patch without, shall cost this at least.
const CHEAP: f64 = 0.3;
/// Missing a typical lesion shall cost this share of calling everything lesion.
const NOTHING: f64 = 0.05;

/// A patch, a prediction and what the loss does there.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The reference: "empty", "one voxel", "typical" or "all foreground".
    pub patch: &'static str,
    /// The prediction: "undecided", "nothing", "everything" or "perfect".
    pub prediction: &'static str,
    /// What the loss does.
    pub response: Response,
}

/// Something to know before training.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it is called: "vanishing", "exploding", "wrong sign", "free false
    /// positives" or "predicting nothing is cheap".
    pub kind: &'static str,
    /// With numbers.
    pub what: String,
    /// What to try.
    pub remedy: String,
}

/// The whole examination.
#[derive(Clone, Debug, PartialEq)]
pub struct Examination {
    /// Elements of each class in the typical patch, background first.
    pub typical: Vec<usize>,
    /// Every patch with every prediction.
    pub probes: Vec<Probe>,
    /// Nothing to fear when empty.
    pub findings: Vec<Finding>,
}

/// Examines a loss on patches of this grid. `shares` are the shares of the
/// classes in the dataset, background first; the loss sees them as `regions`,
/// if there are any.
///
/// # Errors
/// Those of the loss, such as options that it refuses.
pub fn examine(
    config: &LossConfig,
    grid: PatchGrid,
    shares: &[f64],
    regions: Option<&Regions>,
) -> Result<Examination, LossError> {
    config.check(regions.map_or(shares.len(), Regions::count))?;
    let count: usize = grid.shape.0.iter().product();
    let none = vec![0; shares.len() - 1];
    let of_first = |volume: usize| {
        let mut volumes = none.clone();
        volumes[0] = volume;
        volumes
    };
    let typical: Vec<usize> = shares[1..]
        .iter()
        .map(|share| ((share * count as f64).round() as usize).clamp(1, count / shares.len()))
        .collect();
    let patches = [
        ("empty", none.clone()),
        ("one voxel", of_first(1)),
        ("typical", typical.clone()),
        ("all foreground", of_first(count)),
    ];
    let mut probes = Vec::new();
    for (patch, volumes) in patches {
        let mut scene = Scene::new(grid, &volumes);
        scene.regions = regions.cloned();
        for (prediction, logits) in [
            ("undecided", scene.undecided()),
            ("nothing", scene.all_of(0)),
            ("everything", scene.all_of(1)),
            ("perfect", scene.partly(1.0, 0.0)),
        ] {
            probes.push(Probe {
                patch,
                prediction,
                response: scene.response(config, &logits)?,
            });
        }
    }
    let findings = findings(config, count, &probes);
    let background = count - typical.iter().sum::<usize>();
    Ok(Examination {
        typical: std::iter::once(background).chain(typical).collect(),
        probes,
        findings,
    })
}

fn findings(config: &LossConfig, count: usize, probes: &[Probe]) -> Vec<Finding> {
    let at = |patch: &str, prediction: &str| -> &Response {
        let wanted = |probe: &&Probe| probe.patch == patch && probe.prediction == prediction;
        &probes
            .iter()
            .find(wanted)
            .expect("all were probed")
            .response
    };
    let loss = config.named.name();
    let mut findings = Vec::new();
    let mut found = |kind, what, remedy: String| findings.push(Finding { kind, what, remedy });

    // p (1 - p) of an element that is sure of the wrong class.
    let let_through = 1.0 / ((SURE / 2.0).exp() + (-SURE / 2.0).exp()).powi(2);
    for patch in ["typical", "one voxel"] {
        let response = at(patch, "nothing");
        let pull = response.lesion_pull / let_through;
        if pull < 0.0 {
            found(
                "wrong sign",
                format!(
                    "{patch} patch, nothing predicted: finding the lesion raises the loss \
                     (pull {:.2e})",
                    response.lesion_pull
                ),
                "use it as one term of a sum beside an overlap loss, with a ramp".into(),
            );
        } else if pull < VANISHING {
            found(
                "vanishing",
                format!(
                    "{patch} patch, nothing predicted: the pull on the lesion is {:.2e}, {pull:.1e} \
                     of what the softmax lets through",
                    response.lesion_pull
                ),
                vanishing_remedy(loss),
            );
        } else if response.lesion_pull < DROWNED * response.background_pull {
            found(
                "vanishing",
                format!(
                    "{patch} patch, nothing predicted: the pull on the lesion is {:.2e} beside \
                     {:.2e} on the background",
                    response.lesion_pull, response.background_pull
                ),
                vanishing_remedy(loss),
            );
        }
    }
    if let Some(probe) = (probes.iter())
        .filter(|probe| probe.response.largest > EXPLODING)
        .max_by(|a, b| a.response.largest.total_cmp(&b.response.largest))
    {
        found(
            "exploding",
            format!(
                "{} patch, {} predicted: a derivative of {:.2e}",
                probe.patch, probe.prediction, probe.response.largest
            ),
            "use empty_class = \"max\" or \"share\", a larger smoothing, or a lower learning rate"
                .into(),
        );
    }
    let (none, all) = (at("empty", "nothing"), at("empty", "everything"));
    let cost = all.value - none.value;
    if cost < CHEAP {
        found(
            "free false positives",
            format!("empty patch: everything called lesion costs {cost:.3} more than nothing"),
            "use generalised-dice with empty_class = \"max\", an overlap loss with \"share\", or \
             add cross-entropy in a sum"
                .into(),
        );
    } else if all.background_pull / let_through < VANISHING {
        found(
            "free false positives",
            format!(
                "empty patch, everything called lesion: the pull back is {:.2e}; the loss is flat \
                 there",
                all.background_pull
            ),
            "use empty_class = \"share\" or \"max\", or add cross-entropy in a sum".into(),
        );
    }
    let (missed, claimed) = (at("typical", "nothing"), at("typical", "everything"));
    let best = at("typical", "perfect").value;
    let share = (missed.value - best) / (claimed.value - best).max(f64::MIN_POSITIVE);
    if share < NOTHING {
        found(
            "predicting nothing is cheap",
            format!(
                "typical patch of {count} elements: missing the lesion costs {:.2e}, calling \
                 everything lesion {:.2e}",
                missed.value - best,
                claimed.value - best
            ),
            "weight the foreground (class_weight, alpha, lambda, beta), draw patches with \
             foreground, or use generalised-dice"
                .into(),
        );
    }
    findings
}

fn vanishing_remedy(loss: &str) -> String {
    match loss {
        "cross-entropy" | "focal" | "top-k-cross-entropy" | "distance-cross-entropy" => {
            "add an overlap loss in a sum, or set class_weight to about 1/share"
        }
        "boundary" | "hausdorff" | "cl-dice" => {
            "use it as one term of a sum beside an overlap loss"
        }
        _ => "use generalised-dice or log-dice, patches with foreground, or a smaller patch",
    }
    .into()
}

/// The grid of a patch, shrunk where an examination of it would take long.
pub fn examined_grid(grid: PatchGrid) -> PatchGrid {
    const MOST: [usize; 2] = [160, 48];
    let flat = grid.shape.0.contains(&1);
    PatchGrid {
        shape: grid.shape.map(|n| n.min(MOST[usize::from(!flat)])),
        ..grid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str, share: f64) -> Vec<&'static str> {
        let config = toml::from_str(text).unwrap();
        let grid = PatchGrid::millimetres(32, 3);
        let examination = examine(&config, grid, &[1.0 - share, share], None).unwrap();
        examination.findings.iter().map(|f| f.kind).collect()
    }

    #[test]
    fn generalised_dice_is_sound_and_known_traps_are_found() {
        assert!(kinds("", 1e-3).is_empty(), "{:?}", kinds("", 1e-3));
        let monai = kinds("compatibility = 'monai'\nreduction = 'sample'", 1e-3);
        assert!(kinds("empty_class = 'one-voxel'", 1e-3).contains(&"free false positives"));
        assert!(kinds("name = 'hausdorff'\nalpha = 9.0", 1e-3).contains(&"exploding"));
        assert!(kinds("name = 'cross-entropy'", 1e-4).contains(&"vanishing"));
        let smooth = "name = 'dice'\nempty_class = 'smooth'\nclasses = 'foreground'";
        assert!(kinds(smooth, 1e-3).contains(&"free false positives"));
        let skip = "name = 'dice'\nempty_class = 'skip'\nclasses = 'foreground'";
        assert!(kinds(skip, 1e-3).contains(&"free false positives"));
        let printed = "name = 'sensitivity-specificity'\nlambda = 0.01";
        assert!(kinds(printed, 1e-3).contains(&"predicting nothing is cheap"));
        assert!(!monai.contains(&"exploding"), "{monai:?}");
    }
}
