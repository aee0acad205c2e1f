"""Servers that break every rule: each costs its own row and nothing else."""

import gzip
import socket
import threading
import zlib

import pytest

from conftest import LIMIT, accounted, request, reset

ONCE = ["--retry", "0"]


def fails(weir, url, *args):
    """The row of the one request that fails, its error checked to be fit for a terminal."""
    done = weir("fetch", url, *ONCE, *args)
    assert done.returncode == 1, done.log
    assert accounted(done) == (1, {"failed": 1})
    error = done.rows[0]["error"]
    assert error and error.isprintable() and len(error) < 1000
    assert error.startswith("HTTP") or done.rows[0]["body"] is None  # a part is no body
    assert clean(done.stderr) and clean(done.stdout)
    return done.rows[0]


def clean(data):
    """Is it free of control characters, but for line ends, and of C1 characters in UTF-8?"""
    text = data.decode("utf-8")
    return all(c == "\n" or (c >= " " and c != "\x7f" and not "\x80" <= c <= "\x9f") for c in text)


# ---- no connection ----

def test_a_name_that_does_not_resolve(weir):
    row = fails(weir, "http://weir-test.invalid/x")
    assert row["status"] is None
    assert "resolved" in row["error"] and "weir-test.invalid" in row["error"]


def test_names_that_do_not_resolve_fail_together(weir):
    done = weir("fetch", "http://weir-test.invalid/{1..50}", *ONCE)
    assert accounted(done) == (50, {"failed": 50})
    assert "50 × " in done.log


def test_a_refused_port(weir, refused_port):
    row = fails(weir, f"http://127.0.0.1:{refused_port}/")
    assert row["status"] is None and "connect" in row["error"]


@pytest.mark.parametrize("url", ["http://", "http:///x", "http://:80/", "http://127.0.0.1:99999/",
                                 "http://[::1/", "http://a b/", "http://127.0.0.1:x/"])
def test_urls_that_are_none(weir, url):
    done = weir("fetch", url, *ONCE)
    assert done.returncode in (1, 2)
    assert clean(done.stderr) and clean(done.stdout)
    assert all(row["status"] is None and row["error"] for row in done.rows)


# ---- answers cut short ----

def test_a_close_mid_body(weir, hostile):
    row = fails(weir, hostile(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").url)
    assert "too early" in row["error"]


def test_a_reset_mid_body(weir, hostile):
    def answer(conn):
        if request(conn):
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            reset(conn)
    assert fails(weir, hostile(answer).url)["error"]


def test_a_close_mid_chunk(weir, hostile):
    row = fails(weir, hostile(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                              b"10\r\nhalf").url)
    assert "too early" in row["error"]


def test_chunks_without_an_end(weir, hostile):
    fails(weir, hostile(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"4\r\nhalf\r\n").url)


def test_a_close_before_anything(weir, hostile):
    assert "lost" in fails(weir, hostile(b"").url)["error"]


def test_a_close_mid_header(weir, hostile):
    row = fails(weir, hostile(b"HTTP/1.1 200 OK\r\nContent-Le").url)
    assert "too early" in row["error"] and "headers" in row["error"]


def test_a_compressed_body_cut_short(weir, hostile):
    """Nothing but the compressed data themselves tells that they are not whole."""
    data = gzip.compress(b"0123456789" * 1000)
    server = hostile(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + data[:-20])
    assert "too early" in fails(weir, server.url)["error"]


def test_a_body_without_a_length_ends_with_the_connection(weir, hostile):
    row = weir("fetch", hostile(b"HTTP/1.1 200 OK\r\n\r\nall of it").url).rows[0]
    assert (row["status"], row["body"]) == (200, "all of it")


# ---- garbage ----

@pytest.mark.parametrize("data", [
    b"garbage\r\n\r\n", b"\x00\x01\x02\x03" * 100, b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 99999 X\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\nx",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nno gzip",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08" + bytes(6) + b"\x03\xff",
], ids=range(12))
def test_garbage(weir, hostile, data):
    fails(weir, hostile(data).url)


def test_a_content_length_that_is_too_large(weir, hostile):
    row = fails(weir, hostile(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello").url)
    assert "too early" in row["error"]


def test_a_content_length_that_is_too_small(weir, hostile):
    """What follows is not taken for the next answer."""
    server = hostile(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
                     b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    done = weir("fetch", server.url + "/{1..3}", "-j", "1")
    assert [row["body"] for row in done.rows] == ["hello"] * 3


def test_an_answer_before_the_request(weir, hostile):
    """Bytes on a kept connection that nobody asked for are not the next request's answer."""
    def answer(conn):
        while request(conn):
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                         b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    done = weir("fetch", hostile(answer).url + "/{1..5}", "-j", "1")
    assert [row["body"] for row in done.rows] == ["ok"] * 5


def test_interim_answers_are_passed_over(weir, hostile):
    server = hostile(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" * 20 +
                     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok")
    row = weir("fetch", server.url, "--headers").rows[0]
    assert (row["status"], row["body"]) == (200, "ok")
    assert "link" not in row["headers"]


# ---- too much ----

def test_one_header_of_a_megabyte(weir, hostile):
    row = fails(weir, hostile(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * (1 << 20) + b"\r\n\r\n").url)
    assert "eader" in row["error"]


def test_a_megabyte_of_headers(weir, hostile):
    row = fails(weir, hostile(b"HTTP/1.1 200 OK\r\n" + b"X-Much: abcdefgh\r\n" * 60_000 +
                              b"\r\n").url)
    assert "eaders" in row["error"]


def endless(conn, head, piece):
    try:
        if request(conn):
            conn.sendall(head)
            while True:
                conn.sendall(piece)
    except OSError:
        pass  # weir has had enough


@pytest.mark.parametrize("head,piece", [
    (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", b"x" * 65536),
], ids=["until closed", "chunked", "announced"])
def test_an_endless_body(weir, hostile, head, piece):
    server = hostile(lambda conn: endless(conn, head, piece))
    row = fails(weir, server.url, "--max-body", "1M")
    assert "--max-body" in row["error"]


def test_endless_headers(weir, hostile):
    server = hostile(lambda conn: endless(conn, b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 1000))
    assert "eaders" in fails(weir, server.url)["error"]


def test_endless_interim_answers(weir, hostile):
    server = hostile(lambda conn: endless(conn, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100))
    assert fails(weir, server.url, "--timeout", "20s")["error"]


def bomb(megabytes):
    pack = zlib.compressobj(6, zlib.DEFLATED, 31)
    return b"".join([pack.compress(bytes(1 << 20)) for _ in range(megabytes)] + [pack.flush()])


def test_a_gzip_bomb(weir, hostile):
    data = bomb(80)
    assert len(data) < 1 << 20
    server = hostile(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" %
                     len(data) + data)
    assert "--max-body" in fails(weir, server.url)["error"]


def test_a_bomb_in_a_bomb(weir, hostile):
    data = gzip.compress(gzip.compress(bomb(20)))
    server = hostile(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip, gzip\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(data) + data)
    assert "--max-body" in fails(weir, server.url, "--max-body", "10M")["error"]


def test_very_many_codings(weir, hostile):
    codings = b", ".join([b"gzip"] * 50)
    assert fails(weir, hostile(b"HTTP/1.1 200 OK\r\nContent-Encoding: " + codings +
                               b"\r\nContent-Length: 1\r\n\r\nx").url)


# ---- redirects ----

def test_a_redirect_loop(weir, nginx):
    row = fails(weir, nginx.url + "/loop/x", "--location")
    assert "redirect" in row["error"]


def test_max_redirects(weir, mock):
    server = mock()
    assert weir("fetch", server.url + "/redirect/3", "-L", "--max-redirects", "3").returncode == 0
    row = fails(weir, server.url + "/redirect/4", "-L", "--max-redirects", "3")
    assert "redirect" in row["error"]


@pytest.mark.parametrize("where", ["file:///etc/passwd", "gopher://127.0.0.1:1/",
                                   "ftp://127.0.0.1/", "dict://127.0.0.1/",
                                   "javascript:alert(1)", "smb://127.0.0.1/x"])
def test_a_redirect_to_another_scheme(weir, api, where):
    row = fails(weir, api((302, {"Location": where})).url, "--location")
    assert "root:" not in str(row["body"])
    assert row["error"].startswith("peer broke the protocol: "), row


def test_a_redirect_to_a_name_that_is_none(weir, api):
    row = fails(weir, api((302, {"Location": "http://a%ff%fe.test/"})).url, "--location")
    assert row["error"].startswith("peer broke the protocol: "), row


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/",
                                 "/etc/passwd", "example"])
def test_another_scheme_is_refused(weir, url):
    done = weir("fetch", url)
    assert (done.returncode, done.stdout) == (2, b"")
    assert "http://" in done.log


def test_another_scheme_in_the_input_fails_alone(weir, api):
    server = api()
    done = weir("fetch", "-i", "-", "--input-format", "lines",
                input=f"file:///etc/passwd\n{server.url}/\nhttp+unix://x/\n")
    assert accounted(done) == (3, {"ok": 1, "failed": 2})
    first, second, third = done.rows
    assert (first["body"], second["body"], third["body"]) == (None, "ok", None)
    assert "http://" in first["error"]


def test_a_redirect_with_a_line_break(weir, hostile):
    server = hostile(b"HTTP/1.1 302 Found\r\nLocation: /x\x00\x1b[2Jy\r\nContent-Length: 0\r\n"
                     b"Connection: close\r\n\r\n")
    fails(weir, server.url)
    fails(weir, server.url, "--location", "--max-redirects", "2")


# ---- slow ----

def test_a_hang(weir, hostile):
    gate = threading.Event()
    server = hostile(lambda conn: gate.wait(LIMIT))
    row = fails(weir, server.url, "--timeout", "200ms")
    gate.set()
    assert "--timeout" in row["error"]


def test_a_server_that_accepts_nothing(weir):
    with socket.socket() as listener:  # its queue is full: connections are never made
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        row = fails(weir, f"http://127.0.0.1:{port}/", "--connect-timeout", "300ms")
        for filler in fillers:
            filler.close()
    assert "timed out" in row["error"] or "connect" in row["error"]


def test_one_bad_server_among_good_ones(weir, hostile, nginx):
    gate = threading.Event()
    bad = hostile(lambda conn: gate.wait(LIMIT))
    done = weir("fetch", bad.url + "/x", nginx.url + "/products/{1..100}.json", "--timeout", "2s",
                "-j", "4", *ONCE)
    gate.set()
    assert accounted(done) == (101, {"ok": 100, "failed": 1})


# ---- terminal escape sequences ----

ESCAPES = "\x1b]0;title\x07\x1b[31mred\x1b[2J\x9b7m\x7f\b\rhidden"


def test_in_bodies(weir, mock):
    done = weir("fetch", mock().url + "/escape")
    assert clean(done.stdout) and clean(done.stderr)
    assert "\x1b]0;title\x07" in done.rows[0]["body"]


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_in_bodies_of_any_type(weir, api, kind):
    data = ESCAPES
    if kind == "application/json":  # a string may hold DEL and C1 as they are
        data = '"' + "".join(c for c in ESCAPES if c >= " ") + '"'
    done = weir("fetch", api((200, {"Content-Type": kind}, data)).url)
    assert done.returncode == 0 and clean(done.stdout)
    assert "\x9b7m\x7f" in done.rows[0]["body"]


def test_in_header_values(weir, hostile):
    value = ESCAPES.replace("\r", "").encode()
    server = hostile(b"HTTP/1.1 200 OK\r\nX-A: " + value + b"\r\nX-\x1b[2JB: c\r\n"
                     b"Content-Length: 0\r\n\r\n")
    done = weir("fetch", server.url, "--headers", *ONCE)
    assert clean(done.stdout) and clean(done.stderr)


def test_in_the_reason_of_a_status(weir, hostile):
    server = hostile(b"HTTP/1.1 500 \x1b[2JBoo\x9b\r\nContent-Length: 0\r\n\r\n")
    row = fails(weir, server.url)
    assert "500" in row["error"]


def test_in_urls(weir, nginx):
    for url in [nginx.url + "/\x1b[2Jx", nginx.url + "/a\x9bb", "http://\x1b[2J/"]:
        done = weir("fetch", url, *ONCE)
        assert done.returncode in (1, 2)
        assert clean(done.stderr) and clean(done.stdout)


def test_in_the_input(weir, nginx):
    done = weir("fetch", "-i", "-", "--input-format", "csv", nginx.url + "/{a:raw}", *ONCE,
                input="a,b\x1b[2J\n\x1b[2J,\x9bx\n")
    assert done.returncode == 1
    assert clean(done.stderr) and clean(done.stdout)
    assert done.rows[0]["b\x1b[2J"] == "\x9bx"


def test_in_options(weir, tmp_path):
    for args in [["--\x1b[2J"], ["http://127.0.0.1/{\x1b[2J}"], ["http://127.0.0.1/{1..\x9b}"],
                 ["-i", "\x1b[2J", "http://127.0.0.1/"], ["-o", "\x1b[2J/x", "http://127.0.0.1/"],
                 ["-X", "\x1b[2J", "http://127.0.0.1/"], ["-j", "\x1b[2J", "http://127.0.0.1/"],
                 ["--retry-on", "\x1b[2J", "http://127.0.0.1/"],
                 ["--cacert", "\x1b[2J", "http://127.0.0.1/"],
                 ["--bearer-env", "\x1b[2J", "http://127.0.0.1/"],
                 ["-d", "@\x1b[2J", "http://127.0.0.1/"],
                 ["--save", "/dev/null/\x1b[2J/x", "http://127.0.0.1/"]]:
        done = weir("fetch", *args, cwd=tmp_path)
        assert done.returncode == 2, args
        assert clean(done.stderr) and done.log, args


def test_in_csv_rows_the_bytes_are_as_they_came(weir, mock, tmp_path):
    """CSV has no escapes: a file holds what was sent; that is for programs, not for terminals."""
    done = weir("fetch", mock().url + "/escape", "-o", tmp_path / "out.csv")
    assert done.returncode == 0 and clean(done.stderr)
