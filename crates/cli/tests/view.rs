//! `lacuna view`: how it starts, what it refuses, how it ends.

mod harness;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use harness::{Place, send};

#[test]
fn it_serves_until_it_is_interrupted_and_ends_well() {
    let place = Place::new();
    serves(&place, "cohort/dataset.toml", "2 subject(s)");
    // A run, of which nothing is known yet but what it was asked for.
    std::fs::create_dir(place.path("run")).unwrap();
    std::fs::copy(place.path("run.toml"), place.path("run/run.toml")).unwrap();
    serves(&place, "run --corrections new", "the run and 2 subject(s)");
    assert!(!place.path("new").exists());
    std::fs::remove_dir_all(place.path("cohort")).unwrap();
    let told = serves(&place, "run", "the run");
    assert!(told.contains("subjects of the run are not shown"), "{told}");
}

/// What it says on standard error.
fn serves(place: &Place, words: &str, expected: &str) -> String {
    let mut command = place.command(&format!("view {words}"));
    // No display: it says so, and goes on.
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let url = first
        .strip_prefix(&format!("{expected} at http://"))
        .unwrap();
    let (host, path) = url.split_once('/').unwrap();

    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

    send(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut told = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    if cfg!(target_os = "linux") {
        assert!(told.contains("no browser was started"), "{told}");
    }
    told
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let place = Place::new();
    place.refused(
        "view nothing",
        &["nothing: there is no such file or folder"],
    );
    place.refused(
        "view cohort",
        &["cohort: it holds no predictions", "manifest"],
    );
    place.refused("view run.toml", &["run.toml"]);
    std::fs::create_dir(place.path("p")).unwrap();
    std::fs::copy(
        place.path("cohort/sub-01/lesion.nii.gz"),
        place.path("p/sub-01.nii.gz"),
    )
    .unwrap();
    place.refused("view p", &["p: say with --dataset"]);

    place.refused(
        "view cohort/dataset.toml --corrections cohort",
        &["cohort cannot take corrections", "its own dataset.toml"],
    );
    place.refused(
        "view cohort/dataset.toml --corrections p",
        &["p cannot take corrections", "no corrections"],
    );

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    place.refused(
        &format!("view cohort/dataset.toml --no-open --port {port}"),
        &[&format!("port {port} of 127.0.0.1 is in use"), "--port"],
    );
}
