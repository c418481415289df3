//! Requests to the viewer: what a browser, or another page in it, may send.

use std::path::Path;

use lacuna_view::{Answerer, Collection, Source};

use super::tiny::Tiny;
use super::{Outcome, Reader};
use crate::input::Input;

const REQUESTS: [&str; 6] = [
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\nCookie: a=b; c=d\r\nAccept: */*",
    "GET /subjects HTTP/1.1\r\nHost: 127.0.0.1:80\r\nOrigin: http://127.0.0.1:80",
    "GET /subject/0?token=ab HTTP/1.1\r\nhost:a\r\nContent-Length: 0",
    "HEAD /volume/0/reference HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked",
    "GET /volume/0/image-0 HTTP/1.1\r\nHost: a",
    "POST /volume/1/prediction HTTP/1.1\r\nHost: a\r\nContent-Length: 5",
];

pub fn seeds() -> Vec<Input> {
    REQUESTS.map(|text| Input::new("request", text)).to_vec()
}

pub fn reader() -> Reader {
    let tiny = Tiny::new();
    let (dataset, predictions) = (tiny.path("dataset.toml"), tiny.path("predictions"));
    let collection = Collection::open(&Source {
        path: &predictions,
        dataset: Some(&dataset),
        label_values: false,
    });
    let answerer = Answerer::new(collection.expect("a sound dataset"));
    Box::new(move |_: &Path, input: &Input| {
        // The files are there as long as they are shown.
        let _ = &tiny;
        match answerer.status(&input.files[0].1) {
            200 => Outcome::Decoded,
            500 => Outcome::Wrong("the server failed".to_owned()),
            status => Outcome::Refused(format!("status {}", words(status))),
        }
    })
}

/// Digits are left out of refusals where they are counted.
fn words(status: u16) -> String {
    let letters = status.to_string().into_bytes().into_iter();
    letters
        .map(|digit| char::from(digit - b'0' + b'a'))
        .collect()
}
