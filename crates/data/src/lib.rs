//! From files to training batches: the dataset manifest and its pre-flight
//! check, normalisation, samplers, transforms and prefetch; and phantoms to try them on.

pub mod check;
pub mod cohort;
pub mod discover;
pub mod entries;
pub mod fingerprint;
pub mod grey_matter;
pub mod manifest;
pub mod nnunet_folder;
pub mod normalise;
pub mod phantom;
pub mod positions;
pub mod prefetch;
pub mod rng;
pub mod sampler;
pub mod split;
pub mod subject;
pub mod transform;
pub mod white_matter;
pub mod window;
