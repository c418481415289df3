//! What the addresses of the server give and take. Subjects are numbers and layers are words,
//! so that no address holds a path or a name of a patient.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use lacuna_io::text::open_file;
use serde::Serialize;

use crate::collection::{Collection, Entry};
use crate::corrections::{Corrections, Editable, NotSaved};
use crate::files::{self, file};
use crate::http::{Body, Request, Response, Status};
use crate::layer::{Layer, Listed, Nifti};
use crate::opened::{Opened, Row};
use crate::{Shown, ViewError};

/// The files behind the page.
pub(crate) struct Site {
    shown: Shown,
    /// The subject looked at last, with its number.
    opened: Mutex<Option<(usize, Arc<Opened>)>>,
}

/// `/subjects`
#[derive(Serialize)]
struct Overview<'a> {
    dataset: &'a str,
    /// Whether there is a page of a training.
    training: bool,
    /// Where corrections go.
    corrections: Option<String>,
    subjects: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    dsc: Option<f64>,
    lesion_f1: Option<f64>,
    missed: Option<usize>,
    #[serde(rename = "false")]
    false_lesions: Option<usize>,
    corrected: bool,
}

/// `/subject/N`
#[derive(Serialize)]
struct Detail<'a> {
    id: &'a str,
    layers: Vec<Listed>,
    classes: &'a [String],
    rows: &'a [Row],
    /// Where corrections are taken.
    correction: Option<Editable>,
    /// Why label maps are not shown.
    problem: Option<String>,
}

impl Site {
    pub fn new(shown: Shown) -> Self {
        Self {
            shown,
            opened: Mutex::new(None),
        }
    }

    /// The answer to a path.
    pub fn answer(&self, path: &str) -> Response {
        let start = match self.shown.training {
            Some(_) => files::TRAINING,
            None => files::SUBJECTS,
        };
        if let Some(response) = file(if path == "/" { start } else { path }) {
            return response;
        }
        let words: Vec<&str> = path.split('/').skip(1).collect();
        let found = match words[..] {
            ["subjects"] => Ok(self.shown.collection.as_ref().map(|c| self.overview(c))),
            ["subject", number] => self.detail(number),
            ["volume", number, layer] => self.volume(number, layer),
            ["run"] => self.standing(),
            ["run", "page"] => Ok(self.report()),
            _ => Ok(None),
        };
        match found {
            Ok(Some(response)) => response,
            Ok(None) => nothing(),
            Err(error) => failed(&error),
        }
    }

    /// The answer to a body, which is read by `body` once its length is found right.
    pub fn put(
        &self,
        request: &Request,
        body: &mut dyn FnMut() -> io::Result<Vec<u8>>,
    ) -> Response {
        let words: Vec<&str> = request.path.split('/').skip(1).collect();
        let ["correction", number] = words[..] else {
            return Response::told(Status::NotAllowed, "nothing is written here\n")
                .with("Allow", "GET, HEAD");
        };
        let Some(corrections) = &self.shown.corrections else {
            return Response::told(
                Status::Forbidden,
                "nothing is written; start `lacuna view` with --corrections DIR\n",
            );
        };
        let Some((number, collection, entry)) = self.entry(number) else {
            return nothing();
        };
        let known = request.query.strip_prefix("saves=").and_then(number_of);
        let Some(known) = known else {
            return Response::told(Status::BadRequest, "expected ?saves=NUMBER\n");
        };
        // No form can send it, so that browsers ask before they send another page's request.
        if request.kind != "application/octet-stream" {
            return Response::told(Status::Unsupported, "expected application/octet-stream\n");
        }
        match corrections.voxels(&collection.manifest, entry) {
            Err(error) => return failed(&error),
            Ok(voxels) if voxels != request.length => {
                let status = match request.length > voxels {
                    true => Status::TooLarge,
                    false => Status::BadRequest,
                };
                let told = format!(
                    "the image has {voxels} voxels, a byte each, and {} bytes were sent; load the \
                     page again\n",
                    request.length
                );
                return Response::told(status, told);
            }
            Ok(_) => {}
        }
        let Ok(classes) = body() else {
            return Response::told(Status::BadRequest, "the request ended before its end\n");
        };
        let saved = match self.open(number, collection, entry) {
            Ok(opened) => corrections.save(&collection.manifest, entry, &opened, classes, known),
            Err(error) => Err(error.into()),
        };
        match saved {
            Ok(saved) => json(&saved),
            Err(NotSaved::Refused(why)) => Response::told(Status::BadRequest, why + "\n"),
            Err(NotSaved::Overtaken) => Response::told(
                Status::Conflict,
                "this subject was saved in another window meanwhile; open it again\n",
            ),
            Err(NotSaved::Failed(error)) => failed(&error),
        }
    }

    /// The subject of a number, written in the one way that numbers are.
    fn entry(&self, number: &str) -> Option<(usize, &Collection, &Entry)> {
        let collection = self.shown.collection.as_ref()?;
        let index = usize::try_from(number_of(number)?).ok()?;
        Some((index, collection, collection.entries.get(index)?))
    }

    fn overview(&self, collection: &Collection) -> Response {
        let corrections = self.shown.corrections.as_ref();
        let lines = collection.entries.iter().map(|entry| {
            let row = entry.score();
            let undetected = |lesions: &[lacuna_metrics::Lesion]| {
                lesions.iter().filter(|lesion| !lesion.detected).count()
            };
            Line {
                id: &entry.subject.id,
                dsc: row.map(|row| row.dsc),
                lesion_f1: row.map(|row| row.lesion_f1),
                missed: row.map(|row| undetected(&row.lesions.reference)),
                false_lesions: row.map(|row| undetected(&row.lesions.prediction)),
                corrected: corrections.is_some_and(|c| c.has(&entry.subject.id)),
            }
        });
        json(&Overview {
            dataset: &collection.manifest.name,
            training: self.shown.training.is_some(),
            corrections: corrections.map(|c| c.folder().display().to_string()),
            subjects: lines.collect(),
        })
    }

    /// The images can be looked at even where a label map cannot be read.
    fn detail(&self, number: &str) -> Result<Option<Response>, ViewError> {
        let Some((number, collection, entry)) = self.entry(number) else {
            return Ok(None);
        };
        let (opened, problem) = match self.open(number, collection, entry) {
            Ok(opened) => (opened, None),
            Err(error) => (Arc::default(), Some(error.to_string())),
        };
        let editable = |c: &Corrections| c.editable(&collection.manifest, entry);
        Ok(Some(json(&Detail {
            id: &entry.subject.id,
            layers: Layer::all(collection, entry, &opened),
            classes: &collection.manifest.classes,
            rows: &opened.rows,
            correction: self.shown.corrections.as_ref().map(editable).transpose()?,
            problem,
        })))
    }

    /// The label maps of a subject, read once for all its layers.
    fn open(
        &self,
        number: usize,
        collection: &Collection,
        entry: &Entry,
    ) -> Result<Arc<Opened>, ViewError> {
        // Whoever panicked left no half of a value.
        let mut last = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, opened)) = &*last
            && *of == number
        {
            return Ok(Arc::clone(opened));
        }
        let opened = Arc::new(Opened::read(collection, entry)?);
        *last = Some((number, Arc::clone(&opened)));
        Ok(opened)
    }

    fn volume(&self, number: &str, layer: &str) -> Result<Option<Response>, ViewError> {
        let (Some((number, collection, entry)), Some(layer)) =
            (self.entry(number), Layer::parse(layer))
        else {
            return Ok(None);
        };
        let opened = || self.open(number, collection, entry);
        let corrections = self.shown.corrections.as_ref();
        let body = match layer.nifti(collection, corrections, entry, &opened)? {
            None => return Ok(None),
            Some(Nifti::Made(bytes)) => Body::Made(bytes),
            Some(Nifti::OnDisk(path)) => {
                let opened =
                    open_file(&path).map(|(file, metadata)| Body::File(file, metadata.len()));
                opened.map_err(|source| ViewError::Io { path, source })?
            }
        };
        Ok(Some(Response::new("application/octet-stream", body)))
    }

    fn standing(&self) -> Result<Option<Response>, ViewError> {
        let Some(training) = &self.shown.training else {
            return Ok(None);
        };
        let subjects = self.shown.collection.is_some();
        Ok(Some(json(&training.standing(subjects)?)))
    }

    fn report(&self) -> Option<Response> {
        Some(match self.shown.training.as_ref()?.body() {
            Ok(body) => Response::new("text/html; charset=utf-8", Body::Made(body.into_bytes())),
            Err(why) => Response::told(Status::Failed, why + "\n"),
        })
    }
}

/// A number, written in the one way that numbers are.
fn number_of(text: &str) -> Option<u64> {
    (text.parse().ok()).filter(|number: &u64| number.to_string() == text)
}

fn nothing() -> Response {
    Response::told(Status::NotFound, "there is nothing of this address\n")
}

fn failed(error: &ViewError) -> Response {
    Response::told(Status::Failed, format!("{error}\n"))
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => Response::new("application/json", Body::Made(bytes)),
        Err(error) => Response::told(Status::Failed, format!("{error}\n")),
    }
}
