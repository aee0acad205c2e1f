"""The programs of examples/ do what their first comment says."""
import json
import os
import pathlib
import subprocess

from conftest import LIMIT

BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", "build"))


def run(name, *args):
    return subprocess.run([BUILD / "examples" / f"example-{name}", *args], capture_output=True,
                          text=True, timeout=LIMIT, check=False)


def test_fetch(mock):
    done = run("fetch", mock().url + "/products/{1..20}")
    assert done.returncode == 0
    assert [json.loads(line)["body"]["id"] for line in done.stdout.splitlines()] == list(range(1, 21))
    assert done.stderr.startswith("20 of 20 ok, 20 rows")


def test_fetch_counts_failures(mock):
    done = run("fetch", mock().url + "/status/{200,404,404}")
    assert done.returncode == 1
    assert "1 of 3 ok, 3 rows" in done.stderr
    assert "2 x HTTP 404 Not Found" in done.stderr


def test_fetch_refuses_what_is_no_url():
    done = run("fetch", "gopher://host/")
    assert done.returncode == 2
    assert "http://" in done.stderr
