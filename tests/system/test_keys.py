# SPDX-License-Identifier: Apache-2.0
"""Trust is taken back while a node runs (T9, R9): a key that is no longer in the configuration has no link."""
import re
import socket
import threading
import time

import pytest
from lab.process import wait_until
from road import HTTP, ORIGIN, SITE, Road

WITHIN_S = 3.0  # a second, and the machine may be busy


@pytest.fixture
def road(lab, causeway_program, version, start_origin):
    made = Road(lab, causeway_program, version, {"rate": "20M", "rtt": "20ms", "queue": "100ms"})
    start_origin(lab, made.origin, (made.origin_at, ORIGIN))
    return made.start()


def refused(road):
    text = road.gateway.run("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
    found = re.findall(r"^causeway_link_handshakes_refused_total(?:\{.*\})? (\S+)$", text, re.M)
    return sum(int(float(value)) for value in found)


def drain(connection, ended):
    """Reads until it is over; when that was, and how many bytes came."""
    received = 0
    try:
        while piece := connection.recv(65536):
            received += len(piece)
    except OSError:
        pass
    ended.append((time.monotonic(), received))


def without_key(road):
    """The configuration with another key for the edge: the one that it has is nobody's any more."""
    other = road.gateway.run(road.program, "keygen", "-o", road.lab.path("other.key")).stdout.split()[-1]
    return road.text().replace(road.keys.public["edge"], other)


def test_T9_a_key_that_is_no_longer_trusted_has_no_link(road):
    size = 100 << 20
    with road.client.entered():
        connection = socket.create_connection((road.edge_at, HTTP), 30)
    connection.sendall(f"GET /bytes/{size}?seed=1 HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n".encode())
    assert connection.recv(1000)
    ended = []
    reader = threading.Thread(target=drain, args=(connection, ended))
    reader.start()
    time.sleep(0.5)
    assert not ended
    before, text = refused(road), without_key(road)

    road.nodes["gateway"].reload(text)
    began = time.monotonic()
    reader.join(20)
    connection.close()
    assert ended and ended[0][0] - began < WITHIN_S, "what went over the link ends"
    assert ended[0][1] < size
    wait_until(lambda: road.link()["state"] != "up", WITHIN_S, "the edge's link is down")
    wait_until(lambda: refused(road) > before, 10, "its new handshakes are refused")
    assert road.link()["state"] != "up"
    assert road.code("/") >= 500

    road.nodes["gateway"].reload(road.text())
    road.wait_for_link(30)
    assert road.code("/") == 200


def test_T9_encryption_cannot_be_switched_off(causeway_program, local_lab):
    """No setting is about it, and the table without secrecy is not even in the program."""
    schema = local_lab.here().run(causeway_program, "config", "schema").stdout
    names = re.findall(r'"(\w+)":\s*\{', schema)
    assert "private_key" in names
    for name in names:
        assert not re.search(r"null_|cipher|encrypt|plaintext|insecure|unsafe", name), name
    with open(causeway_program, "rb") as program:
        assert b"causeway-null-16" not in program.read(), "the null cipher's tag"
