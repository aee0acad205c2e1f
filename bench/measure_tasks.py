"""Executors: the same tasks under weir_tasks.c and its peers, each in a process of its own.

Every program takes its own time, from the first task to the last result, and its own processor
time, so the start of an interpreter is not what is compared. Results are compared with what was
asked for, one by one (Go's pool has no order: by their number and sum).
"""

import json
import os
import statistics

from common import CLIENT_CORE, HERE, OUT, WEIR, Failed, Run, measure, nginx, processor

CORES = os.cpu_count() or 1
MACHINE_PYTHON = "/usr/bin/python3"
WEIR_TASKS = OUT / "weir_tasks"


def program(*command, env=None, core="-"):
    """A case: runs a program that reports on its tasks."""

    def run():
        if not os.path.exists(command[0]):
            raise Failed("not set up")
        variables = [f"{name}={value}" for name, value in (env or {}).items()]
        cost, output = measure(["env", *variables, *command] if variables else command, core)
        report = json.loads(output)
        if report["ok"] != report["tasks"]:
            raise Failed(f"only {report['ok']} of {report['tasks']} results came back right")
        return Run(report["seconds"], cost["peak_rss_kb"], report["tasks"], report["processor"])

    return run


def weir(what, kind, tasks, workers=0):
    return program(WEIR_TASKS, what, kind, tasks, workers)


def go(what, tasks, buffer=0):
    return program(OUT / "peer_go_tasks", what, tasks, buffer)


def libuv(what, tasks):
    return program(OUT / "peer_libuv", what, tasks, env={"UV_THREADPOOL_SIZE": CORES})


def python(how, what, tasks, workers=CORES):
    return program(MACHINE_PYTHON, HERE / "peer_futures.py", how, what, tasks, workers)


def median(of, name):
    return statistics.median(getattr(run, name) for run in of)


def each(bench, name, runs, unit):
    """What a task takes, by the clock and of processor time, for every case."""
    scale = {"ns": 1e9, "µs": 1e6}[unit]
    for label, of in runs.items():
        bench.figure(name, label, scale / median(of, "rate"), f"{unit} a task")
        bench.figure(name, f"{label}: processor", scale / median(of, "per_processor"), f"{unit} a task")


def sleeps(bench):
    """200 tasks that sleep a second: how much of the sleeping overlaps."""
    name = "200 sleeps of 1 s"
    runs = bench.alternate(
        name,
        {
            "weir threads(16)": weir("sleep", "threads", 200, 16),
            "weir fibers": weir("sleep", "fibers", 200),
            "ThreadPoolExecutor(16)": python("threads", "sleep", 200, 16),
            "asyncio": python("asyncio", "sleep", 200),
            "go": go("sleep", 200),
        },
    )
    bounds = {"weir threads(16)": 13.1, "weir fibers": 1.05}
    bench.figure(name, "weir inline, reckoned, not run: 200 × 1 s", 200, "s")
    for label, of in runs.items():
        bench.figure(name, label, median(of, "seconds"), "s", bound=bounds.get(label))
        bench.figure(name, f"{label}: processor", 1e3 * median(of, "processor"), "ms")


def crowd(bench):
    """100,000 sleepers of a second at the same time: time and peak memory."""
    count = 10000 if bench.quick else 100000
    name = f"{count:,} sleepers of 1 s"
    runs = bench.alternate(
        name,
        {
            "weir fibers": weir("sleep", "fibers", count),
            "go": go("sleep", count),
            "asyncio": python("asyncio", "sleep", count),
        },
    )
    for label, of in runs.items():
        bench.figure(name, label, median(of, "seconds"), "s")
        bench.figure(name, f"{label}: processor", median(of, "processor"), "s")
        bench.figure(name, f"{label}: peak memory", median(of, "peak_kb") / 1024, "MiB")
    bench.ratio(name, runs, "weir fibers", "go", 1, of="seconds", at_least=False)
    bench.ratio(name, runs, "weir fibers", "go", 1.5, of="peak_kb", at_least=False)
    bench.ratio(name, runs, "weir fibers", "asyncio", of="seconds", at_least=False)
    bench.ratio(name, runs, "weir fibers", "asyncio", of="peak_kb", at_least=False)


def noop(bench):
    """Tasks that do nothing, from submit to result: in bulk, and one after the other."""
    scale = 10 if bench.quick else 1
    many, some = 1000000 // scale, 100000 // scale
    name = f"no-op, map of {many:,}"
    runs = bench.alternate(
        name,
        {
            f"weir_map, threads({CORES})": weir("map", "threads", many, CORES),
            "weir_map, threads": weir("map", "threads", many),
            "weir_map, fibers": weir("map", "fibers", many),
            "weir_map, inline": weir("map", "inline", many),
            "go, unbuffered": go("map", many),
            "go, buffer of 1,024": go("map", many, 1024),
            "libuv": libuv("map", many),
            f"ThreadPoolExecutor({CORES}).map, {some:,}": python("threads", "map", some),
            f"asyncio.gather, {some:,}": python("asyncio", "map", some),
        },
    )
    each(bench, name, runs, "ns")
    bench.better(runs, "go pool", "go, unbuffered", "go, buffer of 1,024")
    ours = f"weir_map, threads({CORES})"
    bench.ratio(name, runs, ours, "go pool", 1)
    bench.ratio(name, runs, ours, "go pool", of="per_processor")
    bench.ratio(name, runs, ours, "libuv", 1)
    bench.ratio(name, runs, ours, "libuv", of="per_processor")
    bench.ratio(name, runs, ours, f"ThreadPoolExecutor({CORES}).map, {some:,}", 20)

    name = f"no-op, {some:,} × submit, then result"
    runs = bench.alternate(
        name,
        {
            f"weir threads({CORES})": weir("single", "threads", some, CORES),
            "weir fibers": weir("single", "fibers", some),
            "weir inline": weir("single", "inline", some),
            "go, unbuffered": go("single", some),
            "libuv": libuv("single", some),
            f"ThreadPoolExecutor({CORES})": python("threads", "single", some),
            "asyncio": python("asyncio", "single", some),
        },
    )
    each(bench, name, runs, "ns")
    for peer in ("go, unbuffered", "libuv", f"ThreadPoolExecutor({CORES})"):
        bench.ratio(name, runs, f"weir threads({CORES})", peer)


def http_tasks(bench):
    """HTTP by fibers that each call weir_http_get, against weir fetch; one core, 64 in flight."""
    sizes = (10000,) if bench.quick else (10000, 100000)
    with nginx() as server:
        for count in sizes:
            name = f"{count:,} GETs, 64 in flight"

            def fetch(count=count):
                urls = server.url + "/products/{1.." + str(count) + "}"
                command = [WEIR, "fetch", "--progress", "none", "-o", "/dev/null", "-j", 64]
                cost, _ = measure([*command, "--lanes", 1, urls], CLIENT_CORE)
                return Run(cost["wall"], cost["peak_rss_kb"], count, processor(cost))

            def fibers(count=count):
                if not WEIR_TASKS.exists():
                    raise Failed("not set up")
                command = [WEIR_TASKS, "http", "fibers", count, 64, 1, server.url]
                cost, output = measure(command, CLIENT_CORE)
                if json.loads(output)["ok"] != count:
                    raise Failed(f"only {json.loads(output)['ok']} requests were answered")
                return Run(cost["wall"], cost["peak_rss_kb"], count, processor(cost))

            runs = bench.alternate(name, {"fibers, weir_http_get": fibers, "weir fetch": fetch})
            for label, of in runs.items():
                bench.figure(name, label, median(of, "rate"), "req/s")
            pair = "fibers, weir_http_get", "weir fetch"
            bench.ratio(name, runs, *pair, 0.8 if count == 10000 else None)
            bench.ratio(name, runs, *pair, of="per_processor")


METHODS = ("fork", "forkserver", "spawn")


def middle_of(times, case):
    """The start of a pool is short: the median of several in the place of one."""

    def run():
        return sorted((case() for _ in range(times)), key=lambda one: one.seconds)[times // 2]

    return run


def processes(bench):
    """Tasks in two worker processes against ProcessPoolExecutor; and the start of a pool."""
    scale = 10 if bench.quick else 1
    for what, ours, theirs in (("map", 20000 // scale, 5000 // scale), ("single", 5000, 2000)):
        name = {"map": "processes, no-op, map", "single": "processes, no-op, submit, then result"}[what]
        cases = {"weir processes(2)": weir(what, "processes", ours, 2)}
        for method in METHODS:
            cases[f"ProcessPoolExecutor(2), {method}"] = python(method, what, theirs, 2)
        runs = bench.alternate(name, cases)
        each(bench, name, runs, "µs")
        for label in list(runs)[1:]:
            bench.ratio(name, runs, "weir processes(2)", label, 1)
    name = "processes, start to first result"
    cases = {"weir processes(2)": weir("start", "processes", 1, 2)}
    for method in METHODS:
        cases[f"ProcessPoolExecutor(2), {method}"] = python(method, "start", 1, 2)
    runs = bench.alternate(name, {label: middle_of(5, case) for label, case in cases.items()})
    for label, of in runs.items():
        bench.figure(name, label, 1e3 * median(of, "seconds"), "ms")
    for label in list(runs)[1:]:
        bench.ratio(name, runs, "weir processes(2)", label, 10)
