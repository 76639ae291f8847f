# SPDX-License-Identifier: Apache-2.0
"""Under attack: slowhttptest's modes, floods of connections and of handshakes, heads without end, memory by tiny pieces. Beside each a
client that asks at a steady pace never fails; the edge's memory stays bounded; the named time-outs end the attacker's connections, and
their counters say so. What the pace's 99th percentile became is printed; how fast a busy machine is decides nothing. The attackers give
way where CPU is short: they would have machines of their own."""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import struct
import sys
import time

import pytest
from lab.causeway import descendants
from lab.process import wait_until
from road import HTTP, ORIGIN, SITE, Road, at, memory_kb
from test_client_limits import hurry, metric
from test_h2_floods import START, frame, literal, request, HEADERS, SETTINGS, WINDOW_UPDATE, u32

HERE = pathlib.Path(__file__).resolve().parent
TLS = 443
MIB = 1024 * (4 if os.environ.get("CAUSEWAY_SANITIZERS") else 1)  # in kB; what a sanitizer keeps of freed memory is not ours
TIMES = "timeouts: {first: 2s, header: 2s, idle: 2s, body: 2s, tunnel: 3s}"
LIMITS = "limits: {connections: 3000, upload_rate: 4k, download_rate: 64k}"
OPEN = "clients: {connections: 0, requests: 0}"  # so that the attack gets in


class Attacked(Road):
    """slowhttptest names the host by its address."""

    def text(self, *words, **texts):
        return super().text(*words, **texts).replace(f"hosts: [{SITE}]", f'hosts: [{SITE}, "{self.edge_at}"]')


@pytest.fixture
def road(lab, causeway_program, start_origin):
    made = Attacked(lab, causeway_program, 4)
    start_origin(lab, made.origin, (made.origin_at, ORIGIN))
    tls = f'tls: {{listen: ["{at(made.edge_at, TLS)}"], handshake: 2s}}'
    made.start(edge=f"{TIMES}\n      {LIMITS}\n      {OPEN}\n      {tls}",
               site="tls: {self_signed: true}\n    limits: {connections: 4096, kept: 4096}\n    cache: {on: true}\n"
                    "    rules: [{match: {path: '/bytes/*'}, cache: {ttl: 1h}}]")
    for _ in range(2):
        made.curl("/bytes/1000", "-o", "/dev/null")
    yield made
    hurry(made)


class Pace:
    """Another visitor, in a process and a network of its own."""

    def __init__(self, road, path="/bytes/1000", length=1000):
        road.laps = getattr(road, "laps", 0) + 1
        self.process = road.lab.start(f"pace{road.laps}", [sys.executable, HERE / "pace.py", road.edge_at, str(HTTP), SITE, path, str(length)],
                                      road.edge)
        self.process.wait_for_output("^ready$")

    def stop(self):
        """Nothing failed; the 99th percentile."""
        self.process.signal(signal.SIGTERM)
        self.process.wait(30)
        result = json.loads(self.process.output().splitlines()[-1])
        times = result["seconds"]
        assert result["failed"] == [] and times, result["failed"]
        return times[int(len(times) * 0.99)]


# Both of the scheduler's ways: where the kernel groups by session, nice counts within the session only; where it does not, it takes no number.
GIVING_WAY = ["sh", "-c", 'echo 10 2>/dev/null >/proc/self/autogroup; exec nice -n 10 "$@"', "sh"]


def measure(road, seconds=None, attack=None):
    """The 99th percentile of another visitor for so long, or while the attack runs."""
    pace = Pace(road)
    if attack:
        attack()
    else:
        time.sleep(seconds)
    return pace.stop()


def timeouts(road, name):
    return metric(road, f'causeway_edge_timeouts_total{{timeout="{name}"}}')


def raw_connections(road, count, say=b""):
    held = []
    for _ in range(count):
        connection = road.client.connect(road.edge_at, HTTP, 20)
        connection.sendall(say)
        held.append(connection)
    return held


# mode, its words, path, the time-outs that end it
SLOW = [
    ("heads", ["-H", "-i", "1"], "/bytes/10", ["header"]),
    ("bodies", ["-B", "-i", "1", "-s", "8192", "-x", "10"], "/echo", ["upload"]),
    ("ranges", ["-R", "-a", "10", "-b", "3000"], "/bytes/100000", []),
    ("readers", ["-X", "-k", "3", "-n", "2", "-w", "256", "-y", "512", "-z", "8"], "/bytes/300000", ["download"]),
]


def slow(road, name, words, path):
    """Runs the mode with a thousand connections; the most memory that the edge had."""
    most_kb = 0
    process = road.lab.start(f"slowhttptest-{name}", [*GIVING_WAY, "slowhttptest", *words, "-c", "1000", "-r", "600", "-l", "4", "-p", "3", "-t",
                                                      "POST" if "-B" in words else "GET", "-u", f"http://{at(road.edge_at, HTTP)}{path}"],
                             road.client)
    began = time.monotonic()
    while process.is_running and time.monotonic() - began < 30:
        most_kb = max(most_kb, memory_kb(road.nodes["edge"]))
        time.sleep(0.1)
    process.stop()
    return most_kb


def test_slow_clients_harm_nobody(road):
    assert shutil.which("slowhttptest"), "slowhttptest is not installed"
    before_kb = memory_kb(road.nodes["edge"])
    alone = measure(road, 5)
    for name, words, path, ends in SLOW:
        taken, most = metric(road, "causeway_edge_connections_total"), []
        under = measure(road, attack=lambda: most.append(slow(road, name, words, path)))  # pylint: disable=cell-var-from-loop
        print(f"{name}: p99 {alone * 1000:.1f} ms alone, {under * 1000:.1f} ms under attack, ratio {under / alone:.2f}; "
              f"memory {before_kb} -> {most[0]} kB")
        assert metric(road, "causeway_edge_connections_total") >= taken + 500  # it got in, as far as there was CPU for it
        for timeout in ends:
            assert timeouts(road, timeout) > 0, timeout
        assert most[0] < before_kb + 256 * MIB
        wait_until(lambda: metric(road, "causeway_edge_connections_open") == 0, 20, "none of it is left")
        wait_until(lambda: road.link()["streams_open"] == 0, 20, "nor at the link")


def test_tables_of_descriptors_have_their_size_at_the_start(road):
    """Else they grow amidst the flood, and all threads wait for the kernel each time."""
    wanted = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 1 << 17)
    for pid in descendants(road.nodes["edge"].pid):
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        if "causeway-front" in status:
            assert int(re.search(r"FDSize:\s+(\d+)", status)[1]) >= wanted
            return
    assert False, "no front process"


def test_floods_of_connections_harm_nobody(road):
    """Silent ones in clear, silent ones and hellos to the TLS port, handshakes that are thrown away; more than there is room for."""
    before_kb = memory_kb(road.nodes["edge"])
    alone = measure(road, 5)
    crowd = []

    def attack():
        crowd.append(road.lab.start("crowd", [*GIVING_WAY, sys.executable, HERE / "crowd.py", road.edge_at, str(HTTP), str(TLS), SITE], road.client))
        crowd[0].wait_for_output("^held$", 60)

    under = measure(road, attack=attack)
    most_kb = memory_kb(road.nodes["edge"])
    print(f"connections: p99 {alone * 1000:.1f} ms alone, {under * 1000:.1f} ms under attack, ratio {under / alone:.2f}; "
          f"memory {before_kb} -> {most_kb} kB")
    assert most_kb < before_kb + 200 * MIB
    assert metric(road, "causeway_edge_accept_pauses_total") == 0  # nobody waited for the flood's connections to grow old
    wait_until(lambda: timeouts(road, "first") > 100 and timeouts(road, "handshake") > 100, 20, "the time-outs have ended them")
    wait_until(lambda: metric(road, "causeway_edge_connections_open") == 0, 20, "none of them is left")
    assert metric(road, "causeway_edge_evicted_total") + timeouts(road, "first") + timeouts(road, "handshake") >= 4000
    crowd[0].stop()


def test_heads_and_trickles_hold_little(road):
    """What a stranger can make the edge hold by odd pieces: each used to cost a chunk, or a connection without an end."""
    road.curl("/bytes/10", "--http2-prior-knowledge")
    before_kb = memory_kb(road.nodes["edge"])
    pace = Pace(road)
    # Heads without an end: refused as soon as they are too long.
    huge = raw_connections(road, 20, b"GET / HTTP/1.1\r\nHost: " + SITE.encode() + b"\r\n" + b"Cookie: " + b"c" * 40000)
    for connection in huge:
        assert connection.recv(100).split()[1] == b"431"
    # Bytes behind a request that waits, one in each packet.
    trickle = raw_connections(road, 5, f"GET /hang HTTP/1.1\r\nHost: {SITE}\r\n\r\n".encode())
    for connection in trickle:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(1500):
        for connection in trickle:
            connection.sendall(b"G")
        time.sleep(0.001)  # each byte is read by itself
    # Bodies in chunks of a byte, to an origin that does not read: 100-continue is no way around it.
    chunks = b"1;x=" + b"y" * 20 + b"\r\nz\r\n"
    tiny = raw_connections(road, 10, f"POST /hang HTTP/1.1\r\nHost: {SITE}\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    for connection in tiny:
        connection.settimeout(0.2)
        try:
            for _ in range(40):
                connection.sendall(chunks * 500)
        except (TimeoutError, ConnectionError):
            pass  # it is held back
    most_kb = memory_kb(road.nodes["edge"])
    print(f"trickles: memory {before_kb} -> {most_kb} kB")
    assert most_kb < before_kb + 16 * MIB
    for connection in trickle + tiny:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for connection in huge + trickle + tiny:
        connection.close()
    pace.stop()


def test_http2_heads_that_never_end_have_a_time(road):
    """A connection that stops in the middle of a field block had no time-out at all."""
    begun = START + frame(HEADERS, 1, 1, literal(":method", "GET"))
    held = raw_connections(road, 5, begun)
    half = raw_connections(road, 5, START + frame(HEADERS, 5, 1, b"x" * 100)[:50])
    wait_until(lambda: timeouts(road, "header") == 10, 20, "they are ended")
    for connection in held + half:
        connection.close()
    wait_until(lambda: metric(road, "causeway_edge_connections_open") == 0, 10, "they are gone")


def test_answers_that_are_not_taken_are_given_up_one_by_one(road):
    """Streams without a window: each is reset, small answers that wait whole too, and the connection serves on."""
    closed = frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
    connection = road.client.connect(road.edge_at, HTTP, 20)
    connection.sendall(START + closed + b"".join(request(2 * n + 1, 1, "GET", f"/chunked/{size}") for n, size in enumerate([100, 1000000] * 5)))
    wait_until(lambda: timeouts(road, "download") > 0, 20, "time is up")
    wait_until(lambda: road.link()["streams_open"] == 0, 20, "no stream is left at the link")
    connection.sendall(request(101, 1, "GET", "/bytes/10") + frame(WINDOW_UPDATE, 0, 101, u32(1000)))
    got = b""
    while b"\0\0\x0a\0\1\0\0\0\x65" not in got:  # DATA of 10 bytes, END_STREAM, stream 101
        piece = connection.recv(65536)
        assert piece, "the connection was closed"
        got += piece
    assert len(re.findall(rb"\0\0\x04\x03\0\0\0\0.", got)) >= 10  # RST_STREAM
    connection.close()
