//! `lacuna augment`: what a training will see, drawn beforehand.

mod harness;

use harness::{Place, RUN};

const TRANSFORMS: &str = r#"transform = [
    { name = "flip", axes = ["left-right"] },
    { name = "spatial", rotation_probability = 1.0, scale_probability = 1.0 },
    { name = "noise", probability = 1.0, sd = [0.5, 0.5] },
]
"#;

/// Width and height of a PNG.
fn size(png: &[u8]) -> [u32; 2] {
    let word = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    [word(16), word(20)]
}

#[test]
fn patches_are_drawn_before_and_after() {
    let place = Place::new();
    place.write("run.toml", format!("{TRANSFORMS}{RUN}"));
    let told = place.ok("augment run.toml --out sheet --count 3");
    assert!(
        told.stdout
            .starts_with("sheet/augment.png\n3 training patches"),
        "{told}"
    );
    let first = place.read("sheet/augment.png");
    let [wide, high] = size(&first);
    assert_eq!(place.names("sheet"), ["augment.png"]);
    // Again over its own picture, and the same to the last byte.
    place.ok("augment run.toml --out sheet --count 3");
    assert_eq!(place.read("sheet/augment.png"), first);
    place.ok("augment run.toml --out one --count 1");
    let [same, lower] = size(&place.read("one/augment.png"));
    assert_eq!((same, 3 * lower + 2 * 6), (wide, high));
    let plain = place.ok("augment run.toml --out plain --count 3 --set transform=[]");
    assert!(plain.stderr.contains("no `transform`"), "{plain}");
    assert_ne!(place.read("plain/augment.png"), first);
    // A training takes the same list.
    place.ok("train run.toml --out run --set train.iterations=1");
    assert!(place.text("run/run.toml").contains("spatial"));
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let place = Place::new();
    place.write("run.toml", format!("{TRANSFORMS}{RUN}"));
    place.write("notes/notes.txt", "mine");
    place.refused(
        "augment run.toml --out notes",
        &["notes holds notes.txt", "empty folder"],
    );
    place.write("run/run.toml", RUN);
    place.refused("augment run.toml --out run", &["run"]);
    place.edit("run.toml", "rotation_probability = 1.0", "scale = [2, 1]");
    place.refused(
        "augment run.toml --out sheet",
        &["transform spatial", "`scale` is [2, 1]"],
    );
    place.edit(
        "run.toml",
        "scale = [2, 1]",
        "rotation_axes = [\"left-right\"]",
    );
    let plane = ["turns in its plane", "leave `rotation_axes` out"];
    place.refused("augment run.toml --out sheet", &plane);
    place.refused("train run.toml --out new", &plane);
    assert!(place.names("sheet").is_empty() && place.names("new").is_empty());
}
