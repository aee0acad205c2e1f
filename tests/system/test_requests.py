"""What is asked for: templates, methods, headers, bodies, credentials, proxies, TLS."""

import base64
import json
import shutil
import socket
import subprocess
import threading

import pytest

from conftest import LIMIT, make_certificate, product, start_nginx, stop_process
from recorder import Asked


def paths(done, base):
    assert done.returncode == 0, done.log
    return [row["url"].removeprefix(base) for row in done.rows]


# ---- templates ----

@pytest.mark.parametrize("template,expected", [
    ("/{1..3}", ["/1", "/2", "/3"]),
    ("/{3..1}", ["/3", "/2", "/1"]),
    ("/{1..10..4}", ["/1", "/5", "/9"]),
    ("/{008..010}", ["/008", "/009", "/010"]),
    ("/{001..100..50}", ["/001", "/051"]),
    ("/{-1..1}", ["/-1", "/0", "/1"]),
    ("/{a..c}", ["/a", "/b", "/c"]),
    ("/{red,green}", ["/red", "/green"]),
    ("/{a,b}/{1..2}", ["/a/1", "/a/2", "/b/1", "/b/2"]),
    ("/{{1..2},x}", None),
    ("/\\{1..2\\}", ["/%7B1..2%7D"]),
    ("/{#}?n={7..8}", ["/1?n=7", "/2?n=8"]),
])
def test_templates(weir, api, template, expected):
    server = api()
    done = weir("fetch", server.url + template, "-q")
    if expected is None:
        assert done.returncode == 2 and not server.asked
    else:
        assert [row["url"].removeprefix(server.url).replace("{", "%7B").replace("}", "%7D")
                for row in done.rows] == expected


def test_several_urls_follow_each_other(weir, api):
    server = api()
    done = weir("fetch", server.url + "/a/{1..2}", server.url + "/b", server.url + "/c/{x,y}")
    assert paths(done, server.url) == ["/a/1", "/a/2", "/b", "/c/x", "/c/y"]
    assert sorted(server.paths) == ["/a/1", "/a/2", "/b", "/c/x", "/c/y"]


def test_a_row_meets_every_url(weir, api):
    server = api()
    done = weir("fetch", "-i", "-", "--input-format", "lines", server.url + "/{line}/{1..2}",
                server.url + "/z/{line}", input="p\nq\n")
    assert paths(done, server.url) == ["/p/1", "/p/2", "/z/p", "/q/1", "/q/2", "/z/q"]


def test_columns_are_percent_encoded(weir, api):
    server = api()
    value = "a/b?c=d&e#f %+\u00fc\"'"
    done = weir("fetch", "-i", "-", "--input-format", "ndjson", server.url + "/{v}?q={v}",
                input=json.dumps({"v": value}) + "\n")
    encoded = "a%2Fb%3Fc%3Dd%26e%23f%20%25%2B%C3%BC%22%27"
    assert done.returncode == 0, done.log
    assert server.paths[0].upper() == f"/{encoded}?q={encoded}".upper()
    assert done.rows[0]["v"] == value


def test_raw_columns_are_not(weir, api):
    server = api()
    done = weir("fetch", "-i", "-", "--input-format", "lines", server.url + "/{line:raw}",
                input="a/b?c=d%20e\n")
    assert done.returncode == 0, done.log
    assert server.paths == ["/a/b?c=d%20e"]


def test_the_lines_are_the_urls(weir, api):
    server = api()
    done = weir("fetch", "-i", "-", "--input-format", "lines",
                input=f"{server.url}/a?b=c\n{server.url}/d\n")
    assert paths(done, server.url) == ["/a?b=c", "/d"]


def test_the_column_url_is_the_url(weir, api):
    server = api()
    done = weir("fetch", "-i", "-", "--input-format", "csv",
                input=f"id,url\n1,{server.url}/x\n")
    assert done.returncode == 0, done.log
    row = done.rows[0]
    assert (row["id"], row["input_url"], row["url"]) == ("1", server.url + "/x", server.url + "/x")


def test_an_environment_variable_is_sent_and_not_shown(weir, api):
    server = api()
    done = weir("fetch", server.url + "/x?key={env:KEY}", env={"KEY": "s3cr3t/ü"})
    assert done.returncode == 0, done.log
    assert server.paths == ["/x?key=s3cr3t%2F%C3%BC"]
    assert b"s3cr3t" not in done.stdout + done.stderr


# ---- methods, headers, bodies ----

@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "PURGE", "HEAD", "POST"])
def test_methods(weir, api, method):
    server = api()
    done = weir("fetch", "-X", method, server.url + "/x")
    assert done.returncode == 0, done.log
    assert [asked.method for asked in server.asked] == [method]


def only(server):
    assert len(server.asked) == 1
    return server.asked[0]


def ask(weir, server, *args, **options) -> Asked:
    done = weir("fetch", server.url + "/x", *args, **options)
    assert done.returncode == 0, done.log
    return only(server)


def test_headers(weir, api):
    asked = ask(weir, api(), "-H", "X-A: one", "-H", "X-B: {env:B} two", "-H", "Accept: text/x",
                "-H", "X-Empty:", env={"B": "bee"})
    assert asked.headers["x-a"] == "one"
    assert asked.headers["x-b"] == "bee two"
    assert asked.headers["accept"] == "text/x"
    assert asked.headers["x-empty"] == ""


def test_headers_with_columns(weir, api):
    server = api()
    weir("fetch", "-i", "-", "--input-format", "lines", "-H", "X-Line: <{line}>",
         server.url + "/{line}", input="a\nb\n")
    assert {(asked.path, asked.headers["x-line"]) for asked in server.asked} == \
        {("/a", "<a>"), ("/b", "<b>")}


def test_a_value_cannot_add_headers(weir, api):
    server = api()
    done = weir("fetch", "-i", "-", "--input-format", "ndjson", "-H", "X-V: {v}", server.url,
                input=json.dumps({"v": "a\r\nX-Evil: 1"}) + "\n")
    assert done.returncode == 1 and not server.asked
    assert "line break" in done.rows[0]["error"]


def test_the_user_agent(weir, api):
    version = weir("--version").text.split()[1]
    assert ask(weir, api()).headers["user-agent"] == f"weir/{version}"
    assert ask(weir, api(), "-A", "me/1").headers["user-agent"] == "me/1"


def test_compression_is_offered(weir, api):
    offered = ask(weir, api()).headers["accept-encoding"]
    assert {"gzip", "deflate", "br", "zstd"} <= set(offered.replace(" ", "").split(","))


def test_a_json_body(weir, api):
    server = api()
    done = weir("fetch", "-i", "-", "--input-format", "ndjson", server.url,
                "-d", '{"name": "{name}", "n": {n}, "all": {all}}',
                input='{"name": "a\\"b\\\\\\n\\u00fc", "n": 12345678901234567890, '
                      '"all": [1, {"x": null}]}\n')
    assert done.returncode == 0, done.log
    asked = only(server)
    assert asked.method == "POST"
    assert asked.headers["content-type"] == "application/json"
    assert json.loads(asked.body) == {"name": 'a"b\\\nü', "n": 12345678901234567890,
                                      "all": [1, {"x": None}]}


def test_a_value_cannot_leave_its_json_string(weir, api):
    server = api()
    weir("fetch", "-i", "-", "--input-format", "lines", server.url, "-d", '{"v": "{line}"}',
         input='", "admin": "yes\n')
    assert json.loads(only(server).body) == {"v": '", "admin": "yes'}


def test_a_form_body(weir, api):
    server = api()
    weir("fetch", "-i", "-", "--input-format", "lines", server.url, "-d", "a={line}&b=1",
         input="x&y=z ü\n")
    asked = only(server)
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.body.upper() in (b"A=X%26Y%3DZ%20%C3%BC&B=1", b"A=X%26Y%3DZ+%C3%BC&B=1")


def test_a_body_of_a_type_of_its_own(weir, api):
    asked = ask(weir, api(), "-d", "<a/>", "-H", "Content-Type: text/xml")
    assert (asked.headers["content-type"], asked.body) == ("text/xml", b"<a/>")


def test_a_body_from_a_file(weir, api, tmp_path):
    (tmp_path / "body.json").write_text('{"id": "{line}"}')
    server = api()
    weir("fetch", "-i", "-", "--input-format", "lines", server.url, "-d",
         f"@{tmp_path}/body.json", input="7\n")
    assert json.loads(only(server).body) == {"id": "7"}


def test_a_body_from_standard_input(weir, api):
    assert ask(weir, api(), "-d", "@-", input="a=1").body == b"a=1"


def test_a_raw_body(weir, api, tmp_path):
    data = b"{id} \x00\xff {env:HOME}"
    (tmp_path / "raw").write_bytes(data)
    assert ask(weir, api(), "--data-raw", f"@{tmp_path}/raw", "-X", "PUT").body == data


def test_a_body_file_that_is_not_there(weir, api, tmp_path):
    server = api()
    done = weir("fetch", server.url, "-d", f"@{tmp_path}/none")
    assert done.returncode == 2 and not server.asked
    assert "--data" in done.log and "No such file" in done.log


# ---- credentials ----

def test_user(weir, nginx):
    url = nginx.url + "/private/hello.txt"
    assert weir("fetch", url, "-u", "weir:secret").rows[0]["body"] == "hello\n"
    refused = weir("fetch", url, "-u", "weir:wrong")
    assert (refused.returncode, refused.rows[0]["status"]) == (1, 401)


def test_userinfo_in_the_url(weir, nginx):
    done = weir("fetch", nginx.url.replace("://", "://weir:secret@") + "/private/hello.txt")
    row = done.rows[0]
    assert (row["status"], row["url"]) == (200, nginx.url + "/private/hello.txt")


def test_bearer_env(weir, api):
    asked = ask(weir, api(), "--bearer-env", "TOKEN", env={"TOKEN": "abc.def"})
    assert asked.headers["authorization"] == "Bearer abc.def"


def test_bearer_env_that_is_not_set(weir, api):
    server = api()
    done = weir("fetch", server.url, "--bearer-env", "NO_SUCH")
    assert done.returncode == 2 and not server.asked
    assert "--bearer-env" in done.log and "NO_SUCH" in done.log


def test_netrc(weir, nginx, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login weir password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    url = nginx.url + "/private/hello.txt"
    assert weir("fetch", url, "--netrc").returncode == 0
    assert weir("fetch", url).rows[0]["status"] == 401


def test_cookie(weir, api):
    assert ask(weir, api(), "--cookie", "a=b; c=d").headers["cookie"] == "a=b; c=d"


# ---- redirects and proxies ----

def test_redirects_are_followed_if_asked(weir, nginx):
    url = nginx.url + "/moved/products/3.json"
    done = weir("fetch", url)
    row = done.rows[0]
    assert (done.returncode, row["status"]) == (1, 302)
    assert "/products/3.json" in row["error"] and "--location" in row["error"]
    row = weir("fetch", "--location", url).rows[0]
    assert (row["status"], row["url"], row["body"]) == (200, url, product(3))


def test_credentials_stay_with_their_host(weir, api):
    other = api()
    server = api(lambda _: (302, {"Location": other.url + "/y"}))
    done = weir("fetch", "--location", "-u", "a:b", server.url + "/x")
    assert done.returncode == 0, done.log
    assert "authorization" in only(server).headers
    assert "authorization" not in only(other).headers


class Proxy:
    """Enough of an HTTP proxy: CONNECT becomes a tunnel, anything else an answer of its own."""

    def __init__(self):
        self.asked = []

    def __call__(self, conn):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = conn.recv(65536)
            if not piece:
                return
            head += piece
        self.asked.append(head)
        method, target, _ = head.split(b"\r\n")[0].split(b" ")
        if method != b"CONNECT":
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nproxied")
            return
        host, _, port = target.decode().rpartition(":")
        with socket.create_connection((host, int(port)), timeout=LIMIT) as beyond:
            conn.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=pump, args=(beyond, conn), daemon=True)
            back.start()
            pump(conn, beyond)
            back.join(timeout=LIMIT)


def pump(source, target):
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_proxy(weir, hostile):
    seen = Proxy()
    proxy = hostile(seen)
    where = f"http://joe:pa55@127.0.0.1:{proxy.port}"
    done = weir("fetch", "http://weir.invalid/x", "--proxy", where)
    assert done.returncode == 0, done.log
    assert done.rows[0]["body"] == "proxied"
    assert seen.asked[0].startswith(b"GET http://weir.invalid/x HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"joe:pa55") in seen.asked[0]
    assert b"pa55" not in done.stdout + done.stderr


def test_a_proxy_from_the_environment(weir, hostile):
    seen = Proxy()
    proxy = hostile(seen)
    done = weir("fetch", "http://weir.invalid/x",
                env={"http_proxy": f"http://127.0.0.1:{proxy.port}"})
    assert done.rows[0]["body"] == "proxied"


def test_a_tunnel_through_a_proxy(weir, hostile, nginx_tls):
    seen = Proxy()
    proxy = hostile(seen)
    done = weir("fetch", nginx_tls.url + "/hello.txt", "--cacert", nginx_tls.cacert, "--proxy",
                f"http://127.0.0.1:{proxy.port}")
    assert done.rows[0]["body"] == "hello\n", done.log
    assert seen.asked[0].startswith(b"CONNECT 127.0.0.1:")


def test_a_proxy_that_is_not_there(weir, refused_port):
    done = weir("fetch", "http://weir.invalid/", "--retry", "0", "--proxy",
                f"http://127.0.0.1:{refused_port}")
    assert done.returncode == 1
    assert "connect" in done.rows[0]["error"].lower()


# ---- TLS ----

def test_a_certificate_is_verified(weir, nginx_tls):
    done = weir("fetch", nginx_tls.url + "/hello.txt")
    row = done.rows[0]
    assert (done.returncode, row["status"], row["attempts"]) == (1, None, 1)
    assert "certificate" in row["error"]


def test_cacert(weir, nginx_tls):
    done = weir("fetch", nginx_tls.url + "/hello.txt", "--cacert", nginx_tls.cacert)
    assert done.rows[0]["body"] == "hello\n", done.log


def test_insecure(weir, nginx_tls):
    assert weir("fetch", nginx_tls.url + "/hello.txt", "--insecure").returncode == 0


def test_a_certificate_for_another_name(weir, nginx_tls):
    done = weir("fetch", f"https://localhost:{nginx_tls.port}/hello.txt", "--cacert",
                nginx_tls.cacert)
    assert done.returncode == 1
    assert "certificate" in done.rows[0]["error"] and "localhost" in done.rows[0]["error"]


def test_a_cacert_that_is_not_there(weir, nginx_tls, tmp_path):
    done = weir("fetch", nginx_tls.url, "--cacert", tmp_path / "none.pem")
    assert done.returncode == 2
    assert "--cacert" in done.log and "none.pem" in done.log


@pytest.mark.parametrize("url", ["http", "https"])
def test_the_wrong_scheme_for_a_port(weir, nginx, nginx_tls, url):
    port = nginx.port if url == "https" else nginx_tls.port
    done = weir("fetch", f"{url}://127.0.0.1:{port}/hello.txt", "--retry", "0")
    assert done.returncode == 1
    assert done.rows[0]["error"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """An nginx that asks its clients for a certificate."""
    root = tmp_path_factory.mktemp("guarded")
    cert, key = make_certificate(root, "server")
    client, client_key = make_certificate(root, "client")
    server = start_nginx(root, f"ssl_certificate {cert}; ssl_certificate_key {key}; "
                               f"ssl_client_certificate {client}; ssl_verify_client on;")
    server.cacert, server.cert, server.key = cert, client, client_key
    yield server
    stop_process(server.process)


def test_a_client_certificate(weir, guarded):
    url = guarded.url + "/hello.txt"
    done = weir("fetch", url, "--cacert", guarded.cacert, "--cert", guarded.cert, "--key",
                guarded.key)
    assert done.rows[0]["body"] == "hello\n", done.log
    without = weir("fetch", url, "--cacert", guarded.cacert, "--retry", "0")
    assert without.returncode == 1 and without.rows[0]["status"] in (400, None)


def test_a_certificate_and_its_key_in_one_file(weir, guarded, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes(guarded.cert.read_bytes() + guarded.key.read_bytes())
    done = weir("fetch", guarded.url + "/hello.txt", "--cacert", guarded.cacert, "--cert", both)
    assert done.rows[0]["body"] == "hello\n", done.log


@pytest.mark.parametrize("option", ["--cacert", "--cert", "--key"])
def test_files_that_hold_something_else(weir, guarded, tmp_path, option):
    files = {"--cacert": guarded.cacert, "--cert": guarded.cert, "--key": guarded.key}
    other = tmp_path / "other.pem"
    other.write_bytes((guarded.cert if option == "--key" else guarded.key).read_bytes())
    for path in [other, tmp_path, tmp_path / "none"]:
        args = [word for pair in {**files, option: path}.items() for word in pair]
        done = weir("fetch", guarded.url, *args)
        assert done.returncode == 2 and done.stdout == b""
        assert f"{option}: " in done.log and str(path) in done.log


def test_a_certificate_without_its_key(weir, guarded):
    done = weir("fetch", guarded.url, "--cert", guarded.cert)
    assert done.returncode == 2 and "--key" in done.log
    done = weir("fetch", guarded.url, "--key", guarded.key)
    assert done.returncode == 2 and "--cert" in done.log


def test_a_key_of_another_certificate(weir, guarded, tmp_path):
    _, other = make_certificate(tmp_path, "other")
    done = weir("fetch", guarded.url, "--cacert", guarded.cacert, "--cert", guarded.cert, "--key",
                other)
    assert done.returncode in (1, 2)
    assert "key" in done.log + done.text


def test_http2_where_it_is_offered(weir, nginx_tls, nginx):
    options = ["--cacert", nginx_tls.cacert]
    rows = weir("fetch", nginx_tls.url + "/echo?{1..20}", *options).rows
    assert {row["body"]["protocol"] for row in rows} == {"HTTP/2.0"}
    rows = weir("fetch", nginx_tls.url + "/echo", "--http1.1", *options).rows
    assert rows[0]["body"]["protocol"] == "HTTP/1.1"
    assert weir("fetch", nginx.url + "/echo").rows[0]["body"]["protocol"] == "HTTP/1.1"


def test_http2_shares_connections(weir, nginx_tls):
    rows = weir("fetch", nginx_tls.url + "/echo?{1..100}", "--cacert", nginx_tls.cacert, "-j",
                "50", "--lanes", "1").rows
    assert len(rows) == 100
    assert len({row["body"]["connection"] for row in rows}) <= 2


def test_connections_are_kept(weir, nginx):
    rows = weir("fetch", nginx.url + "/echo?{1..200}", "-j", "4", "--lanes", "1").rows
    assert len({row["body"]["connection"] for row in rows}) <= 4


# ---- compressed answers ----

def test_gzip(weir, nginx):
    row = weir("fetch", nginx.url + "/gzip/products/5.json", "--headers").rows[0]
    assert row["body"] == product(5)
    assert row["headers"]["content-encoding"] == "gzip"


@pytest.mark.parametrize("coding,command", [("zstd", ["zstd", "-qc"]), ("br", ["brotli", "-c"])])
def test_other_codings(weir, api, coding, command):
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    data = subprocess.run(command, input=b'{"a": 1}', capture_output=True, check=True).stdout
    server = api((200, {"Content-Encoding": coding, "Content-Type": "application/json"}, data))
    assert weir("fetch", server.url).rows[0]["body"] == {"a": 1}


def test_a_coding_that_is_broken(weir, api):
    server = api((200, {"Content-Encoding": "gzip"}, b"this is no gzip"))
    done = weir("fetch", server.url, "--retry", "0")
    assert done.returncode == 1
    assert done.rows[0]["error"]
