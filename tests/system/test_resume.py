"""What --resume, --restart, --retry-failed and --no-journal do, and when they are refused."""

import os
import re
import threading

import pytest

from conftest import LIMIT, accounted, read_rows, wait_until
from kill import committed, journal_of, state


def numbers(path):
    return [row["url"].rpartition("/")[2] for row in read_rows(path)]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class Held:
    """A server that answers /1 to /N and holds the others back until the gate opens."""

    def __init__(self, api, good):
        self.gate = threading.Event()
        self.good = good
        self.broken = set()  # paths that get a 500
        self.server = api(self.answer)
        self.url = self.server.url

    def answer(self, asked):
        if int(asked.path.rpartition("/")[2]) > self.good:
            self.gate.wait(LIMIT)
        return 500 if asked.path in self.broken else f"body of {asked.path}"

    @property
    def paths(self):
        return self.server.paths


@pytest.fixture
def held(api):
    started = []

    def start(good):
        started.append(Held(api, good))
        return started[-1]

    yield start
    for server in started:
        server.gate.set()


@pytest.fixture
def unfinished(weir, held, tmp_path, processes):
    """A run of 20 requests that was killed when 8 were committed: its server and its arguments."""
    def begin(good=8, broken=(), form="ndjson", apart=False):
        run = held(good)
        run.broken.update(broken)
        run.folder = tmp_path / "run"
        run.folder.mkdir()
        run.out, run.bad = run.folder / f"out.{form}", run.folder / f"bad.{form}"
        run.args = ["fetch", run.url + "/{1..20}", "-j", "4", "-o", run.out, "--commit-every",
                    "1ms", "--retry", "0", *(["--errors", run.bad] if apart else [])]
        process = weir.start(*run.args)
        processes.append(process)
        if good >= 20:
            process.communicate(timeout=LIMIT)
            return run
        wait_until(lambda: committed(run.out, tmp_path) >= good)
        wait_until(lambda: len(run.paths) == good + 4)  # none is on its way any more
        process.kill()
        process.wait()
        run.gate.set()
        return run
    return begin


@pytest.fixture
def finished(unfinished):
    """The same, but it came to its end."""
    return lambda **how: unfinished(good=20, **how)


def test_it_goes_on(weir, unfinished, tmp_path):
    run = unfinished()
    assert names(run.folder)[:2] == ["out.ndjson.partial", "out.ndjson.weir"]
    before = len(run.paths)
    done = weir(*run.args, "--resume")
    assert done.returncode == 0, done.log
    assert numbers(run.out) == [str(number) for number in range(1, 21)]
    assert sorted(run.paths[before:]) == sorted(f"/{number}" for number in range(9, 21))
    assert accounted(done) == (20, {"ok": 12, "done before": 8})
    assert "20 requests, all ok (8 done before)" in done.log
    assert names(run.folder) == ["out.ndjson", "out.ndjson.weir"]
    assert state(run.out, tmp_path) == 2


@pytest.mark.parametrize("option", [(), ("--no-journal",)])
def test_an_unfinished_run_is_in_the_way(weir, unfinished, option):
    run = unfinished()
    there = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    before = len(run.paths)
    done = weir(*run.args, *option)
    assert done.returncode == 2 and len(run.paths) == before
    assert "--resume" in done.log and "--restart" in done.log and "8" in done.log
    kept = {path.name: path.read_bytes() for path in run.folder.iterdir()
            if not path.name.endswith("-wal")}
    assert kept == {name: data for name, data in there.items() if not name.endswith("-wal")} or \
        set(kept) == {name for name in there if not name.endswith("-wal")}
    assert weir(*run.args, "--resume").returncode == 0
    assert numbers(run.out) == [str(number) for number in range(1, 21)]


def test_an_option_behind_a_command_is_told_apart(weir, tmp_path):
    ends_early = ["exec", "--halt-after", "1", "-o", tmp_path / "out.ndjson", "-j", "1",
                  "--shell", "test {} = 1", ":::", *map(str, range(1, 1000))]
    weir(*ends_early)
    assert not (tmp_path / "out.ndjson").exists()
    done = weir(*ends_early, "--resume")
    assert done.returncode == 2 and "unfinished run" in done.log
    assert "; options come before the command" in done.log
    done = weir(*ends_early)
    assert done.returncode == 2 and "options come" not in done.log


def test_restart(weir, unfinished):
    run = unfinished()
    before = len(run.paths)
    done = weir(*run.args, "--restart")
    assert done.returncode == 0 and accounted(done) == (20, {"ok": 20})
    assert len(run.paths) - before == 20
    assert numbers(run.out) == [str(number) for number in range(1, 21)]
    assert names(run.folder) == ["out.ndjson", "out.ndjson.weir"]


def test_a_run_that_ends_says_how_it_goes_on(weir, held, tmp_path, processes):
    server = held(8)
    out = tmp_path / "out.ndjson"
    args = ["fetch", server.url + "/{1..20}", "-j", "4", "-o", out, "--commit-every", "1ms"]
    process = weir.start(*args, "-q")
    processes.append(process)
    wait_until(lambda: committed(out, tmp_path) >= 8)
    process.terminate()
    wait_until(lambda: b"in flight" in process.stderr.readline())
    process.terminate()
    _, log = process.communicate(timeout=LIMIT)
    assert process.returncode == 143
    assert b"--resume" in log and b"out.ndjson.partial" in log
    server.gate.set()
    done = weir(*args, "--resume")
    assert done.returncode == 0 and accounted(done) == (20, {"ok": 12, "done before": 8})
    assert numbers(out) == [str(number) for number in range(1, 21)]


def test_a_run_that_was_stopped_before_anything_was_done(weir, held, tmp_path, processes):
    server = held(0)
    out = tmp_path / "out.ndjson"
    args = ["fetch", server.url + "/{1..20}", "-j", "4", "-o", out]
    process = weir.start(*args)
    processes.append(process)
    wait_until(lambda: server.paths)
    process.terminate()
    wait_until(lambda: b"in flight" in process.stderr.readline())
    process.terminate()
    process.communicate(timeout=LIMIT)
    assert names(tmp_path) == []
    server.gate.set()
    assert weir(*args).returncode == 0  # it is not in the way of anything


# ---- what changed in between ----

def test_the_input_in_another_order_and_longer(weir, held, tmp_path, processes):
    server = held(10)
    given, out = tmp_path / "in.csv", tmp_path / "out.ndjson"
    rows = [f"{number},{number % 3}" for number in range(1, 21)]
    given.write_text("id,group\n" + "\n".join(rows) + "\n")
    args = ["fetch", "-i", given, server.url + "/{id}", "-o", out, "--commit-every", "1ms"]
    process = weir.start(*args)
    processes.append(process)
    wait_until(lambda: committed(out, tmp_path) >= 10 and len(server.paths) == 20)
    process.kill()
    process.wait()
    server.gate.set()
    before = len(server.paths)
    more = list(reversed(rows)) + ["21,0", "3,0", "1,7"]  # 3 for the second time, 1 with another cell
    given.write_text("id,group\n" + "\n".join(more) + "\n")
    done = weir(*args, "--resume")
    assert done.returncode == 0, done.log
    assert accounted(done) == (23, {"ok": 13, "done before": 10})
    assert sorted((row["id"], row["group"]) for row in read_rows(out)) == sorted(
        tuple(row.split(",")) for row in more)
    assert len(server.paths) - before == 13


CHANGED = [(["--format", "csv"], "format"), (["-X", "POST"], "request"),
           (["--no-body"], "no-body"), (["--headers"], "headers")]


@pytest.mark.parametrize("options,name", CHANGED, ids=[name for _, name in CHANGED])
@pytest.mark.parametrize("how", ["--resume", "--retry-failed"])
def test_options_that_change_the_rows(weir, unfinished, options, name, how):
    run = unfinished()
    before = len(run.paths)
    done = weir(*run.args, *options, how)
    assert done.returncode == 2 and len(run.paths) == before
    assert name in done.log and "--restart" in done.log, done.log
    assert weir(*run.args, "--resume").returncode == 0
    assert len(numbers(run.out)) == 20


def test_options_that_do_not(weir, unfinished):
    run = unfinished()
    done = weir(*run.args, "-j", "9", "--rate", "1000/s", "--timeout", "9s", "--retry", "5",
                "--commit-every", "1s", "-H", "Authorization: renewed", "--resume")
    assert done.returncode == 0 and len(numbers(run.out)) == 20


def test_another_template(weir, unfinished):
    run = unfinished()
    args = list(run.args)
    args[1] = run.url + "/other/{1..20}"
    done = weir(*args, "--resume")
    assert done.returncode == 2 and "/other/" in done.log and "--restart" in done.log


def test_rows_that_somebody_cut_off(weir, unfinished):
    run = unfinished()
    partial = run.folder / "out.ndjson.partial"
    os.truncate(partial, 5)
    before = len(run.paths)
    done = weir(*run.args, "--resume")
    assert done.returncode == 2 and len(run.paths) == before
    assert "out.ndjson.partial" in done.log and "--restart" in done.log, done.log
    assert weir(*run.args, "--restart").returncode == 0


def test_a_journal_that_is_none(weir, api, tmp_path):
    journal_of(tmp_path / "out.ndjson").write_bytes(b"something else\n" * 500)
    server = api()
    done = weir("fetch", server.url, "-o", tmp_path / "out.ndjson", "--resume")
    assert done.returncode == 2 and not server.asked and "out.ndjson.weir" in done.log
    assert journal_of(tmp_path / "out.ndjson").read_bytes() == b"something else\n" * 500


# ---- finished runs ----

def test_a_finished_run_and_nothing_new(weir, nginx, tmp_path):
    out = tmp_path / "out.ndjson"
    args = ["fetch", nginx.url + "/products/{1..200}.json", "-o", out]
    assert weir(*args).returncode == 0
    data, made = out.read_bytes(), out.stat()
    done = weir(*args, "--resume")
    assert done.returncode == 0 and out.read_bytes() == data
    assert "200 requests, all ok (200 done before)" in done.log
    assert out.stat().st_mode == made.st_mode
    assert names(tmp_path) == ["out.ndjson", "out.ndjson.weir"]


def test_a_finished_run_and_more_to_do(weir, nginx, tmp_path):
    out, given = tmp_path / "out.ndjson", tmp_path / "in.txt"
    args = ["fetch", "-i", given, nginx.url + "/products/{line}.json", "-o", out]
    given.write_text("1\n2\n3\n")
    assert weir(*args).returncode == 0
    first = out.read_bytes()
    given.write_text("9\n1\n2\n3\n4\n")
    done = weir(*args, "--resume")
    assert accounted(done) == (5, {"ok": 2, "done before": 3})
    assert out.read_bytes().startswith(first)
    assert [row["line"] for row in read_rows(out)] == ["1", "2", "3", "9", "4"]


def test_a_finished_run_is_in_nobodys_way(weir, nginx, tmp_path):
    out = tmp_path / "out.ndjson"
    for last in ("5", "3"):
        done = weir("fetch", nginx.url + f"/products/{{1..{last}}}.json", "-o", out)
        assert done.returncode == 0 and len(read_rows(out)) == int(last)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_retry_failed(weir, finished, apart, form):
    """Failed rows are replaced, and the others stay as they were, byte for byte."""
    run = finished(form=form, apart=apart, broken=["/3", "/4", "/17"])
    old = run.out.read_bytes().split(b"\n")
    assert (run.bad if apart else run.out).read_bytes().count(b"HTTP 500") == 3
    run.broken.clear()
    before = len(run.paths)
    done = weir(*run.args, "--retry-failed")
    assert done.returncode == 0, done.log
    assert sorted(run.paths[before:]) == ["/17", "/3", "/4"]
    assert accounted(done) == (20, {"ok": 3, "done before": 17})
    new = run.out.read_bytes().split(b"\n")
    kept = [line for line in old if b"HTTP 500" not in line and line]
    assert new[:len(kept)] == kept
    assert sorted(re.search(rb"body of /(\d+)", line)[1] for line in new if b"body of" in line) \
        == sorted(str(number).encode() for number in range(1, 21))
    assert b"HTTP 500" not in run.out.read_bytes()
    if apart:
        assert b"HTTP 500" not in run.bad.read_bytes()
        assert run.bad.read_bytes().count(b"\n") == (form == "csv")
    assert names(run.folder) == sorted(["out." + form, f"out.{form}.weir"]
                                       + ["bad." + form] * apart)


def test_retry_failed_of_an_unfinished_run(weir, unfinished):
    run = unfinished(broken=["/3", "/4"])
    run.broken.clear()
    before = len(run.paths)
    done = weir(*run.args, "--retry-failed")
    assert done.returncode == 0, done.log
    assert accounted(done) == (20, {"ok": 14, "done before": 6})
    assert sorted(numbers(run.out), key=int) == [str(number) for number in range(1, 21)]
    assert len(run.paths) - before == 14


def test_what_failed_before_is_counted(weir, unfinished):
    run = unfinished(broken=["/3", "/4"])
    done = weir(*run.args, "--resume")
    assert done.returncode == 1
    assert "20 requests = 8 done before (2 failed) + 12 ok" in done.log
    assert "2 failed before; --retry-failed does them again" in done.log


def test_what_fails_again(weir, finished):
    run = finished(broken=["/3", "/4"])
    for _ in range(2):
        done = weir(*run.args, "--retry-failed")
        assert done.returncode == 1 and accounted(done) == (20, {"done before": 18, "failed": 2})
        rows = read_rows(run.out)
        assert len(rows) == 20 and sum(row["error"] is not None for row in rows) == 2


def test_what_was_printed_is_not_printed_again(weir, tmp_path):
    args = ["exec", "--passthrough", "-o", tmp_path / "out.ndjson"]
    words = ["--", "echo", "{}", ":::", "a", "b"]
    assert weir(*args, *words).text == "a\nb\n"
    done = weir(*args, "--resume", *words, "c")
    assert (done.returncode, done.text) == (0, "c\n"), done.log
    assert accounted(done) == (3, {"ok": 1, "done before": 2})


# ---- one at a time ----

def test_two_runs_on_one_output(weir, held, tmp_path, processes):
    server = held(4)
    out = tmp_path / "out.ndjson"
    args = ["fetch", server.url + "/{1..12}", "-j", "4", "-o", out, "--commit-every", "1ms"]
    first = weir.start(*args)
    processes.append(first)
    wait_until(lambda: committed(out, tmp_path) >= 4 and len(server.paths) == 8)
    asked = len(server.paths)
    for options in [(), ("--resume",), ("--restart",), ("--retry-failed",), ("--no-journal",)]:
        done = weir(*args, *options)
        assert done.returncode == 2 and "out.ndjson" in done.log, (options, done.log)
    assert len(server.paths) == asked
    server.gate.set()
    _, log = first.communicate(timeout=LIMIT)
    assert first.returncode == 0, log
    assert numbers(out) == [str(number) for number in range(1, 13)]
    assert [name for name in names(tmp_path) if name.startswith("out")] == ["out.ndjson",
                                                                            "out.ndjson.weir"]


# ---- where there is no journal ----

def test_two_runs_with_one_file_of_errors(weir, held, tmp_path, processes):
    server = held(4)
    server.broken.update(f"/{number}" for number in range(5, 11))
    bad = tmp_path / "bad.ndjson"
    rows = [tmp_path / "a.ndjson", tmp_path / "b.ndjson"]
    run = [["fetch", server.url + "/{1..10}", "-o", out, "--errors", bad, "--retry", "0",
            "--commit-every", "1ms"] for out in rows]
    process = weir.start(*run[0])
    processes.append(process)
    wait_until(lambda: committed(rows[0], tmp_path) >= 4)
    done = weir(*run[1])
    assert done.returncode != 0 and "in use: another run writes it" in done.log
    server.gate.set()
    assert process.wait(LIMIT) == 1
    assert len(read_rows(rows[0])) == 4 and len(read_rows(bad)) == 6


def test_failed_rows_of_another_run_that_has_not_ended(weir, api, tmp_path, processes):
    opened = threading.Event()

    def answer(asked):
        if asked.path == "/10":
            opened.wait(LIMIT)
        return 500

    server = api(answer)
    bad = tmp_path / "bad.ndjson"
    rows = [tmp_path / "a.ndjson", tmp_path / "b.ndjson"]
    run = [["fetch", server.url + "/{1.." + last + "}", "-o", out, "--errors", bad, "--retry", "0",
            "--commit-every", "1ms"] for out, last in zip(rows, ["10", "5"])]
    assert weir(*run[1]).returncode == 1
    process = weir.start(*run[0])
    processes.append(process)
    wait_until(lambda: committed(rows[0], tmp_path) >= 9)
    process.kill()
    process.wait()
    opened.set()
    for how in [], ["--resume"], ["--retry-failed"]:
        done = weir(*run[1], *how)
        assert done.returncode == 2 and "bad.ndjson.partial has rows of another run" in done.log
    weir(*run[0], "--resume")
    assert len(read_rows(bad)) == 10


@pytest.mark.parametrize("option", ["--resume", "--restart", "--retry-failed"])
def test_standard_output_cannot_be_continued(weir, api, option):
    server = api()
    done = weir("fetch", server.url, option)
    assert (done.returncode, done.stdout) == (2, b"") and not server.asked
    assert option in done.log and "-o" in done.log and "cannot be continued" in done.log


@pytest.mark.parametrize("option", ["--resume", "--retry-failed"])
def test_a_device_cannot_be_continued(weir, api, option):
    done = weir("fetch", api().url, "-o", "/dev/null", option)
    assert done.returncode == 2 and option in done.log and "cannot be continued" in done.log


def test_a_limit_cannot_be_continued(weir, tmp_path):
    (tmp_path / "in").write_text("a\nb\n")
    done = weir("scan", tmp_path / "in", "--limit", "1", "-o", tmp_path / "out.ndjson", "--resume")
    assert done.returncode == 2 and "--limit" in done.log and "--resume" in done.log


def test_without_a_journal(weir, api, tmp_path):
    done = weir("fetch", api().url + "/{1..3}", "-o", tmp_path / "out.ndjson", "--no-journal")
    assert done.returncode == 0 and names(tmp_path) == ["out.ndjson"]


def test_a_dry_run_touches_nothing(weir, unfinished):
    run = unfinished()
    there = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    for option in ["--resume", "--restart", "--retry-failed"]:
        done = weir(*run.args, option, "--dry-run")
        assert done.returncode == 0 and "20 requests" in done.text, done.log
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == there


@pytest.mark.parametrize("options", [("--resume", "--restart"), ("--retry-failed", "--no-journal")])
def test_options_that_exclude_each_other(weir, api, tmp_path, options):
    server = api()
    done = weir("fetch", server.url, "-o", tmp_path / "out.ndjson", *options)
    assert done.returncode == 2 and not server.asked and names(tmp_path) == []
    assert "exclude each other" in done.log and all(option in done.log for option in options)


SHUFFLED = [
    # members of an object in another order, in the first row too
    ("ndjson", '{"a":1,"b":"x"}\n{"b":"y","a":2}\n', '{"b":"y","a":2}\n{"b":"x","a":1}\n'),
    ("csv", "a,b\n1,x\n2,y\n", "b,a\ny,2\nx,1\n"),
    # rows that cannot be read, on other lines
    ("ndjson", '{bad\n{"a":1}\n{worse\n', '{worse\n\n{bad\n{"a":1}\n'),
    ("csv", "a,b\n1,x\n2,y,z\n", "a,b\n2,y,z\n1,x\n"),
]


@pytest.mark.parametrize("form,before,after", SHUFFLED)
def test_an_item_is_known_wherever_it_stands(weir, tmp_path, form, before, after):
    given, out = tmp_path / "in", tmp_path / "out.ndjson"
    args = ["-i", given, "--input-format", form, "-o", out, "--", "echo", "{a}"]
    given.write_text(before)
    weir("exec", *args)
    rows = out.read_bytes()
    given.write_text(after)
    done = weir("exec", "--resume", *args)
    assert "done before" in done.log and out.read_bytes() == rows


SECRETS = [
    ("http://u:{}@HOST/{{1..3}}", ()),
    ("http://HOST/{{1..3}}?key={{env:SECRET}}", ()),
    ("http://HOST/{{n}}", ("-d", '{{"key":"{{env:SECRET}}","n":{{n}}}}')),
]


@pytest.mark.parametrize("url,body", SECRETS)
def test_a_secret_may_be_renewed(weir, api, tmp_path, url, body):
    server = api(lambda asked: "fine")
    given, out = tmp_path / "in.csv", tmp_path / "out.ndjson"
    given.write_text("n\n1\n2\n3\n")

    def run(secret, *more):
        asked = url.replace("HOST", server.url.partition("://")[2]).format(secret)
        rest = [part.format() for part in body] + (["-i", given] if body else [])
        return weir("fetch", asked, "-o", out, *rest, *more, env={"SECRET": secret})

    assert run("old").returncode == 0
    done = run("new", "--resume")
    assert done.returncode == 0 and accounted(done) == (3, {"ok": 0, "done before": 3})
    assert len(server.paths) == 3 and len(read_rows(out)) == 3
