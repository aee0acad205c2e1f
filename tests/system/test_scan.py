"""weir scan as a run: what it refuses, its rows and where they go, how it ends early, its bounds."""

import json
import os
import pathlib
import re
import signal
import subprocess
import threading

import pytest

from conftest import LIMIT, accounted, parse_rows, read_rows, size_of, wait_until
from ripgrep import path_of
from terminal import Terminal, on_terminal


def refused(weir, *args, **options):
    """The message of a command line that cannot run."""
    done = weir("scan", *args, **options)
    assert (done.returncode, done.stdout) == (2, b""), done.log
    assert done.log.count("\n") == 1 and done.log.startswith("weir scan: ")
    return done.log


@pytest.fixture
def folder(tmp_path):
    """A hundred files of a hundred lines."""
    root = tmp_path / "files"
    root.mkdir()
    for number in range(100):
        (root / f"f{number:02}").write_text("".join(f"{number} {n}\n" for n in range(100)))
    return root


# ---- standard descriptors that are closed ----

def closed(descriptors):
    def close():
        for descriptor in descriptors:
            os.close(descriptor)
    return close


def test_a_closed_standard_input_is_no_other_file(weir):
    done = weir("scan", "-", stdin=subprocess.DEVNULL, preexec_fn=closed([0]))
    assert done.returncode == 1, done.log
    assert [row["path"] for row in done.rows] == ["-"] and "Bad file" in done.rows[0]["error"]


def test_a_closed_standard_output(weir, folder):
    done = weir("scan", folder, preexec_fn=closed([0, 1]))
    assert done.returncode == 2 and "cannot write standard output: Bad file" in done.log


def test_messages_do_not_land_in_a_file_where_standard_error_is_closed(weir, folder, tmp_path):
    out = tmp_path / "out.ndjson"
    done = weir("scan", folder, "-o", out, preexec_fn=closed([0, 1, 2]))
    assert done.returncode == 0 and len(read_rows(out)) == 10_000
    done = weir("scan", "no", folder, "-o", out, "--errors", tmp_path / "errors",
                preexec_fn=closed([1, 2]))
    assert done.returncode == 1 and len(read_rows(out)) == 10_000
    assert len(read_rows(tmp_path / "errors")) == 1


# ---- what is refused ----

@pytest.mark.parametrize("args,words", [
    (["--whole", "--records", "csv"], ["--whole", "--records", "one of them"]),
    (["--stat", "--whole"], ["--stat", "--whole"]), (["--hash", "xxh3", "--records", "auto"], ["--hash"]),
    (["-c", "-l"], ["--count", "--files-with-matches"]),
    (["-l", "--files-without-match"], ["--files-without-match"]),
    (["-c", "--whole"], ["--whole"]), (["-l", "--stat"], ["--stat"]), (["-c", "--hash", "xxh3"], ["--hash"]),
    (["--records", "csv", "-e", "x"], ["--match", "--records", "--where"]),
    (["--stat", "-e", "x"], ["--match", "--stat"]),
    (["-w"], ["--match"]), (["-v"], ["--match"]), (["--ignore-case"], ["--match"]),
    (["-0"], ["--null", "--input"]), (["-0", "-i", "-", "--input-format", "csv"], ["--null"]),
    (["-i", "-", "-"], ["standard input"]), (["-i", "-", "-f", "-"], ["standard input"]),
    (["-i", "list", "."], ["--input"]),
    (["--text", "--stat"], ["--text"]), (["--no-decompress", "--hash", "xxh3"], ["--no-decompress"]),
    (["-j", "0"], ["--jobs"]), (["-j", "x"], ["--jobs"]), (["--limit", "0"], ["--limit"]),
    (["--limit", "x"], ["--limit"]), (["--max-depth", "0"], ["--max-depth"]),
    (["--records", "xml"], ["--records", "ndjson"]), (["--hash", "md5"], ["--hash", "sha256"]),
    (["--sort", "size"], ["--sort", "path"]), (["--memory", "1K"], ["--memory"]),
    (["--select", ""], ["--select"]), (["--select", "a,"], ["--select"]),
    (["-f", "/no/such/file"], ["--match-file", "/no/such/file", "No such file"]),
    (["-f", "/dev/null"], ["--match-file", "no pattern"]), (["-f", "/"], ["--match-file"]),
    (["--ignore-file", "/no/such/file"], ["/no/such/file"]), (["-g", "[a"], ["[a"]),
    (["--rate", "1/s"], ["--rate"]), (["--retry", "1"], ["--retry"]),
    (["--timeout", "1s"], ["--timeout"]), (["--lanes", "1"], ["--lanes"]),
    (["--hiden"], ["--hiden", "--hidden"]), (["-o", "/no/such/x"], ["/no/such"]),
    (["--text=yes"], ["--text", "no value"]), (["-uuu=1"], ["-="]),
])
def test_what_is_refused(weir, tmp_path, args, words):
    said = refused(weir, *args, cwd=tmp_path, input="x\n")
    for word in words:
        assert word in said


def test_a_pattern_in_the_place_of_a_path_is_told(weir, folder):
    hint = "note: there is no 7 7; if it is what lines should match, write -e before it"
    assert hint in weir("scan", "7 7", folder).log
    for args in (["-q", "7 7", folder], ["-e", "7 7", folder], [folder / "f07"], ["none/*.txt"], []):
        assert "note: there is no" not in weir("scan", *args, cwd=folder).log


def test_help_fits_a_screen(weir):
    done = weir("scan", "--help")
    assert done.returncode == 0 and done.log == ""
    assert all(len(line) <= 80 for line in done.text.splitlines())
    for option in ["-i", "-0", "-g", "--hidden", "-L", "--one-file-system", "--max-depth", "--sort",
                   "--no-ignore", "--ignore-file", "--records", "--whole", "--stat", "--hash", "-a",
                   "--no-decompress", "-e", "-f", "--ignore-case", "-S", "-v", "-w", "-x", "-F",
                   "--where", "--select", "--limit", "-c", "-l", "--files-without-match", "-o",
                   "--format", "--errors", "--unordered", "-j", "--deadline", "--memory",
                   "--fail-fast", "--halt-after", "--resume", "--restart", "--retry-failed",
                   "--dry-run", "--progress", "-q"]:
        assert re.search(rf"(^|\s){re.escape(option)}(\b|\s|,)", done.text, re.M), option
    for option in ["--rate", "--retry", "--timeout", "--lanes"]:
        assert not re.search(rf"{option}[ \n]", done.text)
    long = weir("help", "scan").text
    for option in ["--max-row", "--no-unicode", "--no-journal", "--commit-every", "--iglob", "--glob-case-insensitive", "--no-ignore-dot", "--no-ignore-exclude",
                   "--no-ignore-global", "--no-ignore-parent", "--no-ignore-vcs", "--no-require-git",
                   "--ignore-file-case-insensitive"]:
        assert option in long


# ---- rows ----

def test_rows_of_lines(weir, folder):
    done = weir("scan", "--sort", "path", cwd=folder)
    assert done.returncode == 0
    assert [(row["path"], row["line"], row["text"]) for row in done.rows] == [
        (f"f{number:02}", n + 1, f"{number} {n}") for number in range(100) for n in range(100)]
    assert done.stdout.splitlines()[0] == b'{"path":"f00","line":1,"text":"0 0"}'
    assert accounted(done) == (100, {"ok": 100}) and "100 files, all ok" in done.log


def test_rows_of_a_file_stay_together_and_in_order(weir, folder):
    for args in [[], ["--unordered"], ["-j", "50"], ["-j", "50", "--unordered"]]:
        seen = [(row["path"], row["line"]) for row in weir("scan", *args, cwd=folder).rows]
        assert len(seen) == 10_000
        if "--unordered" not in args:
            firsts = [path for path, line in seen if line == 1]
            assert seen == [(path, n + 1) for path in firsts for n in range(100)]
        by_path = {}
        for path, line in seen:
            by_path.setdefault(path, []).append(line)
        assert all(lines == list(range(1, 101)) for lines in by_path.values())


def test_named_paths_keep_their_order(weir, folder):
    names = [f"f{number:02}" for number in range(99, -1, -1)]
    for args in [["-j", "20", *names], ["-i", "-"], names]:
        done = weir("scan", "-e", " 0$", *args, cwd=folder, input="\n".join(names))
        assert [row["path"] for row in done.rows] == names


@pytest.mark.parametrize("jobs", ["1", "2", "200", "auto"])
def test_any_number_of_threads_finds_the_same(weir, folder, jobs):
    done = weir("scan", "-e", "7$", "-j", jobs, "--sort", "path", cwd=folder)
    assert len(done.rows) == 1000 and done.returncode == 0
    assert re.search(r"at most [\d,]+ threads? at work", done.log)
    assert ("found while running" in done.log) == (jobs == "auto")


def test_an_output_file_appears_whole(weir, folder, tmp_path):
    done = weir("scan", "-e", "5$", "-o", tmp_path / "out.ndjson", cwd=folder)
    assert done.returncode == 0 and done.stdout == b""
    assert len(read_rows(tmp_path / "out.ndjson")) == 1000
    assert f"rows in {tmp_path}/out.ndjson" in done.log
    done = weir("scan", "-e", "5$", "-o", tmp_path / "out.csv", cwd=folder)
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 1001


def test_errors_apart(weir, folder, tmp_path):
    done = weir("scan", "-e", " 1$", "f00", "missing", "f01", "--errors", tmp_path / "bad.ndjson",
                cwd=folder)
    assert done.returncode == 1 and [row["path"] for row in done.rows] == ["f00", "f01"]
    bad = read_rows(tmp_path / "bad.ndjson")
    assert [row["path"] for row in bad] == ["missing"] and "No such file" in bad[0]["error"]
    assert "3 files = 2 ok + 1 failed" in done.log and "No such file" in done.log


@pytest.mark.parametrize("args", [["f00"], []])
def test_a_full_disk(weir, folder, args):
    with open("/dev/full", "wb") as full:
        done = weir("scan", *args, stdout=full, cwd=folder)
    assert done.returncode == 2 and "No space left" in done.log


def test_quiet(weir, folder):
    assert weir("scan", "-q", "f00", cwd=folder).log == ""
    assert "No such file" in weir("scan", "-q", "missing", cwd=folder).log


# ---- ends ----

def test_a_limit(weir, folder, tmp_path):
    for limit in [1, 2, 99, 100, 101, 9999]:
        done = weir("scan", "--limit", limit, "--sort", "path", cwd=folder)
        assert done.returncode == 0, done.log
        rows = [(row["path"], row["line"]) for row in done.rows]
        assert rows == [(f"f{n // 100:02}", n % 100 + 1) for n in range(limit)]
        assert "--limit" in done.log
    done = weir("scan", "--limit", 10, "--unordered", "-j", "20", cwd=folder)
    assert done.returncode == 0 and len(done.rows) == 10
    done = weir("scan", "--limit", 10_000, cwd=folder)
    assert len(done.rows) == 10_000 and done.returncode == 0
    done = weir("scan", "--limit", 10, "-o", tmp_path / "out", cwd=folder)
    assert len(read_rows(tmp_path / "out")) == 10 and f"rows in {tmp_path}/out" in done.log
    for args in [["-c"], ["-l"], ["--stat"], ["--whole"], ["--where", "line > 50"]]:
        assert len(weir("scan", "--limit", 7, *args, cwd=folder).rows) == 7


def test_a_limit_ends_what_has_no_end(weir, processes, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    process = weir.start("scan", "--limit", "5", "pipe", cwd=tmp_path)
    processes.append(process)

    def write():
        try:
            with open(tmp_path / "pipe", "wb", buffering=0) as pipe:
                while True:
                    pipe.write(b"line\n" * 1000)
        except BrokenPipeError:
            pass

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    out, log = process.communicate(timeout=LIMIT)
    writer.join(LIMIT)
    assert process.returncode == 0, log
    assert [row["text"] for row in parse_rows(out)] == ["line"] * 5 and not writer.is_alive()


def test_a_limit_ends_the_walk(weir):
    """The whole system is there to be gone through."""
    done = weir("scan", "--limit", "3", "/usr")
    assert done.returncode == 0 and len(done.rows) == 3
    assert accounted(done)[0] < 10_000


def test_a_reader_that_goes_away(weir, folder):
    command = " ".join([f"'{weir.path}'", "scan", str(folder), "; echo $? >&2"])
    done = subprocess.run(["bash", "-c", f"({command}) | head -n 1"], env=weir.env,
                          capture_output=True, check=False, timeout=LIMIT)
    assert done.stdout.count(b"\n") == 1
    assert done.stderr.splitlines()[-1] == b"0"


def test_a_reader_that_goes_away_early(weir, processes):
    process = weir.start("scan", "/usr/include")
    processes.append(process)
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, log = process.communicate(timeout=LIMIT)
    assert (process.returncode, log) == (0, b"")


def test_fail_fast_and_halt_after(weir, folder):
    names = [f"{'no' if number % 2 else 'f'}{number:02}" for number in range(100)]
    done = weir("scan", "-j", "1", "--fail-fast", *names, cwd=folder)
    assert done.returncode == 1 and "the first failure (--fail-fast)" in done.log
    total, parts = accounted(done)
    assert total == sum(parts.values()) <= 100
    done = weir("scan", "-j", "1", "--halt-after", "3", *names, cwd=folder)
    assert done.returncode == 1 and "3 failures (--halt-after)" in done.log
    assert sum(accounted(done)[1].values()) == accounted(done)[0]


def begin_on_pipes(weir, processes, tmp_path, *args):
    """A run that waits in two pipes, one of which has given lines: they are its writers."""
    for name in ["a", "b"]:
        os.mkfifo(tmp_path / name)
    (tmp_path / "c").write_text("never\n")
    process = weir.start("scan", "-j", "2", "--unordered", *args, "a", "b", "c", cwd=tmp_path)
    processes.append(process)
    return process, [open(tmp_path / name, "wb", buffering=0) for name in ["a", "b"]]


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143),
                                         (signal.SIGHUP, 129)])
def test_the_first_signal_finishes_what_is_in_flight(weir, processes, tmp_path, number, code):
    process, pipes = begin_on_pipes(weir, processes, tmp_path)
    pipes[0].write(b"one\n")
    process.send_signal(number)
    assert b"finishing" in process.stderr.readline()
    for pipe in pipes:
        pipe.write(b"two\n")
        pipe.close()
    out, log = process.communicate(timeout=LIMIT)
    assert process.returncode == code, log
    texts = sorted(row["text"] for row in parse_rows(out))
    assert texts in (["one", "two", "two"], ["never", "one", "two", "two"])
    assert b"2 files, all ok" in log or b"3 files, all ok" in log or b"2 ok" in log


def test_the_second_signal_cancels(weir, processes, tmp_path):
    process, pipes = begin_on_pipes(weir, processes, tmp_path)
    pipes[0].write(b"one\n")
    process.send_signal(signal.SIGINT)
    assert b"finishing" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, log = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, log
    parse_rows(out)
    assert b"cancelled" in log
    for pipe in pipes:
        pipe.close()


def test_ctrl_c_in_the_middle(weir, processes, tmp_path):
    process = weir.start("scan", "-uu", "-o", tmp_path / "out.ndjson", "/usr/include",
                         "/usr/share/doc", "/usr/lib/python3")
    processes.append(process)
    partial = tmp_path / "out.ndjson.partial"
    wait_until(lambda: process.poll() is not None or size_of(partial) > 100_000)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=LIMIT)
    if process.returncode == 0:
        pytest.skip("it was over before")
    assert process.returncode == 130, log
    assert not (tmp_path / "out.ndjson").exists()
    assert len(read_rows(partial)) > 100  # each of them whole
    done = subprocess.CompletedProcess([], 130, b"", log)
    done.log = log.decode()
    total, parts = accounted(done)
    assert total == sum(parts.values())


def end_at_once(weir, processes, path, *args):
    """Starts a run that has long to go with a file, and asks it twice to end."""
    process = weir.start("scan", *args, path)
    processes.append(process)
    opened = pathlib.Path(f"/proc/{process.pid}/fd")
    wait_until(lambda: str(path) in map(os.path.realpath, opened.iterdir()))
    process.send_signal(signal.SIGINT)
    assert b"finishing" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, log
    assert b"cancelled" in log


def test_a_pattern_that_takes_long_can_be_stopped(weir, processes, tmp_path):
    (tmp_path / "f").write_text(("a" * 21 + "!\n") * 100_000)  # minutes for each piece of it
    end_at_once(weir, processes, tmp_path / "f", "-e", "(a+)+$")


def test_a_record_without_an_end_can_be_stopped(weir, processes, tmp_path):
    with open(tmp_path / "f.ndjson", "wb") as file:
        file.truncate(1 << 40)
    end_at_once(weir, processes, tmp_path / "f.ndjson", "--records", "ndjson")


def test_a_deadline(weir, processes, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with open(os.open(tmp_path / "pipe", os.O_RDWR), "wb", buffering=0) as pipe:
        pipe.write(b"a\nb")
        done = weir("scan", "--deadline", "300ms", "pipe", cwd=tmp_path)
    assert done.returncode == 1 and "the deadline passed" in done.log
    assert accounted(done) == (1, {"cancelled": 1})


# ---- bounds ----

def peak_memory(pid):
    """In kB; of a process that has ended, 0."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) if found else 0


def run_watched(weir, processes, *args, **options):
    """Exit code and peak memory in kB."""
    process = weir.start("scan", *args, stderr=subprocess.DEVNULL, **options)
    processes.append(process)
    peaks = [0]

    def ended():
        peaks.append(peak_memory(process.pid))
        return process.poll() is not None

    wait_until(ended)
    return process.returncode, max(peaks)


def test_memory_is_bounded_whatever_the_size(weir, processes, tmp_path, sanitized):
    """Three hundred megabytes, in files of very different sizes, all of it rows."""
    line = b"x" * 99 + b"\n"
    for number, count in enumerate([2_000_000, 10, 500_000, 10, 10, 500_000]):
        (tmp_path / f"in{number}").write_bytes(line * count)
    code, peak = run_watched(weir, processes, "-j", "6", "--memory", "4M", "-o", "/dev/null",
                             *[f"in{n}" for n in range(6)], cwd=tmp_path)
    assert code == 0
    if not sanitized:
        assert peak < 64_000


@pytest.mark.parametrize("order", [["--sort", "path"], ["--unordered"]], ids=["ordered", "unordered"])
@pytest.mark.parametrize("args", [["--whole"], ["-e", "x"], ["--records", "ndjson"]],
                         ids=["whole", "line", "record"])
def test_memory_is_bounded_for_what_is_long(weir, processes, tmp_path, sanitized, args, order):
    """Many at once, of which each would have room."""
    for number in range(24):
        (tmp_path / f"{number:02}").write_bytes(b'{"a":"' + b"x" * 12_000_000 + b'"}\n')
    code, peak = run_watched(weir, processes, *args, *order, "-j", "24", "--memory", "8M", "-o",
                             "/dev/null", cwd=tmp_path)
    assert code == 0
    if not sanitized:
        assert peak < 200_000


def test_a_pipe_that_stands_still_with_all_the_memory(weir, processes, tmp_path):
    """Files go on meanwhile, where there is no order to keep."""
    os.mkfifo(tmp_path / "pipe")
    for number in range(8):
        (tmp_path / f"{number}").write_bytes(b"x" * 3_000_000)
    names, more_names = os.pipe()
    out = tmp_path / "out"
    with open(out, "wb") as stdout:
        process = weir.start("scan", "-i", "-", "--whole", "--select", "path", "--unordered", "-j", "4",
                             "--memory", "1M", stdin=names, stdout=stdout, cwd=tmp_path)
    processes.append(process)
    os.close(names)
    os.write(more_names, b"pipe\n")
    with open(tmp_path / "pipe", "wb", buffering=0) as pipe:
        pipe.write(b"x" * 3_000_000)  # all of which is read, but for what a pipe can hold
        os.write(more_names, b"".join(b"%d\n" % number for number in range(8)))
        os.close(more_names)
        wait_until(lambda: out.read_bytes().count(b"\n") == 8)
    _, log = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, log
    assert sorted(row["path"] for row in read_rows(out)) == [*"01234567", "pipe"]


def test_little_memory_and_much_output(weir, tmp_path):
    for number in range(50):
        (tmp_path / f"{number:02}").write_bytes(b"".join(
            b"%d %d %s\n" % (number, n, b"y" * 90) for n in range(5000)))
    done = weir("scan", "--memory", "1M", "-j", "16", "--sort", "path", cwd=tmp_path)
    assert done.returncode == 0, done.log
    rows = done.rows
    assert [row["line"] for row in rows] == list(range(1, 5001)) * 50
    assert [row["path"] for row in rows[::5000]] == [f"{number:02}" for number in range(50)]


def test_many_small_files(weir, tmp_path):
    for folder in range(40):
        (tmp_path / f"d{folder}").mkdir()
        for number in range(250):
            (tmp_path / f"d{folder}" / f"f{number}").write_bytes(b"%d\n" % number)
    done = weir("scan", "-e", "^7$", cwd=tmp_path)
    assert accounted(done) == (10_000, {"ok": 10_000})
    assert sorted(path_of(row) for row in done.rows) == sorted(
        b"d%d/f7" % folder for folder in range(40))
    assert "10,000 files, all ok" in done.log


# ---- the plan, the terminal ----

def test_dry_run(weir, folder, tmp_path):
    done = weir("scan", "--dry-run", "-e", "x", "-o", tmp_path / "out", "--sort", "path", "-j", "7",
                cwd=folder)
    assert done.returncode == 0, done.log
    assert done.text.startswith("100 files, none read\n")
    assert re.search(r"^  .*f00$", done.text, re.M)
    assert re.search(r"^threads +7$", done.text, re.M)
    assert re.search(rf"^rows +{tmp_path}/out$", done.text, re.M)
    assert "rate" not in done.text and "lanes" not in done.text and "server" not in done.text
    assert not (tmp_path / "out").exists()
    done = weir("scan", "--dry-run", cwd=folder)
    assert re.search(r"^threads +found while running, at most [\d,]+$", done.text, re.M)


def test_a_terminal_shows_progress_and_a_summary(weir, processes, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "f").write_text("f\n")
    terminal = Terminal()
    process = weir.start("scan", "f", "pipe", cwd=tmp_path, stderr=terminal.theirs,
                         env={"TERM": "xterm-256color", "COLUMNS": "100"})
    processes.append(process)
    while b"in flight" not in terminal.seen:
        terminal.seen += os.read(terminal.ours, 65536)
    (tmp_path / "pipe").write_bytes(b"p\n")
    log = terminal.read_until_closed(process)
    assert process.returncode == 0
    assert len(parse_rows(process.stdout.read())) == 2
    last = log.rpartition("\r\x1b[K")[2]
    assert "2 files" in last and "all ok" in last and "at work" in last
    assert "request" not in log and "command" not in log


def test_csv_on_the_terminal_holds_nothing_it_would_obey(weir, processes, tmp_path):
    (tmp_path / "a\x1b[2J").write_bytes(b"x\x1b[31m\xc2\x9by\n")
    code, shown, _ = on_terminal(weir, processes, "scan", "-q", "--format", "csv", str(tmp_path),
                                 also_rows=True)
    assert code == 0 and "\x1b" not in shown and "\u009b" not in shown
    assert shown.count("\n") == 2 and r"x\x1B[31m\u{009B}y" in shown


def test_the_summary_in_numbers(weir, folder):
    done = weir("scan", "-e", " 9$", cwd=folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert f"{size / 1000:.1f} kB read in " in done.log
    assert json.loads(done.stdout.splitlines()[0])["text"].endswith(" 9")
