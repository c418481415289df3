//! A JSON file of nnU-Net, whose errors name the file and the key.

use std::path::{Path, PathBuf};

use lacuna_data::entries::Entries;
use lacuna_io::text::{MOST_TEXT_BYTES, read_text};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::AutoError;

/// A JSON object and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Json {
    path: PathBuf,
    /// The place in the file, such as `configurations.2d.`.
    place: String,
    value: Value,
    text: String,
}

impl Json {
    pub(super) fn read(path: &Path) -> Result<Self, AutoError> {
        let text = read_text(path, MOST_TEXT_BYTES).map_err(|source| {
            AutoError::nnunet(
                path,
                format!(
                    "{source}; give the folder of a trained model, such as \
                     nnUNetTrainer__nnUNetPlans__3d_fullres, which holds plans.json, dataset.json \
                     and fold_0"
                ),
            )
        })?;
        Self::parse(path, text)
    }

    pub(super) fn parse(path: &Path, text: String) -> Result<Self, AutoError> {
        let value = serde_json::from_str(&text)
            .map_err(|e| AutoError::nnunet(path, format!("{e}; expected a file of nnU-Net")))?;
        Ok(Self {
            path: path.to_owned(),
            place: String::new(),
            value,
            text,
        })
    }

    /// The same file, for what stands at another place of it.
    pub(super) fn with(&self, place: String, value: Value) -> Self {
        Self {
            path: self.path.clone(),
            place,
            value,
            text: String::new(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The value of a key that is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.value
            .as_object()
            .into_iter()
            .flat_map(|object| object.keys())
    }

    /// The object under a key.
    pub(super) fn object(&self, key: &str) -> Result<Self, AutoError> {
        match self.get(key) {
            Some(value) if value.is_object() => {
                Ok(self.with(format!("{}{key}.", self.place), value.clone()))
            }
            _ => Err(self.refuse(key, "an object")),
        }
    }

    /// The entries of `labels` of a whole file, in its order.
    pub(super) fn labels(&self) -> Result<Vec<(String, Value)>, AutoError> {
        #[derive(Deserialize)]
        struct Labelled {
            labels: Entries,
        }
        match serde_json::from_str::<Labelled>(&self.text) {
            Ok(found) => Ok(found.labels.0),
            Err(_) => Err(self.refuse("labels", "an object")),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<&str, AutoError> {
        let text = self.get(key).and_then(Value::as_str);
        text.ok_or_else(|| self.refuse(key, "a text"))
    }

    pub(super) fn numbers<T: DeserializeOwned>(&self, key: &str) -> Result<T, AutoError> {
        let value = self.get(key).cloned().unwrap_or_default();
        serde_json::from_value(value).map_err(|_| self.refuse(key, "numbers"))
    }

    /// What is wrong with a key: what was found, and what was `expected`.
    pub(super) fn refuse(&self, key: &str, expected: &str) -> AutoError {
        let found = match self.value.get(key) {
            Some(value) => format!("is {value}"),
            None => "is not there".to_owned(),
        };
        AutoError::nnunet(
            &self.path,
            format!("`{}{key}` {found}, expected {expected}", self.place),
        )
    }

    /// Refuses keys that are none of `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), AutoError> {
        match self.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(self.refuse(
                key,
                "no such key: what it does is not known here, so predict with nnU-Net",
            )),
        }
    }
}
