"""A program may return from main while threads and fibers of it are inside Weir's waits."""
import os
import pathlib
import subprocess

import pytest

from conftest import LIMIT, make_certificate, start_nginx, stop_process

BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", pathlib.Path(__file__).parents[2] / "build"))
PROGRAM = BUILD / "tests" / "system" / "exit_program"
RUNS = 150


@pytest.fixture(scope="module")
def handshakes(tmp_path_factory):
    """nginx over TLS that closes each connection, so that libraries of TLS are busy at any moment."""
    root = tmp_path_factory.mktemp("nginx-handshakes")
    cert, key = make_certificate(root, "server")
    server = start_nginx(
        root, f"ssl_certificate {cert}; ssl_certificate_key {key}; keepalive_timeout 0;")
    server.cacert = cert
    yield server
    stop_process(server.process)


@pytest.mark.parametrize("kind", ["threads", "fibers"])
def test_main_may_return_amid_exchanges(handshakes, sanitized, kind):
    env = dict(os.environ)  # what is left behind is what this is about
    for name, option in [("TSAN", "report_thread_leaks=0"), ("ASAN", "detect_leaks=0")]:
        env[name + "_OPTIONS"] = env.get(name + "_OPTIONS", "") + ":" + option
    for i in range(20 if sanitized else RUNS):
        command = [PROGRAM, kind, handshakes.url + "/hello.txt", handshakes.cacert, str(i * 31)]
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=LIMIT, check=False)
        assert done.returncode == 0, f"run {i} of {kind}: {done.returncode}\n{done.stderr}"
