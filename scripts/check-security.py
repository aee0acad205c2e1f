#!/usr/bin/env python3
"""Fails when docs/security.md promises what no test proves.

Usage: check-security.py [PROJECT-FOLDER]

Every row of its tables must name tests in its last column, every test named must be there and be
run, and every test of tests/system/test_security.py must be named. A test is `FILE::NAME`; a fuzzer
is its file.
"""

import pathlib
import re
import sys

NAME = re.compile(r"`(\w+\.(?:py|c))(?:::(\w+))?`")


def tests_in(path):
    """The tests of a file that are run."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return set(re.findall(r"^def (test_\w+)\(", text, re.M))
    return set(re.findall(r"^TEST\((\w+)\)", text, re.M)) & set(re.findall(r"\bCASE\((\w+)\)", text))


def find(root, file):
    found = [path for folder in ["src", "cli", "tests"] for path in (root / folder).rglob(file)]
    return found[0] if found else None


def named_test(root, file, name):
    """What is wrong with a test that is named; None: nothing."""
    path = find(root, file)
    if not path:
        return f"there is no {file}"
    if file.startswith("fuzz_"):
        corpus = path.parent / "corpus" / path.stem.removeprefix("fuzz_")
        return None if corpus.is_dir() else f"{file} has no corpus"
    if not name:
        return f"which test of {file} is meant?"
    return None if name in tests_in(path) else f"{file} has no test {name}"


def rows(text):
    """Number and last cell of each row of a table that is not its head."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("|") and not re.match(r"\|\s*(-|from outside)", line):
            yield number, line.rstrip().rstrip("|").rpartition("|")[2]


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    doc = root / "docs" / "security.md"
    text = doc.read_text(encoding="utf-8")
    faults = []
    proved = list(rows(text))
    for number, cell in proved:
        if not NAME.search(cell):
            faults.append(f"line {number}: no test is named")
    for number, line in enumerate(text.splitlines(), 1):
        for file, name in NAME.findall(line):
            if re.search(r"_test\.c$|^(test|fuzz)_", file):
                fault = named_test(root, file, name)
                faults += [f"line {number}: {fault}"] if fault else []
            elif not find(root, file):
                faults.append(f"line {number}: there is no {file}")
    ours = tests_in(root / "tests" / "system" / "test_security.py")
    faults += [f"test_security.py::{name} is not named"
               for name in sorted(ours - set(re.findall(r"test_security\.py::(\w+)", text)))]
    for fault in faults:
        print(f"{doc.relative_to(root)}: {fault}", file=sys.stderr)
    if faults or not proved:
        return 1
    print(f"check-security: {len(proved)} ways, {len(set(NAME.findall(text)))} tests")
    return 0


if __name__ == "__main__":
    sys.exit(main())
