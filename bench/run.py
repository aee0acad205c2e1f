#!/usr/bin/python3
"""Measures weir against its peers, side by side in one run, and holds it to its bounds.

Within a benchmark every round runs every client once, in alternating order, so that whatever else
the machine does falls on all of them alike. A figure is the median over the rounds, a ratio the
median of the ratios within each round. Never part of the tests: a benchmark depends on the machine.
"""

import argparse
import dataclasses
import json
import os
import platform
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


def measure(command, core=CLIENT_CORE, longest=LONGEST_RUN):
    """Runs a command under bench/measure and gives (cost, standard output)."""
    report = OUT / "measure.json"
    with subprocess.Popen(
        [OUT / "measure", core, report, *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
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
    if cost["exit"] != 0:
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


# The clients: (base URL, requests, in flight, core) -> Run


def weir(base, requests, in_flight, core, output="/dev/null"):
    command = [WEIR, "fetch", "--progress", "none", "-o", output]
    command += ["-j", in_flight]
    command += ["--lanes", 1] if core != "-" else []
    cost, _ = measure([*command, base + "/products/{1.." + str(requests) + "}"], core)
    # Start-up and summary included: the whole command is what a user waits for.
    return Run(cost["wall"], cost["peak_rss_kb"], requests, processor(cost))


def peer(*command):
    def run(base, requests, in_flight, core):
        if not Path(command[0]).exists():
            raise Failed("not set up")
        cost, output = measure([*command, base, requests, in_flight], core)
        report = json.loads(output)
        if report["ok"] != requests:
            raise Failed(f"only {report['ok']} of {requests} requests were answered")
        return Run(report["seconds"], cost["peak_rss_kb"], requests, processor(cost))

    return run


def wrk(base, requests, in_flight, core):
    """wrk runs for a time, not for a number of requests; it knows one URL only."""
    program = shutil.which("wrk")
    if not program:
        raise Failed("not set up")
    length = max(1, min(2, requests // 50000))
    command = [program, "-t1", f"-c{in_flight}", f"-d{length}s", base + "/products/1"]
    cost, output = measure(command, core)
    rate = [line.split()[1] for line in output.splitlines() if line.startswith("Requests/sec")]
    if not rate or "Non-2xx" in output or "Socket errors" in output:
        raise Failed(output.strip()[-300:])
    return Run(length, cost["peak_rss_kb"], float(rate[0]) * length, processor(cost))


PYTHON = OUT / "venv" / "bin" / "python"
CLIENTS = {
    "weir": weir,
    "curl_multi": peer(OUT / "curl_multi"),
    "aiohttp": peer(PYTHON, HERE / "peer_aiohttp.py", "tasks"),
    "aiohttp-workers": peer(PYTHON, HERE / "peer_aiohttp.py", "workers"),
    "threads": peer(PYTHON, HERE / "peer_threads.py"),
    "go": peer(OUT / "peer_go"),
    "wrk": wrk,
}


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

    def ratio(self, name, runs, one, other, bound=None, of="rate"):
        """one / other, at least the bound."""
        if one in runs and other in runs:
            pairs = zip(runs[one], runs[other])
            value = statistics.median(getattr(a, of) / getattr(b, of) for a, b in pairs)
            how = "" if of == "rate" else ", by processor time"
            self.figure(name, f"{one} ÷ {other}{how}", value, "×", bound=bound, at_least=True)


# The benchmarks


def throughput(bench):
    """Small JSON, keep-alive, one lane on one core."""
    scale = 5 if bench.quick else 1
    requests = {"weir": 120000, "curl_multi": 120000, "go": 80000, "wrk": 100000}
    with nginx() as server:
        cases = {}
        for in_flight in (64, 1000, 10):
            for client, run in CLIENTS.items():
                if client == "weir" and not WEIR.exists():
                    continue
                total = requests.get(client, 20000) // scale
                cases[f"{client} @ {in_flight}"] = (
                    lambda run=run, total=total, in_flight=in_flight: run(
                        server.url, total, in_flight, CLIENT_CORE
                    )
                )
        runs = bench.alternate("throughput", cases)
    for label, of in runs.items():
        bench.figure("throughput", label, statistics.median(run.rate for run in of), "req/s")
    bounds = {"curl_multi @ 64": 0.9, "aiohttp @ 64": 5, "threads @ 64": 3}
    for in_flight in (64, 1000):
        for client in list(CLIENTS)[1:]:
            one, other = f"weir @ {in_flight}", f"{client} @ {in_flight}"
            bench.ratio("throughput", runs, one, other, bounds.get(other))
            if client == "curl_multi":
                bench.ratio("throughput", runs, one, other, of="per_processor")
    bench.ratio("throughput", runs, "weir @ 1000", "weir @ 64", 0.7)
    bench.ratio("throughput", runs, "curl_multi @ 1000", "curl_multi @ 64")


def on_fresh_mock(client, count, in_flight):
    """A server, so a port, for each run: the last one's closed connections still hold their ports."""
    with mock("1s") as server:
        return CLIENTS[client](server.url, count, in_flight, "-")


def waits(bench):
    """Requests that each wait a second: how much of the waiting overlaps."""
    sizes = ((200, 1.10), (2000, None)) if bench.quick else ((200, 1.10), (10000, 2.0))
    for count, limit in sizes:
        cases = {}
        for label, client, in_flight in (
            (f"weir -j {count}", "weir", count),
            ("weir -j auto", "weir", "auto"),
            ("curl_multi", "curl_multi", count),
            ("aiohttp", "aiohttp", count),
            ("go", "go", count),
        ):
            cases[label] = lambda client=client, in_flight=in_flight, count=count: on_fresh_mock(
                client, count, in_flight
            )
        name = f"{count:,} × 1 s"
        runs = bench.alternate(name, cases)
        for label, of in runs.items():
            first = label == f"weir -j {count}"
            seconds = statistics.median(run.seconds for run in of)
            bench.figure(name, label, seconds, "s", bound=limit if first else None)
            each = statistics.median(run.peak_kb for run in of) / count
            if count >= 1000:
                bench.figure(
                    name,
                    f"{label}: peak memory per request in flight",
                    each,
                    "KiB",
                    bound=64 if first else None,
                )


def memory(bench):
    """Peak memory must not grow with the number of requests."""
    few, many = (20000, 200000) if bench.quick else (100000, 1000000)
    output = OUT / "rows.ndjson"
    with nginx() as server:
        runs = bench.alternate(
            "memory",
            {
                count: lambda count=count: weir(server.url, count, 64, CLIENT_CORE, output)
                for count in (few, many)
            },
        )
    output.unlink(missing_ok=True)
    for count, of in runs.items():
        peak = statistics.median(run.peak_kb for run in of) / 1024
        bench.figure("memory", f"weir, {count:,} requests, -j 64, ordered", peak, "MiB")
    if few in runs and many in runs:
        growth = statistics.median(b.peak_kb / a.peak_kb for a, b in zip(runs[few], runs[many]))
        bench.figure("memory", f"{many:,} ÷ {few:,} requests", growth, "×", bound=1.10)


def startup(bench):
    """From spawn to exit; a hundred times more often than the others, as it is short."""
    cases = {"weir --version": [WEIR, "--version"], "curl --version": ["curl", "--version"]}
    cases["true"] = ["/bin/true"]
    cases["python3 --version"] = ["/usr/bin/python3", "--version"]
    times = {label: [] for label in cases}
    for _ in range(40 if bench.quick else 200):
        for label, command in list(cases.items()):
            try:
                times[label].append(measure(command)[0]["wall"] * 1e3)
            except Failed as why:
                bench.notes.append(f"start-up: {label} not measured: {why}")
                del cases[label], times[label]
    for label, of in times.items():
        bound = 5 if label == "weir --version" else None
        bench.figure("start-up", label, statistics.median(of), "ms", bound=bound)


BENCHMARKS = {"throughput": throughput, "waits": waits, "memory": memory, "startup": startup}


# The result


def first_line(*command):
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
            env={**os.environ, "PATH": TOOLS},
        )
        return (done.stdout + done.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "not found"


def machine():
    cpu = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    versions = "import aiohttp, uvloop; print(aiohttp.__version__, uvloop.__version__)"
    aiohttp, uvloop = (first_line(str(PYTHON), "-c", versions).split() + ["?", "?"])[:2]
    return {
        "processor": f"{cpu}, {os.cpu_count()} cores, "
        f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"Debian {Path('/etc/debian_version').read_text(encoding='utf-8').strip()}, "
        f"Linux {platform.release()}",
        "weir": first_line(str(WEIR), "--version"),
        "libcurl": first_line("pkg-config", "--modversion", "libcurl"),
        "nginx": first_line("nginx", "-v").rpartition("/")[2],
        "aiohttp, uvloop": f"{aiohttp}, {uvloop}, Python {first_line(str(PYTHON), '-V')[7:]}",
        "Go": first_line("go", "env", "GOVERSION"),
        "wrk": first_line("wrk", "-v").split("[")[0].strip(),
    }


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(bench, command):
    lines = ["| benchmark | what | measured | bound | |", "|---|---|---:|---:|---|"]
    for row in bench.rows:
        sign = "≥" if row.at_least else "≤"
        bound = "" if row.bound is None else f"{sign} {row.bound:g} {row.unit}"
        mark = {None: "", True: "pass", False: "**fail**"}[row.passed]
        value = f"{number(row.value)} {row.unit}"
        lines.append(f"| {row.benchmark} | {row.what} | {value} | {bound} | {mark} |")
    lines += [""] + [f"- {note}" for note in bench.notes] + [""] * bool(bench.notes)
    lines += [f"Medians of {bench.rounds} alternating rounds, `{command}`:", ""]
    lines += [f"- {name}: {value}" for name, value in machine().items()]
    return "\n".join(lines) + "\n"


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", help=f"benchmarks to run: {', '.join(BENCHMARKS)}")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument("--record", action="store_true", help="write bench/RESULTS.md")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.name if name not in BENCHMARKS]:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    if chosen.record and (chosen.quick or chosen.name or chosen.rounds < 3):
        parser.error("--record takes a whole run of at least 3 rounds, without names or --quick")
    if chosen.rounds < 1:
        parser.error("--rounds must be at least 1")
    return chosen


def main():
    chosen = options()
    if subprocess.run([HERE / "peers.sh"], check=False).returncode != 0:
        sys.exit("bench: bench/peers.sh could not set up what takes the measurements")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    bench = Bench(1 if chosen.quick else chosen.rounds, chosen.quick)
    if not WEIR.exists():
        bench.notes.append("weir is not built: the peers were measured alone")
    for name in chosen.name or BENCHMARKS:
        say(f"{name}: {BENCHMARKS[name].__doc__}")
        try:
            BENCHMARKS[name](bench)
        except Failed as why:
            bench.notes.append(f"{name}: not measured: {why}")
            say(f"  not measured: {why}")

    command = " ".join(["bench/run.py", *sys.argv[1:]])
    text = table(bench, command)
    print(text)
    result = {
        "command": command,
        "rounds": bench.rounds,
        "machine": machine(),
        "rows": [{**dataclasses.asdict(row), "passed": row.passed} for row in bench.rows],
        "notes": bench.notes,
    }
    (OUT / "results.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if chosen.record:
        heading = "# What was measured\n\nHow, and why it is fair: [README.md](README.md).\n\n"
        (HERE / "RESULTS.md").write_text(heading + text, encoding="utf-8")
    missed = sum(row.passed is False for row in bench.rows)
    if missed:
        sys.exit(f"bench: {missed} of the bounds missed")
    if bench.notes:
        sys.exit("bench: not everything was measured, see above")


if __name__ == "__main__":
    main()
