# SPDX-License-Identifier: Apache-2.0
"""One fetch for many: who asked first may be slow, or leave, and nobody else notices."""
import json
import socket
import time

import pytest
from lab.process import wait_until
from lab.servers import at
from road import ORIGIN, SITE, Road, expected_sha256, fetch_sha256

BYTES = 20_000_000


@pytest.fixture
def road(lab, causeway_program, version, start_origin, request):
    made = Road(lab, causeway_program, version)
    start_origin(lab, made.origin, (made.origin_at, ORIGIN))
    return made.start(site='rules: [{match: {path: "/*"}, cache: {ttl: 1h}}]\n    cache: {on: true}', edge=getattr(request, "param", "cache: {memory: 256M}"))


def ask(road, path):
    """A client that reads nothing of its own accord; a small window keeps the kernel from reading for it."""
    with road.client.entered():
        connection = socket.socket(socket.AF_INET6 if ":" in road.edge_at else socket.AF_INET)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect((road.edge_at, 80))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1)
    assert b" 200 " in head, head
    return connection


def asked(road):
    """Requests that reached the origin; this one is one more."""
    return json.loads(road.origin.run("curl", "-sS", f"http://{at(road.origin_at, ORIGIN)}/count").stdout)["requests"]


def fetch(road, path):
    began = time.monotonic()
    with road.client.entered():
        connection = socket.create_connection((road.edge_at, 80), 30)
    return fetch_sha256(connection, path), time.monotonic() - began


@pytest.mark.parametrize("kind", ["bytes", "chunked"])
def test_C1_a_slow_first_client_slows_nobody(road, kind):
    path = f"/{kind}/{BYTES}?seed=3"
    before = asked(road)
    slow = ask(road, path)
    assert len(slow.recv(1024)) > 0
    got, took = fetch(road, path)
    assert got == (BYTES, expected_sha256(BYTES, 3))
    assert slow.recv(1024), "it is still there"
    assert asked(road) - before == 2, "one request for both, and that of the count"
    print(f"{took:.2f} s beside one who reads 2 KiB")
    assert took < 15
    slow.close()
    assert fetch(road, path)[0] == got and asked(road) - before == 3


def test_C1_a_first_client_that_leaves_hurts_nobody(road):
    path = "/drip?count=30&ms=100"
    first = ask(road, path)
    second = ask(road, path)
    assert first.recv(1)
    first.close()
    content = b""
    while piece := second.recv(4096):
        content += piece
    assert content == b"." * 30, "the whole of it"
    # Without anybody it goes on, for who comes later.
    before = asked(road)
    alone = ask(road, f"/chunked/{BYTES}?seed=4")
    alone.close()
    objects = road.part("cache", "edge")["objects"]
    wait_until(lambda: road.part("cache", "edge")["objects"] > objects or road.part("cache", "edge")["fills"] == 0, 20, "it is stored", every=0.1)
    assert fetch(road, f"/chunked/{BYTES}?seed=4")[0] == (BYTES, expected_sha256(BYTES, 4))
    assert asked(road) - before == 2


@pytest.mark.parametrize("road", ["cache: {memory: 16M}"], indirect=True)
def test_C1_what_is_not_kept_is_held_up_by_its_readers(road):
    path = f"/chunked/{BYTES}?seed=5"
    slow = ask(road, path)
    wait_until(lambda: road.part("cache", "edge")["bytes"] > 1 << 20, 20, "much of it is here", every=0.1)
    time.sleep(0.5)
    cache = road.part("cache", "edge")
    assert cache["fills"] == 1 and cache["objects"] == 0 and cache["bytes"] < 8 << 20, cache
    content = 0
    while piece := slow.recv(1 << 16):
        content += len(piece)
    assert content > BYTES
    wait_until(lambda: road.part("cache", "edge")["fills"] == 0, 10, "it is over", every=0.1)
    leaving = ask(road, path)
    leaving.close()
    wait_until(lambda: road.part("cache", "edge")["fills"] == 0, 10, "nobody wants it, and it would not be kept", every=0.1)
