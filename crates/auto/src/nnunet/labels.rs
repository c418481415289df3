//! The classes and regions of a dataset.

use lacuna_losses::Activation;
use serde_json::Value;

use super::json::Json;
use crate::error::AutoError;

/// Classes in the order of their values, and what the channels of the network are.
#[derive(Debug, PartialEq)]
pub(super) struct Labels {
    /// Background first.
    pub(super) classes: Vec<String>,
    /// Empty where the channels are the classes.
    pub(super) regions: Vec<Vec<String>>,
    pub(super) activation: Activation,
}

impl Labels {
    pub(super) fn of(plans: &Json, dataset: &Json) -> Result<Self, AutoError> {
        if plans
            .get("label_manager")
            .is_some_and(|name| *name != "LabelManager")
        {
            return Err(plans.refuse(
                "label_manager",
                "\"LabelManager\": predict with nnU-Net where it is another",
            ));
        }
        // In the order of the file, which is that of the channels of regions.
        let mut named: Vec<(String, Vec<usize>)> = Vec::new();
        for (name, value) in dataset.labels()? {
            if name == "ignore" {
                continue;
            }
            let values = match value {
                Value::Array(_) => serde_json::from_value(value),
                alone => serde_json::from_value(alone).map(|value| vec![value]),
            };
            let refused = |_| dataset.refuse("labels", "a number, or a list of them, for each");
            named.push((name, values.map_err(refused)?));
        }
        let mut values: Vec<usize> = named.iter().flat_map(|(_, of)| of.clone()).collect();
        values.sort_unstable();
        values.dedup();
        let background = named
            .iter()
            .any(|(name, of)| name == "background" && *of == [0]);
        let consecutive = values.iter().copied().eq(0..values.len());
        if !background || !consecutive || !(2..=256).contains(&values.len()) {
            return Err(dataset.refuse(
                "labels",
                "\"background\" of value 0, and others of consecutive values up to 255",
            ));
        }
        let class = |value: usize| {
            let alone = named.iter().find(|(_, of)| *of == [value]);
            alone.map_or_else(|| format!("label-{value}"), |(name, _)| name.clone())
        };
        let classes: Vec<String> = (0..values.len()).map(class).collect();
        if !named.iter().any(|(_, of)| of.len() > 1) {
            return Ok(Self {
                classes,
                regions: Vec::new(),
                activation: Activation::Softmax,
            });
        }
        let regions: Vec<&[usize]> = (named.iter())
            .map(|(_, of)| of.as_slice())
            .filter(|of| *of != [0])
            .collect();
        let order: Vec<usize> = dataset.numbers("regions_class_order")?;
        // A voxel gets the class of the last region that it is in. Here that class is one that
        // the region has, and no later one.
        let own = |number: usize| {
            let later = regions[number + 1..].concat();
            let mut own = regions[number]
                .iter()
                .filter(|value| !later.contains(value));
            match (own.next(), own.next()) {
                (Some(own), None) => Some(*own),
                _ => None,
            }
        };
        let expected: Option<Vec<usize>> = (0..regions.len()).map(own).collect();
        if expected.as_deref() != Some(&order[..]) || regions.iter().any(|of| of.contains(&0)) {
            return Err(dataset.refuse(
                "regions_class_order",
                "for each region of `labels`, in their order, the one value that no later region \
                 has: predict with nnU-Net where regions are of another kind",
            ));
        }
        let name = |of: &[usize]| of.iter().map(|value| classes[*value].clone()).collect();
        Ok(Self {
            regions: regions.into_iter().map(name).collect(),
            classes,
            activation: Activation::Sigmoid,
        })
    }
}
