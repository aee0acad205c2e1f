"""What is special about a scan that is killed and resumed: an item is a file, with any number of
rows, and the columns of a CSV may be those that the first file had.

A FIFO among the files holds the first run up until it is killed; it is a file when the run goes on.
"""

import csv
import gzip
import os
import signal
import subprocess

import pytest

from conftest import LIMIT, accounted, read_rows, size_of, wait_until
from kill import committed


@pytest.fixture
def stand(weir, tmp_path, processes):
    """Files in a folder, and a run over them that is killed when so many are committed."""
    folder = tmp_path / "run"
    folder.mkdir()

    class Stand:
        out = folder / "out.ndjson"
        writer = None

        def put(self, name, data):
            path = folder / name
            path.unlink(missing_ok=True)
            path.write_bytes(data if isinstance(data, bytes) else data.encode())

        def run(self, *args):
            return weir("scan", *args, "-o", self.out, "--commit-every", "1ms", cwd=folder)

        def kill(self, known, *args):
            """Until the FIFO called "held", which is to be among the files."""
            os.mkfifo(folder / "held")
            process = weir.start("scan", *args, "-o", self.out, "--commit-every", "1ms", cwd=folder)
            processes.append(process)
            wait_until(lambda: self.is_open() and committed(self.out, tmp_path) >= known)
            process.kill()
            process.wait()
            os.close(self.writer)

        def is_open(self):
            """Is the FIFO read? Then it stays open, or the run would be at its end."""
            try:
                self.writer = self.writer or os.open(folder / "held", os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads it yet
                pass
            return self.writer is not None

        @property
        def lines(self):
            with open(self.out, newline="", encoding="utf-8") as file:
                return list(csv.reader(file))

    return Stand()


def of_path(rows, path):
    return [row for row in rows if row["path"] == path]


@pytest.mark.parametrize("order", [[], ["--unordered"]], ids=["ordered", "unordered"])
def test_rows_of_a_file_are_there_once(stand, order):
    files = [f"f{number}" for number in range(20)]
    for number, name in enumerate(files):
        stand.put(name, "".join(f"line {n} of {name}\n" for n in range(number * 50)))
    paths = [*files[:15], "held", *files[15:]]
    stand.kill(15, *paths, *order)
    stand.put("held", "at last\n")
    done = stand.run(*paths, *order, "--resume")
    total, parts = accounted(done)
    assert (done.returncode, total) == (0, 21)
    assert parts["done before"] >= 15 and parts["ok"] >= 1
    rows = read_rows(stand.out)
    assert len(rows) == 50 * sum(range(20)) + 1
    for number, name in enumerate(files):
        assert [row["line"] for row in of_path(rows, name)] == list(range(1, number * 50 + 1))


def test_columns_are_those_that_the_csv_has(stand):
    stand.out = stand.out.with_suffix(".csv")
    stand.put("a", 'id,"a,b"\n1,x\n2,y\n')
    stand.put("b", '"a,b",id\nz,3\n')
    stand.put("c", "id,new\n4,5\n")
    stand.kill(1, "--records", "csv", "a", "held", "b", "c")
    stand.put("held", "id\n7\n")
    done = stand.run("--records", "csv", "a", "held", "b", "c", "--resume")
    assert done.returncode == 1
    head, *lines = stand.lines
    assert head == ["path", "line", "id", "a,b", "path_encoding", "error"]
    assert sorted(line[:4] for line in lines) == [
        ["a", "2", "1", "x"], ["a", "3", "2", "y"], ["b", "2", "3", "z"], ["c", "2", "", ""],
        ["held", "2", "7", ""]]
    assert 'column "new" is not in the CSV\'s header' in [line[5] for line in lines if line[5]][0]


def test_failures_that_waited_for_a_header_are_found_again(stand):
    """They are nowhere when the run is killed, so they are not committed."""
    stand.out = stand.out.with_suffix(".csv")
    stand.put("empty", "{}\n")
    args = ["--records", "ndjson", "missing", "empty", "held", "b", "-j", "1"]
    stand.put("b", '{"id":1}\n')
    stand.kill(0, *args)
    stand.put("held", "{}\n")
    assert stand.run(*args, "--resume").returncode == 1
    head, *lines = stand.lines
    assert head == ["path", "line", "id", "path_encoding", "error"]
    assert [line[:3] for line in lines] == [
        ["missing", "", ""], ["empty", "1", ""], ["held", "1", ""], ["b", "1", "1"]]
    stand.put("missing", '{"id":2}\n')
    assert stand.run(*args, "--retry-failed").returncode == 0
    assert [line[:3] for line in stand.lines[1:]] == [
        ["empty", "1", ""], ["held", "1", ""], ["b", "1", "1"], ["missing", "1", "2"]]


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
def test_all_rows_of_what_failed_are_replaced(stand, apart):
    """A file that breaks off has rows before its failure, which go with it."""
    whole = gzip.compress("".join(f"{n}\n" for n in range(30000)).encode(), mtime=0)
    stand.put("good", "1\n2\n")
    stand.put("broken.gz", whole[:len(whole) // 2])
    errors = ["--errors", "bad.ndjson"] if apart else []
    args = ["good", "broken.gz", "missing", "good", *errors]
    assert stand.run(*args).returncode == 1
    assert len(of_path(read_rows(stand.out), "broken.gz")) > 1000
    stand.put("broken.gz", whole)
    done = stand.run(*args, "--retry-failed")
    assert accounted(done) == (4, {"done before": 2, "ok": 1, "failed": 1})
    rows = read_rows(stand.out)
    assert [row["text"] for row in of_path(rows, "broken.gz")] == [str(n) for n in range(30000)]
    assert len(of_path(rows, "good")) == 4
    failed = read_rows(stand.out.with_name("bad.ndjson")) if apart else of_path(rows, "missing")
    assert [row["path"] for row in failed] == ["missing"]


def test_files_are_known_by_their_paths(stand):
    stand.put("a", "1\n")
    assert stand.run("a").returncode == 0
    stand.put("a", "another\n")
    stand.put("b", "2\n")
    done = stand.run("a", "b", "--resume")
    assert accounted(done) == (2, {"done before": 1, "ok": 1})
    assert [row["text"] for row in read_rows(stand.out)] == ["1", "2"]
    assert stand.run("a", "b", "--restart").returncode == 0
    assert [row["text"] for row in read_rows(stand.out)] == ["another", "2"]


def test_other_rows_are_refused(stand):
    stand.put("a", "1\n")
    assert stand.run("a").returncode == 0
    before = stand.out.read_bytes()
    others = {
        "match": ["-e", "x"], "where": ["--where", "line > 1"], "select": ["--select", "text"],
        "fixed-strings": ["-e", "1", "-F"], "text": ["--text"], "whole": ["--whole"],
        "records": ["--records", "csv"], "stat": ["--stat"], "hash": ["--hash", "xxh3"],
        "no-decompress": ["--no-decompress"], "max-row": ["--max-row", "1K"], "count": ["-c"],
        "files-with-matches": ["-l"], "files-without-match": ["--files-without-match"],
        "format": ["--format", "csv"]}
    for name, option in others.items():
        done = stand.run("a", "b", *option, "--resume")
        assert (done.returncode, stand.out.read_bytes()) == (2, before)
        assert "cannot continue the run of" in done.log and f"{name} was" in done.log


def test_other_files_are_not(stand):
    for name in ("a", ".b"):
        stand.put(name, "1\n")
    assert stand.run("a").returncode == 0
    done = stand.run("a", ".", "--hidden", "-g", "[ab.]*", "--sort", "path", "--max-depth", "1",
                     "--no-ignore", "-g", "!out*", "--resume")
    assert done.returncode == 0
    assert [row["path"] for row in read_rows(stand.out)] == ["a", "./.b", "./a"]


@pytest.mark.parametrize("args", [["--limit", "1"], ["-"]], ids=["limit", "stdin"])
def test_what_has_no_journal(stand, args):
    stand.put("a", "1\n2\n")
    done = stand.run("a", *args, "--resume")
    assert done.returncode == 2 and args[0] in done.log and "no journal" in done.log
    assert stand.run("a", *args).returncode == 0
    assert not stand.out.with_name("out.ndjson.weir").exists()


def test_what_came_of_standard_input_is_kept(stand, weir, processes):
    process = weir.start("scan", "-", "--max-row", "1M", "-o", stand.out, stdin=subprocess.PIPE)
    processes.append(process)
    kept = stand.out.with_name("out.ndjson.partial")
    process.stdin.write(b"a line\n" * 100000)
    process.stdin.flush()
    wait_until(lambda: any(map(size_of, stand.out.parent.glob("*out.ndjson*"))))
    process.send_signal(signal.SIGINT)
    assert b"again to stop now" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT) == 130
    assert {row["text"] for row in read_rows(kept)} == {"a line"}


def test_a_header_that_was_not_known_when_the_run_was_stopped(weir, tmp_path, processes):
    """Rows of what failed wait for it; nobody but the run that finds it may say how it looks."""
    for number in range(3):
        (tmp_path / f"{number}.csv").write_text("x,y\n1,2\n")
    there = [f"{number}.csv" for number in range(3)]
    missing = "".join(f"missing/{i}\n" for i in range(1000))
    (tmp_path / "list").write_text(missing + "\n".join(there))
    args = ["scan", "--records=csv", "-j", "1", "-i", "list"]
    whole = weir(*args, "--no-journal", "-o", "whole.csv", cwd=tmp_path)
    assert whole.returncode == 1
    stopped = weir.start(*args[:-1], "-", "--halt-after", "1", "-o", "out.csv", cwd=tmp_path,
                         stdin=subprocess.PIPE)
    processes.append(stopped)
    stopped.stdin.write(missing.encode())
    stopped.stdin.flush()  # and there may be more of it
    assert stopped.wait(LIMIT) == 1
    assert not (tmp_path / "out.csv").exists()
    weir(*args, "--resume", "-o", "out.csv", cwd=tmp_path)
    rows = (tmp_path / "out.csv").read_text()
    assert rows.startswith("path,line,x,y,") and rows == (tmp_path / "whole.csv").read_text()
