//! The `[loss]` table of a run configuration.

use crate::{
    ClassWeight, Dice, DiceForm, EmptyClass, GeneralisedDice, Loss, LossError, Reduction,
    SensitivitySpecificity, SensitivitySpecificityForm, WeightedCrossEntropy,
};
use serde::{Deserialize, Serialize};

/// The four losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossName {
    /// Options `weight`, `empty_class`, and with `weight = "volume-sum"`
    /// `differentiate_weight`.
    #[default]
    GeneralisedDice,
    /// Options `form`, `epsilon`.
    Dice,
    /// Options `form`, `lambda`, `epsilon`.
    SensitivitySpecificity,
    /// Option `differentiate_weight`.
    WeightedCrossEntropy,
}

/// Form of a loss that has more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// `dice`: the mean of the classes' Dice scores (its default).
    FactorTwo,
    /// `dice`: the paper's equation, -0.5 where the foreground is neither in the
    /// labels nor predicted. `sensitivity-specificity`: foreground classes
    /// only (its default); in a trial on BRATS the UNet collapsed to predicting
    /// nothing with it.
    AsPrinted,
    /// `sensitivity-specificity`: the sum over all classes, as in NiftyNet;
    /// lambda cancels for two classes.
    Symmetric,
}

/// The loss of a run. An option left out takes the named loss's default; one
/// that the named loss does not have is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Which loss; generalised Dice by default.
    pub name: LossName,
    /// `batch` (default): one loss over the pooled elements; `sample`: the mean
    /// of one per sample.
    pub reduction: Reduction,
    /// Class weights of generalised Dice: `square` (default), `simple`,
    /// `uniform`, `volume-sum`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<ClassWeight>,
    /// Weight of a class that no label has, generalised Dice: `max` (default),
    /// `zero`, `one-voxel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_class: Option<EmptyClass>,
    /// Dice: `factor-two` (default), `as-printed`. Sensitivity-specificity:
    /// `as-printed` (default; foreground only, may collapse to predicting
    /// nothing), `symmetric` (all classes; lambda cancels for two).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// Share of the sensitivity term, 0 to 1, default 0.05.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// Smoothing of Dice and sensitivity-specificity, in elements, default 1e-5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Whether a weight that comes from the prediction is differentiated:
    /// weighted cross-entropy, and generalised Dice with `volume-sum`. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differentiate_weight: Option<bool>,
}

impl LossConfig {
    /// The loss.
    ///
    /// # Errors
    /// When an option is given that the named loss does not have, or whose
    /// value it cannot honour.
    pub fn build(&self) -> Result<Box<dyn Loss>, LossError> {
        Ok(match self.name {
            LossName::GeneralisedDice => Box::new(self.generalised_dice()?),
            LossName::Dice => Box::new(self.dice()?),
            LossName::SensitivitySpecificity => Box::new(self.sensitivity_specificity()?),
            LossName::WeightedCrossEntropy => Box::new(self.weighted_cross_entropy()?),
        })
    }

    /// The same configuration with every option of the named loss written out.
    ///
    /// # Errors
    /// As [`LossConfig::build`].
    pub fn effective(&self) -> Result<Self, LossError> {
        let mut full = *self;
        match self.name {
            LossName::GeneralisedDice => {
                let loss = self.generalised_dice()?;
                full.weight = Some(loss.weight);
                full.empty_class = Some(loss.empty_class);
                if loss.weight == ClassWeight::VolumeSum {
                    full.differentiate_weight = Some(loss.differentiate_weight);
                }
            }
            LossName::Dice => {
                let loss = self.dice()?;
                full.form = Some(match loss.form() {
                    DiceForm::FactorTwo => Form::FactorTwo,
                    DiceForm::AsPrinted => Form::AsPrinted,
                });
                full.epsilon = Some(loss.epsilon());
            }
            LossName::SensitivitySpecificity => {
                let loss = self.sensitivity_specificity()?;
                full.form = Some(match loss.form() {
                    SensitivitySpecificityForm::AsPrinted => Form::AsPrinted,
                    SensitivitySpecificityForm::Symmetric => Form::Symmetric,
                });
                full.lambda = Some(loss.lambda());
                full.epsilon = Some(loss.epsilon());
            }
            LossName::WeightedCrossEntropy => {
                let loss = self.weighted_cross_entropy()?;
                full.differentiate_weight = Some(loss.differentiate_weight);
            }
        }
        Ok(full)
    }

    fn generalised_dice(&self) -> Result<GeneralisedDice, LossError> {
        const NAME: &str = GeneralisedDice::NAME;
        self.only(NAME, &["weight", "empty_class", "differentiate_weight"])?;
        let loss = GeneralisedDice {
            weight: self.weight.unwrap_or_default(),
            empty_class: self.empty_class.unwrap_or_default(),
            differentiate_weight: self.differentiate_weight.unwrap_or_default(),
        };
        if loss.differentiate_weight && loss.weight != ClassWeight::VolumeSum {
            return Err(LossError::OptionValue {
                loss: NAME,
                option: "differentiate_weight",
                found: "true".into(),
                expected: "weight = \"volume-sum\" with it (the other weights do not depend on \
                           the prediction), or false",
            });
        }
        Ok(loss)
    }

    fn dice(&self) -> Result<Dice, LossError> {
        self.only(Dice::NAME, &["form", "epsilon"])?;
        let default = Dice::default();
        let form = match self.form {
            None => default.form(),
            Some(Form::FactorTwo) => DiceForm::FactorTwo,
            Some(Form::AsPrinted) => DiceForm::AsPrinted,
            Some(Form::Symmetric) => {
                return Err(LossError::OptionValue {
                    loss: Dice::NAME,
                    option: "form",
                    found: "symmetric".into(),
                    expected: "factor-two or as-printed",
                });
            }
        };
        Dice::new(form, self.epsilon.unwrap_or(default.epsilon()))
    }

    fn sensitivity_specificity(&self) -> Result<SensitivitySpecificity, LossError> {
        const NAME: &str = SensitivitySpecificity::NAME;
        self.only(NAME, &["form", "lambda", "epsilon"])?;
        let default = SensitivitySpecificity::default();
        let form = match self.form {
            None => default.form(),
            Some(Form::AsPrinted) => SensitivitySpecificityForm::AsPrinted,
            Some(Form::Symmetric) => SensitivitySpecificityForm::Symmetric,
            Some(Form::FactorTwo) => {
                return Err(LossError::OptionValue {
                    loss: NAME,
                    option: "form",
                    found: "factor-two".into(),
                    expected: "as-printed or symmetric",
                });
            }
        };
        SensitivitySpecificity::new(
            form,
            self.lambda.unwrap_or(default.lambda()),
            self.epsilon.unwrap_or(default.epsilon()),
        )
    }

    fn weighted_cross_entropy(&self) -> Result<WeightedCrossEntropy, LossError> {
        self.only(WeightedCrossEntropy::NAME, &["differentiate_weight"])?;
        Ok(WeightedCrossEntropy {
            differentiate_weight: self.differentiate_weight.unwrap_or_default(),
        })
    }

    /// Refuses options outside `available`.
    fn only(
        &self,
        loss: &'static str,
        available: &'static [&'static str],
    ) -> Result<(), LossError> {
        let given = [
            ("weight", self.weight.is_some()),
            ("empty_class", self.empty_class.is_some()),
            ("form", self.form.is_some()),
            ("lambda", self.lambda.is_some()),
            ("epsilon", self.epsilon.is_some()),
            ("differentiate_weight", self.differentiate_weight.is_some()),
        ];
        for (option, given) in given {
            if given && !available.contains(&option) {
                return Err(LossError::UnknownOption {
                    loss,
                    option,
                    available,
                });
            }
        }
        Ok(())
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
        let config = read(text);
        let error = config.build().err().expect("refused");
        assert_eq!(config.effective().unwrap_err(), error);
        error.to_string()
    }

    #[test]
    fn an_empty_table_is_generalised_dice_square_batch() {
        let config = read("");
        assert_eq!(config, LossConfig::default());
        assert_eq!(config.build().unwrap().name(), "generalised-dice");
        assert_eq!(
            config.effective().unwrap(),
            read(
                "name = 'generalised-dice'\nreduction = 'batch'\nweight = 'square'\nempty_class = 'max'"
            )
        );
    }

    #[test]
    fn names_build_the_loss_they_name() {
        for name in [
            "generalised-dice",
            "dice",
            "sensitivity-specificity",
            "weighted-cross-entropy",
        ] {
            let config = read(&format!("name = {name:?}"));
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
            let effective = config.effective().unwrap();
            assert_eq!(read(&toml::to_string(&effective).unwrap()), effective);
            assert_eq!(effective.effective().unwrap(), effective);
        }
        let effective = read("name = 'sensitivity-specificity'")
            .effective()
            .unwrap();
        assert_eq!(
            toml::to_string(&effective).unwrap(),
            "name = \"sensitivity-specificity\"\nreduction = \"batch\"\n\
             form = \"as-printed\"\nlambda = 0.05\nepsilon = 0.00001\n"
        );
    }

    #[test]
    fn an_option_of_another_loss_is_refused_with_those_there_are() {
        let message = refused("name = 'dice'\nlambda = 0.05");
        assert!(
            message.contains("\"dice\" has no option `lambda`"),
            "{message}"
        );
        assert!(message.contains("form, epsilon"), "{message}");
        for text in [
            "epsilon = 1e-5",
            "form = 'as-printed'",
            "name = 'dice'\nweight = 'square'",
            "name = 'sensitivity-specificity'\nempty_class = 'max'",
            "name = 'weighted-cross-entropy'\nepsilon = 1e-5",
            "name = 'sensitivity-specificity'\ndifferentiate_weight = false",
        ] {
            assert!(refused(text).contains("has no option"), "{text}");
        }
    }

    #[test]
    fn a_value_that_the_loss_cannot_honour_is_refused() {
        for (text, expected) in [
            (
                "name = 'dice'\nform = 'symmetric'",
                "factor-two or as-printed",
            ),
            (
                "name = 'sensitivity-specificity'\nform = 'factor-two'",
                "as-printed or symmetric",
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
