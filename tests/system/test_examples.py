"""The programs of examples/ do what their first comment says."""
import difflib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading

import pytest

from conftest import LIMIT, Hostile, request

SOURCE = pathlib.Path(os.environ.get("WEIR_SOURCE", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", SOURCE / "build"))
FOUR = ["01-sequential", "02-threads", "03-fibers", "04-processes"]


def program(name):
    return BUILD / "examples" / f"example-{name}"


def run(name, *args, **options):
    return subprocess.run([program(name), *map(str, args)], capture_output=True, text=True,
                          timeout=LIMIT, check=False, stdin=subprocess.DEVNULL, **options)


# One function, four ways


def test_the_four_differ_in_one_line_only():
    texts = [(SOURCE / "examples" / f"{name}.c").read_text().splitlines() for name in FOUR]
    for other in texts[1:]:
        changes = [line for line in difflib.ndiff(texts[0], other) if line[0] in "+-"]
        assert len(changes) == 2, changes  # a line less, a line more
        assert all("kind = WEIR_" in line for line in changes)
    assert len({"\n".join(text) for text in texts}) == len(FOUR)


@pytest.mark.parametrize("name", FOUR)
def test_products_come_in_order(mock, name):
    done = run(name, mock("--latency", "5ms", "--jitter", "5ms").url, 40)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == list(range(1, 41))
    kind = {"sequential": "inline"}.get(name[3:], name[3:])
    assert re.search(rf"^40 of 40 products with {kind} in \d+\.\d\d s$", done.stderr, re.M)


@pytest.mark.parametrize("name", FOUR)
def test_a_failed_product_is_named_and_the_others_come(mock, name):
    done = run(name, mock("--products", "3").url, 4)
    assert done.returncode == 1
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 2, 3]
    assert re.search(r"^product 4: .*404", done.stderr, re.M)
    assert "3 of 4 products" in done.stderr


@pytest.mark.parametrize("name", FOUR)
def test_a_server_that_is_not_there(refused_port, name):
    done = run(name, f"http://127.0.0.1:{refused_port}", 3)
    assert done.returncode == 1 and done.stdout == ""
    assert len(re.findall(r"^product [123]: ", done.stderr, re.M)) == 3


@pytest.mark.parametrize("name", FOUR)
def test_usage(name):
    for args in ([], ["http://127.0.0.1:1"], ["http://127.0.0.1:1", "0"]):
        done = run(name, *args)
        assert done.returncode == 2 and "usage" in done.stderr


# The experiment


def table(text):
    """kind -> (seconds, how much faster) of the demo's table."""
    rows = re.findall(r"^(one by one|threads|fibers|processes) +([\d.]+) s +([\d.]+) x", text, re.M)
    return {kind: (float(seconds), float(faster)) for kind, seconds, faster in rows}


def test_demo_measures_all_four_kinds():
    done = run("demo", "--products", 50, "--latency", 5)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("50 products, each after a wait of 5 ms\n")
    assert list(table(done.stdout)) == ["one by one", "threads", "fibers", "processes"]
    assert "reckoned from 5 of 50" in done.stdout
    assert table(done.stdout)["one by one"][1] == 1.0


def test_demo_with_a_server(mock):
    server = mock("--latency", "5ms")
    done = run("demo", "--products", 20, server.url)
    assert done.returncode == 0, done.stderr
    assert len(table(done.stdout)) == 4
    assert server.get("/stats")["requests"] >= 2 + 20 + 20 + 20


def test_demo_fails_when_products_do(mock):
    done = run("demo", "--products", 20, mock("--products", "1").url)
    assert done.returncode == 1
    assert "404" in done.stderr


def test_demo_usage():
    for args in (["--products"], ["--products", "0"], ["--latency", "0"], ["--nonsense"], ["a", "b"]):
        assert run("demo", *args).returncode == 2


# The API client


class Script:
    """A server that gives each request the next answer of a list, then the last one again."""

    def __init__(self, *answers):
        self.answers, self.asked, self.lock = list(answers), 0, threading.Lock()
        self.server = Hostile(self.serve)
        self.url = self.server.url

    def serve(self, conn):
        if not request(conn):
            return
        with self.lock:
            status, headers, body = self.answers[min(self.asked, len(self.answers) - 1)]
            self.asked += 1
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        conn.sendall((head + headers + "\r\n" + body).encode())


@pytest.fixture
def script():
    started = []

    def start(*answers):
        started.append(Script(*answers))
        return started[-1]

    yield start
    for one in started:
        one.server.stop()


def test_api_client_gives_bodies_in_order(mock):
    base = mock("--jitter", "5ms").url
    done = run("api-client", *[f"{base}/products/{n}" for n in (3, 1, 2)])
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [3, 1, 2]


def test_api_client_tries_again(script):
    server = script((503, "", ""), (500, "", ""), (200, "", "at last"))
    done = run("api-client", server.url)
    assert (done.returncode, done.stdout) == (0, "at last\n"), done.stderr
    assert server.asked == 3


def test_api_client_gives_up(script):
    server = script((503, "", ""))
    done = run("api-client", "--attempts", 3, server.url)
    assert done.returncode == 1 and done.stdout == ""
    assert "attempt 3 of 3: HTTP status 503" in done.stderr
    assert server.asked == 3


def test_api_client_does_not_repeat_what_fails_for_good(script):
    server = script((404, "", ""))
    done = run("api-client", server.url)
    assert done.returncode == 1 and "attempt 1 of 5: HTTP status 404" in done.stderr
    assert server.asked == 1


def test_api_client_obeys_retry_after(script):
    """A pause that would end after the deadline is not begun: so it was read, and no time passes."""
    server = script((429, "Retry-After: 3600\r\n", ""))
    done = run("api-client", "--deadline", 600, server.url)
    assert done.returncode == 1 and "attempt 1 of 5: HTTP status 429" in done.stderr
    assert server.asked == 1


def test_api_client_waits_as_long_as_asked(script):
    server = script((429, "Retry-After: 1\r\n", ""), (200, "", "now"))
    done = run("api-client", server.url)
    assert (done.returncode, done.stdout) == (0, "now\n")


def test_api_client_has_a_deadline(script):
    hold = threading.Event()
    server = Hostile(lambda conn: hold.wait(LIMIT))
    try:
        done = run("api-client", "--deadline", 1, server.url)
    finally:
        hold.set()
        server.stop()
    assert done.returncode == 1 and done.stdout == ""
    assert re.search(r"timed out|deadline", done.stderr)


def test_api_client_usage():
    for args in ([], ["--attempts", "0", "http://127.0.0.1:1"], ["--other", "1", "u"]):
        assert run("api-client", *args).returncode == 2


# Files


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def test_hash_files(tmp_path):
    files = {f"{i % 7}/{i:03}": os.urandom(i * 37) for i in range(100)}
    files["large"] = bytes(range(256)) * 1024  # more than a block
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "0" / "link").symlink_to("000")
    done = run("hash-files", tmp_path)
    assert done.returncode == 0, done.stderr
    expected = [f"{fnv1a(files[name]):016x} {len(files[name]):10}  {tmp_path}/{name}"
                for name in sorted(files)]
    assert done.stdout.splitlines() == expected


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_hash_files_goes_on_after_what_it_cannot_read(tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    (tmp_path / "a").chmod(0)
    done = run("hash-files", tmp_path)
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 1
    assert "Permission denied" in done.stderr


def test_hash_files_of_nothing(tmp_path):
    assert run("hash-files", tmp_path).stdout == ""
    done = run("hash-files", tmp_path / "none")
    assert done.returncode == 1 and "No such file" in done.stderr
    assert run("hash-files").returncode == 2


# Echo


class Echo:
    def __init__(self, *args):
        self.process = subprocess.Popen([program("echo-server"), *map(str, args)], text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:"), line
        self.port = int(line.rpartition(":")[2])

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), LIMIT)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        out, errors = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, out + errors


@pytest.fixture
def echo(processes):
    def start(*args):
        server = Echo(*args)
        processes.append(server.process)
        return server

    return start


def answer(conn, length):
    got = b""
    while len(got) < length:
        piece = conn.recv(65536)
        assert piece, "the server hung up"
        got += piece
    return got


def test_echo_to_many(echo):
    server = echo(0)
    conns = [server.connect() for _ in range(50)]
    for i, conn in enumerate(conns):
        conn.sendall(b"%d\n" % i * 100)
    for i, conn in reversed(list(enumerate(conns))):
        assert answer(conn, len(b"%d\n" % i) * 100) == b"%d\n" % i * 100
        conn.close()
    assert server.end() == (0, "")


def test_echo_of_much(echo):
    """More than socket buffers hold, so that the server must wait until it can write."""
    server = echo(0)
    data = os.urandom(8 << 20)
    with server.connect() as conn:
        sender = threading.Thread(target=conn.sendall, args=(data,))
        sender.start()
        assert answer(conn, len(data)) == data
        sender.join()
    assert server.end() == (0, "")


def test_echo_takes_so_many_connections(echo):
    server = echo(0, 2)
    first, second, third = [server.connect() for _ in range(3)]
    for conn in (first, second):
        conn.sendall(b"x")
        assert answer(conn, 1) == b"x"
    third.sendall(b"y")  # the kernel has it; the server has no seat for it yet
    first.close()
    assert answer(third, 1) == b"y"
    second.close()
    third.close()
    assert server.end() == (0, "")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_echo_closes_its_connections_at_the_end(echo, how):
    server = echo(0)
    with server.connect() as conn:
        conn.sendall(b"x")
        assert answer(conn, 1) == b"x"
        assert server.end(how) == (0, "")
        assert conn.recv(1) == b""


def test_echo_on_a_port_that_is_taken(echo):
    server = echo(0)
    done = run("echo-server", server.port)
    assert done.returncode == 2 and "in use" in done.stderr
    assert server.end() == (0, "")


# A job instead of tasks


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
