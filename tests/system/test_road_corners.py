# SPDX-License-Identifier: Apache-2.0
"""The road where two things happen at once, or one of them takes its time."""
import contextlib
import json
import socket
import threading
import time

import pytest
from lab.process import wait_until
from road import HTTP, ORIGIN, SECURE, SITE, Road, at, fetch_sha256, expected_sha256, find, read_all

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
