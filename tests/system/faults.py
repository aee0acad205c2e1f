"""Faults in a whole run of the command, made by faults.c, and what must hold however it ends.

A fault may cost a run its end, but nothing else: what is there are whole rows, each of them as an
undisturbed run has it, the numbers add up, nothing lies about that no message names, and the exit
code never claims more than there is.
"""

import csv
import gzip
import io
import itertools
import json
import mmap
import os
import pathlib
import re
import struct
import subprocess

import pytest

from conftest import LIMIT

BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", pathlib.Path(__file__).parents[2] / "build"))
LIBRARY = BUILD / "tests" / "system" / "libfaults.so"
LONG = os.environ.get("WEIR_LONG") == "1"
WAYS = ["", "+"]  # the n-th alone, and all from the n-th on


def ways(nth):
    """Both in the long form, else now the one and now the other."""
    return WAYS if LONG else [WAYS[nth % 2]]


STATE = struct.Struct("3Q")  # of a rule: seen, struck, armed
RULES = 16

# With no memory for a library's thread-local variables glibc ends the process by itself.
GLIBC_ENDS = (127, "cannot allocate memory for thread-local data: ABORT")


def sanitizer_runtime(weir_path):
    """The path of a sanitizer's shared runtime, which must be loaded before all else, or ""."""
    found = subprocess.run(["ldd", weir_path], capture_output=True, text=True, check=True).stdout
    match = re.search(r"lib[at]san\.so\S* => (\S+)", found)
    return match[1] if match else ""


class Faults:
    """Rules in force for one run: its environment, and what became of them."""

    def __init__(self, preload, place, rules):
        assert len(rules) <= RULES
        place.write_bytes(bytes(RULES * STATE.size))
        self.file = open(place, "r+b")
        self.state = mmap.mmap(self.file.fileno(), 0)
        self.env = {"LD_PRELOAD": preload, "WEIR_FAULTS": " ".join(rules),
                    "WEIR_FAULTS_STATE": str(place)}

    def seen(self, rule=0):
        return STATE.unpack_from(self.state, rule * STATE.size)[0]

    def struck(self, rule=0):
        return STATE.unpack_from(self.state, rule * STATE.size)[1]

    def arm(self, rule=0, armed=True):
        struct.pack_into("Q", self.state, rule * STATE.size + 16, armed)

    def close(self):
        self.state.close()
        self.file.close()


@pytest.fixture
def faults(weir_path, sanitized, tmp_path):
    """faults("write:3:ENOSPC:/some/folder", ...) returns Faults."""
    if not LIBRARY.exists():
        pytest.skip(f"{LIBRARY} is not built")
    made = []
    numbers = itertools.count()

    def make(*rules):
        if sanitized and any("malloc" in rule.split(":")[0] for rule in rules):
            pytest.skip("a sanitizer has an allocator of its own")
        preload = " ".join(filter(None, [sanitizer_runtime(weir_path), str(LIBRARY)]))
        one = Faults(preload, tmp_path / f"faults-{next(numbers)}", rules)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


# ---- what runs, and what an undisturbed run gives ----

CHANGING = ("elapsed_ms", "attempts")  # from run to run


def parse(path):
    """The rows of a file, which must be whole."""
    text = path.read_text(encoding="utf-8")
    assert not text or text.endswith("\n"), f"{path.name}: the last row is not whole"
    if ".csv" in path.name:
        table = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        assert all(len(row) == len(table[0]) for row in table), f"{path.name}: a row is not whole"
        rows = [dict(zip(table[0], row)) for row in table[1:]]
    else:
        rows = [json.loads(line) for line in text.splitlines()]
    return [{name: value for name, value in row.items() if name not in CHANGING} for row in rows]


def bodies(folder):
    return {path.name: path.read_bytes() for path in (folder / "saved").glob("*")}


class Scene:
    """A command to be run in a folder again and again, and what it gives when nothing is wrong."""

    def __init__(self, weir, args, key, format="ndjson", input=b"", files=None, journal=True):
        self.weir = weir
        self.args = args
        self.key = key
        self.input = input
        self.files = files or {}
        self.journal = journal
        self.output, self.errors = f"out.{format}", f"bad.{format}"
        self.whole = self.failed = self.bodies = None

    def command(self, *options):
        places = ["-o", self.output, "--errors", self.errors]
        how = [] if self.journal else ["--no-journal"]
        return [self.args[0], *places, *how, *options, *self.args[1:]]

    def prepare(self, folder):
        folder.mkdir()
        for name, data in self.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
        return folder

    def learn(self, folder):
        """Runs it undisturbed; `folder` is to be made."""
        done = self.weir(*self.command(), cwd=self.prepare(folder), input=self.input)
        assert done.returncode in (0, 1), done.log
        self.whole = {row[self.key]: row for row in parse(folder / self.output)}
        self.failed = {row[self.key]: row for row in parse(folder / self.errors)}
        self.bodies = bodies(folder)
        return self

    def run(self, folder, faults, timeout=LIMIT, **options):
        options.setdefault("input", self.input)
        return self.weir(*self.command(), cwd=self.prepare(folder), env=faults.env,
                         timeout=timeout, **options)


def fetch_scene(weir, url, *options, format="ndjson", suffix=""):
    return Scene(weir, ["fetch", f"{url}/products/{{1..4}}{suffix}", f"{url}/nothing",
                        "--retry-delay", "1ms", *options], "url", format)


def tls_scene(weir, server):
    """Over HTTP/2, from `nginx_tls`, with compressed bodies."""
    return fetch_scene(weir, server.url + "/gzip", "--cacert", server.cacert, suffix=".json")


def exec_scene(weir, format="ndjson", journal=True):
    return Scene(weir, ["exec", "-i", "-", "--input-format", "csv", "--shell",
                        "echo {word}; exit {code}"], "word", format,
                 input=b"word,code\na,0\nb,3\nc,0\n", journal=journal)


def scan_scene(weir):
    files = {f"files/{i}.txt": b"the line\nthe other\n" for i in range(3)}
    files |= {f"files/{i}.gz": gzip.compress(b"the line\n") for i in range(2)}
    files["files/bad.gz"] = gzip.compress(b"the line\n" * 1000)[:-20]
    return Scene(weir, ["scan", "files", "--whole"], "path", files=files)


def records_scene(weir):
    files = {f"files/{i}.csv": f"name,n\n{i},1\n".encode() for i in range(3)}
    return Scene(weir, ["scan", "files", "--records", "auto", "--where", "n >= 1"], "name", "csv",
                 files=files, journal=False)


def is_sanitized():
    program = pathlib.Path(os.environ.get("WEIR", os.devnull)).read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


# Under a sanitizer, where a run takes several times as long, those whose code is not the others'.
NAMES = ["fetch", "exec", "scan"] if is_sanitized() else [
    "fetch", "fetch-csv", "exec", "exec-csv", "scan", "records"]


def scenes(weir, url):
    return {"fetch": fetch_scene(weir, url, "--headers"),
            "fetch-csv": fetch_scene(weir, url, "--save", "saved/{#}", format="csv"),
            "exec": exec_scene(weir, journal=False),
            "exec-csv": exec_scene(weir, format="csv"),
            "scan": scan_scene(weir),
            "records": records_scene(weir)}


# ---- what must hold ----

def equation(log):
    """Items in all and how each ended, from the summary; None: there is none."""
    found = re.search(r"^([\d,]+) (?:request|file|command)s?(.*)$", log, re.M)
    if not found:
        return None
    total = int(found[1].replace(",", ""))
    if re.match(r", (all )?ok", found[2]):
        return total, {"ok": total}
    parts = re.findall(r"([\d,]+) (ok|failed|cancelled|not started|done before)", found[2])
    return total, {name: int(number.replace(",", "")) for number, name in parts}


def same(row, good):
    """Headers tell the time of the answer."""
    row, good = dict(row), dict(good)
    for one in (row, good):
        if isinstance(one.get("headers"), dict):
            one["headers"] = sorted(one["headers"])
    return row == good


def check_files(scene, folder, log):
    """Only whole things lie about; returns the rows that there are, by file."""
    rows = {}
    expected = {scene.output, scene.errors}
    for path in folder.iterdir():
        if path.is_dir():
            continue
        name = path.name
        if scene.journal and name.startswith(scene.output + ".weir"):
            continue
        if ".weir-" in name:
            assert name in log, f"{name} was left behind"
            continue
        assert name.removesuffix(".partial") in expected, f"{name} was left behind"
        if name.endswith(".partial") and not scene.journal:
            assert name in log, f"{name} is not named"
        rows[name] = parse(path)
    for name, body in bodies(folder).items():
        assert ".weir-" not in name, f"saved/{name} was left behind"
        assert body == scene.bodies[name], f"saved/{name} is not whole"
    return rows


def check_rows(scene, rows):
    """Every row that claims to be good is as it should be, and there once."""
    seen = set()
    for row in rows:
        name = row.get(scene.key) or row.get("path")
        assert name not in seen, f"{name} is there twice"
        seen.add(name)
        if not row.get("error"):
            assert same(row, scene.whole[name]), f"{row} instead of {scene.whole[name]}"


def check(scene, done, folder):
    """A run under faults ended as it may, and where there is a journal a later one mends it all;
    returns the rows before that."""
    rows = check_end(scene, done, folder)
    if scene.journal:
        check_recovery(scene, folder, done.log)
    return rows


def check_recovery(scene, folder, log):
    done = scene.weir(*scene.command("--retry-failed"), cwd=folder, input=scene.input)
    assert done.returncode == (len(scene.failed) > 0), f"{log}\n--retry-failed: {done.log}"
    rows = check_end(scene, done, folder, recovered=True)
    assert {row.get(scene.key) or row.get("path") for row in rows} == {*scene.whole, *scene.failed}


def check_end(scene, done, folder, recovered=False):
    log = done.log
    assert "Sanitizer" not in log, log
    if (done.returncode, log.rstrip().rpartition("\n")[2]) == GLIBC_ENDS:
        return None
    assert done.returncode in (0, 1, 2), f"{done.returncode}: {log}"
    files = check_files(scene, folder, log)
    rows = [row for some in files.values() for row in some]
    check_rows(scene, rows)
    told = equation(log)
    if told:
        assert told[0] == sum(told[1].values()), f"does not add up: {log}"
    if done.returncode == 2:
        assert "weir " in log, f"nothing is said: {log!r}"
        if scene.output in files:
            assert len(files[scene.output]) >= len(scene.whole) or told, log
        return rows
    if any(row.get("path") == "files" for row in rows):  # the whole folder could not be read
        return rows
    count = len(scene.whole) + len(scene.failed)
    assert sorted(files) == sorted([scene.output, scene.errors]), f"{sorted(files)}: {log}"
    assert len(rows) == count, f"{len(rows)} rows of {count}: {log}"
    failed = len(files[scene.errors])
    assert done.returncode == (failed > 0), log
    assert recovered or told[1].get("failed", 0) == failed, log
    return rows


