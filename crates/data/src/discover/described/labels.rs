//! The `labels` of a description: classes, nnU-Net's regions and its ignore label.
//!
//! Where no label value stands in two entries, each entry is a class, of one value or several.
//! Where some does, the entries are regions (nnU-Net's `documentation/region_based_training.md`):
//! each value is a class then, called as the entry of that value alone or else `label-3`, and
//! the entries become regions of these, in their order.

use std::collections::BTreeMap;

use lacuna_volume::Region;
use serde::Deserialize;
use serde_json::Value;

use super::cases::Source;
use crate::discover::{Classes, DiscoverError};
use crate::entries::Entries;
use crate::manifest::MAX_LABEL_VALUE;

/// Entries in the order of the file, which is that of the regions.
#[derive(Deserialize)]
pub(super) struct Labels(Entries);

/// What the label values stand for.
pub(super) struct Meaning {
    pub classes: Classes,
    pub regions: Vec<Region>,
    pub ignore: Option<i32>,
}

/// A name and its label values.
type Entry = (String, Vec<i32>);

impl Labels {
    /// Classes in the order of their smallest label value; `order` is `regions_class_order`.
    pub(super) fn meaning(
        &self,
        source: &Source,
        order: Option<&[i64]>,
    ) -> Result<Meaning, DiscoverError> {
        let mut ignore = None;
        let mut entries: Vec<Entry> = Vec::new();
        for (key, entry) in &self.0.0 {
            // nnU-Net writes a name to its value, the Decathlon a value to its name.
            let (name, values) = match entry {
                Value::String(name) => (name, vec![key.parse().ok()]),
                Value::Array(values) => (key, values.iter().map(Value::as_i64).collect()),
                other => (key, vec![other.as_i64()]),
            };
            let values: Option<Vec<i32>> = values.into_iter().map(label_value).collect();
            let values = values.filter(|values| !values.is_empty()).ok_or_else(|| {
                let expected = "label values that are whole numbers from 0 to 65535";
                source.entry(
                    "labels",
                    &format!("`{key}`: {entry}"),
                    expected,
                    "correct it",
                )
            })?;
            match (key == "ignore", &values[..]) {
                (false, _) => entries.push((name.clone(), values)),
                (true, [value]) => ignore = Some(*value),
                (true, _) => {
                    let found = format!("`ignore`: {entry}");
                    let remedy = "give the voxels to leave out one value";
                    return Err(source.entry("labels", &found, "one value", remedy));
                }
            }
        }
        if !entries.iter().any(|(_, values)| values.contains(&0)) {
            let expected = "0 for the background";
            return Err(source.entry("labels", "without the value 0", expected, "add it"));
        }
        let mut owners: BTreeMap<i32, Vec<&Entry>> = BTreeMap::new();
        for entry in &entries {
            for value in &entry.1 {
                owners.entry(*value).or_default().push(entry);
            }
        }
        if owners.values().all(|of| of.len() == 1) {
            let names = owners.iter().map(|(value, of)| (*value, of[0].0.clone()));
            return Ok(Meaning {
                classes: named(names.collect()),
                regions: Vec::new(),
                ignore,
            });
        }
        for (number, (name, values)) in entries.iter().enumerate() {
            let same = entries[..number].iter().find(|(_, other)| other == values);
            if let Some((other, _)) = same {
                let found = format!("with {values:?} as `{other}` and as `{name}`");
                let expected = "each class and each region once";
                return Err(source.entry("labels", &found, expected, "give them other values"));
            }
        }
        let class = |value: i32| {
            let own = entries.iter().find(|(_, values)| *values == [value]);
            own.map_or_else(|| format!("label-{value}"), |(name, _)| name.clone())
        };
        let regions: Vec<&Entry> = entries.iter().filter(|(_, of)| *of != [0]).collect();
        if let Some((name, _)) = regions.iter().find(|(_, of)| of.contains(&0)) {
            let found = format!("with the background in the region `{name}`");
            let remedy = "take the value 0 out of it";
            return Err(source.entry("labels", &found, "regions of the foreground", remedy));
        }
        if let Some(order) = order {
            check_order(source, &regions, order)?;
        }
        let region = |(name, values): &&Entry| Region {
            name: Some(name.clone()),
            classes: values.iter().copied().map(class).collect(),
        };
        Ok(Meaning {
            regions: regions.iter().map(region).collect(),
            classes: named(owners.keys().map(|v| (*v, class(*v))).collect()),
            ignore,
        })
    }
}

fn label_value(value: Option<i64>) -> Option<i32> {
    let value = i32::try_from(value?).ok()?;
    (0..=MAX_LABEL_VALUE).contains(&value).then_some(value)
}

fn named(label_values: BTreeMap<i32, String>) -> Classes {
    let mut classes: Vec<String> = Vec::new();
    for name in label_values.values() {
        if !classes.contains(name) {
            classes.push(name.clone());
        }
    }
    (classes, label_values)
}

/// A voxel gets the value of the last region that it is in: one that the region has, and none
/// that comes later.
fn check_order(source: &Source, regions: &[&Entry], order: &[i64]) -> Result<(), DiscoverError> {
    let wrong = |found: String, expected, remedy| {
        Err(source.entry("regions_class_order", &found, expected, remedy))
    };
    if order.len() != regions.len() {
        let found = format!("{order:?} for {} regions", regions.len());
        return wrong(found, "one value for each region", "correct it");
    }
    for (number, ((name, values), own)) in regions.iter().zip(order).enumerate() {
        let own = label_value(Some(*own)).filter(|own| values.contains(own));
        let Some(own) = own else {
            let found = format!("{} for the region `{name}`, {values:?}", order[number]);
            return wrong(found, "a value of the region", "put both in the same order");
        };
        if let Some((later, _)) = regions[number + 1..]
            .iter()
            .find(|(_, of)| of.contains(&own))
        {
            let found = format!("{own} for the region `{name}`, which the later `{later}` has too");
            let expected = "for each region a value that no later one has";
            return wrong(
                found,
                expected,
                "name larger regions first, as nnU-Net needs",
            );
        }
    }
    Ok(())
}
