"""At the end of every run the numbers add up: input = ok + failed + cancelled + not started."""

import gzip
import re
import signal
import threading

import pytest

from conftest import LIMIT, Done, accounted, parse_rows, read_rows, wait_until


def adds_up(done, rows=None):
    """The parts, after checking that they add up and agree with the rows."""
    total, parts = accounted(done)
    assert total == sum(parts.values()), done.log
    rows = done.rows if rows is None else rows
    counted = {"ok": sum(row["error"] is None for row in rows),
               "failed": sum(row["error"] is not None for row in rows)}
    assert {name: parts.get(name, 0) for name in counted} == counted, done.log
    return parts


def test_all_ok(weir, nginx):
    done = weir("fetch", nginx.url + "/products/{1..200}.json")
    assert adds_up(done) == {"ok": 200}
    assert "200 requests, all ok" in done.log


def test_one(weir, nginx):
    assert "1 request, ok" in weir("fetch", nginx.url + "/hello.txt").log


def test_some_failed(weir, nginx):
    done = weir("fetch", nginx.url + "/products/{191..210}.json", nginx.url + "/teapot", "--retry",
                "0")
    assert adds_up(done) == {"ok": 10, "failed": 11}
    assert "10 × HTTP 404 Not Found" in done.log and "1 × HTTP 418" in done.log
    assert nginx.url + "/products/201.json" in done.log  # an example


def test_failures_of_every_kind(weir, mock, refused_port):
    server = mock("--errors", "60%")
    done = weir("fetch", server.url + "/products/{1..200}",
                f"http://127.0.0.1:{refused_port}/{{1..10}}", "--retry", "1", "--retry-delay",
                "1ms", "--timeout", "300ms", "-j", "100", "--no-body")
    parts = adds_up(done)
    assert sum(parts.values()) == 210 and parts["failed"] > 20
    groups = re.findall(r"^ +([\d,]+) × ", done.log, re.M)
    assert sum(int(number.replace(",", "")) for number in groups) == parts["failed"]


def test_many_reasons_are_grouped(weir, api):
    server = api(lambda asked: int(asked.path[1:]))
    done = weir("fetch", server.url + "/{400..599}", "--retry", "0")
    assert adds_up(done) == {"failed": 200}
    named = re.findall(r"^ +([\d,]+) × ", done.log, re.M)
    rest = re.search(r"and ([\d,]+) for [\d,]+ more reasons", done.log)
    assert sum(map(int, named)) + int(rest[1]) == 200
    assert len(done.log.splitlines()) < 30


def test_deadline(weir, mock):
    server = mock("--latency", "200ms")
    done = weir("fetch", server.url + "/products/{1..1000}", "-j", "20", "--deadline", "2s",
                "--no-body")
    parts = adds_up(done)
    assert sum(parts.values()) == 1000
    assert parts["ok"] > 0 and parts["cancelled"] > 0 and parts["not started"] > 0
    assert "deadline" in done.log


def test_fail_fast(weir, mock):
    server = mock("--latency", "50ms")
    done = weir("fetch", server.url + "/products/{1..10}", server.url + "/nothing",
                server.url + "/products/{1..500}", "-j", "10", "--fail-fast", "--no-body")
    parts = adds_up(done)
    assert sum(parts.values()) == 511 and parts["failed"] == 1 and parts["not started"] > 400


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("to_file", [False, True])
def test_ctrl_c(weir, api, processes, tmp_path, times, to_file):
    gate = threading.Event()
    server = api(lambda asked: b"" if asked.number <= 20 else gate.wait(LIMIT) and b"")
    out = tmp_path / "out.ndjson"
    process = weir.start("fetch", server.url + "/{1..100}", "-j", "8",
                         *(["-o", out] if to_file else []))
    processes.append(process)
    wait_until(lambda: len(server.asked) == 28)
    process.send_signal(signal.SIGINT)
    first = process.stderr.readline()
    if times == 2:
        process.send_signal(signal.SIGINT)
    else:
        gate.set()
    rows, log = process.communicate(timeout=LIMIT)
    gate.set()
    done = Done([], process.returncode, rows, first + log)
    assert done.returncode == 130
    rows = read_rows(f"{out}.partial") if to_file else parse_rows(rows)
    expected = {"ok": 20, "cancelled": 8, "not started": 72} if times == 2 else \
        {"ok": 28, "not started": 72}
    assert adds_up(done, rows) == expected


def test_faulty_rows_count(weir, api):
    done = weir("fetch", "-i", "-", "--input-format", "csv", api().url + "/{a}",
                input="a,b\n" + "1,2\n3\n" * 50)
    assert adds_up(done) == {"ok": 50, "failed": 50}


def test_a_damaged_input(weir, mock, tmp_path):
    """What had been read of it is accounted for."""

    data = gzip.compress(b"a\n" + b"".join(b"%d\n" % n for n in range(10_000)))
    (tmp_path / "in.csv.gz").write_bytes(data[:-1000])
    done = weir("fetch", "-i", tmp_path / "in.csv.gz", mock().url + "/echo?{a}", "-o",
                tmp_path / "out.ndjson")
    assert done.returncode == 2
    total, parts = accounted(done)
    assert total == sum(parts.values())


def test_a_full_disk(weir, nginx):
    done = weir("fetch", nginx.url + "/products/{1..200}.json", "-o", "/dev/full")
    assert done.returncode == 2
    total, parts = accounted(done)
    assert total == 200 == sum(parts.values())


def test_retries_are_counted(weir, api):
    server = api(lambda asked: 503 if asked.number <= 3 else b"")
    done = weir("fetch", server.url, "--retry-delay", "1ms")
    assert adds_up(done) == {"ok": 1}
    assert "4 waits" in done.log and "3 retries" in done.log


def test_waiting_is_added_up(weir, mock):
    """50 waits of 100 ms at least, which overlap."""
    done = weir("fetch", mock("--latency", "100ms").url + "/products/{1..50}", "-j", "50")
    waits, waited, unit, times = re.search(
        r"([\d,]+) waits, ([\d.]+) (m?s) of waiting, in .*: ([\d.,]+)× overlapped",
        done.log).groups()
    assert waits == "50" and unit == "s" and float(waited) >= 5
    assert float(times) > 1
    elapsed = sum(row["elapsed_ms"] for row in done.rows)
    assert abs(elapsed / 1000 - float(waited)) < max(0.1, float(waited) / 100)


def test_where_the_rows_are(weir, nginx, tmp_path):
    done = weir("fetch", nginx.url + "/hello.txt", "-o", "out.ndjson", "--errors", "bad.ndjson",
                cwd=tmp_path)
    assert "rows in out.ndjson, failed rows in bad.ndjson" in done.log


def test_a_run_that_was_cut_short_leaves_the_old_file_alone(weir, api, tmp_path):
    """Only a run that came through its input may take the place of a file."""
    output = tmp_path / "rows.ndjson"
    output.write_text("old\n")
    gate = threading.Event()
    server = api(lambda asked: asked.path == "/1" and b"" or gate.wait(LIMIT) and b"")
    done = weir("fetch", server.url + "/{1..10}", "-j", "2", "--deadline", "1s", "-o", output)
    gate.set()
    assert done.returncode == 1
    assert output.read_text() == "old\n"
    assert "rows in" not in done.log


def test_both_outputs_in_one_file_are_refused(weir, tmp_path):
    (tmp_path / "rows.ndjson").write_text("old\n")
    (tmp_path / "link.ndjson").symlink_to(tmp_path / "rows.ndjson")
    for other in ["./rows.ndjson", "link.ndjson"]:
        done = weir("fetch", "http://127.0.0.1:9/", "-o", "rows.ndjson", "--errors", other,
                    cwd=tmp_path)
        assert done.returncode == 2
        assert "cannot both go to" in done.log
    assert [path.name for path in tmp_path.glob("rows*")] == ["rows.ndjson"]
    assert (tmp_path / "rows.ndjson").read_text() == "old\n"
