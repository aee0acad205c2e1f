#!/usr/bin/env python3
"""A soak: millions of items through one run, to see that nothing grows and nothing slows down.

Usage: soak.py [--items N] [--kind fetch|input|exec] [--errors P%] [--weir PATH] [--folder FOLDER]
               [--drift P] [-- OPTION...]

Runs `weir mock` and `weir fetch` against it (from a range, or of kind `input` from lines through a
pipe), or `weir exec` with `true`, with rows into a file and whatever journal that keeps. Each second
it looks at the memory, the descriptors and the threads of the run, and at how far its rows have come.
Then it reads them: there must be one for each item, in order. Options after -- go to the run.

It fails if memory or descriptors have grown from the first quarter of the run to the last (the first
twentieth, in which a run finds its pace, is left out), if the rate differs by more than P percent
between the two, or if a row is missing, wrong or twice. Prints a table, and a verdict in its last line.
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

MEMORY_SLACK = 16 << 20  # bytes that the allocator may come and go by
DESCRIPTOR_SLACK = 16
LINES_IN_TABLE = 12
OF_A_JOURNAL = (".weir", ".weir-wal", ".weir-shm", ".weir-journal")


@dataclasses.dataclass
class Sample:
    at: float
    written: int  # bytes of rows
    memory: int
    descriptors: int
    threads: int
    mock_memory: int
    rate: float = 0.0  # rows a second since the sample before


def status_of(pid):
    """Memory in bytes and threads of a process."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines())
    return int(fields["VmRSS"].split()[0]) << 10, int(fields["Threads"])


def descriptors_of(pid, folder):
    """How many are open, and how long the file of rows is, whatever name it has by now, if any."""
    count = written = 0
    for link in os.scandir(f"/proc/{pid}/fd"):
        count += 1
        with contextlib.suppress(OSError):
            path = os.readlink(link.path)
            if path.startswith(f"{folder}/") and not path.endswith(OF_A_JOURNAL):
                written = max(written, os.stat(link.path).st_size)
    return count, written


def take_sample(begun, pid, mock, folder):
    descriptors, written = descriptors_of(pid, folder)
    memory, threads = status_of(pid)
    return Sample(time.monotonic() - begun, written, memory, descriptors, threads,
                  status_of(mock)[0] if mock else 0)


def start_mock(weir, errors):
    """Returns its process and its base URL."""
    mock = subprocess.Popen([weir, "mock", "--port", "0", "--errors", errors, "--error-kinds",
                             "500,reset,truncate"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for word in mock.stderr.readline().split():
        if word.startswith("http://"):
            threading.Thread(target=mock.stderr.read, daemon=True).start()
            return mock, word.rstrip("/.,")
    mock.kill()
    sys.exit("soak: the mock does not start")


def feed(pipe, items):
    with contextlib.suppress(BrokenPipeError), pipe:
        for begin in range(1, items + 1, 1000):
            end = min(begin + 1000, items + 1)
            pipe.write("".join(f"{n}\n" for n in range(begin, end)).encode())


def run(args, folder):
    """Returns the samples, the seconds it took and its last words; ends the program if it fails."""
    mock = url = None
    if args.kind != "exec":
        mock, url = start_mock(args.weir, args.errors)
    output = folder / "rows.ndjson"
    command = {
        "fetch": ["fetch", f"{url}/products/{{1..{args.items}}}", "--retry", "8"],
        "input": ["fetch", "-i", "-", f"{url}/products/{{line}}", "--retry", "8"],
        "exec": ["exec", "-i", "-", "--input-format", "lines"],
    }[args.kind]
    command = [args.weir, *command, "-o", str(output), "--progress", "none", *args.options]
    if args.kind == "exec":
        command += ["--", "true", "{line}"]
    begun = time.monotonic()
    with open(folder / "log", "w+b") as log:
        process = subprocess.Popen(command, stderr=log, stdout=subprocess.DEVNULL,
                                   stdin=subprocess.DEVNULL if args.kind == "fetch"
                                   else subprocess.PIPE)
        try:
            if process.stdin:
                threading.Thread(target=feed, args=(process.stdin, args.items),
                                 daemon=True).start()
            samples = []
            while True:
                try:
                    process.wait(timeout=args.every)
                    break
                except subprocess.TimeoutExpired:
                    with contextlib.suppress(OSError, KeyError):  # it may be ending
                        samples.append(take_sample(begun, process.pid, mock and mock.pid,
                                                   folder))
        finally:
            for child in (process, mock):
                if child and child.poll() is None:
                    child.kill()
                    child.wait()
        took = time.monotonic() - begun
        log.seek(0)
        said = log.read().decode(errors="replace")
    if process.returncode != 0:
        sys.exit(f"soak: FAILED: the run ended with {process.returncode}:\n{said}")
    return samples, took, said


def check_rows(args, path):
    """One for each item, in order, and good; returns what is wrong, or None."""
    mark = b'"line":"%d"' if args.kind != "fetch" else b'/products/%d"'
    good = b'"exit_code":0' if args.kind == "exec" else b'"status":200'
    number = 0
    with open(path, "rb") as rows:
        for number, row in enumerate(rows, 1):
            head = row[:200]
            if mark % number not in head or good not in head or not row.endswith(b"}\n"):
                return f"row {number} is {row[:200]!r}"
    return None if number == args.items else f"{number} rows for {args.items} items"


def count_rates(samples, args, size):
    """Rows are counted by their bytes: they are all of nearly the same length."""
    a_row = size / args.items
    before = Sample(0, 0, 0, 0, 0, 0)
    for sample in samples:
        sample.rate = (sample.written - before.written) / a_row / max(sample.at - before.at, 1e-9)
        before = sample


def quarters(samples):
    steady = samples[max(1, len(samples) // 20):]
    size = max(1, len(steady) // 4)
    return steady[:size], steady[-size:]


def judge(samples, args):
    """A list of faults, and the figures in words."""
    first, last = quarters(samples)
    faults = []
    memory = [max(s.memory for s in quarter) for quarter in (first, last)]
    if memory[1] > memory[0] * 1.1 + MEMORY_SLACK:
        faults.append("memory grows")
    descriptors = [statistics.median(s.descriptors for s in quarter) for quarter in (first, last)]
    if descriptors[1] > descriptors[0] * 1.25 + DESCRIPTOR_SLACK:
        faults.append("descriptors grow")
    rates = [(q[-1].written - q[0].written) / max(q[-1].at - q[0].at, 1e-9) for q in (first, last)]
    drift = (rates[1] / rates[0] - 1) * 100 if rates[0] else 0
    if abs(drift) > args.drift:
        faults.append("the rate drifts")
    words = (f"memory {memory[0] / 2**20:.1f} → {memory[1] / 2**20:.1f} MiB, descriptors "
             f"{descriptors[0]:.0f} → {descriptors[1]:.0f}, rate {drift:+.1f}%")
    return faults, words


def print_table(samples, args, size):
    print("      time         rows     rows/s   memory MiB   descriptors   threads   mock MiB")
    step = max(1, len(samples) // LINES_IN_TABLE)
    for i in range(step - 1, len(samples), step):
        s = samples[i]
        rates = [t.rate for t in samples[i - step + 1:i + 1]]
        print(f"{s.at:8.0f} s {s.written / size * args.items:12,.0f} {statistics.mean(rates):10,.0f}"
              f" {s.memory / 2**20:12.1f} {s.descriptors:13} {s.threads:9} "
              f"{s.mock_memory / 2**20:10.1f}")


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", action="store_true")
    parser.add_argument("--items", type=int, default=5_000_000)
    parser.add_argument("--kind", choices=["fetch", "input", "exec"], default="fetch")
    parser.add_argument("--errors", default="1%")
    parser.add_argument("--weir", default="build/weir")
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--drift", type=float, default=20)
    parser.add_argument("--every", type=float, default=1)
    parser.add_argument("options", nargs="*")
    args = parser.parse_args()
    if args.help:
        print(__doc__.strip())
        return
    if shutil.disk_usage(args.folder).free < args.items * 700:
        sys.exit(f"soak: {args.items:,} rows may need {args.items * 700 >> 20:,} MiB in "
                 f"{args.folder}, which has less; say another --folder")
    with tempfile.TemporaryDirectory(prefix="weir-soak-", dir=args.folder) as folder:
        folder = pathlib.Path(folder)
        samples, took, said = run(args, folder)
        output = folder / "rows.ndjson"
        size = output.stat().st_size
        wrong = check_rows(args, output)
        beside = sum(path.stat().st_size for path in folder.glob("*.weir*"))
    if len(samples) < 20:
        sys.exit(f"soak: FAILED: over after {len(samples)} looks, too few to tell; say more --items")
    count_rates(samples, args, size)
    faults, words = judge(samples, args)
    faults += [wrong] if wrong else []
    print_table(samples, args, size)
    print(said.strip())
    print(f"journal: {beside / args.items:.1f} bytes an item" if beside else "no journal is left")
    print(f"soak: {'FAILED: ' + '; '.join(faults) if faults else 'ok'}: {args.kind}, "
          f"{args.items:,} items in {took:,.0f} s, {args.items / took:,.0f}/s; {words}; "
          f"{'rows wrong' if wrong else 'each row there once'}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
