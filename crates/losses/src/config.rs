//! The `[loss]` table of a run configuration.

use crate::{
    Dice, GeneralisedDice, Loss, LossError, Needs, Reduction, SensitivitySpecificity, Statistics,
    StatisticsGradient, WeightedCrossEntropy,
};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A loss by its name, with its options. An option left out takes the loss's
/// default; one that the loss does not have is an error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is documented as a type")]
pub enum NamedLoss {
    GeneralisedDice(GeneralisedDice),
    Dice(Dice),
    SensitivitySpecificity(SensitivitySpecificity),
    WeightedCrossEntropy(WeightedCrossEntropy),
}

impl Default for NamedLoss {
    fn default() -> Self {
        Self::GeneralisedDice(GeneralisedDice::default())
    }
}

impl NamedLoss {
    /// Every loss with its defaults.
    pub fn all() -> Vec<Self> {
        vec![
            Self::GeneralisedDice(GeneralisedDice::default()),
            Self::Dice(Dice::default()),
            Self::SensitivitySpecificity(SensitivitySpecificity::default()),
            Self::WeightedCrossEntropy(WeightedCrossEntropy::default()),
        ]
    }

    /// The one that is named.
    fn loss(&self) -> &dyn Loss {
        match self {
            Self::GeneralisedDice(loss) => loss,
            Self::Dice(loss) => loss,
            Self::SensitivitySpecificity(loss) => loss,
            Self::WeightedCrossEntropy(loss) => loss,
        }
    }
}

impl Loss for NamedLoss {
    fn name(&self) -> &'static str {
        self.loss().name()
    }

    fn check(&self) -> Result<(), LossError> {
        self.loss().check()
    }

    fn needs(&self) -> Needs {
        self.loss().needs()
    }

    fn evaluate(&self, statistics: &Statistics) -> (f64, StatisticsGradient) {
        self.loss().evaluate(statistics)
    }
}

/// The loss of a run, and how the samples of a batch make one value.
///
/// In a file all keys lie in one table; without `name` they are those of
/// generalised Dice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LossConfig {
    /// `batch` (default): one loss over the pooled elements; `sample`: the mean
    /// of one per sample.
    pub reduction: Reduction,
    /// Which loss.
    #[serde(flatten)]
    pub named: NamedLoss,
}

impl<'de> Deserialize<'de> for LossConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Map::deserialize(deserializer)?;
        let reduction = match table.remove("reduction") {
            Some(value) => Reduction::deserialize(value).map_err(D::Error::custom)?,
            None => Reduction::default(),
        };
        let name = table
            .entry("name")
            .or_insert_with(|| GeneralisedDice::NAME.into());
        let name = name.as_str().unwrap_or_default().to_owned();
        let named = NamedLoss::deserialize(Value::Object(table)).map_err(|e| {
            // An unknown name is told by itself, an option with its loss.
            match NamedLoss::deserialize(serde_json::json!({ "name": name })) {
                Ok(_) => D::Error::custom(format!("loss \"{name}\": {e}; correct it or remove it")),
                Err(_) => D::Error::custom(e),
            }
        })?;
        Ok(Self { reduction, named })
    }
}

impl LossConfig {
    /// The loss.
    ///
    /// # Errors
    /// When an option has a value that the loss cannot honour.
    pub fn build(&self) -> Result<Box<dyn Loss>, LossError> {
        self.named.check()?;
        Ok(Box::new(self.named))
    }
}

/// Refuses a smoothing term that would not keep quotients and their
/// derivatives finite.
pub(crate) fn check_epsilon(loss: &'static str, epsilon: f64) -> Result<(), LossError> {
    if epsilon.is_finite() && epsilon >= 1e-30 {
        return Ok(());
    }
    Err(LossError::OptionValue {
        loss,
        option: "epsilon",
        found: format!("{epsilon:e}"),
        expected: "a finite number of elements, at least 1e-30",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> LossConfig {
        toml::from_str(text).unwrap()
    }

    fn refused(text: &str) -> String {
        match toml::from_str::<LossConfig>(text) {
            Ok(config) => config.build().err().expect("refused").to_string(),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn an_empty_table_is_generalised_dice_square_batch() {
        let config = read("");
        assert_eq!(config, LossConfig::default());
        assert_eq!(config.build().unwrap().name(), "generalised-dice");
        assert_eq!(
            config,
            read(
                "name = 'generalised-dice'\nreduction = 'batch'\nweight = 'square'\nempty_class = 'max'"
            )
        );
    }

    #[test]
    fn names_build_the_loss_they_name() {
        for named in NamedLoss::all() {
            let name = named.name();
            let config = read(&format!("name = {name:?}"));
            assert_eq!(config.named, named);
            assert_eq!(config.build().unwrap().name(), name);
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "weight = 'volume-sum'\ndifferentiate_weight = true\nempty_class = 'one-voxel'",
            "weight = 'simple'\nempty_class = 'zero'\nreduction = 'sample'",
            "weight = 'uniform'",
            "name = 'dice'\nform = 'as-printed'\nepsilon = 1.0",
            "name = 'sensitivity-specificity'\nform = 'symmetric'\nlambda = 0.1",
            "name = 'weighted-cross-entropy'\ndifferentiate_weight = true",
        ] {
            let config = read(text);
            assert_eq!(read(&toml::to_string(&config).unwrap()), config);
        }
        let full = read("name = 'sensitivity-specificity'");
        assert_eq!(
            toml::to_string(&full).unwrap(),
            "reduction = \"batch\"\nname = \"sensitivity-specificity\"\n\
             form = \"as-printed\"\nlambda = 0.05\nepsilon = 0.00001\n"
        );
    }

    #[test]
    fn an_option_of_another_loss_is_refused_with_those_there_are() {
        let message = refused("name = 'dice'\nlambda = 0.05");
        assert!(
            message.contains("loss \"dice\": unknown field `lambda`"),
            "{message}"
        );
        assert!(message.contains("`form` or `epsilon`"), "{message}");
        for text in [
            "epsilon = 1e-5",
            "form = 'as-printed'",
            "name = 'dice'\nweight = 'square'",
            "name = 'sensitivity-specificity'\nempty_class = 'max'",
            "name = 'weighted-cross-entropy'\nepsilon = 1e-5",
            "name = 'sensitivity-specificity'\ndifferentiate_weight = false",
        ] {
            assert!(refused(text).contains("unknown field"), "{text}");
        }
    }

    #[test]
    fn a_value_that_the_loss_cannot_honour_is_refused() {
        for (text, expected) in [
            (
                "name = 'dice'\nform = 'symmetric'",
                "`factor-two` or `as-printed`",
            ),
            (
                "name = 'sensitivity-specificity'\nform = 'factor-two'",
                "`as-printed` or `symmetric`",
            ),
            ("name = 'dice'\nepsilon = 0.0", "at least 1e-30"),
            (
                "name = 'sensitivity-specificity'\nlambda = 2.0",
                "from 0 to 1",
            ),
            ("differentiate_weight = true", "volume-sum"),
        ] {
            let message = refused(text);
            assert!(message.contains(expected), "{message}");
        }
        assert!(read("differentiate_weight = false").build().is_ok());
    }

    #[test]
    fn unknown_keys_and_names_are_refused() {
        for text in ["nmae = 'dice'", "name = 'tversky'", "weight = 'cubic'"] {
            assert!(toml::from_str::<LossConfig>(text).is_err(), "{text}");
        }
    }
}
