"""weir fetch against other HTTP clients: throughput, waiting, memory; and how fast the command starts."""

import json
import shutil
import statistics
from pathlib import Path

from common import (
    CLIENT_CORE,
    HERE,
    OUT,
    PYTHON,
    WEIR,
    Failed,
    Run,
    measure,
    mock,
    nginx,
    processor,
)

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


CLIENTS = {
    "weir": weir,
    "curl_multi": peer(OUT / "curl_multi"),
    "aiohttp": peer(PYTHON, HERE / "peer_aiohttp.py", "tasks"),
    "aiohttp-workers": peer(PYTHON, HERE / "peer_aiohttp.py", "workers"),
    "threads": peer(PYTHON, HERE / "peer_threads.py"),
    "go": peer(OUT / "peer_go"),
    "wrk": wrk,
}


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
