//! The server without a network, for the harness in `fuzz/`.

use crate::Collection;
use crate::http::parse;
use crate::routes::Site;

/// Answers heads of requests as [`Server`](crate::Server) does once host and secret are right.
pub struct Answerer(Site);

impl Answerer {
    /// Shows a collection.
    pub fn new(collection: Collection) -> Self {
        Self(Site::new(collection.into()))
    }

    /// The status of the answer to a head, which is without its last, empty line.
    pub fn status(&self, head: &[u8]) -> u16 {
        let status = match parse(head) {
            Ok(request) => self.0.answer(&request.path).status,
            Err(status) => status,
        };
        status as u16
    }
}
