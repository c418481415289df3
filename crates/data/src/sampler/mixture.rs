//! `patch.sampler`: one way to draw places, or several with a share of the patches each.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::SamplerKind;

/// How far the shares of a mixture may be from 1 together.
const SHARE_TOLERANCE: f64 = 0.011;

/// The ways in which places are drawn, in the order of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    parts: Vec<MixturePart>,
}

/// One way to draw places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixturePart {
    /// The way.
    pub kind: SamplerKind,
    /// Its share of the patches, above 0 and up to 1.
    pub share: f64,
    /// A component of v voxels is drawn in proportion to v^exponent; for
    /// [`SamplerKind::Components`] and [`SamplerKind::Errors`].
    pub exponent: f64,
}

/// Why a mixture is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MixtureError {
    /// A list without entries draws nothing.
    #[error(
        "the mixture names no part; write for example \
         [{{ components = 0.33 }}, {{ mask = 0.34 }}, {{ errors = 0.33 }}]"
    )]
    Empty,
    /// An entry that names no way, or two.
    #[error(
        "a part of the mixture names {found} of the ways \"foreground\", \"uniform\", \
         \"balanced\", \"weighted\", \"components\", \"mask\" and \"errors\"; give each part one, \
         such as {{ mask = 0.5 }}"
    )]
    Ways {
        /// How many it names.
        found: usize,
    },
    /// Not a share.
    #[error("the share of {kind} is {found}, expected a number above 0 and up to 1")]
    Share {
        /// The part.
        kind: SamplerKind,
        /// The value.
        found: f64,
    },
    /// Shares that do not make a whole.
    #[error("the shares of the mixture add up to {found:.3}, expected 1")]
    Sum {
        /// The sum.
        found: f64,
    },
    /// A way twice.
    #[error("the mixture names {kind} twice; add its shares up")]
    Twice {
        /// The part.
        kind: SamplerKind,
    },
    /// An exponent for voxels.
    #[error(
        "`exponent` of {kind} is {found}; it is a number from 0 (all components alike) to 1 (all \
         voxels alike), for \"components\" and \"errors\" only"
    )]
    Exponent {
        /// The part.
        kind: SamplerKind,
        /// The value.
        found: f64,
    },
    /// Nothing to draw before the network was asked.
    #[error(
        "\"errors\" cannot stand alone: places where the network is wrong are known only after a \
         part of the training; mix it, as in [{{ uniform = 0.5 }}, {{ errors = 0.5 }}]"
    )]
    ErrorsAlone,
}

impl From<SamplerKind> for Mixture {
    fn from(kind: SamplerKind) -> Self {
        let parts = vec![MixturePart {
            kind,
            share: 1.0,
            exponent: 0.0,
        }];
        Self { parts }
    }
}

impl Default for Mixture {
    fn default() -> Self {
        SamplerKind::default().into()
    }
}

impl Mixture {
    /// A mixture of these parts.
    ///
    /// # Errors
    /// [`MixtureError`]
    pub fn new(parts: Vec<MixturePart>) -> Result<Self, MixtureError> {
        for (i, part) in parts.iter().enumerate() {
            let MixturePart {
                kind,
                share,
                exponent,
            } = *part;
            if !(share > 0.0 && share <= 1.0) {
                return Err(MixtureError::Share { kind, found: share });
            }
            if parts[..i].iter().any(|before| before.kind == kind) {
                return Err(MixtureError::Twice { kind });
            }
            let sized = matches!(kind, SamplerKind::Components | SamplerKind::Errors);
            if exponent != 0.0 && !(sized && (0.0..=1.0).contains(&exponent)) {
                let found = exponent;
                return Err(MixtureError::Exponent { kind, found });
            }
        }
        match parts[..] {
            [] => return Err(MixtureError::Empty),
            [only] if only.kind == SamplerKind::Errors => return Err(MixtureError::ErrorsAlone),
            _ => {}
        }
        let found: f64 = parts.iter().map(|part| part.share).sum();
        match (found - 1.0).abs() <= SHARE_TOLERANCE {
            true => Ok(Self { parts }),
            false => Err(MixtureError::Sum { found }),
        }
    }

    /// The parts.
    pub fn parts(&self) -> &[MixturePart] {
        &self.parts
    }

    /// Whether a part draws in this way.
    pub fn has(&self, kind: SamplerKind) -> bool {
        self.parts.iter().any(|part| part.kind == kind)
    }

    /// The number of the part that a number from 0 to below 1 falls to.
    pub(super) fn part_at(&self, at: f64) -> usize {
        let whole: f64 = self.parts.iter().map(|part| part.share).sum();
        let mut sum = 0.0;
        let beyond = |part: &MixturePart| {
            sum += part.share / whole;
            at < sum
        };
        let found = self.parts.iter().position(beyond);
        found.unwrap_or(self.parts.len() - 1)
    }
}

impl fmt::Display for Mixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = &self.parts[..] {
            return only.kind.fmt(f);
        }
        let parts = self.parts.iter();
        let told: Vec<String> = parts.map(|p| format!("{} {}", p.share, p.kind)).collect();
        f.write_str(&told.join(" + "))
    }
}

/// An entry of the list: a way with its share, and perhaps an exponent.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PartForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    foreground: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uniform: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balanced: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weighted: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exponent: Option<f64>,
}

impl PartForm {
    fn share_of(&mut self, kind: SamplerKind) -> &mut Option<f64> {
        match kind {
            SamplerKind::Foreground => &mut self.foreground,
            SamplerKind::Uniform => &mut self.uniform,
            SamplerKind::Balanced => &mut self.balanced,
            SamplerKind::Weighted => &mut self.weighted,
            SamplerKind::Components => &mut self.components,
            SamplerKind::Errors => &mut self.errors,
            SamplerKind::Mask => &mut self.mask,
        }
    }

    fn of(part: &MixturePart) -> Self {
        let mut form = Self {
            exponent: (part.exponent != 0.0).then_some(part.exponent),
            ..Self::default()
        };
        *form.share_of(part.kind) = Some(part.share);
        form
    }

    fn part(mut self) -> Result<MixturePart, MixtureError> {
        let named: Vec<(SamplerKind, f64)> = (SamplerKind::ALL.into_iter())
            .filter_map(|kind| self.share_of(kind).map(|share| (kind, share)))
            .collect();
        match named[..] {
            [(kind, share)] => Ok(MixturePart {
                kind,
                share,
                exponent: self.exponent.unwrap_or(0.0),
            }),
            _ => Err(MixtureError::Ways { found: named.len() }),
        }
    }
}

impl Serialize for Mixture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.parts[..] {
            [only] if only.exponent == 0.0 => only.kind.serialize(serializer),
            parts => serializer.collect_seq(parts.iter().map(PartForm::of)),
        }
    }
}

impl<'de> Deserialize<'de> for Mixture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Mixture;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("the name of a sampler, or a list such as [{ uniform = 0.5 }, { components = 0.5 }]")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Mixture, E> {
                match SamplerKind::deserialize(StrDeserializer::new(name))? {
                    SamplerKind::Errors => Err(E::custom(MixtureError::ErrorsAlone)),
                    kind => Ok(kind.into()),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Mixture, A::Error> {
                let form = PartForm::deserialize(MapAccessDeserializer::new(map))?;
                let part = form.part().map_err(de::Error::custom)?;
                Mixture::new(vec![part]).map_err(de::Error::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Mixture, A::Error> {
                let forms = Vec::<PartForm>::deserialize(SeqAccessDeserializer::new(list))?;
                let parts = forms.into_iter().map(PartForm::part);
                let parts = parts.collect::<Result<_, _>>().and_then(Mixture::new);
                parts.map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Section {
        sampler: Mixture,
    }

    fn read(value: &str) -> Result<Mixture, String> {
        let section = toml::from_str::<Section>(&format!("sampler = {value}\n"));
        section
            .map(|s| s.sampler)
            .map_err(|e| e.message().to_owned())
    }

    #[test]
    fn names_and_lists_are_read_and_written() {
        assert_eq!(read("\"uniform\"").unwrap(), SamplerKind::Uniform.into());
        let mixed = read("[{ components = 0.25, exponent = 0.5 }, { uniform = 0.75 }]").unwrap();
        let expected = [
            (SamplerKind::Components, 0.25, 0.5),
            (SamplerKind::Uniform, 0.75, 0.0),
        ];
        let expected = expected.map(|(kind, share, exponent)| MixturePart {
            kind,
            share,
            exponent,
        });
        assert_eq!(mixed.parts(), expected);
        assert_eq!(mixed.to_string(), "0.25 components + 0.75 uniform");
        for mixture in [mixed, SamplerKind::Components.into()] {
            let section = Section { sampler: mixture };
            let text = toml::to_string(&section).unwrap();
            assert_eq!(toml::from_str::<Section>(&text).unwrap(), section, "{text}");
        }
    }

    #[test]
    fn shares_divide_the_numbers_from_0_to_1() {
        let mixed = read("[{ components = 0.25 }, { uniform = 0.5 }, { errors = 0.25 }]").unwrap();
        let found = [0.0, 0.2499, 0.25, 0.7499, 0.75, 0.9999].map(|at| mixed.part_at(at));
        assert_eq!(found, [0, 0, 1, 1, 2, 2]);
        // Thirds as people write them are a whole.
        assert!(read("[{ components = 0.33 }, { uniform = 0.33 }, { errors = 0.33 }]").is_ok());
    }

    #[test]
    fn what_is_no_mixture_is_refused() {
        for (value, told) in [
            ("[]", "names no part"),
            (
                "[{ uniform = 0.5 }, { components = 0.6 }]",
                "add up to 1.100",
            ),
            (
                "[{ uniform = 0.5, components = 0.5 }]",
                "names 2 of the ways",
            ),
            ("[{ exponent = 0.5 }]", "names 0 of the ways"),
            ("[{ uniform = 0.5 }, { uniform = 0.5 }]", "uniform twice"),
            ("[{ uniform = 1.5 }]", "the share of uniform is 1.5"),
            (
                "[{ uniform = 1.0, exponent = 0.5 }]",
                "`exponent` of uniform",
            ),
            (
                "[{ components = 1.0, exponent = 2.0 }]",
                "`exponent` of components",
            ),
            ("[{ errors = 1.0 }]", "cannot stand alone"),
            ("\"errors\"", "cannot stand alone"),
            ("[{ uniforms = 1.0 }]", "unknown field `uniforms`"),
            ("\"balance\"", "unknown variant `balance`"),
            ("3", "the name of a sampler, or a list"),
        ] {
            let error = read(value).unwrap_err();
            assert!(error.contains(told), "{value}: {error}");
        }
    }
}
