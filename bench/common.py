"""What every measurement needs: running a client and its cost, servers, alternating rounds, rows."""

import contextlib
import dataclasses
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OUT = ROOT / "build" / "bench"
WEIR = Path(os.environ.get("WEIR", ROOT / "build" / "weir")).resolve()
PYTHON = OUT / "venv" / "bin" / "python"
CLIENT_CORE, SERVER_CORE = "0", "1" if (os.cpu_count() or 1) > 1 else "0"
LONGEST_RUN = 300  # seconds; a client that hangs is stopped and counts as failed
TOOLS = os.environ["PATH"] + ":/usr/sbin:/usr/local/go/bin"


class Failed(Exception):
    """A client or server could not do its part; the text says why."""


@dataclasses.dataclass
class Run:
    """What one run of one client cost."""

    seconds: float
    peak_kb: int
    requests: float = 0
    processor: float = 0

    @property
    def rate(self):
        return self.requests / self.seconds

    @property
    def per_processor(self):
        """Requests in a second of processor time: what is left of a rate on a busy machine."""
        return self.requests / self.processor


@dataclasses.dataclass
class Row:
    """One line of the result: a figure and, where one is set, its bound."""

    benchmark: str
    what: str
    value: float
    unit: str
    bound: float = None
    at_least: bool = False

    @property
    def passed(self):
        if self.bound is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound


# Running things


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure(command, core=CLIENT_CORE, longest=LONGEST_RUN, stdout=None, exits=(0,)):
    """Runs a command under bench/measure and gives (cost, standard output).

    With stdout, a path, its output goes there instead. exits: the exit codes that are no failure.
    """
    report = OUT / "measure.json"
    with contextlib.ExitStack() as closes, subprocess.Popen(
        [OUT / "measure", core, report, *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=closes.enter_context(open(stdout, "wb")) if stdout else subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            output, errors = child.communicate(timeout=longest)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            raise Failed(f"stopped after {longest} s") from None
    if child.returncode != 0:
        raise Failed(errors.strip()[-300:] or f"exit {child.returncode}")
    cost = json.loads(report.read_text(encoding="utf-8"))
    if cost["exit"] not in exits:
        raise Failed(f"exit {cost['exit']}: {errors.strip()[-300:]}")
    return cost, output


def processor(cost):
    return cost["user"] + cost["system"]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A server in the foreground on a free loopback port, stopped on the way out."""

    def __init__(self, name, command, port):
        self.name, self.command, self.url = name, command, f"http://127.0.0.1:{port}"
        self.port = port

    def __enter__(self):
        log = open(OUT / f"{self.name}.log", "w", encoding="utf-8")
        try:
            self.process = subprocess.Popen(
                list(map(str, self.command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        except OSError as error:
            raise Failed(f"{self.name}: {error}") from error
        finally:
            log.close()
        for _ in range(100):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        self.__exit__()
        raise Failed(f"{self.name} does not answer, see {log.name}")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def nginx():
    program = shutil.which("nginx", path=TOOLS)
    if not program:
        raise Failed("nginx is not installed")
    port = free_port()
    text = (HERE / "nginx.conf.in").read_text(encoding="utf-8")
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    values = {"DIR": OUT, "PORT": port, "CONNECTIONS": min(16384, descriptors - 64)}
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    (OUT / "nginx.conf").write_text(text, encoding="utf-8")
    command = ["taskset", "-c", SERVER_CORE, program, "-p", OUT, "-c", OUT / "nginx.conf"]
    return Server("nginx", command, port)


def mock(latency):
    if not WEIR.exists():
        raise Failed(f"{WEIR} is not built")
    port = free_port()
    return Server("mock", [WEIR, "mock", "--port", port, "--latency", latency], port)


# Rounds


class Bench:
    """Runs clients in alternating rounds and keeps the rows."""

    def __init__(self, rounds, quick):
        self.rounds, self.quick = rounds, quick
        self.rows, self.notes = [], []

    def alternate(self, name, cases):
        """cases: label -> function giving a Run. Gives label -> list of Runs, one for each round."""
        runs = {label: [] for label in cases}
        gone = set()
        for number in range(self.rounds):
            order = list(cases)
            for label in order if number % 2 == 0 else reversed(order):
                if label in gone:
                    continue
                try:
                    runs[label].append(cases[label]())
                except Failed as why:
                    gone.add(label)
                    self.notes.append(f"{name}: {label} not measured: {why}")
                    say(f"  {label}: not measured: {why}")
            say(f"  {name}: round {number + 1} of {self.rounds}")
        return {label: of for label, of in runs.items() if label not in gone}

    def figure(self, *row, **bound):
        self.rows.append(Row(*row, **bound))

    def ratio(self, name, runs, one, other, bound=None, of="rate", at_least=True):
        """one / other of a property of Run, at least (or at most) the bound."""
        if one in runs and other in runs:
            pairs = zip(runs[one], runs[other])
            value = statistics.median(getattr(a, of) / getattr(b, of) for a, b in pairs)
            how = {
                "per_processor": ", by processor time",
                "processor": ", processor time",
                "peak_kb": ", peak memory",
            }.get(of, "")
            self.figure(name, f"{one} ÷ {other}{how}", value, "×", bound=bound, at_least=at_least)

    def better(self, runs, label, *labels):
        """Adds, under a label, the run of each round that was quickest among the labels."""
        there = [runs[one] for one in labels if one in runs]
        if there:
            runs[label] = [min(of, key=lambda run: run.seconds) for of in zip(*there)]
