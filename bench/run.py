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
import measure_tasks
from common import HERE, OUT, PYTHON, TOOLS, WEIR, Bench, Failed, say

BENCHMARKS = {
    "throughput": measure_fetch.throughput,
    "waits": measure_fetch.waits,
    "memory": measure_fetch.memory,
    "startup": measure_fetch.startup,
    "commands": measure_exec.commands,
    "one-command": measure_exec.one_command,
    "sleeps": measure_tasks.sleeps,
    "crowd": measure_tasks.crowd,
    "noop": measure_tasks.noop,
    "http-tasks": measure_tasks.http_tasks,
    "processes": measure_tasks.processes,
}

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
        "libuv": first_line("pkg-config", "--modversion", "libuv"),
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
