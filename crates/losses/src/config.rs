//! The `[loss]` table of a run configuration.

use crate::{
    Blob, Boundary, ClDice, CrossEntropy, Dice, DistanceCrossEntropy, Evaluation,
    ExponentialLogarithmic, Focal, FocalTversky, Form, GeneralisedDice, GeneralisedWassersteinDice,
    Hausdorff, Honours, Input, LogDice, Loss, LossError, Lovasz, Matthews, Options, Reads, Real,
    SensitivitySpecificity, SizeReweighted, Sum, TopKCrossEntropy, Tversky, UnifiedFocal,
    WeightedCrossEntropy, value_and_gradient,
};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The losses that a configuration can name: an enum whose variants are the
/// loss types, under their names in kebab case.
macro_rules! named_losses {
    ($($loss:ident $(<$inner:ty>)?),* $(,)?) => {
        /// A loss by its name, with its options. An option left out takes the
        /// loss's default; one that the loss does not have is an error.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name", rename_all = "kebab-case")]
        #[allow(missing_docs, reason = "each is documented as a type")]
        pub enum NamedLoss {
            $($loss($loss $(<$inner>)?),)*
        }

        impl NamedLoss {
            /// Every loss with its defaults.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$loss($loss::default()),)*]
            }

            /// The one that is named.
            fn loss(&self) -> &dyn Loss {
                match self {
                    $(Self::$loss(loss) => loss,)*
                }
            }
        }

        $(impl From<$loss $(<$inner>)?> for NamedLoss {
            fn from(loss: $loss $(<$inner>)?) -> Self {
                Self::$loss(loss)
            }
        })*
    };
}

named_losses![
    GeneralisedDice,
    Dice,
    SensitivitySpecificity,
    WeightedCrossEntropy,
    CrossEntropy,
    Focal,
    TopKCrossEntropy,
    DistanceCrossEntropy,
    Tversky,
    FocalTversky,
    LogDice,
    ExponentialLogarithmic,
    UnifiedFocal,
    GeneralisedWassersteinDice,
    Matthews,
    Lovasz,
    Boundary,
    Hausdorff,
    ClDice,
    SizeReweighted<NamedLoss>,
    Blob<NamedLoss>,
    Sum<NamedLoss>,
];

impl Default for NamedLoss {
    fn default() -> Self {
        Self::GeneralisedDice(GeneralisedDice::default())
    }
}

impl Loss for NamedLoss {
    fn name(&self) -> &'static str {
        self.loss().name()
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        self.loss().check(classes)
    }

    fn honours(&self) -> Honours {
        self.loss().honours()
    }

    fn reads(&self) -> Reads {
        self.loss().reads()
    }

    fn form(&self) -> Form<'_> {
        self.loss().form()
    }
}

/// The loss of a run, and what is asked of every loss.
///
/// In a file all keys lie in one table; without `name` they are those of
/// generalised Dice.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LossConfig {
    /// What can be asked of every loss.
    #[serde(flatten)]
    pub options: Options,
    /// Which loss.
    #[serde(flatten)]
    pub named: NamedLoss,
}

/// The keys of [`Options`].
const OPTIONS: [&str; 4] = ["reduction", "activation", "ignore_label", "compatibility"];

impl<'de> Deserialize<'de> for LossConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Map::deserialize(deserializer)?;
        let mut options = Map::new();
        for key in OPTIONS {
            if let Some(value) = table.remove(key) {
                options.insert(key.to_owned(), value);
            }
        }
        let options = Options::deserialize(Value::Object(options)).map_err(D::Error::custom)?;
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
        Ok(Self { options, named })
    }
}

impl LossConfig {
    /// Refuses options that the loss cannot honour for this number of classes.
    ///
    /// # Errors
    /// Naming the option, its value and the legal ones.
    pub fn check(&self, classes: usize) -> Result<(), LossError> {
        self.options.check(&self.named)?;
        self.named.check(classes)
    }

    /// [`value_and_gradient`] of this loss.
    ///
    /// # Errors
    /// Those of [`value_and_gradient`].
    pub fn value_and_gradient<F: Real>(
        &self,
        input: &Input<F>,
        gradient: &mut [F],
    ) -> Result<Evaluation, LossError> {
        value_and_gradient(&self.named, &self.options, input, gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> LossConfig {
        toml::from_str(text).unwrap()
    }

    fn refused(text: &str) -> String {
        match toml::from_str::<LossConfig>(text) {
            Ok(config) => config.check(2).expect_err("refused").to_string(),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn an_empty_table_is_generalised_dice_square_batch() {
        let config = read("");
        assert_eq!(config, LossConfig::default());
        assert_eq!(config.named.name(), "generalised-dice");
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
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "weight = 'volume-sum'\ndifferentiate_weight = true\nempty_class = 'one-voxel'",
            "weight = 'simple'\nempty_class = 'zero'\nreduction = 'sample'",
            "weight = 'uniform'\nclasses = [1]",
            "name = 'dice'\nform = 'squared'\nsmoothing = 1e-3\nactivation = 'sigmoid'",
            "name = 'sensitivity-specificity'\nform = 'symmetric'\nlambda = 0.1",
            "name = 'weighted-cross-entropy'\ndifferentiate_weight = true\nignore_label = 3",
            "name = 'blob'\nloss = { name = 'cross-entropy', class_weight = [1.0, 2.0] }",
            "name = 'sum'\nterms = [{ loss = { name = 'dice' } }, \
             { factor = { from = 0.0, to = 1.0, start = 5, end = 9 }, loss = { name = 'boundary' } }]",
        ] {
            let config = read(text);
            assert_eq!(read(&toml::to_string(&config).unwrap()), config);
        }
        for named in NamedLoss::all() {
            let config = LossConfig {
                named,
                ..LossConfig::default()
            };
            assert_eq!(read(&toml::to_string(&config).unwrap()), config);
        }
        let full = read("name = 'sensitivity-specificity'");
        assert_eq!(
            toml::to_string(&full).unwrap(),
            "reduction = \"batch\"\nactivation = \"softmax\"\nname = \"sensitivity-specificity\"\n\
             form = \"as-printed\"\nlambda = 0.05\nsmoothing = 0.00000001\n"
        );
    }

    #[test]
    fn an_option_of_another_loss_is_refused_with_those_there_are() {
        let message = refused("name = 'dice'\nlambda = 0.05");
        assert!(
            message.contains("loss \"dice\": unknown field `lambda`"),
            "{message}"
        );
        assert!(message.contains("`form`"), "{message}");
        for text in [
            "smoothing = 1e-5",
            "form = 'as-printed'",
            "name = 'dice'\nweight = 'square'",
            "name = 'sensitivity-specificity'\nempty_class = 'max'",
            "name = 'weighted-cross-entropy'\nsmoothing = 1e-5",
            "name = 'sensitivity-specificity'\ndifferentiate_weight = false",
            "name = 'sum'\nterms = [{ loss = { name = 'dice', lambda = 1 } }]",
        ] {
            assert!(refused(text).contains("unknown field"), "{text}");
        }
    }

    #[test]
    fn a_value_that_the_loss_cannot_honour_is_refused() {
        for (text, expected) in [
            ("name = 'dice'\nform = 'symmetric'", "`as-printed`"),
            (
                "name = 'sensitivity-specificity'\nform = 'factor-two'",
                "`as-printed` or `symmetric`",
            ),
            ("name = 'dice'\nsmoothing = 0.0", "from 1e-30 to 1.0"),
            (
                "name = 'sensitivity-specificity'\nlambda = 2.0",
                "from 0.0 to 1.0",
            ),
            ("differentiate_weight = true", "volume-sum"),
            ("classes = [2]", "from 0 to 1"),
            ("name = 'dice'\nclass_weight = [1.0]", "2 numbers"),
            (
                "name = 'weighted-cross-entropy'\ncompatibility = 'monai'",
                "does not support compatibility",
            ),
            (
                "name = 'size-reweighted'\ncompatibility = 'monai'",
                "does not support compatibility",
            ),
            ("activation = 'relu'", "`softmax` or `sigmoid`"),
            ("name = 'sum'\nterms = []", "at least one"),
            (
                "name = 'blob'\nloss = { name = 'sum', terms = [{ factor = { from = 0, to = 1, \
                 start = 9, end = 5 }, loss = { name = 'dice' } }] }",
                "start before end",
            ),
            (
                "name = 'blob'\nloss = { name = 'focal' }",
                "a loss of sums over the elements",
            ),
        ] {
            let message = refused(text);
            assert!(message.contains(expected), "{message}");
        }
        assert!(read("differentiate_weight = false").check(2).is_ok());
    }

    #[test]
    fn unknown_keys_and_names_are_refused() {
        for text in ["nmae = 'dice'", "name = 'hinge'", "weight = 'cubic'"] {
            assert!(toml::from_str::<LossConfig>(text).is_err(), "{text}");
        }
    }
}
