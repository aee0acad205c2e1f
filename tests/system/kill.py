"""Runs of the command that are killed, and what is to be left of them once they are resumed.

A *subject* is a command line with its input, and knows the rows of an undisturbed run; a *moment* is
when a run of it is killed; `judge` compares what a resumed run left with the undisturbed one.
"""

import collections
import contextlib
import csv
import gzip
import io
import json
import os
import pathlib
import random
import re
import shutil
import sqlite3
import subprocess
import threading

import pytest

from conftest import LIMIT, parse_rows
from disk import OPS, read_record

LONG = os.environ.get("WEIR_LONG") == "1"
UNSTABLE = {"attempts", "elapsed_ms", "url"}  # what differs from run to run, and from port to port


def crash_env(folder, sanitized, **what):
    """The environment in which crash.c does `what` (at, ops, how, log) below a folder."""
    library = os.environ.get("WEIR_CRASH")
    if not library or not os.path.exists(library):
        pytest.skip("the library that is preloaded was not built (WEIR_CRASH)")
    env = {"LD_PRELOAD": library, "WEIR_CRASH_BELOW": str(folder)}
    env.update({f"WEIR_CRASH_{name.upper()}": str(value) for name, value in what.items()})
    if sanitized:  # its runtime would have to come first, and does well enough in second place
        env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return env


# ---- the journal ----

def journal_of(output):
    return pathlib.Path(f"{output}.weir")


@contextlib.contextmanager
def looking_into(output, scratch):
    """A connection to a copy of the journal: the original is not touched, and may be in use."""
    copy = pathlib.Path(scratch) / "journal-copy"
    for suffix in ["", "-wal", "-journal"]:
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(f"{journal_of(output)}{suffix}", f"{copy}{suffix}")
    connection = sqlite3.connect(copy)
    try:
        yield connection
    finally:
        connection.close()


def committed(output, scratch):
    """How many items the journal knows."""
    if not journal_of(output).exists():
        return 0
    try:
        with looking_into(output, scratch) as journal:
            return journal.execute("SELECT count(*) FROM item").fetchone()[0]
    except sqlite3.DatabaseError:
        return 0  # it was copied while it was being made


def state(output, scratch):
    with looking_into(output, scratch) as journal:
        assert journal.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return journal.execute("SELECT value FROM run WHERE name = 'state'").fetchone()[0]


# ---- rows ----

def rows_of(path):
    """The rows of a file, each as a tuple that can be counted, without what is not stable."""
    data = pathlib.Path(path).read_bytes()
    if str(path).endswith(".csv"):
        assert data == b"" or data.endswith(b"\n"), "the last row is not whole"
        rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
        assert all(None not in row and None not in row.values() for row in rows), "a ragged row"
    else:
        rows = parse_rows(data)
    return [tuple((name, json.dumps(value)) for name, value in row.items()
                  if name not in UNSTABLE) for row in rows]


# ---- subjects ----

class Subject:
    """What is common to the kinds. `watched` is the folder with all that a run writes."""
    kind = None
    head = ()  # of the list of its items

    def __init__(self, weir, folder, look):
        self.weir = weir
        self.folder = pathlib.Path(folder)
        self.look = look
        self.watched = self.folder / "watched"
        self.watched.mkdir()
        suffix = "csv" if look.csv else "ndjson"
        self.output = self.watched / f"rows.{suffix}"
        self.errors = self.watched / f"failed.{suffix}" if look.errors else None
        self.bodies = self.watched / "bodies" if look.save else None
        self.listed = self.folder / "list"
        self.lines = []
        self.text = ""

    def args(self):
        args = ["-o", self.output, "--commit-every", self.look.commit_every]
        if self.look.errors:
            args += ["--errors", self.errors]
        if self.look.unordered:
            args.append("--unordered")
        return args

    def shuffle(self, chance):
        """The same input in another order."""
        chance.shuffle(self.lines)
        self.put_lines()

    def put_lines(self):
        self.text = "".join(f"{line}\n" for line in [*self.head, *self.lines])
        self.listed.write_text(self.text)

    @property
    def input(self):
        return self.text.encode() if self.look.stdin else b""

    def begin(self, *options, env=None):
        process = self.weir.start(*self.command(*options), env=env, cwd=self.folder,
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        feeder = threading.Thread(target=self.feed, args=(process,), daemon=True)
        feeder.start()
        return process

    def feed(self, process):
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(self.input)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()

    def finish(self, *options, env=None):
        return self.weir(*self.command(*options), input=self.input, cwd=self.folder, env=env)

    def undisturbed(self, sanitized):
        """What a run that nothing happens to leaves, and the record of what it did."""
        record = self.folder / "record"
        done = self.finish(env=crash_env(self.watched, sanitized, log=record))
        assert done.returncode in (0, 1), done.log
        calm = Calm(rows_of(self.output), rows_of(self.errors) if self.errors else [],
                    bodies_in(self.bodies), done.returncode, read_record(record))
        shutil.rmtree(self.watched)
        self.watched.mkdir()
        self.forget()
        return calm

    def files(self):
        """All that is there, by its name in the folder."""
        return {str(path.relative_to(self.watched)): path.read_bytes()
                for path in self.watched.rglob("*") if path.is_file()}

    def forget(self):
        """What the undisturbed run left in counters."""


Calm = collections.namedtuple("Calm", ["rows", "errors", "bodies", "code", "events"])


def bodies_in(folder):
    if not folder or not folder.exists():
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir()
            if not re.search(r"\.weir-[a-z0-9]{6}$", path.name)}


Look = collections.namedtuple("Look", ["csv", "unordered", "errors", "save", "stdin", "items",
                                       "commit_every"])


class Fetch(Subject):
    """Requests to the mock; 5% meet each of its faults and are tried until they are ok, every
    thirtieth product does not exist, and one in twelve is asked for twice."""
    kind = "fetch"
    jobs = 16
    head = ("id,note",)

    def __init__(self, weir, folder, look, mock, seed, faults="20%"):
        super().__init__(weir, folder, look)
        self.server = mock("--errors", faults, "--seed", seed, "--latency", "2ms", "--jitter",
                           "2ms", "--products", 1_000_000)
        self.before = {}
        for number in range(1, look.items + 1):
            number -= number % 12 == 0
            wanted = number if number % 30 != 17 else number + 1_000_000
            self.lines.append(f'{wanted},"note {number}"')
        self.put_lines()

    def command(self, *options):
        args = ["fetch", f"{self.server.url}/products/{{id}}", "-j", self.jobs, "--timeout",
                "250ms", "--retry", "40", "--retry-delay", "1ms", "--retry-max-delay", "5ms"]
        args += ["-i", "-" if self.look.stdin else "list", "--input-format", "csv"]
        if self.look.save:
            args += ["--save", f"{self.bodies}/{{id}}.json"]
        return args + self.args() + list(options)

    def counts(self):
        stats = self.server.get("/stats")
        return {"asked": stats["product_requests"], "good": stats["product_requests"]
                - sum(stats["faults"].values()), "abandoned": stats["abandoned"]}

    def forget(self):
        self.before = self.counts()

    def asked(self):
        """Answers that were no faults, since the undisturbed run."""
        return self.counts()["good"] - self.before.get("good", 0)


class Exec(Subject):
    """Commands that note that they ran; every tenth fails, and one in ten the first time only. While
    there is a file `broken`, a few more fail."""
    kind = "exec"
    jobs = 4
    script = ('echo "$1" >>asked; case $1 in *0) echo no; exit 3;; '
              '*3) [ ! -e broken ] || exit 5;; '
              '*7) [ -e "tried-$1" ] || { : >"tried-$1"; exit 4; };; esac; echo "did $1"')

    def __init__(self, weir, folder, look):
        super().__init__(weir, folder, look)
        self.shorten(None)
        self.forget()

    def shorten(self, items):
        """To so many; None: to what it was. One in twelve stands there twice."""
        self.lines = [number - (number % 12 == 0)
                      for number in range(1, (items or self.look.items) + 1)]
        self.put_lines()

    def command(self, *options):
        args = ["exec", "-j", self.jobs, "--retry", "1", "--retry-on", "4", "--retry-delay", "1ms"]
        args += ["-i", "-" if self.look.stdin else "list"]
        return args + self.args() + [*options, "--", "sh", "-c", self.script, "sh",
                                                   "{}"]

    def forget(self):
        for path in self.folder.glob("tried-*"):
            path.unlink()
        (self.folder / "asked").write_text("")

    def asked(self):
        """Commands begun, without those that are tried again because they failed."""
        count = collections.Counter((self.folder / "asked").read_text().split())
        retried = sum((self.folder / f"tried-{number}").exists() for number in count)
        return sum(count.values()) - retried


class Scan(Subject):
    """Files of all sorts: small, long, compressed, damaged, empty, and of a list some that are not
    there, and some twice. Or, without a list, all that lies in a folder."""
    kind = "scan"
    jobs = 4

    def __init__(self, weir, folder, look, seed, records=False, listed=True):
        super().__init__(weir, folder, look)
        self.records = records
        self.is_listed = listed or look.stdin
        chance = random.Random(seed)
        tree = self.folder / "tree"
        for number in range(look.items):
            path = tree / f"d{number % 7}" / f"f{number}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = 3000 if number % 40 == 7 else chance.randrange(12)
            data = "".join(f"{number},{line},{chance.getrandbits(40):x}\n" for line in range(lines))
            data = ("file,line,word\n" + data).encode()
            if number % 9 == 4:
                path = path.with_suffix(".csv.gz")
                data = gzip.compress(data, mtime=0)
            if number % 31 == 13:  # whoever runs the tests, this one cannot be read to its end
                path = path.with_suffix(".gz")
                data = gzip.compress(data * 9, mtime=0)[:-12]
            if number % 23 != 11:
                path.write_bytes(b"" if number % 29 == 3 else data)
            self.lines += [path.relative_to(self.folder)] * (1 + (number % 12 == 0))
        self.put_lines()

    def command(self, *options):
        args = ["scan", "-j", self.jobs]
        args += ["-i", "-" if self.look.stdin else "list"] if self.is_listed else ["tree", "-uu"]
        if not self.is_listed and not self.look.unordered:
            args += ["--sort", "path"]  # a walk by several threads has another order each time
        args += ["--records", "csv"] if self.records else ["-e", "[0-9],[0-9]+,(?<word>.*[0-9a-f])"]
        return args + self.args() + list(options)

    def asked(self):
        return None  # a file does not know how often it was read


# ---- moments ----

class Moment:
    """Kills a run once something is to be seen of it, or has it kill itself."""

    def __init__(self, text, seen=None, **crash):
        self.text = text
        self.seen = seen
        self.crash = crash

    def strike(self, subject, sanitized, *options):
        """True if the run was killed; it may also have come to its end before."""
        env = crash_env(subject.watched, sanitized, **self.crash) if self.crash else None
        process = subject.begin(*options, env=env)
        pause = threading.Event()
        try:
            while self.seen and process.poll() is None and not self.seen(subject):
                pause.wait(0.0005)
            if self.seen and process.poll() is None:
                process.kill()
            log = process.stderr.read().decode()
            process.wait(timeout=LIMIT)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stderr.close()
        assert process.returncode in (-9, 0, 1), f"exit code {process.returncode}: {log}"
        return process.returncode == -9


def size_of(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def has_rows(size):
    return Moment(f"{size} bytes of rows", lambda s: size_of(f"{s.output}.partial") >= size)


def has_journal(size):
    return Moment(f"{size} bytes of journal",
                  lambda s: size_of(f"{journal_of(s.output)}-wal") >= size)


def has_asked(count):
    return Moment(f"{count} asked", lambda s: s.asked() >= count)


def at(ops, number, how="before"):
    return Moment(f"{how} {ops} {number}", at=number, ops=ops, how=how)


def random_moment(chance, subject, calm, share):
    """Somewhere in a run: by what is to be seen of it, or exactly at one of its operations. share:
    how much of the undisturbed run is left to be done, at most."""
    seen = {op: [event for event in calm.events if event.op == op] for op in OPS}
    kind = chance.randrange(8)
    if kind == 0:
        rows = sum(len(event.bytes) for event in seen["write"] if ".partial" in event.path)
        return has_rows(chance.randrange(1, max(2, int(rows * share))))
    if kind == 1:
        journal = sum(len(event.bytes) for event in seen["write"] if "-wal" in event.path)
        return has_journal(chance.randrange(1, max(2, int(journal * share))))
    if kind == 2 and subject.kind != "scan":
        asked = subject.look.items
        return has_asked(subject.asked() + chance.randrange(1, max(2, int(asked * share))))
    ops = "write" if kind <= 4 else chance.choice([op for op in OPS if seen[op]])
    number = chance.randrange(1, max(2, int(len(seen[ops]) * share)) + 1)
    return at(ops, number, chance.choice(["before", "half"]) if ops == "write" else "before")


# ---- judging ----

def leftovers(subject):
    """Names in the output's folder that no finished run leaves; and parts of bodies, which a kill
    in the midst of a --save may leave, under names that nobody takes for a body's."""
    expected = {subject.output.name, journal_of(subject.output).name}
    if subject.errors:
        expected.add(subject.errors.name)
    if subject.bodies:
        expected.add(subject.bodies.name)
    return sorted(path.name for path in subject.watched.iterdir() if path.name not in expected)


Verdict = collections.namedtuple("Verdict", ["lost", "twice", "faults"])


def judge(subject, calm, done, scratch):
    """What differs from the undisturbed run: rows lost, rows there twice, and all else."""
    faults = []
    if done.returncode not in (0, 1) or not subject.output.exists():
        return Verdict(len(calm.rows) + len(calm.errors), 0, [f"it ended with: {done.log}"])
    rows = rows_of(subject.output)
    errors = rows_of(subject.errors) if subject.errors else []
    want = collections.Counter(calm.rows) + collections.Counter(calm.errors)
    have = collections.Counter(rows) + collections.Counter(errors)
    lost, twice = want - have, have - want
    if not subject.look.unordered and (rows, errors) != (calm.rows, calm.errors):
        faults += [f"another order from row {at} on: {pair}"
                   for at, pair in enumerate(zip(rows + errors, calm.rows + calm.errors))
                   if pair[0] != pair[1]][:1]
    if collections.Counter(rows) != collections.Counter(calm.rows):
        faults.append("other rows in the output")
    if bodies_in(subject.bodies) != calm.bodies:
        faults.append("other bodies")
    if done.returncode != calm.code:
        faults.append(f"exit code {done.returncode} instead of {calm.code}: {done.log}")
    if leftovers(subject):
        faults.append(f"left behind: {leftovers(subject)}")
    if state(subject.output, scratch) != 2:
        faults.append("the journal does not say that the run is finished")
    return Verdict(sum(lost.values()), sum(twice.values()),
                   faults + [f"lost: {row}" for row in list(lost)[:3]]
                   + [f"twice: {row}" for row in list(twice)[:3]])
