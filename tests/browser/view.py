#!/usr/bin/env python3
"""Looks at a phantom evaluation, at pictures and at a run with `lacuna view` in headless
Chromium, and corrects labels:

    tests/browser/view.py LACUNA [SCREENSHOTS]

The page must draw, list the lesions that `lacuna evaluate` counted, go from one to the next by
key and click, load nothing from elsewhere, complain of nothing, and fit a phone; what is painted,
taken back and saved must be in the files, voxel for voxel; the page of a run must grow with it;
Ctrl-C must end the command well. Screenshots are kept where a folder is named.
"""

import csv
import gzip
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from devtools import Browser


def main():
    program = str(Path(sys.argv[1]).resolve())
    shots = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        os.chdir(folder)
        lesions = phantom_evaluation(program)
        with View(program, "evaluation") as view:
            check_evaluation(browser, view.url, lesions, shots)
        with View(program, "evaluation", "--corrections", "corrected") as view:
            check_corrections(browser, view.url, shots)
        with View(program, "evaluation", "--corrections", "corrected") as view:
            check_going_on(browser, view.url, shots)
        other_axes()
        with View(program, "axes.toml", "--corrections", "turned") as view:
            check_axes(browser, view.url)
        pictures()
        with View(program, "pictures.toml") as view:
            check_pictures(browser, view.url, shots)
        write_run(program)
        with View(program, "run") as view:
            check_run(browser, view.url, shots)
        assert not browser.told, f"the browser complained: {browser.told}"
    print("lacuna view: draws, goes to lesions, corrects, follows a run, fits 390 and 1400 pixels")


class View:
    """A running `lacuna view`."""

    def __init__(self, program, *words):
        command = [program, "view", *words, "--no-open"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=60)
        assert code == 0, f"Ctrl-C ended it with {code}"


def phantom_evaluation(program):
    """Two phantoms and predictions that lack what lies behind the middle and have a false
    block. The rows that the page must show of each subject, by `lacuna evaluate`."""
    def lacuna(*words):
        subprocess.run([program, "--quiet", *words], check=True, stdout=subprocess.DEVNULL)

    lacuna("phantom", "--out", "cohort", "--set", "subjects=2", "--set", "shape=[64, 72, 24]",
           "--set", "spacing=[2.0, 2.0, 4.0]", "--set", "foreground_share=4e-3",
           "--set", "lesion_volume_mm3=[60.0, 900.0]")
    os.mkdir("predictions")
    for id in ("sub-01", "sub-02"):
        with gzip.open(f"cohort/{id}/lesion.nii.gz") as file:
            bytes_ = bytearray(file.read())
        nx, ny, nz = struct.unpack_from("<3h", bytes_, 42)
        start = int(struct.unpack_from("<f", bytes_, 108)[0])
        assert len(bytes_) == start + nx * ny * nz, "a voxel is a byte"
        for z in range(nz):
            for y in range(ny):
                row = start + nx * (y + ny * z)
                if id == "sub-01" and y > ny // 2:
                    bytes_[row:row + nx] = bytes(nx)
                if y < 3 and z < 2:
                    bytes_[row:row + 3] = b"\1\1\1"
        with gzip.open(f"predictions/{id}.nii.gz", "wb") as file:
            file.write(bytes_)
    lacuna("evaluate", "--dataset", "cohort/dataset.toml", "--predictions", "predictions",
           "--out", "evaluation")
    shown = {"sub-01": [], "sub-02": []}
    with open("evaluation/lesions.csv", newline="") as file:
        for row in csv.DictReader(file):
            verdict = {
                ("reference", "true"): "found", ("reference", "false"): "missed",
                ("prediction", "false"): "false",
            }.get((row["mask"], row["detected"]))
            if verdict:
                shown[row["subject"]].append((verdict, float(row["mm3"])))
    return shown


def check_evaluation(browser, url, lesions, shots):
    browser.size(1400, 900)
    browser.go(url)
    browser.wait("document.body?.dataset.drawn")
    # The worst subject is first.
    assert browser.value("document.body.dataset.drawn") == "sub-01"
    assert browser.value("location.href.includes('token')") is False
    words = browser.value("[...document.querySelectorAll('#lesions tr')]"
                          ".map((line) => line.cells[1].textContent.split(' ')[1])")
    expected = [verdict for verdict, _ in lesions["sub-01"]]
    assert sorted(words) == sorted(expected), f"{words}, expected {expected}"
    assert "missed" in words and "false" in words and "found" in words, words
    first = browser.value("document.querySelector('#lesions tr').cells[2].textContent")
    largest = max(mm3 for verdict, mm3 in lesions["sub-01"] if verdict == "missed")
    assert abs(float(first.replace(",", "")) - largest) < 1, f"{first}, expected {largest}"
    if shots:
        browser.screenshot(shots / "desktop.png")

    at = "document.body.dataset.lesion"
    place = "document.getElementById('place').textContent"
    assert browser.value(at) == "1"
    assert "missed lesion" in browser.value(place), browser.value(place)
    for key, expected in (("n", "2"), ("n", "3"), ("p", "2"), ("p", "1")):
        before = browser.value(place)
        browser.press(key)
        assert browser.value(at) == expected, f"after {key}: {browser.value(at)}"
        assert browser.value(place) != before, "the crosshair stayed"
    browser.press("p")
    assert browser.value(at) == str(len(words)), "before the first is the last"
    browser.value("document.querySelectorAll('#lesions tr')[0].click()")
    assert browser.value(at) == "1"

    with_layers = browser.screenshot(of="canvas")
    # A picture of nothing takes a few hundred bytes.
    assert len(with_layers) > 10_000, f"a picture of {len(with_layers)} bytes"
    browser.press("o")
    browser.wait("!document.querySelector('#stage.busy')")
    without = browser.screenshot(of="canvas")
    assert with_layers != without, "the layers make no difference"
    browser.press("o")
    for key in "234":
        browser.press(key)
    browser.wait("!document.querySelector('#stage.busy')")
    browser.press("+")
    browser.press("+")
    browser.press("?")
    assert browser.value("document.getElementById('help').open")
    if shots:
        browser.screenshot(shots / "help.png")
    # No key acts behind a dialog, and all do after it.
    browser.press("n")
    assert browser.value(at) == "1"
    browser.value("document.getElementById('help').close()")
    browser.press("n")
    assert browser.value(at) == "2"
    if shots:
        browser.screenshot(shots / "zoomed.png")
    # Without a folder nothing is corrected, and the page tells how.
    browser.press("c")
    assert browser.value("document.getElementById('how').open")
    if shots:
        browser.screenshot(shots / "how.png")
    browser.value("document.getElementById('how').close()")
    assert browser.value("document.getElementById('tools').hidden")

    browser.press("]")
    browser.wait("document.body.dataset.drawn === 'sub-02'")
    rows = browser.value("document.querySelectorAll('#lesions tr').length")
    assert rows == len(lesions["sub-02"]), f"{rows}, expected {len(lesions['sub-02'])}"
    foreign = browser.value("performance.getEntriesByType('resource').map((r) => r.name)"
                            ".filter((n) => !n.startsWith(location.origin)"
                            " && !n.startsWith('data:'))")
    assert foreign == [], f"loaded from elsewhere: {foreign}"

    browser.size(390, 844, phone=True)
    browser.go(url)
    browser.wait("document.body?.dataset.drawn")
    width = browser.value("document.documentElement.scrollWidth")
    assert width <= 390, f"{width} pixels wide on a phone of 390"
    height = browser.value("document.getElementById('canvas').clientHeight")
    assert height > 250, f"the picture is {height} pixels high"
    if shots:
        browser.screenshot(shots / "phone.png")
        browser.value("scrollTo(0, 800)")
        browser.screenshot(shots / "phone-lesions.png")


def voxels_of(name):
    """The voxels of a NIfTI file in bytes, and how many there are along x and y."""
    with gzip.open(name) as file:
        read = file.read()
    nx, ny = struct.unpack_from("<2h", read, 42)
    return read[int(struct.unpack_from("<f", read, 108)[0]):], nx, ny


def check_corrections(browser, url, shots):
    browser.size(1400, 900)
    browser.go(url)
    browser.wait("document.body?.dataset.drawn === 'sub-01'")
    before, nx, ny = voxels_of("predictions/sub-01.nii.gz")
    changed = "Number(document.body.dataset.changed)"
    told = "document.getElementById('corrected').textContent"

    def until(count):
        browser.wait(f"document.body.dataset.changed !== '' && {changed} === {count}", 20)

    browser.press("c")
    browser.wait("!document.getElementById('tools').hidden")
    until(0)
    assert "begun as the prediction" in browser.value(told), browser.value(told)
    # The axial slice alone, and a brush of one voxel at the crosshair, which a missed lesion is at.
    browser.value("document.getElementById('planes').value = 'axial';"
                  "document.getElementById('planes').dispatchEvent(new Event('change'))")
    browser.press(",")
    browser.press(",")
    assert browser.value("document.getElementById('size').textContent") == "1"
    box = browser.value("document.getElementById('canvas').getBoundingClientRect().toJSON()")
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    browser.drag([middle])
    until(1)
    browser.press("u")
    until(0)
    browser.press("r")
    until(1)
    browser.press("z", control=True)
    until(0)
    # A stroke with a disc, and a ball, which reaches into other slices.
    for _ in range(4):
        browser.press(".")
    browser.drag([middle, [middle[0] + 60, middle[1] + 30], [middle[0] + 120, middle[1]]])
    browser.wait(f"{changed} > 20", 20)
    disc = browser.value(changed)
    if shots:
        browser.screenshot(shots / "painted.png")
    browser.press("k")
    browser.drag([[middle[0] - 120, middle[1] - 60]])
    browser.wait(f"{changed} > {disc}", 20)
    browser.press("e")
    browser.drag([[middle[0] - 120, middle[1] - 60]])
    until(disc)
    browser.press("u")
    browser.press("u")
    until(disc)
    # The false lesion goes with one key, and comes back with another.
    browser.press("m")
    false = ("[...document.querySelectorAll('#lesions tr')]"
             ".find((line) => line.cells[1].textContent.includes('false')).click()")
    browser.value(false)
    browser.press("d")
    until(disc + 18)
    browser.press("a")
    until(disc)
    assert "added 18 voxels of the prediction" in browser.value(told), browser.value(told)
    browser.press("d")
    # A missed lesion is taken from the reference.
    browser.value("document.querySelectorAll('#lesions tr')[0].click()")
    browser.press("a")
    browser.wait(f"{told}.includes('of the reference')", 20)
    assert not browser.value("document.getElementById('judged').hidden")
    unsaved = browser.value(changed)
    if shots:
        browser.screenshot(shots / "correcting.png")

    # Another subject is not opened over what is unsaved.
    browser.press("]")
    browser.wait("document.getElementById('leave').open")
    if shots:
        browser.screenshot(shots / "leave.png")
    browser.value("document.getElementById('leave').close('stay')")
    assert browser.value("document.body.dataset.drawn") == "sub-01"
    assert not Path("corrected").exists(), "written before it was saved"
    browser.press("s", control=True)
    browser.wait("document.body.dataset.saved === '1'", 60)
    until(0)
    assert "corrected/labels/sub-01.nii.gz" in browser.value(told), browser.value(told)
    if shots:
        browser.screenshot(shots / "saved.png")
    after, *_ = voxels_of("corrected/labels/sub-01.nii.gz")
    different = [i for i, (a, b) in enumerate(zip(before, after)) if a != b]
    assert len(different) == unsaved, f"{len(different)}, expected {unsaved}"
    record = json.loads(Path("corrected/labels/sub-01.json").read_text())
    assert (record["voxels_changed"], record["saves"]) == (unsaved, 1), record
    assert not any(after[x + nx * (y + ny * z)] for x in range(3) for y in range(3)
                   for z in range(2)), "the false lesion is still there"
    # Nothing is asked where nothing is unsaved.
    browser.press("]")
    browser.wait("document.body.dataset.drawn === 'sub-02'")


def check_going_on(browser, url, shots):
    browser.size(390, 844, phone=True)
    browser.go(url)
    browser.wait("document.body?.dataset.drawn === 'sub-01'")
    browser.wait("!document.getElementById('tools').hidden")
    told = browser.value("document.getElementById('corrected').textContent")
    assert "as saved in corrected" in told, told
    listed = browser.value("document.getElementById('subjects').textContent")
    assert "corrected" in listed, listed
    width = browser.value("document.documentElement.scrollWidth")
    assert width <= 390, f"{width} pixels wide on a phone of 390"
    same = browser.value("""(async () => {
        const { drawn } = await import("/brush.js");
        const { state } = await import("/shown.js");
        const answer = await fetch("volume/0/correction");
        const bytes = await answer.arrayBuffer();
        const file = await state.drawing.read(bytes.slice(0), {});
        const labels = state.drawing.labels;
        return drawn(file).every((value, i) => value === labels[i])
            && new Uint8Array(bytes, 352).reduce((sum, value) => sum + value, 0);
    })()""")
    saved, *_ = voxels_of("corrected/labels/sub-01.nii.gz")
    assert same == sum(saved), f"{same}, expected {sum(saved)}"
    if shots:
        browser.screenshot(shots / "phone-corrections.png")


def other_axes():
    """A dataset of one image whose first axis goes down, the second to the left, the third to the
    back, and not straight. Its shape and the rows of its affine."""
    shape, rows = (20, 24, 28), ((0.2, -1.5, 0.1, 20.0), (0.1, 0.2, -1.2, 15.0), (-2.0, 0.1, 0.2, 11.0))
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 2, 8)
    struct.pack_into("<8f", head, 76, 1, *(sum(row[i] ** 2 for row in rows) ** 0.5
                                           for i in range(3)), 1, 1, 1, 1)
    struct.pack_into("<3f", head, 108, 352, 1, 0)
    struct.pack_into("<2h", head, 252, 0, 2)
    struct.pack_into("<12f", head, 280, *(value for row in rows for value in row))
    struct.pack_into("<4s", head, 344, b"n+1\0")
    voxels = bytes((3 * x + 5 * y + 2 * z) % 200 for z in range(shape[2])
                   for y in range(shape[1]) for x in range(shape[0]))
    Path("axes.nii").write_bytes(bytes(head) + voxels)
    Path("axes.toml").write_text("""name = "axes"
modalities = ["image"]
classes = ["background", "one", "two"]
label_values = { 0 = "background", 4 = "one", 9 = "two" }
[[subject]]
id = "turned"
images = { image = "axes.nii" }
""")
    return shape, rows


def check_axes(browser, url):
    shape, rows = other_axes()
    browser.size(1400, 900)
    browser.go(url)
    browser.wait("document.body?.dataset.drawn === 'turned'")
    browser.press("c")
    browser.wait("!document.getElementById('tools').hidden")
    browser.value("document.getElementById('class').value = '2';"
                  "document.getElementById('class').dispatchEvent(new Event('change'))")
    browser.press(",")
    browser.press(",")
    browser.value("document.getElementById('planes').value = 'axial';"
                  "document.getElementById('planes').dispatchEvent(new Event('change'))")
    box = browser.value("document.getElementById('canvas').getBoundingClientRect().toJSON()")
    browser.drag([[box["x"] + box["width"] / 2 + 70, box["y"] + box["height"] / 2 - 90]])
    browser.wait("document.body.dataset.changed === '1'", 20)
    place = browser.value("document.getElementById('place').textContent")
    assert "corrected: two" in place, place
    at = [float(value) for value in place.split(" mm")[0].split(", ")]
    browser.press("s", control=True)
    browser.wait("document.body.dataset.saved === '1'", 60)
    voxels, *_ = voxels_of("turned/labels/turned.nii.gz")
    found = [(i, value) for i, value in enumerate(voxels) if value]
    assert len(found) == 1 and found[0][1] == 9, found
    index = found[0][0]
    voxel = (index % shape[0], index // shape[0] % shape[1], index // shape[0] // shape[1], 1)
    mm = [sum(a * b for a, b in zip(row, voxel)) for row in rows]
    apart = max(abs(a - b) for a, b in zip(mm, at))
    # The crosshair may be at the edge of the voxel, and not in its middle.
    assert apart < 1.4, f"painted at {at}, found at {mm}"
    x, y, z, _ = voxel
    assert f"image {(3 * x + 5 * y + 2 * z) % 200} " in place, f"{place} at {voxel}"


def write_run(program):
    """The folder of a run, with events of 40 iterations and nobody at work on it."""
    Path("run.toml").write_text("""dataset = "cohort/dataset.toml"
[split]
train = ["sub-01"]
validation = ["sub-02"]
[normalise]
method = "z-score"
[model]
width = 0.05
[patch]
size = 44
[train]
iterations = 2
batch = 2
learning_rate = 1e-3
validate_every = 1
""")
    subprocess.run([program, "--quiet", "train", "run.toml", "--out", "run"], check=True,
                   stdout=subprocess.DEVNULL)
    os.remove("run/summary.json")
    Path("run/events.jsonl").write_text("".join(event(i) for i in range(1, 41)))


def event(iteration):
    """An iteration of long ago."""
    return json.dumps({
        "iteration": iteration, "loss": 1 / iteration, "dsc": 1 - 0.9 ** iteration,
        "foreground_share": 0.01, "predicted_share": 0.02, "empty_patches": 0, "seconds": 0.5,
        "wait_seconds": 0.0, "wall_time": 1.7e9 + iteration,
    }) + "\n"


def check_run(browser, url, shots):
    browser.size(1400, 900)
    browser.go(url)
    browser.wait("document.body?.dataset.page === '1'")
    state = "document.getElementById('state').textContent"
    assert "interrupted" in browser.value(state), browser.value(state)
    assert "iteration 40" in browser.value(state), browser.value(state)
    charts = browser.value("document.querySelectorAll('#curves svg').length")
    assert charts == 4, f"{charts} charts"
    narrow = browser.value("[...document.querySelectorAll('#curves svg')].every((svg) => svg.clientWidth > 200)")
    assert narrow, "a chart is too small to read"
    if shots:
        browser.screenshot(shots / "run.png")
    # It grows, and the page with it, which stays where it was scrolled to.
    browser.value("scrollTo(0, 400)")
    with open("run/events.jsonl", "a") as file:
        file.write("".join(event(i) for i in range(41, 81)))
    browser.wait("document.body.dataset.page === '2'", 60)
    assert "iteration 80" in browser.value(state), browser.value(state)
    assert browser.value("scrollY") == 400
    browser.size(390, 844, phone=True)
    width = browser.value("document.documentElement.scrollWidth")
    assert width <= 390, f"{width} pixels wide on a phone of 390"
    if shots:
        browser.screenshot(shots / "phone-run.png")
    browser.size(1400, 900)
    browser.value("document.getElementById('subjects').click()")
    browser.wait("document.body?.dataset.drawn?.startsWith('sub-')")
    assert not browser.value("document.getElementById('training').hidden")


def pictures():
    """A dataset of one PNG with a label: a square on a ramp."""
    def png(rows):
        raw = b"".join(b"\0" + bytes(row) for row in rows)
        head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
        chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data
            + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)

    square = [[int(20 <= x < 30 and 10 <= y < 20) for x in range(80)] for y in range(60)]
    Path("ramp.png").write_bytes(png([[3 * x for x in range(80)] for _ in range(60)]))
    Path("square.png").write_bytes(png(square))
    Path("pictures.toml").write_text("""name = "pictures"
modalities = ["grey"]
classes = ["background", "spot"]
[[subject]]
id = "a"
images = { grey = "ramp.png" }
label = "square.png"
""")


def check_pictures(browser, url, shots):
    browser.size(1400, 900)
    browser.go(url)
    browser.wait("document.body?.dataset.drawn === 'a'")
    told = browser.value("document.getElementById('problem').textContent")
    assert told == "", told
    assert browser.value("document.getElementById('planes').disabled")
    # A pixel is a square of 1 mm: 100 of them.
    line = browser.value("document.querySelector('#lesions tr').innerText")
    assert "100" in line, line
    if shots:
        browser.screenshot(shots / "picture.png")


main()
