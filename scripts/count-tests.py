#!/usr/bin/env python3
"""Counts what was tested, from Meson's own logs.

Usage: count-tests.py TESTLOG.json...

A TAP test counts with each of its cases, a pytest run with each of its tests, any other test as
one. Prints "N passed, N failed, N skipped" and fails if a test failed or if none ran at all.
"""

import json
import re
import sys

TAP_LINE = re.compile(r"^(ok|not ok)\b(.*)$")
PYTEST_END = re.compile(r"^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s")
PYTEST_FAILED = {"failed", "error", "errors"}
PYTEST_PASSED = {"passed", "xfailed"}
GOOD = {"OK", "EXPECTEDFAIL"}


def count_tap(text):
    passed = failed = skipped = 0
    for line in text.splitlines():
        match = TAP_LINE.match(line)
        if not match:
            continue
        directive = match.group(2).upper()
        if "# SKIP" in directive:
            skipped += 1
        elif match.group(1) == "ok" or "# TODO" in directive:
            passed += 1
        else:
            failed += 1
    return passed, failed, skipped


def count_pytest(text):
    for line in reversed(text.splitlines()):
        match = PYTEST_END.match(line)
        if match:
            break
    else:
        return None
    passed = failed = skipped = 0
    for number, word in re.findall(r"(\d+) ([a-z]+)", match.group(1)):
        if word in PYTEST_FAILED or word == "xpassed":
            failed += int(number)
        elif word in PYTEST_PASSED:
            passed += int(number)
        elif word == "skipped":
            skipped += int(number)
    return passed, failed, skipped


def count_test(test):
    text = test.get("stdout") or ""
    result = test["result"]
    if result == "SKIP":
        return 0, 0, 1
    counts = None
    if "TAP version" in text:
        counts = count_tap(text)
    elif "pytest" in test.get("command", []):
        counts = count_pytest(text)
    if counts is None or not any(counts):
        counts = (1, 0, 0) if result in GOOD else (0, 1, 0)
    passed, failed, skipped = counts
    if result not in GOOD and failed == 0:  # it crashed, timed out or leaked after its last case
        failed = 1
    return passed, failed, skipped


def main():
    totals = [0, 0, 0]
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as log:
            for line in log:
                totals = [a + b for a, b in zip(totals, count_test(json.loads(line)))]
    print("{} passed, {} failed, {} skipped".format(*totals))
    if totals[1] or not totals[0]:
        sys.exit(1)


if __name__ == "__main__":
    main()
