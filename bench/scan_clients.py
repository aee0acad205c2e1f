"""Who searches: each client's command for an expression, and what it found in one form.

A client writes its matches to a file, and a run counts only if they are those that ripgrep found.
"""

import json
import os
import shutil

from common import HERE, OUT, PYTHON, WEIR, Failed, Run, measure, processor

FOUND = OUT / "found.txt"
CORES = os.cpu_count() or 1


def weir(folder, expression, *options):
    """Rows in the order of the walk, as by default; not with -o, which also waits for the disk."""
    if not WEIR.exists():
        raise Failed(f"{WEIR} is not built")
    command = [WEIR, "scan", "-q", *options, "--match", expression.regex]
    command += ["--ignore-case"] if expression.ignore_case else []
    return run([*command, folder], from_rows, FOUND)


def rg(folder, expression, *options):
    command = [tool("rg"), "--no-config", "-n", "--no-heading", *options]
    command += ["-i"] if expression.ignore_case else []
    return run([*command, "-e", expression.regex, folder], from_lines, FOUND)


def grep(folder, expression):
    command = ["env", "LC_ALL=C", tool("grep"), "-rnE", *case(expression)]
    return run([*command, "-e", expression.regex, folder], from_lines, FOUND)


def xargs(folder, expression):
    """As many at once as there are cores; whole lines, or two would write into one."""
    script = (
        'LC_ALL=C find "$1" -type f -print0 | LC_ALL=C xargs -0 -n 500 -P "$2" '
        f'grep -nHE --line-buffered {" ".join(case(expression))} -e "$3"'
    )
    # 123: some grep has found nothing.
    command = ["sh", "-c", script, "sh", folder, CORES, expression.regex]
    return run(command, from_lines, FOUND, exits=(0, 123))


def zgrep(folder, expression):
    """One file after the other, as it is typed; two at once would write into each other's lines."""
    command = [tool("zgrep"), "-nHE", *case(expression), "-e", expression.regex]
    return run([*command, *sorted(folder.iterdir())], from_lines, FOUND)


def threads(folder, expression, workers=CORES):
    command = [PYTHON, HERE / "peer_scan_threads.py", folder, expression.regex, word(expression)]
    return run([*command, FOUND, workers], from_lines, own_time=True)


def duckdb(folder, expression, how="text"):
    there = "**/*.log*" if how == "text" else "*.log*"
    command = [PYTHON, HERE / "peer_duckdb.py", how, folder / there, expression.regex]
    parse = from_lines if how == "text" else from_lines_without_numbers
    return run([*command, word(expression), FOUND], parse, own_time=True)


def tool(name):
    program = shutil.which(name)
    if not program:
        raise Failed(f"{name} is not installed")
    return program


def case(expression):
    return ["-i"] if expression.ignore_case else []


def word(expression):
    return "nocase" if expression.ignore_case else "case"


def run(command, parse, stdout=None, exits=(0,), own_time=False):
    """Gives the Run, and its matches as (path, line, text)."""
    if command[0] == PYTHON and not PYTHON.exists():
        raise Failed("not set up")
    FOUND.unlink(missing_ok=True)
    cost, output = measure(command, "-", stdout=stdout, exits=exits)
    try:
        matches = sorted(map(parse, FOUND.read_bytes().splitlines()))
    except (ValueError, KeyError, OSError) as error:
        raise Failed(f"what it found cannot be read: {error}") from error
    seconds, used = cost["wall"], processor(cost)
    if own_time:
        report = json.loads(output)
        seconds, used = report["seconds"], report["processor"]
    return Run(seconds, cost["peak_rss_kb"], len(matches), used), matches


def from_lines(line):
    path, number, text = line.split(b":", 2)
    return path, int(number), text


def from_lines_without_numbers(line):
    path, text = line.split(b":", 1)
    return path, text


def from_rows(line):
    row = json.loads(line)
    if "error" in row:
        raise Failed(f"{row['path']}: {row['error']}")
    return row["path"].encode(), row["line"], row["text"].encode()


class Same:
    """Holds runs to what ripgrep found, which it has to search for once beforehand."""

    def __init__(self, matches):
        if not matches:
            raise Failed("ripgrep found nothing, so there is nothing to compare")
        self.matches = matches
        self.without_numbers = sorted((path, text) for path, _, text in matches)

    def check(self, matches):
        full = matches and len(matches[0]) == 3
        if matches != (self.matches if full else self.without_numbers):
            raise Failed(f"found {len(matches):,} lines, not the {len(self.matches):,} of ripgrep")

    def case(self, client, *arguments):
        """For Bench.alternate: runs the client and checks what it found."""

        def run_and_check():
            of, matches = client(*arguments)
            self.check(matches)
            return of

        return run_and_check
