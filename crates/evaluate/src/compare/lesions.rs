//! Lesions side by side: found by whom, by size.

use lacuna_metrics::{Lesion, mcnemar};
use lacuna_record::{DisputeKind, DisputedLesion, Stratum};

use super::measure::Measured;
use super::sources::Source;

/// Where a stratum ends and the next begins, mm³.
const EDGES: [f64; 4] = [5.0, 15.0, 50.0, 150.0];

/// The strata of two predictions: per class those of each size, and all.
pub(super) fn strata(measured: &[Measured], pair: [usize; 2]) -> Vec<Stratum> {
    let ends = EDGES.map(Some).into_iter().chain([None]);
    let ranges: Vec<(f64, Option<f64>)> = ([0.0].into_iter().chain(EDGES))
        .zip(ends)
        .chain([(0.0, None)])
        .collect();
    let mut out = Vec::new();
    for row in 0..measured[0].scores[0].len() {
        for &(from_mm3, below_mm3) in &ranges {
            let mut stratum = Stratum {
                class: measured[0].scores[0][row].class.clone(),
                from_mm3,
                below_mm3,
                lesions: 0,
                both: 0,
                only_first: 0,
                only_second: 0,
                mcnemar_p: 1.0,
            };
            let inside = |mm3: f64| mm3 >= from_mm3 && below_mm3.is_none_or(|end| mm3 < end);
            for [a, b] in measured
                .iter()
                .flat_map(|one| reference_lesions(one, row, pair))
            {
                if !inside(a.mm3) {
                    continue;
                }
                stratum.lesions += 1;
                match (a.detected, b.detected) {
                    (true, true) => stratum.both += 1,
                    (true, false) => stratum.only_first += 1,
                    (false, true) => stratum.only_second += 1,
                    (false, false) => {}
                }
            }
            stratum.mcnemar_p = mcnemar(stratum.only_first, stratum.only_second);
            out.push(stratum);
        }
    }
    out
}

/// The lesions of the reference as two predictions find them; those of both are the same.
fn reference_lesions(
    one: &Measured,
    row: usize,
    pair: [usize; 2],
) -> impl Iterator<Item = [&Lesion; 2]> {
    let [a, b] = pair.map(|source| &one.scores[source][row].lesions.reference);
    a.iter().zip(b).map(|(a, b)| [a, b])
}

/// The reference lesions that only one finds, then the false components that only one has,
/// per subject and class.
pub(super) fn disputed(
    measured: &[Measured],
    sources: &[Source],
    pair: [usize; 2],
) -> Vec<DisputedLesion> {
    let mut out = Vec::new();
    let at = super::each_two(sources.len()).position(|two| two == pair);
    for one in measured {
        for (row, scores) in one.scores[0].iter().enumerate() {
            let class = &scores.class;
            let mut add = |kind: DisputeKind, source: usize, lesion: &Lesion| {
                out.push(DisputedLesion {
                    subject: one.subject.clone(),
                    class: class.clone(),
                    kind,
                    only: sources[source].name.clone(),
                    voxels: lesion.voxels,
                    mm3: lesion.mm3,
                    place: lesion.place,
                });
            };
            for [a, b] in reference_lesions(one, row, pair) {
                match (a.detected, b.detected) {
                    (true, false) => add(DisputeKind::ReferenceLesion, pair[0], a),
                    (false, true) => add(DisputeKind::ReferenceLesion, pair[1], b),
                    _ => {}
                }
            }
            let apart = at.and_then(|at| one.apart[at].as_ref());
            let Some(apart) = apart.and_then(|rows| rows.iter().find(|r| r.class == *class)) else {
                continue;
            };
            for (source, apart) in pair.into_iter().zip(&apart.lesions) {
                let predicted = &one.scores[source][row].lesions.prediction;
                for (lesion, &alone) in predicted.iter().zip(apart) {
                    if alone && !lesion.detected {
                        add(DisputeKind::FalseComponent, source, lesion);
                    }
                }
            }
        }
    }
    out
}
