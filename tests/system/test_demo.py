"""weir demo leaves its rows, and says what it measured."""

import pathlib
import re
import signal

from conftest import LIMIT, read_rows, wait_until


def test_it_leaves_200_products(weir, tmp_path):
    done = weir("demo", "--latency", "5ms", cwd=tmp_path)
    assert done.returncode == 0, done.log
    rows = read_rows(tmp_path / "products.ndjson")
    assert [row["body"]["id"] for row in rows] == list(range(1, 201))
    assert {row["status"] for row in rows} == {200}
    for name in ["one by one", "16 in flight", "all in flight"]:
        assert len(re.findall(rf"^{name} +[━╸].*limit", done.text, re.M)) == 1
    assert "products.ndjson" in done.text
    assert "\x1b" not in done.text
    assert [path.name for path in tmp_path.iterdir()] == ["products.ndjson"]


def test_its_options(weir, tmp_path):
    done = weir("demo", "--latency", "1ms", "--products", "5", "-o", "mine.ndjson", cwd=tmp_path)
    assert done.returncode == 0, done.log
    assert len(read_rows(tmp_path / "mine.ndjson")) == 5


def test_an_output_that_cannot_be_written(weir, tmp_path):
    done = weir("demo", "--latency", "1ms", "--products", "2", "-o", "none/x", cwd=tmp_path)
    assert done.returncode == 2 and "none/x" in done.log


def test_ctrl_c_skips_the_first_round(weir, tmp_path, processes):
    process = weir.start("demo", "--latency", "300ms", "--products", "30", cwd=tmp_path)
    processes.append(process)
    wait_until(lambda: takes_signals(process))
    process.send_signal(signal.SIGINT)
    out, log = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, log
    assert b"stopped after" in out
    assert len(read_rows(tmp_path / "products.ndjson")) == 30


def takes_signals(process):
    """Has the round begun, in which Ctrl-C is blocked and asked for? (While a thread starts, all signals
    are blocked for a moment.)"""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    blocked = int(re.search(r"SigBlk:\s*(\w+)", status)[1], 16)
    return blocked >> (signal.SIGINT - 1) & 1 and not blocked >> (signal.SIGUSR1 - 1) & 1
