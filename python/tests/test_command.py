"""The ``lacuna`` command that the package installs."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STUDY = """
name = "tiny"
[executor]
kind = "local"
[phantom]
subjects = 4
shape = [60, 60, 2]
spacing = [2.5, 2.5, 5.0]
foreground_share = 1e-2
lesion_volume_mm3 = [100.0, 1000.0]
[run.model]
width = 0.0625
[run.split]
test_fraction = 0.5
[run.train]
iterations = 1
[run.patch]
size = 56
[[axis]]
loss = [{ name = "dice" }, { name = "generalised-dice" }]
labels = ["DL2", "GDL"]
"""


@pytest.fixture
def command():
    """The script beside the interpreter, which is where pip puts it."""
    script = Path(sys.executable).parent / "lacuna"
    if not script.exists():
        pytest.skip("the package is not installed")
    return script


def test_it_tells_its_version_and_refuses_what_it_does_not_know(command):
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("lacuna ") and "devices: cpu" in said.stdout
    refused = subprocess.run([command, "predikt"], capture_output=True, text=True)
    assert refused.returncode == 2 and "predict" in refused.stderr
    missing = subprocess.run([command, "check", "none.toml"], capture_output=True, text=True)
    assert missing.returncode == 1 and missing.stderr.startswith("error: none.toml: ")
    module = [sys.executable, "-m", "lacuna", "--version"]
    assert subprocess.run(module, capture_output=True, text=True).stdout == said.stdout


def test_a_study_starts_its_runs_with_it(command, tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    sweep = [command, "sweep", "study.toml", "--out", "tiny"]
    swept = subprocess.run(sweep, cwd=tmp_path, capture_output=True, text=True)
    assert swept.returncode == 0, swept.stderr
    assert "2 done" in swept.stdout, swept.stdout


def test_ctrl_c_ends_it(command, tmp_path):
    """A command that makes no checkpoint, too: the interpreter's own handler would wait."""
    bench = [command, "bench", "step", "--net", "high-res-3d-net", "--steps", "10000"]
    started = subprocess.Popen(bench, cwd=tmp_path, stderr=subprocess.PIPE)
    time.sleep(5)
    started.send_signal(signal.SIGINT)
    assert started.wait(timeout=60) in (-signal.SIGINT, 130)
    started.stderr.close()
