# SPDX-License-Identifier: Apache-2.0
"""Clients who ask for much and take nothing, or nothing any more: what they hold of the link's window and of the edge's memory is bounded, and
visitors of other networks never notice."""
import pytest
from lab.process import wait_until
from road import HTTP, ORIGIN, SITE, Road
from test_client_limits import hurry

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
