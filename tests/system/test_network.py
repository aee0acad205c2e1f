"""Fetching over networks that delay, lose, reorder, stall, go away and come back (network.py makes
them): every run ends, with a row for each request and none twice, and where the network comes back
within what is asked for, every row is good.

Most of the time of these tests is waited, so they run side by side: the first one starts all that
were asked for, and each then takes its own outcome. How long an outage lasts is what is tried out, not
waited for: 2 s here, and 10 s with WEIR_LONG=1 (make reliability).
"""

import concurrent.futures
import os
import subprocess
import sys
import threading

import pytest

from conftest import accounted, clean_weir, request, reset, wait_until
from network import DEAD, LONG, ROUTED, SERVER, Lab, Names, stop, whole

SIDE_BY_SIDE = 12
OUTAGE = 10 if LONG else 2
PATIENT = ["--retry", "100", "--retry-delay", "200ms", "--retry-max-delay", f"{OUTAGE / 4}s"]
SCENARIOS = {}


def scenario(*cases, only_if=True):
    """Makes a test of a function of a Lab; one for each case, which it is then given too."""
    def take(function):
        for case in cases:
            SCENARIOS[f"{function.__name__}-{case}"] = (function, (case,))
        if not cases and only_if:
            SCENARIOS[function.__name__] = (function, ())
        return function
    return take


@pytest.fixture(scope="module")
def outcomes(request, weir_path, tmp_path_factory):  # pylint: disable=redefined-outer-name
    folders = tmp_path_factory.mktemp("network")

    def play(name):
        function, args = SCENARIOS[name]
        folder = folders / name
        folder.mkdir()
        lab = Lab(clean_weir(weir_path, folder), folder, name)
        try:
            function(lab, *args)
        finally:
            lab.close()

    wanted = [item.callspec.params["name"] for item in request.session.items
              if item.path == request.path and hasattr(item, "callspec")]
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        started = {name: pool.submit(play, name) for name in wanted}
        yield started
        pool.shutdown(cancel_futures=True)


def pause(seconds):
    """An outage of that length."""
    threading.Event().wait(seconds)


# ---- a bad line: TCP makes up for it ----

WIRES = {
    "delay": {"delay": 0.02, "jitter": 0.02},
    "loss": {"loss": 0.05},
    "overtaken": {"overtaken": 0.2},
    "twice": {"twice": 0.2},
    "garbled": {"garbled": 0.03},
    "full": {"rate": 100_000, "room": 3000},
    "everything": {"delay": 0.005, "jitter": 0.01, "loss": 0.02, "overtaken": 0.05, "twice": 0.05,
                   "garbled": 0.01, "rate": 400_000, "room": 16 << 10},
}


@scenario(*WIRES)
def wire(lab, shape):
    line = lab.join_by_wire()
    for name, value in WIRES[shape].items():
        setattr(line, name, value)
    _, url = lab.mock()
    done = lab.fetch(url + "/products/{1..200}", "-j", "16").end()
    whole(done, [f"{url}/products/{n}" for n in range(1, 201)])
    for what in WIRES[shape].keys() & line.counts.keys() | {"full"} & {shape}:
        assert line.counts[what], f"nothing was {what}: {line.counts}"


NETEM = {
    "delay": "netem delay 20ms 20ms",
    "loss": "netem loss 5%",
    "reorder": "netem delay 20ms reorder 25% 50%",
    "duplicate": "netem duplicate 20%",
    "corrupt": "netem corrupt 3%",
    "rate": "netem rate 1mbit limit 20",
    "tbf": "tbf rate 1mbit burst 4kb limit 8kb",
}


@scenario(*NETEM)
def kernel(lab, shape):
    lab.join_by_cable()
    lab.shape(NETEM[shape])
    _, url = lab.mock()
    done = lab.fetch(url + "/products/{1..200}", "-j", "16").end()
    whole(done, [f"{url}/products/{n}" for n in range(1, 201)])


# ---- a link that goes down and comes up again ----

def unplug(lab):
    lab.server.ip("link set net0 down")
    return lambda: lab.server.ip("link set net0 up")


def device_down(lab):
    lab.client.ip("link set net0 down")
    return lambda: lab.client.ip("link set net0 up")


def route(kind):
    def down(lab):
        lab.client.ip(f"route add {kind} {SERVER}/32")
        return lambda: lab.client.ip(f"route del {kind} {SERVER}/32")
    return down


DOWN = {"unplugged": unplug, "device": device_down, "blackhole": route("blackhole"),
        "unreachable": route("unreachable"), "prohibit": route("prohibit")}


def outage(lab, down, *options, more=200):
    """Something goes away with requests in flight and on kept connections, more are given while it is
    away, and then it comes back."""
    lab.join_by_cable()
    server, url = lab.mock("--latency", "20ms")
    run = lab.fetch("-i", "-", url + "/products/{line}", *options, stdin=True)
    run.give(*range(1, 101))
    run.seen(50)
    back = down(lab, server, url)
    run.give(*range(101, 101 + more))
    before = run.cpu()
    pause(OUTAGE)
    used = run.cpu() - before
    back()
    done = run.end()
    assert used < OUTAGE / 4, f"{used} s of processor time in an outage of {OUTAGE} s"
    return done, [f"{url}/products/{n}" for n in range(1, 101 + more)]


@scenario(*DOWN)
def link_down(lab, way):
    whole(*outage(lab, lambda *_: DOWN[way](lab)))


@scenario(*DOWN)
def link_down_new_connections(lab, way):
    """Without kept connections, of which TCP takes care."""
    whole(*outage(lab, lambda *_: DOWN[way](lab), "-H", "Connection: close"))


@scenario(*DOWN)
def link_down_no_breaker(lab, way):
    whole(*outage(lab, lambda *_: DOWN[way](lab), "-H", "Connection: close", "-j", "16",
                  "--breaker", "off", *PATIENT, more=40))


def killed(lab, server, url):
    stop(server)
    return lambda: lab.mock("--latency", "20ms", port=url.rpartition(":")[2])


@scenario()
def server_restarted(lab):
    whole(*outage(lab, killed))


@scenario()
def server_restarted_no_breaker(lab):
    rows = whole(*outage(lab, killed, "-j", "16", "--breaker", "off", *PATIENT, more=40))
    assert max(row["attempts"] for row in rows) > 1


# ---- hosts that cannot be reached ----

REFUSALS = {"unreachable": "No route to host", "prohibit": "No route to host",
            "blackhole": "no connection within 1 s"}


@scenario(*REFUSALS)
def beyond_a_router(lab, way):
    """The server has no way there and says so, by ICMP, or does not; it is itself in the same run.
    Only few: a router says so once a second after five at once. And a word that comes while the
    socket is busy the client's kernel keeps to itself, until it has asked again, a second later."""
    lab.join_by_cable()
    lab.server.setting("ipv4/ip_forward", 1)
    lab.server.setting("ipv4/icmp_ratelimit", 0)
    lab.server.ip(f"route add {way} {ROUTED}/32")
    _, url = lab.mock()
    lost, good = f"http://{ROUTED}/{{1..2}}", url + "/products/{1..10}"
    done = lab.fetch(lost, good, "--retry", "1", "--retry-delay", "1ms", "--connect-timeout",
                     "1s" if way == "blackhole" else "30s", "-j", "20").end()
    rows = whole(done, [f"http://{ROUTED}/{n}" for n in range(1, 3)] +
                 [f"{url}/products/{n}" for n in range(1, 11)], failed=2)
    for row in rows[:2]:
        assert row["attempts"] == 2 and REFUSALS[way] in row["error"], row


@scenario("unreachable", "blackhole")
def beyond_a_router_for_a_while(lab, way):
    lab.join_by_cable()
    lab.server.setting("ipv4/ip_forward", 1)
    lab.server.setting("ipv4/icmp_ratelimit", 0)
    lab.server.ip(f"route add {way} {ROUTED}/32")
    server = lab.hostile(keeping(), address="0.0.0.0")
    run = lab.fetch(f"http://{ROUTED}:{server.port}/{{1..20}}", *PATIENT, "--connect-timeout", "1s")
    pause(OUTAGE)
    assert not run.lines
    lab.server.ip(f"route del {way} {ROUTED}/32", f"addr add {ROUTED}/32 dev lo")
    rows = whole(run.end(), [f"http://{ROUTED}:{server.port}/{n}" for n in range(1, 21)])
    assert all(row["attempts"] > 1 for row in rows)


# ---- connections that are dead without a word, or end at a bad moment ----

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 10_000


def keeping(times=1_000_000, end=None, size=None):
    """Answers so many requests on each connection, then ends it."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size if size else OK

    def serve(conn):
        for _ in range(times):
            if not request(conn):
                return
            conn.sendall(answer)
        if end:
            end(conn)
    return serve


@scenario()
def connections_forgotten(lab):
    """A router forgets all connections: what is kept is dead, though nobody says so. One time-out may
    be lost by that for a request, not one for each dead connection."""
    line = lab.join_by_wire()
    _, url = lab.mock("--latency", "100ms")
    run = lab.fetch("-i", "-", url + "/products/{line}", "-j", "32", "--lanes", "1", "--timeout", "2s",
                    stdin=True)
    run.give(*range(1, 33))
    run.seen(32)
    line.forget_flows()
    for n in range(33, 35):
        run.give(n)
        run.seen(n)
    rows = whole(run.end(), [f"{url}/products/{n}" for n in range(1, 35)])
    assert line.counts["dropped"]
    assert 1 < max(row["attempts"] for row in rows) <= 2, rows[-3:]


@scenario()
def server_vanishes(lab):
    """For good: a few requests find that out, and the others need not."""
    line = lab.join_by_wire()
    _, url = lab.mock("--latency", "20ms")
    run = lab.fetch("-i", "-", url + "/products/{line}", "--timeout", "1s", "--connect-timeout",
                    "500ms", "--breaker", "2s", stdin=True)
    run.give(*range(1, 65))
    run.seen(64)
    line.cut()
    run.give(*range(65, 2001))
    rows = whole(run.end(), [f"{url}/products/{n}" for n in range(1, 2001)], failed=1936)
    reasons = ("no whole answer within 1 s", "no connection within 0.5 s", "the server is gone: ")
    for row in rows[64:]:
        assert any(reason in row["error"] for reason in reasons), row
    assert sum(row["attempts"] == 0 for row in rows) > 1000


@scenario()
def deadline_in_an_outage(lab):
    line = lab.join_by_wire()
    _, url = lab.mock("--latency", "20ms")
    run = lab.fetch("-i", "-", url + "/products/{line}", "--deadline", "5s", stdin=True)
    run.give(*range(1, 33))
    run.seen(32)
    line.cut()
    run.give(*range(33, 101))
    done = run.end()
    total, parts = accounted(done)
    assert total == sum(parts.values()) and parts["ok"] == 32 and "failed" not in parts, done.log
    assert done.returncode == 1 and len(done.rows) == 32


@scenario()
def no_timeout(lab):
    """Who waits without a limit would wait forever for a host that has vanished. The kernel asks it
    after half a minute of silence whether it is still there, and gives up a minute later."""
    line = lab.join_by_wire()
    server = lab.hostile(stalls)
    run = lab.fetch(server.url + "/{1..5}", "--timeout", "none", "--retry", "0", stdin=False)
    wait_until(lambda: server.connections == 5)
    wait_until(lambda: lab.client.timers() == ["keepalive"] * 5)
    line.cut()
    if LONG:
        rows = whole(run.end(180), [f"{server.url}/{n}" for n in range(1, 6)], failed=5)
        assert all("timed out" in row["error"] for row in rows)


@scenario("forgotten", "mended")
def big_packets_vanish(lab, how):
    """What is a hole for packets of full size lets connections be made and requests pass."""
    line = lab.join_by_wire()
    server = lab.hostile(keeping(size=20_000))
    line.drops = lambda packet: len(packet) > 1000
    run = lab.fetch(server.url + "/{1..20}", "-j", "20", "--timeout", "1s" if how == "forgotten" else
                    "30s", "--retry", "0" if how == "forgotten" else "3")
    if how == "mended":
        pause(OUTAGE)
        line.mend()
    rows = whole(run.end(), [f"{server.url}/{n}" for n in range(1, 21)],
                 failed=20 if how == "forgotten" else 0)
    assert line.counts["dropped"]
    if how == "forgotten":
        assert all(row["error"] == "no whole answer within 1 s (--timeout)" for row in rows)


def stalls(conn):
    """Never answers."""
    if request(conn):
        conn.recv(1)


def stalls_in_body(conn):
    if request(conn):
        conn.sendall(HALF)
        conn.recv(1)


def trickles(conn):
    """Always a little more, never all of it."""
    if request(conn):
        conn.sendall(HALF)
        while True:
            conn.sendall(b"x")
            pause(0.05)


def resets_in_body(conn):
    if request(conn):
        conn.sendall(HALF)
        reset(conn)


STALLS = {"answer": stalls, "body": stalls_in_body, "trickle": trickles}


@scenario(*(f"{way}-{count}" for way in STALLS for count in (1, 20)))
def server_stalls(lab, case):
    """With one request, nothing else happens that could wake the run from its wait."""
    way, _, count = case.partition("-")
    lab.join_by_cable()
    server = lab.hostile(STALLS[way])
    run = lab.fetch(f"{server.url}/{{1..{count}}}", "--timeout", "700ms", "--retry", "1", "-j", "20")
    rows = whole(run.end(), [f"{server.url}/{n}" for n in range(1, int(count) + 1)],
                 failed=int(count))
    for row in rows:
        assert row["error"] == "no whole answer within 0.7 s (--timeout)" and row["attempts"] == 2


@scenario()
def server_never_accepts(lab):
    """The kernel makes a few connections on its behalf, and drops what asks for more."""
    lab.join_by_cable()
    listener = lab.server.listener(backlog=1)
    lab.ends.callback(listener.close)
    url = f"http://{SERVER}:{listener.getsockname()[1]}"
    run = lab.fetch(url + "/{1..10}", "--timeout", "3s", "--connect-timeout", "1500ms", "--retry",
                    "0", "-j", "10")
    rows = whole(run.end(), [f"{url}/{n}" for n in range(1, 11)], failed=10)
    reasons = {row["error"] for row in rows}
    assert reasons == {"no whole answer within 3 s (--timeout)",
                       "timed out: no connection within 1.5 s"}


@scenario("stalls", "body", "reset")
def server_recovers(lab, way):
    """The first ten connections break, the others do not."""
    lab.join_by_cable()
    bad = {"stalls": stalls, "body": stalls_in_body, "reset": resets_in_body}[way]
    left = iter([bad] * 10)
    server = lab.hostile(lambda conn: next(left, keeping())(conn))
    run = lab.fetch(server.url + "/{1..40}", "--timeout", "2s", "-j", "10", *PATIENT)
    rows = whole(run.end(), [f"{server.url}/{n}" for n in range(1, 41)])
    assert sum(row["attempts"] for row in rows) >= 50


def next_request_then(end):
    def serve(conn):
        if request(conn):
            end(conn)
    return serve


REUSE = {"fin": None, "rst": reset, "fin-on-request": next_request_then(lambda conn: None),
         "rst-on-request": next_request_then(reset)}


@scenario(*REUSE)
def kept_connection_ends(lab, way):
    """A server ends each connection after its second answer, in the moment of the next request."""
    lab.join_by_cable()
    server = lab.hostile(keeping(2, REUSE[way]))
    done = lab.fetch(server.url + "/{1..200}", "-j", "8").end()
    whole(done, [f"{server.url}/{n}" for n in range(1, 201)])
    assert server.connections >= 100


# ---- names ----

NAMES = {"servfail": Names.SERVFAIL, "nxdomain": Names.NXDOMAIN, "refused": Names.REFUSED,
         "silence": Names.SILENCE, "garbage": Names.GARBAGE}


@scenario(*NAMES)
def names_fail_for_a_while(lab, how):
    lab.join_by_cable()
    _, url = lab.mock()
    port = url.rpartition(":")[2]
    good = threading.Event()
    names = lab.names(lambda name, kind: [SERVER] if good.is_set() else NAMES[how])
    run = lab.fetch(f"http://h{{1..30}}.test:{port}/products/1", "-j", "10", *PATIENT)
    wait_until(lambda: names.asked)
    pause(OUTAGE)
    assert not run.lines
    good.set()
    rows = whole(run.end(), [f"http://h{n}.test:{port}/products/1" for n in range(1, 31)])
    assert max(row["attempts"] for row in rows) > 1


@scenario(*NAMES)
def names_fail(lab, how):
    """One name cannot be had; that holds nobody else up, and is said."""
    lab.join_by_cable()
    _, url = lab.mock()
    port = url.rpartition(":")[2]
    names = lab.names(lambda name, kind: NAMES[how] if name == "bad.test" else [SERVER])
    urls = [f"http://{name}.test:{port}/products/{n}" for name in ("bad", "good")
            for n in range(1, 11)]
    run = lab.fetch("-i", "-", "--retry", "1", "--connect-timeout", "5s", "--unordered", stdin=True)
    run.give(*urls)
    run.seen(10)
    done = run.end()
    rows = {row["url"]: row for row in done.rows}
    assert sorted(rows) == sorted(urls) and len(done.rows) == 20
    for url, row in rows.items():
        if "good" in url:
            assert row["error"] is None
        else:
            assert "bad.test" in row["error"] and "resolve" in row["error"], row
    assert done.returncode == 1 and names.asked["bad.test"]
    assert all("good" in row["url"] for row in done.rows[:10]) or how in ("servfail", "nxdomain",
                                                                          "refused")


@scenario(*(NAMES if LONG else ()), only_if=LONG)
def names_fail_later(lab, how):
    """What is known of a name is asked for again after a minute. If there is no answer then, the
    address that served until now still does."""
    lab.join_by_cable()
    _, url = lab.mock()
    port = url.rpartition(":")[2]
    good = threading.Event()
    good.set()
    names = lab.names(lambda name, kind: [SERVER] if good.is_set() else NAMES[how])
    run = lab.fetch("-i", "-", f"http://h.test:{port}/products/{{line}}", "--lanes", "1", stdin=True)
    run.give(*range(1, 21))
    run.seen(20)
    asked = names.asked["h.test"]
    good.clear()
    pause(61)
    run.give(*range(21, 61))
    rows = whole(run.end(), [f"http://h.test:{port}/products/{n}" for n in range(1, 61)])
    assert all(row["attempts"] == 1 for row in rows)
    assert names.asked["h.test"] > asked


@scenario()
def names_truncated(lab):
    lab.join_by_cable()
    _, url = lab.mock()
    port = url.rpartition(":")[2]
    names = lab.names(lambda name, kind: (Names.TRUNCATED, [SERVER]))
    done = lab.fetch(f"http://h{{1..20}}.test:{port}/products/1").end()
    whole(done, [f"http://h{n}.test:{port}/products/1" for n in range(1, 21)])
    assert names.over_tcp >= 20


@scenario()
def names_slow(lab):
    """The first question for each name goes unanswered; the resolver asks again."""
    lab.join_by_cable()
    _, url = lab.mock()
    port = url.rpartition(":")[2]
    seen = set()

    def answer(name, kind):
        if (name, kind) in seen:
            return [SERVER]
        seen.add((name, kind))
        return Names.SILENCE

    lab.names(answer, options="timeout:1 attempts:3")
    done = lab.fetch(f"http://h{{1..20}}.test:{port}/products/{{1..3}}").end()
    rows = whole(done, [f"http://h{n}.test:{port}/products/{m}" for n in range(1, 21)
                        for m in range(1, 4)])
    assert all(row["attempts"] == 1 for row in rows)


@scenario()
def first_address_dead(lab):
    """Of a name's two addresses the first leads nowhere, and nobody says so."""
    line = lab.join_by_wire()
    _, url = lab.mock()
    port = url.rpartition(":")[2]
    names = lab.names(lambda name, kind: [DEAD, SERVER])
    done = lab.fetch(f"http://h.test:{port}/products/{{1..20}}", "--connect-timeout", "2s").end()
    rows = whole(done, [f"http://h.test:{port}/products/{n}" for n in range(1, 21)])
    assert names.asked["h.test"]
    assert line.reached(DEAD), "the second address was taken first"
    assert all(row["attempts"] == 1 for row in rows)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root; see test_as_a_user")
@pytest.mark.parametrize("name", SCENARIOS)
def test_network(outcomes, name):
    outcomes[name].result()


def test_as_a_user(tmp_path):
    """Who is not root makes the namespaces in one of his own, in which he is."""
    if os.geteuid() == 0:
        pytest.skip("this is root, who needs no user namespace")
    inner = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        subprocess.run([*inner, "true"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no user namespace can be made here: {getattr(error, 'stderr', error)}")
    run = subprocess.run([*inner, sys.executable, "-m", "pytest", "-q", "-ra", "--color=no", "-p",
                          "no:cacheprovider", "--basetemp", str(tmp_path / "inner"), "--rootdir",
                          os.path.dirname(__file__), __file__],
                         capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    print(run.stdout)
