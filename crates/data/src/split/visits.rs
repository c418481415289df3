//! Subjects that look like visits, or sides, of one patient by their ids.

use std::collections::{BTreeMap, BTreeSet};

use super::Member;

/// Words before the number of a visit.
const VISITS: [&str; 10] = [
    "session",
    "ses",
    "visit",
    "timepoint",
    "time",
    "tp",
    "scan",
    "month",
    "week",
    "year",
];
/// The same in one letter, which only counts by itself.
const LETTERS: [&str; 4] = ["t", "v", "m", "y"];
/// Words that stand for a visit, or a side, without a number.
const WORDS: [&str; 8] = [
    "baseline", "followup", "bl", "fu", "pre", "post", "left", "right",
];
const SEPARATORS: [char; 4] = ['_', '-', '.', ' '];

/// Those of the subjects without a group that look like one patient's, where there are two at
/// least, in the order of the first: ids that differ only in what numbers a visit
/// (`sub-07Ses1`, `p3_t02`, `p3_baseline`), in a side after a number (`04L`, `04_right`), or in
/// the second of two running numbers (`GLI-00005-100`) where few have the first alike.
pub fn alike(members: &[Member]) -> Vec<Vec<&str>> {
    let ids = || (members.iter().filter(|m| m.group.is_none())).map(|m| m.id.as_str());
    let numbered: BTreeSet<&str> = ids().filter_map(before_number).collect();
    // One cohort's running numbers have its name alike, and so do those of a few centres.
    let few = numbered.len() > 1 && 4 * numbered.len() >= ids().count();
    let mut patients: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut order = Vec::new();
    for id in ids() {
        let patient = before_visit(id).or_else(|| before_number(id).filter(|_| few));
        if let Some(patient) = patient {
            let visits = patients.entry(patient).or_default();
            visits.push(id);
            if visits.len() == 2 {
                order.push(patient);
            }
        }
    }
    order
        .into_iter()
        .filter_map(|p| patients.remove(p))
        .collect()
}

/// The patient in an id that ends in the name of a visit or side.
fn before_visit(id: &str) -> Option<&str> {
    let cut = |text: &str, word: &str| -> Option<usize> {
        let at = text.len().checked_sub(word.len())?;
        (text.get(at..)?.eq_ignore_ascii_case(word)).then_some(at)
    };
    let name = id.trim_end_matches(|c: char| c.is_ascii_digit());
    let patient = if name.len() < id.len() {
        let name = name.trim_end_matches(SEPARATORS);
        let word = VISITS.iter().find_map(|word| cut(name, word));
        let letter = || LETTERS.iter().find_map(|letter| cut(name, letter));
        let apart = |at: &usize| name[..*at].ends_with(SEPARATORS);
        &name[..word.or_else(|| letter().filter(apart))?]
    } else if let Some(at) = WORDS.iter().find_map(|word| cut(id, word)) {
        id[..at].strip_suffix(SEPARATORS)?
    } else {
        id.strip_suffix(['L', 'R'])?
    };
    let patient = patient.trim_end_matches(SEPARATORS);
    patient
        .ends_with(|c: char| c.is_ascii_digit())
        .then_some(patient)
}

/// What comes before the last of two numbers that only a separator parts.
fn before_number(id: &str) -> Option<&str> {
    let name = id.trim_end_matches(|c: char| c.is_ascii_digit());
    let patient = name.strip_suffix(SEPARATORS)?;
    (name.len() < id.len() && patient.ends_with(|c: char| c.is_ascii_digit())).then_some(patient)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ids: &[&str]) -> String {
        let member = |id: &&str| Member {
            id: (*id).to_owned(),
            group: None,
        };
        let members: Vec<Member> = ids.iter().map(member).collect();
        let sets: Vec<String> = alike(&members).iter().map(|ids| ids.join(" ")).collect();
        sets.join(", ")
    }

    /// Names of real datasets: spinal cords, CHASE_DB1, BraTS 2023, OASIS, and how people
    /// name visits by hand.
    #[test]
    fn visits_and_sides_are_alike() {
        for ids in [
            ["sub-10062Ses1", "sub-10062Ses2"],
            ["Image_04L", "Image_04R"],
            ["OAS2_0001_MR1_ses-1", "OAS2_0001_MR1_ses-2"],
            ["p3_t01", "p3_t02"],
            ["p3-visit 1", "p3-visit 12"],
            ["patient07_baseline", "patient07_followup"],
            ["04_left", "04_RIGHT"],
        ] {
            assert_eq!(found(&ids), ids.join(" "));
        }
        let numbers = ["GLI-00005-100", "GLI-00005-101", "GLI-00008-100"];
        assert_eq!(found(&numbers), numbers[..2].join(" "));
        let two = ["a1_v1", "b2", "c3_v1", "a1_v2", "c3_v2", "c3_v3"];
        assert_eq!(found(&two), "a1_v1 a1_v2, c3_v1 c3_v2 c3_v3");
    }

    /// Running numbers of a cohort or of some centres, and names that only begin alike.
    #[test]
    fn running_numbers_are_not() {
        assert_eq!(found(&["hippocampus_001", "hippocampus_003"]), "");
        assert_eq!(found(&["of-2019-1", "of-2019-2"]), "");
        assert_eq!(found(&["pat0003", "pat0004"]), "");
        assert_eq!(found(&["sub-ED", "sub-ER", "caseL", "caseR"]), "");
        assert_eq!(found(&["left", "right", "t1", "t2", "é1", "é2", ""]), "");
        let centres: Vec<String> = (0..20).map(|i| format!("site-{}-{i:02}", i % 2)).collect();
        let centres: Vec<&str> = centres.iter().map(String::as_str).collect();
        assert_eq!(found(&centres), "");
    }

    /// What says itself whose it is needs no guess.
    #[test]
    fn groups_are_left() {
        let member = |id: &str| Member {
            id: id.to_owned(),
            group: Some(id.to_owned()),
        };
        let members = ["a1_v1", "a1_v2"].map(member);
        assert_eq!(alike(&members), Vec::<Vec<&str>>::new());
    }
}
