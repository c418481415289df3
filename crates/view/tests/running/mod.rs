//! A server, and requests to it over a socket.

#![allow(dead_code, reason = "each test file uses a part")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use lacuna_view::{Collection, Server, Shown, Source, Stopper};

/// A server that runs until it is dropped.
pub struct Running {
    pub port: u16,
    pub token: String,
    pub ticket: String,
    stopper: Stopper,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// An answer: its status, header and body.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Running {
    pub fn start(path: &Path, dataset: Option<&Path>) -> Self {
        let source = Source {
            path,
            dataset,
            label_values: false,
        };
        Self::of(Collection::open(&source).unwrap().into())
    }

    pub fn of(shown: Shown) -> Self {
        let server = Server::bind(shown, 0).unwrap();
        let token = |url: String| url.split_once("?token=").unwrap().1.to_owned();
        Self {
            port: server.port(),
            token: token(server.url()),
            ticket: token(server.single_use_url()),
            stopper: server.stopper(),
            thread: Some(std::thread::spawn(move || server.run())),
        }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn cookie(&self) -> String {
        format!("Cookie: lacuna-{}={}", self.port, self.token)
    }

    /// Sends bytes and reads to the end.
    pub fn send(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut stream = TcpStream::connect(self.host()).unwrap();
        // A refused request may be answered before all of it was read.
        let _ = stream.write_all(request.as_ref());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n");
        let end = end.expect("an answer has a header");
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: answer[end + 4..].to_vec(),
        }
    }

    /// `METHOD PATH` with the cookie and further header lines.
    pub fn ask(&self, start: &str, lines: &[&str]) -> Answer {
        let mut all = vec![format!("Host: {}", self.host()), self.cookie()];
        all.extend(lines.iter().map(|&line| line.to_owned()));
        self.send(format!("{start} HTTP/1.1\r\n{}\r\n\r\n", all.join("\r\n")))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[])
    }

    pub fn json(&self, path: &str) -> serde_json::Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// The voxels of an uncompressed NIfTI file in bytes.
    pub fn labels(&self, path: &str) -> Vec<u8> {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.body[352..].to_vec()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}
