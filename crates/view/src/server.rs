//! A server for one browser on this machine.
//!
//! It listens on 127.0.0.1 alone. Other pages in the browser and other users of the machine
//! get nothing: a request must name this address as its host (against DNS rebinding), may
//! come from no other page, and must bring a secret of 128 random bits, at first in the
//! address, then as a cookie. What writes must also say that it comes from this page, which
//! browsers do, and no body is read before all that was found right, and its length.

use std::io::{self, Read};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::http::{Method, Request, Response, Status, receive};
use crate::routes::Site;
use crate::{Shown, ViewError};

/// Requests that are answered at the same time. Browsers open six connections.
const AT_ONCE: usize = 16;

/// How much of a refused request is read, which may be a label map, and for how long the next
/// bytes are waited for.
const DRAIN_BYTES: u64 = 64 << 20;
const DRAIN: Duration = Duration::from_millis(300);

/// Shows what there is to a browser.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    stopper: Stopper,
}

/// What the threads of the connections share.
struct Shared {
    site: Site,
    /// `127.0.0.1:PORT`
    host: String,
    cookie: String,
    token: String,
    /// Takes the place of the token once: other users may see the command line that the
    /// browser is started with.
    ticket: String,
    ticket_used: AtomicBool,
    busy: AtomicUsize,
}

/// Ends a running server, from another thread or a signal handler's.
#[derive(Clone, Debug)]
pub struct Stopper {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Stopper {
    /// The server takes no more requests.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes it. Where this fails, it is awake or gone.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

impl Server {
    /// Listens on `port` of 127.0.0.1, or on any free one for 0.
    ///
    /// # Errors
    /// When the port is taken or closed, or the system has no random numbers.
    pub fn bind(shown: impl Into<Shown>, port: u16) -> Result<Self, ViewError> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = bound.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ViewError::PortInUse { port },
            _ => ViewError::Listen { port, source },
        })?;
        let shared = Shared {
            site: Site::new(shown.into()),
            host: address.to_string(),
            // Browsers keep cookies of all ports of a host together.
            cookie: format!("lacuna-{}", address.port()),
            token: secret()?,
            ticket: secret()?,
            ticket_used: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
        };
        Ok(Self {
            listener,
            address,
            shared: Arc::new(shared),
            stopper: Stopper {
                address,
                stop: Arc::default(),
            },
        })
    }

    /// The address for the user, with the secret.
    pub fn url(&self) -> String {
        format!("http://{}/?token={}", self.address, self.shared.token)
    }

    /// An address that works once, for a command line that others may see.
    pub fn single_use_url(&self) -> String {
        format!("http://{}/?token={}", self.address, self.shared.ticket)
    }

    /// The port that is listened on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What ends [`Self::run`].
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Answers until it is stopped.
    pub fn run(&self) {
        for stream in self.listener.incoming() {
            if self.stopper.stop.load(Ordering::Relaxed) {
                return;
            }
            let Ok(stream) = stream else {
                // Out of file descriptors, at worst; they come back.
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            let shared = Arc::clone(&self.shared);
            // A connection that gets no thread is closed.
            let _ = std::thread::Builder::new().spawn(move || shared.serve(stream));
        }
    }
}

/// Counts a connection for as long as it lives, also through a panic.
struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// One request, one answer. A connection that breaks is the browser's business.
    fn serve(&self, mut stream: TcpStream) {
        let before = self.busy.fetch_add(1, Ordering::Relaxed);
        let _busy = Busy(&self.busy);
        let _ = stream.set_nodelay(true);
        if before >= AT_ONCE {
            let told = Response::told(Status::Busy, "too many requests at once\n");
            let _ = told.send(&mut stream, false);
            return;
        }
        let Ok(received) = receive(&mut stream) else {
            return;
        };
        let (response, head_only, drain) = match received {
            Ok(request) => (
                self.answer(&request, &mut stream),
                request.method == Method::Head,
                request.method == Method::Put,
            ),
            Err(status) => (refusal(status), false, true),
        };
        let _ = response.send(&mut stream, head_only);
        if drain {
            let _ = stream.shutdown(Shutdown::Write);
            // What is left unread would make the system cut the answer off.
            let _ = stream.set_read_timeout(Some(DRAIN));
            let _ = io::copy(&mut stream.take(DRAIN_BYTES), &mut io::sink());
        }
    }

    fn answer(&self, request: &Request, stream: &mut TcpStream) -> Response {
        let local = [
            self.host.clone(),
            self.host.replace("127.0.0.1", "localhost"),
        ];
        if !local.contains(&request.host) {
            return Response::told(
                Status::Misdirected,
                format!(
                    "this is {}; through a tunnel, use the same port on both ends\n",
                    self.host
                ),
            );
        }
        let own_page = format!("http://{}", request.host);
        let foreign = match &request.origin {
            Some(origin) => *origin != own_page,
            None => request.method == Method::Put,
        };
        if foreign {
            return Response::told(Status::Forbidden, "other pages get nothing from here\n");
        }
        if request.path == "/"
            && request.method != Method::Put
            && let Some(given) = request.query.strip_prefix("token=")
        {
            if !self.admits(given) {
                return self.stranger();
            }
            let cookie = format!(
                "{}={}; Path=/; HttpOnly; SameSite=Strict",
                self.cookie, self.token
            );
            return self.site.answer("/").with("Set-Cookie", cookie);
        }
        let pairs = request
            .cookie
            .split(';')
            .filter_map(|p| p.trim().split_once('='));
        let mut own = pairs.filter(|(name, _)| *name == self.cookie);
        match (
            own.any(|(_, value)| same(value, &self.token)),
            request.method,
        ) {
            (false, _) => self.stranger(),
            (true, Method::Put) => self.site.put(request, &mut || request.body(stream)),
            (true, _) => self.site.answer(&request.path),
        }
    }

    fn admits(&self, given: &str) -> bool {
        same(given, &self.token)
            || (same(given, &self.ticket) && !self.ticket_used.swap(true, Ordering::Relaxed))
    }

    fn stranger(&self) -> Response {
        Response::told(
            Status::Forbidden,
            "open the address that `lacuna view` printed\n",
        )
    }
}

fn refusal(status: Status) -> Response {
    let told = match status {
        Status::NotAllowed => "GET, HEAD and PUT alone are answered\n",
        Status::TooLarge => "requests have no body here\n",
        Status::NoLength => "the length of the body is missing\n",
        Status::HeadTooLarge => "the request is too long\n",
        _ => "this is no request that is understood\n",
    };
    let response = Response::told(status, told);
    match status {
        Status::NotAllowed => response.with("Allow", "GET, HEAD"),
        _ => response,
    }
}

/// 128 random bits in hexadecimal digits.
fn secret() -> Result<String, ViewError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| ViewError::NoSecret {
        found: e.to_string(),
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Compares in a time that tells nothing of where the difference is.
fn same(given: &str, secret: &str) -> bool {
    let differences = given
        .bytes()
        .zip(secret.bytes())
        .fold(0, |d, (a, b)| d | (a ^ b));
    given.len() == secret.len() && differences == 0
}
