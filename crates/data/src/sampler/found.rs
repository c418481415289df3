//! What the parts of a mixture find in each subject, when the sampler is made.

use std::borrow::Cow;

use lacuna_volume::is_foreground;

use super::components::{ComponentPlaces, SubjectComponents};
use super::places::Places;
use super::{Mixture, MixturePart, SamplerError, SamplerKind, Source, Usable};
use crate::cohort::{Annotations, CohortError, Held};
use crate::subject::tissue;

/// What a part of the mixture finds in a subject.
pub(super) enum InSubject {
    Places(Option<Places>),
    Components(SubjectComponents),
}

impl From<Option<Places>> for InSubject {
    fn from(places: Option<Places>) -> Self {
        Self::Places(places)
    }
}

/// The places of a part from those in each subject, with the subjects that have none;
/// `None` when none has.
pub(super) fn gather(part: &MixturePart, found: Vec<InSubject>) -> Option<(Source, Vec<usize>)> {
    let mut skipped = Vec::new();
    let mut usable = Vec::new();
    let mut components = Vec::new();
    for (case, found) in found.into_iter().enumerate() {
        match found {
            InSubject::Places(Some(places)) => usable.push(Usable { case, places }),
            InSubject::Places(None) => skipped.push(case),
            InSubject::Components(found) => {
                if found.is_empty() {
                    skipped.push(case);
                }
                components.push(found);
            }
        }
    }
    if part.kind == SamplerKind::Components {
        let places = ComponentPlaces::new(components, part.exponent);
        return (!places.is_empty()).then_some((Source::Components(places), skipped));
    }
    (!usable.is_empty()).then_some((Source::Subjects(usable), skipped))
}

/// What is found in a subject when the sampler is made.
pub(super) struct Found {
    pub(super) labelled: bool,
    pub(super) foreground: bool,
    pub(super) weighted: bool,
    /// For each part of the mixture.
    pub(super) places: Result<Vec<InSubject>, SamplerError>,
}

impl Found {
    pub(super) fn of(
        held: &Held,
        mixture: &Mixture,
        effective: [usize; 3],
    ) -> Result<Self, CohortError> {
        let subject = held.annotations()?;
        let mut classes = subject.label.iter().flat_map(|label| label.data());
        let tissue = match &subject.mask {
            Some(mask) => Some(mask.clone()),
            None if mixture.has(SamplerKind::Mask) || mixture.has(SamplerKind::Errors) => {
                let channels = held.images(([0; 3], held.grid().shape))?;
                Some(Cow::Owned(tissue(&channels)))
            }
            None => None,
        };
        let places = mixture.parts().iter().map(|part| match part.kind {
            SamplerKind::Components => Ok(InSubject::Components(lesions(&subject))),
            SamplerKind::Foreground => Ok(Places::foreground(&subject, effective).into()),
            SamplerKind::Uniform => Ok(Places::uniform(&subject, effective).into()),
            SamplerKind::Balanced => Ok(Places::balanced(&subject).into()),
            SamplerKind::Weighted => {
                Places::weighted(held.id(), &subject).map(|places| Some(places).into())
            }
            SamplerKind::Mask | SamplerKind::Errors => {
                let tissue = tissue
                    .as_deref()
                    .expect("it is made where a part draws in it");
                Ok(Places::around_all(&subject, tissue).into())
            }
        });
        Ok(Self {
            labelled: subject.label.is_some(),
            foreground: classes.any(|class| is_foreground(*class)),
            weighted: subject.weight.is_some(),
            places: places.collect(),
        })
    }
}

/// The components of a subject's foreground, inside its mask.
fn lesions(subject: &Annotations<'_>) -> SubjectComponents {
    let Some(label) = &subject.label else {
        return SubjectComponents::default();
    };
    SubjectComponents::of(&label.map(|class| is_foreground(*class)), &|i| {
        subject.in_mask(i)
    })
}
