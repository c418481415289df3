//! As much of HTTP/1.1 as one browser on this machine needs: GET and HEAD without bodies, PUT
//! with one of known length, a request a connection (RFC 9110 and 9112).

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Most bytes of a request; browsers send less than 2,000.
const HEAD_BYTES: usize = 16 << 10;
/// How long a request may take to arrive, without the body.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How long the browser may read nothing of an answer, or send nothing of a body.
const STALL: Duration = Duration::from_secs(60);

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Method {
    #[default]
    Get,
    /// What GET would give, without the body.
    Head,
    Put,
}

/// A request that this server answers.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Request {
    pub method: Method,
    /// Path of the target, without query.
    pub path: String,
    pub query: String,
    pub host: String,
    pub origin: Option<String>,
    pub cookie: String,
    pub kind: String,
    /// Bytes of the body, of which some came with the head.
    pub length: u64,
    begun: Vec<u8>,
}

/// A request that is refused before anybody looks at its path, or a path that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok = 200,
    BadRequest = 400,
    Forbidden = 403,
    NotFound = 404,
    NotAllowed = 405,
    Conflict = 409,
    NoLength = 411,
    TooLarge = 413,
    Unsupported = 415,
    Misdirected = 421,
    HeadTooLarge = 431,
    Failed = 500,
    Busy = 503,
}

impl Status {
    fn reason(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::BadRequest => "Bad Request",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::NotAllowed => "Method Not Allowed",
            Self::Conflict => "Conflict",
            Self::NoLength => "Length Required",
            Self::TooLarge => "Content Too Large",
            Self::Unsupported => "Unsupported Media Type",
            Self::Misdirected => "Misdirected Request",
            Self::HeadTooLarge => "Request Header Fields Too Large",
            Self::Failed => "Internal Server Error",
            Self::Busy => "Service Unavailable",
        }
    }
}

/// An answer.
pub(crate) struct Response {
    pub status: Status,
    pub kind: &'static str,
    /// Further lines of the header, each a name and a value.
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

/// What is sent.
pub(crate) enum Body {
    Static(&'static [u8]),
    Made(Vec<u8>),
    /// A file and its length in bytes.
    File(File, u64),
}

impl Response {
    pub fn new(kind: &'static str, body: Body) -> Self {
        Self {
            status: Status::Ok,
            kind,
            headers: Vec::new(),
            body,
        }
    }

    /// A message in words.
    pub fn told(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            ..Self::new(
                "text/plain; charset=utf-8",
                Body::Made(message.into().into_bytes()),
            )
        }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends the answer, which ends the connection.
    pub fn send(self, stream: &mut TcpStream, head_only: bool) -> io::Result<()> {
        stream.set_write_timeout(Some(STALL))?;
        let length = match &self.body {
            Body::Static(bytes) => bytes.len() as u64,
            Body::Made(bytes) => bytes.len() as u64,
            Body::File(_, bytes) => *bytes,
        };
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {length}\r\n",
            self.status as u16,
            self.status.reason(),
            self.kind,
        );
        for (name, value) in FIXED {
            head += &format!("{name}: {value}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        stream.write_all(head.as_bytes())?;
        if !head_only {
            match self.body {
                Body::Static(bytes) => stream.write_all(bytes)?,
                Body::Made(bytes) => stream.write_all(&bytes)?,
                // No more than was promised, should the file grow meanwhile.
                Body::File(file, bytes) => io::copy(&mut file.take(bytes), stream).map(drop)?,
            }
        }
        stream.flush()
    }
}

/// With every answer: nothing is kept, guessed, embedded elsewhere or loaded from elsewhere.
const FIXED: [(&str, &str); 6] = [
    ("Connection", "close"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

/// Reads a request. The inner error is the answer to one that is not understood.
///
/// # Errors
/// When the connection fails, ends or is too slow.
pub(crate) fn receive(stream: &mut TcpStream) -> io::Result<Result<Request, Status>> {
    let until = Instant::now() + ARRIVAL;
    let mut head = Vec::with_capacity(2048);
    let mut chunk = [0; 2048];
    loop {
        if let Some(end) = head.windows(4).position(|w| w == b"\r\n\r\n") {
            let begun = head.split_off(end + 4);
            return Ok(parse(&head[..end]).map(|request| Request { begun, ..request }));
        }
        if head.len() > HEAD_BYTES {
            return Ok(Err(Status::HeadTooLarge));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => head.extend_from_slice(&chunk[..read]),
        }
    }
}

impl Request {
    /// The rest of the body, of a length that was found to be right.
    ///
    /// # Errors
    /// When the connection fails, ends or stalls, or brings more.
    pub fn body(&self, stream: &mut TcpStream) -> io::Result<Vec<u8>> {
        let mut body = self.begun.clone();
        let missing = self.length.checked_sub(body.len() as u64);
        let missing = missing.ok_or(io::ErrorKind::InvalidData)?;
        stream.set_read_timeout(Some(STALL))?;
        let read = stream.take(missing).read_to_end(&mut body)?;
        match read as u64 == missing {
            true => Ok(body),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// The request line and the header fields, without the empty line.
pub(crate) fn parse(head: &[u8]) -> Result<Request, Status> {
    let head = std::str::from_utf8(head).map_err(|_| Status::BadRequest)?;
    let mut lines = head.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else {
        return Err(Status::BadRequest);
    };
    if !target.starts_with('/') || target.bytes().any(|b| !b.is_ascii_graphic()) {
        return Err(Status::BadRequest);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: match method {
            "HEAD" => Method::Head,
            "PUT" => Method::Put,
            _ => Method::Get,
        },
        path: path.to_owned(),
        query: query.to_owned(),
        ..Request::default()
    };
    let (mut hosts, mut lengths) = (0, 0);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Status::BadRequest)?;
        let value = value.trim_matches([' ', '\t']);
        // A name with blanks, or none, is how requests are smuggled.
        if name.is_empty() || name.bytes().any(|b| !b.is_ascii_graphic()) {
            return Err(Status::BadRequest);
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => {
                hosts += 1;
                request.host = value.to_owned();
            }
            "origin" => request.origin = Some(value.to_owned()),
            "cookie" => request.cookie = value.to_owned(),
            "content-type" => request.kind = value.to_owned(),
            "content-length" => {
                // Digits alone: `+5` is a number to Rust.
                let digits = value.bytes().all(|b| b.is_ascii_digit());
                let length = value.parse().ok().filter(|_| digits);
                request.length = length.ok_or(Status::BadRequest)?;
                lengths += 1;
            }
            "transfer-encoding" => return Err(Status::TooLarge),
            _ => {}
        }
    }
    match (method, hosts, lengths) {
        ("GET" | "HEAD", ..) if request.length > 0 => Err(Status::TooLarge),
        ("GET" | "HEAD", 1, 0 | 1) | ("PUT", 1, 1) => Ok(request),
        ("PUT", 1, 0) => Err(Status::NoLength),
        ("GET" | "HEAD" | "PUT", ..) => Err(Status::BadRequest),
        _ => Err(Status::NotAllowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> Result<Request, Status> {
        parse(head.as_bytes())
    }

    #[test]
    fn a_request_of_a_browser() {
        let head = "GET /subject/3?token=ab HTTP/1.1\r\nHost: 127.0.0.1:80\r\ncookie:a=b; c=d\r\n\
                    Accept: */*";
        let expected = Request {
            path: "/subject/3".into(),
            query: "token=ab".into(),
            host: "127.0.0.1:80".into(),
            cookie: "a=b; c=d".into(),
            ..Request::default()
        };
        assert_eq!(parsed(head), Ok(expected));
        let head = parsed("HEAD / HTTP/1.1\r\nHost: a").unwrap();
        assert_eq!(head.method, Method::Head);
        let put = parsed(
            "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
             content-type: application/octet-stream\r\nOrigin: http://a",
        );
        let put = put.unwrap();
        assert_eq!((put.method, put.length), (Method::Put, 5));
        assert_eq!(put.kind, "application/octet-stream");
        assert_eq!(put.origin.as_deref(), Some("http://a"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        use Status::*;
        for (head, status) in [
            ("", BadRequest),
            ("GET /", BadRequest),
            ("GET / HTTP/1.0\r\nHost: a", BadRequest),
            ("GET  / HTTP/1.1\r\nHost: a", BadRequest),
            ("GET http://a/ HTTP/1.1\r\nHost: a", BadRequest),
            ("GET / HTTP/1.1", BadRequest),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b", BadRequest),
            ("GET / HTTP/1.1\r\nHost: a\r\nno colon", BadRequest),
            ("GET / HTTP/1.1\r\nHost : a", BadRequest),
            ("GET / HTTP/1.1\r\nHost: a\r\n folded: b", BadRequest),
            ("POST / HTTP/1.1\r\nHost: a", NotAllowed),
            ("OPTIONS / HTTP/1.1\r\nHost: a", NotAllowed),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5", TooLarge),
            ("PUT / HTTP/1.1\r\nHost: a", NoLength),
            ("PUT / HTTP/1.1\r\nContent-Length: 5", BadRequest),
            (
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +5",
                BadRequest,
            ),
            (
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999",
                BadRequest,
            ),
            (
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6",
                BadRequest,
            ),
            (
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
                TooLarge,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked",
                TooLarge,
            ),
        ] {
            assert_eq!(parsed(head), Err(status), "{head:?}");
        }
        assert_eq!(parse(b"GET /\xff HTTP/1.1\r\nHost: a"), Err(BadRequest));
    }
}
