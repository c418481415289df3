//! What the addresses of the server give. Subjects are numbers and layers are words, so that
//! no address holds a path or a name of a patient.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::ViewError;
use crate::collection::{Collection, Entry};
use crate::http::{Body, Response, Status};
use crate::layer::{Layer, Listed, Nifti};
use crate::opened::{Opened, Row};

/// What the page consists of: address, kind, whether it is compressed, bytes.
const FILES: [(&str, &str, bool, &[u8]); 6] = [
    (
        "/",
        "text/html; charset=utf-8",
        false,
        include_bytes!("../page/index.html"),
    ),
    (
        "/view.css",
        "text/css; charset=utf-8",
        false,
        include_bytes!("../page/view.css"),
    ),
    (
        "/view.js",
        "text/javascript; charset=utf-8",
        false,
        include_bytes!("../page/view.js"),
    ),
    (
        "/drawing.js",
        "text/javascript; charset=utf-8",
        false,
        include_bytes!("../page/drawing.js"),
    ),
    (
        "/words.js",
        "text/javascript; charset=utf-8",
        false,
        include_bytes!("../page/words.js"),
    ),
    (
        "/niivue.js",
        "text/javascript; charset=utf-8",
        true,
        include_bytes!("../vendor/niivue/niivue.js.gz"),
    ),
];

/// The files behind the page.
pub(crate) struct Site {
    collection: Collection,
    /// The subject looked at last, with its number.
    opened: Mutex<Option<(usize, Arc<Opened>)>>,
}

/// `/subjects`
#[derive(Serialize)]
struct Overview<'a> {
    dataset: &'a str,
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
}

/// `/subject/N`
#[derive(Serialize)]
struct Detail<'a> {
    id: &'a str,
    layers: Vec<Listed>,
    classes: &'a [String],
    rows: &'a [Row],
    /// Why label maps are not shown.
    problem: Option<String>,
}

impl Site {
    pub fn new(collection: Collection) -> Self {
        Self {
            collection,
            opened: Mutex::new(None),
        }
    }

    /// The answer to a path.
    pub fn answer(&self, path: &str) -> Response {
        if let Some((_, kind, compressed, bytes)) = FILES.into_iter().find(|f| f.0 == path) {
            let response = Response::new(kind, Body::Static(bytes));
            return match compressed {
                true => response.with("Content-Encoding", "gzip"),
                false => response,
            };
        }
        let words: Vec<&str> = path.split('/').skip(1).collect();
        let found = match words[..] {
            ["subjects"] => Ok(Some(self.overview())),
            ["subject", number] => Ok(self.entry(number).map(|(n, entry)| self.detail(n, entry))),
            ["volume", number, layer] => self.volume(number, layer),
            _ => Ok(None),
        };
        match found {
            Ok(Some(response)) => response,
            Ok(None) => Response::told(Status::NotFound, "there is nothing of this address\n"),
            Err(error) => Response::told(Status::Failed, format!("{error}\n")),
        }
    }

    /// The subject of a number, written in the one way that numbers are.
    fn entry(&self, number: &str) -> Option<(usize, &Entry)> {
        let index: usize = number
            .parse()
            .ok()
            .filter(|n: &usize| n.to_string() == number)?;
        Some((index, self.collection.entries.get(index)?))
    }

    fn overview(&self) -> Response {
        let lines = self.collection.entries.iter().map(|entry| {
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
            }
        });
        json(&Overview {
            dataset: &self.collection.manifest.name,
            subjects: lines.collect(),
        })
    }

    /// The images can be looked at even where a label map cannot be read.
    fn detail(&self, number: usize, entry: &Entry) -> Response {
        let (opened, problem) = match self.open(number, entry) {
            Ok(opened) => (opened, None),
            Err(error) => (Arc::default(), Some(error.to_string())),
        };
        json(&Detail {
            id: &entry.subject.id,
            layers: Layer::all(&self.collection, entry, &opened),
            classes: &self.collection.manifest.classes,
            rows: &opened.rows,
            problem,
        })
    }

    /// The label maps of a subject, read once for all its layers.
    fn open(&self, number: usize, entry: &Entry) -> Result<Arc<Opened>, ViewError> {
        // Whoever panicked left no half of a value.
        let mut last = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, opened)) = &*last
            && *of == number
        {
            return Ok(Arc::clone(opened));
        }
        let opened = Arc::new(Opened::read(&self.collection, entry)?);
        *last = Some((number, Arc::clone(&opened)));
        Ok(opened)
    }

    fn volume(&self, number: &str, layer: &str) -> Result<Option<Response>, ViewError> {
        let (Some((number, entry)), Some(layer)) = (self.entry(number), Layer::parse(layer)) else {
            return Ok(None);
        };
        let opened = || self.open(number, entry);
        let body = match layer.nifti(&self.collection, entry, &opened)? {
            None => return Ok(None),
            Some(Nifti::Made(bytes)) => Body::Made(bytes),
            Some(Nifti::OnDisk(path)) => {
                let opened = File::open(&path).and_then(|file| {
                    let bytes = file.metadata()?.len();
                    Ok(Body::File(file, bytes))
                });
                opened.map_err(|source| ViewError::Io { path, source })?
            }
        };
        Ok(Some(Response::new("application/octet-stream", body)))
    }
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => Response::new("application/json", Body::Made(bytes)),
        Err(error) => Response::told(Status::Failed, format!("{error}\n")),
    }
}
