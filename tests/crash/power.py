"""A power cut, replayed: the calls of a training that change the disk, each followed by a disk
that lost what was not flushed.

Of the contents of a file only what was there at its last fsync is kept; of names there are two
extremes: all that were given (`lazy` contents, as file systems that order names before contents
may have it), and only those whose folder was flushed since.
"""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

from jobs import is_left, jobs

TRACED = ("openat,creat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,"
          "unlink,unlinkat,mkdir,mkdirat,rmdir,lseek,close,copy_file_range,sendfile")
CALL = re.compile(r"^(\d+)\s+(\w+)\((.*)\)\s+= (-?\d+)")


def check(place, folder):
    """Replays a training; the number of states looked at, and of calls."""
    where = place.copy(folder / "work")
    log = folder / "power.log"
    subprocess.run(
        ["strace", "-f", "-qq", "-y", "-xx", "-s", "100000000", "-o", log, "-e",
         f"trace={TRACED}", place.program, "--threads", "1", *jobs()[0].command],
        cwd=where, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    root = str(where / "out")
    disk = Disk(root)
    cuts = calls = 0
    with open(log, encoding="ascii") as lines:
        for call, words, result in joined(lines):
            calls += 1
            if disk.does(call, words, result):
                cuts += 1
                disk.look()
    told = {name for name in disk.told if "checkpoint-" in name}
    assert len(told) == 6, f"checkpoints that were told: {sorted(told)}"
    shutil.rmtree(where)
    log.unlink()
    return cuts, calls


def joined(lines):
    """The calls of a trace; halves that another thread came between are put together."""
    halves = {}
    for line in lines:
        thread = line.split(maxsplit=1)[0]
        if line.rstrip().endswith("<unfinished ...>"):
            halves[thread] = line.rstrip()[:-len("<unfinished ...>")]
            continue
        if "<... " in line:
            line = halves.pop(thread) + line.split("resumed>", 1)[1]
        found = CALL.match(line)
        if found and int(found[4]) >= 0:
            yield found[2], found[3], int(found[4])


def text(word):
    """A path or bytes that strace wrote as \\x.. in quotes."""
    return bytes.fromhex(word.replace("\\x", ""))


QUOTED = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
BEHIND = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2}|[^>])*)>")


class Disk:
    """What is in memory and what is on the disk, of the files below `root`."""

    def __init__(self, root):
        self.root = root
        self.files = {}    # path: number
        self.data = {}     # number: contents in memory
        self.kept = {}     # number: contents on the disk
        self.names = {}    # path: number, on the disk
        self.at = {}       # descriptor: [number, place, append]
        self.told = set()

    def inside(self, path):
        return path.startswith(self.root + "/")

    def paths(self, words):
        """The paths of a call, whole."""
        base = BEHIND.findall(words)
        folder = decoded(base[0][1]) if base and words.startswith(base[0][0]) else ""
        found = []
        for word in QUOTED.findall(words):
            path = text(word).decode()
            if not path.startswith("/"):
                path = f"{folder or self.root.rsplit('/', 1)[0]}/{path}"
            found.append(path)
        return found

    def does(self, call, words, result):
        """Takes part in a call; true where it changes the disk or what is on it."""
        if call == "openat":
            *_, path = self.paths(words) or [""]
            if not self.inside(path) or "O_DIRECTORY" in words:
                return False
            if path not in self.files:
                if "O_CREAT" not in words:
                    return False
                self.files[path] = len(self.data)
                self.data[self.files[path]] = b""
            number = self.files[path]
            if "O_TRUNC" in words:
                self.data[number] = b""
            self.at[result] = [number, 0, "O_APPEND" in words]
            return True
        descriptor = int(re.match(r"\d+", words)[0]) if re.match(r"\d+", words) else None
        if call == "close":
            self.at.pop(descriptor, None)
            return False
        if call == "lseek" and descriptor in self.at:
            self.at[descriptor][1] = result
            return False
        if call == "write" and descriptor in self.at:
            number, place, append = self.at[descriptor]
            data = self.data[number]
            place = len(data) if append else place
            written = text(QUOTED.findall(words)[0])[:result]
            self.data[number] = data[:place] + written + data[place + result:]
            self.at[descriptor][1] = place + result
            return True
        if call in ("pwrite64", "ftruncate", "copy_file_range", "sendfile"):
            assert descriptor not in self.at, f"{call} is not replayed"
            return False
        if call in ("fsync", "fdatasync"):
            path = decoded(BEHIND.findall(words)[0][1])
            if descriptor in self.at:
                number = self.at[descriptor][0]
                self.kept[number] = self.data[number]
                return True
            if path == self.root or self.inside(path):
                self.flush_names(path)
                return True
            return False
        if call.startswith("rename"):
            old, new = self.paths(words)[:2]
            if not self.inside(new):
                return False
            for path in [p for p in self.files if p == old or p.startswith(old + "/")]:
                self.files[new + path[len(old):]] = self.files.pop(path)
            return True
        if call.startswith("unlink") or call == "rmdir":
            # Below an open folder, as trees are removed.
            for path in self.paths(words):
                self.files.pop(path, None)
            return True
        return False

    def flush_names(self, folder):
        """The names in a folder, and with a name of a folder those below it that are flushed."""
        depth = folder + "/"
        self.names = {p: n for p, n in self.names.items() if not p.startswith(depth)}
        self.names |= {p: n for p, n in self.files.items() if p.startswith(depth)}
        for path in self.names:
            if path.endswith("/state.json") and not is_left(Path(path)):
                self.told.add(path.rsplit("/", 1)[0])

    def look(self):
        """Both disks after a cut here."""
        for names in (self.files, self.names):
            after = {p: self.kept.get(n, b"") for p, n in names.items()}
            for path in after:
                folder, _, name = path.rpartition("/")
                whole = name == "state.json" and not is_left(Path(path))
                if whole and "/checkpoint-" in folder:
                    self.is_whole(folder, after)
                # Written whole or not at all.
                if name in ("run.toml", "dataset.json", "summary.json", "provenance.json"):
                    assert after[path], f"{path} is empty"

    def is_whole(self, folder, after):
        assert after[folder + "/state.json"], f"{folder}/state.json is empty"
        state = json.loads(after[folder + "/state.json"])
        for name, expected in state["parts"].items():
            data = after.get(f"{folder}/{name}")
            # Old checkpoints are removed file by file.
            if data is None and folder not in newest(after):
                continue
            assert data is not None, f"{folder}/{name} is missing"
            assert hashlib.sha256(data).hexdigest() == expected, f"{folder}/{name} is cut"
        events = after.get(self.root + "/events.jsonl", b"").count(b"\n")
        assert events >= state["iteration"], f"{events} events of {state['iteration']}"


def newest(after):
    """The checkpoint that a training would go on from."""
    folders = {p.rsplit("/", 1)[0] for p in after if re.search(r"/checkpoint-\d+/state.json$", p)}
    return {max(folders)} if folders else set()


def decoded(word):
    return text(word).decode() if "\\x" in word else word
