//! The server over a socket, as a browser, another page and a stranger meet it.

mod place;
mod running;

use lacuna_view::{Collection, Server, Source, ViewError};
use place::Place;
use running::Running;

#[test]
fn the_secret_opens_the_page_and_becomes_a_cookie() {
    let place = Place::new();
    let running = Running::start(&place.path("dataset.toml"), None);
    let host = format!("Host: {}", running.host());
    let open =
        |secret: &str| running.send(format!("GET /?token={secret} HTTP/1.1\r\n{host}\r\n\r\n"));
    let page = open(&running.token);
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<canvas"), "{}", page.text());
    let cookie = page.header("Set-Cookie").unwrap();
    assert!(cookie.starts_with(&format!("lacuna-{}={}; ", running.port, running.token)));
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    // That of the command line works once, and gives the same cookie.
    let once = open(&running.ticket);
    assert_eq!(
        (once.status, once.header("Set-Cookie")),
        (200, Some(cookie))
    );
    assert_eq!(open(&running.ticket).status, 403);
    assert_eq!(open(&running.token).status, 200);
    for wrong in ["", "0", &running.token[1..], &format!("{}0", running.token)] {
        assert_eq!(open(wrong).status, 403, "{wrong}");
    }
    for path in [
        "/",
        "/subjects.html",
        "/training.html",
        "/view.js",
        "/corrections.js",
        "/view.css",
        "/report.css",
        "/niivue.js",
        "/subjects",
    ] {
        let bare = running.send(format!("GET {path} HTTP/1.1\r\n{host}\r\n\r\n"));
        assert_eq!(bare.status, 403, "{path}");
        assert_eq!(running.get(path).status, 200, "{path}");
    }
    // The cookie of another server on this machine.
    let other = format!("Cookie: lacuna-1={}; a=b", running.token);
    let answer = running.send(format!("GET / HTTP/1.1\r\n{host}\r\n{other}\r\n\r\n"));
    assert_eq!(answer.status, 403);
}

#[test]
fn other_hosts_and_pages_get_nothing() {
    let place = Place::new();
    let running = Running::start(&place.path("dataset.toml"), None);
    let cookie = running.cookie();
    let at = |host: &str| {
        running.send(format!(
            "GET /subjects HTTP/1.1\r\nHost: {host}\r\n{cookie}\r\n\r\n"
        ))
    };
    let port = running.port;
    assert_eq!(at(&format!("localhost:{port}")).status, 200);
    let foreign = ["evil.example", "127.0.0.1", "127.0.0.1:1", "[::1]"].map(str::to_owned);
    for host in foreign.into_iter().chain([format!("evil.example:{port}")]) {
        assert_eq!(at(&host).status, 421, "{host}");
    }
    let origin = |origin: &str| running.ask("GET /subjects", &[&format!("Origin: {origin}")]);
    assert_eq!(origin(&format!("http://{}", running.host())).status, 200);
    for foreign in [
        "https://evil.example",
        "null",
        &format!("https://{}", running.host()),
    ] {
        let answer = origin(foreign);
        assert_eq!(answer.status, 403, "{foreign}");
        assert!(answer.header("Access-Control-Allow-Origin").is_none());
    }
}

#[test]
fn every_answer_forbids_guessing_keeping_and_embedding() {
    let place = Place::new();
    let running = Running::start(&place.path("dataset.toml"), None);
    for path in ["/", "/subjects", "/volume/0/image-0", "/none"] {
        let answer = running.get(path);
        assert_eq!(
            answer.header("X-Content-Type-Options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{path}");
        assert_eq!(
            answer.header("Referrer-Policy"),
            Some("no-referrer"),
            "{path}"
        );
        let policy = answer.header("Content-Security-Policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        let embedding = answer.header("Cross-Origin-Resource-Policy");
        assert_eq!(embedding, Some("same-origin"), "{path}");
    }
}

#[test]
fn no_address_leaves_the_collection() {
    let place = Place::new();
    let running = Running::start(&place.path("dataset.toml"), None);
    for path in [
        "/../Cargo.toml",
        "/volume/0/../../../../etc/passwd",
        "/volume/0/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/volume/..%2f/image-0",
        "/volume/0//etc/passwd",
        "/volume/2/image-0",
        "/volume/-1/image-0",
        "/volume/+0/image-0",
        "/volume/00/image-0",
        "/volume/18446744073709551616/image-0",
        "/volume/0/image-9",
        "/volume/0/prediction",
        "/volume/0/faults-0",
        "/volume/0/uncertainty",
        "/volume/0/probability-1",
        "/volume/0/image-0/",
        "/subject/9",
        "/subject/",
        "/favicon.ico",
    ] {
        let answer = running.get(path);
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
    // No address in the sense of the protocol.
    assert_eq!(running.get("/a\tb").status, 400);
    assert_eq!(running.get("*").status, 400);
}

#[test]
fn what_is_not_a_short_get_is_refused() {
    let place = Place::new();
    let running = Running::start(&place.path("dataset.toml"), None);
    for method in ["POST", "DELETE", "OPTIONS", "CONNECT"] {
        let answer = running.ask(&format!("{method} /subjects"), &[]);
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("Allow"), Some("GET, HEAD"));
    }
    assert_eq!(running.ask("PUT /correction/0", &[]).status, 411);
    let body = running.ask("GET /subjects", &["Content-Length: 3"]);
    assert_eq!(body.status, 413);
    let chunked = running.ask("GET /subjects", &["Transfer-Encoding: chunked"]);
    assert_eq!(chunked.status, 413);
    let long = format!("X: {}", "a".repeat(20 << 10));
    assert_eq!(running.ask("GET /subjects", &[&long]).status, 431);
    // A name of a header that never ends.
    assert_eq!(running.send("a".repeat(40 << 10)).status, 431);
    assert_eq!(running.send("nonsense\r\n\r\n").status, 400);
}

#[test]
fn head_is_get_without_a_body() {
    let place = Place::new();
    let running = Running::start(&place.path("dataset.toml"), None);
    for path in [
        "/",
        "/niivue.js",
        "/subject/0",
        "/volume/0/image-0",
        "/volume/0/reference",
    ] {
        let (get, head) = (running.get(path), running.ask(&format!("HEAD {path}"), &[]));
        assert_eq!((get.status, head.status), (200, 200), "{path}");
        let length = get.body.len().to_string();
        assert_eq!(
            get.header("Content-Length"),
            Some(length.as_str()),
            "{path}"
        );
        assert_eq!(
            head.header("Content-Length"),
            Some(length.as_str()),
            "{path}"
        );
        assert!(head.body.is_empty(), "{path}");
    }
    assert_eq!(
        running.get("/niivue.js").header("Content-Encoding"),
        Some("gzip")
    );
}

#[test]
fn a_port_in_use_is_told() {
    let place = Place::new();
    let running = Running::start(&place.path("dataset.toml"), None);
    let path = place.path("dataset.toml");
    let source = Source {
        path: &path,
        dataset: None,
        label_values: false,
    };
    let collection = Collection::open(&source).unwrap();
    let error = Server::bind(collection, running.port).err().unwrap();
    assert!(matches!(error, ViewError::PortInUse { .. }), "{error}");
    let told = format!("port {} of 127.0.0.1 is in use", running.port);
    assert!(error.to_string().starts_with(&told), "{error}");
}

#[test]
fn lesions_and_errors_of_a_prediction() {
    let place = Place::new();
    let running = Running::start(&place.predictions(), Some(&place.path("dataset.toml")));
    let seen = running.json("/subjects");
    // The subject without prediction is not there.
    assert_eq!(seen["subjects"].as_array().unwrap().len(), 1);
    assert_eq!(seen["subjects"][0]["id"], "sub-01");
    assert_eq!(seen["subjects"][0]["dsc"], serde_json::Value::Null);
    let detail = running.json("/subject/0");
    assert_eq!(detail["problem"], serde_json::Value::Null);
    let names: Vec<&str> = (detail["layers"].as_array().unwrap().iter())
        .map(|layer| layer["name"].as_str().unwrap())
        .collect();
    let expected = ["image-0", "image-1", "reference", "prediction", "faults-0"];
    assert_eq!(names, expected);
    let row = &detail["rows"][0];
    assert_eq!(row["name"], "lesion");
    // 5 voxels of reference, 4 of prediction, 2 shared: 2 x 2 / 9.
    assert!((row["scores"]["dsc"].as_f64().unwrap() - 4.0 / 9.0).abs() < 1e-12);
    let lesions: Vec<_> = (row["lesions"].as_array().unwrap().iter())
        .map(|l| (l["verdict"].as_str().unwrap(), l["mm3"].as_f64().unwrap()))
        .collect();
    // A voxel has 1 x 2 x 3 mm.
    assert_eq!(lesions, [("missed", 12.0), ("false", 6.0), ("found", 18.0)]);
    // The false voxel is (6, 3, 2), and the image's first voxel is at (-10, 0, 5) mm.
    assert_eq!(
        row["lesions"][1]["at_mm"],
        serde_json::json!([-4.0, 6.0, 11.0])
    );

    assert_eq!(running.labels("/volume/0/reference"), place.reference());
    assert_eq!(running.labels("/volume/0/prediction"), place.prediction());
    let mut faults = vec![0; 8 * 4 * 3];
    for (voxel, fault) in [
        ([1, 1, 1], 3),
        ([2, 1, 1], 1),
        ([3, 1, 1], 1),
        ([4, 1, 1], 2),
        ([6, 1, 1], 4),
        ([6, 0, 1], 4),
        ([6, 3, 2], 5),
    ] {
        faults[Place::index(voxel)] = fault;
    }
    assert_eq!(running.labels("/volume/0/faults-0"), faults);
    assert_eq!(running.get("/volume/0/faults-1").status, 404);
}

#[test]
fn files_come_as_they_lie_on_disk_or_as_nifti_of_the_same_place() {
    let place = Place::new();
    let running = Running::start(&place.path("dataset.toml"), None);
    let plain = running.get("/volume/0/image-0");
    assert_eq!(
        plain.body,
        std::fs::read(place.path("sub-01/FLAIR.nii.gz")).unwrap()
    );
    // An NRRD file: its voxels and its place, by a file that is written and read again.
    let made = running.get("/volume/0/image-1");
    let file = place.path("made.nii");
    std::fs::write(&file, &made.body).unwrap();
    let image = lacuna_io::read_image(&file).unwrap();
    let original = lacuna_io::read_image(place.path("sub-01/T1.nrrd")).unwrap();
    assert_eq!(image, original);
}

#[test]
fn a_prediction_that_does_not_fit_leaves_the_images() {
    let place = Place::new();
    let folder = place.predictions();
    place.write_labels("predictions/sub-01.nii.gz", [8, 4, 2], &[]);
    let running = Running::start(&folder, Some(&place.path("dataset.toml")));
    let detail = running.json("/subject/0");
    let problem = detail["problem"].as_str().unwrap();
    assert!(
        problem.contains("is not that of the reference"),
        "{problem}"
    );
    assert_eq!(detail["rows"].as_array().unwrap().len(), 0);
    assert_eq!(running.get("/volume/0/image-0").status, 200);
    let answer = running.get("/volume/0/prediction");
    assert_eq!(answer.status, 500);
    assert!(
        answer.text().contains("is not that of the reference"),
        "{}",
        answer.text()
    );
}

#[test]
fn a_picture_is_a_volume_of_one_slice() {
    let place = Place::new();
    let running = Running::start(&place.pictures(), None);
    let made = running.get("/volume/0/image-0");
    let file = place.path("made.nii");
    std::fs::write(&file, &made.body).unwrap();
    let image = lacuna_io::read_image(&file).unwrap();
    assert_eq!(image.shape(), [3, 2, 1]);
    assert_eq!(image.data(), [0.0, 50.0, 100.0, 150.0, 200.0, 250.0]);
}
