"""ripgrep as the oracle of weir scan, and both their answers in one form."""

import base64
import os
import shutil
import subprocess

import pytest

from conftest import LIMIT

# Nothing of the user's, no colours, and bytes as they are: ripgrep would decode UTF-16.
ALWAYS = ["--no-config", "--color=never", "-E", "none"]


def run(*args, cwd=None, home=None):
    """Its standard output; that something could not be read is for the caller to know."""
    path = shutil.which("rg")
    if not path:
        pytest.fail("ripgrep is not installed: run scripts/deps.sh")
    env = {"PATH": os.environ["PATH"], "HOME": str(home or "/nonexistent"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run([path, *ALWAYS, *map(str, args)], cwd=cwd, env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
                          timeout=LIMIT)
    return done.stdout


def lines(*args, **options):
    """What matches: (path, line, text) of bytes, sorted. No path may hold a line feed."""
    found = []
    for line in run("-nH", "--null", "--no-heading", *args, **options).split(b"\n")[:-1]:
        path, nul, rest = line.partition(b"\0")
        if nul:  # else it speaks of a binary file
            number, _, text = rest.partition(b":")
            found.append((path, int(number), text))
    return sorted(found)


def paths(*args, **options):
    """A list of paths, sorted."""
    return sorted(run("--null", *args, **options).split(b"\0")[:-1])


def counts(*args, **options):
    """path -> how many lines match."""
    found = {}
    for piece in run("--null", "-c", *args, **options).split(b"\n")[:-1]:
        path, _, number = piece.partition(b"\0")
        found[path] = int(number)
    return found


def path_of(row):
    """A row's path as bytes."""
    if row.get("path_encoding") == "base64":
        return base64.b64decode(row["path"])
    return row["path"].encode()


def text_of(row, column="text"):
    """What a line or a file holds, as bytes."""
    if row.get(column + "_encoding") == "base64":
        return base64.b64decode(row[column])
    return row[column].encode()


def matches(done):
    """The lines of a scan in the same form; without rows of failures."""
    return sorted((path_of(row), row["line"], text_of(row)) for row in done.rows
                  if row.get("error") is None)
