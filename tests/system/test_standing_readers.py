# SPDX-License-Identifier: Apache-2.0
"""Clients who ask for much and take nothing, or nothing any more: what they hold of the link's window and of the edge's memory is bounded, and
visitors of other networks never notice."""
import struct

import pytest
from lab.process import wait_until
from road import HTTP, ORIGIN, SITE, Road
from test_client_limits import hurry, metric, refused
from test_h2_floods import SETTINGS, START, frame, request

MIB = 1 << 20
CROWD = 50


class Narrow(Road):
    """A link whose window is soon lent."""

    def text(self, *words, **texts):
        return "link: {window_budget: 4M}\n" + super().text(*words, **texts)


def start(kind, lab, program, start_origin, **texts):
    road = kind(lab, program, 4, wan={"rate": "0", "rtt": "4ms", "queue": "100ms"})
    start_origin(lab, road.origin, (road.origin_at, ORIGIN))
    return road.start(**texts)


@pytest.fixture
def narrow(lab, causeway_program, start_origin):
    road = start(Narrow, lab, causeway_program, start_origin)
    yield road
    hurry(road)


@pytest.fixture
def road(lab, causeway_program, start_origin):
    made = start(Road, lab, causeway_program, start_origin, edge="limits: {unread: 8M}\n      timeouts: {body: 10m}")
    yield made
    hurry(made)


def visit(road, size):
    """A download of another network, the edge's own: status and bytes."""
    result = road.edge.run("curl", "-sS", "--max-time", "60", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", "-H", f"Host: {SITE}",
                           road.url(f"/bytes/{size}"), timeout=80)
    return tuple(map(int, result.stdout.split()))


def read(connection, size):
    """The status, of an answer of which so much is read."""
    head, got = connection.recv(16), 0
    while got < size:
        piece = len(connection.recv(1 << 18))
        if not piece:
            break
        got += piece
    return int(head.split()[1])


def test_who_stops_reading_keeps_no_others_window(narrow):
    """Each reads as fast as it can until its window is wide, and then no more. The whole budget used to go to the first few, and whoever came
    behind some thirty of them was refused."""
    held, statuses = [], []
    for _ in range(CROWD):
        connection = narrow.client.connect(narrow.edge_at, HTTP, 20)
        connection.sendall(f"GET /bytes/1000000000 HTTP/1.1\r\nHost: {SITE}\r\n\r\n".encode())
        statuses.append(read(connection, MIB // 2))
        held.append(connection)
    assert statuses == [200] * CROWD
    wait_until(lambda: narrow.link()["streams_open"] == CROWD, 10, "all of them stand")
    assert visit(narrow, 4 * MIB) == (200, 4 * MIB)
    for connection in held:
        connection.close()


def unread(road):
    return metric(road, "causeway_edge_unread_bytes")


def test_answers_that_nobody_takes_are_bounded_for_a_network(road):
    """Answers of 16 KB on streams without a window, 128 on a connection: each was asked for, answered, and kept until its time was over, two
    megabytes for each connection, of which a network may have thousands."""
    closed = frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
    asked = START + closed + b"".join(request(2 * n + 1, 1, "GET", "/bytes/16000") for n in range(128))
    held = []
    for _ in range(12):
        held.append(road.client.connect(road.edge_at, HTTP, 20))
        held[-1].sendall(asked)
        wait_until(lambda: metric(road, "causeway_edge_requests_total") == 128 * len(held), 20, "all is answered")
    assert refused(road, "unread") >= 128 * 8
    assert road.part("clients_refused", "edge")["unread"] == refused(road, "unread")
    assert 4 * MIB < unread(road) < 8 * MIB  # half of what there is, and what a connection brings at once; not 24 MiB
    assert road.code("/bytes/10") == 429
    assert visit(road, 4 * MIB) == (200, 4 * MIB)
    for connection in held:
        connection.close()
    wait_until(lambda: unread(road) == 0, 20, "nothing of it is left")
    assert road.code("/bytes/10") == 200


def test_slow_readers_of_http_1_are_counted_too(road):
    held = []
    while refused(road, "unread") == 0:
        assert len(held) < 120
        held.append(road.client.connect(road.edge_at, HTTP, 20))
        held[-1].sendall(f"GET /bytes/100000000 HTTP/1.1\r\nHost: {SITE}\r\n\r\n".encode())
        wait_until(lambda: unread(road) >= len(held) * 48 * 1024 or refused(road, "unread"), 20, "it stands")
    assert 60 < len(held)
    assert visit(road, 4 * MIB) == (200, 4 * MIB)
    for connection in held:
        connection.close()
    wait_until(lambda: unread(road) == 0, 20, "nothing of it is left")
