# SPDX-License-Identifier: Apache-2.0
"""The road where two things happen at once, or one of them takes its time."""
import contextlib
import json
import socket
import threading
import time

import pytest
from lab.process import wait_until
from road import HTTP, ORIGIN, SECURE, SITE, Road, at, expected_sha256, find, read_all

HOST = f"Host: {SITE}\r\n"


@pytest.fixture
def make_road(lab, causeway_program, version, start_origin):
    def make(wan=None, **texts):
        road = Road(lab, causeway_program, version, wan)
        start_origin(lab, road.origin, (road.origin_at, ORIGIN))
        return road.start(**texts)
    return make


@contextlib.contextmanager
def server(road, port, serve):
    """A server of the test's own beside the origin: serve(connection, number) for each connection."""
    with road.origin.entered():
        listener = socket.create_server((road.origin_at, port), family=socket.AF_INET6 if road.version == 6 else socket.AF_INET)

    def accept():
        with contextlib.suppress(OSError):
            number = 0
            while True:
                connection, _ = listener.accept()
                connection.settimeout(20)
                threading.Thread(target=run, args=(connection, number), daemon=True).start()
                number += 1

    def run(connection, number):
        with connection, contextlib.suppress(OSError):
            serve(connection, number)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def read_head(connection):
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(4096)
        if not piece:
            break
        received += piece
    return received


def test_T10_a_connection_passed_through_may_be_silent(make_road):
    road = make_road(site="timeouts: {connect: 300ms}")
    with server(road, SECURE, lambda connection, _: connection.sendall(connection.recv(100)) or connection.recv(1)), \
            road.client.connect(road.edge_at, SECURE) as client:
        client.settimeout(10)
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        client.settimeout(1)
        with pytest.raises(TimeoutError):
            client.recv(1)  # neither an end nor a reset


def test_pipelined_requests_that_are_refused_at_once_are_all_answered(make_road):
    road = make_road()
    with road.client.connect(road.edge_at, HTTP) as client:
        client.settimeout(10)
        client.sendall(b"GET / HTTP/1.1\r\nHost: unknown.example\r\n\r\n" * 3)
        received = b""
        while received.count(b"HTTP/1.1 404") < 3:
            piece = client.recv(65536)
            assert piece, received
            received += piece


UPGRADE = f"GET /chat HTTP/1.1\r\n{HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def test_a_tunnel_passes_early_bytes_and_the_origin_may_end_it(make_road):
    road = make_road()
    road.origin_ports = [ORIGIN + 1]
    heard = []

    def serve(connection, _):
        early = read_head(connection).partition(b"\r\n\r\n")[2]
        connection.sendall(SWITCH)
        while len(early) < 5:
            early += connection.recv(5)
        heard.append(early)
        connection.sendall(b"bye")

    with server(road, ORIGIN + 1, serve):
        for node in road.nodes.values():
            node.reload(road.text())
            node.wait_for_log("reload|new configuration")
        with road.client.connect(road.edge_at, HTTP) as client:
            client.settimeout(10)
            client.sendall(UPGRADE.encode() + b"early")
            head, _, rest = (read_head(client) + read_all(client)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101")
            assert rest == b"bye", "its end is passed on"
        assert heard == [b"early"]


def test_an_answer_on_its_way_out_outlives_the_idle_time(make_road):
    road = make_road(edge="timeouts: {idle: 500ms}")
    clients = []
    try:
        for size in range(20000, 420000, 20000):  # of some the edge holds the end when it is done with the request
            client = road.client.open_socket(socket.AF_INET6 if road.version == 6 else socket.AF_INET)
            clients.append((client, size))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.settimeout(20)
            client.connect((road.edge_at, HTTP))
            client.sendall(f"GET /bytes/{size} HTTP/1.1\r\n{HOST}\r\n".encode())
        pause = time.monotonic() + 1.5
        wait_until(lambda: time.monotonic() > pause, 5, "longer than the idle time")
        for client, size in clients:
            body = read_head(client).split(b"\r\n\r\n", 1)[1]
            while len(body) < size and (piece := client.recv(65536)):
                body += piece
            assert len(body) == size
    finally:
        for client, _ in clients:
            client.close()


def use_origins(road, *origins):
    """Other origins for the site."""
    own = road.text().split("origins: [", 1)[1].split("]\n", 1)[0]
    text = road.text().replace(f"origins: [{own}]", "origins: [" + ", ".join(f'"http://{one}"' for one in origins) + "]", 1)
    for node in road.nodes.values():
        node.reload(text)
        node.wait_for_log("reload|new configuration")


def test_an_origin_that_cannot_be_reached_is_passed_over_at_once(make_road):
    road = make_road()  # no route leads to the first origin: connect() itself says so
    use_origins(road, at("203.0.113.9" if road.version == 4 else "2001:db8:9::9", 9), at(road.origin_at, ORIGIN))
    assert [road.code("/") for _ in range(12)] == [200] * 12


def test_kept_connections_that_die_together_cost_no_request(make_road):
    road = make_road()
    together = threading.Barrier(4)

    def serve(connection, number):
        read_head(connection)
        if number < 4:
            together.wait(20)  # four requests at once: four connections are kept
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        read_head(connection)  # a second request finds it dead

    with server(road, ORIGIN + 1, serve):
        use_origins(road, at(road.origin_at, ORIGIN + 1))
        codes = []
        threads = [threading.Thread(target=lambda: codes.append(road.code("/"))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert codes == [200] * 4
        assert road.code("/") == 200


def test_a_client_may_take_longer_than_the_origin_may(make_road):
    road = make_road(site="timeouts: {read: 500ms}")
    with road.client.connect(road.edge_at, HTTP) as client:
        client.settimeout(20)
        client.sendall(f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: 10\r\n\r\nhalf ".encode())
        pause = time.monotonic() + 1.5
        wait_until(lambda: time.monotonic() > pause, 5, "longer than the origin's time")
        client.sendall(b"other")
        assert read_head(client).startswith(b"HTTP/1.1 200")
    size = 30 << 20
    with road.client.connect(road.edge_at, HTTP) as client:
        client.settimeout(20)
        client.sendall(f"GET /bytes/{size} HTTP/1.1\r\n{HOST}\r\n".encode())
        body = read_head(client).split(b"\r\n\r\n", 1)[1]
        pause = time.monotonic() + 2
        wait_until(lambda: time.monotonic() > pause, 5, "longer than the origin's time")
        left = size - len(body)
        while left and (piece := client.recv(1 << 18)):
            left -= len(piece)
        assert left == 0


def test_reloads_under_load_fail_no_request(lab, causeway_program, version, start_origin):
    road = Road(lab, causeway_program, version, origins=3)
    for port in road.origin_ports:
        start_origin(lab, road.origin, (road.origin_at, port), name=f"origin-{port}")
    road.start()
    ports, codes, is_over = road.origin_ports, [], threading.Event()

    def ask(start, every_s):
        """On a connection of its own each time, and on a kept one."""
        kept = road.client.connect(road.edge_at, HTTP, 20)
        due = time.monotonic() + start
        with kept:
            while not is_over.wait(max(0, due - time.monotonic())):
                due += every_s
                with road.client.connect(road.edge_at, HTTP, 20) as fresh:
                    for connection in (kept, fresh):
                        connection.sendall(f"GET /bytes/3 HTTP/1.1\r\n{HOST}\r\n".encode())
                    for connection in (kept, fresh):
                        received = read_head(connection)
                        while len(received.split(b"\r\n\r\n", 1)[1]) < 3 and (piece := connection.recv(100)):
                            received += piece
                        codes.append(received[9:12])

    threads = [threading.Thread(target=ask, args=(i / 10, 0.1)) for i in range(5)]  # 100 requests a second
    for thread in threads:
        thread.start()
    try:
        for turn in range(10):
            road.origin_ports = ports[turn % 3:] or ports
            wait_until(lambda: len(codes) >= turn * 40, 30, "requests go on")
            for node in road.nodes.values():
                node.reload(road.text())
        wait_until(lambda: len(codes) >= 600, 60, "requests go on")
    finally:
        is_over.set()
        for thread in threads:
            thread.join(30)
    assert len(codes) >= 600 and set(codes) == {b"200"}, {code: codes.count(code) for code in set(codes)}


def test_a_stopping_edge_lets_a_download_end(make_road):
    road = make_road({"rate": "40M", "rtt": "10ms", "queue": "50ms"})
    size = 8 << 20  # about two seconds
    results = []
    thread = threading.Thread(target=lambda: results.append(road.download_sha256(f"/bytes/{size}?seed=6")))
    thread.start()
    wait_until(lambda: road.link("gateway")["stream_bytes_sent"] > 1 << 20, what="the answer is under way")
    started = time.monotonic()
    road.nodes["edge"].stop()
    assert time.monotonic() - started < 10
    thread.join(30)
    assert results == [(size, expected_sha256(size, 6))]
