#!/usr/bin/env python3
"""Looks at a phantom evaluation and at pictures with `lacuna view` in headless Chromium:

    tests/browser/view.py LACUNA [SCREENSHOTS]

The page must draw, list the lesions that `lacuna evaluate` counted, go from one to the next by
key and click, load nothing from elsewhere, complain of nothing, and fit a phone; Ctrl-C must
end the command well. Screenshots are kept where a folder is named.
"""

import csv
import gzip
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
        pictures()
        with View(program, "pictures.toml") as view:
            check_pictures(browser, view.url, shots)
        assert not browser.told, f"the browser complained: {browser.told}"
    print("lacuna view: draws, lists and goes to lesions, fits 390 and 1400 pixels")


class View:
    """A running `lacuna view`."""

    def __init__(self, program, path):
        command = [program, "view", path, "--no-open"]
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
    browser.value("document.getElementById('help').close()")
    if shots:
        browser.screenshot(shots / "zoomed.png")

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
