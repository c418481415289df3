//! Folds that are alike in how much foreground they hold.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;

use super::{Member, SplitError};
use crate::rng::{Domain, keyed_rng};

/// How many ways of dealing are tried.
const DEALS: u64 = 64;

/// Cuts members into folds of whole groups that are alike in load, such as foreground in
/// mm³, and in number: where a handful of subjects holds most lesions, folds drawn without
/// regard to it differ more than what they are to compare.
///
/// Groups (a member of none is one by itself) are sorted by their load and cut into
/// blocks of as many as there are folds; each block is dealt at random, one group a fold, so
/// that the numbers of groups differ by at most one. Of 64 such deals the one is taken whose
/// folds differ least in load and in members: the sum of both spreads, each the largest less
/// the smallest over the mean. The folds depend on the seed, the ids and the loads, not on
/// their order; ids stand in the order of `members`.
///
/// # Errors
/// [`SplitError::Folds`] for fewer than 2 folds, or more than there are groups.
///
/// # Panics
/// Without one load for each member.
pub fn stratified_folds(
    members: &[Member],
    load: &[f64],
    folds: usize,
    seed: u64,
) -> Result<Vec<Vec<String>>, SplitError> {
    assert_eq!(members.len(), load.len(), "one load for each member");
    let units = units(members, load);
    if folds < 2 || folds > units.len() {
        return Err(SplitError::Folds {
            folds,
            labelled: units.len(),
        });
    }
    let deals = (0..DEALS).map(|deal| {
        let fold_of = dealt(units.len(), folds, seed, deal);
        (unlikeness(&units, &fold_of, folds), fold_of)
    });
    // The first of equals.
    let best = deals.min_by(|a, b| a.0.total_cmp(&b.0));
    let (_, fold_of) = best.unwrap_or_default();
    let fold_by_unit: BTreeMap<(&str, bool), usize> = units
        .iter()
        .zip(fold_of)
        .map(|(unit, fold)| (unit.key, fold))
        .collect();
    let mut ids = vec![Vec::new(); folds];
    for member in members {
        ids[fold_by_unit[&key(member)]].push(member.id.clone());
    }
    Ok(ids)
}

/// What stays together.
struct Unit<'a> {
    key: (&'a str, bool),
    members: usize,
    load: f64,
}

/// A group may have the name of a member that is not in it.
fn key(member: &Member) -> (&str, bool) {
    match &member.group {
        Some(group) => (group, true),
        None => (&member.id, false),
    }
}

/// The groups, the largest load first.
fn units<'a>(members: &'a [Member], load: &[f64]) -> Vec<Unit<'a>> {
    let mut loaded: Vec<(&Member, f64)> = members.iter().zip(load.iter().copied()).collect();
    // Sums must not depend on the order of the members, nor must ties.
    loaded.sort_by_key(|(member, _)| *member);
    let mut units: BTreeMap<(&str, bool), (usize, f64)> = BTreeMap::new();
    for (member, load) in loaded {
        let unit = units.entry(key(member)).or_default();
        unit.0 += 1;
        unit.1 += load;
    }
    let mut units: Vec<Unit> = (units.into_iter())
        .map(|(key, (members, load))| Unit { key, members, load })
        .collect();
    units.sort_by(|a, b| b.load.total_cmp(&a.load));
    units
}

/// The fold of each unit: in each block of `folds` units every fold comes once at most.
fn dealt(units: usize, folds: usize, seed: u64, deal: u64) -> Vec<usize> {
    // Iteration 0 of the domain is that of `SplitConfig`.
    let mut rng = keyed_rng(seed, Domain::Split, 1, deal);
    let mut order: Vec<usize> = (0..folds).collect();
    let mut fold_of = Vec::with_capacity(units);
    while fold_of.len() < units {
        order.shuffle(&mut rng);
        fold_of.extend(order.iter().take(units - fold_of.len()));
    }
    fold_of
}

/// How far folds are from each other in load and in members.
fn unlikeness(units: &[Unit], fold_of: &[usize], folds: usize) -> f64 {
    let mut load = vec![0.0; folds];
    let mut members = vec![0.0; folds];
    for (unit, &fold) in units.iter().zip(fold_of) {
        load[fold] += unit.load;
        members[fold] += unit.members as f64;
    }
    spread(&load) + spread(&members)
}

/// The largest less the smallest over the mean; 0 where all are 0.
fn spread(values: &[f64]) -> f64 {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    match high > low {
        true => (high - low) / mean.abs(),
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn alone(count: usize) -> Vec<Member> {
        let member = |i: usize| Member {
            id: format!("s{i:03}"),
            group: None,
        };
        (0..count).map(member).collect()
    }

    fn loads(folds: &[Vec<String>], members: &[Member], load: &[f64]) -> Vec<f64> {
        let of = |id: &String| load[members.iter().position(|m| m.id == *id).unwrap()];
        folds.iter().map(|f| f.iter().map(of).sum()).collect()
    }

    fn sets(folds: &[Vec<String>]) -> Vec<BTreeSet<String>> {
        folds.iter().map(|f| f.iter().cloned().collect()).collect()
    }

    #[test]
    fn one_to_eight_are_cut_into_halves_of_eighteen() {
        let members = alone(8);
        let load = [8.0, 1.0, 7.0, 2.0, 6.0, 3.0, 5.0, 4.0];
        for seed in 0..5 {
            let folds = stratified_folds(&members, &load, 2, seed).unwrap();
            assert_eq!(loads(&folds, &members, &load), [18.0, 18.0]);
            assert_eq!([folds[0].len(), folds[1].len()], [4, 4]);
        }
    }

    #[test]
    fn skewed_loads_are_shared_out() {
        // Volumes from 1 to 20 000 by equal factors; the largest ten hold 62 %.
        let members = alone(103);
        let load: Vec<f64> = (0..103)
            .map(|i| 2e4f64.powf(f64::from(i) / 102.0))
            .collect();
        let folds = stratified_folds(&members, &load, 5, 3).unwrap();
        let mean = load.iter().sum::<f64>() / 5.0;
        for (fold, load) in folds.iter().zip(loads(&folds, &members, &load)) {
            assert!([20, 21].contains(&fold.len()));
            assert!((load / mean - 1.0).abs() < 0.1, "{load} {mean}");
        }
        let all: BTreeSet<&String> = folds.iter().flatten().collect();
        assert_eq!(all.len(), 103);
    }

    #[test]
    fn empty_subjects_are_shared_out_too() {
        // Three with lesions, seven without.
        let members = alone(10);
        let mut load = [0.0; 10];
        load[..3].copy_from_slice(&[5.0, 4.0, 6.0]);
        let folds = stratified_folds(&members, &load, 3, 0).unwrap();
        for fold in &folds {
            let ill = fold
                .iter()
                .filter(|id| ["s000", "s001", "s002"].contains(&id.as_str()));
            assert_eq!(ill.count(), 1);
            assert!([3, 4].contains(&fold.len()));
        }
        assert!(stratified_folds(&members, &[0.0; 10], 3, 0).is_ok());
    }

    #[test]
    fn groups_stay_together_whatever_the_order() {
        let mut members: Vec<Member> = (0..24)
            .map(|i| Member {
                id: format!("p{}-{}", i / 3, i % 3),
                group: Some(format!("p{}", i / 3)),
            })
            .collect();
        // One of no group, with the name of one.
        members.push(Member {
            id: "p0".to_owned(),
            group: None,
        });
        let load: Vec<f64> = (0..25).map(|i| 0.1 * f64::from(i * i)).collect();
        let folds = stratified_folds(&members, &load, 4, 7).unwrap();
        for patient in 0..8 {
            let of = |f: &&Vec<String>| f.iter().any(|id| id.starts_with(&format!("p{patient}-")));
            assert_eq!(folds.iter().filter(of).count(), 1);
        }
        let mut reversed = members.clone();
        reversed.reverse();
        let mut load_reversed = load.clone();
        load_reversed.reverse();
        let again = stratified_folds(&reversed, &load_reversed, 4, 7).unwrap();
        assert_eq!(sets(&again), sets(&folds));
        let other = stratified_folds(&members, &load, 4, 8).unwrap();
        assert_ne!(sets(&other), sets(&folds));
    }

    #[test]
    fn as_many_folds_as_groups_and_no_more() {
        let members = alone(3);
        let folds = stratified_folds(&members, &[1.0; 3], 3, 0).unwrap();
        assert!(folds.iter().all(|fold| fold.len() == 1));
        for wrong in [0, 1, 4] {
            let error = stratified_folds(&members, &[1.0; 3], wrong, 0).unwrap_err();
            let expected = SplitError::Folds {
                folds: wrong,
                labelled: 3,
            };
            assert_eq!(error, expected);
        }
    }
}
