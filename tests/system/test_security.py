"""What data from outside may reach: hosts, by lists and by redirects, and a few ends that no other
file has. docs/security.md names the test for each way; this file is all in it."""

import base64
import json
import ssl
import urllib.parse

import pytest

from conftest import request
from test_requests import guarded  # noqa: F401 (a fixture)

SECRETS = ["-H", "Authorization: Basic aDpo", "-H", "Cookie: h=h", "-H", "X-Api-Key: k3y",
           "-H", "Host: virtual.example", "-H", "Accept: text/x", "--cookie", "c=c"]
HARMLESS = {"host", "accept", "accept-encoding", "user-agent", "connection"}


def moving(other, status=302, path="/y"):
    """Leads everything to `other`."""
    return lambda asked: (status, {"Location": other.url + path})


def extra(asked):
    """The headers of a request beyond those that tell nothing."""
    return set(asked.headers) - HARMLESS


def localhost(server):
    """The same server by another name."""
    return server.url.replace("127.0.0.1", "localhost")


# ---- redirects ----

def test_no_credentials_to_another_port(weir, api):
    other = api()
    server = api(lambda asked: (int(asked.path[1:]), {"Location": other.url + "/y"}))
    done = weir("fetch", "-L", *SECRETS, server.url + "/{301,302,303,307,308}")
    assert done.returncode == 0, done.log
    assert all({"authorization", "cookie", "x-api-key"} <= extra(asked) for asked in server.asked)
    assert all(asked.headers["host"] == "virtual.example" for asked in server.asked)
    assert [extra(asked) for asked in other.asked] == [set()] * 5
    assert {(asked.headers["host"], asked.headers["accept"]) for asked in other.asked} == \
        {(f"127.0.0.1:{other.port}", "text/x")}


@pytest.mark.parametrize("args", [["-u", "a:b"], ["--bearer-env", "TOKEN"], ["--netrc"]],
                         ids=lambda args: args[0])
def test_no_login_to_another_host(weir, api, tmp_path, args):
    (tmp_path / ".netrc").write_text("default login weir password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    server = api(lambda asked: (302, {"Location": localhost(server) + "/y"})
                 if asked.path == "/x" else b"ok")
    done = weir("fetch", "-L", *args, server.url + "/x", env={"TOKEN": "t"})
    assert done.returncode == 0, done.log
    assert [("authorization" in asked.headers) for asked in server.asked] == [True, False]


def test_credentials_stay_within_an_origin(weir, api):
    server = api(lambda asked: (307, {"Location": "/y?z"}) if asked.path == "/x" else b"ok")
    where = server.url.replace("://", "://joe:pa55@")
    done = weir("fetch", "-L", "-H", "X-Api-Key: k3y", "-b", "c=c", "-d", "a=1", where + "/x")
    assert done.returncode == 0, done.log
    first, second = server.asked
    assert second.path == "/y?z" and second.body == first.body == b"a=1"
    assert first.headers == second.headers
    assert second.headers["authorization"] == "Basic " + base64.b64encode(b"joe:pa55").decode()
    assert "pa55" not in done.text + done.log


def test_no_credentials_after_a_detour(weir, api):
    """Where it went in between chose what is asked of the first."""
    def back(asked):
        return (302, {"Location": server.url + "/delete-everything"})
    other = api(back)
    server = api(lambda asked: (302, {"Location": other.url}) if asked.path == "/x" else b"ok")
    done = weir("fetch", "-L", *SECRETS, "-u", "a:b", server.url + "/x")
    assert done.returncode == 0, done.log
    assert [asked.path for asked in server.asked] == ["/x", "/delete-everything"]
    assert extra(server.asked[1]) == set()


def test_no_credentials_from_tls_to_the_clear(weir, hostile, nginx_tls):
    """The scheme alone makes another origin: one port speaks both."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(nginx_tls.cacert, nginx_tls.cacert.with_suffix(".key"))
    heads = []

    def answer(conn):
        if conn.recv(1, 2) != b"\x16":  # MSG_PEEK: no handshake
            heads.append(request(conn))
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return
        with context.wrap_socket(conn, server_side=True) as tls:
            heads.append(request(tls))
            tls.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/y\r\n"
                        b"Content-Length: 0\r\n\r\n" % server.port)

    server = hostile(answer)
    done = weir("fetch", "-L", "--cacert", nginx_tls.cacert, *SECRETS, "-u", "a:b",
                server.url.replace("http:", "https:") + "/x")
    assert done.rows[0]["body"] == "ok", done.log
    assert b"k3y" in heads[0] and b"Authorization" in heads[0]
    for secret in [b"k3y", b"uthorization", b"ookie", b"virtual"]:
        assert secret not in heads[1]


def test_a_redirect_chooses_no_login(weir, api):
    def answer(asked):
        where = {"/x": server.url, "/z": other.url}.get(asked.path)
        return (302, {"Location": where.replace("://", "://eve:evil@") + "/y"}) if where else b"ok"
    other = api(answer)
    server = api(answer)
    done = weir("fetch", "-L", server.url + "/{x,z}")
    assert done.returncode == 0, done.log
    assert all("authorization" not in asked.headers for asked in server.asked + other.asked)
    assert len(other.asked) == 1 and "evil" not in done.text + done.log


@pytest.mark.parametrize("args", [["-d", "secret"], ["-X", "DELETE"], ["-X", "POST"]],
                         ids=lambda args: args[-1])
def test_what_changes_something_is_not_carried_elsewhere(weir, api, args):
    other = api()
    server = api(lambda asked: (int(asked.path[1:]), {"Location": other.url + "/y"}))
    done = weir("fetch", "-L", *args, server.url + "/{307,308,302}", "--retry-on", "all",
                "--retry-unsafe")
    assert done.returncode == 1 and not other.asked
    assert [row["attempts"] for row in done.rows] == [1] * 3
    assert all("another origin" in row["error"] for row in done.rows)


def test_see_other_is_a_plain_get(weir, api):
    other = api()
    server = api(moving(other, 303))
    done = weir("fetch", "-L", "-d", '{"a":1}', server.url)
    assert done.returncode == 0, done.log
    asked = other.asked[0]
    assert (asked.method, asked.body) == ("GET", b"")
    assert not {"content-type", "content-length"} & set(asked.headers)


def test_no_certificate_to_another_origin(weir, api, guarded):  # noqa: F811
    args = ["-L", "--cacert", guarded.cacert, "--cert", guarded.cert, "--key", guarded.key,
            "--retry", "0"]
    assert weir("fetch", *args, guarded.url + "/hello.txt").returncode == 0
    server = api(moving(guarded, path="/hello.txt"))
    row = weir("fetch", *args, server.url).rows[0]
    assert row["body"] != "hello\n" and row["status"] in (400, None)


def test_cookies_are_not_taken_from_answers(weir, api):
    server = api(lambda asked: (302, {"Location": "/y", "Set-Cookie": "evil=1; Path=/"})
                 if asked.path == "/x" else (200, {"Set-Cookie": "evil=2"}, b"ok"))
    assert weir("fetch", "-L", "-j", "1", server.url + "/{x,z,z2}").returncode == 0
    assert len(server.asked) == 4
    assert all("cookie" not in asked.headers for asked in server.asked)


def test_the_body_of_a_redirect_is_not_read_to_its_end(weir, api, hostile):
    def answer(conn):
        request(conn)
        conn.sendall(b"HTTP/1.1 302 Found\r\nLocation: " + other.url.encode() + b"\r\n\r\n")
        try:
            while True:
                conn.sendall(b"x" * 65536)
        except OSError:
            pass  # it was told enough
    other = api()
    done = weir("fetch", "-L", hostile(answer).url)
    assert done.rows[0]["body"] == "ok", done.log


# ---- what may be reached ----

def spellings(port):
    return [f"http://{host}:{port}/" for host in [
        "127.0.0.1", "127.1", "0x7f.1", "2130706433", "017700000001", "localhost",
        "LOCALHOST", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "user@127.0.0.1",
        "example.com@127.0.0.1", "127.0.0.2", "0.0.0.0", "0", "%31%32%37.0.0.1", "[::1]",
        "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254"]]


@pytest.mark.parametrize("args", [["--no-private"], ["--deny", "0.0.0.0/0,::/0"],
                                  ["--allow", "api.example.com,8.8.8.8"]],
                         ids=lambda args: args[0])
def test_no_spelling_gets_round_the_lists(weir, api, args):
    server = api()
    urls = "".join(url + "\n" for url in spellings(server.port))
    done = weir("fetch", "-i", "-", "--input-format", "lines", *args, "--retry-on", "all",
                "--no-body", input=urls)
    assert done.returncode == 1 and not server.asked
    assert len(done.rows) == len(spellings(0))
    for row in done.rows:
        assert (row["status"], row["attempts"]) == (None, 1), row
        assert "not allowed" in row["error"] and args[0] in row["error"], row


@pytest.mark.parametrize("args", [["--no-private"], ["--deny", "localhost"],
                                  ["--deny", "::1,127.0.0.0/8", "--allow", "localhost"]],
                         ids=" ".join)
def test_lists_hold_for_redirects(weir, api, args):
    """The first is reached by a name that the lists let through only where they do."""
    server = api()
    leading = api(lambda asked: (302, {"Location": localhost(server) + "/secret"}))
    done = weir("fetch", "-L", *args, leading.url, "--retry-on", "all")
    row = done.rows[0]
    assert not server.asked and done.returncode == 1
    assert "not allowed" in row["error"] and row["attempts"] == 1
    if args == ["--deny", "localhost"]:
        assert row["status"] == 302 and "redirect" in row["error"]
    else:
        assert not leading.asked


def test_a_redirect_is_held_to_the_address_it_comes_to(weir, api):
    """127.0.0.1 may be reached, by its name too, but not on the second port."""
    server = api()
    leading = api(lambda asked: (302, {"Location": localhost(server) + "/secret"}))
    done = weir("fetch", "-L", leading.url, "--allow", f"127.0.0.1:{leading.port}")
    assert len(leading.asked) == 1 and not server.asked
    assert "not among what --allow names" in done.rows[0]["error"]
    done = weir("fetch", "-L", leading.url, "--deny", f"127.0.0.1:{server.port}", "--deny", "::1")
    assert len(leading.asked) == 2 and not server.asked
    assert "1 is among what --deny names, and a redirect leads there" in done.rows[0]["error"]


def test_what_is_allowed_is_reached(weir, api):
    server = api(lambda asked: (302, {"Location": localhost(server) + "/y"})
                 if asked.path == "/x" else b"ok")
    for allow in [["localhost,127.0.0.1"], ["127.0.0.0/8"], ["::1, 127.0.0.1"],
                  [f"localhost:{server.port}", f"127.0.0.1:{server.port}"]]:
        lists = [word for one in allow for word in ("--allow", one)]
        done = weir("fetch", "-L", server.url + "/x", *lists, "--deny", "192.0.2.0/24,.example")
        assert done.returncode == 0, done.log
        assert done.rows[0]["body"] == "ok"


def test_one_that_is_denied_holds_up_no_other(weir, api):
    server = api()
    done = weir("fetch", "-i", "-", "--input-format", "lines", "--allow", "localhost",
                input="http://evil.example/\n" + (localhost(server) + "/\n") * 20)
    assert [row["status"] for row in done.rows] == [None] + [200] * 20
    assert "evil.example is not among what --allow names" in done.rows[0]["error"]


def test_lists_and_proxies(weir, api):
    """What a proxy connects to is not seen: names are held to, and what goes by addresses is
    refused."""
    proxy = api()
    for args in [["--no-private"], ["--deny", "a.example,10.0.0.0/8"]]:
        for how, env in [(["--proxy", proxy.url], {}), ([], {"http_proxy": proxy.url})]:
            done = weir("fetch", "http://a.example/", *args, *how, env=env)
            assert done.returncode == 2 and "proxy" in done.log and args[0] in done.log
    done = weir("fetch", "http://{a,b}.example/", "http://127.0.0.1/", "--proxy", proxy.url,
                "--allow", "a.example,127.0.0.0/8", "--retry", "0")
    assert [row["status"] for row in done.rows] == [200, None, 200], done.text
    assert "proxy" in done.rows[1]["error"]
    assert sorted(asked.headers["host"] for asked in proxy.asked) == ["127.0.0.1", "a.example"]
    server = api()
    done = weir("fetch", server.url, "--proxy", "", "--deny", "10.0.0.0/8",
                env={"http_proxy": proxy.url})
    assert done.returncode == 0 and len(proxy.asked) == 2 and len(server.asked) == 1


@pytest.mark.parametrize("option", ["--allow", "--deny"])
def test_lists_that_are_none(weir, option):
    for value, says in [("", "empty"), ("a.example,", "empty"), ("127.1", "in full"),
                        ("http://a.example", "URL"), ("10.0.0.1/8", "prefix"), ("a b", "a b"),
                        ("a.example:99999", "port"), ("b\u00fccher.example", "xn--")]:
        done = weir("fetch", "http://127.0.0.1:1/", option, value)
        assert done.returncode == 2, value
        assert option in done.log and says in done.log, done.log


# ---- other ends ----

def test_credentials_hold_no_line_breaks(weir, api):
    server = api()
    for args in [["--cookie", "a=b\r\nX-Evil: 1"], ["--bearer-env", "TOKEN"],
                 ["-A", "me\r\nX-Evil: 1"], ["-H", "X-A: b\r\nX-Evil: 1"], ["-X", "GET\r\nX: 1"]]:
        done = weir("fetch", server.url, *args, env={"TOKEN": "t\nX-Evil: 1"})
        assert done.returncode == 2 and not server.asked, args


def test_a_url_holds_no_second_request(weir, api):
    server = api()
    values = ["/x HTTP/1.1\r\nHost: evil\r\n\r\nGET /y", "/x\r\nX-Evil: 1", "/x y", "/\x00"]
    rows = "".join(json.dumps({"v": value}) + "\n" for value in values)
    done = weir("fetch", "-i", "-", "--input-format", "ndjson", server.url + "{v:raw}", input=rows)
    assert done.returncode == 1 and not server.asked and len(done.rows) == 4
    done = weir("fetch", "-i", "-", "--input-format", "ndjson", server.url + "/{v}", input=rows)
    assert {urllib.parse.unquote(path[1:]) for path in server.paths} <= set(values)
    assert all(extra(asked) == set() for asked in server.asked)


def test_formulas_in_csv_are_data(weir, tmp_path):
    """A spreadsheet may compute what begins so; a table that was altered would be no copy."""
    values = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"]
    done = weir("exec", "-i", "-", "--input-format", "ndjson", "--format", "csv", "true",
                input="".join(json.dumps({"v": value}) + "\n" for value in values))
    assert done.returncode == 0, done.log
    assert [line.split(",")[0] for line in done.text.splitlines()[1:]] == values


# Each with its placeholder somewhere else; what is not refused must be harmless.
LINES = ["echo {v}", "echo '{v}'", "echo \"{v}\"", "echo `echo {v}`", "echo \"$(echo {v})\"",
         "echo \"$(echo \"{v}\")\"", "echo \"${x:-{v}}\"", "echo \"$(( 1 + {v} ))\"", "echo # {v}",
         "echo a#{v}", "cat <<E\n{v}\nE", "cat <<'E'\n{v}\nE", "x=${v}", "echo \\\\{v}",
         "echo \"a\"{v}\"b\"", "(echo {v})", "x={v}; echo $x", "case {v} in {v}) echo 1;; esac",
         "echo \"$(case a in a) echo \"{v}\";; esac)\"", "f() { echo {v}; }; f",
         "echo \"${x#'{v}'}\"", "echo $(echo a)#'\n{v}'"]
VALUES = ["$(touch owned)", "`touch owned`", "; touch owned; #", "'; touch owned; '",
          "\"; touch owned; \"", "\n touch owned\n", "E\ntouch owned\n", "a[$(touch owned)]",
          "\\'; touch owned; #", "}; touch owned; {", ") ; touch owned; ("]


def test_no_line_for_the_shell_obeys_a_value(weir, tmp_path):
    rows = "".join(json.dumps({"v": value}) + "\n" for value in VALUES)
    (tmp_path / "rows").write_text(rows)
    refused = []
    for line in LINES:
        done = weir("exec", "--shell", "-i", tmp_path / "rows", "--input-format", "ndjson", "-j",
                    "4", "-q", line, cwd=tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["rows"], line
        if done.returncode == 2:
            assert "stands" in done.log, done.log
            refused.append(line)
    assert not {"echo {v}", "echo \"$(echo {v})\"", "(echo {v})"} & set(refused)
    assert len(refused) == 13
