//! The files that the page consists of.

use crate::http::{Body, Response};
use crate::training::styles;

/// An address, its kind and its bytes.
struct Embedded {
    address: &'static str,
    kind: &'static str,
    compressed: bool,
    bytes: &'static [u8],
}

macro_rules! embedded {
    ($($address:literal $kind:ident $file:literal;)*) => {
        [$(Embedded {
            address: $address,
            kind: $kind,
            compressed: false,
            bytes: include_bytes!(concat!("../page/", $file)),
        }),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page of subjects, and that of a training.
pub(crate) const SUBJECTS: &str = "/subjects.html";
pub(crate) const TRAINING: &str = "/training.html";

const FILES: [Embedded; 15] = embedded! {
    "/subjects.html" HTML "subjects.html";
    "/training.html" HTML "training.html";
    "/view.css" CSS "view.css";
    "/training.css" CSS "training.css";
    "/view.js" SCRIPT "view.js";
    "/shown.js" SCRIPT "shown.js";
    "/subjects.js" SCRIPT "subjects.js";
    "/layers.js" SCRIPT "layers.js";
    "/findings.js" SCRIPT "findings.js";
    "/controls.js" SCRIPT "controls.js";
    "/corrections.js" SCRIPT "corrections.js";
    "/brush.js" SCRIPT "brush.js";
    "/drawing.js" SCRIPT "drawing.js";
    "/words.js" SCRIPT "words.js";
    "/training.js" SCRIPT "training.js";
};

const NIIVUE: Embedded = Embedded {
    address: "/niivue.js",
    kind: SCRIPT,
    compressed: true,
    bytes: include_bytes!("../vendor/niivue/niivue.js.gz"),
};

/// The file of an address.
pub(crate) fn file(address: &str) -> Option<Response> {
    if address == "/report.css" {
        return Some(Response::new(CSS, Body::Made(styles().into_bytes())));
    }
    let mut files = FILES.into_iter().chain([NIIVUE]);
    let file = files.find(|file| file.address == address)?;
    let response = Response::new(file.kind, Body::Static(file.bytes));
    Some(match file.compressed {
        true => response.with("Content-Encoding", "gzip"),
        false => response,
    })
}
