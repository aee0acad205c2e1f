"""Clocks that jump in mid-run: the time of day to and fro, the monotonic one by an hour forwards,
as it may after a machine was moved or slept."""

import email.utils
import threading
import time

import pytest

from conftest import LIMIT, accounted, wait_until
from faults import faults  # noqa: F401 (a fixture)

HOURS = 3600


def gated(api, count, late=b"late"):
    """A server that answers the first `count` requests when the gate opens, others at once."""
    gate = threading.Event()
    return api(lambda asked: gate.wait(LIMIT) and late if asked.number <= count else b"ok"), gate


def leap(faults_, server, gate, count, rule=0):
    """Once so many requests are there the clock leaps; then they are answered."""
    def go():
        wait_until(lambda: len(server.asked) >= count)
        faults_.arm(rule)
        gate.set()
    thread = threading.Thread(target=go)
    thread.start()
    return thread


# ---- the time of day ----

@pytest.mark.parametrize("hours", [-5, 5])
def test_the_time_of_day_jumps(weir, api, faults, hours):
    """No time-out, no retry and no pause is by it."""
    rules = faults(f"realtime:!:jump={hours * HOURS}")
    server, gate = gated(api, 10)
    thread = leap(rules, server, gate, 10)
    done = weir("fetch", server.url + "/{1..40}", "-j", "10", "--timeout", "50s", "--rate",
                "2000/s", env=rules.env)
    thread.join(LIMIT)
    assert done.returncode == 0, done.log
    assert accounted(done) == (40, {"ok": 40})
    assert len(server.asked) == 40
    assert all(0 <= row["elapsed_ms"] < LIMIT * 1000 for row in done.rows)


@pytest.mark.parametrize("hours", [-5, 5])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_when_the_time_of_day_is_wrong(weir, api, faults, hours, form):
    """A date is meant by the server's clock, which its Date header tells."""
    rules = faults(f"realtime:!:jump={hours * HOURS}")
    rules.arm()

    def answer(asked):
        if asked.number > 1:
            return b"ok"
        soon = email.utils.formatdate(time.time() + 2, usegmt=True)
        return 503, {"Retry-After": soon if form == "date" else "1"}, b""

    server = api(answer)
    done = weir("fetch", server.url, "--retry-delay", "1ms", "--retry-after-max", "20s",
                env=rules.env)
    assert done.returncode == 0, done.log
    assert done.rows[0]["attempts"] == 2 and rules.struck()
    assert server.asked[1].at - server.asked[0].at > 0.5  # it was waited for


# ---- the monotonic clock ----

def test_it_leaps_with_requests_in_flight(weir, api, faults):
    """They have taken an hour and time out, once; the retries, spread as ever, are answered."""
    rules = faults(f"monotonic:!:jump={HOURS}")
    server, gate = gated(api, 8)
    done = []
    run = threading.Thread(target=lambda: done.append(
        weir("fetch", server.url + "/{1..20}", "-j", "8", "--lanes", "1", "--timeout", "30s",
             "--retry-delay", "20ms", env=rules.env)))
    run.start()
    wait_until(lambda: len(server.asked) == 8)
    rules.arm()
    wait_until(lambda: len(server.asked) > 8 or not run.is_alive())
    gate.set()
    run.join(LIMIT)
    assert done[0].returncode == 0, done[0].log
    assert accounted(done[0]) == (20, {"ok": 20})
    assert 20 <= len(server.asked) <= 28 + 8  # a few may have been begun amid the leap
    assert max(row["attempts"] for row in done[0].rows) <= 3


def test_a_deadline_that_was_leapt_over(weir, api, faults):
    rules = faults(f"monotonic:!:jump={HOURS}")
    server, gate = gated(api, 4)
    thread = leap(rules, server, threading.Event(), 4)
    done = weir("fetch", server.url + "/{1..20}", "-j", "4", "--deadline", "10m", "--timeout",
                "none", env=rules.env)
    gate.set()
    thread.join(LIMIT)
    assert done.returncode == 1 and "deadline" in done.log
    total, parts = accounted(done)
    assert total == 20 == sum(parts.values())
    assert parts["cancelled"] == 4


def test_a_pause_that_was_leapt_over(weir, api, faults):
    """Who waits goes on when the leap is noticed, once, and nobody else is
    disturbed."""
    rules = faults(f"monotonic:!:jump={HOURS}")
    busy = api(lambda asked: b"ok" if asked.number > 1 else (503, {"Retry-After": "20"}, b""))
    other, gate = gated(api, 1)
    done = []
    run = threading.Thread(target=lambda: done.append(
        weir("fetch", busy.url, other.url, "--lanes", "1", "--retry-after-max", "1h", "--timeout",
             "none", "--retry-delay", "1ms", env=rules.env)))
    run.start()
    wait_until(lambda: busy.asked and busy.asked[0].ended and other.asked)
    rules.arm()
    gate.set()
    run.join(LIMIT)
    assert not run.is_alive()
    assert done[0].returncode == 0, done[0].log
    assert (len(busy.asked), len(other.asked)) == (2, 1)


@pytest.mark.parametrize("option", [[], ["--timeout", "10m", "--grace", "1s"]], ids=["", "timeout"])
def test_it_leaps_with_commands_at_work(weir, faults, tmp_path, option):
    """Without a time-out nothing happens to them; with one they have run into it."""
    rules = faults(f"monotonic:!:jump={HOURS}")
    begun = tmp_path / "begun"
    begun.mkdir()
    done = []
    run = threading.Thread(target=lambda: done.append(
        weir("exec", "-j", "2", "--lanes", "1", *option, "--shell",
             "touch begun/{}; until [ -e go ]; do sleep 0.02; done", ":::", "1", "2", "3",
             env=rules.env, cwd=tmp_path)))
    run.start()
    wait_until(lambda: len(list(begun.iterdir())) == 2)
    rules.arm()
    (tmp_path / "go").touch()
    run.join(LIMIT)
    assert not run.is_alive()
    assert sum(accounted(done[0])[1].values()) == 3, done[0].log
    for row in done[0].rows:
        assert row["exit_code"] == 0 or (option and "--timeout" in row["error"]), row


def test_scan_does_not_mind(weir, faults, tmp_path):
    for i in range(50):
        (tmp_path / f"{i}.txt").write_text("x\n")
    rules = faults(f"monotonic:40+:jump={HOURS}", f"realtime:2+:jump=-{HOURS}")
    done = weir("scan", tmp_path, "-g", "*.txt", "-e", "x", env=rules.env)
    assert done.returncode == 0, done.log
    assert accounted(done) == (50, {"ok": 50}) and len(done.rows) == 50
    assert rules.struck()
