"""A small HTTP/1.1 server in Python that answers as a test tells it, and keeps what it was asked.

Where `hostile` breaks the protocol, this one keeps to it: a test gives a function from a request
to an answer, and afterwards looks at the requests, in the order in which they came, with the
server's own clock for when they did.
"""

import dataclasses
import http.server
import json
import threading
import time

import pytest


@dataclasses.dataclass
class Asked:
    """One request."""
    method: str
    path: str
    headers: dict  # names in small letters
    body: bytes
    at: float  # seconds, on the server's clock
    number: int  # from 1, in the order of arrival
    ended: float = 0.0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_any(self):
        api = self.server.api
        size = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = api.begin(self.command, self.path, headers, self.rfile.read(size))
        status, extra, body = complete(api.answer(asked))
        api.end(asked)
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value)
        if not {"content-length", "transfer-encoding"} & {name.lower() for name in extra}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_PURGE = handle_any

    def log_message(self, *args):
        pass


def complete(answer):
    """(status, headers, body) of an answer that may leave parts out, or be JSON."""
    status, headers = 200, {}
    if isinstance(answer, int):
        return answer, headers, b""
    if isinstance(answer, tuple):
        status, headers, *rest = answer
        answer = rest[0] if rest else b""
    if isinstance(answer, str):
        answer = answer.encode()
    if not isinstance(answer, bytes):
        headers = {"Content-Type": "application/json", **headers}
        answer = json.dumps(answer).encode()
    return status, headers, answer


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, *args):
        pass  # a client that goes away is none


class Api:
    def __init__(self, answer):
        self.answer = answer
        self.asked = []
        self.in_flight = self.peak = 0
        self.lock = threading.Lock()
        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.listener.api = self
        self.port = self.listener.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.listener.serve_forever, args=(0.02,),
                                       daemon=True)
        self.thread.start()

    def begin(self, method, path, headers, body):
        with self.lock:
            asked = Asked(method, path, headers, body, time.monotonic(), len(self.asked) + 1)
            self.asked.append(asked)
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            return asked

    def end(self, asked):
        with self.lock:
            asked.ended = time.monotonic()
            self.in_flight -= 1

    @property
    def paths(self):
        return [asked.path for asked in self.asked]

    def stop(self):
        self.listener.shutdown()
        self.listener.server_close()


@pytest.fixture
def api():
    """Starts such servers: api(function from an Asked to an answer), or api(answer). An answer is a
    status, (status, headers, body), a body, or something to be sent as JSON."""
    started = []

    def start(answer=b"ok"):
        server = Api(answer if callable(answer) else lambda _: answer)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
