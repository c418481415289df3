//! Splits: lists, draws, groups, and each mistake.

use super::*;

fn ids(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("s{i:02}")).collect()
}

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|s| (*s).to_owned()).collect()
}

impl SplitConfig {
    fn ungrouped(&self, ids: &[String], seed: u64) -> Result<Split, SplitError> {
        let alone = |id: &String| Member {
            id: id.clone(),
            group: None,
        };
        self.resolve(&ids.iter().map(alone).collect::<Vec<_>>(), seed)
    }
}

/// Four patients with three visits each.
fn visits() -> Vec<Member> {
    let visit = |i: usize| Member {
        id: format!("p{}-{}", 1 + i / 3, i % 3),
        group: Some(format!("p{}", 1 + i / 3)),
    };
    (0..12).map(visit).collect()
}

#[test]
fn the_visits_of_a_patient_stay_together() {
    let visits = visits();
    let patients = |part: &[String]| -> BTreeSet<String> {
        part.iter().map(|id| id[..2].to_owned()).collect()
    };
    let mut tested = BTreeSet::new();
    for fold in 0..4 {
        let config = SplitConfig {
            folds: 4,
            fold,
            validation_fraction: 0.25,
            ..Default::default()
        };
        let split = config.resolve(&visits, 7).unwrap();
        assert_eq!(
            (split.train.len(), split.validation.len(), split.test.len()),
            (6, 3, 3)
        );
        let parts = [&split.train, &split.validation, &split.test].map(|p| patients(p));
        assert_eq!(parts.each_ref().map(BTreeSet::len), [2, 1, 1]);
        assert_eq!(parts.iter().flatten().collect::<BTreeSet<_>>().len(), 4);
        tested.extend(patients(&split.test));
    }
    assert_eq!(tested.len(), 4);
    let many = SplitConfig {
        folds: 5,
        ..Default::default()
    };
    let error = many.resolve(&visits, 7).unwrap_err();
    assert!(
        matches!(error, SplitError::Folds { labelled: 4, .. }),
        "{error}"
    );
}

#[test]
fn lists_that_tear_a_patient_apart_are_refused() {
    let visits = visits();
    let config = SplitConfig {
        test: list(&["p2-1"]),
        ..Default::default()
    };
    let error = config.resolve(&visits, 0).unwrap_err().to_string();
    assert!(
        error.contains("puts `p2-0` into train and `p2-1` into test, both of the group `p2`"),
        "{error}"
    );
    let whole = SplitConfig {
        test: list(&["p2-0", "p2-1", "p2-2"]),
        ..Default::default()
    };
    assert_eq!(whole.resolve(&visits, 0).unwrap().train.len(), 9);
    // Visits that no list names are nowhere.
    let one_each = SplitConfig {
        train: list(&["p1-0"]),
        test: list(&["p2-1"]),
        ..Default::default()
    };
    assert!(one_each.resolve(&visits, 0).is_ok());
}

#[test]
fn without_any_key_everyone_trains() {
    let split = SplitConfig::default().ungrouped(&ids(3), 0).unwrap();
    assert_eq!(split.train, ids(3));
    assert!(split.validation.is_empty() && split.test.is_empty());
}

#[test]
fn lists_are_kept_and_an_empty_train_list_means_the_rest() {
    let config = SplitConfig {
        validation: list(&["s03"]),
        test: list(&["s02", "s00"]),
        ..Default::default()
    };
    let split = config.ungrouped(&ids(5), 0).unwrap();
    assert_eq!(split.train, list(&["s01", "s04"]));
    assert_eq!(split.validation, list(&["s03"]));
    assert_eq!(split.test, list(&["s00", "s02"]));
    let named = SplitConfig {
        train: list(&["s04"]),
        ..config
    };
    assert_eq!(named.ungrouped(&ids(5), 0).unwrap().train, list(&["s04"]));
}

#[test]
fn a_tenth_of_twenty_is_two_and_the_draw_ignores_the_order_of_the_ids() {
    let config = SplitConfig {
        test_fraction: 0.1,
        validation_fraction: 0.25,
        ..Default::default()
    };
    let split = config.ungrouped(&ids(20), 3).unwrap();
    assert_eq!(
        (split.train.len(), split.validation.len(), split.test.len()),
        (13, 5, 2)
    );
    let mut reversed = ids(20);
    reversed.reverse();
    let mut other = config.ungrouped(&reversed, 3).unwrap();
    other.test.reverse();
    assert_eq!(other.test, split.test);
    assert_ne!(config.ungrouped(&ids(20), 4).unwrap().test, split.test);
}

#[test]
fn every_subject_is_tested_by_exactly_one_fold() {
    let mut tested = Vec::new();
    for fold in 0..5 {
        let config = SplitConfig {
            folds: 5,
            fold,
            validation_fraction: 0.1,
            ..Default::default()
        };
        let split = config.ungrouped(&ids(13), 1).unwrap();
        assert!([2, 3].contains(&split.test.len()), "{}", split.test.len());
        assert_eq!(split.validation.len(), 1);
        assert_eq!(split.train.len() + split.test.len() + 1, 13);
        tested.extend(split.test);
    }
    tested.sort();
    assert_eq!(tested, ids(13));
}

fn error(config: SplitConfig) -> String {
    config.ungrouped(&ids(3), 0).unwrap_err().to_string()
}

#[test]
fn each_mistake_is_named() {
    let base = SplitConfig::default;
    let unknown = error(SplitConfig {
        test: list(&["S1"]),
        ..base()
    });
    assert_eq!(
        unknown,
        "[split] test names `S1`, which is none of the 3 labelled subjects of the dataset; \
         did you mean `s01`?"
    );
    let twice = error(SplitConfig {
        train: list(&["s01"]),
        test: list(&["s01"]),
        ..base()
    });
    assert!(
        twice.contains("`s01` in train and again in test"),
        "{twice}"
    );
    let both = error(SplitConfig {
        train: list(&["s01"]),
        test_fraction: 0.5,
        ..base()
    });
    assert!(both.contains("together with test_fraction"), "{both}");
    let two_draws = error(SplitConfig {
        folds: 2,
        test_fraction: 0.5,
        ..base()
    });
    assert!(
        two_draws.contains("both test_fraction and folds"),
        "{two_draws}"
    );
    let fold = error(SplitConfig {
        folds: 2,
        fold: 2,
        ..base()
    });
    assert!(fold.contains("choose 0 to 1"), "{fold}");
    let lone = error(SplitConfig { fold: 1, ..base() });
    assert!(lone.contains("set folds as well"), "{lone}");
    for folds in [1, 4] {
        let many = error(SplitConfig { folds, ..base() });
        assert!(
            many.contains("at most the number of labelled subjects, which is 3"),
            "{many}"
        );
    }
    let share = error(SplitConfig {
        test_fraction: f64::NAN,
        ..base()
    });
    assert!(share.contains("test_fraction = NaN"), "{share}");
    let none = error(SplitConfig {
        test: ids(3),
        ..base()
    });
    assert!(none.contains("no subject to train on"), "{none}");
    let eaten = error(SplitConfig {
        test_fraction: 0.6,
        validation_fraction: 0.6,
        ..base()
    });
    assert!(eaten.contains("no subject to train on"), "{eaten}");
}

#[test]
fn unknown_keys_are_refused() {
    let error = toml::from_str::<SplitConfig>("trian = []").unwrap_err();
    assert!(error.to_string().contains("trian"), "{error}");
}
