"""What the gate learns from real servers. How well it does is simulated: src/job/gate_simulation.h."""

import threading
import time

import pytest

from conftest import accounted, request, reset

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Leaving:
    """For `hostile`: answers so many connections, resets the next ones, then answers again."""

    def __init__(self, answers, resets):
        self.answers, self.resets = answers, resets
        self.lock = threading.Lock()
        self.seen = 0
        self.resetting = 0

    def __call__(self, conn):
        with self.lock:
            self.seen += 1
            gone = self.answers < self.seen <= self.answers + self.resets
            self.resetting += gone
        if gone:
            reset(conn)
        elif request(conn):
            conn.sendall(OK)


def test_a_server_that_is_gone_for_a_while_costs_no_item(weir, hostile):
    """Their attempts would soon be used up if the failures meanwhile were theirs."""
    server = Leaving(answers=20, resets=8)
    url = hostile(server).url
    done = weir("fetch", url + "/{1..60}", "-j", "4", "--retry", "3", "--unordered")
    assert done.returncode == 0, done.log
    assert accounted(done) == (60, {"ok": 60})
    assert server.resetting == 8


def test_a_server_that_stays_away_fails_its_items_unasked(weir, hostile, api):
    server = Leaving(answers=20, resets=10**9)
    gone, alive = hostile(server).url, api().url
    done = weir("fetch", gone + "/{1..2000}", alive + "/{1..50}", "-j", "4", "--unordered",
                "--breaker", "300ms")
    assert done.returncode == 1
    rows = [row for row in done.rows if row["url"].startswith(gone)]
    assert all(row["status"] == 200 for row in done.rows if row["url"].startswith(alive))
    unasked = [row for row in rows if row["error"] and "the server is gone" in row["error"]]
    assert len(unasked) > 1900
    assert all("no answer since" in row["error"] and "in a row" in row["error"] for row in unasked)
    assert any(row["attempts"] == 0 for row in unasked)
    assert server.resetting < 60
    assert "the server is gone" in done.log


def test_a_redirect_to_nobody_says_nothing_of_who_sent_it(weir, api):
    nobody = "n" * 70 + ".invalid"  # longer than a part of a name may be, so nobody is asked for it
    server = api(lambda asked: (302, {"Location": f"http://{nobody}/"}) if asked.path > "/b" else b"ok")
    done = weir("fetch", server.url + "/a{1..20}", server.url + "/b{1..200}", "-L", "-j", "4",
                "--retry", "0", "--breaker", "300ms")
    assert accounted(done) == (220, {"ok": 20, "failed": 200})
    assert len(server.asked) == 220
    assert all("could not be resolved" in row["error"] for row in done.rows[20:])


def test_a_redirect_to_who_is_silent_slows_nobody_down(weir, api, hostile):
    """Who sent it answers as fast as ever, and is still asked for several at once in the end."""
    lock = threading.Lock()
    open_now, seen, late = set(), [], []

    def stall(conn):
        with lock:
            open_now.add(conn)
            seen.append(conn)
            if len(seen) > 150:
                late.append(len(open_now))
        try:
            while conn.recv(4096):
                pass
        finally:
            with lock:
                open_now.discard(conn)

    silent = hostile(stall).url
    server = api(lambda asked: (302, {"Location": silent}) if asked.path > "/b" else b"ok")
    done = weir("fetch", server.url + "/a{1..20}", server.url + "/b{1..200}", "-L", "--retry",
                "0", "--timeout", "1s")
    assert accounted(done) == (220, {"ok": 20, "failed": 200})
    assert max(late) > 5


def test_without_a_breaker_every_item_is_asked_for(weir, hostile):
    server = Leaving(answers=20, resets=10**9)
    done = weir("fetch", hostile(server).url + "/{1..100}", "-j", "4", "--breaker", "off",
                "--retry", "0")
    assert accounted(done) == (100, {"ok": 20, "failed": 80})
    assert server.resetting == 80


@pytest.mark.parametrize("headers", [
    {"RateLimit": '"default";r=0;t=1'},
    {"X-RateLimit-Limit": "1", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"},
], ids=["RateLimit", "X-RateLimit"])
def test_when_a_server_says_that_nothing_is_left_nothing_is_asked(weir, api, headers):
    server = api(lambda asked: (200, headers if asked.number == 1 else {}, b"ok"))
    done = weir("fetch", server.url + "/{1..4}", "-j", "1", "--lanes", "1")
    assert done.returncode == 0, done.log
    first, second = server.asked[:2]
    assert second.at - first.ended > 0.98


def test_a_slow_server_first_in_the_input_does_not_hold_up_the_next(weir, api):
    """It has all of -j before the other is known, and gives half of it up as its answers come."""
    def slow(asked):
        time.sleep(0.1)
        return b"ok"

    first = api(slow)
    so_far = []
    second = api(lambda asked: so_far.append(len(first.asked)) or b"ok")
    done = weir("fetch", first.url + "/{1..200}", second.url + "/{1..50}", "-j", "8", "--lanes",
                "1", "--unordered")
    assert done.returncode == 0, done.log
    assert max(so_far) < 150
