"""What is tried again, how often, and who is held back meanwhile."""

import collections
import email.utils
import threading
import time

import pytest

from conftest import accounted, request, reset

FAST = ["--retry-delay", "1ms", "--retry-max-delay", "5ms"]


def failing(times, *answer):
    """Gives each path this answer so many times, then 200."""
    seen = collections.Counter()
    lock = threading.Lock()

    def give(asked):
        with lock:
            seen[asked.path] += 1
            return answer if seen[asked.path] <= times else (200, {}, b"ok")
    return give


def one_row(done):
    assert len(done.rows) == 1, done.log
    return done.rows[0]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(weir, api, status):
    server = api(failing(2, status, {}))
    row = one_row(weir("fetch", server.url, *FAST))
    assert (row["status"], row["attempts"], row["error"]) == (200, 3, None)
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 501, 505])
def test_what_stays_is_not(weir, api, status):
    server = api(failing(2, status, {}))
    done = weir("fetch", server.url, *FAST)
    row = one_row(done)
    assert (done.returncode, row["status"], row["attempts"]) == (1, status, 1)
    assert f"HTTP {status}" in row["error"]


def test_three_retries_and_no_more(weir, api):
    server = api(500)
    done = weir("fetch", server.url, *FAST)
    assert done.returncode == 1
    assert one_row(done)["attempts"] == 4 == len(server.asked)
    assert "3 retries" in done.log


@pytest.mark.parametrize("retries", [0, 1, 7])
def test_retry(weir, api, retries):
    server = api(500)
    row = one_row(weir("fetch", server.url, "--retry", retries, *FAST))
    assert row["attempts"] == retries + 1 == len(server.asked)


@pytest.mark.parametrize("on,status,again", [
    ("404", 404, True), ("404", 500, False), ("5xx", 501, True), ("500-502", 502, True),
    ("500-502", 503, False), ("default,-500", 500, False), ("default,404", 500, True),
    ("none", 500, False), ("all", 404, True), ("timeout", 500, False)])
def test_retry_on(weir, api, on, status, again):
    row = one_row(weir("fetch", api(failing(1, status, {})).url, "--retry-on", on, *FAST))
    assert row["attempts"] == (2 if again else 1)


def test_retry_on_nonsense(weir, api):
    server = api()
    done = weir("fetch", server.url, "--retry-on", "500,nonsense")
    assert done.returncode == 2 and not server.asked
    assert '"nonsense"' in done.log and "--retry-on" in done.log


def breaking(times, how):
    """Breaks so many connections in this way, then answers."""
    left = [times]

    def answer(conn):
        if not request(conn):
            return
        left[0] -= 1
        if left[0] >= 0:
            how(conn)
        else:
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    return answer


def truncate(conn):
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")


def hang_up(conn):
    conn.close()


@pytest.mark.parametrize("how,word", [(reset, "reset"), (hang_up, "reset"),
                                      (truncate, "truncated")])
def test_broken_connections(weir, hostile, how, word):
    row = one_row(weir("fetch", hostile(breaking(2, how)).url, *FAST))
    assert (row["status"], row["body"], row["error"]) == (200, "ok", None)
    row = one_row(weir("fetch", hostile(breaking(1, how)).url, *FAST, "--retry-on",
                       f"default,-{word}"))
    assert row["attempts"] == 1 and row["error"]


def test_a_hang_is_tried_again(weir, hostile):
    server = hostile(breaking(1, lambda conn: conn.recv(1)))
    row = one_row(weir("fetch", server.url, *FAST, "--timeout", "2s"))
    assert (row["status"], row["attempts"]) == (200, 2)


@pytest.mark.parametrize("method,attempts", [
    ("GET", 4), ("HEAD", 4), ("PUT", 4), ("DELETE", 4), ("POST", 1), ("PATCH", 1)])
def test_only_what_may_be_repeated(weir, api, method, attempts):
    server = api(500)
    assert one_row(weir("fetch", "-X", method, server.url, *FAST))["attempts"] == attempts
    assert len(server.asked) == attempts


def test_retry_unsafe(weir, api):
    server = api(failing(2, 503, {}))
    row = one_row(weir("fetch", server.url, "-d", "a=1", "--retry-unsafe", *FAST))
    assert (row["status"], row["attempts"]) == (200, 3)
    assert [asked.body for asked in server.asked] == [b"a=1"] * 3


def test_a_post_that_was_never_sent_may_be_sent(weir, refused_port):
    row = one_row(weir("fetch", f"http://127.0.0.1:{refused_port}", "-d", "a=1", *FAST))
    assert row["attempts"] == 4


def test_a_post_on_a_connection_that_died_is_not_repeated(weir, hostile):
    """A server that closes a kept connection on the second request has perhaps acted on it."""
    seen = []

    def answer(conn):
        while head := request(conn):
            seen.append(head.split(b" ")[1])
            if head.startswith(b"POST /2"):
                return
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    done = weir("fetch", hostile(answer).url + "/{1..3}", "-X", "POST", "-j", "1", *FAST)
    assert seen.count(b"/2") == 1
    assert [row["attempts"] for row in done.rows] == [1, 1, 1]
    assert [row["error"] is None for row in done.rows] == [True, False, True]


# ---- Retry-After ----

def http_dates(when):
    """The three forms of a date."""
    moment = time.gmtime(when)
    return [email.utils.formatdate(when, usegmt=True),
            time.strftime("%A, %d-%b-%y %H:%M:%S GMT", moment), time.asctime(moment)]


def test_seconds_hold_back_the_origin(weir, api):
    """One 429 stops the others too: none arrives in the second that the server asked for."""
    server = api(lambda asked: (429, {"Retry-After": "1"}) if asked.number == 1 else b"ok")
    done = weir("fetch", server.url + "/{1..20}", "-j", "1", *FAST)
    assert done.returncode == 0, done.log
    first, *others = server.asked
    assert len(others) == 20
    assert all(other.at - first.ended > 0.99 for other in others)


def test_other_origins_are_not_held_back(weir, api):
    held, free = api(failing(1, 503, {"Retry-After": "2"})), api()
    done = weir("fetch", held.url + "/a", free.url + "/{1..20}", "--unordered", "-j", "4")
    assert done.returncode == 0, done.log
    first, second = held.asked
    assert second.at - first.ended > 1.99
    assert all(asked.at < second.at for asked in free.asked)


@pytest.mark.parametrize("form", [0, 1, 2], ids=["IMF-fixdate", "RFC 850", "asctime"])
def test_dates_hold_back(weir, api, form):
    """A date at least a second away; dates have whole seconds, so the pause is longer than one."""
    given = []
    lock = threading.Lock()

    def answer(asked):
        with lock:
            if not given:
                given.append(int(time.time()) + 2)
                return 503, {"Retry-After": http_dates(given[0])[form]}
            return 200, {"X-When": repr(time.time())}

    done = weir("fetch", api(answer).url + "/{1..3}", "-j", "1", "--headers", *FAST)
    assert done.returncode == 0, done.log
    assert [row["attempts"] for row in done.rows] == [2, 1, 1]
    assert all(float(row["headers"]["x-when"]) > given[0] - 0.01 for row in done.rows)


@pytest.mark.parametrize("value", ["0", "-5", "soon", "", "1.5", "Sun, 06 Nov 1994 08:49:37 GMT",
                                   "99999999999999999999999x", "\t"])
def test_no_hint_means_ordinary_retries(weir, api, value):
    row = one_row(weir("fetch", api((429, {"Retry-After": value})).url, *FAST))
    assert (row["status"], row["attempts"]) == (429, 4)
    assert row["error"] == "HTTP 429 Too Many Requests"  # with a hint it would be named


def test_a_wait_beyond_the_longest_is_not_waited_for(weir, api):
    server = api(failing(1, 429, {"Retry-After": "3600"}))
    done = weir("fetch", server.url, *FAST)
    row = one_row(done)
    assert (row["status"], row["attempts"]) == (429, 1)
    assert "retry after 3600 s" in row["error"]


def test_retry_after_max(weir, api):
    server = api(failing(1, 429, {"Retry-After": "3"}))
    assert one_row(weir("fetch", server.url, "--retry-after-max", "2s"))["attempts"] == 1


# ---- storms ----

def test_every_answer_is_a_500(weir, mock):
    server = mock("--errors", "100%", "--error-kinds", "500")
    done = weir("fetch", server.url + "/products/{1..300}", *FAST)
    assert done.returncode == 1
    assert accounted(done) == (300, {"failed": 300})
    assert "300 × HTTP 500 Internal Server Error" in done.log
    assert {row["attempts"] for row in done.rows} == {4}
    assert server.get("/stats")["product_requests"] == 1200


def test_the_retry_budget(weir, mock):
    """A server that fails altogether is not asked four times as often: retries beyond the reserve
    are at most as many as the requests."""
    server = mock("--errors", "100%", "--error-kinds", "500")
    done = weir("fetch", server.url + "/products/{1..2000}", "--no-body", *FAST)
    assert accounted(done) == (2000, {"failed": 2000})
    asked = server.get("/stats")["product_requests"]
    assert asked == sum(row["attempts"] for row in done.rows)
    assert 2000 < asked <= 2000 + 1000 + 2000
    assert "more not made: too large a share of requests failed" in done.log


def test_half_of_the_answers_fail(weir, mock):
    server = mock("--errors", "50%", "--error-kinds", "500,truncate")
    done = weir("fetch", server.url + "/products/{1..300}", "--retry", "50", *FAST)
    assert (done.returncode, accounted(done)) == (0, (300, {"ok": 300}))
    assert sum(row["attempts"] for row in done.rows) == server.get("/stats")["product_requests"]


def test_resets_in_between(weir, mock):
    """A GET on a kept connection that turns out to be dead is sent again by itself, uncounted."""
    server = mock("--errors", "40%", "--error-kinds", "reset")
    done = weir("fetch", server.url + "/products/{1..200}", "--retry", "50", *FAST)
    assert (done.returncode, accounted(done)) == (0, (200, {"ok": 200}))
    assert sum(row["attempts"] for row in done.rows) <= server.get("/stats")["product_requests"]


def test_a_storm_of_429(weir, mock):
    server = mock("--rate-limit", "50/s")
    done = weir("fetch", server.url + "/products/{1..120}", "--retry", "20", "--no-body")
    assert (done.returncode, accounted(done)) == (0, (120, {"ok": 120}))
    stats = server.get("/stats")
    assert stats["status"]["200"] == 120
    assert stats["rejected"] == stats["status"]["429"] > 0
