//! What to try next, by rules of the figures of an evaluation.

use lacuna_record::Evaluation;

use super::measure::{Placed, Side};

/// Depth below which a lesion lies at the edge, mm.
const EDGE_MM: f64 = 5.0;
/// Volume below which a lesion is tiny, mm³: a sphere of 3.1 mm.
const TINY_MM3: f64 = 15.0;
/// Volume from which a lesion is large, mm³: a sphere of 6.6 mm.
const LARGE_MM3: f64 = 150.0;
/// Least volumes of components that are considered, mm³.
const LEAST_MM3: [f64; 6] = [5.0, 15.0, 50.0, 150.0, 500.0, 1000.0];
/// Fewer errors than this say nothing of where they lie.
const FEW: usize = 4;

/// What the rules look at: the last row of each subject, the foreground or the only class.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub subjects: usize,
    /// Of the subjects, mean.
    pub dsc: f64,
    pub reference_mm3: f64,
    pub prediction_mm3: f64,
    /// Lesions of the reference.
    pub missed: Vec<Point>,
    pub found: Vec<Point>,
    /// Components of the prediction.
    pub wrong: Vec<Point>,
    pub right: Vec<Point>,
}

/// A lesion or component.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Point {
    pub subject: String,
    pub mm3: f64,
    pub depth_mm: Option<f64>,
}

/// A rule that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Advice {
    /// The figures.
    pub seen: String,
    /// When it holds.
    pub rule: &'static str,
    /// What to try.
    pub next: String,
}

impl Figures {
    pub(super) fn of(evaluation: &Evaluation, lesions: &[Placed]) -> Self {
        let last = || evaluation.subjects.iter().filter_map(|s| s.classes.last());
        let subjects = evaluation.subjects.len();
        let class = last().next().map(|row| row.class.as_str());
        let points = |side: Side, wrong: bool| -> Vec<Point> {
            (lesions.iter())
                .filter(|l| Some(l.class.as_str()) == class && l.side == side && l.wrong == wrong)
                .map(|l| Point {
                    subject: l.subject.clone(),
                    mm3: l.mm3,
                    depth_mm: l.depth_mm,
                })
                .collect()
        };
        Self {
            subjects,
            dsc: last().map(|row| row.dsc).sum::<f64>() / subjects.max(1) as f64,
            reference_mm3: last().map(|row| row.reference_mm3).sum(),
            prediction_mm3: last().map(|row| row.prediction_mm3).sum(),
            missed: points(Side::Reference, true),
            found: points(Side::Reference, false),
            wrong: points(Side::Prediction, true),
            right: points(Side::Prediction, false),
        }
    }

    fn lesions(&self) -> usize {
        self.missed.len() + self.found.len()
    }

    fn predicted(&self) -> usize {
        self.wrong.len() + self.right.len()
    }
}

/// The rules that hold, in the order in which they are worth trying.
pub(super) fn of(figures: &Figures) -> Vec<Advice> {
    if figures.predicted() == 0 {
        return nothing_predicted(figures).into_iter().collect();
    }
    let rules = [
        one_subject,
        mostly_false,
        false_at_edge,
        small_false,
        missed_at_edge,
        tiny_missed,
        large_missed,
        too_much,
        too_little,
        borders,
    ];
    rules.iter().filter_map(|rule| rule(figures)).collect()
}

fn nothing_predicted(f: &Figures) -> Option<Advice> {
    (f.lesions() > 0).then(|| Advice {
        seen: format!(
            "None of {} lesions is found, and nothing is predicted.",
            f.lesions()
        ),
        rule: "The prediction is empty in every subject, and the reference is not.",
        next: "Look for a collapse on the page of the run (`lacuna report RUN`); a lower \
               train.learning_rate, or cross-entropy beside the overlap loss, helps most often. \
               If the run is sound, lower the `threshold` in postprocess.toml."
            .to_owned(),
    })
}

fn one_subject(f: &Figures) -> Option<Advice> {
    let errors: Vec<&Point> = f.missed.iter().chain(&f.wrong).collect();
    let of = |subject: &str| errors.iter().filter(|e| e.subject == subject).count();
    let worst = errors.iter().max_by_key(|e| of(&e.subject))?;
    let count = of(&worst.subject);
    let most = 3 * count > 2 * errors.len();
    (f.subjects >= 3 && errors.len() >= FEW && most).then(|| Advice {
        seen: format!(
            "{count} of the {} missed and false lesions are of {}.",
            errors.len(),
            worst.subject
        ),
        rule: "Of three subjects or more, one has over two thirds of all errors.",
        next: format!(
            "Look at {} first: `lacuna check` for its geometry and label, `lacuna fingerprint` for \
             intensities and spacing unlike the others', the pictures below for what the reference \
             leaves out. What is learnt from the other rules here is mostly learnt of it.",
            worst.subject
        ),
    })
}

fn mostly_false(f: &Figures) -> Option<Advice> {
    let (wrong, all) = (f.wrong.len(), f.predicted());
    (wrong >= FEW && 2 * wrong > all).then(|| Advice {
        seen: format!("{wrong} of {all} predicted components are false."),
        rule: "More than half of the predicted components are false.",
        next:
            "Let the training see tissue without lesions: patch.sampler = [{ components = 0.33 }, \
               { mask = 0.34 }, { errors = 0.33 }], as `lacuna config --recipe lesions-3d` has it. \
               The default draws every patch around a lesion."
                .to_owned(),
    })
}

fn false_at_edge(f: &Figures) -> Option<Advice> {
    let (near, known) = at_edge(&f.wrong);
    let all: Vec<Point> = [&f.missed[..], &f.found[..]].concat();
    let (lesions_near, lesions_known) = at_edge(&all);
    let more = near * lesions_known.max(1) > lesions_near * known;
    (known >= FEW && 2 * near > known && more).then(|| Advice {
        seen: format!(
            "{near} of {known} false components lie under {EDGE_MM} mm of the edge; {lesions_near} of \
             {lesions_known} lesions do.",
        ),
        rule: "More than half of the false components lie under 5 mm of the mask's edge, and a \
               larger share of them than of the lesions.",
        next: "Look whether the mask holds skull, vessels or eyes, and give a tighter one (`mask` in \
               the manifest): what is outside it is never predicted. Parts `mask` and `errors` in \
               patch.sampler show that tissue while it trains."
            .to_owned(),
    })
}

fn small_false(f: &Figures) -> Option<Advice> {
    let below = |points: &[Point], least: f64| points.iter().filter(|p| p.mm3 < least).count();
    let (wrong, right) = (f.wrong.len(), f.right.len());
    let worth =
        |least: &f64| 2 * below(&f.wrong, *least) > wrong && 20 * below(&f.right, *least) <= right;
    // The largest of those that cost as little.
    let best = LEAST_MM3.into_iter().rfind(worth)?;
    (wrong >= FEW).then(|| Advice {
        seen: format!(
            "{} of {wrong} false components are below {best} mm³, and {} of the {right} that are right.",
            below(&f.wrong, best),
            below(&f.right, best)
        ),
        rule: "Some least volume takes away more than half of the false components and at most one \
               in twenty of the right ones.",
        next: format!(
            "min_volume_mm3 = {best} in postprocess.toml (`lacuna predict --postprocess`). Choose it \
             on subjects that are not the ones it is judged on; `lacuna auto` does so by itself."
        ),
    })
}

fn missed_at_edge(f: &Figures) -> Option<Advice> {
    let (near, known) = at_edge(&f.missed);
    let (found_near, found_known) = at_edge(&f.found);
    let more = near * found_known.max(1) > found_near * known;
    (known >= FEW && 2 * near > known && more).then(|| Advice {
        seen: format!(
            "{near} of {known} missed lesions lie under {EDGE_MM} mm of the edge; {found_near} of \
             {found_known} that are found do.",
        ),
        rule: "More than half of the missed lesions lie under 5 mm of the mask's edge, and a larger \
               share of them than of those that are found.",
        next: "Look whether the mask cuts these lesions off (`lacuna check` tells foreground outside \
               it), and give a wider one. In patches, lesions at the edge are as frequent as they \
               are in the data: a part `components` in patch.sampler draws each lesion alike."
            .to_owned(),
    })
}

fn tiny_missed(f: &Figures) -> Option<Advice> {
    let tiny = f.missed.iter().filter(|p| p.mm3 < TINY_MM3).count();
    let missed = f.missed.len();
    (missed >= FEW && 2 * tiny > missed).then(|| Advice {
        seen: format!("{tiny} of {missed} missed lesions are below {TINY_MM3} mm³."),
        rule: "More than half of the missed lesions are below 15 mm³.",
        next: "Let each lesion count alike: a part `components` in patch.sampler, the loss `blob` or \
               `size-reweighted`. Where the run has a grid of its own, a finer geometry.spacing or \
               geometry.labels = \"keep-lesions\" (`lacuna check --spacing` tells which lesions are \
               lost). A lower `threshold` in postprocess.toml finds more, and more that are false."
            .to_owned(),
    })
}

fn large_missed(f: &Figures) -> Option<Advice> {
    let large = |points: &[Point]| points.iter().filter(|p| p.mm3 >= LARGE_MM3).count();
    let (missed, all) = (large(&f.missed), large(&f.missed) + large(&f.found));
    (missed >= 2 && 5 * missed > all).then(|| Advice {
        seen: format!("{missed} of {all} lesions of {LARGE_MM3} mm³ and more are missed."),
        rule: "More than a fifth of the lesions of 150 mm³ and more are missed, two at least.",
        next:
            "Large lesions are seldom too faint: look whether the training subjects have such ones \
               (`lacuna fingerprint`), whether intensities are normalised alike \
               (normalise.method), and whether patch.size holds them with what surrounds them."
                .to_owned(),
    })
}

fn too_much(f: &Figures) -> Option<Advice> {
    let much = f.reference_mm3 > 0.0 && f.prediction_mm3 > 1.5 * f.reference_mm3;
    much.then(|| Advice {
        seen: volumes(f),
        rule: "More than 1.5 times the reference's volume is predicted.",
        next: "A higher `threshold` in postprocess.toml; tissue without lesions in patch.sampler; \
               a loss in which a false positive weighs more (`tversky` with a larger alpha)."
            .to_owned(),
    })
}

fn too_little(f: &Figures) -> Option<Advice> {
    let little = 1.5 * f.prediction_mm3 < f.reference_mm3;
    little.then(|| Advice {
        seen: volumes(f),
        rule: "Less than two thirds of the reference's volume is predicted.",
        next:
            "A lower `threshold` in postprocess.toml, tuned on held-out subjects; longer training; \
               a loss in which a missed voxel weighs more (`tversky` with a larger beta)."
                .to_owned(),
    })
}

fn borders(f: &Figures) -> Option<Advice> {
    let most = |part: usize, all: usize| all > 0 && 5 * part >= 4 * all;
    let found = most(f.found.len(), f.lesions()) && most(f.right.len(), f.predicted());
    (found && f.dsc < 0.7).then(|| Advice {
        seen: format!(
            "{} of {} lesions are found and {} of {} components are right, yet the mean DSC is {:.3}.",
            f.found.len(),
            f.lesions(),
            f.right.len(),
            f.predicted(),
            f.dsc
        ),
        rule: "At least four fifths of the lesions are found and of the components right, and the \
               mean DSC is below 0.7.",
        next: "What is left lies at the borders: look at volume and NSD by subject, at how far two \
               raters are apart, and whether the run's grid is coarser than the images."
            .to_owned(),
    })
}

/// Those under [`EDGE_MM`] of the edge, and those whose depth is known.
fn at_edge(points: &[Point]) -> (usize, usize) {
    let depths = || points.iter().filter_map(|p| p.depth_mm);
    (
        depths().filter(|mm| *mm < EDGE_MM).count(),
        depths().count(),
    )
}

fn volumes(f: &Figures) -> String {
    format!(
        "{:.1} ml are predicted, the reference has {:.1} ml.",
        f.prediction_mm3 / 1e3,
        f.reference_mm3 / 1e3
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: usize, mm3: f64, depth_mm: f64) -> Vec<Point> {
        let point = |i: usize| Point {
            subject: format!("s{}", i % 4),
            mm3,
            depth_mm: Some(depth_mm),
        };
        (0..count).map(point).collect()
    }

    /// Ten lesions found by ten components, in four subjects: nothing to say.
    fn sound() -> Figures {
        Figures {
            subjects: 4,
            dsc: 0.8,
            reference_mm3: 1000.0,
            prediction_mm3: 1000.0,
            found: points(10, 100.0, 20.0),
            right: points(10, 100.0, 20.0),
            ..Figures::default()
        }
    }

    fn rules(figures: &Figures) -> Vec<&'static str> {
        of(figures).into_iter().map(|a| a.rule).collect()
    }

    #[test]
    fn nothing_is_advised_where_nothing_is_wrong() {
        assert_eq!(rules(&sound()), [""; 0]);
    }

    #[test]
    fn false_components_at_the_edge_are_told_where_lesions_are_not_there() {
        // Five of eight are near; eight false of eighteen are not the most.
        let mut f = sound();
        f.wrong = [points(5, 200.0, 2.0), points(3, 200.0, 9.0)].concat();
        let told = of(&f);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0]
                .seen
                .starts_with("5 of 8 false components lie under 5 mm")
        );
        assert!(told[0].seen.ends_with("0 of 10 lesions do."));
        // Lesions lie there too: it says nothing.
        f.found = points(10, 100.0, 1.0);
        assert_eq!(rules(&f), [""; 0]);
        // Without a mask, nothing is known.
        f = sound();
        f.wrong = points(8, 200.0, 2.0);
        f.wrong.iter_mut().for_each(|p| p.depth_mm = None);
        assert_eq!(rules(&f), [""; 0]);
    }

    #[test]
    fn the_largest_volume_that_costs_little_is_named() {
        // All eight are below 15; of twenty right ones one is below 50, two below 150.
        let mut f = sound();
        f.wrong = points(8, 10.0, 20.0);
        f.right = [
            points(1, 40.0, 20.0),
            points(1, 100.0, 20.0),
            points(18, 900.0, 20.0),
        ]
        .concat();
        let told = of(&f);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].next.starts_with("min_volume_mm3 = 50 in"),
            "{}",
            told[0].next
        );
        assert!(
            told[0]
                .seen
                .starts_with("8 of 8 false components are below 50 mm³")
        );
        assert!(told[0].seen.ends_with("and 1 of the 20 that are right."));
    }

    #[test]
    fn missed_lesions_are_told_by_size() {
        let mut f = sound();
        f.missed = [points(4, 3.0, 20.0), points(3, 60.0, 20.0)].concat();
        assert_eq!(
            rules(&f),
            ["More than half of the missed lesions are below 15 mm³."]
        );
        // Two of eight large ones are more than a fifth; of ten they are not.
        f.missed = points(2, 200.0, 20.0);
        f.found = points(6, 200.0, 20.0);
        assert!(of(&f)[0].seen.starts_with("2 of 8 lesions of 150 mm³"));
        f.found = points(8, 200.0, 20.0);
        assert_eq!(rules(&f), [""; 0]);
    }

    #[test]
    fn volumes_borders_and_single_subjects_are_told() {
        let much = Figures {
            prediction_mm3: 1501.0,
            ..sound()
        };
        assert!(of(&much)[0].seen.starts_with("1.5 ml are predicted"));
        let little = Figures {
            prediction_mm3: 660.0,
            ..sound()
        };
        assert_eq!(rules(&little).len(), 1);
        let rough = Figures {
            dsc: 0.69,
            ..sound()
        };
        assert!(
            of(&rough)[0]
                .next
                .starts_with("What is left lies at the borders")
        );
        let mut one = sound();
        one.missed = points(4, 100.0, 20.0);
        one.missed
            .iter_mut()
            .for_each(|p| p.subject = "odd".to_owned());
        assert!(
            of(&one)[0]
                .seen
                .starts_with("4 of the 4 missed and false lesions are of odd")
        );
        let nothing = Figures {
            right: Vec::new(),
            found: Vec::new(),
            missed: points(3, 10.0, 1.0),
            ..sound()
        };
        assert!(of(&nothing)[0].seen.starts_with("None of 3 lesions"));
        assert_eq!(of(&nothing).len(), 1);
    }
}
