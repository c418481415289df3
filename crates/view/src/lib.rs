//! Results in a local web page: images, reference, prediction, what is wrong with it, and
//! every lesion in a table to jump to. What `lacuna view` starts.
//!
//! A [`Collection`] knows the files: those of a dataset manifest, a folder of predictions, an
//! evaluation, or a folder of `lacuna auto`. A [`Training`] is a run, whose page follows it
//! while it trains. A [`Server`] shows them to one browser on this machine. Nothing is written
//! but [`Corrections`], into the folder that they were given. The page draws with [NiiVue](https://github.com/niivue/niivue),
//! which is embedded, so that no network is needed.
//!
//! Places are world mm (x to the right, y to the front, z up), as the files have them.

mod answerer;
mod browser;
mod collection;
mod corrections;
mod error;
mod files;
mod http;
mod judged;
mod layer;
mod opened;
mod routes;
mod server;
mod shown;
mod training;

#[doc(hidden)]
pub use answerer::Answerer;
pub use browser::{NoBrowser, open_browser};
pub use collection::{Collection, Source};
pub use corrections::Corrections;
pub use error::ViewError;
pub use judged::{Fault, JudgedLesion, Verdict, faults, judge};
pub use server::{Server, Stopper};
pub use shown::Shown;
pub use training::{ReportOf, Training};
