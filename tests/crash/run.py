#!/usr/bin/env python3
"""Kills `lacuna` while it writes, fills its disk, takes its means, cuts its power; what is left
must be whole, and the same command must then end as if nothing had happened.

    tests/crash/run.py LACUNA [--kills N] [--seed N]

Kills are at a system call that changes a disk (by strace), or at any time, by turns; N of them
over all commands (default 42, about a minute; 1000 take half an hour). Needs strace, and root for
a small disk; strace is installed by apt where it is missing.
"""

import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import power
from jobs import SETS, Place, age, is_left, jobs, torn, unlike

CALLS = "rename,renameat,renameat2,fsync,fdatasync,unlink,unlinkat,mkdir,rmdir,write"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("lacuna", type=lambda p: str(Path(p).resolve(strict=True)))
    parser.add_argument("--kills", type=int, default=42)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if not shutil.which("strace"):
        subprocess.run(["apt-get", "install", "-qq", "-y", "strace"], check=True,
                       stdout=subprocess.DEVNULL)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(asked.lacuna, Path(folder))
        trained = kill(place, Path(folder), asked.kills, random.Random(asked.seed))
        small_disk(place, Path(folder), trained)
        little(place, Path(folder), trained)
        cuts, calls = power.check(place, Path(folder))
        print(f"power cut after each of {cuts} calls that change the disk ({calls} traced): every "
              "checkpoint that is seen is whole, every one that was told is there")
    print(f"crash: all passed in {time.monotonic() - begun:.0f} s")


def kill(place, folder, kills, numbers):
    """Kills each job; gives what the first leaves when it is not."""
    done, references = collections.Counter(), []
    for job in jobs():
        reference, seconds, calls = undisturbed(place, folder, job)
        references.append(reference)
        for number in range(kills // len(jobs())):
            where = place.copy(folder / "work")
            command = [place.program, "--quiet", *job.command]
            if number % 2:
                process = subprocess.Popen(command, cwd=where, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL, start_new_session=True)
                time.sleep(seconds * numbers.random())
                stop(process)
                told = "at any time"
            else:
                call, count = numbers.choice(calls)
                when = numbers.randint(1, count)
                subprocess.run(
                    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                     "-e", f"inject={call}:signal=KILL:when={when}", *command],
                    cwd=where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                told = f"at {call} {when} of {count}"
            done[job.name] += 1
            goes_on(place, where, job, reference, f"{job.name} killed {told}")
            shutil.rmtree(where)
    print("kills:", ", ".join(f"{name} {count}" for name, count in done.items()))
    return references[0]


def stop(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def undisturbed(place, folder, job):
    """What the job leaves, how long it takes, and its calls with how often one thread makes
    them."""
    where = place.copy(folder / "work")
    start = time.monotonic()
    place.call(where, *job.command)
    seconds = time.monotonic() - start
    reference = job.results(where)
    shutil.rmtree(where)
    where = place.copy(folder / "work")
    log = folder / "calls"
    subprocess.run(["strace", "-f", "-qq", "-o", log, "-e", f"trace={CALLS}", place.program,
                    "--quiet", *job.command], cwd=where, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    shutil.rmtree(where)
    counts = collections.Counter()
    for line in log.read_text(errors="replace").splitlines():
        thread, rest = line.split(maxsplit=1)
        if "(" in rest and not rest.startswith("<"):
            counts[rest.split("(")[0], thread] += 1
    most = collections.Counter()
    for (call, _), count in counts.items():
        most[call] = max(most[call], count)
    return reference, seconds, sorted(most.items())


def goes_on(place, where, job, reference, told):
    """Looks at what is left, calls the job again and compares."""
    out = where / job.out
    if out.exists():
        bad = torn(out)
        assert not bad, f"{told}: torn: {bad}"
        for checkpoint in out.glob("checkpoint-??????"):
            bad = unlike(checkpoint)
            assert not bad, f"{told}: {checkpoint.name}: {bad}"
    age(where)
    again = subprocess.run([place.program, "--quiet", *job.again(where)], cwd=where, text=True,
                           capture_output=True)
    assert again.returncode == 0, f"{told}, again: {again.stderr}"
    assert "panicked" not in again.stderr, f"{told}, again: {again.stderr}"
    found = job.results(where)
    assert found == reference, f"{told}: {set(found.items()) ^ set(reference.items())}"
    left = [str(p) for p in where.rglob("*") if is_left(p.relative_to(where))]
    assert not left, f"{told}: left behind: {left}"


def small_disk(place, folder, reference):
    """A training on a disk that is full at some place, and is then made larger."""
    job, disk, seen = jobs()[0], folder / "disk", 0
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk]
    if subprocess.run(mount, capture_output=True).returncode:
        print("full disk: not tried, no disk may be mounted here")
        return
    try:
        for free in range(0, 900, 90):
            where = place.copy(disk / "work")
            filled = int(subprocess.check_output(["df", "--output=used", disk]).split()[-1])
            subprocess.run(["mount", "-o", f"remount,size={filled + free}k", disk], check=True)
            full = subprocess.run([place.program, "--quiet", *job.command], cwd=where, text=True,
                                  capture_output=True)
            assert "panicked" not in full.stderr, full.stderr
            if full.returncode:
                seen += 1
                words = full.stderr.lower()
                assert "full" in words or "space" in words, full.stderr
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
            goes_on(place, where, job, reference, f"a disk with {free} kB")
            shutil.rmtree(where)
    finally:
        subprocess.run(["umount", disk], check=True)
    assert seen > 2, f"only {seen} disks were full"
    print(f"full disk: {seen} trainings stopped by it went on and ended alike")


def little(place, folder, reference):
    """Few descriptors, little memory, and files of tomorrow."""
    job, tried = jobs()[0], 0
    for limit in ["--nofile=3", "--nofile=6", "--nofile=9", "--nofile=14", "--as=60000000",
                  "--as=200000000", "--fsize=20000"]:
        where = place.copy(folder / "work")
        ended = subprocess.run(["prlimit", limit, place.program, "--quiet", *job.command],
                               cwd=where, capture_output=True, text=True)
        tried += ended.returncode != 0
        assert "--nofile" not in limit or "panicked" not in ended.stderr, f"{limit}: {ended.stderr}"
        goes_on(place, where, job, reference, limit)
        shutil.rmtree(where)
    where = place.copy(folder / "work")
    place.call(where, "train", "run.toml", "--out", "out", *SETS[:6],
               "--set", "train.iterations=6", "--set", "train.checkpoint_every=2")
    for path in where.rglob("*"):
        os.utime(path, (time.time() + 86400,) * 2)
    goes_on(place, where, job, reference, "a clock that was set back")
    shutil.rmtree(where)
    print(f"few descriptors, little memory, short files: {tried} of 7 stopped, all went on; so did "
          "a run with times of tomorrow")


if __name__ == "__main__":
    sys.exit(main())
