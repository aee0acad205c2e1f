"""Runs that are stopped and continued, that lose their terminal or their readers, or are told to
end: rows are kept, nobody spins, and no command is left behind. `WEIR_LONG=1`: more often."""

import fcntl
import os
import pathlib
import pty
import resource
import signal
import subprocess
import termios
import threading

import pytest

from conftest import LIMIT, accounted, parse_rows, read_rows, wait_until
from faults import LONG, equation

TEN = ["-j", "10", "--timeout", "none"]  # at once, however long the test takes
SECONDS = 20  # of processor time, after which the kernel ends a run: it is spinning


def bounded():
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def state_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def runs(pid):
    return state_of(pid) not in "ZX"


def gated(api):
    """A server that answers the first two requests at once, and all others when the gate opens."""
    gate = threading.Event()
    return api(lambda asked: b"ok" if asked.number <= 2 else gate.wait(LIMIT) and b"ok"), gate


# ---- stopped and continued ----

@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
def test_stop_and_continue_amid_requests(weir, api, processes, group):
    """What was answered in the meantime is there."""
    server, gate = gated(api)
    process = weir.start("fetch", server.url + "/{1..40}", *TEN, start_new_session=True,
                         preexec_fn=bounded)
    processes.append(process)
    tell = os.killpg if group else os.kill
    wait_until(lambda: len(server.asked) >= 12)
    tell(process.pid, signal.SIGSTOP)
    wait_until(lambda: state_of(process.pid) == "T")
    gate.set()
    wait_until(lambda: server.in_flight == 0)
    tell(process.pid, signal.SIGCONT)
    out, log = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, log
    assert [row["attempts"] for row in parse_rows(out)] == [1] * 40
    assert len(server.asked) == 40


def test_stop_and_continue_again_and_again(weir, mock, processes):
    """At moments that are told by rows: for fetch, exec and scan the rows of a calm run."""
    url = mock("--latency", "1ms").url
    many = 2000 if LONG else 200
    for args in [["fetch", url + f"/products/{{1..{many}}}", "--no-body"],
                 ["exec", "-j", "4", "echo", "{}", ":::", *range(many // 4)]]:
        calm = [row.get("url") or row["stdout"] for row in weir(*args).rows]
        process = weir.start(*args, preexec_fn=bounded, stderr=subprocess.DEVNULL)
        processes.append(process)
        seen = []
        for line in process.stdout:
            seen.append(line)
            if len(seen) % 20 == 0 and process.poll() is None:
                process.send_signal(signal.SIGSTOP)
                wait_until(lambda: state_of(process.pid) in "TZX")
                process.send_signal(signal.SIGCONT)
        assert process.wait(LIMIT) == 0
        assert [row.get("url") or row["stdout"] for row in parse_rows(b"".join(seen))] == calm


def test_commands_stopped_with_their_weir(weir, processes, tmp_path):
    process = weir.start("exec", "-j", "2", "--shell",
                         "echo $$ >>pids; until [ -e go ]; do sleep 0.01; done; echo {}", ":::",
                         *range(4), cwd=tmp_path, preexec_fn=bounded)
    processes.append(process)
    wait_until(lambda: (tmp_path / "pids").exists()
               and len((tmp_path / "pids").read_text().split()) == 2)
    pids = [process.pid, *map(int, (tmp_path / "pids").read_text().split())]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: all(state_of(pid) == "T" for pid in pids))
    (tmp_path / "go").touch()
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    out, log = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, log
    assert [row["stdout"] for row in parse_rows(out)] == [f"{i}\n" for i in range(4)]


# ---- told to end, rows in files ----

@pytest.mark.parametrize("format", ["ndjson", "csv"])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_rows_in_files_are_kept(weir, api, processes, tmp_path, number, format):
    """The first signal keeps what is in flight, too; the note names the file; nothing else is left
    but what a run needs to go on."""
    server, gate = gated(api)
    process = weir.start("fetch", server.url + "/{1..40}", *TEN, "-o", f"out.{format}",
                         "--errors", f"bad.{format}", cwd=tmp_path, preexec_fn=bounded)
    processes.append(process)
    wait_until(lambda: len(server.asked) >= 12)
    process.send_signal(number)
    assert b"finishing" in process.stderr.readline()
    gate.set()
    _, log = process.communicate(timeout=LIMIT)
    log = log.decode()
    assert process.returncode == 128 + number
    assert equation(log) == (40, {"ok": 12, "not started": 28})
    partial = tmp_path / f"out.{format}.partial"
    assert partial.name in log and not (tmp_path / f"out.{format}").exists()
    text = partial.read_text()
    assert text.endswith("\n") and text.count("\n") == 12 + (format == "csv")


def test_quit_leaves_no_command(weir, processes, tmp_path):
    process = weir.start("exec", "-j", "2", "--grace", "100ms", "sh", "-c",
                         "echo $$ >>pids; exec sleep 1000", ":::", "1", "2", cwd=tmp_path,
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    processes.append(process)
    pids = tmp_path / "pids"
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    process.send_signal(signal.SIGQUIT)
    process.communicate(timeout=LIMIT)
    assert process.returncode == -signal.SIGQUIT
    wait_until(lambda: not any(runs(int(pid)) for pid in pids.read_text().split()))


# ---- the terminal goes ----

class Terminal:
    """A terminal that can be taken away; with `control` it is the session's own."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        self.open = True

    def start(self, weir, *args, control, ignore_hup=False, **options):
        def begin():
            bounded()
            if ignore_hup:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.setsid()
            if control:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        process = weir.start(*args, stdin=self.theirs, stdout=options.pop("stdout", self.theirs),
                             stderr=self.theirs, preexec_fn=begin,
                             env={"TERM": "xterm-256color", "COLUMNS": "80"}, **options)
        os.close(self.theirs)
        return process

    def wait_for(self, text):
        """Until it has been shown: the run draws on it."""
        seen = b""
        while text not in seen:
            seen += os.read(self.ours, 65536)

    def take_away(self):
        if self.open:
            os.close(self.ours)
        self.open = False


@pytest.fixture
def terminal():
    one = Terminal()
    yield one
    one.take_away()


def test_the_controlling_terminal_goes(weir, api, processes, terminal, tmp_path):
    """The kernel says SIGHUP, and the rows so far are kept."""
    server, gate = gated(api)
    process = terminal.start(weir, "fetch", server.url + "/{1..9999}", *TEN, "-o",
                             "out.ndjson", control=True, cwd=tmp_path)
    processes.append(process)
    wait_until(lambda: len(server.asked) >= 12)
    terminal.wait_for(b"in flight")
    terminal.take_away()
    gate.set()
    assert process.wait(LIMIT) == 129
    rows = read_rows(tmp_path / "out.ndjson.partial")
    assert 12 <= len(rows) < 9999 and len(rows) == len(server.asked)


@pytest.mark.parametrize("hup", [False, True], ids=["", "nohup"])
def test_a_terminal_goes_that_is_only_drawn_on(weir, api, processes, terminal, tmp_path, hup):
    """Nobody is told of it, or nobody wants to be: the run goes on to its end."""
    server, gate = gated(api)
    process = terminal.start(weir, "fetch", server.url + "/{1..40}", *TEN, "-o", "out.ndjson",
                             control=hup, ignore_hup=hup, cwd=tmp_path)
    processes.append(process)
    wait_until(lambda: len(server.asked) >= 12)
    terminal.wait_for(b"in flight")
    terminal.take_away()
    gate.set()
    assert process.wait(LIMIT) == 0
    assert len(read_rows(tmp_path / "out.ndjson")) == 40


def test_a_terminal_goes_that_rows_are_shown_on(weir, api, processes, terminal):
    """They cannot be written any more, and that ends the run."""
    server, gate = gated(api)
    process = terminal.start(weir, "fetch", server.url + "/{1..4000}", *TEN, control=False)
    processes.append(process)
    wait_until(lambda: len(server.asked) >= 12)
    terminal.take_away()
    gate.set()
    assert process.wait(LIMIT) in (0, 2)
    assert len(server.asked) < 4000


def test_a_terminal_goes_that_input_is_typed_on(weir, api, processes, terminal, tmp_path):
    server = api()
    process = terminal.start(weir, "fetch", "-i", "-", "--input-format", "lines",
                             server.url + "/{line}", "-o", "out.ndjson", control=False,
                             cwd=tmp_path)
    processes.append(process)
    os.write(terminal.ours, b"a\n")
    wait_until(lambda: len(server.asked) == 1)
    terminal.take_away()
    assert process.wait(LIMIT) in (0, 2)
    found = [*tmp_path.glob("out.ndjson"), *tmp_path.glob("out.ndjson.partial")]
    assert len(found) == 1 and len(read_rows(found[0])) == 1


def test_the_terminal_of_commands_goes(weir, processes, terminal, tmp_path):
    """Those at work are let finish, by the first signal; none is left."""
    process = terminal.start(weir, "exec", "-j", "2", "-o", "out.ndjson", "--shell",
                             "echo $$ >>pids; until [ -e go ]; do sleep 0.01; done; echo {}", ":::",
                             *range(4), control=True, cwd=tmp_path)
    processes.append(process)
    pids = tmp_path / "pids"
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    terminal.take_away()
    (tmp_path / "go").touch()
    code = process.wait(LIMIT)
    found = [*tmp_path.glob("out.ndjson"), *tmp_path.glob("out.ndjson.partial")]
    assert code in (0, 129) and len(found) == 1 and len(read_rows(found[0])) >= 2
    assert not any(runs(int(pid)) for pid in pids.read_text().split())


# ---- readers that go ----

def test_the_reader_of_commands_rows_goes(weir, processes, tmp_path):
    """`| head -n 1`: quietly, and the commands at work are ended."""
    process = weir.start("exec", "-j", "2", "--unordered", "--grace", "100ms", "sh", "-c",
                         "echo $$ >>pids; [ $0 -lt 2 ] || exec sleep 1000", ":::", *range(9),
                         cwd=tmp_path, preexec_fn=bounded)
    processes.append(process)
    process.stdout.readline()
    pids = tmp_path / "pids"
    wait_until(lambda: len(pids.read_text().split()) >= 4)
    process.stdout.close()
    victim = int(pids.read_text().split()[-1])
    os.kill(victim, signal.SIGKILL)  # its row is one that cannot be written
    log = process.stderr.read()
    assert process.wait(LIMIT) == 0 and log == b""
    process.stderr.close()
    process.stdout = process.stderr = None
    wait_until(lambda: not any(runs(int(pid)) for pid in pids.read_text().split()))


def test_the_reader_of_scanned_rows_goes(weir, processes, tmp_path):
    for i in range(200):
        (tmp_path / f"{i}.txt").write_text("line\n" * 5000)
    process = weir.start("scan", tmp_path, "-e", "line", preexec_fn=bounded)
    processes.append(process)
    process.stdout.readline()
    process.stdout.close()
    log = process.stderr.read()
    assert process.wait(LIMIT) == 0 and log == b""
    process.stderr.close()
    process.stdout = process.stderr = None


@pytest.mark.parametrize("closed", [False, True], ids=["gone", "closed"])
def test_nobody_reads_what_is_said(weir, api, tmp_path, closed):
    """Standard error's reader is gone, or there is none: rows and exit code are the same."""
    server = api(lambda asked: 404 if asked.path == "/3" else b"ok")
    reader, writer = os.pipe()
    os.close(reader)
    done = weir("fetch", server.url + "/{1..20}", "-o", "out.ndjson", "--progress", "plain",
                cwd=tmp_path, stderr=writer,
                preexec_fn=(lambda: os.close(2)) if closed else bounded)
    os.close(writer)
    assert done.returncode == 1
    assert len(read_rows(tmp_path / "out.ndjson")) == 20


def test_standard_output_is_nobodys_when_the_summary_is_said(weir, api, tmp_path):
    done = weir("fetch", api().url + "/{1..3}", "-o", "out.ndjson", cwd=tmp_path,
                preexec_fn=lambda: os.close(1))
    assert done.returncode == 0 and accounted(done) == (3, {"ok": 3})
