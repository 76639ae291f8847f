# SPDX-License-Identifier: Apache-2.0
"""What one client network may have of an edge: connections, requests, both at once and a second; others are never refused. And who goes
when there are more connections than the edge has room for."""
import re
import signal
import socket
import struct
import time

import pytest
from lab.process import wait_until
from road import HTTP, ORIGIN, SITE, Road, at

GET = f"GET /bytes/10 HTTP/1.1\r\nHost: {SITE}\r\n\r\n".encode()
HANG = f"GET /hang HTTP/1.1\r\nHost: {SITE}\r\n\r\n".encode()


@pytest.fixture
def road(lab, causeway_program, version, start_origin):
    made = Road(lab, causeway_program, version)
    start_origin(lab, made.origin, (made.origin_at, ORIGIN))
    yield made.start()
    hurry(made)


def hurry(road):
    """The laboratory's signal is the second one, which waits for nobody's request."""
    for node in road.nodes.values():
        node.process.signal(signal.SIGTERM)


def metric(road, name):
    text = road.edge.run("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
    return sum(int(value) for value in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\d+)$", text, re.M))


def refused(road, limit):
    return metric(road, f'causeway_edge_clients_refused_total{{limit="{limit}"}}')


def change(road, settings):
    """Another configuration, live."""
    node, taken = road.nodes["edge"], "every process has taken the configuration"
    before = node.process.output().count(taken)
    node.reload(road.text(edge=settings))
    wait_until(lambda: node.process.output().count(taken) == before + 1, 20, "the configuration is taken")


def is_open(connection):
    connection.settimeout(0.2)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def answer(connection, request=GET):
    connection.settimeout(20)
    connection.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        assert piece, data
        data += piece
    return int(data.split()[1]), data


def other_is_served(road):
    """Another network: the edge's own address."""
    result = road.edge.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {SITE}", road.url("/bytes/10"), timeout=30)
    return result.stdout == "200"


def connect(road):
    """A connection, or None: the refusal may be there before connect() returns."""
    try:
        return road.client.connect(road.edge_at, HTTP)
    except ConnectionResetError:
        return None


def test_a_network_has_its_share_of_connections(road):
    change(road, "clients: {connections: 20, ipv6_prefix: 128}")
    held = [connection for connection in [connect(road) for _ in range(30)] if connection]
    wait_until(lambda: refused(road, "connections") == 10, 10, "the last ten are refused")
    assert sum(map(is_open, held)) == 20
    assert other_is_served(road)
    road.nodes["edge"].wait_for_log(rf"{re.escape(road.client_at)[:5]}.* has its share of connections at once")
    for connection in list(filter(is_open, held))[:5]:  # a worker may have refused an earlier one than another let in
        connection.close()
    wait_until(lambda: metric(road, "causeway_edge_connections_open") == 15, 10, "they are gone")
    again = road.client.connect(road.edge_at, HTTP)
    assert answer(again)[0] == 200
    assert road.part("clients_refused", "edge")["connections"] == 10
    # Those whom the limit does not hold for; live.
    change(road, f"clients: {{connections: 20, ipv6_prefix: 128, exempt: [\"{road.client_at}\"]}}")
    more = [road.client.connect(road.edge_at, HTTP) for _ in range(30)]
    assert all(answer(connection)[0] == 200 for connection in more)
    assert refused(road, "connections") == 10


def test_a_network_has_its_share_of_new_connections(road):
    change(road, "clients: {ipv6_prefix: 128, connection_rate: 1, burst: 10s}")
    statuses = [road.client.run("curl", "-s", "-o", "/dev/null", "-H", f"Host: {SITE}", road.url("/bytes/10"), check=False).returncode
                for _ in range(60)]
    assert 10 <= statuses.count(0) < 60
    assert refused(road, "connection_rate") == 60 - statuses.count(0)
    assert other_is_served(road)


def test_a_network_has_its_share_of_requests_under_way(road):
    change(road, "clients: {requests: 4, ipv6_prefix: 128}")
    hanging = [road.client.connect(road.edge_at, HTTP) for _ in range(4)]
    for connection in hanging:
        connection.sendall(HANG)
    wait_until(lambda: road.link()["streams_open"] == 4, 10, "four are under way")
    one = road.client.connect(road.edge_at, HTTP)
    status, head = answer(one)
    assert status == 429 and b"retry-after: " in head.lower()
    assert int(road.curl("/bytes/10", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_code}").stdout) == 429
    assert refused(road, "requests") == 2
    assert other_is_served(road)
    hanging[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    hanging[0].close()  # by a reset: one who merely says no more may still read
    wait_until(lambda: road.link()["streams_open"] == 3, 10, "one has left")
    assert answer(road.client.connect(road.edge_at, HTTP))[0] == 200


def test_a_network_has_its_share_of_requests_a_second(road):
    change(road, "clients: {ipv6_prefix: 128, request_rate: 5, burst: 2s}")
    connection = road.client.connect(road.edge_at, HTTP)
    statuses = []
    for _ in range(60):
        statuses.append(answer(connection)[0])
    assert 10 <= statuses.count(200) < 60 and set(statuses) == {200, 429}
    assert refused(road, "request_rate") == statuses.count(429)
    assert other_is_served(road)


def test_who_owes_a_request_goes_for_a_newcomer(road):
    """A flood of connections that say nothing, and some that stop in their heads: visitors still get in."""
    change(road, "limits: {connections: 40}\n      timeouts: {first: 10m, header: 10m, idle: 10m}")
    busy = road.client.connect(road.edge_at, HTTP)
    busy.sendall(HANG)
    wait_until(lambda: road.link()["streams_open"] == 1, 10, "one is under way")
    held = [road.client.connect(road.edge_at, HTTP) for _ in range(40)]
    for connection in held[::2]:
        connection.sendall(GET[:20])
    began = time.monotonic()
    for _ in range(20):  # on either worker
        assert int(road.curl("/bytes/10", "-o", "/dev/null", "-w", "%{http_code}", timeout=20).stdout) == 200
    assert time.monotonic() - began < 15
    assert metric(road, "causeway_edge_evicted_total") > 0
    assert is_open(busy)
    assert sum(map(is_open, held[-10:])) > sum(map(is_open, held[:10]))  # the oldest first
    h2 = "--http2-prior-knowledge"
    assert road.client.run("curl", "-sS", h2, "-o", "/dev/null", "-H", f"Host: {SITE}", f"http://{at(road.edge_at, HTTP)}/bytes/10").returncode == 0
