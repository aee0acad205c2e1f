"""The servers that the other tests lean on do what they say, asked by a client that is not weir."""

import socket
import urllib.error
import urllib.request

import pytest

from conftest import PRODUCTS, answering, product, request, reset


def test_nginx_serves_products(nginx):
    assert nginx.get("/products/1.json") == product(1)
    assert nginx.get(f"/moved/products/{PRODUCTS}.json") == product(PRODUCTS)
    assert nginx.get("/echo?a=b")["uri"] == "/echo?a=b"


def test_nginx_compresses_below_gzip(nginx):
    ask = urllib.request.Request(nginx.url + "/gzip/hello.txt", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(ask) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.read()[:2] == b"\x1f\x8b"


def test_nginx_refuses(nginx):
    for path, status in [("/nothing", 404), ("/teapot", 418), ("/private/hello.txt", 401)]:
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(nginx.url + path)
        assert refusal.value.code == status


def test_nginx_speaks_tls(nginx_tls):
    import ssl
    context = ssl.create_default_context(cafile=nginx_tls.cacert)
    with urllib.request.urlopen(nginx_tls.url + "/hello.txt", context=context) as answer:
        assert answer.read() == b"hello\n"
    with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
        urllib.request.urlopen(nginx_tls.url + "/hello.txt")


def test_hostile_sends_what_it_is_told(hostile):
    server = hostile(b"garbage")
    with socket.create_connection(("127.0.0.1", server.port)) as conn:
        conn.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert conn.recv(100) == b"garbage"
        assert conn.recv(100) == b""
    assert server.connections == 1


def test_hostile_resets(hostile):
    server = hostile(lambda conn: request(conn) and reset(conn))
    with socket.create_connection(("127.0.0.1", server.port)) as conn:
        conn.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            conn.recv(100)


def test_a_refused_port_refuses(refused_port):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", refused_port))


def test_answering_ends_when_the_client_does(hostile):
    server = hostile(answering(b"never sent"))
    socket.create_connection(("127.0.0.1", server.port)).close()
    server.stop()
    assert not server.acceptor.is_alive()
    assert not any(thread.is_alive() for thread in server.threads)
