//! Keys of the configuration: those there are, and overrides from the command line.
//!
//! The template is the list of known keys, so that a key cannot be known and
//! undocumented.

use lacuna_data::manifest::closest;
use toml::{Table, Value};

use super::{ConfigError, TEMPLATE};

/// Puts `a.b=value` into a configuration; the value is TOML, or else a bare string.
///
/// # Errors
/// When the argument has no `=`, or its key is unknown.
pub fn apply_override(table: &mut Table, set: &str) -> Result<(), ConfigError> {
    let origin = format!("--set {set}");
    let (key, value) = parse_override(set)?;
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let nested = parts.iter().rev().fold(
        Table::from_iter([(last.to_owned(), value.clone())]),
        |inner, part| Table::from_iter([((*part).to_owned(), Value::Table(inner))]),
    );
    check_keys(&nested, &origin)?;
    let mut target = table;
    for part in parts {
        target = target
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .ok_or_else(|| ConfigError::Invalid {
                origin: origin.clone(),
                message: "the key is not a table in the file".to_owned(),
            })?;
    }
    target.insert(last.to_owned(), value);
    Ok(())
}

/// Key and value of an override `key=value`.
///
/// # Errors
/// When the argument has no `=`.
pub fn parse_override(set: &str) -> Result<(&str, Value), ConfigError> {
    let (key, value) = set.split_once('=').ok_or_else(|| ConfigError::Invalid {
        origin: format!("--set {set}"),
        message: "expected the form key=value, for example train.batch=5".to_owned(),
    })?;
    Ok((key.trim(), parse_value(value.trim())))
}

/// The value of an override: TOML, or else a bare string.
pub fn parse_value(text: &str) -> Value {
    let table = format!("v = {text}").parse::<Table>().ok();
    let value = table.and_then(|mut table| table.remove("v"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Refuses keys that the template does not have.
pub(super) fn check_keys(table: &Table, origin: &str) -> Result<(), ConfigError> {
    let known = known_keys();
    let mut found = Vec::new();
    flatten(table, "", &mut found);
    for (key, _) in found {
        if !known.contains(&documented_as(&key)) {
            return Err(ConfigError::UnknownKey {
                origin: origin.to_owned(),
                suggestion: suggestion(&key, &known),
                key,
            });
        }
    }
    Ok(())
}

/// The key of the template that documents this one: a loss inside a loss has the
/// keys of a loss.
pub(super) fn documented_as(key: &str) -> String {
    let mut key = key;
    while let Some(inner) = key.strip_prefix("loss.loss.") {
        key = &key[key.len() - inner.len() - "loss.".len()..];
    }
    key.to_owned()
}

/// Dotted keys of the template, those without a default included.
pub(super) fn known_keys() -> Vec<String> {
    let table: Table = full_template()
        .parse()
        .expect("the template is TOML; a test parses it");
    let mut out = Vec::new();
    flatten(&table, "", &mut out);
    out.into_iter().map(|(k, _)| k).collect()
}

/// The template with the keys that start with `#` made active.
pub(super) fn full_template() -> String {
    TEMPLATE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

pub(super) fn flatten(table: &Table, prefix: &str, out: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Table(inner) => flatten(inner, &path, out),
            other => out.push((path, other.to_string())),
        }
    }
}

/// The nearest known key, by its last part first, when one is near enough.
fn suggestion(key: &str, known: &[String]) -> String {
    let last = |k: &str| k.rsplit('.').next().unwrap_or(k).to_owned();
    let score = |k: &String| {
        strsim::jaro_winkler(key, k).max(strsim::jaro_winkler(&last(key), &last(k)) - 0.01)
    };
    known
        .iter()
        .max_by(|a, b| score(a).total_cmp(&score(b)))
        .filter(|k| score(k) > 0.75)
        .map_or_else(String::new, |k| format!(", did you mean `{k}`?"))
}

/// What people call options, and what they are called here.
const ALIASES: [(&str, &[&str]); 16] = [
    ("gdl", &["generalised-dice"]),
    ("gdice", &["generalised-dice"]),
    ("dsc", &["dice"]),
    ("f1", &["dice"]),
    ("ce", &["cross-entropy"]),
    ("bce", &["cross-entropy"]),
    ("wce", &["weighted-cross-entropy"]),
    ("topk", &["top-k-cross-entropy"]),
    ("ftl", &["focal-tversky"]),
    ("gwdl", &["generalised-wasserstein-dice"]),
    ("mcc", &["matthews"]),
    ("ss", &["sensitivity-specificity"]),
    ("nnunet", &["plain-conv-unet", "residual-encoder-unet"]),
    ("highresnet", &["high-res-3d-net"]),
    ("momentum", &["sgd"]),
    ("poly", &["polynomial"]),
];

/// A message of serde with the names that are meant behind one that does not exist.
pub(super) fn with_suggestion(message: &str) -> String {
    let message = message.trim_end();
    let Some((_, quoted)) = message.split_once("unknown variant `") else {
        return message.to_owned();
    };
    // Every second part lies between backticks; the first is what was found.
    let quoted: Vec<&str> = quoted.split('`').step_by(2).collect();
    let names = meant(quoted[0], &quoted[1..]);
    if names.is_empty() {
        return message.to_owned();
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{message}; did you mean {}?", names.join(" or "))
}

/// Those of the `known` names that `found` may stand for.
fn meant(found: &str, known: &[&str]) -> Vec<String> {
    let found = found.to_lowercase().replace(['_', ' '], "-");
    let letters = found.replace('-', "");
    let alias = ALIASES.iter().find(|(alias, _)| *alias == letters);
    let aliases = alias.map_or(&[][..], |(_, names)| names);
    let names = aliases.iter().filter(|name| known.contains(name));
    let names: Vec<String> = names.map(|name| (*name).to_owned()).collect();
    match names.is_empty() {
        false => names,
        true => closest(&found, known.iter().copied()).into_iter().collect(),
    }
}
