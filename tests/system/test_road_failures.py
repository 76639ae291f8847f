# SPDX-License-Identifier: Apache-2.0
"""The road under bad networks, deaths and strangers."""
import os
import re
import shutil
import socket
import threading
import time

import pytest
from lab.causeway import Causeway
from lab.process import wait_until
from road import LINK, ORIGIN, SITE, Road, at, expected_sha256, find, memory_kb

SIZE = 2 << 20


def start(lab, program, version, start_origin, wan=None, origins=1):
    road = Road(lab, program, version, wan, origins)
    processes = [start_origin(lab, road.origin, (road.origin_at, port), name=f"origin-{port}") for port in road.origin_ports]
    return road.start(site="balance: {policy: least_pending}"), processes  # each of them shall get requests


@pytest.mark.parametrize("loss", [1, 5])
def test_loss_with_reordering_and_duplicates_costs_no_byte(lab, causeway_program, version, start_origin, loss):
    road, _ = start(lab, causeway_program, version, start_origin,
                    {"rate": "50M", "rtt": "40ms", "queue": "50ms", "loss": loss, "reorder": 2, "duplicate": 1, "seed": 7})
    expected = expected_sha256(SIZE, 1)
    results = []

    def fetch():
        results.append(road.download_sha256(f"/bytes/{SIZE}?seed=1"))

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    body = lab.path("body")
    with open(body, "wb") as file:
        file.write(os.urandom(SIZE))
    echo = road.seen("/echo", "-T", body, "-H", "Expect:")
    for thread in threads:
        thread.join(120)
    assert results == [(SIZE, expected)] * 4
    assert echo["length"] == SIZE
    assert sum(road.link(node)["packets_lost"] for node in road.nodes) > 10, "the network did lose packets"


def test_an_origin_that_dies_is_502_and_works_again_when_it_is_back(lab, causeway_program, version, start_origin):
    road, (origin,) = start(lab, causeway_program, version, start_origin)
    assert road.code("/") == 200
    origin.kill()
    assert road.code("/") == 502
    start_origin(lab, road.origin, (road.origin_at, ORIGIN), name="origin-again")
    wait_until(lambda: road.code("/") == 200, 10, "the origin is used again")


def test_one_of_two_origins_may_die_without_an_error(lab, causeway_program, version, start_origin):
    road, (first, _) = start(lab, causeway_program, version, start_origin, origins=2)
    assert all(road.code("/") == 200 for _ in range(10))
    first.kill()
    assert all(road.code("/") == 200 for _ in range(20))
    assert find(road.nodes["gateway"].status(), "retries") >= 1


def test_T1_a_gateway_that_dies_comes_back_by_itself(lab, causeway_program, version, start_origin):
    road, _ = start(lab, causeway_program, version, start_origin)
    assert road.code("/") == 200
    road.nodes["gateway"].kill()
    started = time.monotonic()
    assert road.code("/", "--max-time", "70") in (502, 503, 504)
    assert time.monotonic() - started < 60
    road.nodes["gateway"].start()
    wait_until(lambda: road.code("/", "--max-time", "5") == 200, 40, "the link is up again", every=0.2)
    assert road.download_sha256(f"/bytes/{SIZE}?seed=2") == (SIZE, expected_sha256(SIZE, 2))


def test_T1_a_link_outlives_a_network_that_breaks(lab, causeway_program, version, start_origin):
    road, _ = start(lab, causeway_program, version, start_origin, {"rate": "20M", "rtt": "20ms", "queue": "50ms"})
    result = []
    thread = threading.Thread(target=lambda: result.append(road.download_sha256(f"/bytes/{8 << 20}?seed=3")))
    thread.start()
    wait_until(lambda: road.link("gateway")["stream_bytes_sent"] > 1 << 20, what="the answer is under way")
    road.wan.down()
    wait_until(lambda: road.link("gateway")["probe_timeouts"] > 1, what="the silence is noticed")
    road.wan.up()
    thread.join(60)
    assert result == [(8 << 20, expected_sha256(8 << 20, 3))], "a short break costs no stream"
    assert road.link()["sessions"] == 1


def test_strangers_and_forgers_get_silence_and_cost_nothing(lab, causeway_program, version, start_origin):
    road, _ = start(lab, causeway_program, version, start_origin)
    assert road.code("/") == 200
    before = memory_kb(road.nodes["gateway"])
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with road.edge.open_socket(family, socket.SOCK_DGRAM) as stranger:
        stranger.settimeout(0.5)
        shapes = [b"", b"\x00", b"\x20" + os.urandom(1199), b"\x10" + os.urandom(99), b"\x00" * 1400, os.urandom(1400)]
        for _ in range(3000):
            for shape in shapes:
                stranger.sendto(shape, (road.gateway_link, LINK))
        stranger.sendto(b"\x20" + os.urandom(1199), (road.gateway_link, LINK))
        with pytest.raises(TimeoutError):
            answer = stranger.recv(2000)
            pytest.fail(f"answered: {answer[:40]!r}, {len(answer)} bytes")
    assert road.code("/") == 200
    assert road.link()["sessions"] == 1 and len(find(road.nodes["gateway"].status(), "links")) == 1
    assert memory_kb(road.nodes["gateway"]) - before < 16384, "18,000 strangers leave no kilobyte each"
    metrics = road.gateway.run("curl", "-sS", "http://127.0.0.1:9180/metrics").stdout
    refused = sum(int(float(value)) for value in re.findall(r"^causeway_link_(?:handshakes_refused|packets_foreign)_total (\S+)$", metrics, re.M))
    assert refused > 1000, "each is counted"


def test_a_node_with_another_key_does_not_get_in(lab, causeway_program, version, start_origin):
    road, _ = start(lab, causeway_program, version, start_origin)
    road.nodes["edge"].stop()
    os.unlink(road.keys.path("edge"))
    road.edge.run(causeway_program, "keygen", "-o", road.keys.path("edge"))
    text = road.text()
    other = road.edge.run("sh", "-c", f"{causeway_program} keygen -o {lab.path('other.key')}").stdout.split()[-1]
    impostor = text.replace(road.keys.public["edge"], other).replace(road.keys.path("edge"), lab.path("other.key"))
    Causeway(lab, causeway_program, impostor, "edge", road.edge, name="impostor")
    wait_until(lambda: road.code("/") == 503, 10, "the impostor has no link")
    assert road.part("requests", "gateway") == 0


HOST = f"Host: {SITE}\r\n"
MALFORMED = [
    # (bytes, status)
    (f"GET / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
    (f"GET / HTTP/1.1\r\n{HOST}Content-Length: 1, 2\r\n\r\nx", 400),
    (f"GET / HTTP/1.1\r\n{HOST}Content-Length: +1\r\n\r\nx", 400),
    (f"GET / HTTP/1.1\r\n{HOST}Content-Length: -1\r\n\r\nx", 400),
    (f"GET / HTTP/1.1\r\n{HOST}Content-Length: 0x1\r\n\r\nx", 400),
    (f"GET / HTTP/1.1\r\n{HOST}Content-Length: 1 1\r\n\r\nx", 400),
    (f"GET / HTTP/1.1\r\n{HOST}Content-Length: \r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}Content-Length: 99999999999999999999\r\n\r\n", (400, 413)),
    (f"GET / HTTP/1.1\r\n{HOST}Content-Length : 1\r\n\r\nx", 400),
    (f"GET / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked, identity\r\n\r\n", (400, 501)),
    (f"GET / HTTP/1.1\r\n{HOST}Transfer-Encoding: identity\r\n\r\n", 501),
    (f"GET / HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    (f"GET / HTTP/1.1\r\n{HOST}Transfer-Encoding: xchunked\r\n\r\n", 501),
    (f"GET / HTTP/1.1\r\n{HOST}Transfer-Encoding: \x0bchunked\r\n\r\n", (400, 501)),
    (f"GET / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400, 501)),
    (f"GET / HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}X: a\r\n b\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n {HOST}\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}X: a\rb\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}X: a\nY: b\r\n\r\n", 400),
    (f"GET / HTTP/1.1\n{HOST}\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}X: a\x00b\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}X: a\x7fb\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}X\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}: a\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}X Y: a\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}X(: a\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}X\x80: a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\n{HOST}{HOST}\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    (f"G@T / HTTP/1.1\r\n{HOST}\r\n", 400),
    (f" GET / HTTP/1.1\r\n{HOST}\r\n", 400),
    (f"GET  / HTTP/1.1\r\n{HOST}\r\n", 400),
    (f"GET /a b HTTP/1.1\r\n{HOST}\r\n", 400),
    (f"GET / a HTTP/1.1\r\n{HOST}\r\n", 400),
    (f"GET /\x01 HTTP/1.1\r\n{HOST}\r\n", 400),
    (f"GET /\xe9 HTTP/1.1\r\n{HOST}\r\n", 400),
    (f"GET /#x HTTP/1.1\r\n{HOST}\r\n", 400),
    (f"GET a HTTP/1.1\r\n{HOST}\r\n", 400),
    (f"GET * HTTP/1.1\r\n{HOST}\r\n", 400),
    (f"GET / HTTP/1.1 \r\n{HOST}\r\n", 400),
    (f"GET / HTTP/2.0\r\n{HOST}\r\n", 505),
    (f"GET / HTTP/0.9\r\n{HOST}\r\n", 505),
    (f"GET / HTTP/1.1x\r\n{HOST}\r\n", 400),
    (f"GET / http/1.1\r\n{HOST}\r\n", 400),
    (f"GET /\r\n{HOST}\r\n", 400),
    (f"CONNECT a:443 HTTP/1.1\r\n{HOST}\r\n", 501),
    (f"GET /{'a' * 9000} HTTP/1.1\r\n{HOST}\r\n", 414),
    (f"GET / HTTP/1.1\r\n{HOST}X: {'a' * 40000}\r\n\r\n", 431),
    (f"GET / HTTP/1.1\r\n{HOST}{'X: a' * 1}\r\n" + "Y: b\r\n" * 200 + "\r\n", 431),
    (f"GET / HTTP/1.1\r\n{HOST}{'N' * 300}: a\r\n\r\n", 431),
    (f"GET / HTTP/1.1\r\n{HOST}Expect: something\r\n\r\n", 417),
    ("\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" + HOST + "\r\n", 400),
    ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
]
BAD_BODIES = ["g\r\n", "0x5\r\nhello\r\n", "-5\r\nhello\r\n", " 5\r\nhello\r\n", "5 \r\nhello\r\n", "\r\nhello\r\n", "5\nhello\r\n",
              "5\r\nhelloworld\r\n", "5\r\nhello\n", "ffffffffffffffffff\r\n", "5;a\x00=b\r\nhello\r\n", "0\r\nContent-Length: 5\r\n\r\n"]


def test_malformed_requests_are_refused_and_the_connection_closed(lab, causeway_program, version, start_origin):
    road, _ = start(lab, causeway_program, version, start_origin)
    assert len(MALFORMED) >= 50
    wrong = []
    for text, status in MALFORMED:
        answer = road.raw(text.encode("latin-1"))
        got = re.match(rb"HTTP/1\.1 (\d+) ", answer)
        expected = status if isinstance(status, tuple) else (status,)
        if not got or int(got[1]) not in expected or answer.count(b"HTTP/1.1 ") != 1:
            wrong.append((text[:60], status, answer[:60]))
    assert not wrong
    for body in BAD_BODIES:
        answer = road.raw(f"POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{body}".encode("latin-1"))
        assert answer.startswith(b"HTTP/1.1 400 ") or not answer, body
    assert road.code("/") == 200
    assert road.part("refused", "edge") >= len(MALFORMED)


def test_a_client_in_no_hurry_is_let_go(lab, causeway_program, version, start_origin):
    road = Road(lab, causeway_program, version)
    start_origin(lab, road.origin, (road.origin_at, ORIGIN))
    road.start(edge="timeouts: {header: 1s, idle: 1s, body: 1s, gateway: 2s}")
    assert road.raw(f"GET / HTTP/1.1\r\n{HOST}X:".encode()).startswith(b"HTTP/1.1 408 ")
    assert road.raw(f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nab".encode()).startswith(b"HTTP/1.1 408 ")
    assert road.raw(f"GET /hang HTTP/1.1\r\n{HOST}\r\n".encode()).startswith(b"HTTP/1.1 504 ")
    assert road.raw(f"GET / HTTP/1.1\r\n{HOST}\r\n".encode()).startswith(b"HTTP/1.1 200 "), "then the idle connection ends"
    assert road.raw(b"") == b""


def test_an_origin_by_name_is_resolved_and_followed(lab, causeway_program, version, start_origin):
    road = Road(lab, causeway_program, version)
    start_origin(lab, road.origin, (road.origin_at, ORIGIN))
    road.gateway.run("mkdir", "-p", f"/etc/netns/{road.gateway.name}")
    try:
        hosts = f"/etc/netns/{road.gateway.name}/hosts"
        with open(hosts, "w", encoding="ascii") as file:
            file.write(f"{road.origin_at} origin.test.example\n")
        name = road.text().replace(f"http://{at(road.origin_at, ORIGIN)}", f"http://origin.test.example:{ORIGIN}")
        road.text = lambda **_: name
        road.start()
        wait_until(lambda: road.code("/") == 200, 10, "the name is known")
        assert road.seen()["by_name"]["host"] == SITE
        unknown = name.replace("origin.test.example", "nobody.test.example")
        road.nodes["gateway"].reload(unknown)
        wait_until(lambda: road.code("/") == 502, 10, "a name without an address")
    finally:
        shutil.rmtree(f"/etc/netns/{road.gateway.name}")
