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
import subprocess
import sys
from pathlib import Path

import measure_exec
import measure_fetch
import measure_journal
import measure_scan
import measure_tasks
from common import HERE, OUT, PYTHON, TOOLS, WEIR, Bench, Failed, say

# What is recorded together, in a part of RESULTS.md of its own.
PARTS = {
    "fetch": {
        "throughput": measure_fetch.throughput,
        "waits": measure_fetch.waits,
        "memory": measure_fetch.memory,
        "startup": measure_fetch.startup,
    },
    "exec": {
        "commands": measure_exec.commands,
        "one-command": measure_exec.one_command,
    },
    "journal": {
        "journal": measure_journal.cost,
    },
    "scan": {
        "warm": measure_scan.warm,
        "cold": measure_scan.cold,
        "slow": measure_scan.slow,
        "archives": measure_scan.archives,
        "large-file": measure_scan.memory,
    },
    "tasks": {
        "sleeps": measure_tasks.sleeps,
        "crowd": measure_tasks.crowd,
        "noop": measure_tasks.noop,
        "http-tasks": measure_tasks.http_tasks,
        "processes": measure_tasks.processes,
    },
}
BENCHMARKS = {name: run for part in PARTS.values() for name, run in part.items()}

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
        "GNU parallel": first_line("parallel", "--version").rpartition(" ")[2],
        "xargs": first_line("xargs", "--version").rpartition(" ")[2],
        "ripgrep": first_line("rg", "--version").removeprefix("ripgrep "),
        "GNU grep": first_line("grep", "--version").rpartition(" ")[2],
        "DuckDB": first_line(str(PYTHON), "-c", "import duckdb; print(duckdb.__version__)"),
        "libuv": first_line("pkg-config", "--modversion", "libuv"),
    }


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(bench, rows, command):
    lines = ["| benchmark | what | measured | bound | |", "|---|---|---:|---:|---|"]
    for row in rows:
        sign = "≥" if row.at_least else "≤"
        bound = "" if row.bound is None else f"{sign} {row.bound:g} {row.unit}"
        mark = {None: "", True: "pass", False: "**fail**"}[row.passed]
        value = f"{number(row.value)} {row.unit}".rstrip()
        lines.append(f"| {row.benchmark} | {row.what} | {value} | {bound} | {mark} |")
    lines += [""] + [f"- {note}" for note in bench.notes] + [""] * bool(bench.notes)
    lines += [f"Medians of {bench.rounds} alternating rounds, `{command}`:", ""]
    lines += [f"- {name}: {value}" for name, value in machine().items()]
    return "\n".join(lines) + "\n"


def record(part, text):
    """Puts a part's table between its marks; what is written around them stays."""
    path = HERE / "RESULTS.md"
    begin, end = f"<!-- {part}: measured -->\n", f"<!-- {part}: end -->\n"
    results = path.read_text(encoding="utf-8")
    before, rest = results.split(begin)
    path.write_text(before + begin + "\n" + text + "\n" + end + rest.split(end)[1], encoding="utf-8")


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", help=f"what to run: {', '.join(PARTS)} (all of a part), "
                        f"{', '.join(BENCHMARKS)}; default everything")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument("--record", action="store_true", help="write whole parts to bench/RESULTS.md")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.name if name not in BENCHMARKS and name not in PARTS]:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join([*PARTS, *BENCHMARKS])}")
    chosen.parts = [part for part in chosen.name or PARTS if part in PARTS]
    if chosen.record and (chosen.quick or chosen.rounds < 3 or len(chosen.parts) < len(chosen.name)):
        parser.error("--record takes whole parts and at least 3 rounds, not --quick")
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
    command = " ".join(["bench/run.py", *sys.argv[1:]])
    rows_of = {}
    for name in chosen.name or PARTS:
        first = len(bench.rows)
        for each in PARTS.get(name, [name]):
            say(f"{each}: {BENCHMARKS[each].__doc__}")
            try:
                BENCHMARKS[each](bench)
            except Failed as why:
                bench.notes.append(f"{each}: not measured: {why}")
                say(f"  not measured: {why}")
        rows_of[name] = bench.rows[first:]

    print(table(bench, bench.rows, command))
    result = {
        "command": command,
        "rounds": bench.rounds,
        "machine": machine(),
        "rows": [{**dataclasses.asdict(row), "passed": row.passed} for row in bench.rows],
        "notes": bench.notes,
    }
    (OUT / "results.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for part in chosen.parts if chosen.record else []:
        record(part, table(bench, rows_of[part], command))
    missed = sum(row.passed is False for row in bench.rows)
    if missed:
        sys.exit(f"bench: {missed} of the bounds missed")
    if bench.notes:
        sys.exit("bench: not everything was measured, see above")


if __name__ == "__main__":
    main()
