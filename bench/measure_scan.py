"""weir scan against ripgrep and others: warm, cold, on slow storage, over archives; and its memory.

A run counts only if it found the same lines as ripgrep did (scan_clients.py). Nothing is pinned, and
each client has the number of threads it takes by itself, or else one for each core.
"""

import statistics

import scan_clients
from common import Failed
from scan_data import (
    EXPRESSIONS,
    LATENCY_MS,
    LITERAL,
    SlowFiles,
    drop_caches,
    files,
    read_from_disk,
)

WARM_BOUND = 0.6
COLD_BOUND = 0.3
SLOW_BOUND = 20  # times as fast as ripgrep
LIMIT_BOUND = 0.8
MEMORY_BOUND = 16  # MiB
IN_FLIGHT = 64
MIB = 1 << 20


def small(bench):
    return files("small", 10000 if bench.quick else 100000, 8192)


def large(bench):
    return files("large", 2 if bench.quick else 8, 128 * MIB)


def median(runs, of="seconds"):
    return statistics.median(getattr(run, of) for run in runs)


def against_rg(bench, name, runs, bound=None):
    """What every comparison of this part shows."""
    for label, of in runs.items():
        bench.figure(name, label, median(of), "s")
    for label in ("weir", "rg"):
        if label in runs:
            bench.figure(name, f"{label}: processor", median(runs[label], "processor"), "s")
    bench.ratio(name, runs, "weir", "rg", bound, of="seconds", at_least=False)
    for label in runs:
        if label not in ("weir", "rg"):
            bench.ratio(name, runs, "weir", label, of="seconds", at_least=False)


def warm(bench):
    """Files in memory: 100,000 small ones, and eight of 128 MiB; five expressions."""
    for what, make, how in (("small", small, "text"), ("large", large, "csv")):
        folder = make(bench)
        for expression in EXPRESSIONS:
            # ripgrep's first run, which is not counted, brings the files into memory.
            same = scan_clients.Same(scan_clients.rg(folder, expression)[1])
            case = lambda client, *more: same.case(client, folder, expression, *more)
            cases = {
                "weir": case(scan_clients.weir),
                "rg": case(scan_clients.rg),
                "grep -r": case(scan_clients.grep),
                "find + xargs grep": case(scan_clients.xargs),
            }
            if expression is LITERAL:
                cases["Python threads"] = case(scan_clients.threads)
                cases["DuckDB"] = case(scan_clients.duckdb, how)
            name = f"{what}, {expression.name}"
            against_rg(bench, name, bench.alternate(name, cases), WARM_BOUND)


def cold(bench):
    """100,000 small files, from disk."""
    folder = small(bench)
    same = scan_clients.Same(scan_clients.rg(folder, LITERAL)[1])
    read = []

    def from_disk(client):
        def run():
            drop_caches()
            before = read_from_disk()
            of = same.case(client, folder, LITERAL)()
            read.append(read_from_disk() - before)
            return of

        return run

    clients = {"weir": scan_clients.weir, "rg": scan_clients.rg}
    runs = bench.alternate(
        "cold", {label: from_disk(client) for label, client in clients.items()}
    )
    against_rg(bench, "cold", runs, COLD_BOUND)
    if read:
        bench.figure("cold", "read from disk by a run, at least", min(read), "MiB")
    # Near 1 it is the processor that is waited for, not the disk.
    for label in ("weir", "rg"):
        if label in runs:
            busy = statistics.median(
                run.processor / run.seconds / scan_clients.CORES for run in runs[label]
            )
            bench.figure("cold", f"{label}: processors busy", busy, "of 1")


def slow_case(count, matches, seen, client, *options):
    """A run on a file system of its own; what that saw is added to seen."""

    def run():
        with SlowFiles(count) as slow:
            of, found = client(slow.folder, LITERAL, *options)
        found = [(path[len(bytes(slow.folder)) :], line, text) for path, line, text in found]
        if not matches:
            matches.extend(found)
        if found != matches:
            raise Failed(f"found {len(found):,} lines, not the {len(matches):,} of ripgrep")
        seen.append({**slow.seen, "seconds": of.seconds})
        return of

    return run


def slow(bench):
    """A file system on which each operation takes 5 ms."""
    count = 300 if bench.quick else 2000
    name = f"{count:,} files, {LATENCY_MS} ms"
    matches, seen = [], {"weir": [], "rg": [], "rg -j 256": [], "Python, 256 threads": []}
    # Once: its time is that of waiting, which is the same in every round.
    by_rg = slow_case(count, matches, seen["rg"], scan_clients.rg)()
    runs = bench.alternate(
        name,
        {
            "weir": slow_case(count, matches, seen["weir"], scan_clients.weir),
            "rg -j 256": slow_case(
                count, matches, seen["rg -j 256"], scan_clients.rg, "-j", 256
            ),
            "Python, 256 threads": slow_case(
                count, matches, seen["Python, 256 threads"], scan_clients.threads, 256
            ),
        },
    )
    runs["rg"] = [by_rg]
    for label, of in runs.items():
        bench.figure(name, label, median(of), "s")
        for what in ("most", "waited"):
            value = statistics.median(each[what] for each in seen[label])
            text = {"most": "most in flight", "waited": "operations"}[what]
            bench.figure(name, f"{label}: {text}", value, "")
    if "weir" in runs:
        for label in list(runs)[1:]:
            times = median(runs[label]) / median(runs["weir"])
            bound = SLOW_BOUND if label == "rg" else None
            bench.figure(
                name, f"weir, times as fast as {label}", times, "×", bound=bound, at_least=True
            )
    against_the_limit(bench)


def against_the_limit(bench):
    """So many operations, so many of them at once: it cannot be faster than that."""
    count = 1000 if bench.quick else 5000
    name = f"{count:,} files, {LATENCY_MS} ms, -j {IN_FLIGHT}"
    matches, seen = [], []
    slow_case(count, matches, [], scan_clients.rg, "-j", 256)()
    runs = bench.alternate(
        name, {"weir": slow_case(count, matches, seen, scan_clients.weir, "-j", IN_FLIGHT)}
    )
    if "weir" not in runs:
        return
    least = [each["waited"] * LATENCY_MS / 1e3 / IN_FLIGHT for each in seen]
    shares = [limit / each["seconds"] for limit, each in zip(least, seen)]
    bench.figure(name, "weir", median(runs["weir"]), "s")
    bench.figure(name, "weir: processor", median(runs["weir"], "processor"), "s")
    bench.figure(name, "operations × latency ÷ in flight", statistics.median(least), "s")
    bench.figure(
        name,
        "share of that limit",
        statistics.median(shares),
        "of 1",
        bound=LIMIT_BOUND,
        at_least=True,
    )


def archives(bench):
    """64 gzip files of 4 MiB of lines each."""
    folder = files("gzipped", 8 if bench.quick else 64, 4 * MIB)
    same = scan_clients.Same(scan_clients.rg(folder, LITERAL, "-z")[1])
    runs = bench.alternate(
        "gzip",
        {
            "weir": same.case(scan_clients.weir, folder, LITERAL),
            "rg": same.case(scan_clients.rg, folder, LITERAL, "-z"),
            "zgrep": same.case(scan_clients.zgrep, folder, LITERAL),
            "DuckDB": same.case(scan_clients.duckdb, folder, LITERAL, "csv"),
        },
    )
    against_rg(bench, "gzip", runs)


def memory(bench):
    """Peak memory must not grow with a file, nor with the number of files."""
    size = (256 if bench.quick else 2048) * MIB
    cases = {
        "weir, a file of 128 MiB": files("large", 1, 128 * MIB),
        "weir, a file of 2 GiB": files("large", 1, size),
        "weir, 100,000 small files": small(bench),
    }
    runs = bench.alternate(
        "memory of scan",
        {
            label: lambda folder=folder: scan_clients.weir(folder, LITERAL)[0]
            for label, folder in cases.items()
        },
    )
    for label, of in runs.items():
        peak = median(of, "peak_kb") / 1024
        bench.figure("memory of scan", label, peak, "MiB", bound=MEMORY_BOUND)
