"""How many at once, how fast, how long, how large: the bounds hold, as the servers see them."""

import re
import resource
import subprocess
import threading
import time

import pytest

from conftest import LIMIT, accounted, request, wait_until


# ---- how many at once ----

@pytest.mark.parametrize("jobs,lanes", [(1, 1), (3, 2), (17, 4), (100, 2)])
def test_jobs_is_never_exceeded_and_is_reached(weir, mock, jobs, lanes):
    server = mock("--latency", "20ms" if jobs == 1 else "100ms" if jobs < 100 else "2s")
    done = weir("fetch", server.url + f"/products/{{1..{10 * jobs if jobs < 100 else 150}}}", "-j",
                jobs, "--lanes", lanes, "--no-body")
    assert done.returncode == 0, done.log
    assert server.get("/stats")["peak_in_flight"] == jobs
    assert f"at most {jobs} in flight" in done.log


def test_per_host(weir, mock):
    one, other = mock("--latency", "100ms"), mock("--latency", "100ms")
    done = weir("fetch", one.url + "/products/{1..40}", other.url + "/products/{1..40}", "-j", "64",
                "--per-host", "5", "--no-body")
    assert done.returncode == 0, done.log
    assert one.get("/stats")["peak_in_flight"] == 5
    assert other.get("/stats")["peak_in_flight"] == 5


def test_jobs_counts_all_hosts_together(weir, api):
    lock, numbers = threading.Lock(), {"now": 0, "peak": 0}

    def answer(_):
        with lock:
            numbers["now"] += 1
            numbers["peak"] = max(numbers["peak"], numbers["now"])
        threading.Event().wait(0.005)
        with lock:
            numbers["now"] -= 1
        return b""

    one, other = api(answer), api(answer)
    weir("fetch", one.url + "/{1..60}", other.url + "/{1..60}", "-j", "6", "--no-body")
    assert 1 < numbers["peak"] <= 6


def test_ten_thousand_at_once(weir, mock):
    """All 10,000 are in flight at the same moment: none is answered before."""
    count = 10_000
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2 * count:
        pytest.skip("the hard limit of open files is below 20,000")
    server = mock("--latency", "3s", "--connections", count + 100)
    done = weir("fetch", server.url + f"/products/{{1..{count}}}", "-j", count, "--no-body", "-o",
                "/dev/null")
    assert done.returncode == 0, done.log
    assert accounted(done) == (count, {"ok": count})
    assert server.get("/stats")["peak_in_flight"] > 0.9 * count


def test_auto_finds_more_than_one(weir, mock):
    server = mock("--latency", "20ms")
    done = weir("fetch", server.url + "/products/{1..1000}", "--no-body", "-o", "/dev/null")
    assert done.returncode == 0, done.log
    assert server.get("/stats")["peak_in_flight"] > 8


# ---- how fast ----

def test_rate(weir, api):
    """41 requests at 40 a second take a second, but for the two (a twentieth of a second's worth)
    that may start at once."""
    server = api()
    began = time.monotonic()
    done = weir("fetch", server.url + "/{1..41}", "--rate", "40/s", "-j", "50")
    assert done.returncode == 0, done.log
    assert len(server.asked) == 41
    assert max(asked.at for asked in server.asked) - began > 38 / 40


def test_rate_is_per_server(weir, api):
    one, other = api(), api()
    began = time.monotonic()
    weir("fetch", "-i", "-", "--input-format", "lines", "{line:raw}/{1..15}", "--rate", "20/s",
         input=f"{one.url}\n{other.url}\n")
    for server in (one, other):
        assert max(asked.at for asked in server.asked) - began > 13 / 20
    assert max(one.asked[0].at, other.asked[0].at) < min(one.asked[-1].at, other.asked[-1].at)


def test_retries_count_towards_the_rate(weir, api):
    server = api(500)
    began = time.monotonic()
    weir("fetch", server.url + "/{1..5}", "--rate", "20/s", "--retry-delay", "1ms")
    assert len(server.asked) == 20
    assert max(asked.at for asked in server.asked) - began > 18 / 20


# ---- how long ----

def test_timeout(weir, api):
    gate = threading.Event()
    server = api(lambda asked: gate.wait(LIMIT) and b"" if asked.path == "/2" else b"")
    done = weir("fetch", server.url + "/{1..3}", "--timeout", "2s", "--retry", "1",
                "--retry-delay", "1ms")
    gate.set()
    assert done.returncode == 1
    rows = done.rows
    assert [row["status"] for row in rows] == [200, None, 200]
    assert rows[1]["attempts"] == 2
    assert "--timeout" in rows[1]["error"]


def test_a_body_that_never_ends_runs_into_the_timeout(weir, hostile):
    gate = threading.Event()

    def answer(conn):
        if request(conn):
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin")
            gate.wait(LIMIT)

    done = weir("fetch", hostile(answer).url, "--timeout", "200ms", "--retry", "0")
    gate.set()
    assert done.returncode == 1
    assert "--timeout" in done.rows[0]["error"]


def test_deadline(weir, api):
    """What is in flight is cancelled, what has not begun is not started, and rows stay whole."""
    gate = threading.Event()
    server = api(lambda asked: b"" if asked.path in ("/1", "/2") else gate.wait(LIMIT) and b"")
    done = weir("fetch", server.url + "/{1..100}", "--deadline", "1s", "-j", "4", "--lanes", 1)
    gate.set()
    assert done.returncode == 1
    total, parts = accounted(done)
    assert total == 100 and sum(parts.values()) == 100
    assert parts["cancelled"] == 4
    assert len(done.rows) == parts.get("ok", 0) <= 2  # on a busy machine they may come too late
    assert "deadline" in done.log
    assert len(server.asked) <= 6


def test_deadline_ends_a_hold(weir, api):
    server = api((503, {"Retry-After": "60"}))
    done = weir("fetch", server.url + "/{1..5}", "--deadline", "2s", "-j", "1")
    assert done.returncode == 1
    total, parts = accounted(done)
    assert total == 5 == sum(parts.values()) and "ok" not in parts
    assert len(server.asked) == 1


# ---- how large ----

def test_max_body(weir, api):
    server = api(lambda asked: b"x" * int(asked.path[1:]))
    done = weir("fetch", server.url + "/{999,1000,1001,100000}", "--max-body", "1000")
    assert done.returncode == 1
    rows = done.rows
    assert [len(row["body"] or "") for row in rows[:2]] == [999, 1000]
    for row in rows[2:]:
        assert "--max-body" in row["error"] and row["attempts"] == 1
        assert row["body"] is None


def run_measured(measured_weir, *args):
    """The finished command's exit code, standard error and peak memory in bytes."""
    done = measured_weir(*args, stdout=subprocess.DEVNULL)
    log, peak = done.log.rstrip("\n").rsplit("\n", 1)
    return done.returncode, log, int(peak) * 1024


def test_memory_bounds_large_bodies(measured_weir, mock, sanitized):
    """400 MB of bodies, all of them wanted at once, through a budget of 16 MB."""
    server = mock()
    code, log, peak = run_measured(measured_weir, "fetch", server.url + "/bytes/2000000?{1..200}",
                                   "-j", "200", "--memory", "16M")
    assert code == 0, log
    assert sanitized or peak < 120 << 20


def test_memory_bounds_rows_that_wait_for_the_first(measured_weir, api, sanitized):
    """All others are done, but order keeps them until the first is."""
    gate = threading.Event()
    server = api(lambda asked: gate.wait(LIMIT) and b"" if asked.path == "/1" else b"x" * 500_000)
    timer = threading.Thread(target=lambda: (wait_until(lambda: len(server.asked) > 4), gate.set()))
    timer.start()
    code, log, peak = run_measured(measured_weir, "fetch", server.url + "/{1..200}", "-j", "100",
                                   "--memory", "4M")
    timer.join(LIMIT)
    assert code == 0, log
    assert sanitized or peak < 100 << 20


def test_a_body_larger_than_the_memory(weir, mock):
    """The row that is awaited may always grow, or the run would never end."""
    done = weir("fetch", mock().url + "/bytes/5000000?{1..3}", "--memory", "1M", "-j", "3")
    assert done.returncode == 0, done.log
    assert [len(row["body"]) for row in done.rows] == [5_000_000] * 3


def test_a_reader_that_is_slow_stops_the_run(weir, mock, processes):
    """Rows that nobody reads are kept up to the budget; after that nothing begins."""
    server = mock()
    process = weir.start("fetch", server.url + "/bytes/100000?{1..300}", "--memory", "1M", "-j",
                         "4", "--lanes", "1")
    processes.append(process)
    wait_until(lambda: server.get("/stats")["requests"] >= 4)
    first = process.stdout.readline()
    assert len(first) > 100_000
    assert settled(server) < 200
    rest, log = process.communicate(timeout=LIMIT)
    assert rest.count(b"\n") == 299 and process.returncode == 0, log


def settled(server):
    """The number of requests once it has stopped to grow."""
    last = [-1, 0]

    def same():
        now = server.get("/stats")["requests"]
        last[1] = last[1] + 1 if now == last[0] else 0
        last[0] = now
        return last[1] == 20
    wait_until(same)
    return last[0]


# ---- descriptors ----

def low_limit(soft, hard):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_low_hard_limit_caps_and_says_so(weir, mock):
    server = mock("--latency", "5ms")
    done = weir("fetch", server.url + "/products/{1..500}", "-j", "500", "--lanes", "1",
                "--no-body", preexec_fn=low_limit(64, 256))
    assert done.returncode == 0, done.log
    assert accounted(done) == (500, {"ok": 500})
    notes = [line for line in done.log.splitlines() if line.startswith("note:")]
    assert len(notes) == 1 and "256" in notes[0] and "ulimit" in notes[0]
    capped = int(re.search(r"at most (\d+) in flight", notes[0])[1])
    assert server.get("/stats")["peak_in_flight"] <= capped < 256


def test_a_very_low_hard_limit(weir, mock):
    server = mock()
    done = weir("fetch", server.url + "/products/{1..100}", "-j", "100", "--no-body",
                preexec_fn=low_limit(40, 40))
    assert done.returncode == 0, done.log
    assert accounted(done) == (100, {"ok": 100})


def test_the_soft_limit_is_raised(weir, mock):
    server = mock("--latency", "2s")
    done = weir("fetch", server.url + "/products/{1..300}", "-j", "300", "--no-body",
                preexec_fn=low_limit(64, 1024))
    assert done.returncode == 0, done.log
    assert "note:" not in done.log
    assert server.get("/stats")["peak_in_flight"] > 64  # all 300, if the machine is quick enough


def test_many_hosts_keep_few_connections(weir, api):
    """Connections to 60 servers do not add up beyond the descriptors there are."""
    servers = [api() for _ in range(60)]
    done = weir("fetch", "-i", "-", "--input-format", "lines", "{line:raw}/{1..3}", "-j", "20",
                "--lanes", "1", "--no-body", input="".join(one.url + "\n" for one in servers),
                preexec_fn=low_limit(100, 100))
    assert done.returncode == 0, done.log
    assert accounted(done) == (180, {"ok": 180})
