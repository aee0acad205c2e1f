"""Fixtures of the system tests: the command, real servers, and hostile ones.

Everything listens on 127.0.0.1 on a port that was free a moment ago, ends with the test that
started it, and waits for events (a line, a connection, an exit), never for a time to pass. The
generous limits below only keep a broken test from hanging.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import urllib.request

import pytest

from recorder import api  # noqa: F401 (a fixture)

LIMIT = 60  # seconds until something that should have happened is given up

# Under nohup, or behind a script's "&", these would be ignored, in what the tests start too, and weir
# leaves ignored signals so.
for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


class Done(subprocess.CompletedProcess):
    """A finished run of the command."""

    @property
    def rows(self):
        """The NDJSON rows on standard output."""
        return parse_rows(self.stdout)

    @property
    def text(self):
        """Standard output as text."""
        return self.stdout.decode()

    @property
    def log(self):
        """Standard error as text."""
        return self.stderr.decode()


def parse_rows(data):
    assert data == b"" or data.endswith(b"\n"), "the last row is not whole"
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


def read_rows(path):
    """The NDJSON rows of a file."""
    return parse_rows(pathlib.Path(path).read_bytes())


class Weir:
    """Runs the command: weir("fetch", url, input=b"...", cwd=folder)."""

    def __init__(self, path, env):
        self.path = path
        self.env = env

    def command(self, args):
        return [self.path, *map(str, args)]

    def __call__(self, *args, input=b"", timeout=LIMIT, env=None, **options):
        if isinstance(input, str):
            input = input.encode()
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        if "stdin" not in options:
            options["input"] = input
        run = subprocess.run(self.command(args), timeout=timeout, env={**self.env, **(env or {})},
                             check=False, **options)
        return Done(run.args, run.returncode, run.stdout, run.stderr)

    def start(self, *args, env=None, **options):
        """The same in the background; the caller ends it (see `processes` for a safety net)."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(self.command(args), env={**self.env, **(env or {})}, **options)


# Runs a command, and says last on standard error how many KiB it had resident at most. A process
# begins with the peak of the one that started it, and that of the tests is large.
MEASURE = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class MeasuredWeir(Weir):
    """The same, measured."""

    def command(self, args):
        return [sys.executable, "-S", "-E", "-c", MEASURE, *super().command(args)]


@pytest.fixture
def measured_weir(weir):
    return MeasuredWeir(weir.path, weir.env)


@pytest.fixture(scope="session")
def weir_path():
    path = os.environ.get("WEIR")
    if not path:
        pytest.exit("WEIR must hold the path of the command; run the tests with: make test", 2)
    return path


def clean_weir(path, home):
    """The command, far from the settings of the user who runs the tests."""
    keep = ["PATH", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
            "TSAN_OPTIONS"]
    env = {name: os.environ[name] for name in keep if name in os.environ}
    env.update(HOME=str(home), LC_ALL="C.UTF-8", TMPDIR=str(home))
    return Weir(path, env)


@pytest.fixture
def weir(weir_path, tmp_path):
    return clean_weir(weir_path, tmp_path)


@pytest.fixture(scope="session")
def sanitized(weir_path):
    """Is the command built with a sanitizer, whose memory is not the command's own?"""
    data = pathlib.Path(weir_path).read_bytes()
    return b"__asan_init" in data or b"__tsan_init" in data


@pytest.fixture
def processes():
    """A list for what a test starts in the background: whatever still runs at its end is killed."""
    started = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until(condition):
    """Until the condition holds; fails when it never does."""
    pause = threading.Event()
    for _ in range(int(LIMIT / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    pytest.fail("what should have happened did not")


def size_of(path):
    """0 if there is no such file, yet or any more."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def accounted(done):
    """The numbers of the summary's equation."""
    found = re.search(r"^(?:([\d,]+) (?:request|file|command)s?)(.*)$", done.log, re.M)
    total = int(found[1].replace(",", ""))
    if "ok" in found[2] and "=" not in found[2]:
        before = re.search(r"\(([\d,]+) done before\)", found[2])
        before = int(before[1].replace(",", "")) if before else 0
        return total, {"ok": total - before, **({"done before": before} if before else {})}
    terms = re.sub(r"\(.*?\)", "", found[2])  # of those before, how many failed
    parts = re.findall(r"([\d,]+) (ok|failed|cancelled|not started|done before)", terms)
    return total, {name: int(number.replace(",", "")) for number, name in parts}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def refused_port():
    """A port on which nothing listens and, while the test runs, nothing else can."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


class Server:
    """Where a server is: its port and its base URL."""

    def __init__(self, port, process=None, root=None, scheme="http"):
        self.port = port
        self.process = process
        self.root = root
        self.url = f"{scheme}://127.0.0.1:{port}"

    def get(self, path):
        """The JSON at a path, asked for without weir."""
        with urllib.request.urlopen(self.url + path, timeout=LIMIT) as answer:
            return json.load(answer)


NGINX_CONFIG = """
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 4096;
pid {root}/nginx.pid;
error_log {root}/error.log warn;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    types {{ application/json json; text/plain txt; application/octet-stream bin; }}
    default_type application/octet-stream;
    client_body_temp_path {root}/tmp-body;
    proxy_temp_path {root}/tmp-proxy;
    fastcgi_temp_path {root}/tmp-fastcgi;
    uwsgi_temp_path {root}/tmp-uwsgi;
    scgi_temp_path {root}/tmp-scgi;
    keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{port};
        {tls}
        root {root}/www;
        location /gzip/ {{
            alias {root}/www/;
            gzip on;
            gzip_types *;
            gzip_min_length 1;
        }}
        location /moved/ {{ rewrite ^/moved/(.*)$ /$1 redirect; }}
        location /loop/ {{ rewrite ^ $uri redirect; }}
        location /teapot {{ return 418 "short and stout\\n"; }}
        location /echo {{
            default_type application/json;
            return 200 '{{"method":"$request_method","uri":"$request_uri","agent":"$http_user_agent","auth":"$http_authorization","cookie":"$http_cookie","accept":"$http_accept","connection":"$connection","protocol":"$server_protocol"}}';
        }}
        location /private/ {{ alias {root}/www/; auth_basic "private"; auth_basic_user_file {root}/users; }}
    }}
}}
"""

PRODUCTS = 200


def product(number):
    """What /products/N.json holds."""
    return {"id": number, "name": f"Product {number}", "price": number / 4, "tags": ["a", "ü"]}


def nginx_program():
    path = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not path:
        pytest.fail("nginx is not installed: run scripts/deps.sh")
    return path


def start_nginx(root, tls=""):
    """Starts nginx on a free port; with `tls`, lines of its configuration, it speaks HTTPS."""
    (root / "www" / "products").mkdir(parents=True)
    for number in range(1, PRODUCTS + 1):
        path = root / "www" / "products" / f"{number}.json"
        path.write_text(json.dumps(product(number), ensure_ascii=False), encoding="utf-8")
    (root / "www" / "hello.txt").write_text("hello\n")
    (root / "www" / "bytes.bin").write_bytes(bytes(range(256)))
    (root / "users").write_text("weir:{PLAIN}secret\n")
    for _ in range(5):  # somebody may take the port between asking for it and listening on it
        port = free_port()
        listen = f"listen 127.0.0.1:{port}"
        config = NGINX_CONFIG.format(root=root, port=port, tls=tls)
        if tls:
            config = config.replace(listen, listen + " ssl http2")
        (root / "nginx.conf").write_text(config)
        process = subprocess.Popen(
            [nginx_program(), "-p", str(root), "-c", str(root / "nginx.conf"), "-e",
             str(root / "error.log")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if wait_for_port(port, process):
            return Server(port, process, root, "https" if tls else "http")
    pytest.fail("nginx does not start: " + (root / "error.log").read_text())


def wait_for_port(port, process):
    """True once something listens there, False if the process has ended."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=LIMIT).close()
            return process.poll() is None
        except ConnectionRefusedError:
            try:
                process.wait(timeout=0.02)
                return False
            except subprocess.TimeoutExpired:
                continue


def stop_process(process):
    process.terminate()
    try:
        process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def nginx(tmp_path_factory):
    """A real nginx: /products/N.json (N from 1 to 200), /hello.txt, /bytes.bin, all of them also
    below /gzip/, /moved/ (redirects) and /private/ (weir:secret); /loop/, /teapot and /echo."""
    server = start_nginx(tmp_path_factory.mktemp("nginx"))
    yield server
    stop_process(server.process)


def make_certificate(folder, name, *options):
    """A self-signed certificate for 127.0.0.1 and its key, in PEM files."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out",
         str(cert), "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days",
         "2", *options],
        check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return cert, key


@pytest.fixture(scope="session")
def nginx_tls(tmp_path_factory):
    """The same over TLS and HTTP/2; `cacert` is the certificate that vouches for it."""
    root = tmp_path_factory.mktemp("nginx-tls")
    cert, key = make_certificate(root, "server")
    server = start_nginx(root, f"ssl_certificate {cert}; ssl_certificate_key {key};")
    server.cacert = cert
    yield server
    stop_process(server.process)


@pytest.fixture
def mock(weir):
    """Starts `weir mock` with the options given, as often as a test likes; returns Servers."""
    started = []

    def start(*options):
        process = weir.start("mock", "--port", "0", *options, stdout=subprocess.DEVNULL)
        started.append(process)
        line = process.stderr.readline().decode()
        port = port_in(line)
        if port is None:
            process.kill()
            pytest.fail(f"weir mock does not say where it listens: {line!r}")
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        server = Server(port, process)
        server.drain = drain
        servers.append(server)
        return server

    servers = []
    yield start
    for server in servers:
        server.process.terminate()
        try:
            server.process.wait(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()
        server.drain.join(timeout=LIMIT)
    for process in started:
        process.stderr.close()


def port_in(line):
    """The port of the first http://…:PORT in a line."""
    _, found, rest = line.partition("://")
    host_and_port = rest.split("/")[0].split()[0] if found and rest.split() else ""
    digits = host_and_port.rpartition(":")[2]
    return int(digits) if digits.isdigit() else None


class Hostile:
    """A server that answers each connection with a function of the test's: conn -> None.

    The function gets the socket and may do to it what it likes; it is closed after that. It runs on
    a thread of its own per connection. `request` reads up to the end of a request's head.
    """

    def __init__(self, answer, backlog=512, listener=None):
        self.answer = answer
        self.connections = 0
        self.lock = threading.Lock()
        self.open = set()
        self.stopping = threading.Event()
        self.listener = listener or socket.create_server(("127.0.0.1", 0), backlog=backlog)
        address, self.port = self.listener.getsockname()
        self.url = f"http://{address}:{self.port}"
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()
        self.threads = []

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open.add(conn)
            thread = threading.Thread(target=self.serve, args=(conn,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, conn):
        conn.settimeout(LIMIT)
        try:
            self.answer(conn)
        except OSError:
            pass  # the client went away, as it may
        finally:
            with self.lock:
                self.open.discard(conn)
            conn.close()

    def stop(self):
        if self.stopping.is_set():
            return
        self.stopping.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.acceptor.join(timeout=LIMIT)
        with self.lock:
            for conn in self.open:
                try:
                    conn.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        for thread in self.threads:
            thread.join(timeout=LIMIT)


def request(conn):
    """Reads a request's head from a connection; b"" if the client closed it."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = conn.recv(65536)
        if not piece:
            return b""
        head += piece
    return head


def reset(conn):
    """Ends a connection with RST instead of FIN."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def answering(data):
    """A function for `hostile` that sends these bytes after each request, then closes."""
    def answer(conn):
        if request(conn):
            conn.sendall(data)
    return answer


@pytest.fixture
def hostile():
    """Starts hostile servers: hostile(function) or hostile(bytes)."""
    started = []

    def start(answer):
        server = Hostile(answering(answer) if isinstance(answer, bytes) else answer)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
